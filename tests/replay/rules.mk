# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Replay: recordings of real kernels through the pipeline of the daemon (README.md).
OBJCOPY ?= objcopy
REPLAY_OBJ := $(call objs,$(sort $(wildcard tests/replay/*.c)) $(sort $(wildcard user/daemon/pipeline*.c)) user/daemon/tally.c user/daemon/journal.c)
# The verifier as others link it: nothing of it in sight but <kwitness/verify.h>.
$(B)/replay/verify.o: $(B)/lib/verify.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LD) -r --whole-archive $< -o $@
	$(Q)$(OBJCOPY) --wildcard -G 'kw_verif*' -G 'kw_keyring_*' -G kw_fault_name $@
$(B)/replay/replay: $(REPLAY_OBJ) $(B)/replay/verify.o $(ALL_ROOM_LIBS)
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(call link,$^,$(LIBS_verify) $(LIBS_deliver) $(LIBS_attest) $(LIBS_attribute) $(LIBS_capture))

.PHONY: replay check-replay stage-replay vectors-replay update-replay
replay: $(B)/replay/replay ## replay recorded kernels through user space (T=6.12/storm for some, SAN=1)
	@tests/replay/run $(B)/replay/replay $(BUILD)/results/replay tests/vectors $(T)
check-replay:
	@$(MAKE) SAN=1 replay
stage-replay: check-replay
update-replay: $(B)/replay/replay ## write the replay's expected ledgers anew, after a meant change of events
	$(Q)$< --update tests/vectors $(T)
vectors-replay: vm-programs $(B)/replay/replay ## record the replay's kernels anew, in virtual machines (K=6.12 for one)
	@tests/replay/record $(BUILD) $(or $(K),6.1 6.12)
FAST_STAGES += replay
ALL_STAGES  += replay
