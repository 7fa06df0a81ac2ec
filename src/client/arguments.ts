// What callers hand in, checked where it comes in.

import { schnorr } from "@noble/curves/secp256k1.js";

import { isHex32 } from "../nostr/hex.ts";

/** Throws a RangeError that shows the value, when it is not what a key or an id looks like. */
export function mustBeHex(value: string, what: "key" | "id"): void {
  const isHex: boolean = isHex32(value);
  if (!isHex) throw new RangeError(`"${value}" is no ${what} of 64 lowercase hex digits`);
}

/** The point of a public key (BIP-340, lift_x). Throws a RangeError that names it when there is none: half of all 32-byte numbers belong to nobody. */
export function pointOf(key: string, name: string): ReturnType<typeof schnorr.utils.lift_x> {
  if (!isHex32(key)) throw new RangeError(`${name} must be a key of 64 lowercase hex digits`);
  try {
    return schnorr.utils.lift_x(BigInt(`0x${key}`));
  } catch (error) {
    throw new RangeError(`${name} must be somebody's key, and this is nobody's`, { cause: error });
  }
}

// Three million years: so that a time from which it is counted still has the 15 digits that an `expiration` is read with.
const MAX_SECONDS = 10 ** 14;

/** Throws a RangeError unless it is a number of seconds, more than none. Answers it as a whole number. */
export function wholeSeconds(seconds: number, name: string): number {
  if (seconds > 0 && seconds <= MAX_SECONDS) return Math.ceil(seconds);
  throw new RangeError(`${name}: ${seconds} is no number of seconds`);
}
