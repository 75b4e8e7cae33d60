/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Ownership helpers. An owning local carries a cleanup attribute and an initialiser, and leaves its
 * function only through take_ptr() or take_fd(): so each function can be judged leak-free alone.
 */
#include <stdlib.h>
#include <unistd.h>

#define kw_must_check __attribute__((warn_unused_result))
#define kw_printf(text, first) __attribute__((__format__(__printf__, text, first)))
#define kw_unused __attribute__((unused))
#define kw_export __attribute__((visibility("default")))
#define kw_unreachable() __builtin_unreachable()

#define kw_array_size(array) (sizeof(array) / sizeof((array)[0]))

#define cleanup(function) __attribute__((cleanup(function)))

/* Defines <free_function>p(type **), for cleanup(<free_function>p). */
#define KW_DEFINE_CLEANUP(type, free_function)                                                     \
	static inline void free_function##p(type *pointer)                                         \
	{                                                                                          \
		if (*pointer)                                                                      \
			free_function(*pointer);                                                   \
	}

static inline void kw_cleanup_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void kw_cleanup_close_fd(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

#define cleanup_free cleanup(kw_cleanup_free_pointer)
#define cleanup_close cleanup(kw_cleanup_close_fd)

#define take_ptr(pointer)                                                                          \
	({                                                                                         \
		__auto_type taken_ptr_ = (pointer);                                                \
		(pointer) = NULL;                                                                  \
		taken_ptr_;                                                                        \
	})

#define take_fd(fd)                                                                                \
	({                                                                                         \
		int taken_fd_ = (fd);                                                              \
		(fd) = -1;                                                                         \
		taken_fd_;                                                                         \
	})
