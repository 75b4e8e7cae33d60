# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A ledger that kwitnessd wrote, tampered with in every way: each must be caught and named rightly.

.PHONY: check-adversary stage-adversary stage-segments stage-adversary-keys
check-adversary: stage-adversary stage-segments stage-adversary-keys ## tamper with a ledger in every way; each must be caught by its name
stage-adversary: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/run $(B) $(BUILD)/results/adversary
stage-segments: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/segments $(B) $(BUILD)/results/segments

stage-adversary-keys: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/keys $(B) $(BUILD)/results/adversary-keys

FAST_STAGES += adversary segments adversary-keys
ALL_STAGES  += adversary segments adversary-keys
