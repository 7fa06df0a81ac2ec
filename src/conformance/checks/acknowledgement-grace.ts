import type { NostrEvent } from "../../nostr/event.ts";
import { ACKNOWLEDGEMENT, DELETION } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import type { Context } from "../context.ts";
import { nowSeconds, type Person } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";

const GRACE_SECONDS = 3;
const LIMIT_SECONDS = GRACE_SECONDS + 5;
const CLOCK_SECONDS = 1;
const HOUR = 60 * 60;

/** Sees drops served until the second of their grace, and from then on neither served nor taken again. */
async function goesAt(
  context: Context,
  to: Person,
  until: number,
  drops: readonly NostrEvent[],
): Promise<void> {
  const recipient = await context.as("other device", to);
  const asked = Date.now();
  const held = await recipient.pickup();
  const isHeld = drops.every(({ id }) => held.includes(id));
  must(isHeld || asked >= (until - CLOCK_SECONDS) * 1_000, "a drop was gone before its time");
  await context.untilSecond(until + CLOCK_SECONDS);
  mustBe("the box after the grace", await recipient.pickup(), []);
  const sender = await context.sender();
  for (const drop of drops) await sender.publish(drop);
  mustBe("the box after they came again", await recipient.pickup(), []);
}

/** Acknowledgements with a `grace` tag: until then the drop is there for other devices. */
export const graceChecks: readonly Check[] = [
  deadDropCheck({
    id: "acknowledgement/grace",
    covers: ["ack-4", "ack-5"],
    title: "serves a drop until the grace of its acknowledgement is over, and never again",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const drop = context.wrap({ to });
      const until = nowSeconds() + GRACE_SECONDS;
      await context.drop(drop, context.acknowledgement(to, [drop], { until }));
      await goesAt(context, to, until, [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/grace-earliest",
    covers: ["ack-4"],
    title: "lets the earliest of several graces hold, in one acknowledgement and in several",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const [several, shortened, prolonged] = [
        context.wrap({ to }),
        context.wrap({ to }),
        context.wrap({ to }),
      ];
      await context.drop(several, shortened, prolonged);
      const soon = nowSeconds() + GRACE_SECONDS;
      const later = soon + HOUR;
      const acknowledge = (drop: NostrEvent, until: number | number[]): NostrEvent =>
        context.acknowledgement(to, [drop], { until });
      await context.drop(
        acknowledge(several, [later, soon, soon + 60]),
        acknowledge(shortened, later),
        acknowledge(shortened, soon),
        acknowledge(prolonged, soon),
        acknowledge(prolonged, later),
      );
      await goesAt(context, to, soon, [several, shortened, prolonged]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/grace-beyond-expiry",
    covers: ["ack-4", "expiry-5"],
    title: "lets no grace go beyond the expiry of the drop",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const expiry = nowSeconds() + GRACE_SECONDS;
      const drop = context.wrap({ to, tags: [["expiration", String(expiry)]] });
      const acknowledgement = context.acknowledgement(to, [drop], { until: expiry + HOUR });
      await context.dropBefore(expiry, drop, acknowledgement);
      const recipient = await context.as("recipient", to);
      await context.untilSecond(expiry + CLOCK_SECONDS);
      mustBe("the box after the expiry", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/grace-over",
    covers: ["ack-4", "ack-3"],
    title: "deletes at once when the grace is over already, or is taken back by one without",
    async run(context) {
      const to = context.person();
      const past = context.wrap({ to });
      const graced = context.wrap({ to });
      const now = nowSeconds();
      await context.drop(past, graced);
      await context.drop(context.acknowledgement(to, [past], { until: now - 10 }));
      const recipient = await context.as("recipient", to);
      mustBe("the box after a past grace", await recipient.pickup(), [graced]);
      await context.drop(context.acknowledgement(to, [graced], { until: now + 600 }));
      mustBe("the box within a grace", await recipient.pickup(), [graced]);
      await context.drop(context.acknowledgement(to, [graced]));
      mustBe("the box after one without", await recipient.pickup(), []);
      await context.drop(context.acknowledgement(to, [graced], { until: now + 600 }));
      mustBe("the box after one with a grace again", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/grace-malformed",
    covers: ["ack-11"],
    title: "refuses with invalid: a grace that is not a number, in kind 20221 and in kind 5",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const good = ["grace", String(nowSeconds() + HOUR)];
      const malformed: Record<string, string[][]> = {
        "the grace soon": [["grace", "soon"]],
        "the grace -1": [["grace", "-1"]],
        "an empty grace": [["grace", ""]],
        "a grace without a value": [["grace"]],
        "a malformed grace behind a good one": [good, ["grace", "soon"]],
      };
      for (const kind of [ACKNOWLEDGEMENT, DELETION]) {
        for (const [what, tags] of Object.entries(malformed)) {
          const event = context.sign(to, { kind, tags: [["e", drop.id], ...tags] });
          await context.refused(`kind ${kind} with ${what}`, event, "invalid:");
        }
      }
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
];

/** The same of kind 5. */
export const graceOfDeletionChecks: readonly Check[] = [
  deadDropCheck({
    id: "deletions/grace",
    covers: ["delete-1", "ack-4"],
    title: "serves a drop until the earliest grace of a kind 5 is over, and never again",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const soon = nowSeconds() + GRACE_SECONDS;
      await context.drop(context.deletion(to, [drop], { until: [soon + HOUR, soon] }));
      await goesAt(context, to, soon, [drop]);
    },
  }),
  deadDropCheck({
    id: "deletions/expiration",
    covers: ["delete-1", "ack-3"],
    title: "deletes at once at a kind 5 with an expiration, which is its own and no grace",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const tags = [["expiration", String(nowSeconds() + HOUR)]];
      await context.drop(context.deletion(to, [drop], { tags }));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
];
