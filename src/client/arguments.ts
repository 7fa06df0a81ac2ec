// What callers hand in, checked where it comes in.

import { isHex32 } from "../nostr/hex.ts";

/** Throws a RangeError that shows the value, when it is not what a key or an id looks like. */
export function mustBeHex(value: string, what: "key" | "id"): void {
  const isHex: boolean = isHex32(value);
  if (!isHex) throw new RangeError(`"${value}" is no ${what} of 64 lowercase hex digits`);
}

/** Throws a RangeError unless it is a number of seconds, more than none. Answers it as a whole number. */
export function wholeSeconds(seconds: number, name: string): number {
  if (seconds > 0 && Number.isSafeInteger(Math.ceil(seconds))) return Math.ceil(seconds);
  throw new RangeError(`${name}: ${seconds} is no number of seconds`);
}
