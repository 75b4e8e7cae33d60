/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sink. One write per message, so that lines of the daemon and of the gate never mix. Under
 * systemd (JOURNAL_STREAM is set) each line carries its priority (sd-daemon(3)).
 */
#include "user/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "user/base/file.h"
#include "user/base/text.h"

#define LINE_MAX_BYTES 2048U

static struct {
	const char *program;
	int maximum;
	bool prefix;
} sink = { "kwitness", LOG_INFO, false };

void kw_log_setup(const char *program, int maximum)
{
	sink.program = program;
	sink.maximum = maximum;
	sink.prefix = getenv("JOURNAL_STREAM") != NULL;
}

static void write_line(int priority, const char *message)
{
	cleanup_bytes struct kw_bytes line;

	kw_bytes_init(&line, 2 * LINE_MAX_BYTES);
	if (sink.prefix)
		kw_bytes_append_format(&line, "<%d>", priority);
	kw_bytes_append_format(&line, "%s: ", sink.program);
	/* Messages quote names from outside; a control character must not forge a second line. */
	kw_text_append_printable(&line, message, strlen(message));
	kw_bytes_append_char(&line, '\n');
	if (kw_bytes_error(&line) == 0 &&
	    kw_file_write_all(STDERR_FILENO, line.data, line.length) < 0)
		return; /* nowhere left to say it */
}

void kw_log(int priority, const char *format, ...)
{
	char message[LINE_MAX_BYTES];
	va_list arguments;

	if (priority > sink.maximum)
		return;
	va_start(arguments, format);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	write_line(priority, message);
}

int kw_log_error(int error, const char *format, ...)
{
	char message[LINE_MAX_BYTES];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	length = strlen(message);
	(void)snprintf(message + length, sizeof(message) - length, ": %s", strerror(-error));
	write_line(LOG_ERR, message);
	return error;
}
