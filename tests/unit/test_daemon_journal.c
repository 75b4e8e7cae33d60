/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The journal's end of the socket is the test's: what journald itself makes of it, tests/system shows. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "user/daemon/journal.h"

#define MIB ((uint64_t)1 << 20)

static int setup(void **state)
{
	*state = support_directory();
	return *state ? support_count_descriptors(state) : -1;
}

static int teardown(void **state)
{
	support_remove(*state);
	return support_check_descriptors(state);
}

static struct kw_identity place(uint64_t id, const char *path, const char *unit)
{
	struct kw_identity identity = { .known = true, .id = id };

	(void)snprintf(identity.path, sizeof(identity.path), "%s", path);
	(void)snprintf(identity.unit, sizeof(identity.unit), "%s", unit);
	return identity;
}

/* hog[77] in hungry.service, whose own limit it is. */
static struct kw_incident sample(struct kw_incident_victim *victim)
{
	struct kw_incident incident = { .kills = 1, .victim_count = 1, .victims = victim };

	*victim = (struct kw_incident_victim){ .victim.task = { .tgid = 77, .comm = "hog" },
					       .cgroup = place(9, "/system.slice/hungry.service",
							       "hungry.service") };
	incident.owner = victim->cgroup;
	incident.oom.flags = KW_OOM_OWNER_KNOWN;
	incident.oom.owner_state.max_bytes = 16 * MIB;
	incident.oom.trigger = (struct kw_task_ref){ .tgid = 77, .comm = "hog" };
	(void)snprintf(incident.id, sizeof(incident.id), "0000");
	return incident;
}

static void assert_sentence(const struct kw_incident *incident, const char *expected)
{
	cleanup_bytes struct kw_bytes out;

	kw_bytes_init(&out, 4096);
	kw_journal_sentence(incident, &out);
	assert_int_equal(kw_bytes_error(&out), 0);
	assert_string_equal(out.data, expected);
}

static void sentences(void **state)
{
	struct kw_incident_victim victim;
	struct kw_incident incident = sample(&victim);

	(void)state;
	assert_sentence(
		&incident,
		"hog[77] in hungry.service was killed: it reached its own limit of 16 MiB; it asked for the memory itself");
	incident.owner = place(8, "/system.slice", "");
	incident.oom.owner_state.max_bytes = 2048 * MIB;
	incident.oom.trigger = (struct kw_task_ref){ .tgid = 5, .comm = "cron" };
	assert_sentence(
		&incident,
		"hog[77] in hungry.service was killed: cgroup /system.slice reached its limit of 2 GiB; the memory was asked for by cron[5]");
	incident.kills = 4;
	incident.oom.flags = KW_OOM_GLOBAL;
	assert_sentence(
		&incident,
		"4 processes, hog[77] in hungry.service the first, were killed: the host itself was out of memory; the memory was asked for by cron[5]");
	incident.oom.flags = 0;
	incident.kills = 1;
	incident.oom.trigger.tgid = 0;
	(void)snprintf(victim.cgroup.cell_id, sizeof(victim.cgroup.cell_id), "web-7");
	assert_sentence(&incident,
			"hog[77] in cell web-7 was killed: whose limit was reached is not known");
	victim.cgroup.cell_id[0] = '\0';
	memset(victim.cgroup.container_id, 'a', 64);
	(void)snprintf(victim.cgroup.pod_uid, sizeof(victim.cgroup.pod_uid), "7-uid");
	assert_sentence(
		&incident,
		"hog[77] in container aaaaaaaaaaaa of pod 7-uid was killed: whose limit was reached is not known");
	(void)snprintf(victim.cgroup.container, sizeof(victim.cgroup.container), "web");
	(void)snprintf(victim.cgroup.pod_name, sizeof(victim.cgroup.pod_name), "cart-7");
	(void)snprintf(victim.cgroup.pod_namespace, sizeof(victim.cgroup.pod_namespace), "shop");
	assert_sentence(
		&incident,
		"hog[77] in container web of pod shop/cart-7 was killed: whose limit was reached is not known");
	incident.victim_count = 0;
	assert_sentence(&incident,
			"an OOM killed nobody that was seen: whose limit was reached is not known");
}

