# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# kwitness. `make help` lists the targets. V=1: full command lines. D=1: debug. SAN=1: ASan and UBSan
# into build/san. Everything that is built lies below build/.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL := /bin/bash
.DEFAULT_GOAL := all

PREFIX  ?= /usr
DESTDIR ?=
SYSCONFDIR ?= /etc
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/local/sbin/bpftool) bpftool)
PKG_CONFIG ?= pkg-config

comma := ,
BUILD := build
B     := $(BUILD)$(if $(SAN),/san)
Q     := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-8s%s\n' '$(1)' '$(2)')

# ---- what this machine must have: the one list that README, CI and demo use ----
PACKAGES_BUILD := gcc make pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libzstd-dev libjansson-dev \
	libsodium-dev libgcrypt20-dev libsystemd-dev libcbor-dev libinih-dev libseccomp-dev libcap-ng-dev libmicrohttpd-dev uthash-dev
PACKAGES_TEST := util-linux procps zstd libcmocka-dev g++ libclang-rt-14-dev qemu-system-x86 qemu-system-common busybox-static jq openssl \
	nodejs valgrind xz-utils curl dmsetup e2fsprogs
PACKAGES_LINT := clang-format clang-tidy cppcheck shellcheck codespell mandoc
PACKAGES_BENCH := libbpf-tools coreutils
PACKAGES ?= $(PACKAGES_BUILD) $(PACKAGES_TEST) $(PACKAGES_LINT)

# ---- flags ----
WARN := -Wall -Wextra -Wshadow -Wconversion -Wvla -Wstrict-prototypes -Wmissing-prototypes \
	-Wimplicit-fallthrough=5 -Wformat=2 -Wcast-qual -Wundef -Wpointer-arith -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
OPT  := $(if $(D),-Og,-O2) -g
SANFLAGS := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
CPPFLAGS += -I. -Iinclude -I$(B)/gen -D_GNU_SOURCE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
ALLCFLAGS = -std=gnu11 $(OPT) $(WARN) $(HARDEN) -fvisibility=hidden -ffunction-sections -fdata-sections \
	-ffile-prefix-map=$(CURDIR)/=  $(SANFLAGS) $(CFLAGS)
ALLLDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed -Wl,--gc-sections $(SANFLAGS) $(LDFLAGS)
pkg = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)

LIBS_base      :=
LIBS_capture   := $(call pkg,libbpf) -lelf -lz
LIBS_attribute := $(call pkg,jansson)
LIBS_reconcile := $(call pkg,libsodium)
LIBS_attest    := $(call pkg,libsodium jansson libgcrypt)
LIBS_deliver   := $(call pkg,jansson libsodium libzstd) -lpthread
LIBS_verify    := $(call pkg,libsodium jansson)
LIBS_gate      := $(call pkg,libcbor libseccomp libcap-ng)
LIBS_daemon    := $(call pkg,libsystemd libseccomp libcap-ng libmicrohttpd jansson) -linih

