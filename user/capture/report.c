/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What was tried and how the kernel answered, as JSON. Written here by hand, since all that goes in are
 * names and sentences of our own and numbers: nothing has to be escaped but the rule is kept anyway.
 */
#include "user/capture/hooks.h"

#include <inttypes.h>
#include <unistd.h>

/* A quotation mark, a backslash or a control character has no place in our own words: shown as '?'. */
static void append_string(struct kw_bytes *text, const char *string)
{
	kw_bytes_append_char(text, '"');
	for (; *string; string++) {
		bool is_plain = *string >= ' ' && *string < 0x7f && *string != '"' &&
				*string != '\\';

		kw_bytes_append_char(text, is_plain ? *string : '?');
	}
	kw_bytes_append_char(text, '"');
}

static void append_attempt(struct kw_bytes *text, const struct kw_hook_attempt *attempt)
{
	kw_bytes_append_string(text, "{\"hook\":");
	append_string(text, attempt->hook);
	kw_bytes_append_string(text, ",\"tier\":");
	append_string(text, kw_tier_name(attempt->tier));
	kw_bytes_append_format(text, ",\"errno\":%d,\"words\":", -attempt->error);
	append_string(text, attempt->detail);
	kw_bytes_append_char(text, '}');
}

static void append_programs(struct kw_bytes *text, const struct kw_hooks *hooks)
{
	struct kw_hook_cost costs[KW_HOOK_COSTS_MAX];
	int count = kw_hooks_costs(hooks, costs, kw_array_size(costs));

	kw_bytes_append_string(text, ",\"programs\":[");
	for (int i = 0; i < count; i++) {
		kw_bytes_append_string(text, i ? ",{\"program\":" : "{\"program\":");
		append_string(text, costs[i].program);
		kw_bytes_append_format(text, ",\"verifiedInsns\":%" PRIu32 "}",
				       costs[i].verified_insns);
	}
	kw_bytes_append_char(text, ']');
}

int kw_hooks_report(const struct kw_hooks *hooks, const char *boot_id, struct kw_bytes *text)
{
	kw_bytes_append_string(text, "{\"bootId\":");
	append_string(text, boot_id);
	kw_bytes_append_format(text, ",\"pid\":%d,\"tier\":", (int)getpid());
	append_string(text, kw_tier_name(kw_hooks_tier(hooks)));
	kw_bytes_append_string(text, ",\"hooks\":[");
	for (unsigned int i = 0; i < KW_GROUP_COUNT_; i++) {
		kw_bytes_append_string(text, i ? ",{\"hook\":" : "{\"hook\":");
		append_string(text, kw_hooks_group_name(i));
		kw_bytes_append_string(text, ",\"tier\":");
		append_string(text, kw_tier_name(hooks->combination.tier[i]));
		kw_bytes_append_char(text, '}');
	}
	kw_bytes_append_string(text, "],\"attempts\":[");
	for (size_t i = 0; i < hooks->attempt_count; i++) {
		if (i)
			kw_bytes_append_char(text, ',');
		append_attempt(text, &hooks->attempts[i]);
	}
	kw_bytes_append_char(text, ']');
	append_programs(text, hooks);
	kw_bytes_append_string(text, "}\n");
	return kw_bytes_error(text);
}
