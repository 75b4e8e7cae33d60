# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The commands that show a ledger, over the sample ledger; and the registry of cells.

.PHONY: check-cli stage-cli
check-cli: stage-cli ## kwitness tail, incidents and cells as a user runs them
stage-cli: $(B)/kwitness
	@tests/cli/run $(B) $(BUILD)/results/cli

FAST_STAGES += cli
ALL_STAGES  += cli
