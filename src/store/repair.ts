// Puts right what verify.ts finds: what can be derived from the drops is derived anew, and what cannot be read is removed.
//
// - What is whole and was not acknowledged is held afterwards, in its box. What was acknowledged is not: where it cannot be told, a tombstone decides.
// - Tombstones stay. One that says nothing says from then on that it lasts as long as any can.
// - All in one transaction: a power cut leaves the store as it was, or as it is afterwards. Done twice it is done once.

import { expiryOf, farthestExpiry, recipientOf, type RetentionRule } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import { DIRECT_MESSAGE } from "../nostr/kinds.ts";
import { recount } from "./early.ts";
import { fileOf, KeyFiles } from "./key-files.ts";
import {
  authorValue,
  expiryKey,
  expiryValue,
  seqOfAuthor,
  seqOfExpiry,
  timeOf,
  tombstoneIn,
  tombstoneValue,
} from "./layout.ts";
import { headerOf } from "./put.ts";
import { SETTLED, writeEntry } from "./settling.ts";
import { openStopped, type StoppedStore } from "./stopped.ts";
import type { Header } from "./store.ts";
import { damagedMeta, type Environment, eventIn, mustRead, numberIn } from "./tables.ts";
import { ruleIn, type Verified, verify } from "./verify.ts";

export type Repaired = Pick<Verified, "held" | "tombstones"> & {
  /** Places that did not fit. */
  readonly found: number;
  /** Drops that could not be read any more. */
  readonly damaged: number;
};

/**
 * Repairs the store in a folder, which no relay has open. `now` in seconds. Throws, with what to do, when it cannot; the store is as it was then. Needs what
 * nothing can be derived from: the secret, the files of keys, and the records of `meta`.
 */
export async function repairStore(folder: string, source: string, now: number): Promise<Repaired> {
  const stopped = await openStopped(folder, source);
  const files = new KeyFiles(folder, "r+");
  try {
    // With another one nothing could be read.
    if (stopped.databases.meta.get("secret") === undefined) throw damagedMeta("secret");
    mustHaveKeys(stopped, files);
    const before = verify(stopped);
    const found = before.findings.length;
    if (found === 0) return { ...before, found, damaged: 0 };
    const { gone, damaged } = stopped.root.transactionSync(() => new Repair(stopped, now).run());
    for (const file of new Set(gone.map(fileOf))) {
      await files.erase(
        file,
        gone.filter((seq) => fileOf(seq) === file),
      );
    }
    const after = verify(stopped);
    if (after.findings.length > 0) {
      const [{ table, what }] = after.findings as [Verified["findings"][number]];
      throw new Error(
        `${after.findings.length} places cannot be put right, first ${table}: ${what}`,
      );
    }
    return { ...after, found, damaged };
  } finally {
    files.close();
    await stopped.close();
  }
}

// A file of keys that is put back opens its drops again; they are not damaged.
function mustHaveKeys({ databases }: StoppedStore, files: KeyFiles): void {
  mustRead(databases);
  const there = files.list();
  for (const seq of databases.drops.getKeys()) {
    if (there.has(fileOf(seq)) || databases.discarded.doesExist(seq)) continue;
    throw new Error(
      `${files.path(fileOf(seq))} is missing or cut short: without it a part of what is held cannot be read; put it back`,
    );
  }
}

type Readable = {
  readonly event: NostrEvent;
  readonly recipient: string;
  readonly bytes: number;
  /** Its expiry by its own fields. */
  readonly own: number;
};

class Repair {
  readonly #tables: Environment["tables"];
  readonly #databases: Environment["databases"];
  readonly #rule: RetentionRule;
  readonly #settled: number;
  readonly #swept: number;
  readonly #now: number;
  readonly #wrapsHaveAuthors: boolean;
  // By the numbers of drops: what `expiries` says, and until when they are held.
  readonly #due = new Map<number, number>();
  readonly #held = new Map<number, number>();
  // Came after they were acknowledged: a start sees to them (settle.ts).
  readonly #arrivals = new Set<number>();
  readonly #gone: number[] = [];

  constructor({ tables, databases }: Environment, now: number) {
    this.#tables = tables;
    this.#databases = databases;
    this.#rule = ruleIn(tables.meta.get("retention"));
    this.#settled = numberIn(tables, SETTLED) ?? 0;
    this.#swept = numberIn(tables, "swept") ?? 0;
    this.#now = Math.max(now, this.#swept);
    this.#wrapsHaveAuthors = tables.meta.get("authors") === "of wraps";
  }

