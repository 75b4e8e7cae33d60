/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's pure parts: what it writes is read by the gate's decoder (libcbor), its queue drops and
 * counts, it reads the kernel's words as they are, and comes back to a host that went away. */
#include "tests/unit/support.h"

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "user/gate/claim.h"
#include "user/guest/guest.h"

static struct kw_queue queue;

static int setup(void **state)
{
	(void)state;
	memset(&queue, 0, sizeof(queue));
	queue.boot_id = "d2719cbb-0c3c-4b5e-9d3b-0d6a2a0a4b1c";
	return 0;
}

/* Decodes the oldest of the queue as the host does, and removes it. */
static struct kw_gate_message next(uint64_t seq)
{
	unsigned char frame[KW_QUEUE_SLOT_BYTES];
	struct kw_gate_message message;
	size_t length = 0;
	const unsigned char *first = kw_queue_first(&queue, &length);

	assert_non_null(first);
	memcpy(frame, first, length);
	length = kw_writer_finish(frame, length, seq, queue.dropped);
	assert_true(length <= KW_QUEUE_SLOT_BYTES);
	assert_int_equal(frame[0] | frame[1] << 8 | frame[2] << 16 | frame[3] << 24, length - 4);
	assert_int_equal(kw_claim_decode(frame + 4, length - 4, &message), KW_GATE_REASON_NONE);
	kw_queue_remove(&queue);
	return message;
}

static const struct kw_claim_pair *pair_of(const struct kw_gate_message *message, const char *key)
{
	for (size_t i = 0; i < message->claim_count; i++)
		if (strcmp(message->claim[i].key, key) == 0)
			return &message->claim[i];
	fail_msg("no %s in the claim", key);
	return NULL;
}

static void the_host_reads_what_is_written(void **state)
{
	static const uint64_t numbers[] = { 0,	   23,	  24,	      255,	  256,
					    65535, 65536, UINT32_MAX, 1ULL << 32, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < kw_array_size(numbers); i++) {
		struct kw_report report = { .probe = "heartbeat",
					    .pid = (uint32_t)numbers[i],
					    .comm = "sh",
					    .monotonic_ns = numbers[i] };
		struct kw_gate_message message;

		kw_report_add_number(&report, "n", numbers[i]);
		kw_report_add_text(&report, "t", "text");
		kw_queue_put(&queue, &report);
		queue.dropped = numbers[i];
		message = next(numbers[i]);
		assert_int_equal(message.content_version, 0x0101);
		assert_int_equal(message.has, KW_CLAIM_HAS_ALL_);
		assert_int_equal(message.guest_pid, (uint32_t)numbers[i]);
		assert_true(message.guest_monotonic_ns == numbers[i]);
		assert_true(message.seq == numbers[i] && message.dropped == numbers[i]);
		assert_true(pair_of(&message, "n")->number == numbers[i]);
		assert_string_equal(pair_of(&message, "t")->text, "text");
		assert_string_equal(message.boot_id, queue.boot_id);
	}
}

/* Whatever a process calls itself, the frame is taken. */
static void any_name_can_be_sent(void **state)
{
	static const struct {
		const char *comm;
		const char *sent;
	} cases[] = { { "", "" },	    { "k\xc3\xa4se", "k\xc3\xa4se" },
		      { "a\nb", "a?b" },    { "\xff\xfe", "??" },
		      { "\xc2\x9b", "??" }, { "cut\xc3", "cut?" } };

	(void)state;
	for (size_t i = 0; i < kw_array_size(cases); i++) {
		struct kw_report report = { .probe = "process.spawned", .comm = cases[i].comm };
		struct kw_gate_message message;

		kw_report_add_text(&report, "cgroup", cases[i].comm);
		kw_queue_put(&queue, &report);
		message = next(1);
		assert_string_equal(message.comm, cases[i].sent);
		assert_string_equal(pair_of(&message, "cgroup")->text, cases[i].sent);
	}
}

