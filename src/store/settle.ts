import { expiryOf, recipientOf, type RetentionRule } from "../nostr/drop.ts";
import { SETTLED, writeEntry } from "./settling.ts";
import { arrived } from "./early.ts";
import { boxKey, expiryValue, ownedKey, tombstoneIn } from "./layout.ts";
import { ID_PREFIX_DIGITS } from "./store.ts";
import { type Damaged, type Environment, eventIn, mustRead, numberIn } from "./tables.ts";

const AT_ONCE = 10_000;

/**
 * Settles the drops that an earlier run left in its memory (see settling.ts), whatever ended it. `rule` is the one they were put under. Answers the `seq` up
 * to which numbers are taken.
 */
export function settleRest(
  { root, tables }: Environment,
  rule: RetentionRule,
  damaged: Damaged,
): number {
  const { drops, meta } = tables;
  mustRead(tables);
  const [newest = 0] = drops.getKeys({ reverse: true, limit: 1 });
  let settled = numberIn(tables, SETTLED) ?? 0;
  while (settled < newest) {
    const start = settled + 1;
    settled = root.transactionSync(() => {
      let last = newest;
      for (const { key, value } of drops.getRange({ start, limit: AT_ONCE })) {
        settle(tables, key, value, rule, damaged);
        last = key;
      }
      meta.putSync(SETTLED, String(last));
      return last;
    });
  }
  // Past the newest one, if that was settled and is gone: what comes under a settled number would be lost in a crash.
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
  if (tables.boxes.doesExist(boxKey({ recipient, created_at, id }))) return;
  const key = ownedKey(recipient, id);
  const tombstone = tables.tombstones.get(key);
  if (tombstone !== undefined && tombstoneIn(tombstone)?.isEarly === true) {
    // It was acknowledged before it came: see arrivals.ts.
    arrived(tables, key, expiry);
    tables.authors.removeSync(ownedKey(event.pubkey, id));
    tables.discarded.putSync(seq, expiryValue(expiry));
    return;
  }
  const idPrefix = id.slice(0, ID_PREFIX_DIGITS);
  const bytes = Buffer.byteLength(json);
  writeEntry(tables, { seq, recipient, idPrefix, created_at, kind, expiry, bytes });
}
