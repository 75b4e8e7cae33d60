/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SHA-256 for the verifier. A line takes some 65 blocks in 20 digests, and libsodium's portable C takes five times
 * as long for each as the processor's SHA instructions do; no library that has them may be linked here, because a
 * verifier is to need libsodium alone. So the compression function, and only it, is ours where x86-64 has those
 * instructions (Intel SDM vol. 2, SHA256RNDS2 and its kin); everywhere else libsodium does it all. Before ours is
 * used in a process it must give what libsodium gives.
 */
#include "user/verify/sha256.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* FIPS 180-4, 4.2.2. */
static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static __m128i load(const void *from)
{
	return _mm_loadu_si128((const __m128i_u *)from);
}

/* The instructions want the state's words in the order ABEF and CDGH, and four words of the message at a time. */
__attribute__((target("sha,sse4.1,ssse3"))) static void
compress(uint32_t state[static 8], const unsigned char *data, size_t blocks)
{
	const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	__m128i low = _mm_shuffle_epi32(load(&state[0]), 0xb1);	 /* CDAB */
	__m128i high = _mm_shuffle_epi32(load(&state[4]), 0x1b); /* EFGH */
	__m128i abef = _mm_alignr_epi8(low, high, 8), cdgh = _mm_blend_epi16(high, low, 0xf0);

	for (; blocks > 0; blocks--, data += 64) {
		const __m128i abef_before = abef, cdgh_before = cdgh;
		__m128i words[4];

#pragma GCC unroll 16
		for (unsigned int i = 0; i < 16; i++) {
			__m128i next, sum;

			if (i < 4) {
				next = _mm_shuffle_epi8(load(data + (size_t)16 * i), swap);
			} else {
				__m128i last = words[(i + 3) % 4];

				next = _mm_sha256msg1_epu32(words[i % 4], words[(i + 1) % 4]);
				next = _mm_add_epi32(next,
						     _mm_alignr_epi8(last, words[(i + 2) % 4], 4));
				next = _mm_sha256msg2_epu32(next, last);
			}
			words[i % 4] = next;
			sum = _mm_add_epi32(next, load(&round_constants[(size_t)4 * i]));
			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	low = _mm_shuffle_epi32(abef, 0x1b);  /* FEBA */
	high = _mm_shuffle_epi32(cdgh, 0xb1); /* DCHG */
	_mm_storeu_si128((__m128i_u *)&state[0], _mm_blend_epi16(low, high, 0xf0));
	_mm_storeu_si128((__m128i_u *)&state[4], _mm_alignr_epi8(high, low, 8));
}

/* CPUID.(EAX=7,ECX=0):EBX bit 29 is SHA, CPUID.1:ECX bits 9 and 19 are SSSE3 and SSE4.1. */
static bool has_instructions(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSSE3) && (c & bit_SSE4_1) &&
	       __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}
#else
static void compress(uint32_t state[static 8], const unsigned char *data, size_t blocks)
{
	(void)state;
	(void)data;
	(void)blocks;
}

static bool has_instructions(void)
{
	return false;
}
#endif

static void fast_init(struct kw_sha256 *hash)
{
	static const uint32_t initial[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
					     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	hash->is_fast = true;
	hash->fast.length = 0;
	memcpy(hash->fast.state, initial, sizeof(initial));
}

static void fast_update(struct kw_sha256 *hash, const unsigned char *data, size_t length)
{
	size_t held = hash->fast.length % 64, piece;

	hash->fast.length += length;
	if (held) {
		piece = length < 64 - held ? length : 64 - held;
		memcpy(hash->fast.block + held, data, piece);
		if (held + piece < 64)
			return;
		compress(hash->fast.state, hash->fast.block, 1);
		data += piece;
		length -= piece;
	}
	if (length >= 64)
		compress(hash->fast.state, data, length / 64);
	if (length % 64)
		memcpy(hash->fast.block, data + length - length % 64, length % 64);
}

/* FIPS 180-4, 5.1.1: a one bit, zeroes, and the length in bits. */
static void fast_final(struct kw_sha256 *hash, unsigned char *ret_digest)
{
	size_t held = hash->fast.length % 64;
	uint64_t bits = __builtin_bswap64(hash->fast.length * 8);
	unsigned char *block = hash->fast.block;

	block[held++] = 0x80;
	if (held > 56) {
		memset(block + held, 0, 64 - held);
		compress(hash->fast.state, block, 1);
		held = 0;
	}
	memset(block + held, 0, 56 - held);
	memcpy(block + 56, &bits, sizeof(bits));
	compress(hash->fast.state, block, 1);
	for (size_t i = 0; i < 8; i++) {
		uint32_t word = __builtin_bswap32(hash->fast.state[i]);

		memcpy(ret_digest + 4 * i, &word, sizeof(word));
	}
}

/* Ours against libsodium's, over three blocks and a piece of one, in two updates that fit no block. */
static bool agrees(void)
{
	unsigned char message[211], ours[32], theirs[crypto_hash_sha256_BYTES];
	struct kw_sha256 hash;

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)(i * 37 + 11);
	fast_init(&hash);
	fast_update(&hash, message, 75);
	fast_update(&hash, message + 75, sizeof(message) - 75);
	fast_final(&hash, ours);
	(void)crypto_hash_sha256(theirs, message, sizeof(message));
	return memcmp(ours, theirs, sizeof(ours)) == 0;
}

bool kw_sha256_is_fast(void)
{
	/* Whoever asks first finds out; the answer is the same for all, and CPUID is slow in a VM. */
	static atomic_int known;
	int answer = atomic_load_explicit(&known, memory_order_relaxed);

	if (answer == 0) {
		answer = has_instructions() && agrees() ? 1 : -1;
		atomic_store_explicit(&known, answer, memory_order_relaxed);
	}
	return answer > 0;
}

void kw_sha256_init(struct kw_sha256 *hash)
{
	if (kw_sha256_is_fast()) {
		fast_init(hash);
		return;
	}
	hash->is_fast = false;
	(void)crypto_hash_sha256_init(&hash->portable);
}

void kw_sha256_update(struct kw_sha256 *hash, const void *data, size_t length)
{
	if (length == 0)
		return;
	if (hash->is_fast)
		fast_update(hash, data, length);
	else
		(void)crypto_hash_sha256_update(&hash->portable, data, length);
}

void kw_sha256_final(struct kw_sha256 *hash, unsigned char ret_digest[static 32])
{
	if (hash->is_fast)
		fast_final(hash, ret_digest);
	else
		(void)crypto_hash_sha256_final(&hash->portable, ret_digest);
}

void kw_sha256(const void *data, size_t length, unsigned char ret_digest[static 32])
{
	struct kw_sha256 hash;

	kw_sha256_init(&hash);
	kw_sha256_update(&hash, data, length);
	kw_sha256_final(&hash, ret_digest);
}
