/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* kwitnessd: options, start, loop, end. */
#include "user/daemon/daemon.h"

#include <errno.h>
#include <kwitness/names.h>
#include <signal.h>

#include "user/base/file.h"
#include "user/base/log.h"

static int detach(const struct kw_settings *settings)
{
	int r = kw_hooks_detach(settings->pins);

	if (r < 0) {
		(void)kw_log_error(r, "cannot remove \"%s\"", settings->pins);
		return KW_EXIT_FAIL;
	}
	return KW_EXIT_OK;
}

/* For doctor: what the kernel would let us have, and nothing is recorded or kept. */
static int try_hooks(const struct kw_settings *settings)
{
	cleanup(kw_hooks_freep) struct kw_hooks *hooks = NULL;
	struct kw_hooks_options options = { .ceiling = settings->tier, .clock = &kw_clock_system };
	cleanup_bytes struct kw_bytes text;
	bool adopted;
	int r = kw_hooks_open(&options, &hooks, &adopted);

	kw_bytes_init(&text, 64 * 1024);
	if (r == 0)
		r = kw_hooks_report(hooks, "", &text);
	if (r == 0)
		r = kw_file_write_all(STDOUT_FILENO, text.data, text.length);
	if (r < 0)
		(void)kw_log_error(r, "cannot try the hooks");
	return r < 0 ? KW_EXIT_FAIL : KW_EXIT_OK;
}

static int run(struct kw_settings *settings, int argc, char **argv)
{
	struct kw_daemon daemon;
	int code = KW_EXIT_FAIL;

	/* A consumer of stdout that goes away must be an error code, not the end of the daemon. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (kw_startup(&daemon, settings) == 0) {
		daemon.argc = argc;
		daemon.argv = argv;
		code = kw_loop_run(&daemon);
	}
	kw_shutdown(&daemon);
	return code;
}

int main(int argc, char **argv)
{
	cleanup(kw_settings_done) struct kw_settings settings;
	int code = KW_EXIT_FAIL, r;

	kw_log_setup("kwitnessd", LOG_INFO);
	r = kw_settings_init(&settings);
	if (r < 0) {
		(void)kw_log_error(r, "cannot set defaults");
		return KW_EXIT_FAIL;
	}
	if (kw_options_parse(argc, argv, &settings, &code) != 0)
		return code;
	if (settings.verbose)
		kw_log_setup("kwitnessd", LOG_DEBUG);
	if (settings.check_only) {
		kw_settings_print(&settings);
		return KW_EXIT_OK;
	}
	if (settings.try_hooks)
		return try_hooks(&settings);
	return settings.detach ? detach(&settings) : run(&settings, argc, argv);
}
