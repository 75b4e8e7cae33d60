# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Power cuts: what was reported durable is on the disk, whenever it goes dark.
.PHONY: check-power stage-power
check-power: stage-power ## a VM that writes a ledger is killed again and again (KW_POWER_CUTS=20 for more than 5)
stage-power: vm-programs
	@tests/power/run $(BUILD) $(BUILD)/results/power
ALL_STAGES += power
