/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cells.c on a real directory with real inotify events. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/attribute/attribute.h"

struct world {
	char *parent;
	char directory[512];
	struct kw_cells *cells;
	char log[8192]; /* "+a.json 1;-a.json 1;!b.json words;" */
};

static void note(void *context, enum kw_cell_change change, const struct kw_cell *cell,
		 const char *file, const char *refusal)
{
	struct world *world = context;
	size_t length = strlen(world->log);
	char *at = world->log + length;
	size_t size = sizeof(world->log) - length;

	assert_int_equal(cell == NULL, change == KW_CELL_REFUSED);
	assert_int_equal(refusal == NULL, change != KW_CELL_REFUSED);
	if (cell)
		(void)snprintf(at, size, "%c%s %u;", change == KW_CELL_ADDED ? '+' : '-', file,
			       cell->handle);
	else
		(void)snprintf(at, size, "!%s %s;", file, refusal);
}

static int open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	(void)umask(022);
	world->parent = support_directory();
	(void)snprintf(world->directory, sizeof(world->directory), "%s/cells.d", world->parent);
	assert_int_equal(kw_cells_open(world->directory, "/sys/fs/cgroup", &world->cells), 0);
	*state = world;
	return 0;
}

static int close_world(void **state)
{
	struct world *world = *state;

	kw_cells_free(world->cells);
	support_remove(world->parent);
	free(world);
	return 0;
}

/* Writes a file as a supervisor should: whole, then renamed. */
static void put(const struct world *world, const char *name, const char *text)
{
	char from[1024];
	char to[1024];

	support_write(world->directory, ".new", text);
	(void)snprintf(from, sizeof(from), "%s/.new", world->directory);
	(void)snprintf(to, sizeof(to), "%s/%s", world->directory, name);
	assert_int_equal(rename(from, to), 0);
}

static void put_cell(const struct world *world, const char *id, const char *more)
{
	char name[256];
	char text[1024];

	(void)snprintf(name, sizeof(name), "%s.json", id);
	(void)snprintf(text, sizeof(text), "{\"cellId\":\"%s\",\"runId\":\"r\"%s}", id, more);
	put(world, name, text);
}

static void drop(const struct world *world, const char *name)
{
	char path[1024];

	(void)snprintf(path, sizeof(path), "%s/%s", world->directory, name);
	assert_int_equal(unlink(path), 0);
}

/* What one refresh says. */
static const char *refresh(struct world *world)
{
	world->log[0] = '\0';
	assert_int_equal(kw_cells_refresh(world->cells, note, world), 0);
	return world->log;
}

static bool is_readable(const struct world *world)
{
	struct pollfd readable = { .fd = kw_cells_fd(world->cells), .events = POLLIN };

	return poll(&readable, 1, 0) == 1;
}

static void files_come_change_and_go(void **state)
{
	struct world *world = *state;
	const struct kw_cell *cell;

	put_cell(world, "a", ",\"cgroupPath\":\"/cells/a\"");
	assert_string_equal(refresh(world), "+a.json 1;");
	assert_int_equal(kw_cells_count(world->cells), 1);
	cell = kw_cells_by_handle(world->cells, 1);
	assert_non_null(cell);
	assert_string_equal(cell->cell_id, "a");
	assert_string_equal(refresh(world), "");
	assert_false(is_readable(world));

	put_cell(world, "b", "");
	assert_true(is_readable(world));
	assert_string_equal(refresh(world), "+b.json 2;");
	/* The same words again are no change; others are a new registration. */
	put_cell(world, "a", ",\"cgroupPath\":\"/cells/a\"");
	assert_string_equal(refresh(world), "");
	put_cell(world, "a", ",\"cgroupPath\":\"/cells/z\"");
	assert_string_equal(refresh(world), "-a.json 1;+a.json 3;");
	assert_null(kw_cells_by_handle(world->cells, 1));
	assert_null(kw_cells_by_cgroup(world->cells, "/cells/a"));
	/* Written in place. */
	support_write(world->directory, "b.json", "{\"cellId\":\"b\",\"runId\":\"r2\"}");
	assert_string_equal(refresh(world), "-b.json 2;+b.json 4;");
	drop(world, "a.json");
	assert_string_equal(refresh(world), "-a.json 3;");
	/* Renamed away, to a name that is not read. */
	{
		char from[1024], to[1024];

		(void)snprintf(from, sizeof(from), "%s/b.json", world->directory);
		(void)snprintf(to, sizeof(to), "%s/b.txt", world->directory);
		assert_int_equal(rename(from, to), 0);
	}
	assert_string_equal(refresh(world), "-b.json 4;");
	assert_int_equal(kw_cells_count(world->cells), 0);
}

