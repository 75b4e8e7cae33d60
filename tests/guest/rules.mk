# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The test sender of guest frames: static, so that it runs in a bare guest.
$(BUILD)/vm/victims/sendframes: tests/guest/sendframes.c $(B)/.flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g $(WARN) -D_GNU_SOURCE -static $< -o $@