static void what_does_not_fit_is_counted(void **state)
{
	struct kw_report process = { .probe = "process.spawned", .comm = "sh" };
	struct kw_report oom = { .probe = "oom.killed", .comm = "hog" };
	struct kw_gate_message message;

	(void)state;
	for (unsigned int i = 0; i < KW_QUEUE_SLOTS; i++)
		kw_queue_put(&queue, &process);
	assert_int_equal(queue.count, KW_QUEUE_SLOTS - KW_QUEUE_RESERVED);
	assert_int_equal(queue.dropped, KW_QUEUE_RESERVED);
	/* There is still room for what matters. */
	kw_queue_put(&queue, &oom);
	assert_int_equal(queue.dropped, KW_QUEUE_RESERVED);
	/* It is said when there is room again, and once. */
	kw_queue_tell(&queue, 1);
	assert_int_equal(queue.count, KW_QUEUE_SLOTS - KW_QUEUE_RESERVED + 1);
	(void)next(1);
	kw_queue_tell(&queue, 1);
	kw_queue_tell(&queue, 1);
	assert_int_equal(queue.count, KW_QUEUE_SLOTS - KW_QUEUE_RESERVED + 1);
	while (queue.count > 1)
		message = next(2);
	assert_string_equal(message.probe_source, "oom.killed");
	assert_int_equal(message.dropped, KW_QUEUE_RESERVED);
	message = next(3);
	assert_string_equal(message.probe_source, "telemetry.dropped");
	assert_int_equal(pair_of(&message, "lost")->number, KW_QUEUE_RESERVED);
}

static void an_oom_is_read_from_the_kernel_s_line(void **state)
{
	static const char *const none[] = {
		"30,1,2,-;Out of memory: Killed process 7 (sh) total-vm:1kB, anon-rss:2kB", /* a user's */
		"3,1,2,-;Killed process 7 (sh) total-vm:1kB",
		"3,1,2,-;Out of memory: Killed process x (sh) total-vm:1kB",
		"3,1,2,-;Out of memory: Killed process 7 sh",
		"3,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,task=hog,pid=7,uid=0",
		"",
		";",
	};
	struct kw_oom_line line;

	(void)state;
	assert_true(kw_kmsg_parse(
		"3,812,4711,-;Memory cgroup out of memory: Killed process 42 (a) total-vm:) total-vm:33100kB, anon-rss:31744kB, file-rss:4kB, shmem-rss:0kB, UID:0 pgtables:104kB oom_score_adj:0\n",
		&line));
	assert_int_equal(line.pid, 42);
	assert_string_equal(line.comm, "a");
	assert_true(line.is_memcg);
	assert_true(kw_kmsg_parse(
		"3,812,4711,-;Out of memory: Killed process 43 ((sd-pam)) total-vm:33100kB, anon-rss:31744kB\n",
		&line));
	assert_string_equal(line.comm, "(sd-pam)");
	assert_int_equal(line.anon_rss_kb, 31744);
	assert_int_equal(line.total_vm_kb, 33100);
	assert_false(line.is_memcg);
	for (size_t i = 0; i < kw_array_size(none); i++)
		if (kw_kmsg_parse(none[i], &line))
			fail_msg("taken: %s", none[i]);
}

static void values_are_words(void **state)
{
	static const char stat[] = "usage_usec 9\nnr_periods 12\nxnr_throttled 7\nnr_throttled 3\n";
	uint64_t value = 0;

	(void)state;
	assert_true(kw_pressure_value(stat, "nr_throttled", &value) && value == 3);
	assert_true(kw_pressure_value("some avg10=0.00 total=77\n", "total", &value) &&
		    value == 77);
	assert_false(kw_pressure_value(stat, "nr", &value));
	assert_false(kw_pressure_value("oom_kill x\n", "oom_kill", &value));
}

/* ---- the proc connector ---- */

static struct kw_processes *connector; /* never opened: the events are the test's */
static uint32_t sequence;

static void happen(struct proc_event event, uint64_t now_ns)
{
	union {
		struct cn_msg message;
		unsigned char bytes[sizeof(struct cn_msg) + sizeof(struct proc_event)];
	} buffer = { .message = { .id = { CN_IDX_PROC, CN_VAL_PROC },
				  .seq = sequence++,
				  .len = sizeof(event) } };

	memcpy(buffer.bytes + sizeof(struct cn_msg), &event, sizeof(event));
	kw_processes_event(connector, &buffer, sizeof(buffer), &queue, now_ns);
}

static struct proc_event forked(int pid, int tgid)
{
	struct proc_event event = { .what = PROC_EVENT_FORK };

	event.event_data.fork.parent_tgid = 1;
	event.event_data.fork.child_pid = pid;
	event.event_data.fork.child_tgid = tgid;
	return event;
}

