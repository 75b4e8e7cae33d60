# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# libkwitness: this room and what it uses of base, for programs of others. Only what
# include/kwitness/verify.h declares is visible; the archive is one object, so that names of ours that
# are not declared there cannot meet names of the program that links it.
LIBDIR         ?= $(PREFIX)/lib
LIBRARY_SONAME := libkwitness.so.0
LIBRARY_FILE   := $(LIBRARY_SONAME).0.0
LIBRARY_BASE   := bytes cellos clock file text tree tree_range
LIBRARY_OBJ    := $(patsubst %.c,$(B)/pic/%.o,$(call src,verify) $(LIBRARY_BASE:%=user/base/%.c))
LIBRARIES      := $(B)/$(LIBRARY_FILE) $(B)/libkwitness.a $(B)/libkwitness.pc
all: $(LIBRARIES)

$(B)/pic/%.o: %.c $(B)/.flags | $(B)/.libraries
	$(call say,CC,$< (PIC))
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(filter-out -fPIE,$(ALLCFLAGS)) -fPIC -MMD -MP -c $< -o $@

# -z defs: what is missing is told here, not to whoever links with it.
$(B)/$(LIBRARY_FILE): $(LIBRARY_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(LIBRARY_SONAME) $(if $(SAN),,-Wl$(comma)-z$(comma)defs) \
	  $(filter-out -pie,$(ALLLDFLAGS)) $^ $(call pkg,libsodium) -o $@
	@ln -sf $(LIBRARY_FILE) $(@D)/$(LIBRARY_SONAME); ln -sf $(LIBRARY_SONAME) $(@D)/libkwitness.so

$(B)/libkwitness.a: $(LIBRARY_OBJ)
	$(call say,AR,$@)
	$(Q)$(LD) -r $^ -o $(B)/pic/libkwitness.o && objcopy --localize-hidden $(B)/pic/libkwitness.o
	@rm -f $@
	$(Q)ar rcsD $@ $(B)/pic/libkwitness.o

$(B)/libkwitness.pc: user/verify/libkwitness.pc.in user/verify/rules.mk include/kwitness/names.h $(B)/.pc
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' $< > $@
$(B)/.pc: FORCE
	@mkdir -p $(@D); echo '$(PREFIX) $(LIBDIR) $(VERSION)' | cmp -s - $@ || echo '$(PREFIX) $(LIBDIR) $(VERSION)' > $@

.PHONY: install-library
install: $(if $(WITHOUT_LIBRARY),,install-library)
install-library: $(LIBRARIES)
	install -D -m 0644 include/kwitness/verify.h $(DESTDIR)$(PREFIX)/include/kwitness/verify.h
	install -D -m 0644 $(B)/$(LIBRARY_FILE) $(DESTDIR)$(LIBDIR)/$(LIBRARY_FILE)
	ln -sf $(LIBRARY_FILE) $(DESTDIR)$(LIBDIR)/$(LIBRARY_SONAME)
	ln -sf $(LIBRARY_SONAME) $(DESTDIR)$(LIBDIR)/libkwitness.so
	install -m 0644 $(B)/libkwitness.a $(DESTDIR)$(LIBDIR)/libkwitness.a
	install -D -m 0644 $(B)/libkwitness.pc $(DESTDIR)$(LIBDIR)/pkgconfig/libkwitness.pc

-include $(LIBRARY_OBJ:.o=.d)
