# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Victims are static: they run in the VM whatever libraries it has, and their memory is their own.
VICTIMS := $(patsubst tests/vm/victims/%.c,$(BUILD)/vm/victims/%,$(sort $(wildcard tests/vm/victims/*.c)))
$(BUILD)/vm/victims/%: tests/vm/victims/%.c tests/vm/victims/victim.h
	$(call say,VICTIM,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -g -static $(WARN) -D_GNU_SOURCE $< -o $@ -lpthread

# The daemon as another build would be: its programs are not taken for its own by the first one.
$(BUILD)/vm/other/load.o: user/capture/load.c $(BUILD)/.flags | $(BUILD)/gen/kwitness.skel.h
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) -DKW_BUILD_TAG=1 -c $< -o $@
$(BUILD)/vm/other/kwitnessd: $(BUILD)/vm/other/load.o $(call objs,$(call src,daemon)) $(ALL_ROOM_LIBS)
	$(call say,LINK,$@)
	$(call link,$^,$(LIBS_daemon) $(LIBS_deliver) $(LIBS_attest) $(LIBS_attribute) $(LIBS_capture))
$(BUILD)/vm/verifier: tests/vm/tools/verifier.c $(BUILD)/gen/kwitness.skel.h $(BUILD)/.flags
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) $(ALLLDFLAGS) $< $(LIBS_capture) -o $@

.PHONY: vm-programs check-vm stage-vm
vm-programs: all $(VICTIMS) $(BUILD)/vm/other/kwitnessd $(BUILD)/vm/verifier $(BUILD)/vm/victims/sendframes
check-vm: vm-programs ## tests on Debian kernels in QEMU (K=6.12 for one kernel, T=oom for some tests)
	@tests/vm/run $(foreach k,$(K),-k $(k)) $(foreach t,$(T),-t $(t))
# Each VM keeps one core busy: both kernels at once, each with its own report, where there are two cores.
stage-vm: vm-programs
	@tests/vm/both $(BUILD)
ALL_STAGES += vm

# Drives the poller of every cgroup without the rest of the daemon.
$(BUILD)/vm/victims/sweepdump: $(BUILD)/obj/tests/vm/sweepdump.o $(call room_libs,capture base)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLLDFLAGS) $^ $(LIBS_capture) -o $@
vm-programs: $(BUILD)/vm/victims/sweepdump
