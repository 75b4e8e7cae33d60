/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Status and metrics over HTTP on a Unix socket, by libmicrohttpd inside our own event loop, below everything else in
 * priority. Nothing can be changed through it: GET alone, four pages, no page has a secret. /events follows
 * the ledger with a cursor of its own, as every reader does: a slow one holds nobody up but itself.
 * Server-sent events: HTML Living Standard, section 9.2.
 */
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "user/base/log.h"
#include "user/base/text.h"
#include "user/daemon/status.h"

#define BACKLOG 16
#define TIMEOUT_SECONDS 30U
#define BLOCK_BYTES 16384U
#define MEMORY_PER_CONNECTION 32768U

/* One reader of /events. */
struct follower {
	struct kw_http *http;
	struct MHD_Connection *connection;
	struct kw_cursor *cursor;
	struct kw_bytes pending; /* an event that did not fit into one block */
	size_t sent;		 /* of pending */
	bool is_suspended;
	struct follower *next;
};

struct kw_http {
	struct kw_daemon *daemon;
	struct MHD_Daemon *server;
	sd_event_source *source;
	struct follower *followers;
	uint64_t sequence; /* of the ledger when followers were last woken */
	int listener;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned int code, const char *type,
			     const void *data, size_t length)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	/* libmicrohttpd copies, and does not write to what it copies. */
	response = MHD_create_response_from_buffer(length, (void *)(uintptr_t)data,
						   MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	result = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned int code,
				  const char *text)
{
	return reply(connection, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result page_metrics(struct kw_http *http, struct MHD_Connection *connection)
{
	cleanup_bytes struct kw_bytes page;

	kw_bytes_init(&page, KW_HTTP_PAGE_MAX);
	kw_metrics_write(http->daemon, &page);
	if (kw_bytes_error(&page) < 0)
		return reply_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "too long\n");
	return reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", page.data,
		     page.length);
}

static enum MHD_Result page_status(struct kw_http *http, struct MHD_Connection *connection)
{
	cleanup_bytes struct kw_bytes page;

	kw_bytes_init(&page, KW_HTTP_PAGE_MAX);
	if (kw_status_write(http->daemon, &page) < 0)
		return reply_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory\n");
	return reply(connection, MHD_HTTP_OK, "application/json", page.data, page.length);
}

static enum MHD_Result page_health(struct kw_http *http, struct MHD_Connection *connection)
{
	const char *trouble = kw_status_trouble(http->daemon);

	return reply_text(connection, trouble ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
			  trouble ? trouble : "ok\n");
}

/* ---- /events ---- */

static void follower_free(void *context)
{
	struct follower *follower = context;

	for (struct follower **at = &follower->http->followers; *at; at = &(*at)->next) {
		if (*at == follower) {
			*at = follower->next;
			break;
		}
	}
	kw_cursor_free(follower->cursor);
	kw_bytes_done(&follower->pending);
	free(follower);
}

/* Makes the next event in pending. 1; 0: none yet; -errno. */
static int follow(struct follower *follower)
{
	const char *line;
	size_t length;
	int r = kw_cursor_next(follower->cursor, &line, &length);

	if (r <= 0)
		return r == -EMSGSIZE ? 0 : r;
	/* A line is canonical JSON: no line feed is in it, which would end the field. */
	kw_bytes_clear(&follower->pending);
	follower->sent = 0;
	kw_bytes_append_string(&follower->pending, "data: ");
	kw_bytes_append(&follower->pending, line, length);
	kw_bytes_append_string(&follower->pending, "\n\n");
	return kw_bytes_error(&follower->pending) < 0 ? -ENOMEM : 1;
}

static ssize_t read_events(void *context, uint64_t position, char *buffer, size_t size)
{
	struct follower *follower = context;
	size_t left;

	(void)position;
	if (follower->sent == follower->pending.length) {
		int r = follow(follower);

		if (r < 0)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (r == 0) {
			follower->is_suspended = true;
			MHD_suspend_connection(follower->connection);
			return 0;
		}
	}
	left = follower->pending.length - follower->sent;
	if (left > size)
		left = size;
	memcpy(buffer, follower->pending.data + follower->sent, left);
	follower->sent += left;
	return (ssize_t)left;
}

/* ?from=SEQUENCE; without it only what comes. false: not a number. */
static bool wanted_sequence(struct MHD_Connection *connection, uint64_t *ret_sequence)
{
	const char *from = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "from");

	*ret_sequence = UINT64_MAX;
	return !from || kw_text_parse_u64(from, strlen(from), ret_sequence) == 0;
}

static enum MHD_Result page_events(struct kw_http *http, struct MHD_Connection *connection)
{
	struct MHD_Response *response;
	struct follower *follower;
	enum MHD_Result result;
	uint64_t sequence;

	if (!wanted_sequence(connection, &sequence))
		return reply_text(connection, MHD_HTTP_BAD_REQUEST, "from= takes a sequence\n");
	follower = calloc(1, sizeof(*follower));
	if (!follower)
		return MHD_NO;
	kw_bytes_init(&follower->pending, KW_LINE_MAX + 16);
	follower->http = http;
	follower->connection = connection;
	if (kw_cursor_open(http->daemon->settings->ledger, sequence, &follower->cursor) < 0) {
		follower_free(follower);
		return reply_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "no ledger\n");
	}
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_events,
						     follower, follower_free);
	if (!response) {
		follower_free(follower);
		return MHD_NO;
	}
	follower->next = http->followers;
	http->followers = follower;
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	result = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

