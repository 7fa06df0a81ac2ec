/*
 * Receiving keys (nips/RK.md): for each pair of people, direction and week another key in the p tag of a gift wrap, which the relay cannot tell from a random
 * one, and which both sides compute of base keys that they have told each other.
 *
 * The idea is Bitcoin's: BIP-47 makes an address of the recipient's public key and a tweak from a secret that sender and recipient share by ECDH, and BIP-352
 * does so with "hash(ecdh_shared_secret || ...)·G". Here are no transactions to take a sender's key from, so it is one that the sender has announced. Keys are
 * x-only and hashes are tagged, as in BIP-340.
 *
 * What does not hold: there is no forward secrecy within a pair, as the base secret of either side gives every key of it. And a receiving secret is as precious
 * as the recipient's base secret, which is one subtraction away for the sender: secret - tweak. That is why a base key is made for one contact.
 */

import { schnorr, secp256k1 } from "@noble/curves/secp256k1.js";
import {
  bytesToHex,
  bytesToNumberBE,
  concatBytes,
  hexToBytes,
  numberToBytesBE,
} from "@noble/curves/utils.js";

import { CLOCK_SKEW_SECONDS, TIMESTAMP_FUZZ_SECONDS } from "../nostr/drop.ts";
import { pointOf } from "./arguments.ts";

const { Point } = schnorr;
const { Fn } = Point;
type Point = ReturnType<typeof schnorr.utils.lift_x>;

/** How long a pair uses one receiving key in one direction. */
export const EPOCH_SECONDS = 7 * 24 * 60 * 60;

/** Two years: a relay that says it holds drops for longer does not set how many keys a client derives. */
export const MAX_EPOCHS_TO_COLLECT = 2 * 53;

const TAG = "nostr/receiving-key";

/** A key of one's own with the secret that belongs to the point of even y. */
type Own = { readonly scalar: bigint; readonly key: Uint8Array };
/** Somebody else's key and its point of even y. */
type Their = { readonly point: Point; readonly key: Uint8Array };

/**
 * The key to which a sender addresses and encrypts a gift wrap in `epoch`, as 64 hex digits: lift_x(recipient) + tweak·G (NIP-RK). The sender learns
 * no secret of it, and cannot authenticate as it. `sender` is the sender's 32-byte base secret, `recipient` the base key of the other.
 * Throws a RangeError that names the argument when one of them is no key or the epoch is no whole number.
 */
export function receivingKey(of: {
  readonly sender: Uint8Array;
  readonly recipient: string;
  readonly epoch: number;
}): string {
  const sender = ownKey(of.sender, "sender");
  const recipient = theirKey(of.recipient, "recipient");
  const pair = concatBytes(sharedSecret(sender, recipient), sender.key, recipient.key);
  const point = recipient.point.add(Point.BASE.multiply(tweakOf(pair, of.epoch)));
  if (point.is0()) throw new Error("the receiving key is the point at infinity");
  return bytesToHex(schnorr.utils.pointToBytes(point));
}

/**
 * The secret of the key that `receivingKey` gives the sender: 32 bytes, for BIP-340 signatures and NIP-44 as they are. `recipient` is the recipient's 32-byte
 * base secret, `sender` the base key of the other. It must not leave the device: the sender can compute the base secret from it.
 * Throws a RangeError that names the argument when one of them is no key or the epoch is no whole number.
 */
export function receivingSecret(of: {
  readonly recipient: Uint8Array;
  readonly sender: string;
  readonly epoch: number;
}): Uint8Array {
  const recipient = ownKey(of.recipient, "recipient");
  return tweakedSecret(recipient, pairWith(recipient, of.sender, "sender"), of.epoch);
}

/** The epoch of a time in Unix seconds: weeks since 1970 began. Throws a RangeError when that is no whole number. */
export function epochAt(unixSeconds: number): number {
  return Math.floor(whole(unixSeconds, "unixSeconds") / EPOCH_SECONDS);
}

/**
 * The epochs, oldest first, whose drops a relay with this retention can hold at `now`, both in seconds. A drop is held while
 * `now < created_at + 2 days + retention` (NIP-DD, "Expiry"), and NIP-59 moves `created_at` back only, so that its sender's clock did not show less; nor
 * did it show more than the 15 minutes by which `created_at` may be ahead, but for a clock that is wrong, whose drops are found when their epoch has come.
 * Answers the newest `MAX_EPOCHS_TO_COLLECT` if there are more. Throws a RangeError when an argument is no whole number.
 */
