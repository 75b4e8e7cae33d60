# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# A ledger that kwitnessd wrote, tampered with in every way: each must be caught and named rightly.

.PHONY: check-adversary stage-adversary stage-segments stage-adversary-keys stage-profiles
check-adversary: stage-adversary stage-segments stage-adversary-keys stage-profiles ## tamper with a ledger in every way; each must be caught by its name
stage-adversary: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/run $(B) $(BUILD)/results/adversary
stage-segments: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/segments $(B) $(BUILD)/results/segments

stage-adversary-keys: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/keys $(B) $(BUILD)/results/adversary-keys

stage-profiles: $(B)/kwitness $(B)/kwitnessd $(B)/kwitness-gate
	@tests/adversary/profiles $(B) $(BUILD)/results/profiles

FAST_STAGES += adversary segments adversary-keys profiles
ALL_STAGES  += adversary segments adversary-keys profiles
