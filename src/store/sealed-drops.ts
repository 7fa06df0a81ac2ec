import type { Database } from "lmdb";

import { DROP_KEY_BYTES, DropCipher, type DropKeys } from "./drop-cipher.ts";

// Opened in one go, at most, and one more: what the cipher keeps of memory.
const BYTES_AT_ONCE = 65_536;

/** A drop as it was put. */
export type Numbered = { readonly seq: number; readonly json: string };

/** The table `drops`: what is put is sealed, what is read is opened. */
export class SealedDrops {
  readonly #database: Database<Buffer, number>;
  readonly #keys: DropKeys;
  readonly #cipher: DropCipher;
  readonly #key = Buffer.alloc(DROP_KEY_BYTES);
  #gone: number[] = [];

  constructor(database: Database<Buffer, number>, keys: DropKeys, secret: Buffer) {
    this.#database = database;
    this.#keys = keys;
    this.#cipher = new DropCipher(secret);
  }

  /** Undefined when it is not there, or nobody can read it any more. */
  get(seq: number): string | undefined {
    return this.getAll([seq])[0];
  }

  /** The same of several, in the order asked for. */
  getAll(seqs: readonly number[]): (string | undefined)[] {
    const found: (string | undefined)[] = Array.from({ length: seqs.length });
    let closed: number[] = [];
    const open = (): void => {
      for (const [n, json] of this.#cipher.open().entries()) found[closed[n] ?? 0] = json;
      closed = [];
    };
    for (const [at, seq] of seqs.entries()) {
      // Good until the next is read.
      const sealed = this.#database.getBinaryFast(seq);
      if (sealed === undefined || !this.#keys.copy(seq, this.#key)) continue;
      closed.push(at);
      if (this.#cipher.take(sealed, this.#key) >= BYTES_AT_ONCE) open();
    }
    open();
    return found;
  }

  has(seq: number): boolean {
    return this.#database.doesExist(seq);
  }

  /** Of `bytes` bytes. `seq` is larger than that of any other. Its key is there: see `DropKeyMaker.isReady`. */
  put(seq: number, json: string, bytes: number): void {
    const sealed = this.#cipher.seal(seq, json, bytes, this.#keys);
    this.#database.putSync(seq, sealed, { append: true });
  }

  remove(seq: number): void {
    this.#database.removeSync(seq);
    this.#gone.push(seq);
  }

  /** Nobody is to read it any more, though it lies there yet. */
  discard(seq: number): void {
    this.#gone.push(seq);
  }

  /** What was removed or discarded since the last call: their keys are to be destroyed when that is committed. */
  takeGone(): number[] {
    const gone = this.#gone;
    this.#gone = [];
    return gone;
  }

  /** Those with numbers from `first` to `last` that can be read. */
  *between(first: number, last: number): Generator<Numbered> {
    for (const { key: seq, value } of this.#database.getRange({ start: first, end: last + 1 })) {
      if (!this.#keys.copy(seq, this.#key)) continue;
      this.#cipher.take(value, this.#key);
      for (const json of this.#cipher.open()) yield { seq, json };
    }
  }
}
