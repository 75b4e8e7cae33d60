/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* gatesocket.c: whose a socket becomes, what may stand in its way, and sockets that somebody else has
 * bound; these with the real kwitness-gate behind them. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/capture/gatesocket.h"

#define PATIENCE_MS 10000

struct world {
	char *directory;
	char base[96];
	char path[108];
};

static int open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->directory = support_directory();
	(void)snprintf(world->base, sizeof(world->base), "%s/vm", world->directory);
	(void)snprintf(world->path, sizeof(world->path), "%s/vm_9001", world->directory);
	*state = world;
	return 0;
}

static int close_world(void **state)
{
	struct world *world = *state;

	support_remove(world->directory);
	free(world);
	return 0;
}

static const struct kw_socket_access own = { (uid_t)-1, (gid_t)-1, 0600 };

static void a_socket_is_given_away(void **state)
{
	struct world *world = *state;
	/* Who is not root can only give it to himself. */
	const struct kw_socket_access access = { geteuid() ? geteuid() : 12345,
						 geteuid() ? getegid() : 54321, 0660 };
	struct kw_gatesocket_file file;
	struct stat status;
	mode_t mask = umask(077);
	int fd = -1;

	assert_int_equal(kw_gatesocket_bind_unix(world->base, &access, &file, &fd), 0);
	(void)umask(mask);
	assert_int_equal(lstat(world->path, &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | 0660);
	assert_int_equal(status.st_uid, access.uid);
	assert_int_equal(status.st_gid, access.gid);
	assert_int_equal(status.st_ino, file.inode);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	kw_gatesocket_unlink(&file);
	assert_int_equal(lstat(world->path, &status), -1);
	(void)close(fd);
}

static void links_are_not_followed(void **state)
{
	struct world *world = *state;
	struct kw_gatesocket_file file;
	char base[128];
	char link[128];
	int fd = -1;

	(void)snprintf(link, sizeof(link), "%s/link", world->directory);
	(void)snprintf(base, sizeof(base), "%s/link/vm", world->directory);
	assert_int_equal(symlink(".", link), 0);
	assert_int_equal(kw_gatesocket_bind_unix(base, &own, &file, &fd), -ELOOP);
	(void)snprintf(base, sizeof(base), "%s/link/../vm", world->directory);
	assert_int_equal(kw_gatesocket_bind_unix(base, &own, &file, &fd), -ELOOP);
	/* At the name itself, wherever it points. */
	assert_int_equal(symlink("elsewhere", world->path), 0);
	assert_int_equal(kw_gatesocket_bind_unix(world->base, &own, &file, &fd), -EEXIST);
	assert_int_equal(fd, -1);
}

/* What a former process has bound is found again by its inode; anything else at the path is not it. */
static void a_kept_socket_is_found_by_its_inode(void **state)
{
	struct world *world = *state;
	struct kw_gatesocket_file file, found;
	int fd;

	assert_int_equal(kw_gatesocket_bind_unix(world->base, &own, &file, &fd), 0);
	assert_int_equal(kw_gatesocket_find(world->base, file.inode, &found), 0);
	assert_string_equal(found.path, file.path);
	assert_int_equal(found.inode, file.inode);
	assert_int_equal(found.device, file.device);
	assert_int_equal(kw_gatesocket_find(world->base, file.inode + 1, &found), -ENOENT);
	assert_int_equal(kw_gatesocket_find("relative", file.inode, &found), -EINVAL);
	kw_gatesocket_unlink(&found);
	assert_int_equal(kw_gatesocket_find(world->base, file.inode, &found), -ENOENT);
	(void)close(fd);
}

/* What has come to stand at the path since is not ours to remove. */
static void only_our_own_is_unlinked(void **state)
{
	struct world *world = *state;
	struct kw_gatesocket_file file;
	char other[128];
	int fd = -1;

	assert_int_equal(kw_gatesocket_bind_unix(world->base, &own, &file, &fd), 0);
	(void)snprintf(other, sizeof(other), "%s/moved", world->directory);
	assert_int_equal(rename(world->path, other), 0);
	support_write(world->directory, "vm_9001", "another's");
	kw_gatesocket_unlink(&file);
	assert_int_equal(access(world->path, F_OK), 0);
	assert_int_equal(unlink(world->path), 0);
	assert_int_equal(rename(other, world->path), 0);
	kw_gatesocket_unlink(&file);
	assert_int_equal(access(world->path, F_OK), -1);
	(void)close(fd);
}

static int listen_at(const char *path, bool is_listening)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (is_listening)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void only_listening_streams_are_copied(void **state)
{
	struct world *world = *state;
	char path[108];
	int pair[2];
	int good = listen_at(world->path, true);
	int deaf;
	int copy = -1;

	(void)snprintf(path, sizeof(path), "%s/deaf", world->directory);
	deaf = listen_at(path, false);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(kw_gatesocket_copy(deaf, AF_UNIX, &copy), -EINVAL);
	assert_int_equal(kw_gatesocket_copy(pair[0], AF_UNIX, &copy), -EINVAL);
	assert_int_equal(kw_gatesocket_copy(good, AF_VSOCK, &copy), -EINVAL);
	assert_int_equal(kw_gatesocket_copy(STDIN_FILENO, AF_UNIX, &copy), -EINVAL);
	assert_int_equal(copy, -1);
	assert_int_equal(kw_gatesocket_copy(good, AF_UNIX, &copy), 0);
	assert_int_equal(fcntl(copy, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	(void)close(copy), (void)close(pair[0]), (void)close(pair[1]);
	(void)close(good), (void)close(deaf);
}

static int see(void *context, const struct kw_observation *observation)
{
	struct kw_gate_message *seen = context;

	*seen = *observation->guest;
	return 0;
}

static void await(struct kw_gatelink *link, enum kw_gate_kind kind, struct kw_gate_message *seen)
{
	seen->kind = 0;
	while (seen->kind != kind) {
		struct pollfd readable = { .fd = kw_gatelink_fd(link), .events = POLLIN };
		int r = 1;

		assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
		while (r > 0 && seen->kind != kind)
			r = kw_gatelink_receive(link, 1, see, seen);
		assert_true(r >= 0);
	}
}

/* Whoever bound it keeps it: it stays when the cell goes, and can be handed over again. */
static void a_socket_that_was_handed_in_is_heard(void **state)
{
	struct world *world = *state;
	cleanup(kw_gatelink_freep) struct kw_gatelink *link = NULL;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *build = getenv("KW_BUILD");
	struct kw_gate_message seen;
	char program[512];
	int given = listen_at(world->path, true);

	(void)snprintf(program, sizeof(program), "%s/kwitness-gate", build ? build : "build");
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", world->path);
	assert_int_equal(kw_gatelink_open(program, &kw_clock_system, &link), 0);
	for (uint32_t handle = 1; handle <= 2; handle++) {
		int guest = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		/* It may have connected before anybody heard of it. */
		assert_int_equal(connect(guest, (struct sockaddr *)&address, sizeof(address)), 0);
		assert_int_equal(kw_gatelink_listen_fd(link, handle, given), 0);
		assert_int_equal(kw_gatelink_listen_fd(link, handle, given), -EINVAL);
		await(link, KW_GATE_OPENED, &seen);
		assert_int_equal(seen.handle, handle);
		assert_int_equal(seen.peer_cid, 0);
		(void)close(guest);
		await(link, KW_GATE_CLOSED, &seen);
		kw_gatelink_forget(link, handle);
		assert_int_equal(access(world->path, F_OK), 0);
	}
	assert_int_equal(kw_gatelink_admit(link, 0, 42), -EINVAL);
	assert_int_equal(kw_gatelink_admit(link, 3, 0), -EINVAL);
	assert_int_equal(kw_gatelink_admit(link, 3, 42), 0);
	assert_int_equal(kw_gatelink_admit(link, 3, 43), -EINVAL);
	(void)close(given);
}

#define each(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(a_socket_is_given_away),
		each(links_are_not_followed),
		each(a_kept_socket_is_found_by_its_inode),
		each(only_our_own_is_unlinked),
		each(only_listening_streams_are_copied),
		each(a_socket_that_was_handed_in_is_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
