/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* Lines of a file from its end to its start; private to deliver. Memory: one line of KW_LINE_MAX. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct kw_backward {
	int fd;	      /* borrowed */
	off_t end;    /* behind the next unit; 0: nothing is left */
	char *buffer; /* owned: what stands in the file from base on */
	size_t have;
	off_t base;
};

/* What lies between two newlines, or behind the last one; of a line in a CellOS envelope, what stands in it. */
struct kw_backward_unit {
	const char *text; /* without the newline; NULL: longer than KW_LINE_MAX; borrowed */
	size_t length;
	off_t start;
	bool whole;	/* it ends in a newline */
	bool enveloped; /* text stood in a CellOS envelope */
};

int kw_backward_init(struct kw_backward *backward, int fd, off_t end);
void kw_backward_done(struct kw_backward *backward);
/* 1: a unit; 0: none is left; -errno. */
int kw_backward_next(struct kw_backward *backward, struct kw_backward_unit *ret_unit);
