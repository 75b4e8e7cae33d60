/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sends guest frames, as the demo and the VM tests need them: good ones, or bytes as they are. Prints
 * what it sent as JSON lines, which is the truth that the ledger is compared with. Static and plain C,
 * so that it runs in a bare guest; it shares no code with the gate, so that a fault in the gate's
 * reading of the format is not made twice.
 *
 * sendframes (--uds PATH | --cid N [--port N]) [--count N] [--interval-ms N] [--probe NAME]
 *            [--pid N] [--comm TEXT] [--raw FILE] [--hold-ms N]
 *            [--seq N [--seq-step N]] [--dropped N] [--boot-id TEXT] [--clock-percent N]
 * With one of the last line frames are of minor version 0x0101. --clock-percent: the guest's clock runs so
 * fast against the host's since the first frame (100: honest; 0: it stands still).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/vm_sockets.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PREFIX_BYTES 4
#define BODY_MAX 4096
#define RAW_MAX (1 << 20)

struct request {
	const char *uds;
	unsigned long cid; /* 0: not given */
	unsigned long port;
	unsigned long count;
	unsigned long interval_ms;
	unsigned long hold_ms; /* keeps the connection so long after the last byte */
	unsigned long pid;
	const char *probe;
	const char *comm;
	const char *raw;
	unsigned long seq; /* 0: none */
	unsigned long seq_step;
	unsigned long dropped;
	unsigned long clock_percent;
	const char *boot_id;
	int has_minor;
};