static int listen_here(char *ret_path, size_t size, const char *directory)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	(void)snprintf(ret_path, size, "%s/socket", directory);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/socket", directory);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void a_message_cannot_be_extended_by_a_name(void **state)
{
	cleanup(kw_journal_freep) struct kw_journal *journal = NULL;
	struct kw_incident_victim victim;
	struct kw_incident incident = sample(&victim);
	const struct kw_finding finding = { .kind = KW_FINDING_OOM_INCIDENT,
					    .incident = &incident };
	char path[128], message[16384] = "";
	cleanup_close int fd = listen_here(path, sizeof(path), *state);
	ssize_t n;

	memcpy(victim.victim.task.comm, "x\nPRIORITY=0", 13);
	assert_int_equal(kw_journal_new(path, &journal), 0);
	kw_journal_finding(journal, &finding);
	n = recv(fd, message, sizeof(message) - 1, 0);
	assert_true(n > 0);
	assert_non_null(strstr(message, "MESSAGE_ID=" KW_JOURNAL_OOM "\n"));
	assert_non_null(strstr(message, "\nPRIORITY=4\n"));
	assert_non_null(strstr(message, "\nKWITNESS_UNIT=hungry.service\n"));
	assert_non_null(strstr(message, "\nKWITNESS_VICTIM_COMM=x%0APRIORITY=0\n"));
	assert_null(strstr(message, "\nPRIORITY=0"));
}

static void an_unexplained_counter_is_an_error(void **state)
{
	cleanup(kw_journal_freep) struct kw_journal *journal = NULL;
	struct kw_incident_victim victim;
	struct kw_incident incident = sample(&victim);
	const struct kw_finding finding = { .kind = KW_FINDING_OOM_INCIDENT,
					    .incident = &incident };
	char path[128], message[16384] = "";
	cleanup_close int fd = listen_here(path, sizeof(path), *state);

	incident.verdict = KW_VERDICT_UNEXPLAINED;
	assert_int_equal(kw_journal_new(path, &journal), 0);
	kw_journal_finding(journal, &finding);
	assert_true(recv(fd, message, sizeof(message) - 1, 0) > 0);
	assert_non_null(strstr(message, "MESSAGE_ID=" KW_JOURNAL_UNEXPLAINED "\nPRIORITY=3\n"));
}

static void a_journal_that_does_not_read_holds_nobody_up(void **state)
{
	cleanup(kw_journal_freep) struct kw_journal *journal = NULL;
	struct kw_incident_victim victim;
	struct kw_incident incident = sample(&victim);
	const struct kw_finding finding = { .kind = KW_FINDING_OOM_INCIDENT,
					    .incident = &incident };
	char path[128], message[16384];
	cleanup_close int fd = listen_here(path, sizeof(path), *state);
	unsigned int told = 0;

	assert_int_equal(kw_journal_new(path, &journal), 0);
	for (unsigned int i = 0; i < 20000; i++)
		kw_journal_finding(journal, &finding); /* would hang here if it waited */
	while (recv(fd, message, sizeof(message), 0) > 0)
		told++;
	assert_in_range(told, 1, 19999);
}

static void no_journal_is_no_trouble(void **state)
{
	cleanup(kw_journal_freep) struct kw_journal *journal = NULL;
	struct kw_incident_victim victim;
	struct kw_incident incident = sample(&victim);
	const struct kw_finding finding = { .kind = KW_FINDING_OOM_INCIDENT,
					    .incident = &incident };
	char path[256];

	(void)snprintf(path, sizeof(path), "%.90s/nobody", (const char *)*state);
	assert_int_equal(kw_journal_new(path, &journal), 0);
	kw_journal_finding(journal, &finding);
	kw_journal_finding(NULL, &finding);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	kw_journal_free(journal);
	journal = NULL;
	assert_int_equal(kw_journal_new(path, &journal), -ENAMETOOLONG);
	assert_null(journal);
}

