// Which drops are in which box, newest first.
//
// The key of a drop in `boxes` is random, and writing a random key costs a page of the file: more than all the rest of a drop. So a drop's entry in
// `boxes` is not written with it. It stays in memory, where many a drop is picked up and acknowledged; a generation of `GENERATION` drops later what is
// left is *settled*, in the order of the keys, so that many share a page. Each put settles two, so that nobody waits for it.
//
// - Everything needed is in `drops`, so OK still means on disk. `meta.settled` says up to which `seq` all is settled; a start settles the rest.
// - The writer sees, inside its transaction, what it has done so far; everybody else sees what is committed. `committed` and `aborted` are called after
//   every transaction.
// - Verification threads learn which drops are recent from memory they share: see recent-ids.ts.

import {
  after,
  boxKey,
  boxRange,
  boxValue,
  header,
  headerKey,
  idPrefixOf,
  recipientOfBox,
} from "./layout.ts";
import { type IdSet, idSets } from "./recent-ids.ts";
import {
  type DropIdentity,
  type Header,
  ID_PREFIX_DIGITS,
  newestFirst,
  type Window,
} from "./store.ts";
import type { Tables } from "./tables.ts";

/** Drops whose index entries are in memory, of which there are at most two generations: 60 MB when each is for another recipient. */
export const GENERATION = 65_536;
/** Keys read in one go, under a millisecond. */
export const KEYS_A_PAGE = 1_000;
// More than one, so that a generation is settled before the next one is full.
const SETTLED_A_PUT = 2;
const BUCKETS = 256;

type Generation = {
  /** By the first byte of the recipient; sorted when it is their turn. Some may be gone by then. */
  readonly buckets: Header[][];
  readonly ids: IdSet;
  size: number;
};

/** What is recent of one box; sorted, as NIP-01 asks, when somebody lists it. */
type RecentBox = { headers: Header[]; isSorted: boolean };

/** How far the generation before is settled. */
type Settling = { readonly generation: Generation; bucket: number; next: number; upTo: number };

/** What other threads see of a store beside its file. */
export type SharedState = {
  /** The ids of recent drops. */
  readonly recentIds: SharedArrayBuffer;
  /** The `seq` of the newest drop committed. */
  readonly newest: SharedArrayBuffer;
};

export class Boxes {
  readonly #tables: Tables;
  readonly #generationSize: number;
  readonly #recent = new Map<string, Header>();
  readonly #recentOf = new Map<string, RecentBox>();
  #young: Generation;
  #spareIds: IdSet;
  #settling: Settling | undefined;
  // What the transaction that is open has done: added, removed from memory because it is deleted or settled, and brought to its end.
  #added: Header[] = [];
  readonly #leaving = new Set<Header>();
  #settled: Generation | undefined;
  #before: { young: Generation; settling: Settling | undefined };
  readonly #newest: BigInt64Array;

