// When the entries of drops in `boxes` are written.
//
// The key of a drop in `boxes` is random, and writing a random key costs a page of the file: more than all the rest of a drop. So a drop's entry is not
// written with it. It stays in memory, where many a drop is picked up and acknowledged; a generation of `GENERATION` drops later what is left is *settled*,
// in the order of the keys, so that many share a page. Each put settles two, so that nobody waits for it.
//
// Everything needed is in `drops`, so OK still means on disk. `meta.settled` says up to which `seq` all is settled; a start settles the rest (settle.ts).

import { boxValue } from "./layout.ts";
import type { RecentDrops } from "./recent-drops.ts";
import { type IdSet, idSets } from "./recent-ids.ts";
import type { Header } from "./store.ts";
import type { Tables } from "./tables.ts";

/** Drops whose index entries are in memory, of which there are at most two generations: 72 MB when each is for another recipient. */
export const GENERATION = 65_536;
// More than one, so that a generation is settled before the next one is full.
const SETTLED_A_PUT = 2;
const BUCKETS = 256;

type Generation = {
  /** By the first byte of their keys; sorted when it is their turn. Some may be gone by then. */
  readonly buckets: Placed[][];
  readonly ids: IdSet;
  size: number;
};

/** How far the generation before is settled. */
type Progress = {
  readonly generation: Generation;
  bucket: number;
  next: number;
  upTo: number;
};

/** `key`: in `boxes`, a character for each byte, which takes a third of the memory of a buffer. */
type Placed = { readonly held: Header; readonly key: string };

export class Settling {
  readonly #tables: Tables;
  readonly #recent: RecentDrops;
  readonly #generationSize: number;
  readonly #oldestArrival: () => number;
  #young: Generation;
  #spareIds: IdSet;
  #progress: Progress | undefined;
  // What the transaction that is open has brought to its end, and what there was before it.
  #settled: Generation | undefined;
  #before: { young: Generation; progress: Progress | undefined };

  constructor(
    tables: Tables,
    recent: RecentDrops,
    recentIds: SharedArrayBuffer,
    generationSize: number,
    oldestArrival: () => number,
  ) {
    this.#oldestArrival = oldestArrival;
    this.#tables = tables;
    this.#recent = recent;
    this.#generationSize = generationSize;
    const [ids, spare] = idSets(recentIds);
    this.#young = generation(ids);
    this.#spareIds = spare;
    this.#before = { young: this.#young, progress: undefined };
  }

  /** Takes up a drop, whose key in `boxes` this is, and settles two from before. `newest` is the `seq` of the last one put before it. */
  add(added: Header, key: Buffer, newest: number): void {
    this.pass(newest);
    this.#young.buckets[key[0] ?? 0]?.push({ held: added, key: key.toString("latin1") });
  }

  /** Does the same for a drop that is not taken up, of which the id alone is known for as long. */
  pass(newest: number): void {
    if (this.#young.size >= this.#generationSize) this.#age(newest);
    this.#young.size += 1;
    for (let settled = 0; settled < SETTLED_A_PUT; settled += 1) this.#settleNext();
  }

  committed(added: readonly Pick<Header, "idPrefix">[]): void {
    for (const { idPrefix } of added) this.#young.ids.add(idPrefix);
    if (this.#settled !== undefined) {
      this.#settled.ids.clear();
      this.#spareIds = this.#settled.ids;
      this.#settled = undefined;
    }
    this.#before = { young: this.#young, progress: this.#progress && { ...this.#progress } };
  }

  aborted(undone: ReadonlySet<Header>): void {
    this.#settled = undefined;
    this.#young = this.#before.young;
    for (const [index, bucket] of this.#young.buckets.entries()) {
      const left = bucket.filter(({ held }) => !undone.has(held));
      this.#young.size -= bucket.length - left.length;
      this.#young.buckets[index] = left;
    }
    this.#progress = this.#before.progress && { ...this.#before.progress };
  }

  #age(newest: number): void {
    // One at a time, and not before the end of the last one is committed: its set of ids is the next one's.
    if (this.#progress !== undefined || this.#before.progress !== undefined) return;
    if (this.#young !== this.#before.young) return;
    this.#progress = { generation: this.#young, bucket: 0, next: 0, upTo: newest };
    this.#young = generation(this.#spareIds);
  }

  #settleNext(): void {
    const progress = this.#progress;
    if (progress === undefined) return;
    for (;;) {
      const bucket = progress.generation.buckets[progress.bucket];
      if (bucket === undefined) {
        // What came and is not held must be found by a start until it is settled, too (arrivals.ts).
        const upTo = Math.min(progress.upTo, this.#oldestArrival() - 1);
        this.#tables.meta.putSync(SETTLED, String(upTo));
        this.#settled = progress.generation;
        this.#progress = undefined;
        return;
      }
      if (progress.next === 0) bucket.sort(inKeyOrder);
      const next = bucket[progress.next++];
      if (next === undefined) {
        progress.bucket += 1;
        progress.next = 0;
        continue;
      }
      const { held, key } = next;
      // Not if it was deleted since.
      if (this.#recent.get(held.idPrefix) !== held) continue;
      this.#recent.leave(held);
      writeEntry(this.#tables, held, Buffer.from(key, "latin1"));
      return;
    }
  }
}

/** Name in `meta` of the `seq` up to which all drops are settled. */
export const SETTLED = "settled";

/** Writes a drop's entry in `boxes`. */
export function writeEntry(
  { keys, boxes }: Tables,
  held: Header,
  key: Buffer = keys.place(held),
): void {
  boxes.putSync(key, boxValue(held));
}

function generation(ids: IdSet): Generation {
  return { buckets: Array.from({ length: BUCKETS }, () => []), ids, size: 0 };
}

function inKeyOrder(a: Placed, b: Placed): number {
  return a.key < b.key ? -1 : 1;
}
