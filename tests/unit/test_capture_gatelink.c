/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* gatelink.c with the real kwitness-gate, its sandbox on: real sockets, every vector, half frames,
 * floods, a gate that is killed. A gate that was taken over: test_capture_gatelink_hostile.c. */
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/base/file.h"
#include "user/capture/capture.h"

#define VECTORS "tests/vectors/frames"
#define PATIENCE_MS 10000
#define SEEN_MAX 4096

struct seen {
	unsigned int count;
	unsigned int frames;
	unsigned int refused[KW_GATE_REASON_COUNT_];
	int fail_with; /* the callback's answer */
	struct kw_gate_message messages[SEEN_MAX];
	struct kw_observation observation; /* the last */
};

struct world {
	char *directory;
	char base[96];
	struct kw_gatelink *link;
	struct seen seen;
};

static const char *program(void)
{
	static char path[512];
	const char *build = getenv("KW_BUILD");

	(void)snprintf(path, sizeof(path), "%s/kwitness-gate", build ? build : "build");
	return path;
}

static int open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->directory = support_directory();
	(void)snprintf(world->base, sizeof(world->base), "%s/vm", world->directory);
	assert_int_equal(kw_gatelink_open(program(), &kw_clock_system, &world->link), 0);
	*state = world;
	return 0;
}

static int close_world(void **state)
{
	struct world *world = *state;

	kw_gatelink_free(world->link);
	support_remove(world->directory);
	free(world);
	return 0;
}

static int see(void *context, const struct kw_observation *observation)
{
	struct seen *seen = context;
	const struct kw_gate_message *message = observation->guest;

	if (seen->fail_with < 0)
		return seen->fail_with;
	assert_int_equal(observation->kind, KW_OBSERVATION_GUEST);
	assert_true(observation->boot_ns == message->received_boot_ns);
	assert_true(observation->received_boot_ns >= observation->boot_ns);
	assert_true(observation->received_real_ns > 0);
	assert_true(seen->count < SEEN_MAX);
	seen->messages[seen->count++] = *message;
	seen->observation = *observation;
	if (message->kind == KW_GATE_FRAME)
		seen->frames++;
	if (message->kind == KW_GATE_REFUSED)
		seen->refused[message->reason] += message->count;
	return 0;
}

/* Receives once, as the loop does when the link is readable. */
static int receive(struct world *world)
{
	struct pollfd readable = { .fd = kw_gatelink_fd(world->link), .events = POLLIN };

	if (poll(&readable, 1, PATIENCE_MS) != 1)
		fail_msg("nothing came from the gate for %d ms", PATIENCE_MS);
	return kw_gatelink_receive(world->link, 64, see, &world->seen);
}

static unsigned int count_of(const struct seen *seen, enum kw_gate_kind kind, uint32_t handle)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < seen->count; i++)
		count += seen->messages[i].kind == kind && seen->messages[i].handle == handle;
	return count;
}

static void await(struct world *world, enum kw_gate_kind kind, uint32_t handle, unsigned int count)
{
	while (count_of(&world->seen, kind, handle) < count) {
		int r = receive(world);

		if (r < 0)
			fail_msg("receive: %s", strerror(-r));
	}
}

static void listen_at(struct world *world, uint32_t handle, char *ret_path, size_t size)
{
	char base[160];

	(void)snprintf(base, sizeof(base), "%s-%u", world->base, handle);
	assert_int_equal(kw_gatelink_listen_unix(world->link, handle, base, NULL), 0);
	(void)snprintf(ret_path, size, "%s_9001", base);
}

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		(void)close(fd);
		return -errno;
	}
	return fd;
}

static size_t read_vector(const char *name, unsigned char *ret_bytes, size_t size)
{
	char path[512];
	struct kw_bytes bytes;
	size_t length;

	(void)snprintf(path, sizeof(path), VECTORS "/%s", name);
	kw_bytes_init(&bytes, size);
	assert_int_equal(kw_file_read(AT_FDCWD, path, &bytes), 0);
	length = bytes.length;
	memcpy(ret_bytes, bytes.data, length);
	kw_bytes_done(&bytes);
	return length;
}

static void send_bytes(int fd, const void *bytes, size_t length)
{
	assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
}

