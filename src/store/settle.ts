import { expiryOf, recipientOf, type RetentionRule } from "../nostr/drop.ts";
import { SETTLED, writeEntry } from "./settling.ts";
import { arrived } from "./early.ts";
import { expiryValue, tombstoneIn } from "./layout.ts";
import { ID_PREFIX_DIGITS } from "./store.ts";
import {
  type Damaged,
  type Databases,
  type Environment,
  eventIn,
  newestDrop,
  numberIn,
} from "./tables.ts";

/** The number up to which all are taken: past the newest drop, if that was settled and is gone. What comes under a settled number would be lost in a crash. */
export function lastNumber(databases: Databases): number {
  return Math.max(newestDrop(databases), numberIn(databases, SETTLED) ?? 0);
}

const AT_ONCE = 10_000;

/**
 * Settles the drops that an earlier run left in its memory (see settling.ts), whatever ended it. `rule` is the one they were put under. Answers the `seq` up
 * to which numbers are taken.
 */
export function settleRest(
  { root, tables, databases }: Environment,
  rule: RetentionRule,
  damaged: Damaged,
): number {
  const { drops, meta } = tables;
  const newest = newestDrop(databases);
  let settled = numberIn(tables, SETTLED) ?? 0;
  while (settled < newest) {
    const start = settled + 1;
    settled = root.transactionSync(() => {
      const last = Math.min(newest, start + AT_ONCE - 1);
      for (const { seq, json } of drops.between(start, last)) {
        settle(tables, seq, json, rule, damaged);
      }
      meta.putSync(SETTLED, String(last));
      return last;
    });
  }
  return settled;
}

function settle(
  tables: Environment["tables"],
  seq: number,
  json: string,
  rule: RetentionRule,
  damaged: Damaged,
): void {
  if (tables.discarded.doesExist(seq)) return;
  const event = eventIn(json);
  if (event === undefined) {
    damaged({ table: "drops", seq });
    return;
  }
  const { id, created_at, kind } = event;
  const recipient = recipientOf(event);
  const expiry = expiryOf(event, rule);
  if (typeof recipient !== "string" || typeof expiry !== "number") return;
  // One that was settled is left as it is: it may have another expiry since.
  const { box, owned: key } = tables.keys.of({ recipient, created_at, id });
  if (tables.boxes.doesExist(box)) return;
  const tombstone = tables.tombstones.get(key);
  if (tombstone !== undefined && tombstoneIn(tombstone)?.isEarly === true) {
    // It was acknowledged before it came: see arrivals.ts.
    arrived(tables, key, expiry);
    tables.authors.removeSync(tables.keys.owned(event.pubkey, id));
    tables.discarded.putSync(seq, expiryValue(expiry));
    return;
  }
  const idPrefix = id.slice(0, ID_PREFIX_DIGITS);
  const bytes = Buffer.byteLength(json);
  writeEntry(tables, { seq, recipient, idPrefix, created_at, kind, expiry, bytes });
}
