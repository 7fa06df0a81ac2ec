// Which drops are in which box, newest first: the recent ones in memory, the others in `boxes` on disk (see settling.ts).
//
// - The writer sees, inside its transaction, what it has done so far; everybody else sees what is committed. `committed` and `aborted` are called after
//   every transaction.
// - Verification threads learn which drops are recent from memory they share: see recent-ids.ts.

import { after, createdAtIn, type Entry, isEntry } from "./layout.ts";
import { RecentDrops } from "./recent-drops.ts";
import { Settling, writeEntry } from "./settling.ts";
import type { SharedState } from "./shared-state.ts";
import {
  type DropIdentity,
  type Header,
  ID_PREFIX_DIGITS,
  newestFirst,
  type Window,
} from "./store.ts";
import { type Damaged, mustRead, type Tables } from "./tables.ts";

/** Keys read in one go, under a millisecond. */
export const KEYS_A_PAGE = 1_000;

export class Boxes {
  readonly #tables: Tables;
  readonly #recent = new RecentDrops();
  readonly #settling: Settling;
  readonly #newest: BigInt64Array;
  readonly #damaged: Damaged;
  // What the transaction that is open has added.
  #added: Header[] = [];
  // What it has passed over.
  #passed: Pick<Header, "idPrefix">[] = [];

  /** `newest` is the `seq` of the newest drop committed; all that is held must be settled. `oldestArrival` answers `Arrivals.oldest`. */
  constructor(
    tables: Tables,
    newest: number,
    shared: SharedState,
    generationSize: number,
    oldestArrival: () => number,
    damaged: Damaged,
  ) {
    this.#tables = tables;
    this.#damaged = damaged;
    this.#settling = new Settling(
      tables,
      this.#recent,
      shared.recentIds,
      generationSize,
      oldestArrival,
    );
    this.#newest = new BigInt64Array(shared.newest);
    Atomics.store(this.#newest, 0, BigInt(newest));
  }

  // --- what the writer sees and does, inside a transaction

  /** `key` is the drop's in `boxes`. */
  has(drop: DropIdentity, key: Buffer): boolean {
    // Both are asked, whatever the first one says. One that leaves in this transaction was settled, acknowledged or is past: not to be put again either.
    const isSettled = this.#tables.boxes.doesExist(key);
    return this.#recent.has(drop.id) || isSettled;
  }

  at(drop: DropIdentity): Header | undefined {
    const recent = this.#recent.get(drop.id.slice(0, ID_PREFIX_DIGITS));
    if (recent !== undefined) return recent;
    const key = this.#tables.keys.box(drop);
    const value = this.#tables.boxes.get(key);
    return value && this.#headers(drop.recipient, [{ key, value }])[0];
  }

  /** `key` is the drop's in `boxes`. */
  add(added: Header, key: Buffer): void {
    const newest = this.#newestAdded;
    this.#recent.add(added);
    this.#added.push(added);
    this.#settling.add(added, key, newest);
  }

  get #newestAdded(): number {
    return Math.max(this.newest, this.#added.at(-1)?.seq ?? 0);
  }

  /** Does what `add` does, for a drop that no box gets: see arrivals.ts. */
  pass(passed: Pick<Header, "seq" | "idPrefix">): void {
    this.#settling.pass(this.#newestAdded);
    this.#passed.push(passed);
  }

  remove(held: Header): "recent" | "settled" {
    const recent = this.#recent.get(held.idPrefix);
    if (recent !== undefined) {
      this.#recent.leave(recent);
      return "recent";
    }
    this.#tables.boxes.removeSync(this.#tables.keys.place(held));
    return "settled";
  }

