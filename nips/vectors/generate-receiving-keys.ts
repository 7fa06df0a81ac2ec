// Writes the vectors of NIP-RK: node nips/vectors/generate-receiving-keys.ts
//
// The file is a list of cases. A case with `receiving_key` has both sides' secrets and public keys, the `epoch`, and what is computed on the way: the
// `shared_secret` S and the `tweak` t, as 32 bytes each. A case with `refused` is to be refused by the side whose secret it has: the sender's, which asks for a
// key, or the recipient's, which asks for a secret.
//
// Curve arithmetic is written out here from SEC 1 and BIP-340, slow and plain, so that the vectors say nothing that a library says wrong.

import assert from "node:assert/strict";
import { createECDH, createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const P = 2n ** 256n - 2n ** 32n - 977n;
const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
type Affine = { readonly x: bigint; readonly y: bigint };
const G: Affine = {
  x: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  y: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
};

const mod = (value: bigint, modulus: bigint): bigint => ((value % modulus) + modulus) % modulus;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n, square = (square * square) % P) {
    if (rest % 2n === 1n) result = (result * square) % P;
  }
  return result;
}

/** Extended Euclid. */
function inverse(value: bigint): bigint {
  let [dividend, divisor, before, factor] = [P, mod(value, P), 0n, 1n];
  while (divisor > 1n) {
    const quotient = dividend / divisor;
    [dividend, divisor] = [divisor, dividend % divisor];
    [before, factor] = [factor, before - quotient * factor];
  }
  return mod(factor, P);
}

/** No case meets the point at infinity but by accident, and then this fails. */
function add(one: Affine, other: Affine): Affine {
  const isDoubling = one.x === other.x;
  assert(!isDoubling || one.y === other.y, "the point at infinity");
  const rise = isDoubling ? 3n * one.x ** 2n : other.y - one.y;
  const run = isDoubling ? 2n * one.y : other.x - one.x;
  const slope = rise * inverse(run);
  const x = mod(slope ** 2n - one.x - other.x, P);
  return { x, y: mod(slope * (one.x - x) - one.y, P) };
}

function multiply(point: Affine, scalar: bigint): Affine {
  let result: Affine | undefined;
  for (let double = point, rest = scalar; rest > 0n; rest >>= 1n, double = add(double, double)) {
    if (rest % 2n === 1n) result = result === undefined ? double : add(result, double);
  }
  assert(result !== undefined, "a multiple of zero");
  return result;
}

/** BIP-340, lift_x. */
function lift(x: bigint): Affine | undefined {
  const square = mod(x ** 3n + 7n, P);
  const root = power(square, (P + 1n) / 4n);
  if (x >= P || mod(root ** 2n, P) !== square) return undefined;
  return { x, y: root % 2n === 0n ? root : P - root };
}

const hexOf = (value: bigint): string => value.toString(16).padStart(64, "0");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const sha256 = (...parts: (string | Uint8Array)[]): Uint8Array => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** BIP-340, "Tagged Hashes". */
function taggedHash(tag: string, message: Uint8Array): bigint {
  return BigInt(`0x${hex(sha256(sha256(tag), sha256(tag), message))}`);
}

type Key = { readonly secret: string; readonly key: string; readonly isOdd: boolean };

function keyOf(secret: string): Key {
  const { x, y } = multiply(G, BigInt(`0x${secret}`));
  return { secret, key: hexOf(x), isOdd: y % 2n === 1n };
}

function evenSecret({ secret, isOdd }: Key): bigint {
  return isOdd ? N - BigInt(`0x${secret}`) : BigInt(`0x${secret}`);
}

/** S as OpenSSL computes it. */
function ecdh(own: string, other: string): string {
  const side = createECDH("secp256k1");
  side.setPrivateKey(own, "hex");
  return side.computeSecret(`02${other}`, "hex").toString("hex");
}

type Case = Readonly<Record<string, string | number | boolean>>;

function derive(sender: Key, recipient: Key, epoch: number): { fields: Case; isOdd: boolean } {
  const shared = ecdh(sender.secret, recipient.key);
  assert.equal(ecdh(recipient.secret, sender.key), shared);
  const lifted = lift(BigInt(`0x${recipient.key}`));
  assert(lifted !== undefined);
  assert.equal(hexOf(multiply(lifted, evenSecret(sender)).x), shared);

  const epochBytes = Buffer.alloc(8);
  epochBytes.writeBigUInt64BE(BigInt(epoch));
  const message = Buffer.concat([
    Buffer.from(shared + sender.key + recipient.key, "hex"),
    epochBytes,
  ]);
  const tweak = taggedHash("nostr/receiving-key", message) % N;
  const point = add(lifted, multiply(G, tweak));
  const secret = (evenSecret(recipient) + tweak) % N;
  assert.deepEqual(multiply(G, secret), point);
  const fields = {
    sender_secret: sender.secret,
    sender: sender.key,
    recipient_secret: recipient.secret,
    recipient: recipient.key,
    epoch,
    shared_secret: shared,
    tweak: hexOf(tweak),
    receiving_key: hexOf(point.x),
    receiving_secret: hexOf(secret),
  };
  return { fields, isOdd: point.y % 2n === 1n };
}

