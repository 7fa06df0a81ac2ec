// Drops that were acknowledged before they came, from their first arrival until that is settled.
//
// A first arrival must take as long as that of a drop that is held, so its commit writes what theirs does and no more: the drop in `drops`, `expiries` and, of a
// kind 4, `authors`. No box has an entry of it, and none gets one. That it lies there is how its arrival is remembered. A little later its early tombstone becomes
// one like any other and the drop goes off the disk: at the next sweep, when a place among the early ones is wanted, or when much else came meanwhile. A start
// does it with what a crash left (settle.ts).

import { arrived } from "./early.ts";
import { tombstoneIn } from "./layout.ts";
import { takeOffDisk } from "./off-disk.ts";
import { type Header, ID_PREFIX_DIGITS } from "./store.ts";
import type { Tables } from "./tables.ts";

export type Arrival = Pick<Header, "seq" | "recipient" | "idPrefix" | "expiry"> & {
  readonly author: string;
};

// More than a sweep finds where nobody is up to anything, and little to do at once where an early place is wanted.
const MOST = 1_000;
const SETTLED_A_PUT = 2;

/** Owned by the writer, which says how its transactions end. */
export class Arrivals {
  readonly #tables: Tables;
  readonly #count: Int32Array;
  readonly #oldestFor: number;
  #pending = new Map<string, Arrival>();
  // What the transaction that is open has settled.
  #settled: Arrival[] = [];
  #added: Arrival[] = [];

  /** `count`, 4 bytes, is where other threads see how many there are. `generationSize`: see settling.ts. */
  constructor(tables: Tables, count: SharedArrayBuffer, generationSize: number) {
    this.#tables = tables;
    this.#count = new Int32Array(count);
    // Before `meta.settled` says that nothing is left of their numbers, and before their ids are taken from those that other threads know.
    this.#oldestFor = Math.floor(generationSize / 2);
  }

  has(id: string): boolean {
    return this.#pending.has(id.slice(0, ID_PREFIX_DIGITS));
  }

  /** The `seq` of the oldest that is not settled, Infinity if all are. */
  get oldest(): number {
    const [oldest] = this.#pending.values();
    return oldest?.seq ?? Infinity;
  }

  add(arrival: Arrival): void {
    this.#pending.set(arrival.idPrefix, arrival);
    this.#added.push(arrival);
  }

  /** Settles up to `most`, the oldest first. Answers whether that was all. */
  settle(most: number): boolean {
    let settled = 0;
    for (const arrival of this.#pending.values()) {
      if (settled === most) return false;
      this.#settle(arrival);
      settled += 1;
    }
    return true;
  }

  /** What each put settles, whatever it puts: those that have been there for long, or are too many. `seq` is the newest number. */
  settleOverdue(seq: number): void {
    for (let settled = 0; settled < SETTLED_A_PUT; settled += 1) {
      const [oldest] = this.#pending.values();
      if (oldest === undefined) return;
      if (this.#pending.size <= MOST && oldest.seq > seq - this.#oldestFor) return;
      this.#settle(oldest);
    }
  }

  committed(): void {
    this.#settled = [];
    this.#added = [];
    Atomics.store(this.#count, 0, this.#pending.size);
  }

  aborted(): void {
    const undone = new Set(this.#added);
    const before = [...this.#settled, ...this.#pending.values()].filter(
      (arrival) => !undone.has(arrival),
    );
    this.#pending = new Map(before.map((arrival) => [arrival.idPrefix, arrival]));
    this.committed();
  }

  #settle(arrival: Arrival): void {
    const tables = this.#tables;
    const { recipient, idPrefix, author, expiry } = arrival;
    this.#pending.delete(idPrefix);
    this.#settled.push(arrival);
    const key = tables.keys.owned(recipient, idPrefix);
    const tombstone = tables.tombstones.get(key);
    // If it is past, it may have been swept.
    if (tombstone !== undefined && tombstoneIn(tombstone)?.isEarly === true) {
      arrived(tables, key, expiry);
    }
    tables.authors.removeSync(tables.keys.owned(author, idPrefix));
    takeOffDisk(tables, arrival);
  }
}
