// Deleting what is past, a bounded piece at a time.

import { recipientOf } from "../nostr/drop.ts";
import { forgetEarly } from "./early.ts";
import { after, endOfDay, firstFutureDay, seqOfExpiry, timeOf, tombstoneIn } from "./layout.ts";
import { takeOffDisk } from "./off-disk.ts";
import { forget } from "./removal.ts";
import type { SweepCursor, Swept } from "./store.ts";
import { entries, eventUnder } from "./tables.ts";
import { DELETIONS_A_STEP, type WriteContext } from "./write-context.ts";

// Keys a sweep reads in one go.
const KEYS_A_SWEEP = 200;
const MOST_DISCARDED_A_SWEEP = 500;
const DISCARDED_BACKLOG = 2_000;

/**
 * Looks at a bounded number of drops that may be past, from `cursor` on, and deletes those that are: a piece so small that the drops of others, which are
 * put in between, hardly wait for it.
 */
export function sweepDrops(context: WriteContext, now: number, cursor?: SweepCursor): Swept {
  const { tables, damaged } = context;
  const { expiries, discarded } = tables;
  const past = context.clock.sweeping(now);
  const end = firstFutureDay(past);
  const isAllSettled = context.arrivals.settle(DELETIONS_A_STEP);
  // The more there are, the more at a time: what is acknowledged must not pile up.
  const most = Math.min(
    MOST_DISCARDED_A_SWEEP,
    Math.max(DELETIONS_A_STEP, Math.floor(entries(discarded) / DISCARDED_BACKLOG)),
  );
  const unwanted = [...discarded.getRange({ limit: most })];
  for (const { key: seq, value } of unwanted) {
    const expiry = timeOf(value);
    if (expiry === undefined) damaged({ table: "discarded", seq });
    // Then its entry in `expiries` waits for its day.
    takeOffDisk(tables, { seq, expiry: expiry ?? 0 });
    discarded.removeSync(seq);
  }
  const page = [
    ...expiries.getRange({ ...(cursor && { start: cursor }), end, limit: KEYS_A_SWEEP }),
  ];
  const isPast = ({ key, value }: Entry): boolean => {
    const expiry = timeOf(value);
    if (expiry === undefined) damaged({ table: "expiries", seq: seqOfExpiry(key) });
    return (expiry ?? endOfDay(key)) <= past;
  };
  const piece = swept(page, isPast, ({ key }) => {
    const seq = seqOfExpiry(key);
    if (seq !== undefined) removeExpired(context, seq, past);
    expiries.removeSync(key);
  });
  // Nothing more expired, but there may be more to take off the disk.
  const isMore = unwanted.length === most || !isAllSettled;
  return isMore ? { ...piece, next: piece.next ?? end } : piece;
}

/** The same for tombstones. */
export function sweepTombstones(context: WriteContext, now: number, cursor?: SweepCursor): Swept {
  const { tombstones } = context.tables;
  context.arrivals.settle(DELETIONS_A_STEP);
  const page = [...tombstones.getRange({ ...(cursor && { start: cursor }), limit: KEYS_A_SWEEP })];
  const past = context.clock.sweeping(now);
  const isPast = ({ value }: Entry): boolean => {
    const tombstone = tombstoneIn(value);
    if (tombstone === undefined) context.damaged({ table: "tombstones" });
    // A damaged one stays, whatever it takes: nobody can say up to when it must.
    return tombstone !== undefined && tombstone.until <= past;
  };
  return swept(page, isPast, ({ key, value }) => {
    tombstones.removeSync(key);
    if (tombstoneIn(value)?.isEarly === true) forgetEarly(context.tables, key);
  });
}

type Entry = { readonly key: Buffer; readonly value: Buffer };

// Removes what is past, and says where to go on.
function swept(
  page: readonly Entry[],
  isPast: (entry: Entry) => boolean,
  removeEntry: (entry: Entry) => void,
): Swept {
  let removed = 0;
  for (const entry of page) {
    if (!isPast(entry)) continue;
    removeEntry(entry);
    if (++removed === DELETIONS_A_STEP) return { removed, next: after(entry.key) };
  }
  const last = page.at(-1);
  return { removed, next: page.length < KEYS_A_SWEEP ? undefined : last && after(last.key) };
}

// The drop under an entry of `expiries` that is past. What is damaged of it goes too, as far as it can be found.
function removeExpired(context: WriteContext, seq: number, past: number): void {
  const { tables, boxes, damaged } = context;
  if (!tables.drops.has(seq) || tables.discarded.doesExist(seq)) return;
  const event = eventUnder(tables, seq, damaged);
  const recipient = event === undefined ? undefined : recipientOf(event);
  const drop = event && typeof recipient === "string" ? { ...event, recipient } : undefined;
  const held = drop && boxes.at(drop);
  if (held?.seq === seq) {
    if (held.expiry > past) return;
    forget(context, held);
  } else if (held === undefined && drop) {
    tables.boxes.removeSync(tables.keys.box(drop));
  }
  tables.drops.remove(seq);
}
