import type { NostrEvent } from "../../nostr/event.ts";
import { EPHEMERAL_GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import type { Context } from "../context.ts";
import { nowSeconds, type Person } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";
import { formerRetentionChecks } from "./former-retentions.ts";

/** How far ahead something expires that is waited for. */
const SOON_SECONDS = 3;
/** What a check that waits for it needs, with a slow relay. */
const LIMIT_SECONDS = SOON_SECONDS + 5;
// Two clocks, and each shows whole seconds.
const CLOCK_SECONDS = 1;
// What a slow relay takes for an event that is about to expire.
const MARGIN_SECONDS = 60;
const DAY = 24 * 60 * 60;

/** Drops, sees the drop served until its expiry, and from then on neither served nor counted. */
async function expiresWhileHeld(
  context: Context,
  to: Person,
  drop: NostrEvent,
  expiry: number,
): Promise<void> {
  await context.dropBefore(expiry, drop);
  const recipient = await context.as("recipient", to);
  const isServed = async (): Promise<boolean> => (await recipient.pickup()).includes(drop.id);
  const asked = Date.now();
  const isHeld = await isServed();
  must(isHeld || asked >= (expiry - CLOCK_SECONDS) * 1_000, "the drop was gone before its expiry");
  await context.untilSecond(expiry + CLOCK_SECONDS, async () => {
    await isServed();
  });
  must(!(await isServed()), "the drop is served after its expiry");
  mustBe("its id, asked for", await recipient.pickup({ ids: [drop.id] }), []);
  if (context.counts) {
    const { count, text } = await recipient.count([{}]);
    must(count === 0, `it is counted after its expiry: ${text}`);
  }
}

export const expiryChecks: readonly Check[] = [
  deadDropCheck({
    id: "expiry/formula",
    covers: ["expiry-4"],
    title: "accepts what is younger than its retention and 2 days, and refuses what is older",
    async run(context) {
      const to = context.person();
      const edge = context.createdAtFor(nowSeconds());
      const isAtEdge = context.expiryOf(edge + MARGIN_SECONDS) === nowSeconds() + MARGIN_SECONDS;
      if (isAtEdge) {
        const created_at = edge + MARGIN_SECONDS;
        await context.drop(...context.oneOfEach({ to, created_at }));
      }
      const late = "an event beyond created_at + 172800 + retention";
      await context.refused(
        late,
        context.wrap({ to, created_at: edge - MARGIN_SECONDS }),
        "invalid:",
      );
      const tags = [["expiration", String(nowSeconds() + 3600)]];
      const longer = `${late} with an expiration tag ahead`;
      await context.refused(
        longer,
        context.wrap({ to, created_at: edge - MARGIN_SECONDS, tags }),
        "invalid:",
      );
      await context.refused("an event of 1970", context.wrap({ to, created_at: 0 }), "invalid:");
    },
  }),
  deadDropCheck({
    id: "expiry/retention-while-held",
    covers: ["expiry-4", "expiry-5"],
    title: "forgets a drop at created_at + 172800 + retention",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const expiry = nowSeconds() + SOON_SECONDS;
      const drop = context.wrap({ to, created_at: context.createdAtFor(expiry) });
      await expiresWhileHeld(context, to, drop, expiry);
    },
  }),
  deadDropCheck({
    id: "expiry/tag-while-held",
    covers: ["expiry-5", "expiry-4"],
    title: "forgets a drop at the second in its expiration tag",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const expiry = nowSeconds() + SOON_SECONDS;
      const drop = context.wrap({ to, tags: [["expiration", String(expiry)]] });
      await expiresWhileHeld(context, to, drop, expiry);
      await context.refused("a drop that is past its expiry", drop, "invalid:");
    },
  }),
  deadDropCheck({
    id: "expiry/earliest-while-held",
    covers: ["expiry-2", "expiry-5"],
    title: "forgets a drop at the earliest of several expiration tags",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const expiry = nowSeconds() + SOON_SECONDS;
      const tags = [expiry + 3600, expiry, expiry + 60].map((at) => ["expiration", String(at)]);
      await expiresWhileHeld(context, to, context.wrap({ to, tags }), expiry);
    },
  }),
  deadDropCheck({
    id: "expiry/acknowledged",
    covers: ["expiry-4", "ack-5", "same-1"],
    title:
      "answers an acknowledged drop as one it has until its expiry, and refuses it from then on",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const expiry = nowSeconds() + SOON_SECONDS;
      const drop = context.wrap({ to, tags: [["expiration", String(expiry)]] });
      await context.dropBefore(expiry, drop, context.acknowledgement(to, [drop]));
      const sender = await context.sender();
      const asked = Date.now();
      const { accepted, text } = await sender.publish(drop);
      const isEarly = asked < (expiry - CLOCK_SECONDS) * 1_000;
      must(accepted || !isEarly, `before its expiry it was answered with ${text}`);
      const recipient = await context.as("recipient", to);
      await context.untilSecond(expiry + CLOCK_SECONDS);
      await context.refused("an acknowledged drop that is past its expiry", drop, "invalid:");
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "expiry/on-arrival",
    covers: ["expiry-4", "expiry-2"],
    title: "refuses with invalid: what has expired when it arrives",
    async run(context) {
      const to = context.person();
      const now = nowSeconds();
      const past = ["expiration", String(now - 10)];
      const ahead = ["expiration", String(now + 3600)];
      const wraps = { "a past expiration tag": [past], "a past one among two": [ahead, past] };
      for (const [what, tags] of Object.entries(wraps)) {
        await context.refused(`a drop with ${what}`, context.wrap({ to, tags }), "invalid:");
      }
      const distant = context.wrap({ to, tags: [["expiration", "1"]] });
      await context.refused("a drop that expired in 1970", distant, "invalid:");
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "expiry/malformed",
    covers: ["expiry-2"],
    title: "refuses with invalid: an expiration that is not a number",
    async run(context) {
      const to = context.person();
      const good = ["expiration", String(nowSeconds() + 3600)];
      for (const value of ["soon", "", "NaN", "tomorrow 12:00", "12 hours"]) {
        const drop = context.wrap({ to, tags: [["expiration", value]] });
        await context.refused(`the expiration ${JSON.stringify(value)}`, drop, "invalid:");
      }
      const empty = context.wrap({ to, tags: [["expiration"]] });
      await context.refused("an expiration tag without a value", empty, "invalid:");
      const bad = ["expiration", "soon"];
      const behind = context.wrap({ to, tags: [good, bad] });
      await context.refused("a malformed tag behind a good one", behind, "invalid:");
      const before = context.wrap({ to, tags: [bad, good] });
      await context.refused("a malformed tag before a good one", before, "invalid:");
    },
  }),
  deadDropCheck({
    id: "expiry/clock-skew",
    covers: ["expiry-4"],
    title: "accepts a created_at up to 900 s ahead and refuses one beyond",
    async run(context) {
      const to = context.person();
      const { clockSkew } = context.deadDrop;
      const edge = nowSeconds() + clockSkew;
      await context.drop(context.wrap({ to, created_at: edge - 30 }));
      const beyond = context.wrap({ to, created_at: edge + 60 });
      await context.refused(`a created_at ${clockSkew + 60} s ahead`, beyond, "invalid:");
    },
  }),
  deadDropCheck({
    id: "expiry/ephemeral",
    covers: ["expiry-4", "drop-8"],
    title: "applies the same rule to kind 21059: passes on what is in time, and refuses the rest",
    async run(context) {
      const to = context.person();
      const { timestampFuzz, clockSkew } = context.deadDrop;
      const now = nowSeconds();
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({ kinds: [EPHEMERAL_GIFT_WRAP] });
      const late: Record<string, NostrEvent> = {
        "that has expired": context.ephemeral({ to, tags: expiring(now - 10) }),
        "with a past expiration behind one ahead": context.ephemeral({
          to,
          tags: [...expiring(now + 3600), ...expiring(now - 10)],
        }),
        "with a malformed expiration": context.ephemeral({ to, tags: expiring("soon") }),
        "of 1970": context.ephemeral({ to, created_at: 0 }),
        "from ahead": context.ephemeral({ to, created_at: now + clockSkew + MARGIN_SECONDS }),
      };
      for (const [what, event] of Object.entries(late)) {
        await context.refused(`a kind 21059 ${what}`, event, "invalid:");
      }
      const timely = [
        context.ephemeral({ to, created_at: now - timestampFuzz }),
        context.ephemeral({ to, created_at: now + clockSkew - MARGIN_SECONDS }),
        context.ephemeral({ to, tags: expiring(now + 3600) }),
      ];
      await context.drop(...timely);
      for (const event of timely) await recipient.delivered(subscription, event);
      const isSent = Object.values(late).some((event) => recipient.saw(event));
      must(!isSent, "a kind 21059 that was refused was passed on all the same");
    },
  }),
  ...formerRetentionChecks,
  deadDropCheck({
    id: "expiry/old-is-new",
    covers: ["expiry-6"],
    title: "delivers live, serves and counts a drop that was just sent and dated long ago",
    async run(context) {
      const to = context.person();
      const now = nowSeconds();
      const old = now - Math.floor(context.deadDrop.retention / 2);
      // A former retention may have been so short that this has expired.
      const created_at = context.expiryOf(old) > now + MARGIN_SECONDS ? old : now - DAY;
      const drop = context.wrap({ to, created_at });
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({});
      await context.drop(drop);
      await recipient.delivered(subscription, drop);
      mustBe("the box", await recipient.pickup(), [drop]);
      if (!context.counts) return;
      const { count, text } = await recipient.count([{}]);
      must(count === 1, `it is not counted: ${text}`);
    },
  }),
  deadDropCheck({
    id: "expiry/old-acknowledgement",
    covers: ["expiry-6", "ack-7"],
    title: "obeys an acknowledgement that was signed before the drop was made, long ago",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const year = 365 * 24 * 60 * 60;
      const created_at = nowSeconds() - year;
      await context.drop(drop, context.acknowledgement(to, [drop], { created_at }));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  nipCheck({
    id: "expiry/nip-40-arrival",
    nip: "40",
    sentence: "Relays SHOULD drop any events that are published to them if they are expired.",
    needs: [40],
    title: "does not keep an event that has expired when it arrives",
    async run(context) {
      const to = context.person();
      const tags = [["expiration", String(nowSeconds() - 60)]];
      const event = context.wrap({ to, tags });
      await (await context.sender()).publish(event);
      const reader = await context.reader("recipient", to);
      mustBe("the stored events", await reader.pickup({ "#p": [to.key] }), []);
    },
  }),
  nipCheck({
    id: "expiry/nip-40-held",
    nip: "40",
    sentence: "Relays SHOULD NOT send expired events to clients, even if they are stored.",
    needs: [40],
    title: "sends an event that expires soon, and does not send it when it has expired",
    async run(context) {
      context.needsSeconds(LIMIT_SECONDS);
      const to = context.person();
      const expiry = nowSeconds() + SOON_SECONDS;
      const event = context.wrap({ to, tags: [["expiration", String(expiry)]] });
      await context.dropBefore(expiry, event);
      const reader = await context.reader("recipient", to);
      await context.untilSecond(expiry + CLOCK_SECONDS);
      mustBe("the stored events", await reader.pickup({ "#p": [to.key] }), []);
    },
  }),
];

function expiring(at: number | string): string[][] {
  return [["expiration", String(at)]];
}
