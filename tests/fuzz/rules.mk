# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Fuzzing: the same targets under libFuzzer (fuzz) and, over their corpora, under gcc's sanitisers with
# driver.c (check-fuzz). A target is tests/fuzz/fuzz_<input>.c and the two lists below.

# Sources under test: pure ones, so that a target builds without BPF.
fuzz_base := $(call src,base)
fuzz_verify := $(filter-out %/main.c,$(call src,verify)) $(fuzz_base)
FUZZ_SRC_frame        := user/gate/frame.c
FUZZ_SRC_claim        := user/gate/claim.c user/capture/gatecheck.c $(fuzz_base)
FUZZ_SRC_gate_message := user/capture/gatecheck.c $(fuzz_base)
FUZZ_SRC_cellos       := $(fuzz_verify)
FUZZ_SRC_cell         := user/attribute/cells_parse.c $(fuzz_base)
FUZZ_SRC_cgroup_path  := user/attribute/units.c user/attribute/pods.c user/attribute/path.c
FUZZ_SRC_record       := user/capture/record.c $(fuzz_base)
FUZZ_SRC_flat         := user/capture/counters.c $(fuzz_base)
FUZZ_SRC_counts       := user/capture/counts.c user/capture/counters.c $(fuzz_base)
FUZZ_SRC_keyring      := $(fuzz_verify)
FUZZ_SRC_ledger_line  := $(fuzz_verify)
FUZZ_SRC_proof        := $(fuzz_verify)
FUZZ_SRC_crosscheck   := $(call src,reconcile) user/attribute/units.c user/attribute/pods.c user/attribute/path.c \
	user/capture/counters.c user/capture/counts.c user/capture/record.c $(fuzz_base)
FUZZ_SRC_jcs          := $(fuzz_verify)
FUZZ_SRC_segment      := user/deliver/unpack.c user/deliver/frames.c $(fuzz_verify)
FUZZ_SRC_index        := user/deliver/index.c user/deliver/indexes.c user/deliver/segments.c user/deliver/unpack.c \
	user/deliver/frames.c user/attest/tree.c user/attest/digest.c $(fuzz_base)

# Seeds: golden vectors where there are some, and tests/fuzz/corpus/<input>.
FUZZ_SEEDS_counts := tests/fuzz/corpus/flat
FUZZ_SEEDS_frame := tests/vectors/frames
FUZZ_SEEDS_claim := tests/vectors/frames

FUZZ := $(patsubst tests/fuzz/fuzz_%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
fuzz_seeds = $(FUZZ_SEEDS_$(1)) $(wildcard tests/fuzz/corpus/$(1))
FUZZ_LIBS := $(call pkg,libsodium jansson libcbor libzstd libgcrypt)

define fuzz_rule
$(B)/fuzz/$(1): $(call objs,tests/fuzz/fuzz_$(1).c tests/fuzz/driver.c $(FUZZ_SRC_$(1)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALLLDFLAGS) $$^ $$(FUZZ_LIBS) -o $$@

$(BUILD)/fuzz/libfuzzer/$(1): tests/fuzz/fuzz_$(1).c $(FUZZ_SRC_$(1)) $(wildcard user/*/*.h include/kwitness/*.h)
	$$(call say,FUZZER,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CLANG) -std=gnu11 -O1 -g -fno-omit-frame-pointer -I. -Iinclude -D_GNU_SOURCE -Wall \
	  -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all $$(filter %.c,$$^) $$(FUZZ_LIBS) -o $$@
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz_rule,$(f))))

.PHONY: fuzz check-fuzz fuzz-corpora stage-fuzz
fuzz: $(addprefix $(BUILD)/fuzz/libfuzzer/,$(or $(T),$(FUZZ))) ## fuzz hostile inputs with libFuzzer (T=frame for one, SECS=60 each)
	@$(foreach f,$(or $(T),$(FUZZ)),tests/fuzz/run-libfuzzer $(BUILD) $(f) $(or $(SECS),60) $(call fuzz_seeds,$(f)) &&) true

check-fuzz: ## the fuzzers' corpora, with cuts and flipped bits, under the sanitisers
	@$(MAKE) SAN=1 fuzz-corpora
fuzz-corpora: $(addprefix $(B)/fuzz/,$(FUZZ))
	@tests/fuzz/run $(B) $(BUILD)/results/fuzz $(foreach f,$(FUZZ),$(f):$(subst $(eval) ,:,$(strip $(call fuzz_seeds,$(f)))))

stage-fuzz: check-fuzz
FAST_STAGES += fuzz
ALL_STAGES  += fuzz
