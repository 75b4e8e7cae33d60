/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Listening sockets for guests. The directory of a jailed hypervisor's socket may belong to the jail,
 * so what stands there is hostile: the directory is opened once, without following a link anywhere,
 * and everything after that happens below its descriptor. An owner
 * other than ourselves is set on the inode that bind() has made, not on whatever has its name by then.
 * Sockets: unix(7), vsock(7).
 */
#include "user/capture/gatesocket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <kwitness/names.h>

#include "user/base/cleanup.h"

/* Connections that wait for the gate's accept. */
#define BACKLOG 16

/* The AF_VSOCK listener is everybody's: a thousand guests may start at once. */
#define VSOCK_BACKLOG 1024

/* A socket's name below a directory that is held open. */
struct place {
	int directory_fd;
	const char *name; /* borrowed */
};

/* One directory further. 0; -ELOOP: name is a link; -errno. fd becomes that of the next. */
static int enter(int *fd, const char *name)
{
	int next = openat(*fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat status;
	int error = errno;

	if (next < 0)
		return error == ENOTDIR && fstatat(*fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
				       S_ISLNK(status.st_mode)
			       ? -ELOOP
			       : -error;
	(void)close(*fd);
	*fd = next;
	return 0;
}

/* Opens the directory of path. 0; -ELOOP: there is a link in it; -errno. Step by step: openat2(2) would do it at
 * once, but systemd refuses that to services that may not make setuid files (RestrictSUIDSGID=). */
static int open_place(const char *path, struct place *ret_place)
{
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)], *rest = NULL;
	const char *slash = strrchr(path, '/');
	size_t length = (size_t)(slash - path);
	cleanup_close int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	memcpy(directory, path, length);
	directory[length] = '\0';
	for (char *name = strtok_r(directory, "/", &rest); name && r == 0;
	     name = strtok_r(NULL, "/", &rest))
		r = enter(&fd, name);
	if (r < 0)
		return r;
	ret_place->directory_fd = take_fd(fd);
	ret_place->name = slash + 1;
	return 0;
}

static void place_close(const struct place *place)
{
	kw_cleanup_close_fd(&place->directory_fd);
}

/* The address of a place, whatever its directory is called by now (proc(5), /proc/self/fd). */
static int address_of(const struct place *place, struct sockaddr_un *ret_address)
{
	int length;

	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	length = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path),
			  "/proc/self/fd/%d/%s", place->directory_fd, place->name);
	return length < 0 || (size_t)length >= sizeof(ret_address->sun_path) ? -ENAMETOOLONG : 0;
}

/* Whether nobody listens at address any more. Anything but a clear refusal counts as alive. */
static bool is_stale(const struct sockaddr_un *address)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
	       errno == ECONNREFUSED;
}

