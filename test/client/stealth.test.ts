import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { normalizeZ } from "@noble/curves/abstract/curve.js";
import type * as Noble from "@noble/curves/secp256k1.js";
import { schnorr } from "@noble/curves/secp256k1.js";
import * as fc from "fast-check";
import { createRumor, createSeal, createWrap, unwrapEvent } from "nostr-tools/nip59";
import { v2 as nip44 } from "nostr-tools/nip44";
import { finalizeEvent, getPublicKey, verifyEvent } from "nostr-tools/pure";
import { afterEach, describe, expect, it, vi } from "vitest";

import {
  type BaseKeys,
  collect,
  EPOCH_SECONDS,
  epochAt,
  epochsToCollect,
  MAX_EPOCHS_TO_COLLECT,
  receivingKey,
  receivingSecret,
} from "../../src/client/stealth.ts";
import type { Person } from "../support/people.ts";

const { Point, utils } = schnorr;
type Point = ReturnType<typeof utils.lift_x>;

const DAY = 24 * 60 * 60;
const RETENTION = 30 * DAY;
// The middle of an epoch.
const NOW = 2_893 * EPOCH_SECONDS + EPOCH_SECONDS / 2;

function named(name: string): Person {
  const secret = Uint8Array.from(createHash("sha256").update(name).digest());
  return { secret, key: getPublicKey(secret) };
}

const [alice, bob, carol] = [named("alice"), named("bob"), named("carol")];

type Derived = {
  title: string;
  sender_secret: string;
  sender: string;
  recipient_secret: string;
  recipient: string;
  epoch: number;
  receiving_key: string;
  receiving_secret: string;
};
type Refused = { title: string; refused: true; epoch: number } & (
  | { sender_secret: string; recipient: string }
  | { recipient_secret: string; sender: string }
);

const file = new URL("../../nips/vectors/receiving-keys.json", import.meta.url);
const vectors = JSON.parse(readFileSync(file, "utf8")) as (Derived | Refused)[];

describe("nips/vectors/receiving-keys.json", () => {
  const derived = vectors.filter((vector): vector is Derived => !("refused" in vector));
  const refused = vectors.filter((vector): vector is Refused => "refused" in vector);

  it.each(derived)("the sender's side: $title", (vector) => {
    const { recipient, epoch, receiving_key } = vector;
    const sender = bytes(vector.sender_secret);
    expect(receivingKey({ sender, recipient, epoch })).toBe(receiving_key);
  });

  it.each(derived)("the recipient's side: $title", (vector) => {
    const { sender, epoch, receiving_secret, receiving_key } = vector;
    const recipient = bytes(vector.recipient_secret);
    const secret = receivingSecret({ recipient, sender, epoch });
    expect(hex(secret)).toBe(receiving_secret);
    expect(getPublicKey(secret)).toBe(receiving_key);
  });

  it.each(refused)("$title", (vector) => {
    const { epoch } = vector;
    const ask =
      "sender_secret" in vector
        ? () =>
            receivingKey({
              sender: bytes(vector.sender_secret),
              recipient: vector.recipient,
              epoch,
            })
        : () =>
            receivingSecret({
              recipient: bytes(vector.recipient_secret),
              sender: vector.sender,
              epoch,
            });
    expect(ask).toThrow(RangeError);
  });
});

const secretArb = fc.bigInt({ min: 1n, max: Point.Fn.ORDER - 1n }).map(personOf);
const epochArb = fc.oneof(fc.nat({ max: 5_000 }), fc.nat({ max: Number.MAX_SAFE_INTEGER }));

function personOf(scalar: bigint): Person {
  const secret = Point.Fn.toBytes(scalar);
  return { secret, key: getPublicKey(secret) };
}

