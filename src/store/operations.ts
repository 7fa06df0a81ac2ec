// What a write does inside the transaction. Each operation is a generator: it yields wherever the transaction may end and another one go on with the
// rest, so that no operation, however large, holds the event loop. The writer runs one operation to its end before it begins the next; nothing else
// writes in between. An operation that is cut short by a crash has done a part, and its promise never resolved.

import { type Drop, farthestExpiry, lastExpiry, type RetentionRule } from "../nostr/drop.ts";
import { DIRECT_MESSAGE } from "../nostr/kinds.ts";
import { type Boxes, KEYS_A_PAGE } from "./boxes.ts";
import {
  after,
  boxKey,
  expiryKey,
  expiryValue,
  firstFutureDay,
  isEarly,
  ownedKey,
  ownedRange,
  ownerOf,
  seqOfExpiry,
  timeOf,
  tombstoneValue,
} from "./layout.ts";
import {
  type Acknowledged,
  type AcknowledgeOutcome,
  type Header,
  ID_PREFIX_DIGITS,
  type PutOutcome,
  type SweepCursor,
  type Swept,
  type Vanishing,
  type VanishOutcome,
} from "./store.ts";
import { entries, type Tables } from "./tables.ts";
import type { Usage } from "./usage.ts";

export type StoreLimits = {
  readonly boxDrops: number;
  readonly boxBytes: number;
  /** The largest drop that is put. */
  readonly eventBytes: number;
  readonly earlyTombstones: number;
  /** Whether the author of a gift wrap may delete it (NIP-09); of a kind 4 it always may. */
  readonly authorDeletesWraps: boolean;
};

/** What operations work on. */
export type Workplace = {
  readonly tables: Tables;
  readonly boxes: Boxes;
  readonly usage: Usage;
  readonly rule: RetentionRule;
  readonly limits: StoreLimits;
  /** Whether there may be rows in `authors` for gift wraps. */
  readonly wrapsHaveAuthors: boolean;
  /** Whether the disk has room for so many bytes more; for a tombstone it may go deeper into the reserve. */
  hasRoomFor(bytes: number, purpose: "drop" | "tombstone"): boolean;
  nextSeq(): number;
  /** Is told the `seq` of each drop that is removed. */
  gone(seq: number): void;
};

/** A unit of work that may be spread over several transactions, ending where it yields. */
export type Operation<Outcome> = Generator<void, Outcome>;

// Drops deleted, each 10–50 µs, between two places where a transaction may end.
const DELETIONS_A_STEP = 50;
// Keys a sweep reads in one go.
const KEYS_A_SWEEP = 200;
const MOST_DISCARDED_A_SWEEP = 500;
const DISCARDED_BACKLOG = 2_000;
// What a drop takes on disk beside its own bytes, at most: entries in the indexes, half-empty pages.
const DROP_OVERHEAD_BYTES = 1_024;
const TOMBSTONE_BYTES = 256;

/** Answers the `seq` under which the drop is held now, or why it is not. */
export function* put(
  at: Workplace,
  drop: Drop,
  now: number,
): Operation<number | Exclude<PutOutcome, "stored">> {
  const { tables, boxes, limits } = at;
  const isHeld = boxes.has(drop);
  // Asked in either case, so that time does not tell a held drop from one that was acknowledged.
  if (tables.tombstones.doesExist(ownedKey(drop.recipient, drop.id)) || isHeld) return "known";
  const bytes = Buffer.byteLength(drop.json);
  if (!at.hasRoomFor(bytes + DROP_OVERHEAD_BYTES, "drop")) return "storage full";
  let usage = at.usage.of(drop.recipient);
  const full = (): boolean =>
    usage.drops >= limits.boxDrops || usage.bytes + bytes > limits.boxBytes;
  if (full() && !usage.isExact) usage = yield* at.usage.exactly(drop.recipient);
  if (full() && usage.nextExpiry <= now) {
    yield* removePast(at, drop.recipient, now);
    usage = yield* at.usage.exactly(drop.recipient);
  }
  if (full()) return "box full";

  const seq = at.nextSeq();
  tables.drops.putSync(seq, drop.json, { append: true });
  boxes.add(headerOf(drop, seq, bytes));
  tables.expiries.putSync(expiryKey(drop.expiry, seq), expiryValue(drop.expiry));
  if (isAuthors(at, drop)) tables.authors.putSync(ownedKey(drop.author, drop.id), boxKey(drop));
  usage.drops += 1;
  usage.bytes += bytes;
  usage.nextExpiry = Math.min(usage.nextExpiry, drop.expiry);
  return seq;
}

