# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Victims are static: they run in the VM whatever libraries it has, and their memory is their own.
VICTIMS := $(patsubst tests/vm/victims/%.c,$(BUILD)/vm/victims/%,$(sort $(wildcard tests/vm/victims/*.c)))
$(BUILD)/vm/victims/%: tests/vm/victims/%.c tests/vm/victims/victim.h
	$(call say,VICTIM,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g -static $(WARN) -D_GNU_SOURCE $< -o $@ -lpthread

.PHONY: vm-programs check-vm stage-vm
vm-programs: all $(VICTIMS) $(BUILD)/vm/victims/sendframes
check-vm: vm-programs ## tests on Debian kernels in QEMU (K=6.12 for one kernel, T=oom for some tests)
	@tests/vm/run $(foreach k,$(K),-k $(k)) $(foreach t,$(T),-t $(t))
stage-vm: vm-programs
	@mkdir -p $(BUILD)/results; set -o pipefail; tests/vm/run | tee $(BUILD)/vm.tap; status=$$?; \
	tail -n 1 $(BUILD)/vm.tap > $(BUILD)/results/vm; exit $$status
ALL_STAGES += vm

# Drives the poller of every cgroup without the rest of the daemon.
$(BUILD)/vm/victims/sweepdump: $(BUILD)/obj/tests/vm/sweepdump.o $(call room_libs,capture base)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLLDFLAGS) $^ $(LIBS_capture) -o $@
vm-programs: $(BUILD)/vm/victims/sweepdump