# ---- rooms, in the order in which data moves ----
ROOMS := base capture attribute reconcile attest deliver
SIDE_ROOMS := verify gate guest daemon
src  = $(sort $(wildcard user/$(1)/*.c))
objs = $(patsubst %.c,$(B)/obj/%.o,$(1))
room_src = $(filter-out %/main.c,$(call src,$(1)))

ARCHIVES := $(ROOMS:%=$(B)/lib/%.a) $(SIDE_ROOMS:%=$(B)/lib/%.a)
# Later rooms first: the linker resolves from left to right, and calls go to earlier rooms.
room_libs = $(foreach r,$(1),$(B)/lib/$(r).a)
ALL_ROOM_LIBS := $(call room_libs,deliver attest reconcile attribute capture base)

PROGRAMS := $(B)/kwitnessd $(B)/kwitness-gate $(B)/kwitness \
	$(if $(wildcard user/guest/*.c),$(B)/kwitness-guest)

##@ Building
.PHONY: all
all: $(PROGRAMS) ## build the programs into build/

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	/^[a-z_-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(filter-out %.d,$(MAKEFILE_LIST))

.PHONY: deps
deps: ## install what building and testing need (Debian packages)
	@missing=; for p in $(PACKAGES); do \
	  case $$p in nodejs) command -v node >/dev/null && continue ;; esac; \
	  dpkg-query -W -f '$${Status}\n' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	[ -z "$$missing" ] && exit 0; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "installing:$$missing"; \
	$$sudo apt-get update -q >/dev/null || echo 'apt-get update failed; trying with the lists that are there' >&2; \
	DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -q -y --no-install-recommends $$missing > /dev/null

# Flags in a file: a change of flags rebuilds what they touch.
$(B)/.flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(ALLCFLAGS) $(ALLLDFLAGS)' | cmp -s - $@ || \
	  echo '$(CC) $(CPPFLAGS) $(ALLCFLAGS) $(ALLLDFLAGS)' > $@
.PHONY: FORCE
FORCE:

# One clear sentence when a library is missing, instead of a page of compiler errors.
$(B)/.libraries: Makefile
	@mkdir -p $(@D)
	@for l in libbpf libzstd jansson libsodium libgcrypt libsystemd libcbor libseccomp libcap-ng libmicrohttpd; do \
	  $(PKG_CONFIG) --exists $$l || { echo "kwitness needs $$l (development files): run 'make deps'" >&2; exit 1; }; done
	@touch $@

$(B)/obj/%.o: %.c $(B)/.flags | $(B)/.libraries
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(ALLCFLAGS) $(EXTRA_$(subst /,_,$*)) -MMD -MP -c $< -o $@

define room_rule
$(B)/lib/$(1).a: $$(call objs,$$(call room_src,$(1)))
	$$(call say,AR,$$@)
	@mkdir -p $$(@D); rm -f $$@
	$$(Q)ar rcsD $$@ $$^
endef
$(foreach r,$(ROOMS) $(SIDE_ROOMS),$(eval $(call room_rule,$(r))))

# ---- BPF: one object per source, linked into one, one skeleton ----
ARCH := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/; s/ppc64le/powerpc/; s/s390x/s390/')
BPF_SRC := $(sort $(wildcard bpf/*.bpf.c))
BPF_OBJ := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/bpf/%.bpf.o)
BPF_CFLAGS := -g -O2 -mcpu=v3 -target bpf -D__TARGET_ARCH_$(ARCH) -Wall -Wextra -Wno-unused-parameter \
	-Werror -Iinclude -Ivmlinux -I. -ffile-prefix-map=$(CURDIR)/=

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c $< -o $@
	$(Q)llvm-strip -g $@

$(BUILD)/bpf/kwitness.bpf.o: $(BPF_OBJ)
	$(call say,BPFLINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(B)/gen/kwitness.skel.h: $(BUILD)/bpf/kwitness.bpf.o
	$(call say,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name kwitness > $@.tmp && test -s $@.tmp && mv $@.tmp $@

$(call objs,$(call src,capture)): | $(B)/gen/kwitness.skel.h

# ---- programs ----
link = $(Q)$(CC) $(ALLLDFLAGS) $(1) $(2) -o $@

$(B)/kwitnessd: $(call objs,$(call src,daemon)) $(ALL_ROOM_LIBS)
	$(call say,LINK,$@)
	$(call link,$^,$(LIBS_daemon) $(LIBS_deliver) $(LIBS_attest) $(LIBS_attribute) $(LIBS_capture))

$(B)/kwitness-gate: $(call objs,user/gate/main.c) $(call room_libs,gate base)
	$(call say,LINK,$@)
	$(call link,$^,$(LIBS_gate))

$(B)/kwitness: $(call objs,$(call src,cli)) $(call room_libs,verify deliver attest reconcile attribute capture base)
	$(call say,LINK,$@)
	$(call link,$^,$(LIBS_verify) $(LIBS_attest) $(LIBS_deliver) $(LIBS_daemon))

# Static and stripped: it runs in guests that have no libraries. The sanitisers cannot be linked so.
$(B)/kwitness-guest: $(call objs,user/guest/main.c) $(call room_libs,guest base)
	$(call say,LINK,$@)
	$(Q)$(CC) $(if $(SAN),,-static -s) $(filter-out -pie,$(ALLLDFLAGS)) $(if $(SAN),-pie) $^ -o $@

##@ Testing
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
TEST_SUPPORT := $(call objs,$(sort $(wildcard tests/unit/support*.c)))
test_room = $(word 2,$(subst _, ,$(1)))
earlier_base      := base
earlier_capture   := capture base
earlier_attribute := attribute capture base
earlier_reconcile := reconcile attribute capture base
earlier_attest    := attest reconcile attribute capture base
earlier_deliver   := deliver attest reconcile attribute capture base
earlier_verify    := verify attest reconcile attribute capture base
earlier_gate      := gate base
# The agent's frames are read by the gate's decoder, which is what they are for.
earlier_guest     := guest gate base
earlier_daemon    := daemon deliver attest reconcile attribute capture base
libs_of = $(LIBS_daemon) $(LIBS_deliver) $(LIBS_attest) $(LIBS_attribute) $(LIBS_capture) $(LIBS_gate)

# A unit test links its own room whole and the earlier ones: a call into a later room does not link.
define unit_rule
$(B)/tests/$(1): $$(B)/obj/tests/unit/$(1).o $$(TEST_SUPPORT) $$(call room_libs,$$(earlier_$(call test_room,$(1))))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALLLDFLAGS) $$(filter %.o,$$^) -Wl,--whole-archive $$(B)/lib/$(call test_room,$(1)).a \
	  -Wl,--no-whole-archive $$(filter-out $$(B)/lib/$(call test_room,$(1)).a,$$(filter %.a,$$^)) $$(libs_of) -lcmocka -o $$@
endef
$(foreach t,$(notdir $(UNIT)),$(eval $(call unit_rule,$(t))))

.PHONY: unit
unit: $(UNIT) $(PROGRAMS) ## unit tests of this build (T=name for one, SAN=1 for the sanitised one)
	@tests/unit/run $(B) $(if $(T),-t $(T)) $(notdir $(UNIT))

.PHONY: stage-guards stage-unit
stage-guards: all
	@tests/check/run $(BUILD)
# The sanitised build is the one that tests run by default.
stage-unit:
	@$(MAKE) SAN=1 unit && mkdir -p $(BUILD)/results && cp $(BUILD)/san/results/unit $(BUILD)/results/unit

FAST_STAGES := guards unit
ALL_STAGES  := $(FAST_STAGES)

-include user/dist/rules.mk user/verify/rules.mk $(sort $(wildcard tests/*/rules.mk))

