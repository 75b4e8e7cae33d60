/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * gatelink.c, what may stand where a socket shall be, and a gate that was taken over. The gate is this very program: started under the gate's
 * name it speaks the nonsense that the handle it is given stands for. One of them is no nonsense, and is
 * taken: so each other one is refused for its own fault. Field by field: test_capture_gatecheck.c.
 */
#include "tests/unit/support.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/capture/capture.h"

#define PATIENCE_MS 10000

enum nonsense {
	NONSENSE_NONE,
	NONSENSE_SHORT,
	NONSENSE_LONG,
	NONSENSE_NOT_READY,
	NONSENSE_READY_TWICE,
	NONSENSE_OTHER_HANDLE,
	NONSENSE_FUTURE,
	NONSENSE_CONTROL_CHARACTER,
	NONSENSE_UNKNOWN_REASON,
	NONSENSE_DEAF, /* takes the first order and no other */
	NONSENSE_COUNT = NONSENSE_DEAF
};

static void say(const struct kw_gate_message *message, size_t length)
{
	if (send(KW_GATE_FD, message, length, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static size_t spoil(struct kw_gate_message *message, enum nonsense nonsense)
{
	switch (nonsense) {
	case NONSENSE_SHORT:
		return sizeof(*message) - 1;
	case NONSENSE_LONG:
		return sizeof(*message) + 1;
	case NONSENSE_OTHER_HANDLE:
		message->handle++;
		break;
	case NONSENSE_FUTURE:
		message->received_boot_ns += 3600 * KW_NSEC_PER_SEC;
		break;
	case NONSENSE_CONTROL_CHARACTER:
		message->comm[0] = '\033';
		break;
	case NONSENSE_UNKNOWN_REASON:
		message->reason = KW_GATE_REASON_COUNT_;
		break;
	default:
		break;
	}
	return sizeof(*message);
}

/* Waits for one LISTEN: its handle less one is the nonsense to speak. */
static _Noreturn void play_gate(void)
{
	struct {
		struct kw_gate_message message;
		char more[8];
	} said = { .message = { .version = KW_GATE_VERSION,
				.kind = KW_GATE_READY,
				.size = sizeof(said.message) } };
	struct kw_gate_message *message = &said.message;
	struct kw_gate_message order;
	struct pollfd readable = { .fd = KW_GATE_FD, .events = POLLIN };
	enum nonsense nonsense;

	(void)poll(&readable, 1, PATIENCE_MS);
	if (recv(KW_GATE_FD, &order, sizeof(order), 0) != sizeof(order))
		_exit(1);
	nonsense = (enum nonsense)(order.handle - 1);
	if (nonsense != NONSENSE_NOT_READY)
		say(message, sizeof(*message));
	if (nonsense == NONSENSE_READY_TWICE)
		say(message, sizeof(*message));
	if (nonsense == NONSENSE_DEAF)
		(void)poll(NULL, 0, PATIENCE_MS);
	message->kind = KW_GATE_FRAME;
	message->handle = order.handle;
	message->connection = 1;
	message->content_version = 0x0100;
	message->received_boot_ns = kw_clock_boot_ns(&kw_clock_system);
	message->probe_bytes = 1;
	message->probe_source[0] = 'x';
	message->comm_bytes = 1;
	message->comm[0] = 'x';
	say(message, spoil(message, nonsense));
	/* Until it is killed. */
	(void)poll(NULL, 0, PATIENCE_MS);
	_exit(0);
}

static int count(void *context, const struct kw_observation *observation)
{
	unsigned int *frames = context;

	assert_int_equal(observation->guest->kind, KW_GATE_FRAME);
	(*frames)++;
	return 0;
}

static void nonsense_is_a_violation(void **state)
{
	char *directory = support_directory();
	char base[96];

	(void)state;
	(void)snprintf(base, sizeof(base), "%s/vm", directory);
	for (uint32_t i = 0; i < NONSENSE_COUNT; i++) {
		cleanup(kw_gatelink_freep) struct kw_gatelink *link = NULL;
		unsigned int frames = 0;
		int r = 0;

		assert_int_equal(kw_gatelink_open("/proc/self/exe", &kw_clock_system, &link), 0);
		assert_int_equal(kw_gatelink_listen_unix(link, i + 1, base, NULL), 0);
		while (r >= 0 && frames == 0) {
			struct pollfd readable = { .fd = kw_gatelink_fd(link), .events = POLLIN };

			assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
			r = kw_gatelink_receive(link, 64, count, &frames);
		}
		if (i == NONSENSE_NONE)
			assert_int_equal(r, 1);
		else if (r != -EPROTO)
			fail_msg("nonsense %u was answered with %d", i, r);
		assert_int_equal(frames, i == NONSENSE_NONE);
	}
	support_remove(directory);
}

static void a_deaf_gate_is_hung_up_on(void **state)
{
	cleanup(kw_gatelink_freep) struct kw_gatelink *link = NULL;
	char *directory = support_directory();
	unsigned int frames = 0;
	char base[96];
	uint32_t handle = NONSENSE_DEAF;
	uint64_t start_ns = kw_clock_boot_ns(&kw_clock_system);
	int r = 0;

	(void)state;
	assert_int_equal(kw_gatelink_open("/proc/self/exe", &kw_clock_system, &link), 0);
	/* The link fills up, once, and is given up. */
	while (r >= 0) {
		(void)snprintf(base, sizeof(base), "%s/vm%u", directory, ++handle);
		assert_int_equal(kw_gatelink_listen_unix(link, handle, base, NULL), 0);
		if (handle > NONSENSE_DEAF + 1)
			kw_gatelink_forget(link, handle);
		r = kw_gatelink_receive(link, 64, count, &frames);
		assert_true(handle < 100000);
	}
	assert_int_equal(r, -EPIPE);
	assert_true(kw_clock_boot_ns(&kw_clock_system) - start_ns < 5 * KW_NSEC_PER_SEC);
	/* The sockets are there for the next gate. */
	(void)snprintf(base, sizeof(base), "%s/vm%u_9001", directory, NONSENSE_DEAF + 1);
	assert_int_equal(access(base, F_OK), 0);
	support_remove(directory);
}

static void binding_takes_stale_sockets_only(void **state)
{
	cleanup(kw_gatelink_freep) struct kw_gatelink *link = NULL;
	char *directory = support_directory();
	char base[96];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char longest[sizeof(address.sun_path)];
	struct stat status;
	mode_t mask = umask(0);
	int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	(void)snprintf(base, sizeof(base), "%s/vm", directory);
	assert_int_equal(kw_gatelink_open("/proc/self/exe", &kw_clock_system, &link), 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s_9001", base);
	assert_int_equal(bind(stale, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(stale, 1), 0);
	assert_int_equal(kw_gatelink_listen_unix(link, 1, base, NULL), -EADDRINUSE);
	(void)close(stale);
	assert_int_equal(kw_gatelink_listen_unix(link, 1, base, NULL), 0);
	assert_int_equal(stat(address.sun_path, &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | 0600);
	/* Our own is alive, too; and a handle is used once. */
	assert_int_equal(kw_gatelink_listen_unix(link, 2, base, NULL), -EADDRINUSE);
	assert_int_equal(kw_gatelink_listen_unix(link, 1, "/nowhere", NULL), -EINVAL);
	kw_gatelink_forget(link, 1);

	support_write(directory, "vm_9001", "a file");
	assert_int_equal(kw_gatelink_listen_unix(link, 3, base, NULL), -EEXIST);
	assert_int_equal(unlink(address.sun_path), 0);
	/* A link is not followed, wherever it points. */
	assert_int_equal(symlink("elsewhere", address.sun_path), 0);
	assert_int_equal(kw_gatelink_listen_unix(link, 3, base, NULL), -EEXIST);

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 5] = '\0';
	assert_int_equal(kw_gatelink_listen_unix(link, 3, longest, NULL), -ENAMETOOLONG);
	assert_int_equal(kw_gatelink_listen_unix(link, 3, "relative", NULL), -EINVAL);
	assert_int_equal(kw_gatelink_listen_unix(link, 3, "/nonexistent/vm", NULL), -ENOENT);
	(void)umask(mask);
	support_remove(directory);
}

static void a_program_that_is_not_there(void **state)
{
	struct kw_gatelink *link = NULL;

	(void)state;
	assert_int_equal(kw_gatelink_open("/nonexistent/gate", &kw_clock_system, &link), -ENOENT);
	assert_null(link);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		support_test(nonsense_is_a_violation),
		support_test(a_deaf_gate_is_hung_up_on),
		support_test(binding_takes_stale_sockets_only),
		support_test(a_program_that_is_not_there),
	};

	if (argc == 1 && strcmp(argv[0], "kwitness-gate") == 0)
		play_gate();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
