// The Negentropy protocol, version 1 (NIP-77, appendix): the side that is asked. It keeps nothing between two messages but its set.
//
// - Both sides have records, sorted by time and id, and talk about ranges of them: a fingerprint asks "do you have the same?", a list of ids tells what
//   there is, a skip says that nothing more is wanted.
// - An answer is bounded in bytes; and in ranges that it asks about, for what the other side answers must fit into one message as well. What an answer
//   has no room for is asked about as a whole, with the fingerprint of the rest.
// - What a peer sends never throws.

import { sha256 } from "@noble/hashes/sha2.js";

import type { Reason } from "./reason.ts";

/** What an answer may come to. */
export type AnswerLimits = {
  /** At least `MIN_FRAME_BYTES`. */
  readonly frameBytes: number;
  /** Ranges that it asks about. The peer answers each with up to `BYTES_AN_ASK`. More than `BUCKETS`. */
  readonly asks: number;
};

const VERSION = 0x61;
const SKIP = 0;
const FINGERPRINT = 1;
const ID_LIST = 2;

const ID_BYTES = 32;
const FINGERPRINT_BYTES = 16;
// A range that differs is told when it has fewer than two records for each part, else parted.
const BUCKETS = 16;
const FEW = 2 * BUCKETS;

// Numbers are at most 2^53: eight digits of seven bits.
const VARINT_BYTES = 8;
const RANGE_BYTES = 2 * VARINT_BYTES + ID_BYTES + 1;
const ASK_BYTES = RANGE_BYTES + FINGERPRINT_BYTES;
// A skip, the rest of a list and the rest of everything always find room.
const RESERVE_BYTES = RANGE_BYTES + 2 * ASK_BYTES;

/** The least that an answer has room for: one range in parts, and the rest. */
export const MIN_FRAME_BYTES = 4_096;
/** What a peer answers one range with at most. The numbers are those of every implementation. */
export const BYTES_AN_ASK = Math.max(RANGE_BYTES + FEW * ID_BYTES, BUCKETS * ASK_BYTES);
/** The least for an answer to go on: one range in parts, and the rest. */
export const MIN_ASKS = BUCKETS + 1;

// Ranges looked at in one message, a few microseconds each. A peer that answers `asks` ranges sends no more.
const MAX_RANGES = 1_024;

// Every so many records the sum of all ids before them is kept, so that a fingerprint costs the same for any range.
const STEP = 32;
const LIMBS = 8;

const TOO_LARGE: Reason = "invalid: a number in the negentropy message is too large";

type Bound = { readonly time: number; readonly prefix: Uint8Array };

const NOTHING = new Uint8Array(0);
const BEGINNING: Bound = { time: 0, prefix: NOTHING };
const END: Bound = { time: Infinity, prefix: NOTHING };

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

/** What is answered to a message about the set, or why the message is none. */
export function reconcile(
  set: RecordSet,
  message: Uint8Array,
  { frameBytes, asks }: AnswerLimits,
): Uint8Array | Reason {
  const [version = 0] = message;
  if (version >> 4 !== VERSION >> 4) return "invalid: not a message of the negentropy protocol";
  // "Reply with a single byte containing the highest protocol version it supports".
  if (version !== VERSION) return Uint8Array.of(VERSION);
  const reader = new Reader(message, 1);
  const answer = new Answer(set, frameBytes, asks);
  let from = BEGINNING;
  for (let ranges = 0; !reader.isAtEnd;) {
    if (from.time === Infinity) return "invalid: a range follows the last one";
    const to = reader.bound(from);
    const mode = reader.varint();
    if (mode === SKIP) {
      answer.skip(to);
    } else if (mode === FINGERPRINT) {
      const theirs = reader.bytes(FINGERPRINT_BYTES);
      if (reader.broken === undefined) answer.compare(to, theirs);
    } else if (mode === ID_LIST) {
      const theirs = reader.bytes(reader.varint() * ID_BYTES);
      if (reader.broken === undefined) answer.list(to, theirs);
    } else return reader.broken ?? "invalid: a range has an unknown mode";
    if (reader.broken !== undefined) return reader.broken;
    from = to;
    if (mode !== SKIP) ranges += 1;
    const isEnough = answer.isFull || ranges >= MAX_RANGES;
    if (isEnough && from.time !== Infinity && !reader.isAtEnd) {
      answer.askForRest();
      break;
    }
  }
  return answer.written;
}

