/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hooks as a whole: taken over from pins where the very same build left them attached, else loaded
 * (load.c) and pinned (pins.c). Each attempt is kept in words, so that doctor can say why a tier was
 * not reached.
 */
#include "user/capture/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "user/capture/refusal.h"

static const char *const group_names[KW_GROUP_COUNT_] = {
	[KW_GROUP_OOM_KILL_PROCESS] = "oom_kill_process",
	[KW_GROUP_OOM_KILL_ONE] = "__oom_kill_process",
	[KW_GROUP_THROTTLE] = "throttle_cfs_rq",
	[KW_GROUP_PIDS] = "pids_can_fork",
	[KW_GROUP_MARK_VICTIM] = "mark_victim",
};

static struct kw_hook_attempt *note(struct kw_hooks *hooks, const char *hook, enum kw_tier tier,
				    int error)
{
	struct kw_hook_attempt *attempt = &hooks->attempts[KW_ATTEMPTS_MAX - 1];

	if (hooks->attempt_count < KW_ATTEMPTS_MAX)
		attempt = &hooks->attempts[hooks->attempt_count++];
	*attempt = (struct kw_hook_attempt){ .hook = hook, .tier = tier, .error = error };
	return attempt;
}

static void note_group(void *context, enum kw_hook_group group, enum kw_tier tier, int error)
{
	struct kw_hooks *hooks = context;
	struct kw_hook_attempt *attempt = note(hooks, group_names[group], tier, error);

	kw_refusal_describe_hook(tier, error, attempt->detail, sizeof(attempt->detail));
}

