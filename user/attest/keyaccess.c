/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who may read a private key's file. Beside the owner's own 0600 there is one form that is as good:
 * systemd's credentials (src/core/credential.c, since 254) belong to root, 0400, and an access control list
 * lets the service's user read them; the mode then shows the list's mask as the group's, 0440. So the list
 * itself is read (acl(5); its bytes: include/uapi/linux/posix_acl_xattr.h).
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "user/attest/key.h"

#define ACL_NAME "system.posix_acl_access"
#define ACL_VERSION 2
#define ACL_ENTRIES_MAX 16

enum acl_tag { USER_OWNER = 1, USER = 2, GROUP_OWNER = 4, GROUP = 8, MASK = 16, OTHER = 32 };

struct acl {
	uint32_t version; /* little endian, all of it */
	struct {
		uint16_t tag;
		uint16_t permissions;
		uint32_t id;
	} entries[ACL_ENTRIES_MAX];
};
_Static_assert(sizeof(struct acl) == 4 + 8 * ACL_ENTRIES_MAX, "as the kernel has it");

/* Whether nobody but the file's owner and ourselves may read it. */
static bool only_for_us(int fd)
{
	struct acl acl;
	ssize_t size = fgetxattr(fd, ACL_NAME, &acl, sizeof(acl));

	if (size < 4 || (size - 4) % 8 != 0 || le32toh(acl.version) != ACL_VERSION)
		return false;
	for (ssize_t i = 0; i < (size - 4) / 8; i++) {
		uint16_t tag = le16toh(acl.entries[i].tag);

		if (acl.entries[i].permissions == 0 || tag == USER_OWNER || tag == MASK ||
		    (tag == USER && le32toh(acl.entries[i].id) == geteuid()))
			continue;
		return false;
	}
	return true;
}

int kw_key_check_access(int fd, const struct stat *status)
{
	mode_t mode = status->st_mode & 0777;

	if (status->st_uid != geteuid() && status->st_uid != 0)
		return -EPERM;
	if ((mode & 077) == 0)
		return 0;
	/* A mask and no more: of root's file, read-only, not for the others. */
	if (status->st_uid == 0 && (mode & ~(mode_t)0600) == 0040 && only_for_us(fd))
		return 0;
	return -EPERM;
}
