/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* peers.c, connection.c and outbox.c inside the test, with its clock: deadlines, pauses, a full link,
 * and a process that has no descriptors left. The gate as a program: test_capture_gatelink.c. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/gate/outbox.h"
#include "user/gate/peers.h"

#define HANDLE 5

static const unsigned char sample[103] =
	"\x63\0\0\0\xa5\x6f"
	"content_version\x19\1\0\x6cprobe_source\x6fprocess.spawned\x69guest_pid\x18\x2a"
	"\x6aguest_comm\x62sh\x72guest_monotonic_ns\x1a\x07\x5b\xcd";

struct gate {
	struct support_time time;
	struct kw_clock clock;
	struct kw_outbox outbox;
	struct kw_peers *peers;
	int link[2]; /* the gate's end, the daemon's end */
	struct sockaddr_un address;
	socklen_t address_length;
};

static int open_gate(void **state)
{
	struct gate *gate = calloc(1, sizeof(*gate));
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	gate->time = (struct support_time){ .boot_ns = 100 * KW_NSEC_PER_SEC, .real_ns = 1 };
	gate->clock = support_clock(&gate->time);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, gate->link), 0);
	kw_outbox_init(&gate->outbox, gate->link[0]);
	assert_int_equal(kw_peers_new(&gate->clock, &gate->outbox, &gate->peers), 0);
	/* An abstract address of the kernel's choice (unix(7), autobind). */
	gate->address.sun_family = AF_UNIX;
	assert_int_equal(bind(listener, (struct sockaddr *)&gate->address, sizeof(sa_family_t)), 0);
	gate->address_length = sizeof(gate->address);
	assert_int_equal(
		getsockname(listener, (struct sockaddr *)&gate->address, &gate->address_length), 0);
	assert_int_equal(listen(listener, 64), 0);
	assert_int_equal(kw_peers_listen(gate->peers, HANDLE, listener), 0);
	*state = gate;
	return 0;
}

static int close_gate(void **state)
{
	struct gate *gate = *state;

	kw_peers_free(gate->peers);
	(void)close(gate->link[0]);
	(void)close(gate->link[1]);
	free(gate);
	return 0;
}

/* Another listener in the place of the first one's address. */
static int rebind(struct gate *gate)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&gate->address, sizeof(sa_family_t)), 0);
	gate->address_length = sizeof(gate->address);
	assert_int_equal(
		getsockname(listener, (struct sockaddr *)&gate->address, &gate->address_length), 0);
	assert_int_equal(listen(listener, 64), 0);
	return listener;
}

static int dial(const struct gate *gate)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&gate->address, gate->address_length),
			 0);
	return fd;
}

static void write_all(int fd, const void *bytes, size_t length)
{
	assert_int_equal(write(fd, bytes, length), length);
}

static void turns(struct gate *gate, int count)
{
	for (int i = 0; i < count; i++)
		assert_int_equal(kw_peers_turn(gate->peers), 0);
}

/* The next message the daemon would read; kind 0: none. */
static struct kw_gate_message next(const struct gate *gate)
{
	struct kw_gate_message message = { 0 };
	ssize_t n = recv(gate->link[1], &message, sizeof(message), MSG_DONTWAIT);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		return (struct kw_gate_message){ 0 };
	}
	assert_int_equal(n, sizeof(message));
	assert_int_equal(message.handle, HANDLE);
	return message;
}

static void expect(const struct gate *gate, enum kw_gate_kind kind, enum kw_gate_reason reason)
{
	struct kw_gate_message message = next(gate);

	assert_int_equal(message.kind, kind);
	assert_int_equal(message.reason, reason);
}

