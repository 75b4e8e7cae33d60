#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# One signature of a ledger's first line, checked by openssl: envelope by jq, key and encoding by hand.
# usage: tests/vectors/openssl.sh [KEYRING SEGMENT]
set -eu
here=$(dirname "$0")
keyring=${1:-$here/ledgers/sample.keyring.json}
segment=${2:-$here/ledgers/sample/00000000000000000001.jsonl}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

head -n 1 "$segment" | jq -r .dssematerial | base64 -d >"$tmp/envelope"
type=$(jq -r .payloadType "$tmp/envelope")
kid=$(jq -r '.signatures[0].keyid' "$tmp/envelope")
jq -r .payload "$tmp/envelope" | base64 -d >"$tmp/body"
jq -r '.signatures[0].sig' "$tmp/envelope" | base64 -d >"$tmp/sig"

# DSSE 1.0.2 PAE
printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$tmp/body")" >"$tmp/message"
cat "$tmp/body" >>"$tmp/message"

# RFC 8410: an Ed25519 SubjectPublicKeyInfo is these twelve bytes and the key.
{
	printf '\060\052\060\005\006\003\053\145\160\003\041\000'
	jq -r --arg kid "$kid" '.[$kid]' "$keyring" | tr -- '-_' '+/' | sed 's/=*$/=/' | base64 -d
} >"$tmp/key.der"

openssl pkeyutl -verify -pubin -keyform DER -inkey "$tmp/key.der" -rawin -in "$tmp/message" -sigfile "$tmp/sig"
