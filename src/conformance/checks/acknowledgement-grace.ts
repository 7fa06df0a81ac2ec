import type { Check } from "../check.ts";
import { nowSeconds } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";

const GRACE_SECONDS = 3;
const LIMIT_SECONDS = GRACE_SECONDS + 5;
const CLOCK_SECONDS = 1;

/** Acknowledgements with an `expiration` tag: until then the drop is there for other devices. */
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
      const recipient = await context.as("other device", to);
      const asked = Date.now();
      const isHeld = (await recipient.pickup()).includes(drop.id);
      must(isHeld || asked >= (until - CLOCK_SECONDS) * 1_000, "the drop was gone before its time");
      await context.untilSecond(until + CLOCK_SECONDS);
      mustBe("the box after the grace", await recipient.pickup(), []);
      await (await context.sender()).publish(drop);
      mustBe("the box after it came again", await recipient.pickup(), []);
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
      await context.drop(drop, context.acknowledgement(to, [drop], { until: expiry + 3600 }));
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
];
