import type { Drop } from "../nostr/drop.ts";
import { rememberAuthor } from "./authors.ts";
import { expiryKey, expiryValue, tombstoneIn } from "./layout.ts";
import { remove } from "./removal.ts";
import { type Header, ID_PREFIX_DIGITS, type PutOutcome } from "./store.ts";
import { DELETIONS_A_STEP, type Operation, type WriteContext } from "./write-context.ts";

// What a drop takes on disk beside its own bytes, at most: entries in the indexes, half-empty pages.
const DROP_OVERHEAD_BYTES = 1_024;

/**
 * Holds the drop, unless it has expired, is known or there is no room for it. One that was acknowledged before it came is checked and answered as if it were
 * held, in a transaction that writes the same, or its first arrival would tell the sender that somebody has it.
 */
export function* put(context: WriteContext, drop: Drop, now: number): Operation<PutOutcome> {
  const { tables, boxes, limits, clock } = context;
  // Whatever the clock says now: its tombstone may be gone.
  if (drop.expiry <= clock.lastSweep) return "expired";
  const { box, owned } = tables.keys.of(drop);
  const isHere = boxes.has(drop, box) || context.arrivals.has(drop.id);
  // Asked in either case, so that time does not tell a held drop from one that was acknowledged.
  const tombstone = tables.tombstones.get(owned);
  const isEarly = tombstone !== undefined && tombstoneIn(tombstone)?.isEarly === true;
  if (isHere || (tombstone !== undefined && !isEarly)) return "known";
  const bytes = Buffer.byteLength(drop.json);
  if (!context.hasRoomFor(bytes + DROP_OVERHEAD_BYTES, "drop")) return "storage full";
  let usage = context.usage.of(drop.recipient);
  const full = (): boolean =>
    usage.drops >= limits.boxDrops || usage.bytes + bytes > limits.boxBytes;
  if (full() && !usage.isExact) usage = yield* context.usage.exactly(drop.recipient);
  if (full() && usage.nextExpiry <= clock.past(now)) {
    yield* removePast(context, drop.recipient, now);
    usage = yield* context.usage.exactly(drop.recipient);
  }
  if (full()) return "box full";

  const seq = context.nextSeq();
  if (seq === undefined) return "storage full";
  tables.drops.put(seq, drop.json, bytes);
  tables.expiries.putSync(expiryKey(drop.expiry, seq), expiryValue(drop.expiry));
  rememberAuthor(context, drop, seq);
  context.arrivals.settleOverdue(seq);
  const header = headerOf(drop, seq, bytes);
  if (isEarly) {
    context.arrivals.add({ ...header, author: drop.author });
    boxes.pass(header);
    return "stored";
  }
  boxes.add(header, box);
  usage.drops += 1;
  usage.bytes += bytes;
  usage.nextExpiry = Math.min(usage.nextExpiry, drop.expiry);
  context.announcements.add({ ...drop, seq });
  return "stored";
}

function* removePast(context: WriteContext, recipient: string, now: number): Operation<void> {
  let steps = 0;
  for (const page of context.boxes.pages(recipient)) {
    const past = context.clock.sweeping(now);
    for (const held of page) {
      if (held.expiry > past) continue;
      remove(context, held);
      if (++steps % DELETIONS_A_STEP === 0) yield;
    }
  }
  // Counted anew, because the next expiry of what is left is not known.
  context.usage.forget(recipient);
}

/** What a box has of a drop, whose JSON takes so many bytes. */
export function headerOf(
  drop: Pick<Drop, "id" | "recipient" | "created_at" | "kind" | "expiry">,
  seq: number,
  bytes: number,
): Header {
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
