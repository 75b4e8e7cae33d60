# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# libkwitness, installed, in programs that know nothing of this tree.

.PHONY: check-library stage-library
check-library: stage-library ## libkwitness, installed, in programs of others
stage-library: $(BUILD)/kwitness
	@$(MAKE) SAN= $(BUILD)/libkwitness.a $(BUILD)/$(LIBRARY_FILE) $(BUILD)/libkwitness.pc
	@tests/library/run $(BUILD) $(BUILD)/results/library

FAST_STAGES += library
ALL_STAGES  += library