static void a_counter_without_an_event_is_told(void **state)
{
	cleanup(kw_journal_freep) struct kw_journal *journal = NULL;
	struct kw_parity parity = { .cgroup = place(9, "/system.slice/a.service", "a.service"),
				    .item_count = 2,
				    .items = { { .counter = KW_COUNTER_OOM_KILL,
						 .verdict = KW_PARITY_AGREE,
						 .account.kernel = 1 },
					       { .counter = KW_COUNTER_PIDS_MAX,
						 .verdict = KW_PARITY_AGREE,
						 .before = 3,
						 .account.kernel = 5 } } };
	struct kw_finding finding = { .kind = KW_FINDING_PARITY, .parity = &parity };
	char path[128], message[16384] = "";
	cleanup_close int fd = listen_here(path, sizeof(path), *state);
	unsigned int told = 0;

	assert_int_equal(kw_journal_new(path, &journal), 0);
	kw_journal_finding(journal, &finding);
	assert_true(recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT) < 0);
	parity.items[1].verdict = KW_PARITY_MISSED;
	parity.items[1].account.unexplained = 2;
	kw_journal_finding(journal, &finding);
	assert_true(recv(fd, message, sizeof(message) - 1, 0) > 0);
	assert_non_null(strstr(message, "MESSAGE_ID=" KW_JOURNAL_PARITY "\nPRIORITY=3\n"));
	assert_non_null(strstr(
		message,
		"\nMESSAGE=a.service: the kernel's counter pidsMax went from 3 to 5, of which 2 in all are unexplained\n"));
	assert_non_null(strstr(message, "\nKWITNESS_COUNTER=pidsMax\nKWITNESS_VERDICT=missed\n"));
	/* without end, but not without bound; a minute later again */
	for (unsigned int i = 0; i < 100; i++) {
		kw_journal_finding(journal, &finding);
		told += recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT) > 0;
	}
	assert_int_equal(told, 19);
	finding.boot_ns = 61 * KW_NSEC_PER_SEC;
	kw_journal_finding(journal, &finding);
	assert_true(recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT) > 0);
}

static void a_guest_s_lie_is_told(void **state)
{
	cleanup(kw_journal_freep) struct kw_journal *journal = NULL;
	struct kw_cell cell = { .cell_id = "web-7" };
	struct kw_crosscheck crosscheck = { .cell = &cell,
					    .rule = "oom.claimed",
					    .words = "it was nowhere near\nits bound",
					    .count = 2,
					    .verdict = KW_CROSSCHECK_CONFIRMED };
	const struct kw_finding finding = { .kind = KW_FINDING_CROSSCHECK,
					    .crosscheck = &crosscheck };
	char path[128], message[16384] = "";
	cleanup_close int fd = listen_here(path, sizeof(path), *state);

	assert_int_equal(kw_journal_new(path, &journal), 0);
	kw_journal_finding(journal, &finding);
	assert_true(recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT) < 0);
	crosscheck.verdict = KW_CROSSCHECK_CONTRADICTED;
	kw_journal_finding(journal, &finding);
	assert_true(recv(fd, message, sizeof(message) - 1, 0) > 0);
	assert_non_null(strstr(message, "MESSAGE_ID=" KW_JOURNAL_CONTRADICTED "\nPRIORITY=4\n"));
	assert_non_null(strstr(message, "\nMESSAGE=cell web-7: it was nowhere near%0Aits bound\n"));
	assert_non_null(strstr(message, "\nKWITNESS_CELL=web-7\nKWITNESS_RULE=oom.claimed\n"));
	assert_non_null(strstr(message, "\nKWITNESS_COUNT=2\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences),
		cmocka_unit_test_setup_teardown(a_message_cannot_be_extended_by_a_name, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_unexplained_counter_is_an_error, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_journal_that_does_not_read_holds_nobody_up, setup,
						teardown),
		cmocka_unit_test_setup_teardown(no_journal_is_no_trouble, setup, teardown),
		cmocka_unit_test_setup_teardown(a_counter_without_an_event_is_told, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_guest_s_lie_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
