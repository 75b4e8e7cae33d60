/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The faults' names, as `kwitness verify` prints them and docs/ledger.md lists them. */
#include "user/verify/verify.h"

const char *kw_fault_name(enum kw_fault fault)
{
	static const char *const names[KW_FAULT_COUNT_] = {
		[KW_FAULT_MALFORMED] = "malformed",
		[KW_FAULT_TOO_LONG] = "too_long",
		[KW_FAULT_TORN] = "torn",
		[KW_FAULT_UNSIGNED] = "unsigned",
		[KW_FAULT_UNKNOWN_KEY] = "unknown_key",
		[KW_FAULT_SIGNATURE] = "signature",
		[KW_FAULT_DIGEST] = "digest",
		[KW_FAULT_CHAIN] = "chain",
		[KW_FAULT_SEQUENCE_MISSING] = "sequence_missing",
		[KW_FAULT_SEQUENCE_REPEATED] = "sequence_repeated",
		[KW_FAULT_SEQUENCE_ORDER] = "sequence_order",
		[KW_FAULT_SOURCE] = "source",
		[KW_FAULT_START] = "start",
		[KW_FAULT_NOTE] = "note",
		[KW_FAULT_CHECKPOINT] = "checkpoint",
		[KW_FAULT_SINCE] = "since",
		[KW_FAULT_COMPRESSED] = "compressed",
		[KW_FAULT_VALIDITY] = "validity",
		[KW_FAULT_RETIRED_KEY] = "retired_key",
		[KW_FAULT_ROTATION] = "rotation",
		[KW_FAULT_PROFILE] = "profile",
	};

	return (unsigned int)fault < KW_FAULT_COUNT_ ? names[fault] : NULL;
}
