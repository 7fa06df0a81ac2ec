import { ID_PREFIX_DIGITS } from "./store.ts";

// An id is four words; a slot of zeros is empty. At most three quarters of the slots are taken, so that a search ends soon.
const WORDS = ID_PREFIX_DIGITS / 8;
const FULL = 3 / 4;
// A generation may grow by what one transaction adds before its end is noticed.
const SPARE_IDS = 1_024;

/** Memory for two sets of `ids` ids each and some more, which every thread can be given. */
export function sharedIds(ids: number): SharedArrayBuffer {
  const slots = 2 ** Math.ceil(Math.log2((ids + SPARE_IDS) / FULL));
  return new SharedArrayBuffer(2 * slots * WORDS * Uint32Array.BYTES_PER_ELEMENT);
}

/** The two sets in the memory that `sharedIds` made. */
export function idSets(memory: SharedArrayBuffer): [IdSet, IdSet] {
  const half = memory.byteLength / 2;
  const words = half / Uint32Array.BYTES_PER_ELEMENT;
  return [
    new IdSet(new Uint32Array(memory, 0, words)),
    new IdSet(new Uint32Array(memory, half, words)),
  ];
}

/**
 * A set of ids that one thread writes and others read without waiting. A reader that comes in the middle of a write may miss the id that is being
 * added, never find one that was not. Ids are hashes, so their own bits say where they go.
 */
export class IdSet {
  readonly #words: Uint32Array;
  readonly #mask: number;
  #size = 0;

  constructor(words: Uint32Array) {
    this.#words = words;
    this.#mask = words.length / WORDS - 1;
  }

  /** Adds an id, its first 32 hex digits at least. A set that is full takes no more: who looks for one that is missing finds the drop a little later, elsewhere. */
  add(id: string): void {
    if (this.#size >= this.#mask * FULL) return;
    const [a, b, c, d] = wordsOf(id);
    const words = this.#words;
    for (let slot = d & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * WORDS;
      if (isEmpty(words, at)) {
        words[at + 1] = b;
        words[at + 2] = c;
        words[at + 3] = d;
        words[at] = a;
        this.#size += 1;
        return;
      }
    }
  }

  has(id: string): boolean {
    const [a, b, c, d] = wordsOf(id);
    const words = this.#words;
    for (let slot = d & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * WORDS;
      if (isEmpty(words, at)) return false;
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) {
        return true;
      }
    }
  }

  clear(): void {
    this.#words.fill(0);
    this.#size = 0;
  }
}

function isEmpty(words: Uint32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && words[at + 2] === 0 && words[at + 3] === 0;
}

// The last word is where the id goes: proof of work makes zeros of the first ones.
function wordsOf(id: string): [number, number, number, number] {
  return [
    Number.parseInt(id.slice(0, 8), 16),
    Number.parseInt(id.slice(8, 16), 16),
    Number.parseInt(id.slice(16, 24), 16),
    Number.parseInt(id.slice(24, 32), 16),
  ];
}
