// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Lifecycle records of a recording (kwitnessd --record), one a line: WHAT ID SERIAL V1 POPULATED PATH.
// Layout: include/kwitness/record.h; frames: user/capture/drain.c.
import { readFileSync } from 'node:fs';

const KIND = 6;
const WHAT = ['', 'mkdir', 'rmdir', 'release', 'rename', 'populated'];
const data = readFileSync(process.argv[2]);
for (let at = 0; at + 20 <= data.length;) {
	const length = data.readUInt32LE(at);
	const record = data.subarray(at + 20, at + 20 + length);
	at += 20 + length;
	if (record.length < 64 || record.readUInt16LE(2) !== KIND)
		continue;
	const used = record.readUInt16LE(62);
	const path = record.subarray(64, 64 + used).toString('latin1').split('\0').slice(0, -1).reverse();
	console.log(WHAT[record.readUInt32LE(32)], String(record.readBigUInt64LE(40)), String(record.readBigUInt64LE(48)),
		record.readUInt32LE(56) & 4 ? 1 : 0, record.readUInt32LE(36), '/' + path.join('/'));
}