  /** `newest` is the `seq` of the newest drop committed; all that is held must be settled. */
  constructor(tables: Tables, newest: number, shared: SharedState, generationSize: number) {
    this.#tables = tables;
    this.#generationSize = generationSize;
    const [ids, spare] = idSets(shared.recentIds);
    this.#newest = new BigInt64Array(shared.newest);
    Atomics.store(this.#newest, 0, BigInt(newest));
    this.#young = generation(ids);
    this.#spareIds = spare;
    this.#before = { young: this.#young, settling: undefined };
  }

  // --- what the writer sees and does, inside a transaction

  has(drop: DropIdentity): boolean {
    // Both are asked, whatever the first one says. One that leaves in this transaction was settled, acknowledged or is past: not to be put again either.
    const isSettled = this.#tables.boxes.doesExist(boxKey(drop));
    return this.#recent.has(drop.id.slice(0, ID_PREFIX_DIGITS)) || isSettled;
  }

  /** The drop under a key of `boxes`. */
  at(key: Buffer): Header | undefined {
    const recent = this.#recentWith(idPrefixOf(key));
    if (recent !== undefined) return recent;
    const value = this.#tables.boxes.get(key);
    return value && header(recipientOfBox(key), key, value);
  }

  add(added: Header): void {
    if (this.#young.size >= this.#generationSize) this.#age();
    this.#recent.set(added.idPrefix, added);
    const box = this.#recentOf.get(added.recipient);
    if (box === undefined) {
      this.#recentOf.set(added.recipient, { headers: [added], isSorted: true });
    } else {
      box.headers.push(added);
      box.isSorted = false;
    }
    this.#young.buckets[Number.parseInt(added.recipient.slice(0, 2), 16)]?.push(added);
    this.#young.size += 1;
    this.#added.push(added);
    for (let settled = 0; settled < SETTLED_A_PUT; settled += 1) this.#settleNext();
  }

  remove(held: Header): "recent" | "settled" {
    const recent = this.#recentWith(held.idPrefix);
    if (recent !== undefined) {
      this.#leaving.add(recent);
      return "recent";
    }
    this.#tables.boxes.removeSync(headerKey(held));
    return "settled";
  }

  /** Gives a drop another expiry. */
  expire(held: Header, time: number): void {
    const recent = this.#recentWith(held.idPrefix);
    if (recent !== undefined) this.#leaving.add(recent);
    this.#write({ ...held, expiry: time });
  }

  /** How many drops are in a box. */
  count(recipient: string): number {
    let count = this.#tables.boxes.getKeysCount(boxRange(recipient));
    for (const held of this.#recentOf.get(recipient)?.headers ?? []) {
      if (!this.#leaving.has(held)) count += 1;
    }
    return count;
  }

  /** The headers of a box a bounded page at a time, in no order. Between two pages the transaction may end. */
  *pages(recipient: string, until = Infinity): Generator<Header[]> {
    const recent = (this.#recentOf.get(recipient)?.headers ?? []).filter(
      (held) => held.created_at <= until && !this.#leaving.has(held),
    );
    for (let at = 0; at < recent.length; at += KEYS_A_PAGE) {
      yield recent.slice(at, at + KEYS_A_PAGE);
    }
    const range = boxRange(recipient, undefined, until);
    for (;;) {
      const page = [...this.#tables.boxes.getRange({ ...range, limit: KEYS_A_PAGE })];
      if (page.length > 0) yield page.map(({ key, value }) => header(recipient, key, value));
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
    const range = boxRange(recipient, window.since, window.until);
    const next = window.after && after(headerKey(window.after));
    if (next !== undefined && next.compare(range.start) > 0) range.start = next;
    const settled: Header[] = [];
    for (const { key, value } of this.#tables.boxes.getRange({ ...range, limit: max })) {
      settled.push(header(recipient, key, value));
    }
    const box = this.#recentOf.get(recipient);
    if (box === undefined) return settled;
    const { newest } = this;
    const { since = 0, until = Infinity, after: last } = window;
    if (!box.isSorted) {
      box.headers.sort(newestFirst);
      box.isSorted = true;
    }
    const recent = box.headers.filter(
      (held) =>
        held.seq <= newest &&
        held.created_at >= since &&
        held.created_at <= until &&
        (last === undefined || newestFirst(last, held) < 0),
    );
    return merge(recent, settled, max);
  }

  committed(): void {
    for (const added of this.#added) this.#young.ids.add(added.idPrefix);
    const last = this.#added.at(-1);
    if (last !== undefined) Atomics.store(this.#newest, 0, BigInt(last.seq));
    this.#added = [];
    this.#forget(this.#leaving);
    this.#leaving.clear();
    if (this.#settled !== undefined) {
      this.#settled.ids.clear();
      this.#spareIds = this.#settled.ids;
      this.#settled = undefined;
    }
    this.#before = { young: this.#young, settling: this.#settling && { ...this.#settling } };
  }

  aborted(): void {
    const undone = new Set(this.#added);
    this.#forget(undone);
    this.#added = [];
    this.#leaving.clear();
    this.#settled = undefined;
    this.#young = this.#before.young;
    for (const [index, bucket] of this.#young.buckets.entries()) {
      const left = bucket.filter((held) => !undone.has(held));
      this.#young.size -= bucket.length - left.length;
      this.#young.buckets[index] = left;
    }
    this.#settling = this.#before.settling && { ...this.#before.settling };
  }

  #recentWith(idPrefix: string): Header | undefined {
    const recent = this.#recent.get(idPrefix);
    return recent === undefined || this.#leaving.has(recent) ? undefined : recent;
  }

  #forget(headers: ReadonlySet<Header>): void {
    const boxes = new Set<string>();
    for (const held of headers) {
      if (this.#recent.get(held.idPrefix) === held) this.#recent.delete(held.idPrefix);
      boxes.add(held.recipient);
    }
    for (const recipient of boxes) {
      const box = this.#recentOf.get(recipient);
      const left = box?.headers.filter((held) => !headers.has(held)) ?? [];
      if (left.length === 0) this.#recentOf.delete(recipient);
      else if (box !== undefined) box.headers = left;
    }
  }

  // --- settling

  #age(): void {
    // One at a time, and not before the end of the last one is committed: its set of ids is the next one's.
    if (this.#settling !== undefined || this.#before.settling !== undefined) return;
    if (this.#young !== this.#before.young) return;
    const upTo = Math.max(this.newest, this.#added.at(-1)?.seq ?? 0);
    this.#settling = { generation: this.#young, bucket: 0, next: 0, upTo };
    this.#young = generation(this.#spareIds);
  }

  #settleNext(): void {
    const settling = this.#settling;
    if (settling === undefined) return;
    for (;;) {
      const bucket = settling.generation.buckets[settling.bucket];
      if (bucket === undefined) {
        this.#tables.meta.putSync(SETTLED, String(settling.upTo));
        this.#settled = settling.generation;
        this.#settling = undefined;
        return;
      }
      if (settling.next === 0) bucket.sort(inKeyOrder);
      const held = bucket[settling.next++];
      if (held === undefined) {
        settling.bucket += 1;
        settling.next = 0;
        continue;
      }
      // Not if it was deleted since.
      if (this.#recentWith(held.idPrefix) !== held) continue;
      this.#leaving.add(held);
      this.#write(held);
      return;
    }
  }

  #write(held: Header): void {
    writeEntry(this.#tables, held);
  }
}

/** Name in `meta` of the `seq` up to which all drops are settled. */
export const SETTLED = "settled";

/** Writes a drop's entry in `boxes`. */
export function writeEntry({ boxes }: Tables, held: Header): void {
  boxes.putSync(headerKey(held), boxValue(held.seq, held.bytes, held.expiry, held.kind));
}

function generation(ids: IdSet): Generation {
  return { buckets: Array.from({ length: BUCKETS }, () => []), ids, size: 0 };
}

function inKeyOrder(a: Header, b: Header): number {
  if (a.recipient !== b.recipient) return a.recipient < b.recipient ? -1 : 1;
  return newestFirst(a, b);
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
