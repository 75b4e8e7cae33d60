/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * `kwitness cells`: the registry from the supervisor's side. A cell is a file that any program may
 * write; this command writes it by rename and says beforehand what kwitnessd would say, with the same
 * parser. list asks the registry's own code, so that a refused file shows with the daemon's reason.
 */
#include "user/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include <kwitness/names.h>

#include "user/attribute/attribute.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/text.h"

static const char help[] =
	"usage: kwitness cells [--cells DIR] list [--json]\n"
	"       kwitness cells [--cells DIR] add --cell ID --run ID [--spec-hash HASH]\n"
	"                      [--cgroup PATH] [--vsock-cid N] [--vsock-uds BASE]\n"
	"                      [--vsock-uds-uid UID] [--vsock-uds-gid GID]\n"
	"                      [--silence SECONDS] [--kernel shared|own]\n"
	"       kwitness cells [--cells DIR] remove ID\n"
	"\n"
	"Lists, registers and removes cells: files <cellId>.json in DIR (" KW_PATH_CELLS ").\n"
	"\n"
	"  --cells DIR       the registry's directory\n"
	"  --cgroup-root DIR prefix to take off an absolute --cgroup (" KW_PATH_CGROUP_ROOT ")\n"
	"  --cell ID         name of the cell, [A-Za-z0-9._:-]{1,128}\n"
	"  --run ID          name of this run of it, same alphabet\n"
	"  --spec-hash HASH  hash of the signed specification\n"
	"  --cgroup PATH     cgroup of the cell, below the root or absolute\n"
	"  --vsock-uds BASE  kwitnessd listens on BASE" KW_GUEST_SOCKET_SUFFIX "\n"
	"  --vsock-uds-uid N owner of that socket, when not the daemon's settings\n"
	"  --vsock-uds-gid N its group, likewise\n"
	"  --vsock-cid N     the guest's CID, from 3\n"
	"  --silence SECONDS its window of silence, when not the daemon's\n"
	"  --kernel WHOSE    shared: the host's (a container); own: its own (a VM)\n"
	"  --json            one JSON object a line\n";

enum {
	OPTION_CELLS = 256,
	OPTION_ROOT,
	OPTION_CELL,
	OPTION_RUN,
	OPTION_HASH,
	OPTION_CGROUP,
	OPTION_UDS,
	OPTION_UDS_UID,
	OPTION_UDS_GID,
	OPTION_CID,
	OPTION_SILENCE,
	OPTION_KERNEL,
	OPTION_JSON,
	OPTION_HELP
};

