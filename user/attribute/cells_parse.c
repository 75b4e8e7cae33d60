/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One cell file's text to a cell; pure. A registration decides to whom kernel facts are ascribed, so it
 * is read strictly: every member known, of its type and in its alphabet, none twice, the two names
 * present. JSON by jansson (RFC 8259; invalid UTF-8 and NUL are refused by it). Format: docs/events.md,
 * cells; caps: include/kwitness/limits.h.
 */
#include "user/attribute/attribute.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"

/* VMADDR_CID_HOST and below are never a guest's; the highest is VMADDR_CID_ANY (vsock(7)). But who
 * registers VMADDR_CID_LOCAL lets any process of this host speak for the cell: for trying things out. */
#define CID_LOCAL 1
#define CID_MIN 3
#define CID_MAX (UINT32_MAX - 1)

struct refusal {
	char *text;
	size_t size;
	const char *cgroup_root;
};

static int refuse(const struct refusal *refusal, const char *format, ...) kw_printf(2, 3);
static int refuse(const struct refusal *refusal, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(refusal->text, refusal->size, format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* An absolute path of plain components: no empty one, no "." or "..", no control characters. */
static bool is_plain_path(const char *path)
{
	if (path[0] != '/')
		return false;
	while (*path == '/') {
		size_t length = strcspn(path + 1, "/");

		path++;
		if (length == 0 || (length == 1 && path[0] == '.') ||
		    (length == 2 && path[0] == '.' && path[1] == '.'))
			return false;
		for (size_t i = 0; i < length; i++)
			if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
				return false;
		path += length;
	}
	return true;
}

static int copy_name(const struct refusal *refusal, const char *member, const json_t *value,
		     const char *alphabet, char ret_text[static KW_CELL_ID_MAX + 1])
{
	const char *text = json_string_value(value);
	size_t length = json_string_length(value);

	if (!text)
		return refuse(refusal, "%s is not a string", member);
	if (!kw_text_is_identifier(text, length, KW_CELL_ID_MAX, alphabet))
		return refuse(refusal, "%s is not 1 to %d characters of letters, digits and %s",
			      member, KW_CELL_ID_MAX, alphabet);
	memcpy(ret_text, text, length + 1);
	return 0;
}

static int take_cell_id(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	return copy_name(refusal, "cellId", value, "._:-", cell->cell_id);
}

static int take_run_id(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	return copy_name(refusal, "runId", value, "._:-", cell->run_id);
}

static int take_spec_hash(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	return copy_name(refusal, "specSignatureHash", value, "._:-/+=", cell->spec_signature_hash);
}

/* Given absolute below the cgroup root, or as the kernel writes it in /proc/PID/cgroup. */
static int take_cgroup_path(const struct refusal *refusal, const json_t *value,
			    struct kw_cell *cell)
{
	const char *path = json_string_value(value);
	size_t root_length = strlen(refusal->cgroup_root);

	if (!path)
		return refuse(refusal, "cgroupPath is not a string");
	while (root_length > 0 && refusal->cgroup_root[root_length - 1] == '/')
		root_length--;
	if (root_length > 0 && strncmp(path, refusal->cgroup_root, root_length) == 0 &&
	    (path[root_length] == '/' || path[root_length] == '\0'))
		path += root_length;
	if (!is_plain_path(path))
		return refuse(refusal, "cgroupPath is not the plain absolute path of a cgroup "
				       "below the root");
	if (strlen(path) >= sizeof(cell->cgroup_path))
		return refuse(refusal, "cgroupPath is longer than %zu bytes",
			      sizeof(cell->cgroup_path) - 1);
	memcpy(cell->cgroup_path, path, strlen(path) + 1);
	return 0;
}

static int take_uds_base(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	const char *path = json_string_value(value);
	/* sockaddr_un.sun_path, with the suffix and a NUL (unix(7)). */
	size_t most = sizeof(cell->vsock_uds_base) - sizeof(KW_GUEST_SOCKET_SUFFIX);

	if (!path)
		return refuse(refusal, "vsockUdsBase is not a string");
	if (!is_plain_path(path))
		return refuse(refusal, "vsockUdsBase is not a plain absolute path");
	if (strlen(path) > most)
		return refuse(refusal, "vsockUdsBase is longer than %zu bytes", most);
	memcpy(cell->vsock_uds_base, path, strlen(path) + 1);
	return 0;
}

static int take_cid(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	json_int_t cid = json_integer_value(value);

	if (!json_is_integer(value) ||
	    (cid != CID_LOCAL && (cid < CID_MIN || cid > (json_int_t)CID_MAX)))
		return refuse(refusal, "vsockCid is not an integer from %d to %u", CID_MIN,
			      CID_MAX);
	cell->vsock_cid = (uint32_t)cid;
	return 0;
}

static int take_silence(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	json_int_t seconds = json_integer_value(value);

	if (!json_is_integer(value) || seconds < 1 || seconds > KW_SILENCE_SECONDS_MAX)
		return refuse(refusal, "silenceSeconds is not an integer from 1 to %d",
			      KW_SILENCE_SECONDS_MAX);
	cell->silence_seconds = (uint32_t)seconds;
	return 0;
}

static int take_kernel(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	const char *kernel = json_string_value(value);

	if (kernel && strcmp(kernel, "shared") == 0)
		cell->kernel = KW_KERNEL_SHARED;
	else if (kernel && strcmp(kernel, "own") == 0)
		cell->kernel = KW_KERNEL_OWN;
	else
		return refuse(refusal, "kernel is neither \"shared\" nor \"own\"");
	return 0;
}

/* A number, as a jailer has it; no name, which would have to be asked for. */
static int copy_id(const struct refusal *refusal, const char *member, const json_t *value,
		   bool *ret_has, uint32_t *ret_id)
{
	json_int_t id = json_integer_value(value);

	/* The highest is -1, which chown(2) takes for none. */
	if (!json_is_integer(value) || id < 0 || id >= (json_int_t)UINT32_MAX)
		return refuse(refusal, "%s is not an integer from 0 to %u", member, UINT32_MAX - 1);
	*ret_has = true;
	*ret_id = (uint32_t)id;
	return 0;
}

static int take_uds_uid(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	return copy_id(refusal, "vsockUdsUid", value, &cell->has_uds_uid, &cell->vsock_uds_uid);
}

static int take_uds_gid(const struct refusal *refusal, const json_t *value, struct kw_cell *cell)
{
	return copy_id(refusal, "vsockUdsGid", value, &cell->has_uds_gid, &cell->vsock_uds_gid);
}

static const struct {
	const char *name;
	int (*take)(const struct refusal *refusal, const json_t *value, struct kw_cell *cell);
	bool is_needed;
} members[] = {
	{ "cellId", take_cell_id, true },
	{ "runId", take_run_id, true },
	{ "specSignatureHash", take_spec_hash, false },
	{ "cgroupPath", take_cgroup_path, false },
	{ "vsockUdsBase", take_uds_base, false },
	{ "vsockCid", take_cid, false },
	{ "silenceSeconds", take_silence, false },
	{ "kernel", take_kernel, false },
	{ "vsockUdsUid", take_uds_uid, false },
	{ "vsockUdsGid", take_uds_gid, false },
};

static int check_known(const struct refusal *refusal, json_t *root)
{
	const char *name;
	json_t *value;

	json_object_foreach(root, name, value)
	{
		cleanup_bytes struct kw_bytes shown = { 0 };
		bool is_known = false;

		for (size_t i = 0; i < kw_array_size(members); i++)
			is_known |= strcmp(name, members[i].name) == 0;
		if (is_known)
			continue;
		kw_bytes_init(&shown, 256);
		kw_text_append_printable(&shown, name, strlen(name));
		return refuse(refusal, "member \"%.64s\" is not known",
			      kw_bytes_error(&shown) == 0 && shown.data ? shown.data : "…");
	}
	return 0;
}

int kw_cells_parse(const char *text, size_t length, const char *cgroup_root,
		   struct kw_cell *ret_cell, char *ret_refusal, size_t size)
{
	const struct refusal refusal = { ret_refusal, size, cgroup_root };
	cleanup(json_decrefp) json_t *root = NULL;
	struct kw_cell cell = { 0 };
	json_error_t error;
	int r;

	if (length > KW_CELL_FILE_MAX)
		return refuse(&refusal, "longer than %d bytes", KW_CELL_FILE_MAX);
	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return refuse(&refusal, "not JSON with unique members (line %d, column %d)",
			      error.line, error.column);
	if (!json_is_object(root))
		return refuse(&refusal, "not a JSON object");
	r = check_known(&refusal, root);
	for (size_t i = 0; i < kw_array_size(members) && r == 0; i++) {
		const json_t *value = json_object_get(root, members[i].name);

		if (value)
			r = members[i].take(&refusal, value, &cell);
		else if (members[i].is_needed)
			r = refuse(&refusal, "%s is missing", members[i].name);
	}
	if (r < 0)
		return r;
	*ret_cell = cell;
	return 0;
}
