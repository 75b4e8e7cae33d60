// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A second opinion on everything that is signed: digests, envelopes, Ed25519 signatures, the chain, and
// canonical JSON, written from docs/ledger.md and the specifications alone, with nothing of ours in it
// and no package but node's own.
//
// usage: node tests/vectors/check.mjs                          the vectors below tests/vectors/
//        node tests/vectors/check.mjs KEYRING LEDGER...        a ledger: its segments, in order
//        node tests/vectors/check.mjs --sign KWITNESS          `kwitness sign` against node's JSON
import { createHash, createPublicKey, verify, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, mkdtempSync, writeFileSync, rmSync, statSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TYPE = 'https://cloudevents.io/verifiability/dsse/v0.1';
const here = dirname(fileURLToPath(import.meta.url));
const sha = (bytes) => createHash('sha256').update(bytes).digest();
let checks = 0;

function must(truth, what) {
	checks++;
	if (!truth) {
		console.error(`check.mjs: ${what}`);
		process.exit(1);
	}
}

// RFC 8785 by node's own means: JSON.stringify() is its model for strings and numbers.
function canonical(value) {
	if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
	if (value !== null && typeof value === 'object')
		return `{${Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
	return JSON.stringify(value);
}

// The bytes of `data`, the first member of a ledger's line: node's numbers would round what is above 2^53.
function rawData(line) {
	const begin = '{"data":'.length;
	let depth = 0, string = false;
	for (let i = begin; i < line.length; i++) {
		if (string) {
			if (line[i] === '\\') i++;
			else if (line[i] === '"') string = false;
		} else if (line[i] === '"') string = true;
		else if (line[i] === '{' || line[i] === '[') depth++;
		else if ((line[i] === '}' || line[i] === ']') && --depth === 0) return line.slice(begin, i + 1);
	}
	return '';
}

// Whether text is canonical as far as node can tell: with an integer above 2^53 in it, it cannot.
function isCanonical(text) {
	const beyond = text.replace(/"(\\.|[^"\\])*"/g, '""').match(/\d+/g)?.some((n) => BigInt(n) > 2n ** 53n);
	return beyond || text === canonical(JSON.parse(text));
}

function material(event, dataBytes) {
	const text = (name) => Buffer.from(event[name] ?? '', 'utf8');
	const time = event.time === undefined ? '' : `${new Date(event.time).toISOString().slice(0, 19)}Z`;
	const parts = ['id', 'source', 'specversion', 'type', 'datacontenttype', 'dataschema', 'subject'].map((n) => sha(text(n)));
	parts.push(sha(Buffer.from(time)), sha(dataBytes));
	for (const name of (event.signedextattrs ?? '').split(',').filter((n) => n))
		parts.push(sha(Buffer.from(name)), sha(Buffer.from(String(event[name]), 'utf8')));
	return sha(Buffer.concat(parts));
}

function dataOf(event) {
	if (event.data_base64 !== undefined) return Buffer.from(event.data_base64, 'base64');
	if (event.data === undefined) return Buffer.alloc(0);
	const json = /(^|\/|\+)json$/i.test((event.datacontenttype ?? 'json').split(';')[0].trim());
	return Buffer.from(!json && typeof event.data === 'string' ? event.data : canonical(event.data), 'utf8');
}

function publicKey(base64url) {
	return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: base64url.replace(/=+$/, '') }, format: 'jwk' });
}

function checkSignature(event, dataBytes, keyring, where) {
	const bytes = Buffer.from(event.dssematerial, 'base64');
	must(bytes.toString('base64') === event.dssematerial, `${where}: dssematerial is not canonical base64`);
	const envelope = JSON.parse(bytes);
	must(bytes.toString() === canonical(envelope), `${where}: envelope is not canonical`);
	must(envelope.payloadType === TYPE, `${where}: payloadType`);
	const body = Buffer.from(envelope.payload, 'base64');
	must(body.equals(material(event, dataBytes)), `${where}: digest`);
	const pae = Buffer.concat([Buffer.from(`DSSEv1 ${TYPE.length} ${TYPE} ${body.length} `), body]);
	must(envelope.signatures.length === 1, `${where}: one signature`);
	const [{ keyid, sig }] = envelope.signatures;
	must(keyring[keyid], `${where}: unknown key ${keyid}`);
	must(verify(null, pae, publicKey(keyring[keyid]), Buffer.from(sig, 'base64')), `${where}: signature`);
}

const LEDGER_NAMES = ['data', 'datacontenttype', 'dssematerial', 'id', 'prevhash', 'recordedtime', 'sequence', 'signedextattrs',
	'source', 'specversion', 'subject', 'time', 'timenanos', 'type'];

function checkLedger(keyringPath, paths) {
	const keyring = JSON.parse(readFileSync(keyringPath));
	const files = paths.flatMap((path) => statSync(path).isDirectory()
		? readdirSync(path).filter((n) => /^\d{20}\.jsonl$/.test(n)).sort().map((n) => join(path, n)) : [path]);
	let previous = Buffer.alloc(32), sequence = 0n;
	for (const file of files) {
		const text = readFileSync(file, 'utf8');
		must(text.endsWith('\n'), `${file}: torn`);
		for (const line of text.slice(0, -1).split('\n')) {
			const event = JSON.parse(line), where = `${file}: line with sequence ${event.sequence}`;
			const names = Object.keys(event);
			must(names.join() === LEDGER_NAMES.filter((n) => n !== 'subject' || 'subject' in event).join(), `${where}: attributes`);
			const data = rawData(line);
			// Everything but data is strings: canonical as node writes it, around data's own bytes.
			must(line === `{${names.map((n) => `"${n}":${n === 'data' ? data : JSON.stringify(event[n])}`).join(',')}}`, `${where}: canonical`);
			must(isCanonical(data), `${where}: data canonical`);
			must(event.signedextattrs === 'prevhash,recordedtime,sequence,timenanos', `${where}: signedextattrs`);
			must(event.timenanos === event.time.slice(20, 29), `${where}: timenanos`);
			must(BigInt(event.sequence) === ++sequence && event.sequence.length === 20, `${where}: sequence`);
			must(event.prevhash === previous.toString('base64url'), `${where}: prevhash`);
			checkSignature(event, Buffer.from(data, 'utf8'), keyring, where);
			previous = sha(Buffer.from(line, 'utf8'));
		}
	}
	return sequence;
}

function checkVectors() {
	for (const { name, event, digest } of JSON.parse(readFileSync(join(here, 'dsse/vectors.json'))))
		must(material(event, dataOf(event)).toString('base64') === digest, `dsse/vectors.json: ${name}`);
	for (const name of ['values', 'names']) {
		const read = (kind) => readFileSync(join(here, `rfc8785/${name}.${kind}.json`), 'utf8');
		must(canonical(JSON.parse(read('in'))) === read('out'), `rfc8785/${name}`);
	}
	for (const row of readFileSync(join(here, 'rfc8785/numbers.txt'), 'utf8').trim().split('\n')) {
		const [bits, text] = row.split(' ');
		must(JSON.stringify(Buffer.from(bits, 'hex').readDoubleBE(0)) === text, `rfc8785/numbers.txt: ${row}`);
	}
	checkLedger(join(here, 'ledgers/sample.keyring.json'), [join(here, 'ledgers/sample')]);
}

// What `kwitness sign` makes of numbers, strings and names that node made up.
function checkSign(kwitness) {
	const directory = mkdtempSync(join(tmpdir(), 'kw-check-'));
	try {
		const key = join(directory, 'key');
		const keyring = JSON.parse(execFileSync(kwitness, ['keygen', '--out', key]));
		const numbers = [];
		while (numbers.length < 4000) {
			const double = randomBytes(8).readDoubleBE(0);
			// Integers that fit 64 bits are kept as they are written: the deviation of docs/ledger.md.
			if (Number.isFinite(double) && !(Number.isInteger(double) && Math.abs(double) < 2 ** 64)) numbers.push(double);
		}
		for (let i = -1074; i < 0; i++) numbers.push(2 ** i);
		for (let i = 70; i < 1024; i++) numbers.push(2 ** i);
		const strings = {};
		for (let i = 0; i < 300; i++) {
			const points = Array.from(randomBytes(12).toString('latin1'), (c) => c.charCodeAt(0) * 4352 + i).filter((p) => p < 0x110000 && (p < 0xd800 || p > 0xdfff));
			strings[String.fromCodePoint(...points, i)] = String.fromCodePoint(i, ...points);
		}
		const event = { type: 't', specversion: '1.0', source: 's', id: 'ä"\\\n', exta: 'v€', data: { numbers, strings, counter: 7 } };
		const input = join(directory, 'event.json');
		writeFileSync(input, JSON.stringify(event, null, 2));
		const signed = execFileSync(kwitness, ['sign', '--key', key, '--signed-ext', 'exta', input], { maxBuffer: 1 << 24 }).toString();
		const read = JSON.parse(signed);
		must(signed === `${canonical(read)}\n`, 'sign: output is not canonical');
		must(canonical({ ...event, dssematerial: read.dssematerial, signedextattrs: 'exta' }) === canonical(read), 'sign: event was changed');
		checkSignature(read, dataOf(read), keyring, 'sign');
	} finally {
		rmSync(directory, { recursive: true });
	}
}

const [first, ...rest] = process.argv.slice(2);
if (first === undefined) checkVectors();
else if (first === '--sign') checkSign(rest[0]);
else console.log(`${checkLedger(first, rest)} events`);
console.log(`check.mjs: ${checks} checks passed`);
