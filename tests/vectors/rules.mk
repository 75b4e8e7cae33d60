# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Golden bytes, checked by programs that share no code with ours: node, openssl.

.PHONY: check-vectors stage-vectors vectors
check-vectors: stage-vectors ## golden bytes against node and openssl
stage-vectors: $(B)/kwitness
	@tests/vectors/run $(B) $(BUILD)/results/vectors

vectors: $(B)/tests/test_attest_chain $(B)/tests/test_attest_cellos ## write the sample ledgers anew; review the difference
	@KW_RECORD=1 $(B)/tests/test_attest_chain > /dev/null && KW_RECORD=1 $(B)/tests/test_attest_cellos > /dev/null && git --no-pager diff --stat -- tests/vectors

FAST_STAGES += vectors
ALL_STAGES  += vectors