static void refusals_are_said_once(void **state)
{
	struct world *world = *state;

	put(world, "a.json", "{");
	put_cell(world, "b", "");
	assert_non_null(strstr(refresh(world), "!a.json not JSON"));
	assert_non_null(strstr(world->log, "+b.json 1;"));
	put(world, "a.json", "{");
	assert_string_equal(refresh(world), "");
	put(world, "a.json", "{\"cellId\":\"other\",\"runId\":\"r\"}");
	assert_string_equal(refresh(world), "!a.json cellId is not the file's name;");
	put_cell(world, "a", "");
	assert_string_equal(refresh(world), "+a.json 2;");
	/* A good file that goes bad is removed first. */
	put(world, "a.json", "[]");
	assert_string_equal(refresh(world), "-a.json 2;!a.json not a JSON object;");
	/* A bad one that goes says nothing. */
	drop(world, "a.json");
	assert_string_equal(refresh(world), "");
	/* Names are not passed through raw. */
	put(world, "x\033[2J.json", "{");
	assert_non_null(strstr(refresh(world), "!x%1B[2J.json not JSON"));
}

static void what_is_no_cell_file(void **state)
{
	struct world *world = *state;
	char path[1024];
	char big[KW_CELL_FILE_MAX + 2];

	put(world, ".hidden.json", "{");
	put(world, "a.jso", "{");
	put(world, ".json", "{");
	assert_string_equal(refresh(world), "");

	(void)snprintf(path, sizeof(path), "%s/l.json", world->directory);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	(void)snprintf(path, sizeof(path), "%s/m.json", world->directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	memset(big, ' ', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	put(world, "n.json", big);
	assert_non_null(strstr(refresh(world), "!n.json cannot be read: too long;"));
	/* A link or a FIFO is judged in a scan: when it comes to be it might be a file not written yet. */
	kw_cells_free(world->cells);
	assert_int_equal(kw_cells_open(world->directory, "", &world->cells), 0);
	(void)refresh(world);
	assert_non_null(strstr(world->log, "!l.json cannot be read: not a regular file;"));
	assert_non_null(strstr(world->log, "!m.json cannot be read: not a regular file;"));
	assert_non_null(strstr(world->log, "!n.json cannot be read: too long;"));
}

static void who_may_write_a_cell(void **state)
{
	struct world *world = *state;
	struct kw_cells *cells = NULL;
	char path[1024];

	put_cell(world, "a", "");
	(void)snprintf(path, sizeof(path), "%s/a.json", world->directory);
	assert_int_equal(chmod(path, 0620), 0);
	assert_non_null(strstr(refresh(world), "!a.json others can write it"));
	/* A new mode is an event of its own. */
	assert_int_equal(chmod(path, 0644), 0);
	assert_string_equal(refresh(world), "+a.json 1;");
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 12345, 0), 0);
		assert_non_null(strstr(refresh(world), "-a.json 1;!a.json others can write it"));
	}
	assert_int_equal(chmod(world->directory, 0777), 0);
	assert_int_equal(kw_cells_open(world->directory, "", &cells), -EPERM);
	assert_null(cells);
}

static void two_cells_never_share(void **state)
{
	static const char *const claims[] = {
		",\"cgroupPath\":\"/cells/x\"",
		",\"vsockUdsBase\":\"/run/x\"",
		",\"vsockCid\":7",
	};
	struct world *world = *state;

	(void)refresh(world);
	for (size_t i = 0; i < 3; i++) {
		put_cell(world, "b", claims[i]);
		assert_non_null(strstr(refresh(world), "+b.json"));
		/* First come, first served, whatever the names. */
		put_cell(world, "a", claims[i]);
		assert_non_null(strstr(refresh(world), "another cell's already"));
		assert_int_equal(kw_cells_count(world->cells), 1);
		/* The second has its turn when the first has gone. */
		drop(world, "b.json");
		assert_non_null(strstr(refresh(world), "-b.json"));
		assert_non_null(strstr(world->log, "+a.json"));
		drop(world, "a.json");
		(void)refresh(world);
	}
	/* In a scan the first name wins, every time. */
	put_cell(world, "z", claims[0]);
	put_cell(world, "y", claims[0]);
	kw_cells_free(world->cells);
	assert_int_equal(kw_cells_open(world->directory, "", &world->cells), 0);
	(void)refresh(world);
	assert_non_null(strstr(world->log, "+y.json"));
	assert_non_null(strstr(world->log, "!z.json"));
}

