/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness sign: dssematerial for any CloudEvent. Reads it with verify's reader, so that what is
 * signed is byte for byte what a verifier will compute; writes it canonical (RFC 8785), because a
 * signature over `data` holds only as long as nobody writes `data` in another way.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/limits.h>

#include "user/attest/attest.h"
#include "user/base/file.h"
#include "user/cli/cli.h"
#include "user/verify/verify.h"

static const char help[] =
	"usage: kwitness sign --key FILE [--signed-ext NAME,...] [EVENT.json]\n"
	"\n"
	"Signs a CloudEvent (JSON format; standard input when no file is given) and writes it, canonical,\n"
	"to standard output with its dssematerial. What is hashed as data: JSON in canonical form, the\n"
	"text itself where datacontenttype is not JSON, the decoded bytes of data_base64.\n"
	"\n"
	"  -k, --key FILE          private key (kwitness keygen)\n"
	"  -e, --signed-ext a,b    extension attributes to be signed too, in this order\n"
	"  -h, --help              this text\n";

/* What is put together for one event. */
struct job {
	struct kw_bytes text;	   /* the event, canonical */
	struct kw_members members; /* of text */
	const char *extensions;	   /* signedextattrs; NULL: none */
	struct kw_bytes values;	   /* decoded values, one after the other */
	struct kw_bytes out;
};

static int read_event(const char *path, struct kw_bytes *raw)
{
	char chunk[4096];
	ssize_t got;

	if (path && strcmp(path, "-") != 0)
		return kw_file_read(AT_FDCWD, path, raw);
	while ((got = read(STDIN_FILENO, chunk, sizeof(chunk))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		kw_bytes_append(raw, chunk, (size_t)got);
	}
	return kw_bytes_error(raw) == -EMSGSIZE ? -EFBIG : kw_bytes_error(raw);
}

/* Why this is no event that can be signed; NULL: it is one. */
static const char *refusal(const struct job *job)
{
	static const char *const required[] = { "id", "source", "type" };

	if (!kw_read_equals(kw_read_find(&job->members, "specversion"), "1.0"))
		return "specversion is not \"1.0\"";
	for (size_t i = 0; i < kw_array_size(required); i++) {
		struct kw_span value = kw_read_find(&job->members, required[i]);

		if (!kw_read_is_string(value) || value.length == 2)
			return "id, source or type is missing, empty, or not a string";
	}
	if (kw_read_find(&job->members, "dssematerial").data)
		return "it has a dssematerial already";
	if (kw_read_find(&job->members, "signedextattrs").data)
		return "it has signedextattrs already; say with --signed-ext what is to be signed";
	return NULL;
}

/* Where values decoded to; offsets first, because the buffer may move while it grows. */
struct piece {
	size_t offset, length;
};

static int decode_string(struct job *job, const char *name, struct piece *ret_piece)
{
	struct kw_span value = kw_read_find(&job->members, name);
	int r = 0;

	ret_piece->offset = job->values.length;
	if (value.data)
		r = kw_read_decode(value, &job->values);
	ret_piece->length = job->values.length - ret_piece->offset;
	return r;
}

/* The attributes that are always signed. */
static int decode_core(struct job *job, struct piece *pieces)
{
	static const char *const names[KW_DSSE_TIME] = {
		[KW_DSSE_ID] = "id",
		[KW_DSSE_SOURCE] = "source",
		[KW_DSSE_SPECVERSION] = "specversion",
		[KW_DSSE_TYPE] = "type",
		[KW_DSSE_DATACONTENTTYPE] = "datacontenttype",
		[KW_DSSE_DATASCHEMA] = "dataschema",
		[KW_DSSE_SUBJECT] = "subject",
	};
	int r;

	for (size_t i = 0; i < kw_array_size(names); i++) {
		r = decode_string(job, names[i], &pieces[i]);
		if (r < 0)
			return r;
	}
	pieces[KW_DSSE_TIME].offset = job->values.length;
	r = kw_material_time(&job->members, &job->values);
	if (r < 0)
		return r;
	pieces[KW_DSSE_TIME].length = job->values.length - pieces[KW_DSSE_TIME].offset;
	pieces[KW_DSSE_DATA].offset = job->values.length;
	r = kw_material_data(&job->members, &job->values);
	pieces[KW_DSSE_DATA].length = job->values.length - pieces[KW_DSSE_DATA].offset;
	return r;
}

/* Names and values of the signed extension attributes: pieces in pairs. -EINVAL: the list is bad. */
static int decode_extensions(struct job *job, struct piece *pieces, size_t *ret_count)
{
	size_t count = 0;
	char name[64];
	int r;

	for (const char *at = job->extensions; at; at = *at ? at + 1 : NULL) {
		size_t length = strcspn(at, ",");

		if (count == KW_DSSE_EXTENSIONS_MAX || length >= sizeof(name) ||
		    !kw_material_may_sign(at, length))
			return -EINVAL;
		memcpy(name, at, length);
		name[length] = '\0';
		for (size_t i = 0; i < count; i++) {
			if (pieces[2 * i].length == length &&
			    memcmp(job->values.data + pieces[2 * i].offset, name, length) == 0)
				return -EINVAL;
		}
		pieces[2 * count] = (struct piece){ job->values.length, length };
		kw_bytes_append(&job->values, name, length);
		pieces[2 * count + 1].offset = job->values.length;
		r = kw_material_extension(kw_read_find(&job->members, name), &job->values);
		if (r < 0)
			return r;
		pieces[2 * count + 1].length = job->values.length - pieces[2 * count + 1].offset;
		count++;
		at += length;
	}
	*ret_count = count;
	return 0;
}

static struct kw_dsse_field field(const struct job *job, const struct piece *piece)
{
	return (struct kw_dsse_field){
		.data = job->values.data ? job->values.data + piece->offset : "",
		.length = piece->length,
	};
}

static int make_material(struct job *job, unsigned char *ret_material)
{
	struct piece core[KW_DSSE_ATTRIBUTE_COUNT_], extensions[2 * KW_DSSE_EXTENSIONS_MAX];
	struct kw_dsse_event event = { .extension_count = 0 };
	int r;

	r = decode_core(job, core);
	if (r == 0)
		r = decode_extensions(job, extensions, &event.extension_count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < KW_DSSE_ATTRIBUTE_COUNT_; i++)
		event.core[i] = field(job, &core[i]);
	for (size_t i = 0; i < 2 * event.extension_count; i++)
		event.extensions[i] = field(job, &extensions[i]);
	return kw_dsse_material(&event, ret_material);
}

/* The new members in front, then all sorted: an event has at least four members of its own. */
static int write_event(struct job *job, const struct kw_key *key, const unsigned char *material)
{
	cleanup_bytes struct kw_bytes unsorted;
	const char *reason;
	int r;

	kw_bytes_init(&unsorted, 2 * KW_LINE_MAX);
	kw_bytes_append_string(&unsorted, "{\"dssematerial\":\"");
	r = kw_dsse_append_attribute(key, material, &unsorted);
	if (r < 0)
		return r;
	kw_bytes_append_string(&unsorted, "\",");
	if (job->extensions)
		kw_bytes_append_format(&unsorted, "\"signedextattrs\":\"%s\",", job->extensions);
	kw_bytes_append(&unsorted, job->text.data + 1, job->text.length - 1);
	if (kw_bytes_error(&unsorted) < 0)
		return kw_bytes_error(&unsorted);
	r = kw_jcs_append(&job->out, unsorted.data, unsorted.length, &reason);
	if (r < 0)
		return r;
	kw_bytes_append_char(&job->out, '\n');
	return kw_bytes_error(&job->out);
}

static int sign_text(struct job *job, const struct kw_key *key, const char *path)
{
	unsigned char material[32];
	const char *reason;
	int r;

	r = kw_read_members((struct kw_span){ job->text.data, job->text.length }, &job->members);
	reason = r < 0 ? "not a JSON object, or one with more than 64 attributes" : refusal(job);
	if (reason)
		return kw_cli_fail(KW_EXIT_NO, "sign", "%s: %s", path, reason);
	r = make_material(job, material);
	if (r == -EINVAL)
		return kw_cli_fail(
			KW_EXIT_USAGE, "sign",
			"--signed-ext %s: names are [a-z0-9]+, each once, at most 32, and no attribute that is always signed",
			job->extensions);
	if (r == -EBADMSG)
		return kw_cli_fail(
			KW_EXIT_NO, "sign",
			"%s: an attribute is no string, time is no RFC 3339 time since 1970, data_base64 is no base64 or stands beside data, or an attribute of --signed-ext is not there",
			path);
	if (r == 0)
		r = write_event(job, key, material);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "sign", "%s: %s", path, strerror(-r));
	return kw_cli_output("sign", job->out.data, job->out.length);
}

