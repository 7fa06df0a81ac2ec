// The Negentropy protocol on the wire (NIP-77, appendix): numbers, bounds and bytes, read and written one behind the other.

import type { Reason } from "./reason.ts";

export const ID_BYTES = 32;
/** What a number takes at most: they are at most 2^53, eight digits of seven bits. */
export const VARINT_BYTES = 8;

const TOO_LARGE: Reason = "invalid: a number in the negentropy message is too large";

/** Where a range ends: before the records of this time whose ids come after the prefix. A prefix stands for itself and zeros. */
export type Bound = { readonly time: number; readonly prefix: Uint8Array };

export const NOTHING = new Uint8Array(0);

/** Reads past the end as zeros, and remembers that it did. */
export class Reader {
  broken: Reason | undefined;
  readonly #message: Uint8Array;
  #at: number;
  #time = 0;

  constructor(message: Uint8Array, at: number) {
    this.#message = message;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#message.length;
  }

  bytes(count: number): Uint8Array {
    if (count > this.#message.length - this.#at) {
      this.broken ??= "invalid: the negentropy message ends too early";
      return NOTHING;
    }
    this.#at += count;
    return this.#message.subarray(this.#at - count, this.#at);
  }

  /** "Base-128 digits, most significant digit first"; bit eight is set on each but the last. */
  varint(): number {
    let value = 0;
    for (;;) {
      const [byte] = this.bytes(1);
      if (byte === undefined) return 0;
      value = value * 128 + (byte & 127);
      if (value > Number.MAX_SAFE_INTEGER) {
        this.broken ??= TOO_LARGE;
        return 0;
      }
      if (byte < 128) return value;
    }
  }

  /** "The infinity timestamp is encoded as 0. All other values are encoded as 1 + offset" to the one before. */
  bound(before: Bound): Bound {
    const encoded = this.varint();
    this.#time = encoded === 0 ? Infinity : this.#time + encoded - 1;
    if (encoded > 0 && this.#time > Number.MAX_SAFE_INTEGER) this.broken ??= TOO_LARGE;
    const length = this.varint();
    if (length > ID_BYTES) this.broken ??= "invalid: a bound is longer than an id";
    const bound = { time: this.#time, prefix: this.bytes(Math.min(length, ID_BYTES)) };
    const isBefore = bound.time === before.time && comparePrefixes(bound.prefix, before.prefix) < 0;
    if (isBefore) this.broken ??= "invalid: ranges are out of order";
    return bound;
  }
}

/** Writes into as many bytes as it was made for. */
export class Writer {
  length = 0;
  readonly #bytes: Uint8Array;
  #time = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
  }

  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  byte(byte: number): void {
    this.#bytes[this.length++] = byte;
  }

  bytes(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  /** The least significant byte first. */
  limb(limb: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.byte((limb >>> shift) & 255);
  }

  varint(value: number): void {
    let rest = value;
    let bytes = 1;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes += 1;
    rest = value;
    for (let at = this.length + bytes - 1; at >= this.length; at--) {
      const isLast = at === this.length + bytes - 1;
      this.#bytes[at] = (rest % 128) | (isLast ? 0 : 128);
      rest = Math.floor(rest / 128);
    }
    this.length += bytes;
  }

  bound({ time, prefix }: Bound): void {
    this.varint(time === Infinity ? 0 : time - this.#time + 1);
    this.#time = time;
    this.varint(prefix.length);
    this.bytes(prefix);
  }
}

function comparePrefixes(a: Uint8Array, b: Uint8Array): number {
  for (let byte = 0; byte < Math.max(a.length, b.length); byte++) {
    const difference = (a[byte] ?? 0) - (b[byte] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
