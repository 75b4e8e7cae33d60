# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# promtool is in Debian's prometheus: unpacked, not installed, so that no server is started here.
PROMTOOL := $(BUILD)/promtool/usr/bin/promtool
$(PROMTOOL):
	$(call say,FETCH,promtool)
	@mkdir -p $(BUILD)/promtool
	$(Q)cd $(BUILD)/promtool && apt-get -q -o APT::Sandbox::User=root download prometheus >apt.log 2>&1 && \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && rm prometheus_*.deb && touch usr/bin/promtool
.PHONY: check-monitoring stage-monitoring
check-monitoring: stage-monitoring ## dashboard and alert rules, by promtool
stage-monitoring: all $(PROMTOOL)
	@tests/monitoring/run $(BUILD)
FAST_STAGES += monitoring
ALL_STAGES += monitoring