export function* acknowledge(
  at: Workplace,
  acknowledged: Acknowledged,
  now: number,
): Operation<AcknowledgeOutcome> {
  const { signer, ids, deletion } = acknowledged;
  const missing = new Set(ids.map((id) => id.slice(0, ID_PREFIX_DIGITS)));
  const found: Header[] = [];
  for (const page of at.boxes.pages(signer)) {
    for (const held of page) if (missing.delete(held.idPrefix)) found.push(held);
    if (missing.size === 0) break;
    yield;
  }
  if (deletion) {
    for (const id of missing) {
      const key = at.tables.authors.get(ownedKey(signer, id));
      const written = key && at.boxes.at(key);
      if (written === undefined || !isAuthors(at, written)) continue;
      // It stays among the missing: whether the recipient left it here to be found must make no difference to the answer.
      found.push(written);
    }
  }
  let steps = 0;
  for (const held of found) {
    if (++steps % DELETIONS_A_STEP === 0) yield;
    bury(at, held, acknowledged.at ?? now, now);
  }
  return yield* rememberEarly(at, signer, missing, now);
}

export function* vanish(
  at: Workplace,
  vanishing: Vanishing,
  now: number,
): Operation<VanishOutcome> {
  const { tables } = at;
  const { signer, id, created_at } = vanishing;
  // The request itself is remembered until no drop it speaks of can exist: whoever replays it deletes nothing that came later.
  const until = lastExpiry(created_at, at.rule);
  const done = ownedKey(signer, id);
  if (until <= now || tables.tombstones.doesExist(done)) return "done";

  let steps = 0;
  for (const page of at.boxes.pages(signer, created_at)) {
    for (const held of page) {
      bury(at, held, now, now);
      if (++steps % DELETIONS_A_STEP === 0) yield;
    }
  }
  for (const page of writtenBy(at, signer)) {
    for (const written of page) {
      if (isAuthors(at, written) && written.created_at <= created_at) bury(at, written, now, now);
      if (++steps % DELETIONS_A_STEP === 0) yield;
    }
  }
  if (!at.hasRoomFor(TOMBSTONE_BYTES, "tombstone")) return "storage full";
  tables.tombstones.putSync(done, tombstoneValue(until, false));
  return "done";
}

/**
 * Looks at a bounded number of drops that may be past, from `cursor` on, and deletes those that are: a piece so small that the drops of others, which are
 * put in between, hardly wait for it.
 */
export function sweepDrops(at: Workplace, now: number, cursor?: SweepCursor): Swept {
  const { expiries, discarded } = at.tables;
  const end = firstFutureDay(now);
  // The more there are, the more at a time: what is acknowledged must not pile up.
  const most = Math.min(
    MOST_DISCARDED_A_SWEEP,
    Math.max(DELETIONS_A_STEP, Math.floor(entries(discarded) / DISCARDED_BACKLOG)),
  );
  const unwanted = [...discarded.getRange({ limit: most })];
  for (const { key: seq, value } of unwanted) {
    takeOffDisk(at, { seq, expiry: timeOf(value) });
    discarded.removeSync(seq);
  }
  const page = [
    ...expiries.getRange({ ...(cursor && { start: cursor }), end, limit: KEYS_A_SWEEP }),
  ];
  const piece = swept(page, now, ({ key }) => {
    const seq = seqOfExpiry(key);
    const held = heldUnder(at, seq);
    if (held?.seq === seq && held.expiry <= now) {
      forget(at, held);
      takeOffDisk(at, held);
    } else {
      expiries.removeSync(key);
    }
  });
  // Nothing more expired, but there may be more to take off the disk.
  return unwanted.length === most ? { ...piece, next: piece.next ?? end } : piece;
}

/** The same for tombstones. */
export function sweepTombstones(at: Workplace, now: number, cursor?: SweepCursor): Swept {
  const { tombstones } = at.tables;
  const page = [...tombstones.getRange({ ...(cursor && { start: cursor }), limit: KEYS_A_SWEEP })];
  return swept(page, now, ({ key, value }) => {
    tombstones.removeSync(key);
    if (isEarly(value)) countEarly(at.tables, ownerOf(key), -1);
  });
}

type Entry = { readonly key: Buffer; readonly value: Buffer };

// Removes what is past at `now`, and says where to go on.
function swept(page: readonly Entry[], now: number, removeEntry: (entry: Entry) => void): Swept {
  let removed = 0;
  for (const entry of page) {
    if (timeOf(entry.value) > now) continue;
    removeEntry(entry);
    if (++removed === DELETIONS_A_STEP) return { removed, next: after(entry.key) };
  }
  const last = page.at(-1);
  return { removed, next: page.length < KEYS_A_SWEEP ? undefined : last && after(last.key) };
}

// The drop goes at `time`, or now if that is not in the future; its tombstone stays until the drop's own expiry.
function bury(at: Workplace, held: Header, time: number, now: number): void {
  const { expiries, tombstones } = at.tables;
  const grave = ownedKey(held.recipient, held.idPrefix);
  // A drop in its grace has its tombstone already, with the true expiry.
  if (!tombstones.doesExist(grave)) tombstones.putSync(grave, tombstoneValue(held.expiry, false));
  if (time <= now) {
    remove(at, held);
  } else if (time < held.expiry) {
    at.boxes.expire(held, time);
    expiries.removeSync(expiryKey(held.expiry, held.seq));
    expiries.putSync(expiryKey(time, held.seq), expiryValue(time));
    at.usage.expires(held, time);
  }
}

