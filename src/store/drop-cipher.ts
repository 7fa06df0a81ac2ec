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

/** Where the keys of drops are read. */
export type DropKeys = {
  /** Copies the key of a drop into `target`; false when it is gone. */
  copy(seq: number, target: Buffer): boolean;
};

/** For one thread: works in memory of its own. */
export class DropCipher {
  readonly #permutation: Cipheriv;
  #room = new Room(2 ** 12);

  /** `secret`: 16 bytes. */
  constructor(secret: Buffer) {
    this.#permutation = createCipheriv("aes-128-ecb", secret, null).setAutoPadding(false);
  }

  /** The drop as it is written. Good until the next call. */
  seal(json: string, bytes: number, key: Buffer): Buffer {
    const room = this.#roomFor(bytes);
    room.bytes.write(json, 0, bytes);
    this.#turn(room, bytes, key);
    return room.bytes.subarray(0, bytes);
  }

  open(sealed: Buffer, key: Buffer): string {
    const room = this.#roomFor(sealed.length);
    sealed.copy(room.bytes);
    this.#turn(room, sealed.length, key);
    return room.bytes.toString("utf8", 0, sealed.length);
  }

  // There and back alike.
  #turn({ words, counters, counterBytes }: Room, bytes: number, key: Buffer): void {
    const [a, b, c, d] = [0, 4, 8, 12].map((at) => key.readInt32LE(at)) as [
      number,
      number,
      number,
      number,
    ];
    const blocks = Math.ceil(bytes / BLOCK_BYTES);
    const end = blocks * BLOCK_WORDS;
    for (let at = 0; at < end; at += BLOCK_WORDS) {
      counters[at] = a ^ (at / BLOCK_WORDS);
      counters[at + 1] = b;
      counters[at + 2] = c;
      counters[at + 3] = d;
    }
    const permuted = this.#permutation.update(counterBytes.subarray(0, blocks * BLOCK_BYTES));
    const { buffer, byteOffset } = permuted;
    const stream = new Int32Array(buffer, byteOffset, end);
    for (let at = 0; at < end; at += 1) {
      words[at] = words[at]! ^ stream[at]! ^ counters[at]!;
    }
  }

  #roomFor(bytes: number): Room {
    if (bytes > this.#room.bytes.length) this.#room = new Room(2 * bytes);
    return this.#room;
  }
}

class Room {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly counters: Int32Array;
  readonly counterBytes: Buffer;

  constructor(bytes: number) {
    const words = Math.ceil(bytes / BLOCK_BYTES) * BLOCK_WORDS;
    this.words = new Int32Array(words);
    this.bytes = Buffer.from(this.words.buffer);
    this.counters = new Int32Array(words);
    this.counterBytes = Buffer.from(this.counters.buffer);
  }
}