static void send_vector(int fd, const char *name)
{
	unsigned char bytes[8192];

	send_bytes(fd, bytes, read_vector(name, bytes, sizeof(bytes)));
}

static void sample_arrives_byte_by_byte(void **state)
{
	struct world *world = *state;
	const struct kw_gate_message *frame = &world->seen.messages[1];
	uint64_t before_ns = kw_clock_boot_ns(&kw_clock_system);
	unsigned char bytes[256];
	size_t length = read_vector("good-sample.bin", bytes, sizeof(bytes));
	char path[200];
	int fd;

	listen_at(world, 1, path, sizeof(path));
	fd = dial(path);
	for (size_t i = 0; i < length; i++)
		send_bytes(fd, bytes + i, 1);
	await(world, KW_GATE_FRAME, 1, 1);
	assert_int_equal(world->seen.messages[0].kind, KW_GATE_OPENED);
	assert_int_equal(frame->kind, KW_GATE_FRAME);
	assert_int_equal(frame->connection, 1);
	assert_int_equal(frame->content_version, 0x0100);
	assert_int_equal(frame->guest_pid, 42);
	assert_int_equal(frame->guest_monotonic_ns, 123456789);
	assert_string_equal(frame->probe_source, "process.spawned");
	assert_string_equal(frame->comm, "sh");
	assert_true(frame->received_boot_ns >= before_ns);
	assert_true(frame->received_boot_ns <= kw_clock_boot_ns(&kw_clock_system));
	(void)close(fd);
	await(world, KW_GATE_CLOSED, 1, 1);
	assert_int_equal(world->seen.messages[2].reason, KW_GATE_REASON_NONE);
	assert_int_equal(world->seen.count, 3);
}

/* Sends one vector; what the connection does next is told by what came of it. */
static void check_vector(struct world *world, const char *name, uint32_t handle)
{
	bool is_bad = strncmp(name, "bad-", 4) == 0;
	bool is_fatal = strstr(name, "too_long") || strstr(name, "cut_short");
	const struct kw_gate_message *last = &world->seen.messages[0];
	char path[200];
	int fd;

	world->seen.count = 0;
	listen_at(world, handle, path, sizeof(path));
	fd = dial(path);
	send_vector(fd, name);
	if (!is_fatal)
		send_vector(fd, "good-sample.bin");
	(void)shutdown(fd, SHUT_WR);
	await(world, KW_GATE_CLOSED, handle, 1);
	last += world->seen.count - 1;
	(void)close(fd);
	/* OPENED, what the vector gives, the sample, CLOSED. */
	assert_int_equal(world->seen.count, is_fatal ? 3 : 4);
	assert_int_equal(world->seen.messages[1].kind, is_bad ? KW_GATE_REFUSED : KW_GATE_FRAME);
	if (is_bad)
		assert_memory_equal(kw_gate_reason_name(world->seen.messages[1].reason), name + 4,
				    strcspn(name + 4, "-."));
	if (!is_fatal)
		assert_int_equal(world->seen.messages[2].guest_pid, 42);
	assert_int_equal(last->kind, KW_GATE_CLOSED);
	assert_int_equal(last->reason, is_fatal ? world->seen.messages[1].reason : 0);
	kw_gatelink_forget(world->link, handle);
}

static void every_vector_and_the_channel_lives_on(void **state)
{
	DIR *directory = opendir(VECTORS);
	const struct dirent *file;
	uint32_t handle = 0;

	assert_non_null(directory);
	while ((file = readdir(directory)))
		if (strstr(file->d_name, ".bin"))
			check_vector(*state, file->d_name, ++handle);
	(void)closedir(directory);
	assert_true(handle >= 30);
}

static void a_flood_is_counted_to_the_frame(void **state)
{
	struct world *world = *state;
	const unsigned int sent = 2500;
	unsigned char bytes[256];
	size_t length = read_vector("good-sample.bin", bytes, sizeof(bytes));
	char path[200];
	int fd;

	listen_at(world, 1, path, sizeof(path));
	fd = dial(path);
	for (unsigned int i = 0; i < sent;) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		/* Whole frames or none: what fits is the same each time, or the test ends here. */
		if (n >= 0) {
			assert_int_equal(n, length);
			i++;
			continue;
		}
		assert_int_equal(errno, EAGAIN);
		assert_true(receive(world) >= 0);
	}
	while (world->seen.frames + world->seen.refused[KW_GATE_FLOOD] < sent)
		assert_true(receive(world) >= 0);
	assert_int_equal(world->seen.frames + world->seen.refused[KW_GATE_FLOOD], sent);
	assert_true(world->seen.frames >= KW_GATE_FRAMES_BURST - 1); /* the accept costs one */
	assert_true(world->seen.refused[KW_GATE_FLOOD] > 0);
	/* Told in sums, not one by one. */
	assert_true(count_of(&world->seen, KW_GATE_REFUSED, 1) < 30);
	(void)close(fd);
}

