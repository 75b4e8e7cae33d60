/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Settings: one table says what each key is called, how it is read and what it defaults to. The
 * command line sets the same keys. An unknown key or a bad value is an error that names file and line.
 */
#include "user/daemon/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ini.h>
#include <kwitness/names.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "user/base/log.h"
#include "user/base/text.h"

enum value_type {
	TYPE_PATH,
	TYPE_PATH_OR_EMPTY,
	TYPE_TIER,
	TYPE_MILLISECONDS,
	TYPE_BYTES,
	TYPE_AGE,
	TYPE_BOOL,
	TYPE_USER,
	TYPE_GROUP,
	TYPE_MODE,
	TYPE_SYSCALL_FILTER,
	TYPE_PROFILE,
	TYPE_DURABILITY,
	TYPE_GLOBS,
	TYPE_UNITS,
};

struct setting {
	const char *section;
	const char *key;
	enum value_type type;
	size_t offset;
	const char *value; /* default, as a file would say it */
	uint64_t minimum;
	uint64_t maximum;
};

/* A hundred years. */
#define AGE_MAX_SEC (36525ULL * 86400)
#define AT(member) offsetof(struct kw_settings, member)

static const struct setting settings_table[] = {
	{ "daemon", "ledger", TYPE_PATH, AT(ledger), KW_PATH_LEDGER, 0, 0 },
	{ "daemon", "key", TYPE_PATH, AT(key), KW_PATH_KEY, 0, 0 },
	{ "daemon", "cells", TYPE_PATH, AT(cells), KW_PATH_CELLS, 0, 0 },
	{ "daemon", "cgroup-root", TYPE_PATH, AT(cgroup_root), KW_PATH_CGROUP_ROOT, 0, 0 },
	{ "daemon", "runtime", TYPE_PATH, AT(runtime), KW_PATH_RUNTIME, 0, 0 },
	{ "daemon", "tier", TYPE_TIER, AT(tier), "auto", 0, 0 },
	{ "daemon", "pins", TYPE_PATH_OR_EMPTY, AT(pins), KW_PATH_PINS, 0, 0 },
	{ "daemon", "gate", TYPE_PATH_OR_EMPTY, AT(gate), "", 0, 0 },
	{ "daemon", "http", TYPE_PATH_OR_EMPTY, AT(http), KW_HTTP_SOCKET, 0, 0 },
	{ "daemon", "record", TYPE_PATH_OR_EMPTY, AT(record), "", 0, 0 },
	{ "daemon", "poll-interval-ms", TYPE_MILLISECONDS, AT(poll_interval_ns), "5000", 100,
	  3600000 },
	{ "daemon", "silence-ms", TYPE_MILLISECONDS, AT(silence_ns), "10000", 1000, 86400000 },
	/* An incident must be told within 2 s. */
	{ "daemon", "settle-ms", TYPE_MILLISECONDS, AT(settle_ns), "200", 10, 2000 },
	/* For tests of a full ring; 0: as built. Of a power of two and whole pages, or the kernel refuses. */
	{ "daemon", "evidence-ring-bytes", TYPE_BYTES, AT(evidence_ring_bytes), "0", 0,
	  1ULL << 30 },
	{ "daemon", "bulk-ring-bytes", TYPE_BYTES, AT(bulk_ring_bytes), "0", 0, 1ULL << 30 },
	{ "daemon", "syscall-filter", TYPE_SYSCALL_FILTER, AT(syscall_filter), "refuse", 0, 0 },
	{ "poller", "cgroups", TYPE_GLOBS, AT(sweep_globs), "*", 0, 0 },
	{ "poller", "interval-ms", TYPE_MILLISECONDS, AT(sweep_interval_ns), "5000", 100, 3600000 },
	{ "guests", "socket-user", TYPE_USER, AT(socket_access.uid), "", 0, 0 },
	{ "guests", "socket-group", TYPE_GROUP, AT(socket_access.gid), "", 0, 0 },
	{ "guests", "socket-mode", TYPE_MODE, AT(socket_access.mode), "0600", 0, 0777 },
	{ "daemon", "userspace-killers", TYPE_UNITS, AT(killers),
	  "systemd-oomd.service earlyoom.service oomd.service nohang.service nohang-desktop.service",
	  0, 0 },
	{ "key", "epoch-seconds", TYPE_BYTES, AT(epoch_seconds), "0", 0, 366ULL * 86400 },
	{ "ledger", "durability", TYPE_DURABILITY, AT(durability), "evidence", 0, 0 },
	{ "ledger", "segment-bytes", TYPE_BYTES, AT(segment_bytes), "67108864", 65536, 1ULL << 40 },
	{ "ledger", "segment-age", TYPE_AGE, AT(segment_age_ns), "1d", 0, AGE_MAX_SEC },
	{ "ledger", "checkpoint-interval", TYPE_AGE, AT(checkpoint_ns), "10s", 1, 60 },
	{ "ledger", "checkpoint-events", TYPE_BYTES, AT(checkpoint_events), "4096", 1, 1ULL << 32 },
	{ "ledger", "retain-bytes", TYPE_BYTES, AT(archive.retain_bytes), "0", 0, 1ULL << 60 },
	{ "ledger", "retain-age", TYPE_AGE, AT(archive.retain_age_ns), "0", 0, AGE_MAX_SEC },
	{ "ledger", "retain-force", TYPE_BOOL, AT(archive.force), "no", 0, 0 },
	{ "ledger", "profile", TYPE_PROFILE, AT(profile), "dsse", 0, 0 },
	{ "ledger", "compress", TYPE_BOOL, AT(archive.compress), "yes", 0, 0 },
	{ "ledger", "index", TYPE_BOOL, AT(archive.index), "yes", 0, 0 },
};

