/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Finding a place in a compressed segment; private to deliver. */
#include <stdint.h>

/* Positions fd, a compressed segment, at the frame that has the byte at offset of the text, or at the first one that
 * does not say how long it is. *ret_start: where in the text that frame begins. 0; -EBADMSG: no frames; -errno. */
int kw_frames_seek(int fd, uint64_t offset, uint64_t *ret_start);