static int sign(const char *key_path, const char *extensions, const char *path)
{
	cleanup(kw_key_freep) struct kw_key *key = NULL;
	cleanup_bytes struct kw_bytes raw;
	struct job job = { .extensions = extensions };
	const char *reason, *shown = path ? path : "-";
	int r;

	kw_bytes_init(&raw, KW_LINE_MAX);
	r = kw_key_load(key_path, NULL, &key);
	if (r < 0)
		return kw_cli_fail_key("sign", key_path, r);
	r = read_event(path, &raw);
	if (r < 0)
		return kw_cli_fail(KW_EXIT_FAIL, "sign", "%s: %s", shown, strerror(-r));
	kw_bytes_init(&job.text, KW_LINE_MAX);
	kw_bytes_init(&job.values, 2 * KW_LINE_MAX);
	kw_bytes_init(&job.out, 2 * KW_LINE_MAX);
	r = kw_jcs_append(&job.text, raw.data ? raw.data : "", raw.length, &reason);
	if (r == -EBADMSG)
		r = kw_cli_fail(KW_EXIT_NO, "sign", "%s: not JSON: %s", shown, reason);
	else if (r < 0)
		r = kw_cli_fail(KW_EXIT_FAIL, "sign", "%s: %s", shown, strerror(-r));
	else
		r = sign_text(&job, key, shown);
	kw_bytes_done(&job.text);
	kw_bytes_done(&job.values);
	kw_bytes_done(&job.out);
	return r;
}

int kw_cli_sign(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "signed-ext", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *key = NULL, *extensions = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "k:e:h", options, NULL)) != -1) {
		switch (option) {
		case 'k':
			key = optarg;
			break;
		case 'e':
			extensions = optarg;
			break;
		case 'h':
			return kw_cli_output("sign", help, strlen(help));
		default:
			return KW_EXIT_USAGE;
		}
	}
	if (!key)
		return kw_cli_fail(
			KW_EXIT_USAGE, "sign",
			"no key given; use --key FILE ('kwitness keygen --out FILE' makes one)");
	if (argc - optind > 1)
		return kw_cli_fail(KW_EXIT_USAGE, "sign", "give one event at most; see --help");
	return sign(key, extensions, argv[optind]);
}