struct frame {
	size_t length;
	unsigned char bytes[PREFIX_BYTES + BODY_MAX];
};

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "sendframes: %s: %s\n", what, strerror(errno));
	exit(3);
}

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: sendframes (--uds PATH | --cid N [--port N]) [--count N] "
			"[--interval-ms N] [--probe NAME] [--pid N] [--comm TEXT] [--raw FILE] "
			"[--hold-ms N] [--seq N [--seq-step N]] [--dropped N] [--boot-id TEXT] "
			"[--clock-percent N]\n");
	exit(2);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void sleep_ms(unsigned long ms)
{
	struct timespec left = { .tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

/* ---- CBOR (RFC 8949, section 3) ---- */

static void put(struct frame *frame, const void *bytes, size_t length)
{
	if (length > sizeof(frame->bytes) - frame->length) {
		errno = EMSGSIZE;
		fail("frame");
	}
	memcpy(frame->bytes + frame->length, bytes, length);
	frame->length += length;
}

static void put_head(struct frame *frame, unsigned int major, uint64_t value)
{
	unsigned char head[9];
	size_t length = 1;
	unsigned int info;

	if (value < 24) {
		info = (unsigned int)value;
	} else if (value <= UINT8_MAX) {
		info = 24;
		length += 1;
	} else if (value <= UINT16_MAX) {
		info = 25;
		length += 2;
	} else if (value <= UINT32_MAX) {
		info = 26;
		length += 4;
	} else {
		info = 27;
		length += 8;
	}
	head[0] = (unsigned char)(major << 5 | info);
	for (size_t i = length - 1; i > 0; i--) {
		head[i] = (unsigned char)value;
		value >>= 8;
	}
	put(frame, head, length);
}

static void put_text(struct frame *frame, const char *text)
{
	put_head(frame, 3, strlen(text));
	put(frame, text, strlen(text));
}

static void put_pair(struct frame *frame, const char *key, uint64_t value)
{
	put_text(frame, key);
	put_head(frame, 0, value);
}

/* What minor version 0x0101 adds. */
static void put_minor(struct frame *frame, const struct request *request, unsigned long number)
{
	if (request->seq)
		put_pair(frame, "seq", request->seq + number * request->seq_step);
	if (request->dropped)
		put_pair(frame, "dropped", request->dropped);
	if (request->boot_id) {
		put_text(frame, "boot_id");
		put_text(frame, request->boot_id);
	}
}

static void make_frame(struct frame *frame, const struct request *request, unsigned long number,
		       uint64_t guest_ns)
{
	size_t body;

	frame->length = PREFIX_BYTES;
	put_head(frame, 5,
		 5U + (request->seq != 0) + (request->dropped != 0) + (request->boot_id != NULL));
	put_text(frame, "content_version");
	put_head(frame, 0, request->has_minor ? 0x0101 : 0x0100);
	put_text(frame, "probe_source");
	put_text(frame, request->probe);
	put_text(frame, "guest_pid");
	put_head(frame, 0, request->pid);
	put_text(frame, "guest_comm");
	put_text(frame, request->comm);
	put_text(frame, "guest_monotonic_ns");
	put_head(frame, 0, guest_ns);
	put_minor(frame, request, number);
	body = frame->length - PREFIX_BYTES;
	for (size_t i = 0; i < PREFIX_BYTES; i++)
		frame->bytes[i] = (unsigned char)(body >> (8 * i));
}

/* ---- sending ---- */

static int connect_uds(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		fail(path);
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail(path);
	return fd;
}

static int connect_vsock(unsigned int cid, unsigned int port)
{
	const struct sockaddr_vm address = { .svm_family = AF_VSOCK,
					     .svm_cid = cid,
					     .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		fail("vsock");
	return fd;
}

static void send_all(int fd, const unsigned char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			fail("send");
		bytes += sent;
		length -= (size_t)sent;
	}
}

static void send_raw(int fd, const char *path)
{
	unsigned char *bytes = malloc(RAW_MAX);
	size_t length = 0;
	ssize_t n = 0;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (!bytes || file < 0)
		fail(path);
	while (length < RAW_MAX && (n = read(file, bytes + length, RAW_MAX - length)) > 0)
		length += (size_t)n;
	if (n < 0)
		fail(path);
	(void)close(file);
	send_all(fd, bytes, length);
	free(bytes);
	printf("{\"sent\":\"raw\",\"bytes\":%zu}\n", length);
}

static void print_text(const char *name, const char *text)
{
	printf(",\"%s\":\"", name);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\' || c < 0x20 || c == 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

static void send_frames(int fd, const struct request *request)
{
	static struct frame frame;
	uint64_t begin_ns = monotonic_ns();

	for (unsigned long i = 0; i < request->count; i++) {
		uint64_t guest_ns;

		if (i > 0 && request->interval_ms > 0)
			sleep_ms(request->interval_ms);
		guest_ns = begin_ns + (monotonic_ns() - begin_ns) / 100 * request->clock_percent;
		make_frame(&frame, request, i, guest_ns);
		send_all(fd, frame.bytes, frame.length);
		printf("{\"sent\":\"frame\",\"number\":%lu,\"bytes\":%zu", i + 1, frame.length);
		print_text("probeSource", request->probe);
		printf(",\"guestPid\":%lu", request->pid);
		print_text("guestComm", request->comm);
		printf(",\"guestMonotonicNs\":\"%llu\"}\n", (unsigned long long)guest_ns);
		(void)fflush(stdout);
	}
}

static unsigned long number(const char *text, unsigned long maximum)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || text[0] == '-' || value > maximum)
		usage();
	return value;
}

static void parse_minor(int option, struct request *request)
{
	switch (option) {
	case 's':
		request->seq = number(optarg, UINT32_MAX);
		break;
	case 't':
		request->seq_step = number(optarg, UINT32_MAX);
		break;
	case 'x':
		request->dropped = number(optarg, UINT32_MAX);
		break;
	case 'b':
		request->boot_id = optarg;
		break;
	case 'k':
		request->clock_percent = number(optarg, 1000);
		break;
	default:
		usage();
	}
}

static void parse_options(int argc, char **argv, struct request *request)
{
	static const struct option options[] = {
		{ "uds", required_argument, NULL, 'u' },
		{ "cid", required_argument, NULL, 'c' },
		{ "port", required_argument, NULL, 'o' },
		{ "count", required_argument, NULL, 'n' },
		{ "interval-ms", required_argument, NULL, 'i' },
		{ "probe", required_argument, NULL, 'p' },
		{ "pid", required_argument, NULL, 'd' },
		{ "comm", required_argument, NULL, 'm' },
		{ "raw", required_argument, NULL, 'r' },
		{ "hold-ms", required_argument, NULL, 'h' },
		{ "seq", required_argument, NULL, 's' },
		{ "seq-step", required_argument, NULL, 't' },
		{ "dropped", required_argument, NULL, 'x' },
		{ "boot-id", required_argument, NULL, 'b' },
		{ "clock-percent", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'u':
			request->uds = optarg;
			break;
		case 'c':
			request->cid = number(optarg, UINT32_MAX);
			break;
		case 'o':
			request->port = number(optarg, UINT32_MAX);
			break;
		case 'n':
			request->count = number(optarg, UINT32_MAX);
			break;
		case 'i':
			request->interval_ms = number(optarg, 3600000);
			break;
		case 'h':
			request->hold_ms = number(optarg, 3600000);
			break;
		case 'd':
			request->pid = number(optarg, UINT32_MAX);
			break;
		case 'p':
			request->probe = optarg;
			break;
		case 'm':
			request->comm = optarg;
			break;
		case 'r':
			request->raw = optarg;
			break;
		default:
			parse_minor(option, request);
		}
	}
	if (optind != argc || (request->uds != NULL) == (request->cid != 0))
		usage();
}

int main(int argc, char **argv)
{
	struct request request = {
		.port = 9001,
		.count = 1,
		.pid = (unsigned long)getpid(),
		.probe = "process.spawned",
		.comm = "sendframes",
		.seq_step = 1,
		.clock_percent = 100,
	};
	int fd;

	parse_options(argc, argv, &request);
	request.has_minor = request.seq || request.dropped || request.boot_id;
	fd = request.uds ? connect_uds(request.uds)
			 : connect_vsock((unsigned int)request.cid, (unsigned int)request.port);
	if (request.raw)
		send_raw(fd, request.raw);
	else
		send_frames(fd, &request);
	(void)fflush(stdout);
	if (request.hold_ms > 0)
		sleep_ms(request.hold_ms);
	(void)close(fd);
	return 0;
}
