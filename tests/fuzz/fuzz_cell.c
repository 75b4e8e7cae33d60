/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A cell file is a cell within its alphabets, or refused in printable words without a trace. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "user/attribute/attribute.h"
#include "user/base/text.h"

static void check_cell(const struct kw_cell *cell)
{
	fuzz_assert(kw_text_is_identifier(cell->cell_id, strlen(cell->cell_id), KW_CELL_ID_MAX,
					  "._:-"));
	fuzz_assert(
		kw_text_is_identifier(cell->run_id, strlen(cell->run_id), KW_CELL_ID_MAX, "._:-"));
	fuzz_assert(cell->cgroup_path[0] == '\0' || cell->cgroup_path[0] == '/');
	fuzz_assert(!strstr(cell->cgroup_path, "/../") && !strstr(cell->cgroup_path, "//"));
	fuzz_assert(strlen(cell->vsock_uds_base) <= 102);
	fuzz_assert(cell->vsock_cid <= 1 ||
		    (cell->vsock_cid >= 3 && cell->vsock_cid != UINT32_MAX));
	fuzz_assert(cell->handle == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char refusal[256] = "";
	struct kw_cell cell;
	struct kw_cell before;

	memset(&cell, 0xa5, sizeof(cell));
	before = cell;
	if (kw_cells_parse((const char *)data, size, "/sys/fs/cgroup", &cell, refusal,
			   sizeof(refusal)) == 0) {
		check_cell(&cell);
		return 0;
	}
	fuzz_assert(memcmp(&cell, &before, sizeof(cell)) == 0);
	fuzz_assert(refusal[0] != '\0' && strlen(refusal) < sizeof(refusal));
	for (const char *c = refusal; *c; c++)
		fuzz_assert((unsigned char)*c >= 0x20 && *c != 0x7f);
	return 0;
}
