import { lastExpiry } from "../nostr/drop.ts";
import { writtenBy } from "./authors.ts";
import { rememberEarly } from "./remember-early.ts";
import { removeWithTombstone } from "./removal.ts";
import type { Vanishing, VanishOutcome } from "./store.ts";
import { DELETIONS_A_STEP, type Operation, type WriteContext } from "./write-context.ts";

/** Removes all that `vanishing` speaks of, once: a replay of the same request does nothing. */
export function* vanish(
  context: WriteContext,
  vanishing: Vanishing,
  now: number,
): Operation<VanishOutcome> {
  const { tables } = context;
  const past = context.clock.past(now);
  const { signer, id, created_at } = vanishing;
  // The request itself is remembered until no drop it speaks of can exist: whoever replays it deletes nothing that came later.
  const until = lastExpiry(created_at, context.rule);
  const done = tables.keys.owned(signer, id);
  if (until <= past || tables.tombstones.doesExist(done)) return "done";

  let steps = 0;
  for (const page of context.boxes.pages(signer, created_at)) {
    for (const held of page) {
      removeWithTombstone(context, held, undefined, past);
      if (++steps % DELETIONS_A_STEP === 0) yield;
    }
  }
  for (const page of writtenBy(context, signer)) {
    for (const written of page) {
      if (written.created_at <= created_at) removeWithTombstone(context, written, undefined, past);
      if (++steps % DELETIONS_A_STEP === 0) yield;
    }
  }
  const outcome = yield* rememberEarly(context, done, until);
  return outcome === "done" ? "done" : "storage full";
}