static void cgroups_find_their_nearest_cell(void **state)
{
	struct world *world = *state;
	static const struct {
		const char *path;
		const char *cell;
	} cases[] = {
		{ "/cells/a", "outer" },
		{ "/cells/a/b", "inner" },
		{ "/cells/a/b/c/d", "inner" },
		{ "/cells/a/x", "outer" },
		{ "/cells/a/bb", "outer" },
		{ "/cells/aa", NULL },
		{ "/cells", NULL },
		{ "/", NULL },
		{ "", NULL },
		{ "//cells/a", NULL },
		{ "cells/a", NULL },
	};

	put_cell(world, "outer", ",\"cgroupPath\":\"/cells/a\"");
	put_cell(world, "inner", ",\"cgroupPath\":\"/sys/fs/cgroup/cells/a/b\"");
	(void)refresh(world);
	assert_int_equal(kw_cells_count(world->cells), 2);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct kw_cell *cell = kw_cells_by_cgroup(world->cells, cases[i].path);

		assert_string_equal(cell ? cell->cell_id : "-",
				    cases[i].cell ? cases[i].cell : "-");
	}
	world->log[0] = '\0';
	kw_cells_each(world->cells, note, world);
	assert_int_equal(strlen(world->log), strlen("+outer.json 1;+inner.json 2;"));
}

static void a_directory_that_is_replaced(void **state)
{
	struct world *world = *state;
	char path[1024];

	put_cell(world, "a", "");
	put_cell(world, "b", "");
	(void)refresh(world);
	assert_int_equal(kw_cells_count(world->cells), 2);
	drop(world, "a.json");
	drop(world, "b.json");
	assert_int_equal(rmdir(world->directory), 0);
	(void)refresh(world);
	assert_int_equal(kw_cells_count(world->cells), 0);
	/* A new one is there, and watched. */
	put_cell(world, "c", "");
	assert_true(is_readable(world));
	assert_string_equal(refresh(world), "+c.json 3;");
	/* Moved away with its files. */
	(void)snprintf(path, sizeof(path), "%s/gone", world->parent);
	assert_int_equal(rename(world->directory, path), 0);
	assert_string_equal(refresh(world), "-c.json 3;");
	put_cell(world, "d", "");
	assert_string_equal(refresh(world), "+d.json 4;");
}

static void a_file_is_judged_when_it_is_whole(void **state)
{
	struct world *world = *state;
	char path[600];
	char other[600];
	int fd;

	(void)refresh(world);
	(void)snprintf(path, sizeof(path), "%s/a.json", world->directory);
	(void)snprintf(other, sizeof(other), "%s/b.json", world->directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "{\"cellId\":", 10), 10);
	assert_string_equal(refresh(world), "");
	assert_int_equal(write(fd, "\"a\",\"runId\":\"r\"}", 16), 16);
	(void)close(fd);
	assert_string_equal(refresh(world), "+a.json 1;");
	/* Made whole elsewhere and linked to its name. */
	support_write(world->directory, "tmp", "{\"cellId\":\"b\",\"runId\":\"r\"}");
	(void)snprintf(path, sizeof(path), "%s/tmp", world->directory);
	assert_int_equal(link(path, other), 0);
	assert_string_equal(refresh(world), "+b.json 2;");
}

static void too_many_events_are_a_scan(void **state)
{
	struct world *world = *state;
	char name[600];
	int limit = 0;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &limit), 1);
	(void)fclose(file);
	put_cell(world, "a", "");
	(void)refresh(world);
	/* The queue holds `limit` events; the last one, which is ours, falls off its end. */
	for (int i = 0; i < limit; i++) {
		(void)snprintf(name, sizeof(name), "%s/n%d", world->directory, i & 1);
		(void)close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	}
	drop(world, "a.json");
	put_cell(world, "b", "");
	assert_string_equal(refresh(world), "+b.json 2;-a.json 1;");
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(files_come_change_and_go),
		world_test(refusals_are_said_once),
		world_test(what_is_no_cell_file),
		world_test(who_may_write_a_cell),
		world_test(two_cells_never_share),
		world_test(cgroups_find_their_nearest_cell),
		world_test(a_directory_that_is_replaced),
		world_test(a_file_is_judged_when_it_is_whole),
		world_test(too_many_events_are_a_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
