/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What a key file must be like. Private to the room. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"

/* Whether nobody but root and ourselves may read the open file. 0 or -EPERM. */
int kw_key_check_access(int fd, const struct stat *status) kw_must_check;
