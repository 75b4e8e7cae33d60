# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What is installed besides the programs, and the Debian package.
UNITDIR    := $(PREFIX)/lib/systemd/system
LIBEXECDIR := $(PREFIX)/lib/kwitness
VERSION    := $(shell sed -n 's/^\#define KW_VERSION "\(.*\)"/\1/p' include/kwitness/names.h)

# Pages that say what docs/ says.
MANUALS := $(BUILD)/man/kwitness-events.7 $(BUILD)/man/kwitness-ledger.5
$(BUILD)/man/kwitness-events.7: docs/events.md
$(BUILD)/man/kwitness-events.7: WHAT := events in a ledger of kwitness
$(BUILD)/man/kwitness-ledger.5: docs/ledger.md
$(BUILD)/man/kwitness-ledger.5: WHAT := signed, chained record of what a host witnessed
$(MANUALS): docs/man/from-markdown.awk user/dist/rules.mk
	$(call say,MAN,$@)
	@mkdir -p $(@D)
	$(Q)awk -v name=$(basename $(@F)) -v section=$(subst .,,$(suffix $(@F))) -v what='$(WHAT)' -v date='November 23, 2026' \
		-f docs/man/from-markdown.awk $(filter %.md,$^) >$@
all: $(MANUALS)

.PHONY: install-dist
install: install-dist
install-dist: $(MANUALS)
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(SYSCONFDIR)/kwitness/kwitness.conf.d
	install -m 0644 user/dist/*.service user/dist/*.socket $(DESTDIR)$(UNITDIR)/
	install -m 0755 user/dist/make-key $(DESTDIR)$(LIBEXECDIR)/
	install -m 0644 user/dist/kwitness.conf $(DESTDIR)$(SYSCONFDIR)/kwitness/
	install -D -m 0644 user/dist/kwitness.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/kwitness.conf
	install -D -m 0644 user/dist/kwitness.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/kwitness.conf
	install -D -m 0644 user/dist/kwitness.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/kwitness.catalog
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/kwitness user/dist/monitoring/*
	for page in docs/man/*.[1-8] $(MANUALS); do \
	  install -D -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done

PACKAGES_DEB := debhelper dpkg-dev lintian
DEB := $(BUILD)/kwitness_$(VERSION)_$(shell dpkg --print-architecture 2>/dev/null).deb

.PHONY: deb deps-deb
deps-deb:
	@$(MAKE) deps PACKAGES='$(PACKAGES_BUILD) $(PACKAGES_DEB)'
deb: deps-deb ## the Debian package, into build/
	$(call say,DEB,$(DEB))
	@user/dist/make-deb $(BUILD) $(VERSION)

# The package as tests want it: rebuilt when what goes into it has changed.
$(DEB): $(PROGRAMS) $(shell find user/dist docs -type f)
	$(call say,DEB,$@)
	@user/dist/make-deb $(BUILD) $(VERSION)
