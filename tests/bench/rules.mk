# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Figures beside a peer's from the same run. Never an assertion: nothing here fails for being slow.
BENCH := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(sort $(wildcard tests/bench/*.c)))
$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(call room_libs,verify deliver attest reconcile attribute capture guest gate base)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLLDFLAGS) $^ $(LIBS_deliver) $(LIBS_attest) $(LIBS_attribute) $(LIBS_capture) $(LIBS_gate) -o $@

.PHONY: bench
bench: deps bench-deps vm-programs $(BENCH) ## figures beside the peers' in the same run (K=6.12 for the VM's kernel)
	@tests/bench/run $(BUILD) $(or $(K),6.12)
bench-deps:
	@$(MAKE) deps PACKAGES='$(PACKAGES_BENCH)'
.PHONY: bench-deps