// It is not held any more, in whatever way it is looked for. From the disk it is taken at the next sweep; a recent one at once, because those lie together.
function remove(at: Workplace, held: Header): void {
  if (forget(at, held) === "recent") takeOffDisk(at, held);
  else at.tables.discarded.putSync(held.seq, expiryValue(held.expiry));
}

function forget(at: Workplace, held: Header): "recent" | "settled" {
  const { authors } = at.tables;
  if (held.kind === DIRECT_MESSAGE || at.wrapsHaveAuthors) {
    const event = eventUnder(at.tables, held.seq);
    if (event !== undefined) authors.removeSync(ownedKey(event.pubkey, event.id));
  }
  const was = at.boxes.remove(held);
  at.usage.removed(held);
  at.gone(held.seq);
  return was;
}

function takeOffDisk({ tables }: Workplace, { seq, expiry }: Pick<Header, "seq" | "expiry">): void {
  tables.drops.removeSync(seq);
  tables.expiries.removeSync(expiryKey(expiry, seq));
}

function* removePast(at: Workplace, recipient: string, now: number): Operation<void> {
  let steps = 0;
  for (const page of at.boxes.pages(recipient)) {
    for (const held of page) {
      if (held.expiry > now) continue;
      remove(at, held);
      if (++steps % DELETIONS_A_STEP === 0) yield;
    }
  }
  // Counted anew, because the next expiry of what is left is not known.
  at.usage.forget(recipient);
}

// Ids that were neither held here nor acknowledged before: when such a drop comes it gets the answer of a known one.
function* rememberEarly(
  at: Workplace,
  signer: string,
  ids: ReadonlySet<string>,
  now: number,
): Operation<AcknowledgeOutcome> {
  const { tombstones, early } = at.tables;
  const owner = Buffer.from(signer, "hex");
  const value = tombstoneValue(farthestExpiry(now, at.rule), true);
  let room = at.limits.earlyTombstones - (early.get(owner)?.readUInt32BE() ?? 0);
  let steps = 0;
  for (const id of ids) {
    const grave = ownedKey(signer, id);
    if (tombstones.doesExist(grave)) continue;
    if (room <= 0) return "too many early";
    if (!at.hasRoomFor(TOMBSTONE_BYTES, "tombstone")) return "storage full";
    tombstones.putSync(grave, value);
    countEarly(at.tables, owner, 1);
    room -= 1;
    if (++steps % DELETIONS_A_STEP === 0) yield;
  }
  return "done";
}

function countEarly(tables: Tables, owner: Buffer, change: 1 | -1): void {
  const count = (tables.early.get(owner)?.readUInt32BE() ?? 0) + change;
  if (count <= 0) {
    tables.early.removeSync(owner);
    return;
  }
  const value = Buffer.allocUnsafe(4);
  value.writeUInt32BE(count);
  tables.early.putSync(owner, value);
}

// Whether the author may still take back what is held for somebody else.
function isAuthors(at: Workplace, { kind }: Pick<Header, "kind">): boolean {
  return kind === DIRECT_MESSAGE || at.limits.authorDeletesWraps;
}

// What this key signed itself and is held for others, a bounded page at a time.
function* writtenBy(at: Workplace, author: string): Generator<Header[]> {
  const range = ownedRange(author);
  for (;;) {
    const page = [...at.tables.authors.getRange({ ...range, limit: KEYS_A_PAGE })];
    yield page.map(({ value }) => at.boxes.at(value)).filter((held) => held !== undefined);
    const last = page.at(-1);
    if (last === undefined || page.length < KEYS_A_PAGE) return;
    range.start = after(last.key);
  }
}

function heldUnder(at: Workplace, seq: number): Header | undefined {
  const event = eventUnder(at.tables, seq);
  const recipient = event?.tags.find(([name]) => name === "p")?.[1];
  if (event === undefined || recipient === undefined) return undefined;
  return at.boxes.at(boxKey({ ...event, recipient }));
}

type StoredEvent = Pick<Drop, "id" | "created_at"> & { pubkey: string; tags: string[][] };

function eventUnder(tables: Tables, seq: number): StoredEvent | undefined {
  const json = tables.drops.get(seq);
  return json === undefined ? undefined : (JSON.parse(json) as StoredEvent);
}

function headerOf(drop: Drop, seq: number, bytes: number): Header {
  const { id, recipient, created_at, kind, expiry } = drop;
  return {
    seq,
    recipient,
    idPrefix: id.slice(0, ID_PREFIX_DIGITS),
    created_at,
    kind,
    expiry,
    bytes,
  };
}
