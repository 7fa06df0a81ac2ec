import { farthestExpiry } from "../nostr/drop.ts";
import { writtenUnder } from "./authors.ts";
import { rememberEarly } from "./remember-early.ts";
import { removeWithTombstone } from "./removal.ts";
import {
  type Acknowledged,
  type AcknowledgeOutcome,
  type Header,
  ID_PREFIX_DIGITS,
} from "./store.ts";
import { DELETIONS_A_STEP, type Operation, type WriteContext } from "./write-context.ts";

/** Removes, now or at a time, the drops with these ids from the signer's box, and remembers the ids. */
export function* acknowledge(
  context: WriteContext,
  acknowledged: Acknowledged,
  now: number,
): Operation<AcknowledgeOutcome> {
  const { signer, ids, deletion } = acknowledged;
  const missing = new Set(ids.map((id) => id.slice(0, ID_PREFIX_DIGITS)));
  const found: Header[] = [];
  for (const page of context.boxes.pages(signer)) {
    for (const held of page) if (missing.delete(held.idPrefix)) found.push(held);
    if (missing.size === 0) break;
    yield;
  }
  if (deletion) {
    for (const id of missing) {
      const written = writtenUnder(context, signer, id);
      // It stays among the missing: whether the recipient left it here to be found must make no difference to the answer.
      if (written !== undefined) found.push(written);
    }
  }
  const past = context.clock.past(now);
  let steps = 0;
  for (const held of found) {
    if (++steps % DELETIONS_A_STEP === 0) yield;
    removeWithTombstone(context, held, acknowledged.at, past);
  }
  if (acknowledged.remembersUnseen === false) return "done";
  return yield* rememberUnseen(context, signer, missing, now);
}

// Ids that were neither held here nor acknowledged before: when such a drop comes it gets the answer of one that is held, and is not (put.ts).
function* rememberUnseen(
  context: WriteContext,
  signer: string,
  ids: ReadonlySet<string>,
  now: number,
): Operation<AcknowledgeOutcome> {
  const until = farthestExpiry(context.clock.latest(now), context.rule);
  let steps = 0;
  for (const id of ids) {
    const outcome = yield* rememberEarly(context, context.tables.keys.owned(signer, id), until);
    if (outcome !== "done") return outcome;
    if (++steps % DELETIONS_A_STEP === 0) yield;
  }
  return "done";
}