static void too_many_connections_are_refused(void **state)
{
	struct world *world = *state;
	int fds[KW_CONNECTIONS_PER_CELL + 1];
	char path[200];

	listen_at(world, 1, path, sizeof(path));
	for (size_t i = 0; i <= KW_CONNECTIONS_PER_CELL; i++)
		fds[i] = dial(path);
	await(world, KW_GATE_REFUSED, 1, 1);
	assert_int_equal(count_of(&world->seen, KW_GATE_OPENED, 1), KW_CONNECTIONS_PER_CELL);
	assert_int_equal(world->seen.refused[KW_GATE_TOO_MANY_CONNECTIONS], 1);
	/* The first ones live on; when one goes, there is room again. */
	send_vector(fds[0], "good-sample.bin");
	await(world, KW_GATE_FRAME, 1, 1);
	(void)close(fds[1]);
	await(world, KW_GATE_CLOSED, 1, 1);
	fds[1] = dial(path);
	await(world, KW_GATE_OPENED, 1, KW_CONNECTIONS_PER_CELL + 1);
	for (size_t i = 0; i <= KW_CONNECTIONS_PER_CELL; i++)
		(void)close(fds[i]);
}

static void a_slow_daemon_loses_nothing(void **state)
{
	enum { CELLS = 8, EACH = 200 };
	struct world *world = *state;
	unsigned char bytes[256];
	size_t length = read_vector("good-sample.bin", bytes, sizeof(bytes));
	char path[200];
	int fds[CELLS];

	for (uint32_t i = 0; i < CELLS; i++) {
		listen_at(world, i + 1, path, sizeof(path));
		fds[i] = dial(path);
	}
	/* More than the link holds, and nobody reads it yet. */
	for (int n = 0; n < EACH; n++)
		for (int i = 0; i < CELLS; i++)
			send_bytes(fds[i], bytes, length);
	for (uint32_t i = 0; i < CELLS; i++)
		await(world, KW_GATE_FRAME, i + 1, EACH);
	assert_int_equal(world->seen.frames, CELLS * EACH);
	for (int i = 0; i < CELLS; i++)
		(void)close(fds[i]);
}

static void a_message_that_was_not_finished_comes_again(void **state)
{
	struct world *world = *state;
	char path[200];
	int fd;

	listen_at(world, 1, path, sizeof(path));
	fd = dial(path);
	send_vector(fd, "good-sample.bin");
	world->seen.fail_with = -EAGAIN;
	for (int r = 0; r != -EAGAIN;) {
		r = receive(world);
		assert_true(r == 0 || r == -EAGAIN);
	}
	assert_int_equal(kw_gatelink_receive(world->link, 64, see, &world->seen), -EAGAIN);
	world->seen.fail_with = 0;
	/* Whether the socket is readable says nothing about what is kept. */
	assert_true(kw_gatelink_receive(world->link, 64, see, &world->seen) >= 1);
	assert_int_equal(world->seen.messages[0].kind, KW_GATE_OPENED);
	await(world, KW_GATE_FRAME, 1, 1);
	(void)close(fd);
}

static void a_killed_gate_is_replaced(void **state)
{
	struct world *world = *state;
	char path[200];
	struct stat before;
	struct stat after;
	int fd;

	listen_at(world, 1, path, sizeof(path));
	fd = dial(path);
	await(world, KW_GATE_OPENED, 1, 1);
	assert_int_equal(pidfd_send_signal(kw_gatelink_pidfd(world->link), SIGKILL, NULL, 0), 0);
	assert_int_equal(receive(world), -EPIPE);
	(void)close(fd);
	assert_int_equal(stat(path, &before), 0);
	/* Whoever dials meanwhile waits in the backlog. */
	fd = dial(path);
	assert_true(fd >= 0);
	send_vector(fd, "good-sample.bin");
	assert_int_equal(kw_gatelink_restart(world->link), 0);
	await(world, KW_GATE_FRAME, 1, 1);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	(void)close(fd);
}

