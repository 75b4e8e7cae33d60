/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/* What doctor.c (hooks, output) and doctor_checks.c (the host around them) share. */
#include <stdbool.h>

#include <jansson.h>

#include "user/cli/cli.h"

/* Where to look. Borrowed. */
struct kw_doctor {
	const char *runtime;
	const char *ledger;
	const char *cgroup_root;
	const char *gate; /* NULL: beside this program, else in the usual place */
	json_t *checks;
	bool is_lost; /* a check found something that is lost */
};

enum kw_doctor_result {
	KW_DOCTOR_OK,
	KW_DOCTOR_LOST, /* something is not recorded, or not kept, because of it */
	KW_DOCTOR_NOTE, /* worth knowing; nothing is lost */
};

/* Looks at everything but the hooks; each thing becomes {check, result, words} in doctor->checks. */
void kw_doctor_check_all(struct kw_doctor *doctor);

/* The path of a program of ours: beside this one, else in ../sbin. 0 or -errno. */
int kw_doctor_find(const char *name, char *ret_path, size_t size) kw_must_check;
