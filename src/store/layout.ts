// The keys of the LMDB tables. Every key and value of the store is made and read here.
//
//   table       key                              value                                  order
//   drops       seq                              the event's JSON                       append
//   boxes       recipient 32 · ~created_at 5 · id 16   seq 6 · bytes 4 · expiry 5 · kind 2    random, but written later, many in order
//   expiries    day of expiry 2 · seq 6          expiry 5                               a few hot pages
//   discarded   seq                              expiry 5                               append
//   tombstones  owner 32 · id 16                 until 5 · early 1                      random, on acknowledgement, and after a first arrival that follows it
//   early       owner 32, or 0 for all           how many of the tombstones are early    only on acknowledgement
//   authors     author 32 · id 16                key in boxes 53                        kind 4 (and wraps, on request)
//   meta        name                             JSON
//
// A drop and its expiry go to pages that the commit dirties anyway; its random key in `boxes` is written later (see settling.ts). That key answers three
// questions at once: is this drop held (point look-up: recipient, created_at and id are all in the event), what is in the box (range, already in NIP-01's
// order because the time is stored inverted), which of these ids are in the box (range over the keys). Sixteen bytes of the id are compared everywhere:
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

import { type DropIdentity, type Header, ID_PREFIX_DIGITS, type Place } from "./store.ts";

const KEY = 32;
const TIME = 5;
const ID = ID_PREFIX_DIGITS / 2;
const SEQ = 6;
const SIZE = 4;
const KIND = 2;
const DAY = 2;

const DAY_SECONDS = 24 * 60 * 60;
const MAX_TIME = 2 ** (8 * TIME) - 1;

/** Their names. */
export const TABLES: ReadonlySet<string> = new Set([
  "drops",
  "boxes",
  "expiries",
  "discarded",
  "tombstones",
  "early",
  "authors",
  "meta",
]);

export const BOX_KEY_BYTES = KEY + TIME + ID;
const BOX_VALUE_BYTES = SEQ + SIZE + TIME + KIND;

export function boxKey(drop: Pick<DropIdentity, "recipient" | "created_at" | "id">): Buffer {
  const key = Buffer.allocUnsafe(BOX_KEY_BYTES);
  key.write(drop.recipient, 0, KEY, "hex");
  key.writeUIntBE(MAX_TIME - drop.created_at, KEY, TIME);
  key.write(drop.id, KEY + TIME, ID, "hex");
  return key;
}

export function boxValue(seq: number, bytes: number, expiry: number, kind: number): Buffer {
  const value = Buffer.allocUnsafe(BOX_VALUE_BYTES);
  value.writeUIntBE(seq, 0, SEQ);
  value.writeUInt32BE(bytes, SEQ);
  value.writeUIntBE(Math.min(expiry, MAX_TIME), SEQ + SIZE, TIME);
  value.writeUInt16BE(kind, SEQ + SIZE + TIME);
  return value;
}

/** What an entry of `boxes` says; undefined when it is none. */
export function header(recipient: string, key: Buffer, value: Buffer): Header | undefined {
  if (key.length !== BOX_KEY_BYTES || value.length !== BOX_VALUE_BYTES) return undefined;
  return {
    seq: value.readUIntBE(0, SEQ),
    recipient,
    idPrefix: idPrefixOf(key),
    created_at: MAX_TIME - key.readUIntBE(KEY, TIME),
    kind: value.readUInt16BE(SEQ + SIZE + TIME),
    expiry: value.readUIntBE(SEQ + SIZE, TIME),
    bytes: value.readUInt32BE(SEQ),
  };
}

/** The key in `boxes` of a listed drop. */
export function headerKey({ recipient, created_at, idPrefix }: Place): Buffer {
  return boxKey({ recipient, created_at, id: idPrefix });
}

/** The part of the id in a key of `boxes`. */
export function idPrefixOf(key: Buffer): string {
  return key.toString("hex", KEY + TIME, BOX_KEY_BYTES);
}

export function recipientOfBox(key: Buffer): string {
  return key.toString("hex", 0, KEY);
}

/** The range of `boxes` with `since <= created_at <= until`; the end is exclusive. */
export function boxRange(
  recipient: string,
  since = 0,
  until = MAX_TIME,
): { start: Buffer; end: Buffer } {
  const start = Buffer.alloc(BOX_KEY_BYTES);
  start.write(recipient, 0, KEY, "hex");
  start.writeUIntBE(MAX_TIME - Math.min(until, MAX_TIME), KEY, TIME);
  const end = Buffer.alloc(BOX_KEY_BYTES + 1, 0xff);
  end.write(recipient, 0, KEY, "hex");
  end.writeUIntBE(MAX_TIME - Math.min(since, MAX_TIME), KEY, TIME);
  return { start, end };
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

/** Key of `tombstones` (by who acknowledged) and of `authors` (by author). */
export function ownedKey(owner: string, id: string): Buffer {
  const key = Buffer.allocUnsafe(KEY + ID);
  key.write(owner, 0, KEY, "hex");
  key.write(id, KEY, ID, "hex");
  return key;
}

/** The range of `authors` that belongs to one key. */
export function ownedRange(owner: string): { start: Buffer; end: Buffer } {
  const start = Buffer.from(owner, "hex");
  return { start, end: Buffer.concat([start, Buffer.alloc(ID + 1, 0xff)]) };
}

/** Whose tombstone this is: the key in `early`. */
export function ownerOf(key: Buffer): Buffer {
  return key.subarray(0, KEY);
}

// Two bytes of day reach to the year 2149; whatever claims to expire later is kept under the last day.
function dayOf(time: number): number {
  return Math.min(Math.floor(time / DAY_SECONDS), 2 ** (8 * DAY) - 1);
}
