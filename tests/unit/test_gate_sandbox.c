/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* sandbox.c, by the real kwitness-gate: what the OOM killer makes of it. The rest of the sandbox is looked
 * at where the gate works: test_capture_gatelink.c. */
#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kwitness/gate.h>

#include "user/base/cleanup.h"

#define PATIENCE_MS 10000

static pid_t start_gate(int link)
{
	const char *build = getenv("KW_BUILD");
	char *const environment[] = { NULL }; /* as the daemon starts it */
	char path[512];
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/kwitness-gate", build ? build : "build");
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(link, KW_GATE_FD) == KW_GATE_FD)
			(void)execle(path, "kwitness-gate", (char *)NULL, environment);
		_exit(127);
	}
	return pid;
}

/* It says so once the sandbox is shut. */
static void await_ready(int link)
{
	struct pollfd readable = { .fd = link, .events = POLLIN };
	struct kw_gate_message message = { 0 };

	assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
	assert_int_equal(recv(link, &message, sizeof(message), 0), sizeof(message));
	assert_int_equal(message.kind, KW_GATE_READY);
}

static int score_of(const char *process)
{
	char path[64];
	char text[16] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%s/oom_score_adj", process);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	(void)close(fd);
	return atoi(text);
}

/* What was reached: below what it was needs CAP_SYS_RESOURCE (proc(5)). */
static int set_own_score(const char *score)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	(void)!write(fd, score, strlen(score));
	(void)close(fd);
	return score_of("self");
}

/* Whatever protection the daemon has: where memory is short the gate goes first. */
static void the_gate_goes_before_the_witness(void **state)
{
	static const char *const scores[] = { "300", "0", "-500", "-1000" };

	(void)state;
	for (size_t i = 0; i < kw_array_size(scores); i++) {
		int own = set_own_score(scores[i]);
		int status = -1;
		char process[16];
		int links[2];
		pid_t pid;

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, links), 0);
		pid = start_gate(links[1]);
		(void)close(links[1]);
		await_ready(links[0]);
		(void)snprintf(process, sizeof(process), "%d", (int)pid);
		assert_int_equal(score_of(process), own > 0 ? own : 0);
		(void)close(links[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_gate_goes_before_the_witness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
