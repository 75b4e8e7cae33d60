// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A verifier for lines in CellOS envelopes, written from docs/cellos.md alone, with node's crypto, zstd and
// nothing else. It takes the envelopes off and has verify-ledger.mjs, which was written from docs/ledger.md,
// verify what was in them. It stops at the first fault.
//
// usage: node verify-cellos.mjs KEYRING DIRECTORY [NOTE]
import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const fail = (why) => { console.log(`NOT sound: ${why}`); process.exit(1); };
const must = (truth, why) => truth || fail(why);
const [keyringPath, directory, ...note] = process.argv.slice(2);
const keyring = JSON.parse(readFileSync(keyringPath));
const publicKey = (bytes) => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(bytes, 'base64url').toString('base64url') }, format: 'jwk' });
const keys = new Map(Object.entries(keyring).map(([id, value]) => [id, publicKey(value.key ?? value)]));

// JSON text to values that remember how numbers were written, and back as CellOS signs it: compact, the
// members of every object sorted.
function parse(text) {
	const tokens = text.match(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\]:,]|\s+/g);
	must(tokens && tokens.join('') === text, 'not JSON');
	let at = 0;
	const value = () => {
		const token = tokens[at++];
		if (token === '[') {
			const items = [];
			while (tokens[at] !== ']') { items.push(value()); if (tokens[at] === ',') at++; else must(tokens[at] === ']', 'array'); }
			return at++, items;
		}
		if (token !== '{') return { token };
		const members = new Map();
		while (tokens[at] !== '}') {
			const name = JSON.parse(tokens[at++]);
			must(tokens[at++] === ':' && !members.has(name), `member ${name}`);
			members.set(name, value());
			if (tokens[at] === ',') at++; else must(tokens[at] === '}', 'object');
		}
		return at++, members;
	};
	const result = value();
	must(at === tokens.length, 'something behind the end');
	return result;
}
const write = (value) => value instanceof Map
	? `{${[...value.keys()].sort().map((name) => `${JSON.stringify(name)}:${write(value.get(name))}`).join(',')}}`
	: Array.isArray(value) ? `[${value.map(write).join(',')}]`
		: value.token[0] === '"' ? JSON.stringify(JSON.parse(value.token)) : value.token;
const text = (value, where) => (must(value?.token?.[0] === '"', where), JSON.parse(value.token));
const names = (map, expected, where) => must(map instanceof Map && [...map.keys()].join() === expected, where);

function takeOff(line, where) {
	const outer = parse(line), data = outer.get('data');
	names(outer, 'data,datacontenttype,id,source,specversion,time,type', `${where}: attributes`);
	names(data, 'algorithm,event,signature,signerKid', `${where}: data`);
	const event = data.get('event'), bytes = write(event), signature = Buffer.from(text(data.get('signature'), where), 'base64url');
	must(line === write(outer), `${where}: not compact, sorted JSON`);
	must(text(data.get('algorithm'), where) === 'ed25519' && signature.length === 64 &&
		signature.toString('base64url') === text(data.get('signature'), where), `${where}: signature: form`);
	const id = Buffer.from(signature.subarray(0, 16));
	id[6] = id[6] & 0x0f | 0x80, id[8] = id[8] & 0x3f | 0x80;
	const uuid = id.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
	must(text(outer.get('type'), where) === 'dev.cellos.events.signed_envelope.v1' && text(outer.get('specversion'), where) === '1.0' &&
		text(outer.get('datacontenttype'), where) === 'application/json' && text(outer.get('id'), where) === uuid &&
		outer.get('source').token === event.get('source').token && outer.get('time').token === event.get('recordedtime').token,
	`${where}: an attribute does not follow from the event`);
	const kid = text(data.get('signerKid'), where), own = JSON.parse(Buffer.from(text(event.get('dssematerial'), where), 'base64'));
	must(kid === own.signatures[0].keyid, `${where}: not the key that signed the event`);
	must(keys.has(kid), `${where}: unknown key ${kid}`);
	must(verify(null, Buffer.from(bytes), keys.get(kid), signature), `${where}: the envelope's signature`);
	// A key that the ledger announces; whether it may, verify-ledger.mjs says.
	if (text(event.get('type'), where).endsWith('.host.v1.key')) {
		const next = event.get('data').get('next');
		keys.has(text(next.get('keyId'), where)) || keys.set(text(next.get('keyId'), where), publicKey(text(next.get('publicKey'), where)));
	}
	return bytes;
}

const files = readdirSync(directory), off = mkdtempSync(join(tmpdir(), 'verify-cellos-'));
let count = 0;
process.on('exit', () => rmSync(off, { recursive: true }));
for (const file of files.filter((n) => /^\d{20}\.jsonl(\.zst)?$/.test(n) && !files.includes(n.slice(0, -4))).sort()) {
	const path = join(directory, file), all = file.endsWith('.zst')
		? execFileSync('zstd', ['-dcq', path], { maxBuffer: 2 ** 30 }).toString() : readFileSync(path, 'utf8');
	must(all.endsWith('\n'), `${file}: torn`);
	writeFileSync(join(off, file.slice(0, 26)), all.slice(0, -1).split('\n').map((line) => `${takeOff(line, `envelope ${++count}`)}\n`).join(''));
}
const inner = spawnSync(process.execPath, [join(dirname(fileURLToPath(import.meta.url)), 'verify-ledger.mjs'), keyringPath, off, ...note],
	{ encoding: 'utf8' });
process.stdout.write(inner.status === 0 ? `${count} envelopes, and in them: ${inner.stdout}` : inner.stdout + inner.stderr);
process.exitCode = inner.status ?? 1;