export function epochsToCollect(now: number, retentionSeconds: number): number[] {
  const heldSeconds = whole(retentionSeconds, "retentionSeconds") + TIMESTAMP_FUZZ_SECONDS;
  const last = epochAt(whole(now, "now") + CLOCK_SKEW_SECONDS);
  const oldest = epochAt(Math.max(0, now - heldSeconds));
  const first = Math.max(oldest, last - MAX_EPOCHS_TO_COLLECT + 1);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** What two people have told each other: the one's secret, and what the other announced. */
export type BaseKeys = {
  /** The contact's own key, which seals. */
  readonly contact: string;
  /** One's base secret for this contact, 32 bytes. */
  readonly secret: Uint8Array;
  /** The base key that the contact announced. */
  readonly base: string;
};

/** A key to authenticate and ask with, and whom and when it is for. */
export type Receiving = {
  /** The own key of the one who sends to it. */
  readonly contact: string;
  readonly epoch: number;
  /** 32 bytes; see `receivingSecret`. */
  readonly secret: Uint8Array;
  /** 64 hex digits: what stands in the `p` tag. */
  readonly key: string;
};

/**
 * Every key to which one of the contacts can have sent a drop that is still held at `now` by a relay with this retention, both in seconds: contact by contact,
 * oldest epoch first. A contact stands there twice for as long as drops to base keys of before may be held. Costs two multiplications for each
 * contact and one of the base point for each key, some milliseconds in JavaScript. Throws as `receivingSecret` does, and names the contact by its place.
 */
export function collect(of: {
  readonly contacts: readonly BaseKeys[];
  readonly now: number;
  readonly retentionSeconds: number;
}): Receiving[] {
  const epochs = epochsToCollect(of.now, of.retentionSeconds);
  return of.contacts.flatMap(({ contact, secret: own, base }, place) => {
    const recipient = ownKey(own, `contacts[${place}].secret`);
    const pair = pairWith(recipient, base, `contacts[${place}].base`);
    return epochs.map((epoch) => {
      const secret = tweakedSecret(recipient, pair, epoch);
      return { contact, epoch, secret, key: bytesToHex(schnorr.getPublicKey(secret)) };
    });
  });
}

/** What the recipient hashes with the epoch: S || A || B, the sender first, so that the two directions of a pair have nothing in common. */
function pairWith(recipient: Own, senderKey: string, name: string): Uint8Array {
  const sender = theirKey(senderKey, name);
  return concatBytes(sharedSecret(recipient, sender), sender.key, recipient.key);
}

function tweakedSecret(recipient: Own, pair: Uint8Array, epoch: number): Uint8Array {
  const secret = Fn.add(recipient.scalar, tweakOf(pair, epoch));
  if (Fn.is0(secret)) throw new Error("the receiving key is the point at infinity");
  return Fn.toBytes(secret);
}

/** "t = int(hash(S || A || B || epoch)) mod n". BIP-352 fails for a hash of n or more; the remainder, as in BIP-340's challenge, favours some by less than 2^-126. */
function tweakOf(pair: Uint8Array, epoch: number): bigint {
  const epochBytes = numberToBytesBE(whole(epoch, "epoch"), 8);
  const tweak = Fn.create(bytesToNumberBE(schnorr.utils.taggedHash(TAG, pair, epochBytes)));
  if (Fn.is0(tweak)) throw new Error("the tweak is zero");
  return tweak;
}

/** The x coordinate alone: it is the same for a point and its negative, and what NIP-04 and NIP-44 start from. */
function sharedSecret(own: Own, { point }: Their): Uint8Array {
  return schnorr.utils.pointToBytes(point.multiply(own.scalar));
}

/** BIP-340: "Let d = d' if has_even_y(P), otherwise let d = n - d'". */
function ownKey(secret: Uint8Array, name: string): Own {
  if (!secp256k1.utils.isValidSecretKey(secret)) {
    throw new RangeError(`${name} must be a secret key of 32 bytes`);
  }
  const scalar = Fn.fromBytes(secret);
  const point = Point.BASE.multiply(scalar);
  const hasEvenY = point.toAffine().y % 2n === 0n;
  return {
    scalar: hasEvenY ? scalar : Fn.neg(scalar),
    key: schnorr.utils.pointToBytes(point),
  };
}

/** BIP-340's lift_x. Half of all 32-byte numbers are no x coordinate: such a key belongs to nobody. */
function theirKey(key: string, name: string): Their {
  return { point: pointOf(key, name), key: hexToBytes(key) };
}

function whole(value: number, name: string): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new RangeError(`${name} must be a whole number from 0 to 2^53 - 1`);
  }
  return value;
}
