/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes as the kernel tells them: the proc connector (drivers/connector/cn_proc.c) sends each fork,
 * execve and exit, so a process that lives for a millisecond is seen. A fork is held back until the
 * process has become what it will be (execve), has ended, or has lived for SETTLE_NS: one spawned event
 * a process, with the name that tells most. Each CPU numbers its messages: what is missing between two
 * is lost, and counted exactly.
 */
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "user/guest/guest.h"

/* Inodes of the first namespaces of a kernel: PROC_PID_INIT_INO and PROC_USER_INIT_INO
 * (include/linux/proc_ns.h). */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU
#define INITIAL_USER_NAMESPACE 0xEFFFFFFDU

#define SETTLE_NS (50 * KW_NSEC_PER_MSEC)
/* An agent that got no CPU for so long tells a process with the time of telling: what it tells between
 * must not make its clock seem to run back, which the host would call a lie. */
#define HELD_NS (500 * KW_NSEC_PER_MSEC)
#define TURN_MESSAGES 256
#define RECEIVE_BYTES (1024 * 1024)

/* Processes that are known at one time: a power of two. Above: reported at once, names as found. */
#define SLOTS 4096
#define CPUS 256

struct process {
	uint32_t pid; /* 0: free */
	uint32_t ppid;
	bool is_told;
	uint64_t due_ns;
	uint64_t spawned_ns;
	char comm[KW_COMM_BYTES];
};

struct kw_processes {
	int fd;
	unsigned int held; /* not told yet */
	bool has_sequence[CPUS];
	uint32_t sequence[CPUS]; /* of the next message */
	struct process slots[SLOTS];
};

/* Within the neighbourhood of its hash: a table without chains, that forgets rather than grows. */
#define NEIGHBOURS 16

static struct process *find(struct kw_processes *processes, uint32_t pid)
{
	for (uint32_t i = 0; i < NEIGHBOURS; i++) {
		struct process *process = &processes->slots[(pid + i * 257) % SLOTS];

		if (process->pid == pid)
			return process;
	}
	return NULL;
}

/* pid's slot, or a free one (pid 0), or NULL. */
static struct process *take_slot(struct kw_processes *processes, uint32_t pid)
{
	struct process *process = find(processes, pid);

	for (uint32_t i = 0; i < NEIGHBOURS && !process; i++) {
		struct process *slot = &processes->slots[(pid + i * 257) % SLOTS];

		if (slot->pid == 0)
			process = slot;
	}
	return process;
}

static void tell(struct kw_queue *queue, const char *probe, uint32_t pid, const char *comm,
		 uint64_t at_ns, struct kw_report *report)
{
	report->probe = probe;
	report->pid = pid;
	report->comm = comm;
	report->monotonic_ns = at_ns;
	kw_queue_put(queue, report);
}

static void tell_spawned(struct kw_processes *processes, struct process *process, bool is_exec,
			 struct kw_queue *queue, uint64_t now_ns)
{
	uint64_t at_ns = now_ns - process->spawned_ns <= HELD_NS ? process->spawned_ns : now_ns;
	struct kw_report report = { .count = 0 };

	if (process->is_told)
		return;
	process->is_told = true;
	processes->held--;
	kw_report_add_number(&report, "exec", is_exec);
	kw_report_add_number(&report, "ppid", process->ppid);
	tell(queue, "process.spawned", process->pid, process->comm, at_ns, &report);
}

/* ---- the kernel's events ---- */

static void on_fork(struct kw_processes *processes, const struct proc_event *event,
		    struct kw_queue *queue, uint64_t now_ns)
{
	uint32_t pid = (uint32_t)event->event_data.fork.child_tgid;
	struct process unknown = { .pid = pid, .is_told = false };
	struct process *process;

	/* A thread is none. */
	if (event->event_data.fork.child_pid != event->event_data.fork.child_tgid)
		return;
	process = take_slot(processes, pid);
	if (process && process->pid == pid && !process->is_told)
		processes->held--; /* its exit was lost, and its number is used again */
	if (!process)
		process = &unknown;
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	process->ppid = (uint32_t)event->event_data.fork.parent_tgid;
	process->spawned_ns = now_ns;
	process->due_ns = now_ns + SETTLE_NS;
	kw_procscan_comm(pid, process->comm);
	/* Gone already: it has the name that its parent had when it forked. */
	if (!process->comm[0])
		kw_procscan_comm(process->ppid, process->comm);
	processes->held++;
	if (process == &unknown)
		tell_spawned(processes, process, false, queue, now_ns);
}

static void on_exec(struct kw_processes *processes, const struct proc_event *event,
		    struct kw_queue *queue, uint64_t now_ns)
{
	uint32_t pid = (uint32_t)event->event_data.exec.process_tgid;
	struct process *process = find(processes, pid);
	char comm[KW_COMM_BYTES];

	if (!process)
		return;
	kw_procscan_comm(pid, comm);
	if (comm[0])
		memcpy(process->comm, comm, sizeof(comm));
	tell_spawned(processes, process, true, queue, now_ns);
}

static void on_end(struct kw_processes *processes, const struct proc_event *event,
		   struct kw_queue *queue, uint64_t now_ns)
{
	uint32_t pid = (uint32_t)event->event_data.exit.process_tgid;
	uint32_t status = event->event_data.exit.exit_code;
	struct process *process = find(processes, pid);
	struct kw_report report = { .count = 0 };
	char comm[KW_COMM_BYTES];

