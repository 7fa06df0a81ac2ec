import type { Check } from "../check.ts";
import { nowSeconds } from "../people.ts";
import { must, mustBe, Skipped } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";
import { arriveLikeOthers } from "./first-arrival.ts";

const MANY_UNSEEN = 20;
// So many ids can be acknowledged in vain before it takes too long.
const MOST_OVERFLOWED = 200;
// Two clocks, and the time that a slow relay takes.
const MARGIN_SECONDS = 60;

/** Acknowledgements of drops that have not come yet. */
export const unseenChecks: readonly Check[] = [
  deadDropCheck({
    id: "acknowledgement/early",
    covers: ["same-3", "ack-6", "same-1"],
    title:
      "does not hold a drop that was acknowledged before it came, and answers it like any other at first",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const sender = await context.sender();
      const early = await sender.publish(context.acknowledgement(to, [drop]));
      must(early.accepted, `the early acknowledgement was refused: ${early.reason}`);
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({});
      await arriveLikeOthers(context, { "before it came": drop });
      mustBe("the box", await recipient.pickup(), []);
      const last = context.wrap({ to });
      await context.drop(last);
      await recipient.delivered(subscription, last);
      must(!recipient.saw(drop), "the drop was delivered live");
      await sender.publish(drop);
      mustBe("the box after it came again", await recipient.pickup(), [last]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/early-many",
    covers: ["ack-6", "same-3"],
    title: "remembers all ids of an acknowledgement of drops that have not come",
    async run(context) {
      const to = context.person();
      const { maxAcknowledgementIds, maxEarlyAcknowledgements } = context.deadDrop;
      const many = Math.min(MANY_UNSEEN, maxAcknowledgementIds, maxEarlyAcknowledgements);
      const drops = Array.from({ length: many }, () => context.wrap({ to }));
      await context.drop(context.acknowledgement(to, drops), ...drops);
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/early-bound",
    covers: ["ack-7", "ack-6"],
    title:
      "refuses an acknowledgement of more unseen drops than it remembers, or remembers all of it",
    async run(context) {
      const { maxEarlyAcknowledgements: bound, maxAcknowledgementIds } = context.deadDrop;
      if (bound > MOST_OVERFLOWED) {
        throw new Skipped(
          `max_early_acknowledgements is ${bound}; up to ${MOST_OVERFLOWED} can be tried`,
        );
      }
      const to = context.person();
      const unseen = Array.from({ length: bound }, (_, n) => ({ id: idOf(n) }));
      await context.drop(...context.acknowledgements(to, unseen));
      const drops = [context.wrap({ to }), context.wrap({ to })].slice(0, maxAcknowledgementIds);
      const sender = await context.sender();
      const { accepted, text, reason } = await sender.publish(context.acknowledgement(to, drops), {
        isPatient: false,
      });
      const recipient = await context.as("recipient", to);
      await context.drop(...drops);
      const isAsDemanded = accepted || reason.startsWith("rate-limited:");
      must(isAsDemanded, `one beyond max_early_acknowledgements ${bound}: ${text}`);
      mustBe(`the box after ${text}`, await recipient.pickup(), accepted ? [] : drops);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/old-unseen",
    covers: ["ack-6", "ack-7"],
    title:
      "remembers unseen drops of an acknowledgement no older than 172800 + 900 + retention, and of no other",
    async run(context) {
      const to = context.person();
      const { retention, timestampFuzz, clockSkew } = context.deadDrop;
      const edge = nowSeconds() - timestampFuzz - clockSkew - retention;
      const [early, late, deleted] = [
        context.wrap({ to }),
        context.wrap({ to }),
        context.wrap({ to }),
      ];
      const young = context.acknowledgement(to, [early], { created_at: edge + MARGIN_SECONDS });
      const old = context.acknowledgement(to, [late], { created_at: edge - MARGIN_SECONDS });
      const deletion = context.deletion(to, [deleted], { created_at: edge - MARGIN_SECONDS });
      await context.drop(young, old, deletion, early, late, deleted);
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [late, deleted]);
    },
  }),
];

function idOf(n: number): string {
  return n.toString(16).padStart(64, "0");
}
