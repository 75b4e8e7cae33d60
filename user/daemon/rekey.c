/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The key in force, and how another takes its place while the daemon runs or when it starts. The next key
 * waits in "<key file>.next" (kwitness rotate makes it, or an epoch's end). Its line goes into the ledger
 * first; when that line is durable the file takes the old one's name, and the old one is written over. So at
 * every moment the key that the ledger's end asks for is on disk under one of the two names, and a daemon that
 * starts finds out by the ledger which of them it is. A credential cannot be written to: after the first
 * change the key is kept beside the ledger, as "<ledger>.key".
 */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <kwitness/names.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/file.h"
#include "user/base/log.h"

#define NEXT_SUFFIX ".next"
/* Bytes of a DSSE envelope with one signature; ours has about 350. */
#define ENVELOPE_MAX 4096

/* ---- what the ledger's end asks for ---- */

static void copy_id(const json_t *value, char ret_id[static KW_KID_MAX + 1])
{
	if (json_is_string(value) && json_string_length(value) <= KW_KID_MAX)
		(void)snprintf(ret_id, KW_KID_MAX + 1, "%s", json_string_value(value));
}

/* The key that signed the line. */
static void signer_of(const json_t *event, char ret_id[static KW_KID_MAX + 1])
{
	const json_t *material = json_object_get(event, "dssematerial");
	unsigned char text[ENVELOPE_MAX];
	json_t *envelope;
	size_t length;

	if (!json_is_string(material) ||
	    sodium_base642bin(text, sizeof(text), json_string_value(material),
			      json_string_length(material), NULL, &length, NULL,
			      sodium_base64_VARIANT_ORIGINAL) != 0)
		return;
	envelope = json_loadb((const char *)text, length, 0, NULL);
	copy_id(json_object_get(json_array_get(json_object_get(envelope, "signatures"), 0),
				"keyid"),
		ret_id);
	json_decref(envelope);
}

/* The key that signs what follows the line; ret_id stays when the line does not say. */
static void successor_of(const char *line, size_t length, char ret_id[static KW_KID_MAX + 1])
{
	json_t *event = json_loadb(line, length, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	const char *type = json_string_value(json_object_get(event, "type"));

	if (type && strcmp(type, KW_TYPE_KEY) == 0)
		copy_id(json_object_get(json_object_get(json_object_get(event, "data"), "next"),
					"keyId"),
			ret_id);
	else
		signer_of(event, ret_id);
	json_decref(event);
}

/* Id of the key with which the ledger goes on; empty: there is no line, or none that says. Behind the last
 * whole line there may be what a crash has left. */
static int wanted_key(const char *ledger, char ret_id[static KW_KID_MAX + 1])
{
	cleanup(kw_cursor_freep) struct kw_cursor *cursor = NULL;
	const char *line;
	size_t length;
	int r = kw_cursor_open_tail(ledger, KW_LEDGER_TAIL_LINES, &cursor);

	ret_id[0] = '\0';
	while (r >= 0 && (r = kw_cursor_next(cursor, &line, &length)) != 0) {
		if (r > 0)
			successor_of(line, length, ret_id);
		if (r == -EMSGSIZE)
			r = 0;
	}
	return r == -ENOENT ? 0 : r;
}

/* ---- files ---- */

static int next_path(const struct kw_daemon *daemon, char ret_path[static KW_PATH_MAX])
{
	int r = snprintf(ret_path, KW_PATH_MAX, "%s" NEXT_SUFFIX, daemon->key_path);

	return r < 0 || r >= KW_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Makes the names in path's directory durable. */
static int sync_directory(const char *path)
{
	char directory[KW_PATH_MAX];
	cleanup_close int fd = -1;
	char *slash;

	(void)snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash)
		slash[slash == directory] = '\0';
	fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Zeroes over a secret that has lost its name. A file that somebody else has a name for is his. */
static void write_over(int fd)
{
	static const char zeroes[4096];
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_nlink != 0 ||
	    status.st_size > (off_t)sizeof(zeroes))
		return;
	if (kw_file_write_all(fd, zeroes, (size_t)status.st_size) < 0 || fdatasync(fd) < 0)
		kw_log(LOG_WARNING, "the old key's blocks could not be written over");
}

/* The line is durable: the next key's file takes the old one's name. */
static void replace_file(struct kw_daemon *daemon)
{
	char next[KW_PATH_MAX];
	cleanup_close int old =
		open(daemon->key_path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	int r = next_path(daemon, next);

	if (r == 0 && rename(next, daemon->key_path) < 0)
		r = -errno;
	if (r == 0)
		r = sync_directory(daemon->key_path);
	if (r < 0) {
		(void)kw_log_error(r, "the new key stays in \"%s\"; it is in force all the same",
				   next);
		return;
	}
	write_over(old);
}

/* ---- a change ---- */

/* Puts next, whose file is there and complete, in the key's place. Takes next over. */
static int change(struct kw_daemon *daemon, struct kw_key *next, enum kw_rotation_reason reason)
{
	int r = sync_directory(daemon->key_path);

	if (r == 0)
		r = kw_pipeline_rotate(&daemon->pipeline, next, reason);
	if (r < 0) {
		kw_key_free(next);
		return r;
	}
	kw_log(LOG_NOTICE, "the key is now %s; %s signs nothing any more", kw_key_id(next),
	       kw_key_id(daemon->key));
	kw_key_free(daemon->key); /* wiped */
	daemon->key = next;
	daemon->key_boot_ns = kw_clock_boot_ns(daemon->clock);
	daemon->key_sequence = kw_attest_head(daemon->pipeline.attest).sequence;
	kw_ledger_request_sync(daemon->pipeline.ledger);
	return 0;
}

/* Takes the next key if one waits. */
static void take_waiting(struct kw_daemon *daemon)
{
	cleanup(kw_key_freep) struct kw_key *next = NULL;
	char path[KW_PATH_MAX];
	int r = next_path(daemon, path);

	if (r == 0)
		r = kw_key_load(path, NULL, &next);
	if (r == -ENOENT || daemon->key_sequence)
		return;
	if (r == 0 && strcmp(kw_key_id(next), kw_key_id(daemon->key)) == 0 &&
	    memcmp(kw_key_public(next), kw_key_public(daemon->key), 32) == 0) {
		replace_file(
			daemon); /* the ledger has its line: the last daemon did not come so far */
		return;
	}
	if (r == 0)
		r = change(daemon, take_ptr(next), KW_ROTATION_WANTED);
	if (r < 0)
		(void)kw_log_error(r, "the key in \"%s\" cannot take over from %s", path,
				   kw_key_id(daemon->key));
}

static void begin_epoch(struct kw_daemon *daemon)
{
	struct kw_key *next = NULL;
	char path[KW_PATH_MAX];
	int r = next_path(daemon, path);

	if (r == 0)
		r = kw_key_next_epoch(daemon->key, path, &next);
	if (r == -EEXIST) {
		take_waiting(daemon); /* somebody's new key; that will do */
		return;
	}
	if (r == 0)
		r = change(daemon, next, KW_ROTATION_EPOCH);
	if (r < 0) {
		(void)unlink(path); /* nothing was said of it */
		(void)kw_log_error(r, "the next epoch's key cannot be made; %s stays in force",
				   kw_key_id(daemon->key));
		daemon->key_boot_ns = kw_clock_boot_ns(daemon->clock); /* once an epoch */
	}
}

void kw_rekey_turn(struct kw_daemon *daemon)
{
	uint64_t epoch_ns = daemon->settings->epoch_seconds * KW_NSEC_PER_SEC;

	if (daemon->key_sequence) {
		if (kw_ledger_durable(daemon->pipeline.ledger) < daemon->key_sequence)
			return;
		daemon->key_sequence = 0;
		replace_file(daemon);
	}
	if (epoch_ns && kw_clock_boot_ns(daemon->clock) - daemon->key_boot_ns >= epoch_ns)
		begin_epoch(daemon);
}

void kw_rekey_stop(struct kw_daemon *daemon)
{
	if (daemon->key_sequence &&
	    kw_ledger_durable(daemon->pipeline.ledger) >= daemon->key_sequence)
		replace_file(daemon);
	daemon->key_sequence = 0; /* else the next start does it */
}

void kw_rekey_reload(struct kw_daemon *daemon)
{
	kw_rekey_turn(daemon);
	if (kw_pipeline_ready(&daemon->pipeline) == 0)
		take_waiting(daemon);
}

/* ---- at the start ---- */

static bool find_credential(char *ret_path, size_t size)
{
	static const char *const names[] = { KW_CREDENTIAL_KEY, KW_CREDENTIAL_KEY_PLAIN };
	const char *directory = getenv("CREDENTIALS_DIRECTORY");

	for (size_t i = 0; directory && i < kw_array_size(names); i++) {
		int r = snprintf(ret_path, size, "%s/%s", directory, names[i]);

		if (r > 0 && (size_t)r < size && access(ret_path, F_OK) == 0)
			return true;
	}
	return false;
}

static int refuse(const char *path, int error)
{
	if (error == -EPERM)
		kw_log(LOG_ERR,
		       "the key \"%s\" may be read by others, or is not ours: chown and chmod 600 it",
		       path);
	else if (error == -ENOENT)
		kw_log(LOG_ERR, "no key at \"%s\": make one with 'kwitness keygen --out %s'", path,
		       path);
	else if (error == -EBADMSG)
		kw_log(LOG_ERR, "\"%s\" is not a private key as 'kwitness keygen' makes it", path);
	else
		(void)kw_log_error(error, "cannot read the key \"%s\"", path);
	return error;
}

/* Loads the key in path when it is the wanted one. 1: it is; 0: it is not, or is not there; -errno. */
static int try_key(struct kw_daemon *daemon, const char *path, const char *wanted)
{
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	int r = kw_key_load(path, NULL, &key);

	if (r < 0)
		return r == -ENOENT ? 0 : refuse(path, r);
	if (wanted[0] && strcmp(kw_key_id(key), wanted) != 0)
		return 0;
	daemon->key = take_ptr(key);
	return 1;
}

int kw_rekey_open(struct kw_daemon *daemon)
{
	const char *ledger = daemon->settings->ledger;
	char first[KW_PATH_MAX], next[KW_PATH_MAX], wanted[KW_KID_MAX + 1];
	int r, length;

	/* --key and key= name a file of their own; only the default gives way to systemd's credential. */
	if (strcmp(daemon->settings->key, KW_PATH_KEY) == 0 &&
	    find_credential(first, sizeof(first))) {
		length = snprintf(daemon->key_path, sizeof(daemon->key_path), "%s.key", ledger);
	} else {
		length = snprintf(first, sizeof(first), "%s", daemon->settings->key);
		(void)snprintf(daemon->key_path, sizeof(daemon->key_path), "%s", first);
	}
	if (length < 0 || length >= KW_PATH_MAX || next_path(daemon, next) < 0)
		return kw_log_error(-ENAMETOOLONG, "cannot keep a key for \"%s\"", ledger);
	r = wanted_key(ledger, wanted);
	if (r < 0)
		return kw_log_error(r, "cannot read the ledger \"%s\"", ledger);
	r = try_key(daemon, daemon->key_path, wanted);
	if (r == 0 && wanted[0])
		r = try_key(daemon, next, wanted);
	if (r == 0 && strcmp(first, daemon->key_path) != 0)
		r = try_key(daemon, first, wanted);
	if (r == 0 && access(first, F_OK) < 0)
		return refuse(first, -errno);
	if (r == 0) {
		kw_log(LOG_ERR,
		       "the ledger \"%s\" goes on with the key %s, and \"%s\" is another: put that key back (kwitness rotate changes it), or move the ledger away to begin a new one",
		       ledger, wanted, first);
		return -EKEYREJECTED;
	}
	return r < 0 ? r : 0;
}

void kw_rekey_start(struct kw_daemon *daemon)
{
	uint64_t now = kw_clock_boot_ns(daemon->clock), real_ns = kw_clock_real_ns(daemon->clock),
		 age_ns = 0;
	struct stat status;

	/* A daemon that is started again and again must not make an epoch last for ever. */
	if (stat(daemon->key_path, &status) == 0 &&
	    (uint64_t)status.st_mtime * KW_NSEC_PER_SEC < real_ns)
		age_ns = real_ns - (uint64_t)status.st_mtime * KW_NSEC_PER_SEC;
	daemon->key_boot_ns = age_ns < now ? now - age_ns : 0;
	take_waiting(daemon);
}