static const struct option options[] = {
	{ "cells", required_argument, NULL, OPTION_CELLS },
	{ "cgroup-root", required_argument, NULL, OPTION_ROOT },
	{ "cell", required_argument, NULL, OPTION_CELL },
	{ "run", required_argument, NULL, OPTION_RUN },
	{ "spec-hash", required_argument, NULL, OPTION_HASH },
	{ "cgroup", required_argument, NULL, OPTION_CGROUP },
	{ "vsock-uds", required_argument, NULL, OPTION_UDS },
	{ "vsock-uds-uid", required_argument, NULL, OPTION_UDS_UID },
	{ "vsock-uds-gid", required_argument, NULL, OPTION_UDS_GID },
	{ "vsock-cid", required_argument, NULL, OPTION_CID },
	{ "silence", required_argument, NULL, OPTION_SILENCE },
	{ "kernel", required_argument, NULL, OPTION_KERNEL },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

struct request {
	const char *directory;
	const char *cgroup_root;
	bool is_json;
	/* By option: members of the cell's file; NULL: not given. */
	const char *cell_id;
	const char *run_id;
	const char *spec_hash;
	const char *cgroup;
	const char *uds_base;
	const char *uds_uid;
	const char *uds_gid;
	const char *cid;
	const char *silence;
	const char *kernel;
};

static int fail(int exit_code, const char *what, const char *why)
{
	return kw_cli_fail(exit_code, "cells", "%s: %s", what, why);
}

static const char *remedy(int error)
{
	return error == -EACCES || error == -EPERM
		       ? "not permitted (run as root; the directory must be mode go-w)"
		       : strerror(-error);
}

/* ---- list ---- */

struct list {
	bool is_json;
	size_t refused;
};

static void set_string(json_t *object, const char *name, const char *text)
{
	if (text[0] != '\0')
		(void)json_object_set_new(object, name, json_string(text));
}

static const char *kernel_name(enum kw_cell_kernel kernel)
{
	return kernel == KW_KERNEL_SHARED ? "shared" : kernel == KW_KERNEL_OWN ? "own" : "";
}

static void print_json(const struct kw_cell *cell, const char *file, const char *refusal)
{
	json_t *object = json_object();

	if (cell) {
		set_string(object, "cellId", cell->cell_id);
		set_string(object, "runId", cell->run_id);
		set_string(object, "specSignatureHash", cell->spec_signature_hash);
		set_string(object, "cgroupPath", cell->cgroup_path);
		set_string(object, "vsockUdsBase", cell->vsock_uds_base);
		if (cell->has_uds_uid)
			(void)json_object_set_new(object, "vsockUdsUid",
						  json_integer(cell->vsock_uds_uid));
		if (cell->has_uds_gid)
			(void)json_object_set_new(object, "vsockUdsGid",
						  json_integer(cell->vsock_uds_gid));
		if (cell->vsock_cid != 0)
			(void)json_object_set_new(object, "vsockCid",
						  json_integer(cell->vsock_cid));
		if (cell->silence_seconds != 0)
			(void)json_object_set_new(object, "silenceSeconds",
						  json_integer(cell->silence_seconds));
		set_string(object, "kernel", kernel_name(cell->kernel));
	} else {
		set_string(object, "file", file);
		set_string(object, "refused", refusal);
	}
	(void)json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

static void print_printable(const char *text)
{
	cleanup_bytes struct kw_bytes shown = { 0 };

	kw_bytes_init(&shown, 4 * KW_PATH_MAX);
	kw_text_append_printable(&shown, text, strlen(text));
	fputs(kw_bytes_error(&shown) == 0 && shown.data ? shown.data : "", stdout);
}

static void print_cell(void *context, enum kw_cell_change change, const struct kw_cell *cell,
		       const char *file, const char *refusal)
{
	struct list *list = context;

	if (change == KW_CELL_REMOVED)
		return;
	list->refused += change == KW_CELL_REFUSED;
	if (list->is_json) {
		print_json(cell, file, refusal);
		return;
	}
	if (!cell) {
		printf("%s  refused: %s\n", file, refusal);
		return;
	}
	printf("%s  run %s", cell->cell_id, cell->run_id);
	if (cell->cgroup_path[0] != '\0') {
		printf("  cgroup ");
		print_printable(cell->cgroup_path);
	}
	if (cell->vsock_uds_base[0] != '\0') {
		printf("  socket ");
		print_printable(cell->vsock_uds_base);
		fputs(KW_GUEST_SOCKET_SUFFIX, stdout);
	}
	if (cell->vsock_cid != 0)
		printf("  cid %u", cell->vsock_cid);
	putchar('\n');
}

static int list_cells(const struct request *request, int argc, char **argv)
{
	cleanup(kw_cells_freep) struct kw_cells *cells = NULL;
	struct list list = { .is_json = request->is_json };
	int r;

	(void)argv;
	if (argc > 0)
		return fail(KW_EXIT_USAGE, "list", "takes no argument");
	/* Opening the registry makes its directory; listing must not. */
	if (access(request->directory, F_OK) < 0 && errno == ENOENT)
		return KW_EXIT_OK;
	r = kw_cells_open(request->directory, request->cgroup_root, &cells);
	if (r == 0)
		r = kw_cells_refresh(cells, print_cell, &list);
	if (r < 0)
		return fail(KW_EXIT_FAIL, request->directory, remedy(r));
	return list.refused > 0 ? KW_EXIT_NO : KW_EXIT_OK;
}

/* ---- add ---- */

/* What is no number is refused by the parser, which says why: no member may be below 0. */
static void set_number(json_t *object, const char *name, const char *text)
{
	uint64_t number;
	bool is_number;

	if (!text)
		return;
	is_number = kw_text_parse_u64(text, strlen(text), &number) == 0 && number <= INT64_MAX;
	(void)json_object_set_new(object, name, json_integer(is_number ? (json_int_t)number : -1));
}

/* The file's text, as any supervisor would write it. */
static char *make_text(const struct request *request)
{
	json_t *object = json_object();
	char *text;

	set_string(object, "cellId", request->cell_id ? request->cell_id : "");
	set_string(object, "runId", request->run_id ? request->run_id : "");
	set_string(object, "specSignatureHash", request->spec_hash ? request->spec_hash : "");
	set_string(object, "cgroupPath", request->cgroup ? request->cgroup : "");
	set_string(object, "vsockUdsBase", request->uds_base ? request->uds_base : "");
	set_string(object, "kernel", request->kernel ? request->kernel : "");
	set_number(object, "vsockUdsUid", request->uds_uid);
	set_number(object, "vsockUdsGid", request->uds_gid);
	set_number(object, "vsockCid", request->cid);
	set_number(object, "silenceSeconds", request->silence);
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

static int add_cell(const struct request *request, int argc, char **argv)
{
	cleanup_free char *text = make_text(request);
	cleanup_close int directory = -1;
	char refusal[256];
	char name[KW_CELL_ID_MAX + sizeof(".json")];
	struct kw_cell cell;
	int r;

	(void)argv;
	if (argc > 0)
		return fail(KW_EXIT_USAGE, "add", "takes options only");
	if (!text)
		return fail(KW_EXIT_FAIL, "add", "out of memory");
	if (kw_cells_parse(text, strlen(text), request->cgroup_root, &cell, refusal,
			   sizeof(refusal)) < 0)
		return fail(KW_EXIT_USAGE, "add", refusal);
	if (cell.cell_id[0] == '.')
		return fail(KW_EXIT_USAGE, "add", "a cellId that starts with '.' is never read");
	directory = kw_file_open_directory(request->directory, 0700);
	if (directory < 0)
		return fail(KW_EXIT_FAIL, request->directory, remedy(directory));
	(void)snprintf(name, sizeof(name), "%s.json", cell.cell_id);
	r = kw_file_replace(directory, name, text, strlen(text), 0600);
	if (r < 0)
		return fail(KW_EXIT_FAIL, request->directory, remedy(r));
	return KW_EXIT_OK;
}

/* ---- remove ---- */

static int remove_cell(const struct request *request, int argc, char **argv)
{
	char path[KW_PATH_MAX];
	int length;

	if (argc != 1)
		return fail(KW_EXIT_USAGE, "remove", "takes one cellId");
	if (!kw_text_is_identifier(argv[0], strlen(argv[0]), KW_CELL_ID_MAX, "._:-"))
		return fail(KW_EXIT_USAGE, "remove", "this is no cellId");
	length = snprintf(path, sizeof(path), "%s/%s.json", request->directory, argv[0]);
	if (length < 0 || (size_t)length >= sizeof(path))
		return fail(KW_EXIT_USAGE, "--cells", "too long");
	if (unlink(path) == 0)
		return KW_EXIT_OK;
	if (errno == ENOENT)
		return fail(KW_EXIT_NO, argv[0], "no such cell");
	return fail(KW_EXIT_FAIL, path, remedy(-errno));
}

static const struct {
	const char *name;
	int (*run)(const struct request *request, int argc, char **argv);
} actions[] = {
	{ "list", list_cells },
	{ "add", add_cell },
	{ "remove", remove_cell },
};

/* 0; or 1 + the exit code. */
static int parse_options(int argc, char **argv, struct request *request)
{
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case OPTION_CELLS:
			request->directory = optarg;
			break;
		case OPTION_ROOT:
			request->cgroup_root = optarg;
			break;
		case OPTION_CELL:
			request->cell_id = optarg;
			break;
		case OPTION_RUN:
			request->run_id = optarg;
			break;
		case OPTION_HASH:
			request->spec_hash = optarg;
			break;
		case OPTION_CGROUP:
			request->cgroup = optarg;
			break;
		case OPTION_UDS:
			request->uds_base = optarg;
			break;
		case OPTION_UDS_UID:
			request->uds_uid = optarg;
			break;
		case OPTION_UDS_GID:
			request->uds_gid = optarg;
			break;
		case OPTION_CID:
			request->cid = optarg;
			break;
		case OPTION_SILENCE:
			request->silence = optarg;
			break;
		case OPTION_KERNEL:
			request->kernel = optarg;
			break;
		case OPTION_JSON:
			request->is_json = true;
			break;
		case OPTION_HELP:
			fputs(help, stdout);
			return 1 + KW_EXIT_OK;
		default:
			return 1 + KW_EXIT_USAGE; /* getopt has said it */
		}
	}
	return 0;
}

int kw_cli_cells(int argc, char **argv)
{
	struct request request = { .directory = KW_PATH_CELLS, .cgroup_root = KW_PATH_CGROUP_ROOT };
	int r;

	optind = 1;
	r = parse_options(argc, argv, &request);
	if (r > 0)
		return r - 1;
	if (optind == argc) {
		fputs(help, stderr);
		return KW_EXIT_USAGE;
	}
	for (size_t i = 0; i < kw_array_size(actions); i++)
		if (strcmp(argv[optind], actions[i].name) == 0)
			return actions[i].run(&request, argc - optind - 1, argv + optind + 1);
	return fail(KW_EXIT_USAGE, argv[optind], "no such action (list, add, remove)");
}
