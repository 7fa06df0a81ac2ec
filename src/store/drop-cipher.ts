// How a drop is written to disk: each with a key of its own, which is 16 random bytes (drop-keys.ts). When that is gone the drop is, wherever its bytes still lie.
//
// The key stream is that of the fixed-key construction of Bellare, Hoang, Keelveedhi and Rogaway (S&P 2013), which Guo, Katz, Wang and Yu prove (S&P 2020): block
// i is π(k ⊕ i) ⊕ k ⊕ i. It needs a permutation that everybody may know; here it is AES under a secret of the store, so that without that secret nothing can be
// read either. AES with a cipher object for each drop would be the same to an attacker, and costs four times as much in Node. Nothing is authenticated: a drop
// that was tampered with has a wrong signature, and its reader checks that.

import { type Cipheriv, createCipheriv } from "node:crypto";

const BLOCK_BYTES = 16;
const BLOCK_WORDS = 4;

export const DROP_KEY_BYTES = BLOCK_BYTES;

// A call of OpenSSL costs as much as two kilobytes of it. So many drops of up to two have their key streams made in one; a file of keys has a multiple of
// this.
const AHEAD_DROPS = 8;
const AHEAD_BLOCKS = 128;

/** Where the keys of drops are read. */
export type DropKeys = {
  /** Copies the key of a drop into `target`; false when it is gone. */
  copy(seq: number, target: Buffer): boolean;
};

/** For one thread: works in memory of its own. */
export class DropCipher {
  readonly #permutation: Cipheriv;
  readonly #key = Buffer.alloc(DROP_KEY_BYTES);
  #room = new Room(4 * AHEAD_BLOCKS);
  // The lengths of what was taken up, and the blocks it fills.
  #taken: number[] = [];
  #blocks = 0;
  // The key streams of the drops that come next, from `#firstAhead` to before `#endAhead`.
  readonly #ahead = new Room(AHEAD_DROPS * AHEAD_BLOCKS);
  #stream: Int32Array = new Int32Array(0);
  #firstAhead = 0;
  #endAhead = 0;

  /** `secret`: 16 bytes. */
  constructor(secret: Buffer) {
    this.#permutation = createCipheriv("aes-128-ecb", secret, null).setAutoPadding(false);
  }

  /** The drop as it is written. Good until the next call. Its key must be there. */
  seal(seq: number, json: string, bytes: number, keys: DropKeys): Buffer {
    if (bytes > AHEAD_BLOCKS * BLOCK_BYTES) return this.#sealLarge(seq, json, bytes, keys);
    if (seq < this.#firstAhead || seq >= this.#endAhead) this.#lookAhead(seq, keys);
    const { bytes: sealed, words } = this.#room;
    sealed.write(json, 0, bytes);
    const first = (seq - this.#firstAhead) * AHEAD_BLOCKS * BLOCK_WORDS;
    turn(words, this.#ahead.counters, this.#stream, first, blocksOf(bytes) * BLOCK_WORDS);
    return sealed.subarray(0, bytes);
  }

  #sealLarge(seq: number, json: string, bytes: number, keys: DropKeys): Buffer {
    const room = this.#roomFor(blocksOf(bytes));
    keys.copy(seq, this.#key);
    room.bytes.write(json, 0, bytes);
    this.#turn(room, count(room.counters, 0, blocksOf(bytes), this.#key));
    return room.bytes.subarray(0, bytes);
  }

  // Makes the key streams of this drop and those after it. No further than a number that can be the first in its file: the keys of a file are what they stay
  // only when the first of them is given away (drop-keys.ts).
  #lookAhead(seq: number, keys: DropKeys): void {
    this.#firstAhead = this.#endAhead = seq;
    const { counters, counterBytes } = this.#ahead;
    let blocks = 0;
    const end = seq - (seq % AHEAD_DROPS) + AHEAD_DROPS;
    while (this.#endAhead < end && keys.copy(this.#endAhead, this.#key)) {
      blocks = count(counters, blocks, AHEAD_BLOCKS, this.#key);
      this.#endAhead += 1;
    }
    if (blocks === 0) throw new Error(`there is no key for drop ${seq}`);
    this.#stream = this.#permuted(counterBytes, blocks);
  }

  /** Takes up a drop as it was written, to be opened with others: a call of the cipher costs more than a kilobyte of it. Answers the bytes taken up so far. */
  take(sealed: Buffer, key: Buffer): number {
    const room = this.#roomFor(this.#blocks + blocksOf(sealed.length));
    // What lmdb gives away without a copy is longer than it says.
    room.bytes.set(sealed.subarray(0, sealed.length), this.#blocks * BLOCK_BYTES);
    this.#blocks = count(room.counters, this.#blocks, blocksOf(sealed.length), key);
    this.#taken.push(sealed.length);
    return this.#blocks * BLOCK_BYTES;
  }

  /** All that was taken up, in its order. */
  open(): string[] {
    const room = this.#room;
    if (this.#blocks > 0) this.#turn(room, this.#blocks);
    let at = 0;
    const opened = this.#taken.map((length) => {
      const json = room.bytes.toString("utf8", at, at + length);
      at += blocksOf(length) * BLOCK_BYTES;
      return json;
    });
    [this.#taken, this.#blocks] = [[], 0];
    return opened;
  }

  // What is in the room, there and back alike.
  #turn({ words, counters, counterBytes }: Room, blocks: number): void {
    turn(words, counters, this.#permuted(counterBytes, blocks), 0, blocks * BLOCK_WORDS);
  }

  #permuted(counterBytes: Buffer, blocks: number): Int32Array {
    const permuted = this.#permutation.update(counterBytes.subarray(0, blocks * BLOCK_BYTES));
    return new Int32Array(permuted.buffer, permuted.byteOffset, blocks * BLOCK_WORDS);
  }

  #roomFor(blocks: number): Room {
    if (blocks * BLOCK_BYTES > this.#room.bytes.length) this.#room = this.#room.grown(2 * blocks);
    return this.#room;
  }
}

class Room {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly counters: Int32Array;
  readonly counterBytes: Buffer;

  constructor(blocks: number) {
    this.words = new Int32Array(blocks * BLOCK_WORDS);
    this.bytes = Buffer.from(this.words.buffer);
    this.counters = new Int32Array(blocks * BLOCK_WORDS);
    this.counterBytes = Buffer.from(this.counters.buffer);
  }

  /** A larger one, with what is in this one. */
  grown(blocks: number): Room {
    const room = new Room(blocks);
    room.words.set(this.words);
    room.counters.set(this.counters);
    return room;
  }
}

function blocksOf(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}

// Writes so many blocks whose images are the key stream, from block `first` on. Answers the block after them.
function count(counters: Int32Array, first: number, blocks: number, key: Buffer): number {
  const a = key.readInt32LE(0);
  const b = key.readInt32LE(4);
  const c = key.readInt32LE(8);
  const d = key.readInt32LE(12);
  let at = first * BLOCK_WORDS;
  for (let block = 0; block < blocks; block += 1) {
    counters[at] = a ^ block;
    counters[at + 1] = b;
    counters[at + 2] = c;
    counters[at + 3] = d;
    at += BLOCK_WORDS;
  }
  return first + blocks;
}

// Seals or opens so many words, with the blocks from word `first` on and their images.
function turn(
  words: Int32Array,
  counters: Int32Array,
  images: Int32Array,
  first: number,
  length: number,
): void {
  for (let at = 0; at < length; at += 1) {
    words[at] = words[at]! ^ images[first + at]! ^ counters[first + at]!;
  }
}