describe("a receiving key", () => {
  it("has the recipient's secret, for any keys and epoch", () => {
    fc.assert(
      fc.property(secretArb, secretArb, epochArb, (from, to, epoch) => {
        expect(getPublicKey(secretOf(from, to, epoch))).toBe(keyOf(from, to, epoch));
      }),
    );
  });

  it("verifies what its secret signs, for any keys and epoch", () => {
    const template = {
      kind: 22242,
      created_at: NOW,
      tags: [["challenge", "…"]],
      content: "",
    };
    fc.assert(
      fc.property(secretArb, secretArb, epochArb, (from, to, epoch) => {
        const event = finalizeEvent(template, secretOf(from, to, epoch));
        expect(event.pubkey).toBe(keyOf(from, to, epoch));
        expect(verifyEvent(JSON.parse(JSON.stringify(event)))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it("is the same for a secret and its negative, which have the same public key", () => {
    fc.assert(
      fc.property(secretArb, secretArb, epochArb, (from, to, epoch) => {
        const [minusFrom, minusTo] = [negative(from), negative(to)];
        expect(keyOf(minusFrom, to, epoch)).toBe(keyOf(from, to, epoch));
        expect(secretOf(from, minusTo, epoch)).toEqual(secretOf(from, to, epoch));
      }),
      { numRuns: 50 },
    );
  });

  it("is another for each epoch, pair and direction, and nobody's own", () => {
    const threeArb = fc.uniqueArray(secretArb, {
      minLength: 3,
      maxLength: 3,
      selector: ({ key }) => key,
    });
    const epochsArb = fc.uniqueArray(epochArb, { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(threeArb, epochsArb, (people, epochs) => {
        const pairs = people.flatMap((from) => people.map((to) => [from, to] as const));
        const keys = pairs.flatMap(([from, to]) => epochs.map((epoch) => keyOf(from, to, epoch)));
        const all = [...keys, ...people.map(({ key }) => key)];
        expect(new Set(all).size).toBe(3 * 3 * 2 + 3);
      }),
      { numRuns: 15 },
    );
  });

  it("receives a gift wrap whose seal the recipient's own key opens", () => {
    const rumor = createRumor({ kind: 14, content: "hello", tags: [["p", bob.key]] }, alice.secret);
    const wrap = createWrap(createSeal(rumor, alice.secret, bob.key), keyOf(alice, bob, 7));
    const secret = secretOf(alice, bob, 7);
    expect(wrap.tags).toEqual([["p", getPublicKey(secret)]]);
    expect(() => unwrapEvent(wrap, bob.secret)).toThrow("invalid MAC");

    const seal = JSON.parse(
      nip44.decrypt(wrap.content, nip44.utils.getConversationKey(secret, wrap.pubkey)),
    ) as { pubkey: string; content: string };
    const opened = nip44.utils.getConversationKey(bob.secret, seal.pubkey);
    expect(JSON.parse(nip44.decrypt(seal.content, opened))).toEqual(rumor);
  });

  it("is not what anybody can compute who has neither secret", () => {
    // What anybody can hash: the derivation without its shared secret, or with a known one in its place.
    const own = { recipient: Buffer.from(bob.key, "hex"), sender: Buffer.from(alice.key, "hex") };
    const epoch = Buffer.alloc(8);
    epoch.writeBigUInt64BE(7n);
    const pair = Buffer.concat([own.sender, own.recipient]);
    const guesses = [
      epoch,
      Buffer.concat([own.recipient, epoch]),
      Buffer.concat([pair, epoch]),
      Buffer.concat([Buffer.alloc(32), pair, epoch]),
      Buffer.concat([own.sender, pair, epoch]),
      Buffer.concat([own.recipient, pair, epoch]),
    ].map((guess) => {
      const tweak = BigInt(`0x${hex(utils.taggedHash("nostr/receiving-key", guess))}`);
      return hex(
        utils.pointToBytes(lift(bob.key).add(Point.BASE.multiply(Point.Fn.create(tweak)))),
      );
    });
    expect([bob.key, ...guesses]).not.toContain(keyOf(alice, bob, 7));
  });
});

describe("arguments that are refused", () => {
  const NO_POINT = "5".padStart(64, "0");
  it.each<[string, () => unknown]>([
    ["sender", () => receivingKey({ sender: bytes("00"), recipient: bob.key, epoch: 1 })],
    ["recipient", () => receivingKey({ sender: alice.secret, recipient: NO_POINT, epoch: 1 })],
    ["epoch", () => receivingKey({ sender: alice.secret, recipient: bob.key, epoch: NaN })],
    ["recipient", () => receivingSecret({ recipient: bytes(""), sender: alice.key, epoch: 1 })],
    ["sender", () => receivingSecret({ recipient: bob.secret, sender: NO_POINT, epoch: 1 })],
    ["epoch", () => receivingSecret({ recipient: bob.secret, sender: alice.key, epoch: -1 })],
    ["contacts[1].base", () => collectFrom([alice.key, NO_POINT])],
    ["contacts[0].base", () => collectFrom([`02${alice.key}`])],
    ["retentionSeconds", () => epochsToCollect(NOW, -1)],
    ["retentionSeconds", () => epochsToCollect(NOW, Infinity)],
    ["now", () => epochsToCollect(NOW + 0.5, RETENTION)],
    ["now", () => epochsToCollect(-1, RETENTION)],
    ["unixSeconds", () => epochAt(-1)],
    ["unixSeconds", () => epochAt(NaN)],
  ])("are named: %s", (name, call) => {
    expect(call).toThrow(RangeError);
    expect(call).toThrow(`${name} must be `);
  });

  it("do not show a secret", () => {
    const zero = "00".repeat(32);
    const order = hex(Point.Fn.toBytes(Point.Fn.ORDER - 1n)).replace(/40$/, "41");
    for (const secret of [zero, order, alice.key.slice(2)]) {
      const ask = (): string =>
        receivingKey({ sender: bytes(secret), recipient: bob.key, epoch: 1 });
      expect(ask).toThrow("sender must be a secret key of 32 bytes");
    }
  });
});

// No hash is known that comes to these.
describe("a tweak that leaves no key", () => {
  afterEach(() => {
    vi.doUnmock("@noble/curves/secp256k1.js");
    vi.resetModules();
  });

  const { Fn } = Point;
  const own = Fn.fromBytes(bob.secret);
  const even = Point.BASE.multiply(own).toAffine().y % 2n === 0n ? own : Fn.neg(own);
  it.each([
    ["of zero", 0n, "the tweak is zero"],
    ["that is the recipient's secret negated", Fn.neg(even), "the point at infinity"],
  ])("%s is refused by both sides", async (_, tweak, message) => {
    vi.resetModules();
    vi.doMock("@noble/curves/secp256k1.js", async (original) => {
      const noble = await original<typeof Noble>();
      const hashes = { ...noble.schnorr.utils, taggedHash: () => Fn.toBytes(tweak) };
      return { ...noble, schnorr: { ...noble.schnorr, utils: hashes } };
    });
    const stealth = await import("../../src/client/stealth.ts");
    const [sender, recipient] = [alice, bob];
    expect(() =>
      stealth.receivingKey({ sender: sender.secret, recipient: recipient.key, epoch: 7 }),
    ).toThrow(message);
    expect(() =>
      stealth.receivingSecret({ recipient: recipient.secret, sender: sender.key, epoch: 7 }),
    ).toThrow(message);
  });
});

describe("the epochs to collect", () => {
  it("change on the second", () => {
    expect([0, EPOCH_SECONDS - 1, EPOCH_SECONDS, NOW].map((at) => epochAt(at))).toEqual([
      0, 0, 1, 2_893,
    ]);
  });

  it("reach from retention and two days ago to 15 minutes ahead", () => {
    const start = 2_893 * EPOCH_SECONDS;
    const weeks = 5 * DAY;
    expect(epochsToCollect(start + 7 * DAY - 901, weeks)).toEqual([2_892, 2_893]);
    expect(epochsToCollect(start + 7 * DAY - 900, weeks)).toEqual([2_892, 2_893, 2_894]);
    expect(epochsToCollect(start, weeks)).toEqual([2_892, 2_893]);
    expect(epochsToCollect(start - 1, weeks)).toEqual([2_891, 2_892, 2_893]);
    expect(epochsToCollect(NOW, 30 * DAY)).toEqual([2_888, 2_889, 2_890, 2_891, 2_892, 2_893]);
  });

  it("hold every drop that a relay can hold, wherever its created_at was moved", () => {
    const at = fc.integer({ min: NOW - 400 * DAY, max: NOW });
    const property = fc.property(
      at,
      fc.integer({ min: 0, max: 2 * DAY }),
      fc.integer({ min: 0, max: 90 * DAY }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (sent, fuzz, retention, age) => {
        // The relay takes a drop from 15 minutes before its created_at on, and holds it until this many seconds after.
        const createdAt = sent - fuzz;
        const held = 2 * DAY + retention;
        const now = createdAt - 900 + Math.floor(age * (held + 900));
        // A sender whose clock is more than 15 minutes ahead is found later.
        fc.pre(sent <= now + 900);
        expect(epochsToCollect(now, retention)).toContain(epochAt(sent));
      },
    );
    fc.assert(property, { numRuns: 2_000 });
  });

  it("begin with epoch 0", () => {
    expect(epochsToCollect(0, RETENTION)).toEqual([0]);
    expect(epochsToCollect(DAY, RETENTION)).toEqual([0]);
  });

  it("are the newest two years when a relay says that it holds drops for ever", () => {
    const epochs = epochsToCollect(NOW, Number.MAX_SAFE_INTEGER);
    expect(epochs).toHaveLength(MAX_EPOCHS_TO_COLLECT);
    expect(epochs.at(-1)).toBe(2_893);
  });
});

describe("collecting", () => {
  it("finds what each contact sent in each epoch, contact by contact, oldest first", () => {
    const contacts = [alice, carol, bob];
    const receiving = collectFrom(contacts.map(({ key }) => key));
    const expected = contacts.flatMap((contact) =>
      [2_888, 2_889, 2_890, 2_891, 2_892, 2_893].map((epoch) => ({
        contact: contact.key,
        epoch,
        secret: secretOf(contact, bob, epoch),
        key: keyOf(contact, bob, epoch),
      })),
    );
    expect(receiving).toEqual(expected);
  });

  it("is nothing without contacts", () => {
    expect(collectFrom([])).toEqual([]);
  });
});

/*
 * What a relay can try that sees every receiving key and knows everybody's own. The people and so the keys are fixed, and so is each outcome.
 *
 * These find mistakes and prove nothing. That a key cannot be told from a random one rests on the tweak: whoever cannot compute S (the Diffie-Hellman
 * problem) has a hash that it cannot evaluate.
 */
const PEOPLE = Array.from({ length: 10 }, (_, index) => named(`person ${index}`));
const EPOCHS = 8;
/** A pair's keys in one direction, epoch after epoch. */
type History = { readonly from: string; readonly to: string; readonly keys: readonly string[] };
const HISTORIES: readonly History[] = PEOPLE.flatMap(({ secret, key: to }) => {
  const contacts = PEOPLE.map(({ key }) => key).filter((contact) => contact !== to);
  const retentionSeconds = (EPOCHS - 1) * EPOCH_SECONDS - 2 * DAY;
  const receiving = collect({ contacts: pairsOf(secret, contacts), now: NOW, retentionSeconds });
  return contacts.map((from) => {
    const keys = receiving.filter(({ contact }) => contact === from).map(({ key }) => key);
    return { from, to, keys };
  });
});
const KEYS = HISTORIES.flatMap(({ keys }) => keys);

describe("a relay that sees every receiving key", () => {
  // The keys between four people, both ways, are enough where two points are added for each two keys.
  const four = new Set(PEOPLE.slice(0, 4).map(({ key }) => key));
  const people = Array.from(four, (key) => lift(key));
  const histories = HISTORIES.filter(({ from, to }) => four.has(from) && four.has(to)).map(
    ({ keys }) => keys.map((key) => lift(key)),
  );

  it("sees as many as there are pairs, directions and epochs, and nobody's own", () => {
    expect(KEYS).toHaveLength(10 * 9 * EPOCHS);
    expect(new Set([...KEYS, ...PEOPLE.map(({ key }) => key)]).size).toBe(KEYS.length + 10);
    expect(histories.flat()).toHaveLength(4 * 3 * EPOCHS);
  });

  it("finds no prefix and no ending that two of them share beyond chance", () => {
    // Of the 260,000 pairs the closest share some 18 bits; 40 in one of four million such samples.
    const reversed = KEYS.map((key) => Array.from(key).toReversed().join(""));
    expect(longestSharedPrefix(KEYS)).toBeLessThan(10);
    expect(longestSharedPrefix(reversed)).toBeLessThan(10);
  });

  it("finds none that is a small multiple of the base point away from another, or from anybody's own", () => {
    const all = [...histories.flat(), ...people];
    const apart = all.flatMap((one, index) =>
      all.slice(index + 1).flatMap((other) => sumAndDifference(one, other)),
    );
    const near = new Set(["infinity"]);
    for (let k = 1, multiple = Point.BASE; k <= 1_024; k++, multiple = multiple.add(Point.BASE)) {
      near.add(multiple.toAffine().x.toString(16));
    }
    expect(xCoordinates(apart).filter((x) => near.has(x))).toEqual([]);
  });

  // So would B + t·G and A + t·G, if the tweak were that of the pair and not of the direction.
  it("finds no two that differ from anybody's own keys in the same way", () => {
    const apart = histories
      .flat()
      .flatMap((key) => people.flatMap((own) => sumAndDifference(key, own)));
    expect(repeated(xCoordinates(apart))).toEqual([]);
  });

  it("finds no step from one epoch to the next that is taken twice", () => {
    const steps = histories.flatMap((keys) =>
      keys.slice(1).flatMap((key, before) => sumAndDifference(key, keys[before] as Point)),
    );
    expect(repeated(xCoordinates(steps))).toEqual([]);
  });
});

type Keys = readonly Uint8Array[];
/** A number that is between the two for random keys, and keys for which it must not be. */
type Statistic = {
  readonly of: (keys: Keys, random: Keys) => number;
  readonly between: readonly [number, number];
  readonly flaw: (keys: Keys) => Keys;
};

// So many standard deviations to each side; chi-squared of 255 degrees of freedom has one of 22.6.
const DEVIATIONS = [-4, 4] as const;
const CHI_SQUARED = [255 - 4 * 22.6, 255 + 4 * 22.6] as const;

const fixedBit = (keys: Keys): Keys => keys.map((key) => key.with(31, (key[31] ?? 0) | 1));
const fixedByte = (keys: Keys): Keys => keys.map((key) => key.with(0, 0x02));
const alternating = (keys: Keys): Keys => keys.map((key) => key.with(7, 0x55));
const counted = (keys: Keys): Keys => keys.map((key, index) => key.with(9, index % 256));
const ascending = (keys: Keys): Keys => keys.toSorted((one, other) => Buffer.compare(one, other));
const likeTheFirst = ([first, second, ...rest]: Keys): Keys => [
  first as Uint8Array,
  ...rest,
  firstHalf(first as Uint8Array, second as Uint8Array),
];
const unlikeTheFirst = ([first, second, ...rest]: Keys): Keys => [
  first as Uint8Array,
  ...rest,
  firstHalf(
    (first as Uint8Array).map((byte) => ~byte),
    second as Uint8Array,
  ),
];
const firstHalf = (of: Uint8Array, rest: Uint8Array): Uint8Array =>
  rest.map((byte, place) => (place < 16 ? (of[place] ?? 0) : byte));
const inTwos = (keys: Keys): Keys =>
  keys.map((key, at) => key.with(3, keys[at - (at % 2)]?.[3] ?? 0));

const STATISTICS: Readonly<Record<string, Statistic>> = {
  "the share of one bits": {
    of: (keys) => {
      const bits = keys.length * 256;
      return (sum(balances(keys)) - bits / 2) / Math.sqrt(bits / 4);
    },
    between: DEVIATIONS,
    flaw: fixedByte,
  },
  "the share of ones at each bit": {
    of: (keys) =>
      sum(balances(keys).map((count) => (count - keys.length / 2) ** 2 / (keys.length / 4))),
    between: CHI_SQUARED,
    flaw: fixedBit,
  },
  "the frequency of each byte": {
    of: (keys) => unevenness(frequencies(keys)),
    between: CHI_SQUARED,
    flaw: fixedByte,
  },
  "the frequency of each byte beside that in random keys": {
    of: (keys, random) => {
      const others = frequencies(random);
      const parts = frequencies(keys).map((count, byte) => {
        const other = others[byte] ?? 0;
        return (count - other) ** 2 / (count + other);
      });
      return sum(parts);
    },
    between: CHI_SQUARED,
    flaw: fixedByte,
  },
  "the number of runs of equal bits": {
    of: (keys) => {
      const bits = keys.length * 256;
      const one = sum(balances(keys));
      const changes = (2 * one * (bits - one)) / bits;
      const variance = (changes * (changes - 1)) / (bits - 1);
      return (runs(keys) - (changes + 1)) / Math.sqrt(variance);
    },
    between: DEVIATIONS,
    flaw: alternating,
  },
  "the mean distance of two keys": {
    of: (keys) => mean(distances(keys)),
    between: [127.9, 128.1],
    flaw: fixedBit,
  },
  "the distance of the two nearest keys": {
    of: (keys) => distances(keys).reduce((one, other) => Math.min(one, other)),
    between: [80, 100],
    flaw: likeTheFirst,
  },
  "the distance of the two farthest keys": {
    of: (keys) => distances(keys).reduce((one, other) => Math.max(one, other)),
    between: [156, 176],
    flaw: unlikeTheFirst,
  },
  "the mean distance of a key and the next": {
    of: (keys) =>
      (mean(steps(keys).map((step) => ones(step))) - 128) / (8 / Math.sqrt(keys.length)),
    between: DEVIATIONS,
    flaw: inTwos,
  },
  "the frequency of each byte in a key xor the next": {
    of: (keys) => unevenness(frequencies(steps(keys))),
    between: CHI_SQUARED,
    flaw: counted,
  },
  "the correlation of a key with the next, as numbers": {
    of: (keys) => correlation(keys.map((key) => Buffer.from(key).readUIntBE(0, 6) / 2 ** 48 - 0.5)),
    between: DEVIATIONS,
    flaw: ascending,
  },
};

const pairByPair = KEYS.map((key) => bytes(key));
const weekByWeek = Array.from({ length: EPOCHS }, (_, epoch) =>
  HISTORIES.map(({ keys }) => bytes(keys[epoch] ?? "")),
).flat();
const [random, others] = [randomKeys("random"), randomKeys("others")];

describe.each(Object.entries(STATISTICS))("%s", (_, { of, between: [from, to], flaw }) => {
  it.each([
    ["pair by pair", pairByPair],
    ["week by week", weekByWeek],
  ])("does not tell receiving keys, %s, from random ones", (_, keys) => {
    expect(of(keys, random)).toBeGreaterThan(from);
    expect(of(keys, random)).toBeLessThan(to);
  });

  it("does not tell random keys from others", () => {
    expect(of(random, others)).toBeGreaterThan(from);
    expect(of(random, others)).toBeLessThan(to);
  });

  it("tells keys that have its flaw", () => {
    const value = of(flaw(pairByPair), random);
    expect(value < from || value > to).toBe(true);
  });
});

function randomKeys(seed: string): Keys {
  return KEYS.map((_, number) => bytes(named(`${seed} ${number}`).key));
}

/** How often each of the 256 bits is one. */
function balances(keys: Keys): number[] {
  return Array.from(
    { length: 256 },
    (_, bit) => keys.filter((key) => ((key[bit >> 3] ?? 0) >> (7 - (bit % 8))) & 1).length,
  );
}

/** How often each of the 256 bytes stands somewhere. */
function frequencies(keys: Keys): number[] {
  const counts = Array.from({ length: 256 }, () => 0);
  for (const key of keys) for (const byte of key) counts[byte] = (counts[byte] ?? 0) + 1;
  return counts;
}

/** Chi-squared of counts that should be equal. */
function unevenness(counts: number[]): number {
  const expected = mean(counts);
  return sum(counts.map((count) => (count - expected) ** 2 / expected));
}

function runs(keys: Keys): number {
  const bits = keys.map((key) => Array.from(key, (byte) => byte.toString(2).padStart(8, "0")));
  return bits.flat().join("").match(/0+|1+/g)?.length ?? 0;
}

/** How many bits differ, for each two keys. */
function distances(keys: Keys): number[] {
  const words = keys.map((key) => new Uint32Array(key.slice().buffer));
  const distances: number[] = [];
  for (const [index, one] of words.entries()) {
    for (let next = index + 1; next < words.length; next++) {
      const other = words[next] as Uint32Array;
      let distance = 0;
      for (let word = 0; word < 8; word++)
        distance += onesIn((one[word] ?? 0) ^ (other[word] ?? 0));
      distances.push(distance);
    }
  }
  return distances;
}

/** The ones of a 32-bit word, added up in pairs, nibbles and bytes. */
function onesIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function ones(key: Uint8Array): number {
  return sum(Array.from(key, (byte) => onesIn(byte)));
}

/** Each key xor the next. */
function steps(keys: Keys): Keys {
  return keys.slice(1).map((key, before) => key.map((byte, i) => byte ^ (keys[before]?.[i] ?? 0)));
}

/** Of each number with the next, in standard deviations; the numbers are even between -1/2 and 1/2, so that their variance is 1/12. */
function correlation(numbers: number[]): number {
  const products = numbers.slice(1).map((number, before) => number * (numbers[before] ?? 0) * 12);
  return mean(products) * Math.sqrt(products.length);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function mean(numbers: readonly number[]): number {
  return sum(numbers) / numbers.length;
}

function keyOf(from: Person, to: Person, epoch: number): string {
  return receivingKey({ sender: from.secret, recipient: to.key, epoch });
}

function secretOf(from: Person, to: Person, epoch: number): Uint8Array {
  return receivingSecret({ recipient: to.secret, sender: from.key, epoch });
}

// Base keys are made for this; here they are the people's own, as the vectors have no others.
function pairsOf(secret: Uint8Array, contacts: readonly string[]): BaseKeys[] {
  return contacts.map((contact) => ({ contact, secret, base: contact }));
}

function collectFrom(contacts: string[]): ReturnType<typeof collect> {
  const pairs = pairsOf(bob.secret, contacts);
  return collect({ contacts: pairs, now: NOW, retentionSeconds: RETENTION });
}

function negative({ secret, key }: Person): Person {
  return { secret: Point.Fn.toBytes(Point.Fn.neg(Point.Fn.fromBytes(secret))), key };
}

function lift(key: string): Point {
  return utils.lift_x(BigInt(`0x${key}`));
}

/** Both, as an x-only key may stand for either of two points. */
function sumAndDifference(one: Point, other: Point): [Point, Point] {
  return [one.add(other), one.subtract(other)];
}

function xCoordinates(points: Point[]): string[] {
  const finite = points.filter((point) => !point.is0());
  const xs = normalizeZ(Point, finite).map((point) => point.toAffine().x.toString(16));
  return [...xs, ...points.filter((point) => point.is0()).map(() => "infinity")];
}

function repeated(values: string[]): string[] {
  return values.filter((value, index) => values.indexOf(value) !== index);
}

/** The most hex digits with which two of the keys begin: those of neighbours, once they are sorted. */
function longestSharedPrefix(keys: readonly string[]): number {
  const sorted = keys.toSorted();
  const shared = sorted.slice(1).map((key, before) => {
    const differs = Array.from(key).findIndex((digit, place) => digit !== sorted[before]?.[place]);
    return differs === -1 ? key.length : differs;
  });
  return Math.max(...shared);
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}