/* Unlinks a socket that an ended process has left. 0, -EEXIST: no socket; -EADDRINUSE: it lives. */
static int remove_stale(const struct place *place, const struct sockaddr_un *address)
{
	struct stat status;

	if (fstatat(place->directory_fd, place->name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(status.st_mode))
		return -EEXIST;
	if (!is_stale(address))
		return -EADDRINUSE;
	return unlinkat(place->directory_fd, place->name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_at(const struct place *place, int fd)
{
	struct sockaddr_un address;
	int r = address_of(place, &address);

	if (r < 0)
		return r;
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	if (r != -EADDRINUSE)
		return r;
	r = remove_stale(place, &address);
	if (r == 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		r = -errno;
	return r;
}

/*
 * Gives the socket's inode to access. Until here it was ours alone, mode 0600, and nobody listened. An
 * owner of the directory may have put something else under its name meanwhile; so it must be a socket
 * of ours that has no other name. Another socket of ours, moved there, is the worst that it can be.
 */
static int give(const struct place *place, const struct kw_socket_access *access,
		struct kw_gatesocket_file *file)
{
	cleanup_close int fd =
		openat(place->directory_fd, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	char link[40];
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1)
		return -EEXIST;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	if ((access->uid != (uid_t)-1 || access->gid != (gid_t)-1) &&
	    fchownat(fd, "", access->uid, access->gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (access->mode == 0600)
		return 0;
	/* No chmod takes an O_PATH descriptor before 6.6; its name in /proc leads to the inode. */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return chmod(link, access->mode) < 0 ? -errno : 0;
}

static int path_of(const char *base, struct kw_gatesocket_file *file)
{
	int length = snprintf(file->path, sizeof(file->path), "%s%s", base, KW_GUEST_SOCKET_SUFFIX);

	if (base[0] != '/')
		return -EINVAL;
	return length < 0 || (size_t)length >= sizeof(file->path) ? -ENAMETOOLONG : 0;
}

int kw_gatesocket_find(const char *base, uint64_t inode, struct kw_gatesocket_file *ret_file)
{
	cleanup(place_close) struct place place = { .directory_fd = -1, .name = "" };
	struct kw_gatesocket_file file = { .inode = inode };
	struct stat status;
	int r = path_of(base, &file);

	if (r == 0)
		r = open_place(file.path, &place);
	if (r < 0)
		return r;
	if (fstatat(place.directory_fd, place.name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISSOCK(status.st_mode) || status.st_ino != inode)
		return -ENOENT;
	file.device = status.st_dev;
	*ret_file = file;
	return 0;
}

int kw_gatesocket_bind_unix(const char *base, const struct kw_socket_access *access,
			    struct kw_gatesocket_file *ret_file, int *ret_fd)
{
	cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	cleanup(place_close) struct place place = { .directory_fd = -1, .name = "" };
	struct kw_gatesocket_file file = { .inode = 0 };
	int r;

	if (fd < 0)
		return -errno;
	r = path_of(base, &file);
	if (r == 0)
		r = open_place(file.path, &place);
	if (r < 0)
		return r;
	/* The file that bind() makes gets the socket's own mode (net/unix/af_unix.c,
	 * unix_bind_bsd()): no moment in which others could connect, no change of umask. */
	if (fchmod(fd, 0600) < 0)
		return -errno;
	r = bind_at(&place, fd);
	if (r < 0)
		return r;
	r = give(&place, access, &file);
	if (r == 0 && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0) {
		kw_gatesocket_unlink(&file);
		return r;
	}
	*ret_file = file;
	*ret_fd = take_fd(fd);
	return 0;
}

void kw_gatesocket_unlink(const struct kw_gatesocket_file *file)
{
	cleanup(place_close) struct place place = { .directory_fd = -1, .name = "" };
	struct stat status;

	if (!file->path[0] || file->inode == 0 || open_place(file->path, &place) < 0)
		return;
	if (fstatat(place.directory_fd, place.name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    status.st_dev == file->device && status.st_ino == file->inode)
		(void)unlinkat(place.directory_fd, place.name, 0);
}

int kw_gatesocket_bind_vsock(int *ret_fd)
{
	const struct sockaddr_vm address = { .svm_family = AF_VSOCK,
					     .svm_cid = VMADDR_CID_ANY,
					     .svm_port = KW_GUEST_PORT };
	cleanup_close int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, VSOCK_BACKLOG) < 0)
		return -errno;
	*ret_fd = take_fd(fd);
	return 0;
}

static int option_of(int fd, int name)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? -1 : value;
}

int kw_gatesocket_copy(int fd, int family, int *ret_fd)
{
	cleanup_close int copy = -1;
	int flags;

	if (option_of(fd, SO_DOMAIN) != family || option_of(fd, SO_TYPE) != SOCK_STREAM ||
	    option_of(fd, SO_ACCEPTCONN) != 1)
		return -EINVAL;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return -errno;
	flags = fcntl(copy, F_GETFL);
	if (flags < 0 || fcntl(copy, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	*ret_fd = take_fd(copy);
	return 0;
}