// Writes range by range; `#from` is where the next one begins. Ranges in which nothing is wanted any more are one skip, written when something follows.
class Answer {
  readonly #set: RecordSet;
  readonly #writer: Writer;
  readonly #bytes: number;
  #asks: number;
  #from = 0;
  #skipped: Bound | undefined;
  // Skips are many and cheap: where they end in the set is looked up when it is needed.
  #isFromStale = false;

  constructor(set: RecordSet, frameBytes: number, asks: number) {
    this.#set = set;
    this.#writer = new Writer(frameBytes);
    this.#writer.byte(VERSION);
    this.#bytes = frameBytes - RESERVE_BYTES;
    // One is kept for the rest.
    this.#asks = asks - 1;
  }

  get written(): Uint8Array {
    return this.#writer.written;
  }

  /** Whether another range might not find room. */
  get isFull(): boolean {
    return this.#asks <= 0 || this.#writer.length > this.#bytes;
  }

  skip(to: Bound): void {
    this.#skipped = to;
    this.#isFromStale = true;
  }

  /** Answers a fingerprint. */
  compare(to: Bound, theirs: Uint8Array): void {
    const from = this.#begin();
    const upper = this.#set.indexOf(to, from);
    const ours = this.#set.fingerprint(from, upper);
    const count = upper - from;
    if (isSame(theirs, ours)) this.skip(to);
    else if (count < FEW && this.#roomForIds >= count) this.#tell(to, upper);
    else if (count >= FEW && this.#mayPart) this.#part(to, upper);
    else this.#ask(to, upper, ours);
    this.#from = upper;
    this.#isFromStale = false;
  }

  /** Answers a list of ids with what is here. */
  list(to: Bound, theirs: Uint8Array): void {
    const from = this.#begin();
    const upper = this.#set.indexOf(to, from);
    const told = Math.min(upper, from + Math.max(0, this.#roomForIds));
    if (isSame(theirs, this.#set.ids(from, upper))) this.skip(to);
    else if (told === upper) this.#tell(to, upper);
    else {
      if (told > from) this.#tell(this.#set.boundBefore(told), told);
      this.#ask(to, upper, this.#set.fingerprint(told, upper));
    }
    this.#from = upper;
    this.#isFromStale = false;
  }

  askForRest(): void {
    const from = this.#begin();
    this.#ask(END, this.#set.size, this.#set.fingerprint(from, this.#set.size));
  }

  get #roomForIds(): number {
    return Math.floor((this.#bytes - this.#writer.length - RANGE_BYTES) / ID_BYTES);
  }

  get #mayPart(): boolean {
    const bytes = this.#writer.length + BUCKETS * ASK_BYTES;
    return this.#asks >= BUCKETS && bytes <= this.#bytes;
  }

  #begin(): number {
    if (this.#isFromStale && this.#skipped !== undefined) {
      this.#from = this.#set.indexOf(this.#skipped, this.#from);
    }
    this.#isFromStale = false;
    return this.#from;
  }

  #tell(to: Bound, upper: number): void {
    this.#range(to, ID_LIST);
    this.#writer.varint(upper - this.#from);
    this.#writer.bytes(this.#set.ids(this.#from, upper));
  }

  #part(to: Bound, upper: number): void {
    const count = upper - this.#from;
    let lower = this.#from;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const size = Math.floor(count / BUCKETS) + (bucket < count % BUCKETS ? 1 : 0);
      const next = lower + size;
      const bound = next === upper ? to : this.#set.boundBefore(next);
      this.#ask(bound, next, this.#set.fingerprint(lower, next));
      lower = next;
    }
  }

  #ask(to: Bound, upper: number, fingerprint: Uint8Array): void {
    this.#asks -= 1;
    this.#range(to, FINGERPRINT);
    this.#writer.bytes(fingerprint);
    this.#from = upper;
  }

  #range(to: Bound, mode: number): void {
    if (this.#skipped !== undefined) {
      this.#writer.bound(this.#skipped);
      this.#writer.varint(SKIP);
      this.#skipped = undefined;
    }
    this.#writer.bound(to);
    this.#writer.varint(mode);
  }
}

// Reads past the end as zeros, and remembers that it did.
class Reader {
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

class Writer {
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

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let byte = 0; byte < a.length; byte++) if (a[byte] !== b[byte]) return false;
  return true;
}

// Of one hex digit, 0 to 9 or a to f.
function digit(code: number): number {
  return (code & 15) + (code >> 6) * 9;
}
