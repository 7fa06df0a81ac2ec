// Deleting what is past, a bounded piece at a time.

import { after, boxKey, firstFutureDay, isEarly, ownerOf, seqOfExpiry, timeOf } from "./layout.ts";
import { forget, takeOffDisk } from "./removal.ts";
import type { Header, SweepCursor, Swept } from "./store.ts";
import { countEarly, entries, eventUnder } from "./tables.ts";
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
  const { expiries, discarded } = context.tables;
  const past = context.clock.sweeping(now);
  const end = firstFutureDay(past);
  // The more there are, the more at a time: what is acknowledged must not pile up.
  const most = Math.min(
    MOST_DISCARDED_A_SWEEP,
    Math.max(DELETIONS_A_STEP, Math.floor(entries(discarded) / DISCARDED_BACKLOG)),
  );
  const unwanted = [...discarded.getRange({ limit: most })];
  for (const { key: seq, value } of unwanted) {
    takeOffDisk(context, { seq, expiry: timeOf(value) });
    discarded.removeSync(seq);
  }
  const page = [
    ...expiries.getRange({ ...(cursor && { start: cursor }), end, limit: KEYS_A_SWEEP }),
  ];
  const piece = swept(page, past, ({ key }) => {
    const seq = seqOfExpiry(key);
    const held = heldUnder(context, seq);
    if (held?.seq === seq && held.expiry <= past) {
      forget(context, held);
      takeOffDisk(context, held);
    } else {
      expiries.removeSync(key);
    }
  });
  // Nothing more expired, but there may be more to take off the disk.
  return unwanted.length === most ? { ...piece, next: piece.next ?? end } : piece;
}

/** The same for tombstones. */
export function sweepTombstones(context: WriteContext, now: number, cursor?: SweepCursor): Swept {
  const { tombstones } = context.tables;
  const page = [...tombstones.getRange({ ...(cursor && { start: cursor }), limit: KEYS_A_SWEEP })];
  return swept(page, context.clock.sweeping(now), ({ key, value }) => {
    tombstones.removeSync(key);
    if (isEarly(value)) countEarly(context.tables, ownerOf(key), -1);
  });
}

type Entry = { readonly key: Buffer; readonly value: Buffer };

// Removes what is past, and says where to go on.
function swept(page: readonly Entry[], past: number, removeEntry: (entry: Entry) => void): Swept {
  let removed = 0;
  for (const entry of page) {
    if (timeOf(entry.value) > past) continue;
    removeEntry(entry);
    if (++removed === DELETIONS_A_STEP) return { removed, next: after(entry.key) };
  }
  const last = page.at(-1);
  return { removed, next: page.length < KEYS_A_SWEEP ? undefined : last && after(last.key) };
}

function heldUnder(context: WriteContext, seq: number): Header | undefined {
  const event = eventUnder(context.tables, seq);
  const recipient = event?.tags.find(([name]) => name === "p")?.[1];
  if (event === undefined || recipient === undefined) return undefined;
  return context.boxes.at(boxKey({ ...event, recipient }));
}