static bool peer_has_hung_up(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

static void half_a_frame_has_a_deadline(void **state)
{
	struct gate *gate = *state;
	int slow = dial(gate);
	int idle = dial(gate);

	assert_int_equal(kw_peers_timeout(gate->peers), -1);
	turns(gate, 1);
	expect(gate, KW_GATE_OPENED, 0);
	expect(gate, KW_GATE_OPENED, 0);
	write_all(slow, sample, 50);
	turns(gate, 1);
	assert_true(kw_peers_timeout(gate->peers) > 0);
	/* More bytes of the same frame do not move its deadline. */
	gate->time.boot_ns += 6 * KW_NSEC_PER_SEC;
	write_all(slow, sample + 50, 10);
	turns(gate, 1);
	gate->time.boot_ns += 4 * KW_NSEC_PER_SEC - 1;
	assert_int_equal(kw_peers_sweep(gate->peers), 0);
	assert_int_equal(next(gate).kind, 0);
	gate->time.boot_ns += KW_NSEC_PER_SEC;
	assert_int_equal(kw_peers_sweep(gate->peers), 0);
	expect(gate, KW_GATE_REFUSED, KW_GATE_READ_DEADLINE);
	expect(gate, KW_GATE_CLOSED, KW_GATE_READ_DEADLINE);
	assert_true(peer_has_hung_up(slow));
	/* Who sends nothing is not late. */
	assert_false(peer_has_hung_up(idle));
	assert_int_equal(kw_peers_timeout(gate->peers), -1);
	(void)close(slow);
	(void)close(idle);
}

static void each_frame_has_its_own_deadline(void **state)
{
	struct gate *gate = *state;
	int fd = dial(gate);

	turns(gate, 1);
	expect(gate, KW_GATE_OPENED, 0);
	/* Always half a frame in the buffer, none of them older than 7 s. */
	write_all(fd, sample, 50);
	for (int i = 0; i < 4; i++) {
		turns(gate, 1);
		gate->time.boot_ns += 7 * KW_NSEC_PER_SEC;
		assert_int_equal(kw_peers_sweep(gate->peers), 0);
		write_all(fd, sample + 50, 53);
		write_all(fd, sample, 50);
		turns(gate, 1);
		expect(gate, KW_GATE_FRAME, 0);
	}
	(void)close(fd);
}

/* Fills the link, so that the gate's next message waits. */
static unsigned int send_until_blocked(struct gate *gate, int fd)
{
	unsigned int sent = 0;

	while (!kw_outbox_is_blocked(&gate->outbox)) {
		write_all(fd, sample, sizeof(sample));
		sent++;
		turns(gate, 1);
		/* 5 ms a frame: never over the budget. */
		gate->time.boot_ns += 5 * KW_NSEC_PER_MSEC;
		assert_true(sent < 10000);
	}
	return sent;
}

static void a_full_link_stops_reading_and_loses_nothing(void **state)
{
	struct gate *gate = *state;
	int fd = dial(gate);
	struct kw_gate_message message;
	unsigned int sent;
	unsigned int received = 0;

	turns(gate, 1);
	expect(gate, KW_GATE_OPENED, 0);
	sent = send_until_blocked(gate, fd);
	/* What comes now stays in the socket, half a frame at the end. */
	for (int i = 0; i < 40; i++, sent++)
		write_all(fd, sample, sizeof(sample));
	write_all(fd, sample, 50);
	turns(gate, 10);
	gate->time.boot_ns += 60 * KW_NSEC_PER_SEC;
	while (received < sent) {
		message = next(gate);
		if (message.kind == 0) {
			assert_int_equal(kw_outbox_flush(&gate->outbox), 0);
			assert_false(kw_outbox_is_blocked(&gate->outbox));
			assert_int_equal(kw_peers_resume(gate->peers), 0);
			assert_int_equal(kw_peers_sweep(gate->peers), 0);
			turns(gate, 1);
			message = next(gate);
		}
		assert_int_equal(message.kind, KW_GATE_FRAME);
		received++;
	}
	assert_int_equal(next(gate).kind, 0);
	assert_false(peer_has_hung_up(fd));
	(void)close(fd);
}

static void a_full_link_is_not_the_guests_delay(void **state)
{
	struct gate *gate = *state;
	int fd = dial(gate);
	int half = dial(gate);
	struct kw_gate_message message;

	turns(gate, 1);
	write_all(half, sample, 50);
	turns(gate, 1);
	(void)send_until_blocked(gate, fd);
	gate->time.boot_ns += 60 * KW_NSEC_PER_SEC;
	while (next(gate).kind != 0)
		continue;
	assert_int_equal(kw_outbox_flush(&gate->outbox), 0);
	assert_int_equal(kw_peers_resume(gate->peers), 0);
	gate->time.boot_ns += KW_NSEC_PER_SEC;
	assert_int_equal(kw_peers_sweep(gate->peers), 0);
	while ((message = next(gate)).kind != 0)
		assert_int_equal(message.kind, KW_GATE_FRAME);
	assert_false(peer_has_hung_up(half));
	/* From here its time runs again. */
	gate->time.boot_ns += 10 * KW_NSEC_PER_SEC;
	assert_int_equal(kw_peers_sweep(gate->peers), 0);
	expect(gate, KW_GATE_REFUSED, KW_GATE_READ_DEADLINE);
	(void)close(fd);
	(void)close(half);
}

static void one_read_of_many_frames_survives_a_full_link(void **state)
{
	struct gate *gate = *state;
	int fd = dial(gate);
	unsigned char many[39 * sizeof(sample)];
	unsigned int received = 0;
	unsigned int sent;

	for (size_t i = 0; i < 39; i++)
		memcpy(many + i * sizeof(sample), sample, sizeof(sample));
	turns(gate, 1);
	expect(gate, KW_GATE_OPENED, 0);
	sent = send_until_blocked(gate, fd);
	/* Room for one message, then 39 frames in one recv(): cut off after a few. */
	gate->time.boot_ns += 10 * KW_NSEC_PER_SEC;
	assert_int_equal(next(gate).kind, KW_GATE_FRAME);
	received++;
	assert_int_equal(kw_outbox_flush(&gate->outbox), 0);
	assert_int_equal(kw_peers_resume(gate->peers), 0);
	write_all(fd, many, sizeof(many));
	sent += 39;
	turns(gate, 1);
	assert_true(kw_outbox_is_blocked(&gate->outbox));
	for (unsigned int i = 0; received < sent && i < 10000; i++) {
		while (next(gate).kind == KW_GATE_FRAME)
			received++;
		assert_int_equal(kw_outbox_flush(&gate->outbox), 0);
		if (!kw_outbox_is_blocked(&gate->outbox))
			assert_int_equal(kw_peers_resume(gate->peers), 0);
	}
	assert_int_equal(received, sent);
	(void)close(fd);
}

static void a_flood_is_counted_and_then_left_alone(void **state)
{
	struct gate *gate = *state;
	int fd = dial(gate);
	static const unsigned char empties[4096];
	struct kw_gate_message message;
	unsigned int refused = 0;
	unsigned int sent = 0;
	int flags = fcntl(fd, F_GETFL);

	(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	turns(gate, 1);
	expect(gate, KW_GATE_OPENED, 0);
	/* 1024 frames of length 0 at a time, until nobody takes them. */
	for (ssize_t n; sent < 100 * 1024; sent += (unsigned int)n / 4) {
		n = write(fd, empties, sizeof(empties));
		if (n < 0)
			break;
		turns(gate, 1);
	}
	assert_true(sent < 100 * 1024);
	assert_true(kw_peers_timeout(gate->peers) > 0);
	/* Each second it gets a turn again, and every frame is accounted for. */
	for (int i = 0; i < 200 && refused < sent; i++) {
		gate->time.boot_ns += KW_NSEC_PER_SEC;
		assert_int_equal(kw_peers_sweep(gate->peers), 0);
		turns(gate, 2);
		while ((message = next(gate)).kind != 0) {
			assert_int_equal(message.kind, KW_GATE_REFUSED);
			assert_true(message.reason == KW_GATE_EMPTY ||
				    message.reason == KW_GATE_FLOOD);
			refused += message.count;
		}
	}
	assert_int_equal(refused, sent);
	(void)close(fd);
}

static void no_descriptors_left_is_no_busy_loop(void **state)
{
	struct gate *gate = *state;
	struct rlimit before;
	struct rlimit low;
	int fd = dial(gate);
	int probe = dup(fd);

	(void)close(probe);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = (rlim_t)probe;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	turns(gate, 3);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	expect(gate, KW_GATE_REFUSED, KW_GATE_NO_MEMORY);
	assert_int_equal(next(gate).kind, 0);
	/* It waits in the backlog and is accepted a second later. */
	gate->time.boot_ns += KW_NSEC_PER_SEC;
	assert_int_equal(kw_peers_sweep(gate->peers), 0);
	turns(gate, 1);
	expect(gate, KW_GATE_OPENED, 0);
	(void)close(fd);
}

static void forgetting_closes_everything(void **state)
{
	struct gate *gate = *state;
	int fd = dial(gate);
	int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	turns(gate, 1);
	expect(gate, KW_GATE_OPENED, 0);
	write_all(fd, sample, 50);
	turns(gate, 1);
	assert_int_equal(kw_peers_listen(gate->peers, HANDLE, other), -EEXIST);
	kw_peers_forget(gate->peers, HANDLE + 1);
	assert_false(peer_has_hung_up(fd));
	kw_peers_forget(gate->peers, HANDLE);
	assert_true(peer_has_hung_up(fd));
	assert_int_equal(kw_peers_timeout(gate->peers), -1);
	assert_int_equal(next(gate).kind, 0);
	(void)close(fd);
}

#define gate_test(function) cmocka_unit_test_setup_teardown(function, open_gate, close_gate)

/* Nothing that is not the guest of a registered CID is read from the shared listener. */
static void the_shared_listener_refuses_whom_it_does_not_know(void **state)
{
	struct gate *gate = *state;
	struct kw_gate_message message = { .kind = 0 };
	char byte;
	int guest;

	assert_int_equal(kw_peers_admit(gate->peers, HANDLE + 1, 42), 0);
	assert_int_equal(kw_peers_admit(gate->peers, HANDLE + 2, 42), -EEXIST);
	assert_int_equal(kw_peers_admit(gate->peers, HANDLE + 1, 43), -EEXIST);
	assert_int_equal(kw_peers_admit(gate->peers, HANDLE, 44), 0);
	assert_int_equal(kw_peers_admit(gate->peers, HANDLE + 3, 0), -EINVAL);
	assert_int_equal(kw_peers_admit(gate->peers, KW_GATE_HANDLE_VSOCK, 45), -EINVAL);
	/* A CID goes with its cell, and is free again. */
	kw_peers_forget(gate->peers, HANDLE + 1);
	assert_int_equal(kw_peers_admit(gate->peers, HANDLE + 2, 42), 0);

	/* The same socket as the shared one: no peer of it has a CID. */
	assert_int_equal(kw_peers_listen(gate->peers, KW_GATE_HANDLE_VSOCK, rebind(gate)), 0);
	guest = dial(gate);
	write_all(guest, sample, sizeof(sample));
	assert_int_equal(kw_peers_turn(gate->peers), 0);
	assert_int_equal(recv(gate->link[1], &message, sizeof(message), MSG_DONTWAIT),
			 sizeof(message));
	assert_int_equal(message.kind, KW_GATE_REFUSED);
	assert_int_equal(message.handle, KW_GATE_HANDLE_VSOCK);
	assert_int_equal(message.reason, KW_GATE_UNKNOWN_CID);
	assert_int_equal(message.connection, 0);
	assert_true(recv(guest, &byte, 1, 0) <= 0);
	(void)close(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		gate_test(half_a_frame_has_a_deadline),
		gate_test(each_frame_has_its_own_deadline),
		gate_test(a_full_link_stops_reading_and_loses_nothing),
		gate_test(a_full_link_is_not_the_guests_delay),
		gate_test(one_read_of_many_frames_survives_a_full_link),
		gate_test(a_flood_is_counted_and_then_left_alone),
		gate_test(no_descriptors_left_is_no_busy_loop),
		gate_test(forgetting_closes_everything),
		gate_test(the_shared_listener_refuses_whom_it_does_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
