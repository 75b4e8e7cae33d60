/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kwitness-guest: options and the loop. One thread, one poll(); every source is bounded per turn, and
 * none waits for the host. Without options it does what a guest of CellOS or Firecracker needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/un.h>
#include <time.h>

#include <kwitness/names.h>

#include "user/guest/guest.h"

#define HEARTBEAT_MS 2000
#define COUNT_NS KW_NSEC_PER_SEC
#define SCAN_NS (500 * KW_NSEC_PER_MSEC)
#define THROTTLED_NS (2 * KW_NSEC_PER_SEC)
#define ONCE_NS (10 * KW_NSEC_PER_SEC)

struct options {
	struct kw_uplink_target target;
	uint64_t heartbeat_ns;
	bool is_once;
	bool no_connector;
};

struct agent {
	struct options options;
	struct kw_queue queue;
	struct kw_uplink uplink;
	struct kw_processes *processes; /* or */
	struct kw_procscan *scan;
	struct kw_census *census; /* NULL: none */
	struct kw_kmsg kmsg;
	struct kw_pressure_watch pressure;
	struct kw_throttled *throttled;
	uint64_t heartbeat_ns, count_ns, scan_ns, throttled_ns, processes_ns; /* when next */
	char boot_id[KW_BOOT_ID_MAX];
};

static const char usage[] =
	"usage: kwitness-guest [options]\n"
	"Tells the host what happens in this guest: processes, OOM kills, memory pressure, throttling.\n"
	"\n"
	"      --cid N          host's CID (default 2)\n"
	"      --port N         its AF_VSOCK port (default 9001)\n"
	"      --uds PATH       a Unix socket instead\n"
	"      --interval MS    time between two heartbeats (default 2000)\n"
	"      --no-connector   look for processes in /proc instead of being told\n"
	"      --once           send one heartbeat and exit\n"
	"      --version        print the version and exit\n";

/* The guest's clock of the frame format: CLOCK_MONOTONIC. */
static uint64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * KW_NSEC_PER_SEC + (uint64_t)time.tv_nsec;
}

static void heartbeat(struct agent *agent, uint64_t now_ns)
{
	struct kw_report report = { .probe = "heartbeat",
				    .pid = (uint32_t)getpid(),
				    .comm = "kwitness-guest",
				    .monotonic_ns = now_ns };
	uint64_t processes;

	/* One that waits says as much as two, and they would only push out what happens. */
	if (agent->queue.count > 0 && agent->uplink.fd < 0)
		return;
	kw_report_add_text(&report, "oom",
			   agent->kmsg.fd >= 0	 ? "kmsg"
			   : agent->kmsg.counter ? agent->kmsg.counter
						 : "none");
	kw_report_add_number(&report, "oom_kills", kw_kmsg_kills(&agent->kmsg));
	if (agent->census && kw_census_count(agent->census, &processes))
		kw_report_add_number(&report, "processes", processes);
	kw_report_add_text(&report, "psi", agent->pressure.fd >= 0 ? "yes" : "no");
	kw_report_add_number(&report, "sent", agent->uplink.sent);
	kw_report_add_text(&report, "source", agent->processes ? "proc_connector" : "proc");
	kw_queue_put(&agent->queue, &report);
}

/* Whether it is time, and when next. A loop that was late does not catch up. */
static bool is_due(uint64_t *next_ns, uint64_t every_ns, uint64_t now_ns)
{
	if (now_ns < *next_ns)
		return false;
	*next_ns = now_ns + every_ns;
	return true;
}