	if (event->event_data.exit.process_pid != event->event_data.exit.process_tgid)
		return;
	if (process)
		tell_spawned(processes, process, false, queue, now_ns);
	kw_report_add_number(&report, "signal", status & 0x7f);
	kw_report_add_number(&report, "status", status);
	if (process)
		kw_report_add_number(&report, "ppid", process->ppid);
	else
		kw_procscan_comm(pid, comm); /* older than we are: a zombie still has its name */
	tell(queue, "process.exited", pid, process ? process->comm : comm, now_ns, &report);
	if (process)
		process->pid = 0;
}

static void count_lost(struct kw_processes *processes, const struct cn_msg *message, uint32_t cpu,
		       struct kw_queue *queue, uint64_t now_ns)
{
	uint32_t lost;

	if (cpu >= CPUS)
		return;
	lost = message->seq - processes->sequence[cpu];
	/* Messages of one CPU may overtake each other by a little: that is no loss of 2^31. */
	if (processes->has_sequence[cpu] && lost > 0 && lost < INT32_MAX)
		kw_queue_lost(queue, "proc_connector", lost, now_ns);
	processes->sequence[cpu] = message->seq + 1;
	processes->has_sequence[cpu] = true;
}

void kw_processes_event(struct kw_processes *processes, const void *data, size_t length,
			struct kw_queue *queue, uint64_t now_ns)
{
	const struct cn_msg *message = data;
	struct proc_event event;

	/* An older kernel's event is shorter than our headers have it: what it has not is zero. */
	if (length < sizeof(*message) || message->id.idx != CN_IDX_PROC ||
	    message->id.val != CN_VAL_PROC || length - sizeof(*message) < message->len)
		return;
	memset(&event, 0, sizeof(event));
	memcpy(&event, message->data, message->len < sizeof(event) ? message->len : sizeof(event));
	if (event.what != PROC_EVENT_NONE)
		count_lost(processes, message, event.cpu, queue, now_ns);
	switch ((unsigned int)event.what) {
	case PROC_EVENT_FORK:
		on_fork(processes, &event, queue, now_ns);
		break;
	case PROC_EVENT_EXEC:
		on_exec(processes, &event, queue, now_ns);
		break;
	case PROC_EVENT_EXIT:
		on_end(processes, &event, queue, now_ns);
		break;
	default:
		break;
	}
}

/* ---- the socket ---- */

void kw_processes_read(struct kw_processes *processes, struct kw_queue *queue, uint64_t now_ns)
{
	for (int i = 0; i < TURN_MESSAGES; i++) {
		union {
			struct nlmsghdr header;
			char bytes[1024];
		} buffer;
		struct sockaddr_nl from = { 0 };
		socklen_t from_length = sizeof(from);
		ssize_t n = recvfrom(processes->fd, &buffer, sizeof(buffer), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_length);

		/* ENOBUFS: the socket was full; the numbers of what comes next say how much is lost. */
		if (n < 0 && (errno == EINTR || errno == ENOBUFS))
			continue;
		if (n < 0)
			return;
		/* From the kernel alone: any process may send to a netlink socket (netlink(7)). */
		if (from.nl_pid != 0 || n < (ssize_t)NLMSG_HDRLEN ||
		    buffer.header.nlmsg_type != NLMSG_DONE)
			continue;
		kw_processes_event(processes, buffer.bytes + NLMSG_HDRLEN, (size_t)n - NLMSG_HDRLEN,
				   queue, now_ns);
	}
}

uint64_t kw_processes_due(struct kw_processes *processes, struct kw_queue *queue, uint64_t now_ns)
{
	uint64_t next_ns = UINT64_MAX;

	for (size_t i = 0; i < SLOTS && processes->held > 0; i++) {
		struct process *process = &processes->slots[i];

		if (process->pid == 0 || process->is_told)
			continue;
		if (process->due_ns <= now_ns)
			tell_spawned(processes, process, false, queue, now_ns);
		else if (process->due_ns < next_ns)
			next_ns = process->due_ns;
	}
	return next_ns;
}

static int subscribe(int fd)
{
	const struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
	const int size = RECEIVE_BYTES;
	struct {
		struct nlmsghdr header;
		struct cn_msg message;
		enum proc_cn_mcast_op operation;
	} __attribute__((packed)) request = {
		.header = { .nlmsg_len = sizeof(request), .nlmsg_type = NLMSG_DONE },
		.message = { .id = { CN_IDX_PROC, CN_VAL_PROC },
			     .len = sizeof(enum proc_cn_mcast_op) },
		.operation = PROC_CN_MCAST_LISTEN,
	};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return send(fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

struct kw_processes *kw_processes_new(void)
{
	struct kw_processes *processes = calloc(1, sizeof(*processes));

	if (processes)
		processes->fd = -1;
	return processes;
}

void kw_processes_free(struct kw_processes *processes)
{
	if (!processes)
		return;
	kw_cleanup_close_fd(&processes->fd);
	free(processes);
}

/* A kernel without such namespaces has only the first. */
static bool is_in_namespace(const char *path, ino_t inode)
{
	struct stat status;

	return stat(path, &status) < 0 || status.st_ino == inode;
}

int kw_processes_open(struct kw_processes **ret_processes)
{
	cleanup(kw_processes_freep) struct kw_processes *processes = kw_processes_new();
	int r;

	if (!processes)
		return -ENOMEM;
	/* From any other the request is ignored without a word, 6.1 and 6.12: cn_proc_mcast_ctl(). */
	if (!is_in_namespace("/proc/self/ns/pid", INITIAL_PID_NAMESPACE) ||
	    !is_in_namespace("/proc/self/ns/user", INITIAL_USER_NAMESPACE))
		return -EPERM;
	processes->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);
	r = processes->fd < 0 ? -errno : subscribe(processes->fd);
	if (r < 0)
		return r;
	*ret_processes = take_ptr(processes);
	return 0;
}

int kw_processes_fd(const struct kw_processes *processes)
{
	return processes->fd;
}
