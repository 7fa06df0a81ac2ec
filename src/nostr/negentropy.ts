// The Negentropy protocol, version 1 (NIP-77, appendix): the side that is asked. It keeps nothing between two messages but its set.
//
// - Both sides have records, sorted by time and id, and talk about ranges of them: a fingerprint asks "do you have the same?", a list of ids tells what
//   there is, a skip says that nothing more is wanted.
// - An answer is bounded in bytes; and in ranges that it asks about, for what the other side answers must fit into one message as well. What an answer
//   has no room for is asked about as a whole, with the fingerprint of the rest.
// - What a peer sends never throws.

import { type Bound, ID_BYTES, NOTHING, Reader, VARINT_BYTES, Writer } from "./negentropy-wire.ts";
import type { Reason } from "./reason.ts";
import { FINGERPRINT_BYTES, type RecordSet } from "./record-set.ts";

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

// A range that differs is told when it has fewer than two records for each part, else parted.
const BUCKETS = 16;
const FEW = 2 * BUCKETS;

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

const BEGINNING: Bound = { time: 0, prefix: NOTHING };
const END: Bound = { time: Infinity, prefix: NOTHING };

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

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let byte = 0; byte < a.length; byte++) if (a[byte] !== b[byte]) return false;
  return true;
}
