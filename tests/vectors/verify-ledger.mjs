// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A whole verifier for ledgers and proofs, written from docs/ledger.md alone, with node's crypto, zstd and
// nothing else: proof that the page is enough. It stops at the first fault.
//
// usage: node verify-ledger.mjs KEYRING LEDGER [NOTE]    a ledger directory; NOTE: a checkpoint it must extend
//        node verify-ledger.mjs KEYRING --proof FILE     what `kwitness prove` writes
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const TYPE = 'https://cloudevents.io/verifiability/dsse/v0.1';
const HOST = 'dev.cellos.events.cell.observability.host.v1.', CHECKPOINT = `${HOST}checkpoint`, GAP = `${HOST}gap`;
const NAMES = ['data', 'datacontenttype', 'dssematerial', 'id', 'prevhash', 'recordedtime', 'sequence', 'signedextattrs',
	'source', 'specversion', 'subject', 'time', 'timenanos', 'type'];
const sha = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();
const fail = (why) => { console.log(`NOT sound: ${why}`); process.exit(1); };
const must = (truth, why) => truth || fail(why);
const base64 = (text, length) => {
	const bytes = Buffer.from(text, 'base64');
	must(bytes.toString('base64') === text && (length === undefined || bytes.length === length), `base64: ${text}`);
	return bytes;
};