static struct proc_event executed(int pid)
{
	struct proc_event event = { .what = PROC_EVENT_EXEC };

	event.event_data.exec.process_pid = event.event_data.exec.process_tgid = pid;
	return event;
}

static struct proc_event ended(int pid, uint32_t status)
{
	struct proc_event event = { .what = PROC_EVENT_EXIT };

	event.event_data.exit.process_pid = event.event_data.exit.process_tgid = pid;
	event.event_data.exit.exit_code = status;
	return event;
}

#define PID 2000000000 /* no process of ours: pid_max is 2^22 at most */

static int setup_connector(void **state)
{
	connector = kw_processes_new();
	assert_non_null(connector);
	sequence = 7;
	return setup(state);
}

static int free_connector(void **state)
{
	(void)state;
	kw_processes_free(connector);
	return 0;
}

static void a_process_is_told_once(void **state)
{
	struct kw_gate_message message;

	(void)state;
	happen(forked(PID, PID), 1000);
	assert_int_equal(queue.count, 0);
	happen(forked(PID + 1, PID), 1500); /* a thread */
	happen(executed(PID), 2000);
	happen(executed(PID), 2500);
	happen(ended(PID, 9), 3000);
	assert_int_equal(queue.count, 2);
	message = next(1);
	assert_string_equal(message.probe_source, "process.spawned");
	assert_int_equal(message.guest_pid, PID);
	assert_int_equal(message.guest_monotonic_ns, 1000);
	assert_int_equal(pair_of(&message, "exec")->number, 1);
	assert_int_equal(pair_of(&message, "ppid")->number, 1);
	message = next(2);
	assert_string_equal(message.probe_source, "process.exited");
	assert_int_equal(message.guest_monotonic_ns, 3000);
	assert_int_equal(pair_of(&message, "signal")->number, 9);
	/* Of one that never calls execve(): when it ends, or after a while. */
	happen(forked(PID, PID), 1000);
	happen(ended(PID, 0), 2000);
	assert_int_equal(queue.count, 2);
	(void)next(1), (void)next(2);
	happen(forked(PID, PID), 1000);
	assert_true(kw_processes_due(connector, &queue, 2000) > 2000);
	assert_int_equal(queue.count, 0);
	assert_true(kw_processes_due(connector, &queue, KW_NSEC_PER_SEC) == UINT64_MAX);
	message = next(3);
	assert_int_equal(pair_of(&message, "exec")->number, 0);
	/* Held for longer than it should have been: then frames between have later times. */
	assert_true(message.guest_monotonic_ns == KW_NSEC_PER_SEC);
}

static void more_processes_than_can_be_known_are_told(void **state)
{
	(void)state;
	for (int i = 0; i < 6000; i++) {
		happen(forked(PID + i, PID + i), 1000);
		while (queue.count > 0)
			(void)next(1);
	}
	(void)kw_processes_due(connector, &queue, KW_NSEC_PER_SEC);
	assert_true(queue.count > 0);
}

static void lost_messages_are_counted(void **state)
{
	struct kw_gate_message message;

	(void)state;
	happen(forked(PID, PID), 1);
	sequence += 5;
	happen(executed(PID), 2);
	assert_int_equal(queue.dropped, 5);
	message = next(1);
	assert_string_equal(message.probe_source, "telemetry.dropped");
	assert_int_equal(pair_of(&message, "lost")->number, 5);
	assert_string_equal(pair_of(&message, "where")->text, "proc_connector");
}

static void foreign_messages_are_not_read(void **state)
{
	unsigned char bytes[256] = { 0 };
	struct cn_msg *message = (void *)bytes;

	(void)state;
	for (size_t length = 0; length < sizeof(bytes); length++)
		kw_processes_event(connector, bytes, length, &queue, 1);
	message->id = (struct cb_id){ CN_IDX_PROC, CN_VAL_PROC };
	message->len = UINT16_MAX;
	for (size_t length = 0; length < sizeof(bytes); length++)
		kw_processes_event(connector, bytes, length, &queue, 1);
	assert_int_equal(queue.count, 0);
}