static void take_timers(struct agent *agent, uint64_t now_ns)
{
	kw_queue_tell(&agent->queue, now_ns);
	if (is_due(&agent->heartbeat_ns, agent->options.heartbeat_ns, now_ns))
		heartbeat(agent, now_ns);
	if (is_due(&agent->count_ns, COUNT_NS, now_ns)) {
		kw_kmsg_read(&agent->kmsg, &agent->queue, now_ns);
		kw_kmsg_count(&agent->kmsg, &agent->queue, now_ns);
	}
	if (agent->scan && is_due(&agent->scan_ns, SCAN_NS, now_ns))
		kw_procscan_turn(agent->scan, &agent->queue, now_ns);
	if (agent->throttled && is_due(&agent->throttled_ns, THROTTLED_NS, now_ns))
		kw_throttled_turn(agent->throttled, &agent->queue, now_ns);
	agent->processes_ns = agent->processes
				      ? kw_processes_due(agent->processes, &agent->queue, now_ns)
				      : UINT64_MAX;
}

static int timeout_ms(const struct agent *agent, uint64_t now_ns)
{
	uint64_t next_ns = agent->heartbeat_ns;
	const uint64_t others_ns[] = {
		agent->count_ns,
		agent->processes_ns,
		agent->scan ? agent->scan_ns : UINT64_MAX,
		agent->throttled ? agent->throttled_ns : UINT64_MAX,
		agent->uplink.fd < 0 ? agent->uplink.retry_ns : UINT64_MAX,
	};

	for (size_t i = 0; i < kw_array_size(others_ns); i++)
		if (others_ns[i] < next_ns)
			next_ns = others_ns[i];
	return next_ns <= now_ns ? 0 : (int)((next_ns - now_ns) / KW_NSEC_PER_MSEC + 1);
}

static void turn(struct agent *agent)
{
	enum { UPLINK, PROCESSES, KMSG, PRESSURE, COUNT };
	struct pollfd fds[COUNT] = {
		[UPLINK] = { .fd = agent->uplink.fd,
			     .events = kw_uplink_wants(&agent->uplink, &agent->queue) },
		[PROCESSES] = { .fd = agent->processes ? kw_processes_fd(agent->processes) : -1,
				.events = POLLIN },
		[KMSG] = { .fd = agent->kmsg.fd, .events = POLLIN },
		[PRESSURE] = { .fd = agent->pressure.fd, .events = POLLPRI },
	};
	uint64_t now_ns;

	if (poll(fds, COUNT, timeout_ms(agent, now())) < 0)
		return;
	now_ns = now();
	/* OOM kills first: the queue keeps their place, and they are few. */
	if (fds[KMSG].revents)
		kw_kmsg_read(&agent->kmsg, &agent->queue, now_ns);
	if (fds[PRESSURE].revents & POLLERR)
		(void)close(take_fd(agent->pressure.fd));
	else if (fds[PRESSURE].revents & POLLPRI)
		kw_pressure_read(&agent->pressure, &agent->queue, now_ns);
	if (fds[PROCESSES].revents)
		kw_processes_read(agent->processes, &agent->queue, now_ns);
	take_timers(agent, now_ns);
	kw_uplink_events(&agent->uplink, fds[UPLINK].revents, now_ns);
	kw_uplink_turn(&agent->uplink, &agent->queue, now_ns);
}

static void survive(void)
{
	/* The witness should not be the victim; without the privilege it may be. */
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, "-1000", 5);
		(void)close(fd);
	}
}

static int open_agent(struct agent *agent)
{
	uint64_t seed = 0;
	int r;

	if (kw_pressure_slurp(AT_FDCWD, "/proc/sys/kernel/random/boot_id", agent->boot_id,
			      sizeof(agent->boot_id)) > 0)
		agent->boot_id[strcspn(agent->boot_id, "\n")] = '\0';
	agent->queue.boot_id = agent->boot_id;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		seed = now() ^ (uint64_t)getpid() << 32;
	kw_uplink_init(&agent->uplink, &agent->options.target, seed);
	kw_kmsg_open(&agent->kmsg);
	kw_pressure_open(&agent->pressure);
	r = agent->options.no_connector ? -ENOTSUP : kw_processes_open(&agent->processes);
	if (r < 0) {
		fprintf(stderr,
			"kwitness-guest: no proc connector (%s): looking at /proc, short-lived processes are missed\n",
			strerror(-r));
		r = kw_procscan_open(&agent->scan);
	}
	if (kw_census_open("/proc", &agent->census) < 0)
		agent->census = NULL;
	if (kw_throttled_open(KW_PATH_CGROUP_ROOT, &agent->throttled) < 0)
		agent->throttled = NULL;
	agent->processes_ns = UINT64_MAX;
	return r;
}