const [keyringPath, ledger, extra] = process.argv.slice(2);
const keys = Object.entries(JSON.parse(readFileSync(keyringPath))).map(([id, text]) => {
	const raw = Buffer.from(text, 'base64url');
	return { id, raw, key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') }, format: 'jwk' }) };
});
// The bytes of `data`, the first member: numbers above 2^53 would not survive JSON.parse().
function rawData(line) {
	let depth = 0, string = false;
	for (let i = '{"data":'.length; i < line.length; i++) {
		if (string) {
			if (line[i] === '\\') i++;
			else if (line[i] === '"') string = false;
		} else if (line[i] === '"') string = true;
		else if (line[i] === '{' || line[i] === '[') depth++;
		else if ((line[i] === '}' || line[i] === ']') && --depth === 0) return line.slice('{"data":'.length, i + 1);
	}
	return '';
}
function checkEvent(line, where) {
	let event;
	try { event = JSON.parse(line); } catch { fail(`${where}: malformed`); }
	const names = Object.keys(event), data = rawData(line);
	must(names.join() === NAMES.filter((n) => n !== 'subject' || 'subject' in event).join(), `${where}: attributes`);
	must(names.every((n) => n === 'data' || (typeof event[n] === 'string' && event[n])), `${where}: an attribute is empty`);
	must(line === `{${names.map((n) => `"${n}":${n === 'data' ? data : JSON.stringify(event[n])}`).join(',')}}`, `${where}: not canonical`);
	must(event.datacontenttype === 'application/json' && event.specversion === '1.0' &&
		event.signedextattrs === 'prevhash,recordedtime,sequence,timenanos', `${where}: a fixed attribute is another`);
	for (const time of [event.time, event.recordedtime]) must(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(time), `${where}: time`);
	must(event.timenanos === event.time.slice(20, 29), `${where}: timenanos`);
	must(/^\d{20}$/.test(event.sequence), `${where}: sequence`);
	const hashes = ['id', 'source', 'specversion', 'type', 'datacontenttype', 'dataschema', 'subject'].map((n) => sha(event[n] ?? ''));
	hashes.push(sha(`${event.time.slice(0, 19)}Z`), sha(data));
	for (const name of event.signedextattrs.split(',')) hashes.push(sha(name), sha(event[name]));
	const envelope = JSON.parse(base64(event.dssematerial)), [{ keyid, sig }] = envelope.signatures;
	const exact = `{"payload":"${envelope.payload}","payloadType":"${TYPE}","signatures":[{"keyid":"${keyid}","sig":"${sig}"}]}`;
	must(base64(event.dssematerial).toString() === exact, `${where}: envelope`);
	const signer = keys.find(({ id }) => id === keyid), body = base64(envelope.payload, 32);
	must(signer, `${where}: unknown key ${keyid}`);
	must(verify(null, Buffer.concat([Buffer.from(`DSSEv1 46 ${TYPE} 32 `), body]), signer.key, base64(sig, 64)), `${where}: signature`);
	must(body.equals(sha(...hashes)), `${where}: digest: the event was changed after it was signed`);
	return event;
}
function checkNote(note, where) {
	const text = note.slice(0, note.indexOf('\n\n') + 1), [origin, size, root] = text.split('\n');
	must(text.split('\n').length === 4 && /^[1-9]\d*$/.test(size), `${where}: note: malformed`);
	const good = note.slice(text.length + 1).trimEnd().split('\n').some((line) => {
		if (!line.startsWith(`\u2014 ${origin} `)) return false;
		const bytes = base64(line.slice(origin.length + 3));
		return keys.some(({ raw, key }) => bytes.subarray(0, 4).equals(sha(origin, '\n', Buffer.of(1), raw).subarray(0, 4)) &&
			verify(null, Buffer.from(text), key, bytes.subarray(4)));
	});
	must(good, `${where}: note: no good signature by a key of the keyring`);
	return { origin, size: Number(size), root };
}
// RFC 6962 2.1 over leaf hashes, with the perfect subtrees remembered.
const leaf = (line) => sha(Buffer.of(0), line), subtrees = new Map();
function root(leaves, from, to) {
	const name = `${from} ${to}`;
	if (subtrees.has(name)) return subtrees.get(name);
	if (to - from === 1) return leaves[from];
	const half = 2 ** Math.floor(Math.log2(to - from - 1)), node = sha(Buffer.of(1), root(leaves, from, from + half), root(leaves, from + half, to));
	if (to - from === 2 * half) subtrees.set(name, node);
	return node;
}
function checkLedger(directory, since) {
	const leaves = [], removals = [], notes = [], files = readdirSync(directory);
	let previous, begin, source, first, base = 0, last = 0;
	// Compressed or not; one that is there both ways is read as it was written.
	for (const file of files.filter((n) => /^\d{20}\.jsonl(\.zst)?$/.test(n) && !files.includes(n.slice(0, -4))).sort()) {
		const path = join(directory, file);
		const text = file.endsWith('.zst') ? execFileSync('zstd', ['-dcq', path], { maxBuffer: 2 ** 30 }).toString() : readFileSync(path, 'utf8');
		must(text.endsWith('\n'), `${file}: torn`);
		for (const line of text.slice(0, -1).split('\n')) {
			const where = `line ${leaves.length + 1} of those read`, event = checkEvent(line, where);
			if (!previous) leaves.length = base = Number(event.sequence) - 1; // retention must say why
			must(BigInt(event.sequence) === BigInt(leaves.length + 1), `${where}: sequence ${event.sequence}`);
			previous ??= begin = base ? Buffer.from(event.prevhash, 'base64url') : Buffer.alloc(32);
			must(event.prevhash === previous.toString('base64url'), `${where}: chain`);
			must((source ??= event.source) === event.source, `${where}: source`);
			[previous, first] = [sha(line), first ?? sha(line)];
			if (event.type === GAP && event.data.kind === 'retention') removals.push(event.data.removed);
			if (event.type === CHECKPOINT) {
				const note = checkNote(event.data.note, where);
				must(note.origin === event.data.origin && note.size === event.data.size && note.root === event.data.root, `${where}: note: differs`);
				must(note.size <= leaves.length && note.size >= last && leaves.length - note.size <= 4096, `${where}: checkpoint: size`);
				notes.push({ note, where });
				last = note.size;
			}
			leaves.push(leaf(line));
		}
	}
	must(leaves.length, 'no event in it');
	if (base) { // what is gone, as the ledger says itself: the row of perfect subtrees over it, the largest first
		const gone = removals.find((r) => r.lastSequence === base);
		must(gone && gone.lastHash === begin.toString('base64'), `start: lines 1 to ${base} are missing, and no retention declares it`);
		first = base64(gone.firstHash, 32);
		for (let at = 0, size = 2 ** 53; size >= 1; size /= 2)
			if (Math.floor(base / size) % 2) subtrees.set(`${at} ${at += size}`, base64(gone.peaks.shift(), 32));
	}
	for (const { note, where } of notes) {
		must(note.origin === `${source.slice(1)}/${first.toString('hex').slice(0, 16)}`, `${where}: note: origin`);
		must(note.size < base || root(leaves, 0, note.size).toString('base64') === note.root, `${where}: checkpoint: root`);
	}
	if (since) must(since.size <= leaves.length && root(leaves, 0, since.size).toString('base64') === since.root, 'since: the ledger does not extend the checkpoint');
	console.log(`sound: ${leaves.length - base} events, ${notes.length} checkpoints`);
}
function checkProof(text) {
	const blank = text.indexOf('\n\n'), [title, body, place, ...hashes] = text.slice(0, blank).split('\n');
	must(title === 'c2sp.org/tlog-proof@v1' && body.startsWith('extra ') && /^index (0|[1-9]\d*)$/.test(place), 'not a proof');
	const line = base64(body.slice(6)).toString(), event = checkEvent(line, 'event'), index = Number(place.slice(6));
	const note = checkNote(text.slice(blank + 2), 'checkpoint');
	must(Number(event.sequence) === index + 1 && index < note.size, 'the event has another place');
	must(note.origin.startsWith(`${event.source.slice(1)}/`), 'the checkpoint is of another source');
	let node = leaf(line), own = index, last = note.size - 1; // RFC 9162 2.1.3.2
	for (const hash of hashes.map((h) => base64(h, 32))) {
		must(last > 0, 'the proof is too long');
		const right = own % 2 === 0 && own !== last;
		node = right ? sha(Buffer.of(1), node, hash) : sha(Buffer.of(1), hash, node);
		if (!right) while (own % 2 === 0 && own !== 0) [own, last] = [Math.floor(own / 2), Math.floor(last / 2)];
		[own, last] = [Math.floor(own / 2), Math.floor(last / 2)];
	}
	must(last === 0 && node.toString('base64') === note.root, 'the event is not in the tree');
	console.log(`proved: ${event.id} is line ${index + 1} of ${note.origin}`);
}
if (ledger === '--proof') checkProof(readFileSync(extra, 'utf8'));
else checkLedger(ledger, extra && checkNote(readFileSync(extra, 'utf8'), extra));