static void forgetting_unlinks_our_socket_alone(void **state)
{
	struct world *world = *state;
	char path[200];
	char byte;
	int fd;

	listen_at(world, 1, path, sizeof(path));
	fd = dial(path);
	await(world, KW_GATE_OPENED, 1, 1);
	send_vector(fd, "good-sample.bin");
	kw_gatelink_forget(world->link, 1);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(read(fd, &byte, 1) > 0, 0);
	(void)close(fd);
	/* What was on its way when the cell went is not given to anybody. */
	listen_at(world, 2, path, sizeof(path));
	fd = dial(path);
	await(world, KW_GATE_OPENED, 2, 1);
	assert_int_equal(count_of(&world->seen, KW_GATE_FRAME, 1), 0);
	(void)close(fd);
	/* Another file under our name stays. */
	assert_int_equal(unlink(path), 0);
	support_write(world->directory, strrchr(path, '/') + 1, "theirs");
	kw_gatelink_forget(world->link, 2);
	assert_int_equal(access(path, F_OK), 0);
}

/* Value of a line "Name:\tvalue" of a /proc file. */
static void status_of(int pid, const char *file, const char *name, char *ret_value, size_t size)
{
	char path[64];
	char line[256];
	FILE *stream;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	stream = fopen(path, "re");
	assert_non_null(stream);
	ret_value[0] = '\0';
	while (fgets(line, sizeof(line), stream))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			(void)snprintf(ret_value, size, "%.*s",
				       (int)strcspn(line + strlen(name) + 2, "\n"),
				       line + strlen(name) + 2);
	(void)fclose(stream);
}

static void the_sandbox_is_on(void **state)
{
	struct world *world = *state;
	char value[128];
	char path[200];
	char self[64];
	unsigned int open_files = 0;
	DIR *directory;
	int pid;
	int fd;

	/* Once it has accepted, it has entered the sandbox. */
	listen_at(world, 1, path, sizeof(path));
	fd = dial(path);
	await(world, KW_GATE_OPENED, 1, 1);
	(void)snprintf(self, sizeof(self), "fdinfo/%d", kw_gatelink_pidfd(world->link));
	status_of((int)getpid(), self, "Pid", value, sizeof(value));
	pid = atoi(value);
	assert_true(pid > 1);
	status_of(pid, "status", "NoNewPrivs", value, sizeof(value));
	assert_string_equal(value, "1");
	status_of(pid, "status", "CapEff", value, sizeof(value));
	assert_string_equal(value, "0000000000000000");
	status_of(pid, "status", "CapPrm", value, sizeof(value));
	assert_string_equal(value, "0000000000000000");
#ifndef __SANITIZE_ADDRESS__
	status_of(pid, "status", "Seccomp", value, sizeof(value));
	assert_string_equal(value, "2");
#endif
	if (geteuid() == 0) {
		status_of(pid, "status", "Uid", value, sizeof(value));
		assert_string_equal(value, "65534\t65534\t65534\t65534");
		status_of(pid, "status", "Groups", value, sizeof(value));
		assert_int_equal(strspn(value, " "), strlen(value));
		/* 0, 1, 2, the link, its epoll, the listener, the connection. */
		(void)snprintf(self, sizeof(self), "/proc/%d/fd", pid);
		directory = opendir(self);
		assert_non_null(directory);
		for (const struct dirent *entry; (entry = readdir(directory));)
			open_files += entry->d_name[0] != '.';
		(void)closedir(directory);
		assert_int_equal(open_files, 7);
	}
	(void)close(fd);
}

#define world_test(function) cmocka_unit_test_setup_teardown(function, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(sample_arrives_byte_by_byte),
		world_test(every_vector_and_the_channel_lives_on),
		world_test(a_flood_is_counted_to_the_frame),
		world_test(too_many_connections_are_refused),
		world_test(a_slow_daemon_loses_nothing),
		world_test(a_message_that_was_not_finished_comes_again),
		world_test(a_killed_gate_is_replaced),
		world_test(forgetting_unlinks_our_socket_alone),
		world_test(the_sandbox_is_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
