// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Vectors of RFC 6962 trees, by the recursive definitions of its section 2.1 as they stand there: MTH for
// roots, PATH for inclusion. Nothing incremental, nothing of ours.
//
// usage: node tests/vectors/tree/make.mjs > tests/vectors/tree/vectors.txt
//
//	root SIZE HEX                  over the leaves "leaf 0", "leaf 1", …, SIZE of them
//	path INDEX SIZE [HEX...]       from the leaf's sibling to the root's child
import { createHash } from 'node:crypto';

const sha = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const leaves = Array.from({ length: 1100 }, (_, i) => Buffer.from(`leaf ${i}`));
const split = (n) => 2 ** Math.floor(Math.log2(n - 1)); // the largest power of two smaller than n

function mth(d) {
	if (d.length === 0) return sha(Buffer.alloc(0));
	if (d.length === 1) return sha(Buffer.from([0]), d[0]);
	const k = split(d.length);
	return sha(Buffer.from([1]), mth(d.slice(0, k)), mth(d.slice(k)));
}

function path(m, d) {
	if (d.length === 1) return [];
	const k = split(d.length);
	return m < k ? [...path(m, d.slice(0, k)), mth(d.slice(k))] : [...path(m - k, d.slice(k)), mth(d.slice(0, k))];
}

const out = [];
for (const size of [...Array(34).keys(), 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000, 1023, 1024, 1025, 1100])
	out.push(`root ${size} ${mth(leaves.slice(0, size)).toString('hex')}`);
for (let size = 1; size <= 17; size++)
	for (let index = 0; index < size; index++)
		out.push(['path', index, size, ...path(index, leaves.slice(0, size)).map((h) => h.toString('hex'))].join(' '));
for (const [index, size] of [[0, 1000], [511, 1000], [512, 1000], [767, 1000], [999, 1000], [0, 1025], [1023, 1025], [1024, 1025], [700, 1100]])
	out.push(['path', index, size, ...path(index, leaves.slice(0, size)).map((h) => h.toString('hex'))].join(' '));
console.log(out.join('\n'));