  /** Gives a drop another expiry. */
  expire(held: Header, time: number): void {
    const recent = this.#recent.get(held.idPrefix);
    if (recent !== undefined) this.#recent.leave(recent);
    writeEntry(this.#tables, { ...held, expiry: time });
  }

  /** How many drops are in a box. */
  count(recipient: string): number {
    return (
      this.#tables.boxes.getKeysCount(this.#tables.keys.boxRange(recipient)) +
      this.#recent.of(recipient).length
    );
  }

  /** The headers of a box a bounded page at a time, in no order. Between two pages the transaction may end. */
  *pages(recipient: string, until = Infinity): Generator<Header[]> {
    const recent = this.#recent.of(recipient).filter((held) => held.created_at <= until);
    for (let at = 0; at < recent.length; at += KEYS_A_PAGE) {
      yield recent.slice(at, at + KEYS_A_PAGE);
    }
    const range = this.#tables.keys.boxRange(recipient, undefined, until);
    for (;;) {
      const page = [...this.#tables.boxes.getRange({ ...range, limit: KEYS_A_PAGE })];
      if (page.length > 0) yield this.#headers(recipient, page);
      const last = page.at(-1);
      if (last === undefined || page.length < KEYS_A_PAGE) return;
      range.start = after(last.key);
    }
  }

  // --- what everybody else sees

  /** The `seq` of the newest drop committed. */
  get newest(): number {
    return Number(Atomics.load(this.#newest, 0));
  }

  /** Up to `max` headers of what is committed, in NIP-01's order. */
  list(recipient: string, window: Window, max: number): Header[] {
    const settled = this.#listSettled(recipient, window, max);
    const recent = this.#recent.list(recipient, window, this.newest);
    return recent.length === 0 ? settled : merge(recent, settled, max);
  }

  // On disk those of one second stand in the order of their names, not of their ids: each second is read to its end, also that of `after`, from its beginning.
  #listSettled(recipient: string, window: Window, max: number): Header[] {
    const { since, until = Infinity, after: last } = window;
    const latest = Math.min(until, last?.created_at ?? Infinity);
    const entries: Entry[] = [];
    let found = 0;
    let second = -1;
    mustRead(this.#tables);
    // Not limited: a damaged entry counts for nothing, and a list that is shorter than asked for is the last.
    for (const entry of this.#tables.boxes.getRange(
      this.#tables.keys.boxRange(recipient, since, latest),
    )) {
      const next = createdAtIn(entry.key);
      if (next !== second && found >= max) break;
      second = next;
      if (isEntry(entry) && second !== last?.created_at) found += 1;
      entries.push(entry);
    }
    const listed = this.#headers(recipient, entries).sort(newestFirst);
    const rest = last === undefined ? listed : listed.filter((held) => newestFirst(last, held) < 0);
    return rest.slice(0, max);
  }

  #headers(recipient: string, entries: readonly Entry[]): Header[] {
    return this.#tables.keys.headers(recipient, entries).flatMap((held) => {
      if (held === undefined) this.#damaged({ table: "boxes" });
      return held ?? [];
    });
  }

  /** What is recent, a box at a time, while it comes and goes. */
  recent(): Iterable<readonly [recipient: string, headers: readonly Header[]]> {
    return this.#recent.boxes();
  }

  committed(): void {
    this.#settling.committed([...this.#added, ...this.#passed]);
    const last = this.#added.at(-1);
    if (last !== undefined) Atomics.store(this.#newest, 0, BigInt(last.seq));
    this.#added = [];
    this.#passed = [];
    this.#recent.committed();
  }

  aborted(): void {
    const undone = new Set(this.#added);
    this.#recent.aborted(undone);
    this.#settling.aborted(undone);
    this.#added = [];
    this.#passed = [];
  }
}

// Of two lists in NIP-01's order. A drop that was settled a moment ago may stand in both.
function merge(recent: readonly Header[], settled: readonly Header[], max: number): Header[] {
  const merged: Header[] = [];
  let r = 0;
  let s = 0;
  while (merged.length < max) {
    const a = recent[r];
    const b = settled[s];
    if (a !== undefined && (b === undefined || a.seq === b.seq || newestFirst(a, b) < 0)) {
      merged.push(a);
      r += 1;
      if (a.seq === b?.seq) s += 1;
    } else if (b !== undefined) {
      merged.push(b);
      s += 1;
    } else break;
  }
  return merged;
}