/* Sends one heartbeat. */
static int once(struct agent *agent)
{
	uint64_t end_ns = now() + ONCE_NS;

	agent->uplink.fd = -1;
	heartbeat(agent, now());
	while (agent->uplink.sent == 0 && now() < end_ns) {
		struct pollfd fd;

		kw_uplink_turn(&agent->uplink, &agent->queue, now());
		fd = (struct pollfd){ .fd = agent->uplink.fd,
				      .events = kw_uplink_wants(&agent->uplink, &agent->queue) };
		if (agent->uplink.sent == 0 && poll(&fd, 1, 50) > 0)
			kw_uplink_events(&agent->uplink, fd.revents, now());
	}
	if (agent->uplink.sent > 0)
		return KW_EXIT_OK;
	fputs("kwitness-guest: the host does not answer\n", stderr);
	return KW_EXIT_FAIL;
}

static bool take_number(const char *text, uint64_t maximum, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && text[0] != '-' && *ret_number > 0 &&
	       *ret_number <= maximum;
}

/* 0: go on; 1: done, *ret_exit says how. */
static int parse(int argc, char **argv, struct options *options, int *ret_exit)
{
	static const struct option table[] = {
		{ "cid", required_argument, NULL, 'c' },
		{ "port", required_argument, NULL, 'p' },
		{ "uds", required_argument, NULL, 'u' },
		{ "interval", required_argument, NULL, 'i' },
		{ "no-connector", no_argument, NULL, 'n' },
		{ "once", no_argument, NULL, 'o' },
		{ "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t number = 0;
	int option;

	*ret_exit = KW_EXIT_USAGE;
	while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
		bool is_good = true;

		if (option == 'c' && (is_good = take_number(optarg, UINT32_MAX - 1, &number)))
			options->target.cid = (uint32_t)number;
		else if (option == 'p' && (is_good = take_number(optarg, UINT32_MAX - 1, &number)))
			options->target.port = (uint32_t)number;
		else if (option == 'u' &&
			 (is_good = strlen(optarg) <
				    sizeof(((struct sockaddr_un *)NULL)->sun_path)))
			options->target.uds = optarg;
		else if (option == 'i' && (is_good = take_number(optarg, 3600000, &number)))
			options->heartbeat_ns = number * KW_NSEC_PER_MSEC;
		else if (option == 'n')
			options->no_connector = true;
		else if (option == 'o')
			options->is_once = true;
		else if (option == 'v' || option == 'h') {
			fputs(option == 'h' ? usage : "kwitness-guest " KW_VERSION "\n", stdout);
			*ret_exit = KW_EXIT_OK;
			return 1;
		}
		if (option == '?')
			return 1;
		if (!is_good) {
			fprintf(stderr, "kwitness-guest: \"%s\" is out of range (see --help)\n",
				optarg);
			return 1;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "kwitness-guest: \"%s\" is not an option (see --help)\n", argv[optind]);
	return 1;
}

int main(int argc, char **argv)
{
	static struct agent agent;
	int code;

	agent.options = (struct options){
		.target = { .cid = VMADDR_CID_HOST, .port = KW_GUEST_PORT },
		.heartbeat_ns = HEARTBEAT_MS * KW_NSEC_PER_MSEC,
	};
	if (parse(argc, argv, &agent.options, &code) != 0)
		return code;
	survive();
	if (open_agent(&agent) < 0) {
		fputs("kwitness-guest: cannot see processes: is /proc mounted?\n", stderr);
		return KW_EXIT_FAIL;
	}
	if (agent.options.is_once)
		return once(&agent);
	for (;;)
		turn(&agent);
}