/* Numbers that may change while the daemon runs; whatever is opened at the start may not. */
static const char *const live_keys[] = { "poll-interval-ms", "interval-ms", "epoch-seconds",
					 "durability" };

static int set_tier(enum kw_tier *target, const char *value)
{
	if (strcmp(value, "auto") == 0) {
		*target = KW_TIER_FENTRY;
		return 0;
	}
	for (int i = 0; i < KW_TIER_COUNT_; i++) {
		if (strcmp(value, kw_tier_name((enum kw_tier)i)) == 0) {
			*target = (enum kw_tier)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_number(uint64_t *target, const struct setting *setting, const char *value)
{
	uint64_t number;

	if (kw_text_parse_u64(value, strlen(value), &number) < 0 || number < setting->minimum ||
	    number > setting->maximum)
		return -EINVAL;
	*target = setting->type == TYPE_MILLISECONDS ? number * KW_NSEC_PER_MSEC : number;
	return 0;
}

_Static_assert(sizeof(uid_t) == 4 && sizeof(gid_t) == 4 && sizeof(mode_t) == 4, "settings layout");

/* A user's or group's name, or its number; empty: none. Read at start only: it may ask a name service. */
static int set_owner(uint32_t *target, enum value_type type, const char *value)
{
	const struct passwd *user = NULL;
	const struct group *group = NULL;
	uint64_t number;

	if (value[0] == '\0') {
		*target = UINT32_MAX;
		return 0;
	}
	if (kw_text_parse_u64(value, strlen(value), &number) == 0) {
		/* -1 means none to chown(2). */
		if (number >= UINT32_MAX)
			return -EINVAL;
		*target = (uint32_t)number;
		return 0;
	}
	if (type == TYPE_USER)
		user = getpwnam(value);
	else
		group = getgrnam(value);
	if (!user && !group)
		return -EINVAL;
	*target = user ? user->pw_uid : group->gr_gid;
	return 0;
}

static int apply(struct kw_settings *settings, const struct setting *setting, const char *value)
{
	void *target = (char *)settings + setting->offset;

	switch (setting->type) {
	case TYPE_PATH:
		return kw_setting_set_path(target, value, false);
	case TYPE_PATH_OR_EMPTY:
		return kw_setting_set_path(target, value, true);
	case TYPE_GLOBS:
		return kw_setting_set_globs(target, value);
	case TYPE_UNITS:
		return kw_setting_set_units(target, value);
	case TYPE_TIER:
		return set_tier(target, value);
	case TYPE_MILLISECONDS:
	case TYPE_BYTES:
		return set_number(target, setting, value);
	case TYPE_AGE:
		return kw_setting_parse_age(value, setting->minimum, setting->maximum, target);
	case TYPE_BOOL:
		return kw_setting_parse_bool(value, target);
	case TYPE_USER:
	case TYPE_GROUP:
		return set_owner(target, setting->type, value);
	case TYPE_MODE:
		return kw_setting_parse_mode(value, (mode_t)setting->maximum, target);
	case TYPE_SYSCALL_FILTER:
		return kw_setting_parse_word(kw_setting_syscall_filters, value, target);
	case TYPE_PROFILE:
		return kw_profile_parse(value, target);
	case TYPE_DURABILITY:
		return kw_setting_parse_word(kw_setting_durabilities, value, target);
	default:
		kw_unreachable();
	}
}

int kw_settings_init(struct kw_settings *settings)
{
	*settings = (struct kw_settings){ .to_stdout = false };
	for (size_t i = 0; i < kw_array_size(settings_table); i++) {
		int r = apply(settings, &settings_table[i], settings_table[i].value);

		if (r < 0) {
			kw_settings_done(settings);
			return r;
		}
	}
	return 0;
}

void kw_settings_done(struct kw_settings *settings)
{
	for (size_t i = 0; i < kw_array_size(settings_table); i++) {
		if (settings_table[i].type == TYPE_PATH || settings_table[i].type == TYPE_GLOBS ||
		    settings_table[i].type == TYPE_UNITS ||
		    settings_table[i].type == TYPE_PATH_OR_EMPTY) {
			char **target = (char **)((char *)settings + settings_table[i].offset);

			free(*target);
			*target = NULL;
		}
	}
}

int kw_settings_set(struct kw_settings *settings, const char *section, const char *key,
		    const char *value)
{
	for (size_t i = 0; i < kw_array_size(settings_table); i++) {
		const struct setting *setting = &settings_table[i];

		if (strcmp(setting->key, key) == 0 &&
		    (!section || strcmp(setting->section, section) == 0))
			return apply(settings, setting, value);
	}
	return -ENOENT;
}

/* One file being read. libinih as Debian builds it gives its handler no line number, so the reader
 * below counts; it reads one line before each call of the handler. */
struct ini_reading {
	struct kw_settings *settings;
	const char *path;
	FILE *file;
	int line;
	bool failed;
};

static char *read_line(char *text, int size, void *context)
{
	struct ini_reading *reading = context;

	if (reading->failed || !fgets(text, size, reading->file))
		return NULL;
	reading->line++;
	if (!strchr(text, '\n') && !feof(reading->file)) {
		kw_log(LOG_ERR, "%s:%d: line longer than %d bytes", reading->path, reading->line,
		       size - 2);
		reading->failed = true;
		return NULL;
	}
	return text;
}

static int on_value(void *context, const char *section, const char *key, const char *value)
{
	struct ini_reading *reading = context;
	int r = kw_settings_set(reading->settings, section, key, value);

	if (r == 0)
		return 1;
	reading->failed = true;
	if (r == -ENOENT)
		kw_log(LOG_ERR,
		       "%s:%d: unknown key \"%s\" in section [%s] (kwitness.conf(5) lists them)",
		       reading->path, reading->line, key, section);
	else
		kw_log(LOG_ERR,
		       "%s:%d: bad value \"%s\" for \"%s\" (kwitness.conf(5) says what it takes)",
		       reading->path, reading->line, value, key);
	return 0;
}

static int read_file(struct kw_settings *settings, const char *path, bool optional)
{
	struct ini_reading reading = { .settings = settings, .path = path };
	int line;

	reading.file = fopen(path, "re");
	if (!reading.file)
		return optional && errno == ENOENT
			       ? 0
			       : kw_log_error(-errno, "cannot read \"%s\"", path);
	line = ini_parse_stream(read_line, &reading, on_value, &reading);
	(void)fclose(reading.file);
	if (reading.failed)
		return -EINVAL;
	if (line == 0)
		return 0;
	if (line < 0)
		return kw_log_error(-ENOMEM, "cannot read \"%s\"", path);
	kw_log(LOG_ERR, "%s:%d: not \"key = value\" and not \"[section]\"", path, line);
	return -EINVAL;
}

static int is_drop_in(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 &&
	       strcmp(entry->d_name + length - 5, ".conf") == 0;
}

int kw_settings_read(struct kw_settings *settings, const char *path, bool optional,
		     const char *directory)
{
	struct dirent **entries = NULL;
	int count, r;

	r = read_file(settings, path, optional);
	if (r < 0 || !directory)
		return r;
	count = scandir(directory, &entries, is_drop_in, alphasort);
	if (count < 0)
		return errno == ENOENT ? 0 : kw_log_error(-errno, "cannot read \"%s\"", directory);
	for (int i = 0; i < count; i++) {
		char drop_in[KW_PATH_MAX];
		int length =
			snprintf(drop_in, sizeof(drop_in), "%s/%s", directory, entries[i]->d_name);

		if (r == 0)
			r = length < 0 || (size_t)length >= sizeof(drop_in)
				    ? -ENAMETOOLONG
				    : read_file(settings, drop_in, false);
		free(entries[i]);
	}
	free(entries);
	return r;
}

static void print_one(const struct kw_settings *settings, const struct setting *setting)
{
	const void *source = (const char *)settings + setting->offset;
	uint64_t number = 0;

	printf("%s = ", setting->key);
	switch (setting->type) {
	case TYPE_PATH:
	case TYPE_PATH_OR_EMPTY:
	case TYPE_GLOBS:
	case TYPE_UNITS:
		printf("%s\n", *(char *const *)source);
		return;
	case TYPE_TIER:
		printf("%s\n", kw_tier_name(*(const enum kw_tier *)source));
		return;
	case TYPE_MILLISECONDS:
	case TYPE_BYTES:
		memcpy(&number, source, sizeof(number));
		printf("%llu\n", (unsigned long long)(setting->type == TYPE_MILLISECONDS
							      ? number / KW_NSEC_PER_MSEC
							      : number));
		return;
	case TYPE_AGE:
		memcpy(&number, source, sizeof(number));
		printf("%llu\n", (unsigned long long)(number / KW_NSEC_PER_SEC));
		return;
	case TYPE_BOOL:
		printf("%s\n", *(const bool *)source ? "yes" : "no");
		return;
	case TYPE_USER:
	case TYPE_GROUP:
		if (*(const uint32_t *)source != UINT32_MAX)
			printf("%u", *(const uint32_t *)source);
		putchar('\n');
		return;
	case TYPE_MODE:
		printf("%04o\n", *(const mode_t *)source);
		return;
	case TYPE_SYSCALL_FILTER:
		printf("%s\n", kw_setting_syscall_filters[*(const unsigned int *)source]);
		return;
	case TYPE_PROFILE:
		printf("%s\n", kw_profile_name(*(const enum kw_profile *)source));
		return;
	case TYPE_DURABILITY:
		printf("%s\n", kw_setting_durabilities[*(const unsigned int *)source]);
		return;
	default:
		kw_unreachable();
	}
}

void kw_settings_print(const struct kw_settings *settings)
{
	const char *section = "";

	for (size_t i = 0; i < kw_array_size(settings_table); i++) {
		if (strcmp(section, settings_table[i].section) != 0) {
			section = settings_table[i].section;
			printf("%s[%s]\n", i ? "\n" : "", section);
		}
		print_one(settings, &settings_table[i]);
	}
}

static bool is_same(const struct setting *setting, const void *a, const void *b)
{
	switch (setting->type) {
	case TYPE_PATH:
	case TYPE_PATH_OR_EMPTY:
	case TYPE_GLOBS:
	case TYPE_UNITS:
		return strcmp(*(char *const *)a, *(char *const *)b) == 0;
	case TYPE_TIER:
		return memcmp(a, b, sizeof(enum kw_tier)) == 0;
	case TYPE_MILLISECONDS:
	case TYPE_BYTES:
	case TYPE_AGE:
		return memcmp(a, b, sizeof(uint64_t)) == 0;
	case TYPE_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case TYPE_PROFILE:
		return memcmp(a, b, sizeof(enum kw_profile)) == 0;
	case TYPE_SYSCALL_FILTER:
	case TYPE_DURABILITY:
	case TYPE_USER:
	case TYPE_GROUP:
	case TYPE_MODE:
		return memcmp(a, b, sizeof(uint32_t)) == 0;
	default:
		kw_unreachable();
	}
}

static bool is_live(const struct setting *setting)
{
	for (size_t i = 0; i < kw_array_size(live_keys); i++) {
		if (strcmp(setting->key, live_keys[i]) == 0)
			return true;
	}
	return false;
}

void kw_settings_take_live(struct kw_settings *settings, const struct kw_settings *fresh,
			   kw_setting_fn callback, void *context)
{
	for (size_t i = 0; i < kw_array_size(settings_table); i++) {
		const struct setting *setting = &settings_table[i];
		char *target = (char *)settings + setting->offset;
		const char *source = (const char *)fresh + setting->offset;

		if (is_same(setting, target, source))
			continue;
		if (is_live(setting))
			memcpy(target, source,
			       setting->type == TYPE_DURABILITY ? sizeof(enum kw_durability)
								: sizeof(uint64_t));
		callback(context, setting->section, setting->key, is_live(setting));
	}
}