  /** To be called inside a transaction. Answers the numbers of what was taken out, and how many of these could not be read. */
  run(): { readonly gone: readonly number[]; readonly damaged: number } {
    for (const { key, value } of this.#tables.expiries.getRange()) {
      const [seq, time] = [seqOfExpiry(key), timeOf(value)];
      if (seq !== undefined && time !== undefined) this.#due.set(seq, time);
    }
    let damaged = 0;
    // All of them first: nothing is taken from under a cursor.
    const numbers = [...this.#databases.drops.getKeys()];
    for (const seq of numbers) {
      const drop = this.#readable(seq);
      if (drop !== undefined) this.#putRight(seq, drop);
      else if (!this.#tables.discarded.doesExist(seq)) {
        this.#remove(seq);
        damaged += 1;
      }
    }
    this.#clearBoxes();
    this.#clearAuthors();
    this.#clearTimes();
    this.#fillTombstones();
    recount(this.#tables);
    return { gone: this.#gone, damaged };
  }

  #readable(seq: number): Readable | undefined {
    const json = this.#tables.drops.get(seq);
    const event = json === undefined ? undefined : eventIn(json);
    if (json === undefined || event === undefined) return undefined;
    const [recipient, own] = [recipientOf(event), expiryOf(event, this.#rule)];
    if (typeof recipient !== "string" || typeof own !== "number") return undefined;
    return { event, recipient, bytes: Buffer.byteLength(json), own };
  }

  #remove(seq: number): void {
    this.#databases.drops.removeSync(seq);
    this.#databases.discarded.removeSync(seq);
    this.#gone.push(seq);
  }

  #putRight(seq: number, drop: Readable): void {
    const { keys, boxes, tombstones, discarded } = this.#tables;
    const { event, recipient, own } = drop;
    const { box, owned } = keys.of({ ...event, recipient });
    const value = tombstones.get(owned);
    const isAcknowledged = value !== undefined;
    const isEarly = value !== undefined && tombstoneIn(value)?.isEarly === true;
    if (discarded.doesExist(seq)) {
      if (isAcknowledged || own <= this.#swept) return;
      discarded.removeSync(seq);
    }
    const entry = boxes.get(box);
    const listed = entry && keys.headers(recipient, [{ key: box, value: entry }])[0];
    if (listed !== undefined && listed.seq !== seq && this.#isThat(listed.seq, event)) {
      this.#remove(seq);
      return;
    }
    const isSettled = seq <= this.#settled;
    if (entry === undefined && isEarly) {
      if (isSettled) this.#remove(seq);
      else this.#arrivals.add(seq);
      return;
    }
    const due = this.#due.get(seq);
    const isInGrace = isAcknowledged && due !== undefined && due < own;
    // It was discarded, and the entry that said so is gone.
    if (entry === undefined && isAcknowledged && isSettled && !isInGrace) {
      this.#remove(seq);
      return;
    }
    const isOwn = listed?.seq === seq && listed.expiry <= own;
    const told = isOwn ? listed.expiry : isInGrace ? due : own;
    // Before its time goes what was acknowledged alone; the tombstone of what is past may be gone.
    const expiry = isAcknowledged || own <= this.#swept ? told : own;
    // What is not settled has its entry in nobody's memory now: a start writes it.
    if (isSettled || entry !== undefined || isInGrace) {
      const header = headerOf({ ...event, recipient, expiry }, seq, drop.bytes);
      if (listed === undefined || !isEqual(listed, header)) writeEntry(this.#tables, header, box);
    }
    this.#index(seq, event, expiry);
  }

  // Of two with one event the one that is in the box stays.
  #isThat(seq: number, { id }: NostrEvent): boolean {
    const isHeld = !this.#tables.discarded.doesExist(seq);
    return isHeld && this.#readable(seq)?.event.id === id;
  }

  #index(seq: number, { kind, pubkey, id }: NostrEvent, expiry: number): void {
    const { keys, expiries, authors } = this.#tables;
    this.#held.set(seq, expiry);
    expiries.putSync(expiryKey(expiry, seq), expiryValue(expiry));
    if (kind !== DIRECT_MESSAGE && !this.#wrapsHaveAuthors) return;
    const key = keys.owned(pubkey, id);
    const author = authors.get(key);
    if (author === undefined || seqOfAuthor(author) !== seq) authors.putSync(key, authorValue(seq));
  }

  #clearBoxes(): void {
    const { boxes, keys } = this.#tables;
    removeFrom(boxes, ({ key, value }) => {
      const seq = keys.headers("", [{ key, value }])[0]?.seq;
      if (seq === undefined || !this.#held.has(seq)) return true;
      const drop = this.#readable(seq);
      return drop === undefined || !keys.box({ ...drop.event, ...drop }).equals(key);
    });
  }

  #clearAuthors(): void {
    const { authors, keys } = this.#tables;
    removeFrom(authors, ({ key, value }) => {
      const seq = seqOfAuthor(value);
      if (seq === undefined || !(this.#held.has(seq) || this.#arrivals.has(seq))) return true;
      const drop = this.#readable(seq);
      return drop === undefined || !keys.owned(drop.event.pubkey, drop.event.id).equals(key);
    });
  }

  #clearTimes(): void {
    const { expiries, discarded } = this.#tables;
    const { drops } = this.#databases;
    removeFrom(expiries, ({ key }) => {
      const seq = seqOfExpiry(key);
      if (seq === undefined || !drops.doesExist(seq)) return true;
      const expiry = this.#held.get(seq);
      return expiry !== undefined && !expiryKey(expiry, seq).equals(key);
    });
    removeFrom(discarded, ({ key: seq }) => !drops.doesExist(seq));
  }

  #fillTombstones(): void {
    const { tombstones } = this.#tables;
    const empty = [...tombstones.getRange()].filter(
      ({ value }) => tombstoneIn(value) === undefined,
    );
    const until = farthestExpiry(this.#now, this.#rule);
    for (const { key } of empty) tombstones.putSync(key, tombstoneValue(until, false));
  }
}

function isEqual(one: Header, other: Header): boolean {
  const { seq, bytes, kind, expiry } = other;
  return one.seq === seq && one.bytes === bytes && one.kind === kind && one.expiry === expiry;
}

type Entries<Key> = {
  getRange(): Iterable<{ key: Key; value: Buffer }>;
  removeSync(key: Key): unknown;
};

// In two steps: nothing is taken from under a cursor.
function removeFrom<Key>(
  table: Entries<Key>,
  isWrong: (entry: { key: Key; value: Buffer }) => boolean,
): void {
  const wrong: Key[] = [];
  for (const entry of table.getRange()) if (isWrong(entry)) wrong.push(entry.key);
  for (const key of wrong) table.removeSync(key);
}
