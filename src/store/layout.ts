// The keys of the LMDB tables. Every key and value of the store is made and read here.
//
//   table       key                              value                                  order
//   drops       seq                              the event's JSON, sealed               append
//   boxes       recipient 16 · ~created_at 5 · id 16   seq 6 · bytes 4 · expiry 5 · kind 2    random, but written later, many in order
//   expiries    day of expiry 2 · seq 6          expiry 5                               a few hot pages
//   discarded   seq                              expiry 5                               append
//   tombstones  owner 16 · id 16                 until 5 · early 1                      random, on acknowledgement, and after a first arrival that follows it
//   early       owner 16, or 0 for all           how many of the tombstones are early    only on acknowledgement
//   authors     author 16 · id 16                seq 6                                  kind 4 (and wraps, on request)
//   meta        name                             JSON
//
// No key and no id stands there as it is: recipient, owner, author and id are pseudonyms of them (pseudonyms.ts), and a drop can be read while its own key
// is there alone (drop-keys.ts).
//
// A drop and its expiry go to pages that the commit dirties anyway; its random key in `boxes` is written later (see settling.ts). That key answers three
// questions at once: is this drop held (point look-up: recipient, created_at and id are all in the event), what is in the box (range, newest
// first because the time is stored inverted), which of these ids are in the box (range over the keys). Sixteen bytes of the id are compared everywhere:
// an id mined to begin with forty zero bits still leaves 88 that nobody can aim.
//
// The drops of a box came over weeks, so each lies on a page of its own: to delete a thousand of them costs a thousand pages. An acknowledgement deletes what
// makes them drops, the keys in `boxes`, which lie together, and writes their numbers into `discarded`; the next sweep takes them off the disk.
//
// A tombstone is early (1) from an acknowledgement of a drop that has not come until it comes, and a little longer (arrivals.ts); then it is one like
// any other (0), with the drop's own expiry.
// Requests to vanish are early for as long as they are remembered: no drop has their ids.
//
// Expiries are grouped by day because the order within a day costs a random page per drop and is needed by nobody: a sweep reads one day. Tombstones are
// not grouped at all: an acknowledgement must find out whether an id was acknowledged before, and it does not know the drop's day. A sweep walks them in
// the order of their keys, a few times a day.

import type { DropIdentity, Header, Place } from "./store.ts";
import { NAME_BYTES, type Pseudonyms } from "./pseudonyms.ts";

const OWNER = NAME_BYTES;
const TIME = 5;
const ID = NAME_BYTES;
const SEQ = 6;
const SIZE = 4;
const KIND = 2;
const DAY = 2;

const DAY_SECONDS = 24 * 60 * 60;
const MAX_TIME = 2 ** (8 * TIME) - 1;

/** Their names. */
export const TABLES: readonly string[] = [
  "drops",
  "boxes",
  "expiries",
  "discarded",
  "tombstones",
  "early",
  "authors",
  "meta",
];

const BOX_KEY_BYTES = OWNER + TIME + ID;
const BOX_VALUE_BYTES = SEQ + SIZE + TIME + KIND;

export type Entry = { readonly key: Buffer; readonly value: Buffer };

/** The keys that have pseudonyms in them. */
export class Keys {
  readonly #names: Pseudonyms;
  readonly #owned = Buffer.alloc(OWNER + ID);

  constructor(names: Pseudonyms) {
    this.#names = names;
  }

  /** Of a drop in `boxes`. */
  box(drop: DropIdentity): Buffer {
    return this.of(drop).box;
  }

  /** The same of one that is listed. */
  place({ recipient, created_at, idPrefix }: Place): Buffer {
    return this.box({ recipient, created_at, id: idPrefix });
  }

  /** In `early`. */
  owner(owner: string): Buffer {
    const key = Buffer.allocUnsafe(OWNER);
    this.#names.writeKey(owner, key, 0);
    return key;
  }

  /** In `tombstones` (by who acknowledged) and in `authors` (by author). */
  owned(owner: string, id: string): Buffer {
    const key = Buffer.allocUnsafe(OWNER + ID);
    this.#writeOwned(owner, id, key);
    return key;
  }

  /** Both of a drop: its own in `boxes`, and its recipient's in `tombstones`. That one is good until the next call. */
  of({ recipient, created_at, id, names }: DropIdentity): {
    readonly box: Buffer;
    readonly owned: Buffer;
  } {
    const owned = this.#owned;
    if (names === undefined) this.#writeOwned(recipient, id, owned);
    else owned.write(names, "latin1");
    const box = Buffer.allocUnsafe(BOX_KEY_BYTES);
    owned.copy(box, 0, 0, OWNER);
    box.writeUIntBE(MAX_TIME - created_at, OWNER, TIME);
    owned.copy(box, OWNER + TIME, OWNER);
    return { box, owned };
  }