.PHONY: check check-fast
check: deps all ## every test, virtual machines included (installs what it lacks)
	@MAKE='$(MAKE)' tests/run $(BUILD) $(ALL_STAGES)
check-fast: all ## the tests that need neither root nor a virtual machine
	@MAKE='$(MAKE)' tests/run $(BUILD) $(FAST_STAGES)

-include $(shell find $(B)/obj $(BUILD)/bpf -name '*.d' 2>/dev/null)

.PHONY: lint format
lint: all ## format, clang-tidy, cppcheck, shellcheck, mandoc, codespell, the guards
	@tests/check/lint $(BUILD) $(CPPFLAGS)
	@tests/check/run $(BUILD)
format: ## let clang-format rewrite our sources
	@git ls-files -co --exclude-standard '*.c' '*.h' | grep -v -e '^tests/check/bad/' -e '^vmlinux/' | xargs clang-format -i

##@ Using
.PHONY: run demo install
run: all ## run kwitnessd on this host in the foreground, development key and ledger below build/dev/
	@tests/demo/run-here $(BUILD)
demo: deps all vm-programs ## a real kernel, a real OOM, signed events, verified before your eyes
	@tests/demo/demo $(BUILD)
install: all ## install below DESTDIR and PREFIX
	install -D -m 0755 $(BUILD)/kwitnessd $(DESTDIR)$(PREFIX)/sbin/kwitnessd
	install -D -m 0755 $(BUILD)/kwitness-gate $(DESTDIR)$(PREFIX)/sbin/kwitness-gate
	install -D -m 0755 $(BUILD)/kwitness $(DESTDIR)$(PREFIX)/bin/kwitness
	install -d -m 0755 $(DESTDIR)$(PREFIX)/share/doc/kwitness
	install -D -m 0755 $(BUILD)/kwitness-guest $(DESTDIR)$(PREFIX)/bin/kwitness-guest
	install -m 0644 README.md docs/*.md $(DESTDIR)$(PREFIX)/share/doc/kwitness/

.PHONY: clean
clean: ## remove build/
	rm -rf $(BUILD)
