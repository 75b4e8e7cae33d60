/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drives the poller of every cgroup as the daemon's loop does, and writes what it says, one JSON object a
 * line, to standard output; the longest turn and the totals come at the end, when standard input is closed.
 * For tests that compare it with the kernel's own files.
 * usage: sweepdump ROOT INTERVAL-MS [DESCRIPTORS [GLOBS]]
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/capture/capture.h"

static uint64_t longest_ns, turns;

static int say(void *context, const struct kw_observation *observation)
{
	const struct kw_counts *counts = observation->counts;
	uint64_t late = kw_clock_boot_ns(&kw_clock_system) - counts->boot_ns;

	(void)context;
	printf("{\"path\":\"%s\",\"id\":%" PRIu64 ",\"first\":%s,\"gone\":%s,\"bootNs\":%" PRIu64
	       ",\"tookNs\":%" PRIu64 "",
	       counts->path, counts->cgroup_id, counts->is_first ? "true" : "false",
	       counts->is_gone ? "true" : "false", counts->boot_ns, late);
	for (int i = 0; i < KW_COUNTER_COUNT_; i++) {
		const char *key, *file = kw_counter_source((enum kw_counter)i, &key);

		if (counts->known & 1U << i)
			printf(",\"%s %s\":%" PRIu64, file, key, counts->value[i]);
	}
	puts("}");
	return 0;
}

typedef int (*step_fn)(struct kw_sweep *sweep, kw_observation_fn callback, void *context);

static int timed(step_fn step, struct kw_sweep *sweep)
{
	uint64_t start = kw_clock_boot_ns(&kw_clock_system), took;
	int r = step(sweep, say, NULL);

	took = kw_clock_boot_ns(&kw_clock_system) - start;
	longest_ns = took > longest_ns ? took : longest_ns;
	turns++;
	return r;
}

static void run(struct kw_sweep *sweep, uint64_t interval_ns)
{
	uint64_t next = kw_clock_boot_ns(&kw_clock_system);
	bool more = false, is_open = true;

	while (is_open) {
		uint64_t now = kw_clock_boot_ns(&kw_clock_system);
		struct pollfd fds[] = { { .fd = kw_sweep_fd(sweep), .events = POLLIN },
					{ .fd = STDIN_FILENO, .events = POLLIN } };
		int wait = more ? 0 : now < next ? (int)((next - now) / KW_NSEC_PER_MSEC) + 1 : 0;

		if (!more)
			(void)fflush(stdout);
		if (poll(fds, 2, wait) > 0 && fds[1].revents) {
			char command;

			/* "r": a round now, so that nothing is left that was not read. */
			is_open = read(STDIN_FILENO, &command, 1) > 0;
			next = 0;
		}
		if (kw_clock_boot_ns(&kw_clock_system) >= next) {
			kw_sweep_begin_round(sweep);
			next = kw_clock_boot_ns(&kw_clock_system) + interval_ns;
		}
		more = timed(kw_sweep_notified, sweep) > 0;
		more = timed(kw_sweep_turn, sweep) > 0 || more;
	}
}

int main(int argc, char **argv)
{
	struct kw_sweep_options options = { .clock = &kw_clock_system,
					    .descriptors = KW_SWEEP_DESCRIPTORS_MAX,
					    .globs = "*" };
	struct kw_sweep_totals totals;
	struct kw_sweep *sweep = NULL;
	int r;

	if (argc < 3) {
		fputs("usage: sweepdump ROOT INTERVAL-MS [DESCRIPTORS [GLOBS]]\n", stderr);
		return 2;
	}
	options.root_path = argv[1];
	if (argc > 3)
		options.descriptors = (uint32_t)strtoul(argv[3], NULL, 10);
	if (argc > 4)
		options.globs = argv[4];
	r = kw_sweep_open(&options, &sweep);
	if (r < 0) {
		fprintf(stderr, "sweepdump: %s\n", strerror(-r));
		return 3;
	}
	run(sweep, strtoull(argv[2], NULL, 10) * KW_NSEC_PER_MSEC);
	kw_sweep_totals(sweep, &totals);
	printf("{\"totals\":true,\"cgroups\":%u,\"kept\":%u,\"notNotified\":%u,\"descriptors\":%u,\"overflows\":%" PRIu64
	       ",\"readings\":%" PRIu64 ",\"rounds\":%" PRIu64 ",\"malformed\":%" PRIu64
	       ",\"turns\":%" PRIu64 ",\"longestNs\":%" PRIu64 "}\n",
	       totals.cgroups, totals.read_kept, totals.not_notified, totals.descriptors,
	       totals.overflows, totals.readings, totals.rounds, totals.malformed, turns,
	       longest_ns);
	kw_sweep_free(sweep);
	return 0;
}
