import { removeWithTombstone } from "./removal.ts";
import { DELETIONS_A_STEP, type Operation, type WriteContext } from "./write-context.ts";

/** Removes all that is held for a recipient, with a tombstone for each drop, as if it were acknowledged: none of it comes back. */
export function* removeBox(context: WriteContext, recipient: string, now: number): Operation<void> {
  const past = context.clock.past(now);
  let steps = 0;
  for (const page of context.boxes.pages(recipient)) {
    for (const held of page) {
      removeWithTombstone(context, held, undefined, past);
      if (++steps % DELETIONS_A_STEP === 0) yield;
    }
  }
}