type People = Readonly<Record<"alice" | "bob" | "carol", { readonly secret: string }>>;
const folder = new URL("./", import.meta.url);
const { alice, bob, carol } = JSON.parse(
  readFileSync(new URL("keys.json", folder), "utf8"),
) as People;
const named = (name: string): Key => keyOf(hex(sha256(`nip-rk ${name}`)));

/** The first of a name's keys whose point is even, or odd. */
function parityKey(name: string, isOdd: boolean): Key {
  for (let number = 1; ; number++) {
    const key = named(`${name} ${number}`);
    if (key.isOdd === isOdd) return key;
  }
}

const EPOCH = Math.floor(1_750_000_000 / (7 * 24 * 60 * 60));
const LARGEST = Number.MAX_SAFE_INTEGER;
const parity = (isOdd: boolean): string => (isOdd ? "odd" : "even");

function derived(title: string, sender: Key, recipient: Key, epoch: number): Case {
  return { title, ...derive(sender, recipient, epoch).fields };
}

/** Every parity of the sender's, the recipient's and the receiving key, the last by the choice of the epoch. */
function parities(): Case[] {
  return [0, 1, 2, 3, 4, 5, 6, 7].map((bits) => {
    const sender = parityKey("sender", (bits & 4) !== 0);
    const recipient = parityKey("recipient", (bits & 2) !== 0);
    const isOdd = (bits & 1) !== 0;
    let epoch = EPOCH;
    while (derive(sender, recipient, epoch).isOdd !== isOdd) epoch++;
    const title = `${parity(sender.isOdd)} sender, ${parity(recipient.isOdd)} recipient, ${parity(isOdd)} receiving key`;
    return derived(title, sender, recipient, epoch);
  });
}

type Asked = readonly [what: string, secret: string, key: string, epoch: number];

function bothRefuse([what, secret, key, epoch]: Asked): Case[] {
  return [
    {
      title: `the sender refuses ${what}`,
      sender_secret: secret,
      recipient: key,
      epoch,
      refused: true,
    },
    {
      title: `the recipient refuses ${what}`,
      recipient_secret: secret,
      sender: key,
      epoch,
      refused: true,
    },
  ];
}

function refused(): Case[] {
  const { secret } = parityKey("sender", false);
  const { key } = parityKey("recipient", true);
  assert(lift(5n) === undefined && lift(1n) !== undefined);
  const asked: Asked[] = [
    ["a key that is no x coordinate of a point", secret, hexOf(5n), EPOCH],
    ["a key of zero", secret, hexOf(0n), EPOCH],
    ["a key of the field's order", secret, hexOf(P), EPOCH],
    // There is a point at 1.
    ["a key that is a point's only modulo the field's order", secret, hexOf(P + 1n), EPOCH],
    ["a key of 31 bytes", secret, key.slice(2), EPOCH],
    ["a key of 33 bytes", secret, `02${key}`, EPOCH],
    ["a key in uppercase", secret, key.toUpperCase(), EPOCH],
    ["a secret of zero", hexOf(0n), key, EPOCH],
    ["a secret of the curve's order", hexOf(N), key, EPOCH],
    ["a secret of 31 bytes", secret.slice(2), key, EPOCH],
    ["epoch -1", secret, key, -1],
    ["an epoch between two", secret, key, 0.5],
    ["an epoch past the largest", secret, key, LARGEST + 1],
  ];
  return asked.flatMap((each) => bothRefuse(each));
}

const [a, b, c] = [keyOf(alice.secret), keyOf(bob.secret), keyOf(carol.secret)];
const cases: Case[] = [
  derived("from alice to bob", a, b, EPOCH),
  derived("from bob to alice", b, a, EPOCH),
  derived("from carol to bob", c, b, EPOCH),
  derived("the next epoch", a, b, EPOCH + 1),
  derived("to oneself", a, a, EPOCH),
  ...parities(),
  derived("epoch 0", a, b, 0),
  derived("an epoch of more than 32 bits", a, b, 2 ** 32 + 1),
  derived("the largest epoch", a, b, LARGEST),
  derived("the least secrets", keyOf(hexOf(1n)), keyOf(hexOf(2n)), EPOCH),
  derived("the greatest secrets", keyOf(hexOf(N - 1n)), keyOf(hexOf(N - 2n)), EPOCH),
  ...refused(),
];
writeFileSync(new URL("receiving-keys.json", folder), `${JSON.stringify(cases, undefined, 2)}\n`);
