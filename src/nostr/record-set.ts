import { sha256 } from "@noble/hashes/sha2.js";

import { type Bound, ID_BYTES, NOTHING, VARINT_BYTES, Writer } from "./negentropy-wire.ts";

/** The bytes of a fingerprint. */
export const FINGERPRINT_BYTES = 16;

// Every so many records the sum of all ids before them is kept, so that a fingerprint costs the same for any range.
const STEP = 32;
const LIMBS = 8;

/** Records by time and id. 41 bytes each. */
export class RecordSet {
  readonly #times: Float64Array;
  readonly #ids: Uint8Array;
  readonly #limbs: DataView;
  readonly #sums: Uint32Array;
  readonly #total = new Uint32Array(LIMBS);
  #size = 0;

  /** Has room for so many records. */
  constructor(capacity: number) {
    this.#times = new Float64Array(capacity);
    this.#ids = new Uint8Array(capacity * ID_BYTES);
    this.#limbs = new DataView(this.#ids.buffer);
    this.#sums = new Uint32Array((Math.floor(capacity / STEP) + 1) * LIMBS);
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a record behind all others. `id` is 64 lowercase hex digits. Throws when it is out of order. */
  add(time: number, id: string): void {
    const at = this.#size;
    for (let byte = 0; byte < ID_BYTES; byte++) {
      const high = digit(id.charCodeAt(2 * byte));
      this.#ids[at * ID_BYTES + byte] = (high << 4) | digit(id.charCodeAt(2 * byte + 1));
    }
    this.#times[at] = time;
    if (at > 0 && this.#compare(at - 1, { time, prefix: this.ids(at, at + 1) }) >= 0) {
      throw new Error("records are added in their order");
    }
    this.#addIds(this.#total, at, at + 1);
    this.#size = at + 1;
    if (this.#size % STEP === 0) this.#sums.set(this.#total, (this.#size / STEP) * LIMBS);
  }

  /** The ids of some records, one behind the other. */
  ids(lower: number, upper: number): Uint8Array {
    return this.#ids.subarray(lower * ID_BYTES, upper * ID_BYTES);
  }

  /** The first record from `lower` on that does not lie before the bound. */
  indexOf(bound: Bound, lower: number): number {
    let first = lower;
    let count = this.#size - lower;
    while (count > 0) {
      const half = count >> 1;
      if (this.#compare(first + half, bound) < 0) {
        first += half + 1;
        count -= half + 1;
      } else count = half;
    }
    return first;
  }

  /** The shortest bound between a record and the one before it. */
  boundBefore(index: number): Bound {
    const time = this.#times[index] ?? Infinity;
    if (this.#times[index - 1] !== time) return { time, prefix: NOTHING };
    const id = this.ids(index, index + 1);
    const before = this.ids(index - 1, index);
    let shared = 0;
    while (id[shared] === before[shared]) shared++;
    return { time, prefix: id.subarray(0, shared + 1) };
  }

  /** "Addition mod 2^256 of the element IDs", "concatenate with the number of elements", "hash with SHA-256", "take the first 16 bytes". */
  fingerprint(lower: number, upper: number): Uint8Array {
    const sum = new Uint32Array(LIMBS);
    const first = Math.ceil(lower / STEP);
    const last = Math.floor(upper / STEP);
    if (first < last) {
      this.#addIds(sum, lower, first * STEP);
      this.#addSums(sum, first, last);
      this.#addIds(sum, last * STEP, upper);
    } else this.#addIds(sum, lower, upper);
    const writer = new Writer(ID_BYTES + VARINT_BYTES);
    for (const limb of sum) writer.limb(limb);
    writer.varint(upper - lower);
    return sha256(writer.written).subarray(0, FINGERPRINT_BYTES);
  }

  // A prefix stands for itself and zeros.
  #compare(index: number, { time, prefix }: Bound): number {
    const own = this.#times[index] ?? Infinity;
    if (own !== time) return own < time ? -1 : 1;
    for (let byte = 0; byte < prefix.length; byte++) {
      const difference = (this.#ids[index * ID_BYTES + byte] ?? 0) - (prefix[byte] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }

  // Ids are numbers of 32 bytes, the least significant first.
  #addIds(sum: Uint32Array, lower: number, upper: number): void {
    for (let index = lower; index < upper; index++) {
      let carry = 0;
      for (let limb = 0; limb < LIMBS; limb++) {
        const added = this.#limbs.getUint32(index * ID_BYTES + 4 * limb, true);
        const value = (sum[limb] ?? 0) + added + carry;
        sum[limb] = value;
        carry = value > 0xff_ff_ff_ff ? 1 : 0;
      }
    }
  }

  #addSums(sum: Uint32Array, first: number, last: number): void {
    let carry = 0;
    for (let limb = 0; limb < LIMBS; limb++) {
      const upper = this.#sums[last * LIMBS + limb] ?? 0;
      const value = (sum[limb] ?? 0) + upper - (this.#sums[first * LIMBS + limb] ?? 0) + carry;
      sum[limb] = value;
      carry = Math.floor(value / 2 ** 32);
    }
  }
}

// Of one hex digit, 0 to 9 or a to f.
function digit(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}
