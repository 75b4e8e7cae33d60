/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Guests, for tests/bench/guests-here: what decoding and stamping a frame costs without a signature;
 * a thousand guests at a pace; and what of theirs a ledger has, and how late.
 * usage: guests decode [SECONDS] | send DIRECTORY CELLS RATE SECONDS | read LEDGER-SEGMENT...
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "user/attest/event.h"
#include "user/capture/gatecheck.h"
#include "user/gate/claim.h"
#include "user/guest/guest.h"

static uint64_t clock_ns(clockid_t id)
{
	struct timespec now;

	(void)clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * KW_NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "guests: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* A frame of process.spawned as the agent writes it. */
static size_t make_frame(unsigned char frame[static KW_QUEUE_SLOT_BYTES], uint64_t seq)
{
	struct kw_report report = { .probe = "process.spawned",
				    .pid = 4711,
				    .comm = "bash",
				    .monotonic_ns = clock_ns(CLOCK_MONOTONIC) };
	size_t length;

	kw_report_add_number(&report, "exec", 1);
	kw_report_add_number(&report, "ppid", 42);
	length = kw_writer_begin(&report, "d2719cbb-0c3c-4b5e-9d3b-0d6a2a0a4b1c", frame);
	return kw_writer_finish(frame, length, seq, 0);
}

/* ---- decode ---- */

static void decode(double seconds)
{
	static struct kw_attributed attributed = { .has_cell = true };
	struct kw_observation observation = { .kind = KW_OBSERVATION_GUEST };
	struct kw_finding finding = { .kind = KW_FINDING_GUEST, .attributed = &attributed };
	struct kw_gatecheck check = { .is_ready = true, .highest_handle = 1 };
	struct kw_event_limits limits = { .victims = KW_INCIDENT_VICTIMS_MAX };
	unsigned char frame[KW_QUEUE_SLOT_BYTES];
	size_t length = make_frame(frame, 1) - KW_FRAME_PREFIX_BYTES;
	struct kw_event event = { .type = "" };

	(void)snprintf(attributed.cell.cell_id, sizeof(attributed.cell.cell_id), "cell-1");
	(void)snprintf(attributed.cell.run_id, sizeof(attributed.cell.run_id), "run-1");
	attributed.observation = &observation;
	kw_bytes_init(&event.subject, 4096);
	kw_bytes_init(&event.data, KW_EVENT_MAX);
	for (int stamps = 0; stamps < 2; stamps++) {
		uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID), now = start, count = 0;

		while ((double)(now - start) < seconds * 1e9) {
			for (int i = 0; i < 256; i++, count++) {
				struct kw_gate_message message = { .version = KW_GATE_VERSION,
								   .kind = KW_GATE_FRAME,
								   .size = sizeof(message),
								   .handle = 1,
								   .connection = 1 };

				message.received_boot_ns = 1;
				observation.guest = &message;
				if (kw_claim_decode(frame + KW_FRAME_PREFIX_BYTES, length,
						    &message) != KW_GATE_REASON_NONE ||
				    !kw_gatecheck_is_valid(&check, &message, 1))
					die("the frame is refused");
				if (stamps &&
				    kw_event_make(&finding, &kw_clock_system, &limits, &event) < 0)
					die("no event is made");
			}
			now = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		}
		printf("%-28s %8.0f frames/s of one core\n",
		       stamps ? "decode, check and stamp" : "decode and check",
		       (double)count * 1e9 / (double)(now - start));
	}
	kw_bytes_done(&event.subject);
	kw_bytes_done(&event.data);
}

/* ---- send ---- */

static int dial(const char *directory, unsigned int cell)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/c%u.sock_9001", directory,
		       cell);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		die(address.sun_path);
	return fd;
}

/* Each cell sends at its own time of the interval. A socket that is full is waited for: nothing is
 * lost here, and what the host is too slow for shows as delay and as less sent. */
static void send_all(const char *directory, unsigned int cells, unsigned int rate, double seconds)
{
	uint64_t step_ns = KW_NSEC_PER_SEC / rate / cells;
	uint64_t sent = 0, start, end, now;
	int *fds = calloc(cells, sizeof(*fds));

	if (!fds)
		die("memory");
	for (unsigned int i = 0; i < cells; i++)
		fds[i] = dial(directory, i);
	start = clock_ns(CLOCK_MONOTONIC);
	end = start + (uint64_t)(seconds * 1e9);
	for (now = start; now < end; now = clock_ns(CLOCK_MONOTONIC)) {
		unsigned char frame[KW_QUEUE_SLOT_BYTES];
		struct timespec next;
		uint64_t due_ns = start + (sent + 1) * step_ns;
		size_t length;

		if (due_ns > now + KW_NSEC_PER_MSEC) {
			next = (struct timespec){ (time_t)(due_ns / KW_NSEC_PER_SEC),
						  (long)(due_ns % KW_NSEC_PER_SEC) };
			(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		}
		length = make_frame(frame, sent / cells + 1);
		if (send(fds[sent % cells], frame, length, MSG_NOSIGNAL) != (ssize_t)length)
			die("send");
		sent++;
	}
	printf("%" PRIu64 " %.3f\n", sent, (double)(now - start) / 1e9);
	(void)fflush(stdout);
	(void)getchar(); /* the connections stay until what was sent is read */
	free(fds);
}

/* ---- read ---- */

static int compare(const void *a, const void *b)
{
	const int64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void read_all(char **paths)
{
	/* One clock against the other; both run at the same pace within a run. */
	int64_t offset_ns = (int64_t)clock_ns(CLOCK_REALTIME) - (int64_t)clock_ns(CLOCK_MONOTONIC);
	size_t count = 0, most = 1 << 20;
	int64_t *delays_ns = calloc(most, sizeof(*delays_ns));
	char *line = NULL;
	size_t size = 0;

	if (!delays_ns)
		die("memory");
	for (; *paths; paths++) {
		FILE *file = fopen(*paths, "re");
		ssize_t length;

		if (!file)
			die(*paths);
		while ((length = getline(&line, &size, file)) > 0) {
			const char *sent = strstr(line, "\"guestMonotonicNs\":\"");
			const char *recorded = strstr(line, "\"recordedtime\":\"");
			uint64_t real_ns;

			if (!sent || !recorded || count == most)
				continue;
			recorded += strlen("\"recordedtime\":\"");
			if (kw_clock_parse(recorded, strcspn(recorded, "\""), &real_ns) < 0)
				continue;
			delays_ns[count++] =
				(int64_t)real_ns - offset_ns -
				(int64_t)strtoull(sent + strlen("\"guestMonotonicNs\":\""), NULL,
						  10);
		}
		(void)fclose(file);
	}
	qsort(delays_ns, count, sizeof(*delays_ns), compare);
	printf("%zu", count);
	if (count > 0)
		printf(" %.3f %.3f %.3f", (double)delays_ns[count / 2] / 1e6,
		       (double)delays_ns[count - 1 - count / 100] / 1e6,
		       (double)delays_ns[count - 1] / 1e6);
	putchar('\n');
	free(line);
	free(delays_ns);
}

int main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "decode") == 0)
		decode(argc > 2 ? atof(argv[2]) : 2);
	else if (argc == 6 && strcmp(argv[1], "send") == 0)
		send_all(argv[2], (unsigned int)atoi(argv[3]), (unsigned int)atoi(argv[4]),
			 atof(argv[5]));
	else if (argc >= 3 && strcmp(argv[1], "read") == 0)
		read_all(argv + 2);
	else
		return 2;
	return 0;
}
