# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
.PHONY: check-system stage-system
# Other people's programs that the tests set up in the VM.
GUESTS := systemd-oomd podman crun
$(BUILD)/guests/complete: tests/system/fetch tests/system/rules.mk
	$(call say,FETCH,$(GUESTS))
	$(Q)rm -rf $(@D) && tests/system/fetch $(abspath $(@D)) $(GUESTS)
check-system: deps-deb vm-programs $(DEB) $(BUILD)/guests/complete ## the installed package, with systemd as pid 1, in QEMU (K=, T= as in check-vm)
	@KW_DEB=$(abspath $(DEB)) tests/vm/run --system $(foreach k,$(K),-k $(k)) $(foreach t,$(T),-t $(t))
# The package and what is around it do not depend on the kernel beyond what check-vm tests: one kernel.
stage-system: deps-deb vm-programs $(DEB) $(BUILD)/guests/complete
	@mkdir -p $(BUILD)/results; set -o pipefail; KW_DEB=$(abspath $(DEB)) tests/vm/run --system -k 6.12 | \
	tee $(BUILD)/system.tap; status=$$?; tail -n 1 $(BUILD)/system.tap > $(BUILD)/results/system; exit $$status
ALL_STAGES += system