static void wake_followers(struct kw_http *http)
{
	for (struct follower *at = http->followers; at; at = at->next) {
		if (!at->is_suspended)
			continue;
		at->is_suspended = false;
		MHD_resume_connection(at->connection);
	}
}

/* ---- the server ---- */

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	static const struct {
		const char *url;
		enum MHD_Result (*page)(struct kw_http *http, struct MHD_Connection *connection);
	} pages[] = {
		{ "/metrics", page_metrics },
		{ "/status", page_status },
		{ "/healthz", page_health },
		{ "/events", page_events },
	};

	(void)version, (void)upload, (void)upload_size, (void)state;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
	for (size_t i = 0; i < kw_array_size(pages); i++) {
		if (strcmp(url, pages[i].url) == 0)
			return pages[i].page(context, connection);
	}
	return reply_text(connection, MHD_HTTP_NOT_FOUND,
			  "/metrics /status /healthz /events?from=SEQUENCE\n");
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *context)
{
	const struct kw_http *http = context;

	(void)source, (void)fd, (void)events;
	(void)MHD_run(http->server);
	return 0;
}

/* A socket that a dead daemon left is replaced; anything else there is not ours. The ledger's lock has
 * made sure that no other daemon of this ledger lives. */
static int listen_at(struct kw_http *http)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat status;
	cleanup_close int fd = -1;

	memcpy(address.sun_path, http->path, sizeof(address.sun_path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (lstat(http->path, &status) == 0 && S_ISSOCK(status.st_mode) &&
	    status.st_uid == geteuid() && unlink(http->path) < 0)
		return -errno;
	/* Readers are members of our group; before listen() nobody can connect. */
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chmod(http->path, 0660) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	http->listener = take_fd(fd);
	return 0;
}

static int serve(struct kw_http *http)
{
	const union MHD_DaemonInfo *info;
	int r;

	http->server = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http,
		MHD_OPTION_LISTEN_SOCKET, http->listener, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)KW_HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		TIMEOUT_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
		MHD_OPTION_END);
	if (!http->server)
		return -EIO;
	http->listener = -1; /* libmicrohttpd closes it */
	info = MHD_get_daemon_info(http->server, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	r = sd_event_add_io(http->daemon->event, &http->source, info->epoll_fd, EPOLLIN, on_ready,
			    http);
	if (r < 0)
		return r;
	(void)sd_event_source_set_description(http->source, "http");
	return sd_event_source_set_priority(http->source, 50);
}

static struct kw_http *new_http(struct kw_daemon *daemon)
{
	struct kw_http *http = calloc(1, sizeof(*http));

	if (http) {
		http->daemon = daemon;
		http->listener = -1;
	}
	return http;
}

/* On the socket of the settings. 0 or -errno; what there is of http then is the caller's to free. */
static int start_bound(struct kw_http *http, const char *name)
{
	const char *runtime = http->daemon->settings->runtime;
	int length = name[0] == '/'
			     ? snprintf(http->path, sizeof(http->path), "%s", name)
			     : snprintf(http->path, sizeof(http->path), "%s/%s", runtime, name);
	int r = length < 0 || (size_t)length >= sizeof(http->path) ? -ENAMETOOLONG
								   : listen_at(http);

	return r < 0 ? r : serve(http);
}

/* On one that was handed in; its owner, mode or address is the unit's. */
static int start_handed(struct kw_http *http, int fd)
{
	(void)snprintf(http->path, sizeof(http->path), "%s", "the socket that was handed in");
	http->listener = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (http->listener < 0 || fcntl(http->listener, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return serve(http);
}

static struct kw_http *start(struct kw_daemon *daemon, const char *name, int fd)
{
	struct kw_http *http = new_http(daemon);
	int r = !http ? -ENOMEM : fd >= 0 ? start_handed(http, fd) : start_bound(http, name);

	if (r == 0)
		return http;
	(void)kw_log_error(r, "cannot serve status and metrics on \"%s\"",
			   http ? http->path : name);
	kw_http_free(http);
	return NULL;
}

void kw_http_start(struct kw_daemon *daemon)
{
	if (daemon->settings->http[0])
		daemon->http = start(daemon, daemon->settings->http, -1);
	if (daemon->activation.http_fd >= 0)
		daemon->http_handed = start(daemon, "", daemon->activation.http_fd);
}

static void turn(struct kw_http *http)
{
	uint64_t sequence;

	if (!http)
		return;
	sequence = kw_attest_head(http->daemon->pipeline.attest).sequence;
	if (sequence != http->sequence) {
		http->sequence = sequence;
		wake_followers(http);
	}
	(void)MHD_run(http->server);
}

void kw_http_turn(struct kw_daemon *daemon)
{
	turn(daemon->http);
	turn(daemon->http_handed);
}

void kw_http_free(struct kw_http *http)
{
	if (!http)
		return;
	sd_event_source_unref(http->source);
	/* A connection must not be suspended when its server stops (microhttpd.h). */
	wake_followers(http);
	if (http->server)
		MHD_stop_daemon(http->server);
	if (http->listener >= 0)
		(void)close(http->listener);
	free(http);
}
