# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A ledger that kwitnessd wrote, tampered with in every way: each must be caught and named rightly.

.PHONY: check-adversary stage-adversary stage-segments
check-adversary: stage-adversary stage-segments ## tamper with a ledger in every way; each must be caught by its name
stage-adversary: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/run $(B) $(BUILD)/results/adversary
stage-segments: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/segments $(B) $(BUILD)/results/segments

FAST_STAGES += adversary segments
ALL_STAGES  += adversary segments