/* Descriptors of our own: those of the object go with it. */
static int dup_map(const struct kw_hooks *hooks, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(kw_load_object(&hooks->loaded), name);

	return fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int borrow_maps(struct kw_hooks *hooks)
{
	hooks->maps.evidence = dup_map(hooks, "evidence");
	hooks->maps.losses = dup_map(hooks, "losses");
	hooks->maps.losses_told = dup_map(hooks, "losses_told");
	hooks->maps.counts = dup_map(hooks, "counts");
	hooks->maps.bulk = dup_map(hooks, "bulk");
	hooks->maps.throttles = dup_map(hooks, "throttles");
	hooks->maps.throttles_told = dup_map(hooks, "throttles_told");
	hooks->maps.refusals = dup_map(hooks, "refusals");
	hooks->maps.refusals_told = dup_map(hooks, "refusals_told");
	return kw_pins_has_all_maps(&hooks->maps) ? 0 : -ENOMEM;
}

/* ---- pins ---- */

static struct kw_pin_meta describe_self(enum kw_tier ceiling)
{
	return (struct kw_pin_meta){
		.record_version = KW_RECORD_VERSION,
		.ceiling = ceiling,
		.build_id = kw_load_build_id(),
	};
}

/* Whether these are the programs that would be loaded now, all of them still attached. */
static bool is_same(const struct kw_pin_meta *meta, const struct kw_hooks_options *options)
{
	struct kw_pin_meta expected = describe_self(options->ceiling);
	struct kw_combination combination;

	if (meta->record_version != expected.record_version ||
	    meta->build_id != expected.build_id || meta->ceiling != expected.ceiling)
		return false;
	for (unsigned int i = 0; i < KW_GROUP_COUNT_; i++) {
		if (meta->tier[i] >= KW_TIER_COUNT_)
			return false;
		combination.tier[i] = meta->tier[i];
	}
	for (size_t i = 0; i < kw_load_program_count(); i++) {
		const char *program = kw_load_program(&combination, i);

		if (program && !kw_pins_has_link(options->pin_path, program))
			return false;
	}
	return true;
}

/* Takes over pins of this very build; of those of another, what they have left unread, if it can be
 * read. Returns whether programs were taken over. */
static bool adopt(struct kw_hooks *hooks, const struct kw_hooks_options *options)
{
	cleanup(kw_pins_close_maps) struct kw_pins_maps maps = KW_PINS_MAPS_NONE;
	struct kw_pin_meta meta;
	bool adopted;

	if (kw_pins_read(options->pin_path, &maps, &meta) < 0)
		return false;
	adopted = options->ceiling < KW_TIER_FILES && is_same(&meta, options) &&
		  kw_pins_has_all_maps(&maps);
	if (adopted)
		hooks->maps = maps;
	else if (meta.record_version == KW_RECORD_VERSION)
		hooks->previous_maps = maps;
	else
		return false;
	maps = KW_PINS_MAPS_NONE;
	for (unsigned int i = 0; adopted && i < KW_GROUP_COUNT_; i++) {
		hooks->combination.tier[i] = meta.tier[i];
		if (meta.tier[i] != KW_TIER_FILES)
			(void)snprintf(note(hooks, group_names[i], meta.tier[i], 0)->detail,
				       sizeof(hooks->attempts[0].detail),
				       "attached: taken over from the last run's pins");
	}
	return adopted;
}

/*
 * New programs take the place of pins that cannot be adopted (another build, ceiling or record
 * version, or incomplete). The new ones are attached before the old pins go, so that no OOM goes
 * unseen. What the old ones have left unread is told first when its records are of this version, else
 * it is lost: the daemon declares a start without adoption as a gap. An OOM in the milliseconds
 * between the first and the last of the new programs may be told twice, under two numbers.
 */
static void pin(struct kw_hooks *hooks, const struct kw_hooks_options *options)
{
	struct bpf_object *object = kw_load_object(&hooks->loaded);
	struct kw_pin_meta meta = describe_self(options->ceiling);
	struct kw_hook_attempt *attempt;
	uint32_t zero = 0;
	int r;

	for (unsigned int i = 0; i < KW_GROUP_COUNT_; i++)
		meta.tier[i] = hooks->combination.tier[i];
	r = kw_pins_remove(options->pin_path);
	if (r == 0 && bpf_map_update_elem(bpf_object__find_map_fd_by_name(object, "meta"), &zero,
					  &meta, BPF_ANY) < 0)
		r = -errno;
	if (r == 0)
		r = kw_pins_save(options->pin_path, object, hooks->loaded.links,
				 hooks->loaded.link_count);
	hooks->is_pinned = r == 0;
	attempt = note(hooks, "pins", kw_hooks_tier(hooks), r);
	kw_refusal_describe_pins(r, attempt->detail, sizeof(attempt->detail));
}

/* ---- public ---- */

static int open_pins(struct kw_hooks *hooks, const struct kw_hooks_options *options)
{
	struct kw_hook_attempt *attempt;
	int fd;

	if (!options->pin_path)
		return 0;
	fd = kw_pins_open(options->pin_path);
	if (fd == -EEXIST)
		return fd;
	if (fd < 0) {
		attempt = note(hooks, "pins", options->ceiling, fd);
		kw_refusal_describe_pins(fd, attempt->detail, sizeof(attempt->detail));
		return 0;
	}
	hooks->pin_fd = fd;
	return 0;
}

/* Loads, attaches and pins. A tier that cannot be had is no failure. 0 or -ENOMEM. */
static int load_new(struct kw_hooks *hooks, const struct kw_hooks_options *options)
{
	int r = 0;

	if (options->ceiling < KW_TIER_FILES)
		r = kw_load_best(options->ceiling, options->clock, note_group, hooks,
				 &hooks->loaded, &hooks->combination);
	hooks->previous_until_ns = kw_clock_boot_ns(options->clock);
	if (options->ceiling < KW_TIER_FILES && r == 0) {
		r = borrow_maps(hooks);
		if (r < 0)
			return r;
		if (hooks->pin_fd >= 0)
			pin(hooks, options);
	}
	if (!hooks->is_pinned && hooks->pin_fd >= 0)
		(void)kw_pins_remove(options->pin_path); /* nobody would read what they record */
	return 0;
}

int kw_hooks_open(const struct kw_hooks_options *options, struct kw_hooks **ret_hooks,
		  bool *ret_adopted)
{
	cleanup(kw_hooks_freep) struct kw_hooks *hooks = calloc(1, sizeof(*hooks));
	bool adopted = false;
	int r;

	if (!hooks)
		return -ENOMEM;
	hooks->clock = options->clock;
	hooks->maps = KW_PINS_MAPS_NONE;
	hooks->previous_maps = KW_PINS_MAPS_NONE;
	hooks->pin_fd = -1;
	hooks->recording_fd = -1;
	hooks->combination = KW_COMBINATION_NONE;
	r = open_pins(hooks, options);
	if (r < 0)
		return r;
	if (hooks->pin_fd >= 0)
		adopted = adopt(hooks, options);
	if (!adopted) {
		r = load_new(hooks, options);
		if (r < 0)
			return r;
	}
	if (hooks->maps.evidence >= 0) {
		r = kw_ring_open(hooks->maps.evidence, &hooks->ring);
		if (r < 0)
			return r;
	}
	if (hooks->maps.bulk >= 0) {
		r = kw_ring_open(hooks->maps.bulk, &hooks->bulk);
		if (r < 0)
			return r;
	}
	if (hooks->previous_maps.evidence >= 0 &&
	    kw_ring_open(hooks->previous_maps.evidence, &hooks->previous) < 0)
		kw_pins_close_maps(&hooks->previous_maps);
	*ret_adopted = adopted;
	*ret_hooks = take_ptr(hooks);
	return 0;
}

void kw_hooks_free(struct kw_hooks *hooks)
{
	if (!hooks)
		return;
	kw_ring_close(&hooks->ring);
	kw_ring_close(&hooks->bulk);
	kw_ring_close(&hooks->previous);
	kw_pins_close_maps(&hooks->previous_maps);
	kw_load_free(&hooks->loaded, hooks->is_pinned);
	kw_pins_close_maps(&hooks->maps);
	kw_cleanup_close_fd(&hooks->pin_fd);
	free(hooks);
}

int kw_hooks_detach(const char *pin_path)
{
	return kw_pins_remove(pin_path);
}

/* The tier of the whole: that of the hook which sees the limit's owner, if there is one. */
enum kw_tier kw_hooks_tier(const struct kw_hooks *hooks)
{
	enum kw_tier owner = hooks->combination.tier[KW_GROUP_OOM_KILL_PROCESS];

	return owner != KW_TIER_FILES ? owner : hooks->combination.tier[KW_GROUP_MARK_VICTIM];
}

const struct kw_hook_attempt *kw_hooks_attempts(const struct kw_hooks *hooks, size_t *ret_count)
{
	*ret_count = hooks->attempt_count;
	return hooks->attempts;
}

int kw_hooks_ring_fd(const struct kw_hooks *hooks)
{
	return hooks->maps.evidence;
}

bool kw_hooks_see(const struct kw_hooks *hooks, enum kw_record_kind kind)
{
	static const enum kw_hook_group groups[KW_RECORD_KIND_COUNT_] = {
		[KW_RECORD_OOM_KILL] = KW_GROUP_MARK_VICTIM,
		[KW_RECORD_OOM_END] = KW_GROUP_OOM_KILL_PROCESS,
		[KW_RECORD_THROTTLE] = KW_GROUP_THROTTLE,
		[KW_RECORD_PIDS] = KW_GROUP_PIDS,
	};

	return kind > 0 && kind < KW_RECORD_KIND_COUNT_ &&
	       hooks->combination.tier[groups[kind]] != KW_TIER_FILES;
}