  #writeOwned(owner: string, id: string, key: Buffer): void {
    this.#names.writeKey(owner, key, 0);
    this.#names.writeId(id, key, OWNER);
  }

  /** The range of `authors` that belongs to one key. */
  ownedRange(owner: string): { start: Buffer; end: Buffer } {
    const start = this.owner(owner);
    return { start, end: Buffer.concat([start, Buffer.alloc(ID + 1, 0xff)]) };
  }

  /** The range of `boxes` with `since <= created_at <= until`; the end is exclusive. */
  boxRange(recipient: string, since = 0, until = MAX_TIME): { start: Buffer; end: Buffer } {
    const start = Buffer.alloc(BOX_KEY_BYTES);
    this.#names.writeKey(recipient, start, 0);
    start.writeUIntBE(MAX_TIME - Math.min(until, MAX_TIME), OWNER, TIME);
    const end = Buffer.alloc(BOX_KEY_BYTES + 1, 0xff);
    start.copy(end, 0, 0, OWNER);
    end.writeUIntBE(MAX_TIME - Math.min(since, MAX_TIME), OWNER, TIME);
    return { start, end };
  }

  /** What entries of one box in `boxes` say; undefined where one is none. */
  headers(recipient: string, entries: readonly Entry[]): (Header | undefined)[] {
    const whole = entries.filter(isEntry);
    const ids = this.#names.ids(Buffer.concat(whole.map(({ key }) => key.subarray(OWNER + TIME))));
    const headers = whole.map(({ key, value }, n) => headerOf(recipient, ids[n] ?? "", key, value));
    if (whole.length === entries.length) return headers;
    let next = 0;
    return entries.map((entry) => (entry === whole[next] ? headers[next++] : undefined));
  }
}

/** What is called `names` of a drop: of its recipient and its id, as in `tombstones`. */
export function namesIn(owned: Buffer): string {
  return owned.toString("latin1");
}

function headerOf(recipient: string, idPrefix: string, key: Buffer, value: Buffer): Header {
  return {
    seq: value.readUIntBE(0, SEQ),
    recipient,
    idPrefix,
    created_at: createdAtIn(key),
    kind: value.readUInt16BE(SEQ + SIZE + TIME),
    expiry: value.readUIntBE(SEQ + SIZE, TIME),
    bytes: value.readUInt32BE(SEQ),
  };
}

/** The time in a key of `boxes`, 0 where it is none. */
export function createdAtIn(key: Buffer): number {
  return key.length === BOX_KEY_BYTES ? MAX_TIME - key.readUIntBE(OWNER, TIME) : 0;
}

/** The size of the drop in an entry of `boxes`. */
export function bytesIn(value: Buffer): number {
  return value.readUInt32BE(SEQ);
}

/** Whether it is one of `boxes`. */
export function isEntry({ key, value }: Entry): boolean {
  return key.length === BOX_KEY_BYTES && value.length === BOX_VALUE_BYTES;
}

export function boxValue({ seq, bytes, expiry, kind }: Header): Buffer {
  const value = Buffer.allocUnsafe(BOX_VALUE_BYTES);
  value.writeUIntBE(seq, 0, SEQ);
  value.writeUInt32BE(bytes, SEQ);
  value.writeUIntBE(Math.min(expiry, MAX_TIME), SEQ + SIZE, TIME);
  value.writeUInt16BE(kind, SEQ + SIZE + TIME);
  return value;
}

export function authorValue(seq: number): Buffer {
  const value = Buffer.allocUnsafe(SEQ);
  value.writeUIntBE(seq, 0, SEQ);
  return value;
}

/** The drop that an entry of `authors` is of; undefined when it is none. */
export function seqOfAuthor(value: Buffer): number | undefined {
  return value.length === SEQ ? value.readUIntBE(0, SEQ) : undefined;
}

/** The first key after `key`. */
export function after(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.alloc(1)]);
}

export function expiryKey(expiry: number, seq: number): Buffer {
  const key = Buffer.allocUnsafe(DAY + SEQ);
  key.writeUInt16BE(dayOf(expiry), 0);
  key.writeUIntBE(seq, DAY, SEQ);
  return key;
}

export function expiryValue(expiry: number): Buffer {
  const value = Buffer.allocUnsafe(TIME);
  value.writeUIntBE(Math.min(expiry, MAX_TIME), 0, TIME);
  return value;
}

/** The drop that an entry of `expiries` is of; undefined when it is none. */
export function seqOfExpiry(key: Buffer): number | undefined {
  return key.length === DAY + SEQ ? key.readUIntBE(DAY, SEQ) : undefined;
}

/** The time in an entry of `expiries` or `discarded`; undefined when it is none. */
export function timeOf(value: Buffer): number | undefined {
  return value.length === TIME ? value.readUIntBE(0, TIME) : undefined;
}

/** The second from which on every drop with this key in `expiries` is past. */
export function endOfDay(key: Buffer): number {
  return key.length < DAY ? 0 : (key.readUInt16BE(0) + 1) * DAY_SECONDS;
}

/** The keys of `expiries` that can be past at `now`, today's included: everything below this. */
export function firstFutureDay(now: number): Buffer {
  const key = Buffer.allocUnsafe(DAY);
  key.writeUInt16BE(dayOf(now + DAY_SECONDS), 0);
  return key;
}

export function tombstoneValue(until: number, early: boolean): Buffer {
  const value = Buffer.allocUnsafe(TIME + 1);
  value.writeUIntBE(Math.min(until, MAX_TIME), 0, TIME);
  value.writeUInt8(early ? 1 : 0, TIME);
  return value;
}

/** What a tombstone says; undefined when it is none. */
export function tombstoneIn(
  value: Buffer,
): { readonly until: number; readonly isEarly: boolean } | undefined {
  if (value.length !== TIME + 1) return undefined;
  return { until: value.readUIntBE(0, TIME), isEarly: value.readUInt8(TIME) === 1 };
}

/** Whose tombstone, or entry of `boxes`, this is: the key in `early`. */
export function ownerOf(key: Buffer): Buffer {
  return key.subarray(0, OWNER);
}

// Two bytes of day reach to the year 2149; whatever claims to expire later is kept under the last day. A clock may be before 1970.
function dayOf(time: number): number {
  return Math.min(Math.max(0, Math.floor(time / DAY_SECONDS)), 2 ** (8 * DAY) - 1);
}