/* ---- the host goes away ---- */

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	(void)unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void turn(struct kw_uplink *uplink, uint64_t now_ns)
{
	struct pollfd fd = { .fd = uplink->fd, .events = kw_uplink_wants(uplink, &queue) };

	(void)poll(&fd, 1, 0);
	kw_uplink_events(uplink, fd.revents, now_ns);
	kw_uplink_turn(uplink, &queue, now_ns);
}

static void a_host_that_comes_back_is_found(void **state)
{
	struct kw_report report = { .probe = "heartbeat", .comm = "" };
	char *directory = support_directory();
	struct kw_uplink uplink;
	unsigned char bytes[KW_QUEUE_SLOT_BYTES];
	char path[100];
	uint64_t now_ns = KW_NSEC_PER_SEC;
	uint64_t waited_ns = 0;
	int listener, host;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/host", directory);
	kw_uplink_init(&uplink, &(struct kw_uplink_target){ .uds = path }, 42);
	/* Nobody there: each wait is longer than the one before, up to a bound. */
	kw_queue_put(&queue, &report);
	for (int i = 0; i < 12; i++) {
		turn(&uplink, now_ns);
		assert_int_equal(uplink.fd, -1);
		assert_true(uplink.retry_ns > now_ns);
		assert_true(uplink.retry_ns - now_ns <= 16 * KW_NSEC_PER_SEC);
		waited_ns = uplink.retry_ns - now_ns;
		now_ns = uplink.retry_ns;
	}
	assert_true(waited_ns >= 4 * KW_NSEC_PER_SEC);
	for (unsigned int round = 0; round < 2; round++) {
		listener = listen_at(path);
		now_ns = uplink.retry_ns;
		turn(&uplink, now_ns);
		host = accept(listener, NULL, NULL);
		assert_true(host >= 0);
		assert_true(recv(host, bytes, sizeof(bytes), 0) > 4);
		assert_int_equal(uplink.seq, 1);
		assert_int_equal(uplink.sent, 1 + 2 * round);
		kw_queue_put(&queue, &report);
		turn(&uplink, now_ns);
		assert_int_equal(uplink.seq, 2);
		(void)close(host);
		(void)close(listener);
		turn(&uplink, now_ns);
		assert_int_equal(uplink.fd, -1);
		/* Somebody was there: it begins with short waits again. */
		assert_true(uplink.retry_ns - now_ns <= KW_NSEC_PER_SEC);
		kw_queue_put(&queue, &report);
	}
	assert_int_equal(queue.dropped, 0);
	support_remove(directory);
}

/* A frame that was cut off goes out whole on the next connection. */
static void a_full_socket_does_not_block(void **state)
{
	struct kw_report report = { .probe = "heartbeat", .comm = "" };
	char *directory = support_directory();
	struct kw_uplink uplink;
	char path[100];
	const int small = 4096;
	uint64_t sent;
	int listener;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/host", directory);
	listener = listen_at(path);
	kw_uplink_init(&uplink, &(struct kw_uplink_target){ .uds = path }, 42);
	turn(&uplink, 1);
	assert_int_equal(setsockopt(uplink.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	for (unsigned int i = 0; i < 4000; i++) {
		kw_queue_put(&queue, &report);
		turn(&uplink, 1);
	}
	assert_int_equal(queue.count, KW_QUEUE_SLOTS);
	assert_int_equal(uplink.sent + queue.count + queue.dropped, 4000);
	sent = uplink.sent;
	(void)close(listener);
	turn(&uplink, 2);
	assert_int_equal(uplink.fd, -1);
	listener = listen_at(path);
	turn(&uplink, uplink.retry_ns);
	assert_true(uplink.sent > sent);
	assert_true(uplink.seq == uplink.sent - sent);
	(void)close(listener);
	(void)close(uplink.fd);
	support_remove(directory);
}

#define each(test) cmocka_unit_test_setup(test, setup)
#define connected(test) cmocka_unit_test_setup_teardown(test, setup_connector, free_connector)

int main(void)
{
	const struct CMUnitTest tests[] = {
		each(the_host_reads_what_is_written),
		each(any_name_can_be_sent),
		each(what_does_not_fit_is_counted),
		each(an_oom_is_read_from_the_kernel_s_line),
		each(values_are_words),
		connected(a_process_is_told_once),
		connected(more_processes_than_can_be_known_are_told),
		connected(lost_messages_are_counted),
		connected(foreign_messages_are_not_read),
		each(a_host_that_comes_back_is_found),
		each(a_full_socket_does_not_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
