import type { Check } from "../check.ts";
import { nowSeconds } from "../people.ts";
import { mustBe } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";

const DAY = 24 * 60 * 60;

/** Kind 62, as NIP-DD has it. */
export const vanishChecks: readonly Check[] = [
  deadDropCheck({
    id: "deletions/vanish",
    covers: ["delete-5"],
    title: "deletes the signer's box at a kind 62, keeps it deleted, and leaves other boxes alone",
    async run(context) {
      for (const relay of ["ALL_RELAYS", context.url]) {
        const to = context.person();
        const other = context.person();
        const now = nowSeconds();
        const drops = [
          context.wrap({ to, created_at: now - DAY }),
          ...context.oneOfEach({ to, created_at: now }),
        ];
        const later = context.wrap({ to, created_at: now + 60 });
        const foreign = context.wrap({ to: other });
        await context.drop(...drops, later, foreign);
        await context.drop(context.vanish(to, relay, { created_at: now }));
        const recipient = await context.as("recipient", to);
        mustBe(`the box after a kind 62 for ${relay}`, await recipient.pickup(), [later]);
        const sender = await context.sender();
        for (const drop of drops) await sender.publish(drop);
        mustBe("the box after they came again", await recipient.pickup(), [later]);
        const stranger = await context.as("other recipient", other);
        mustBe("the other box", await stranger.pickup(), [foreign]);
      }
    },
  }),
  deadDropCheck({
    id: "deletions/vanish-elsewhere",
    covers: ["delete-7", "drop-4"],
    title: "refuses a kind 62 that names another relay, and deletes nothing",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      for (const relay of ["wss://relay.example.com/", "all_relays"]) {
        await context.refused(`a kind 62 for ${relay}`, context.vanish(to, relay), "invalid:");
      }
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "deletions/vanish-replayed",
    covers: ["delete-6"],
    title: "deletes nothing when a kind 62 is published again, however old the new drops are dated",
    async run(context) {
      const to = context.person();
      const now = nowSeconds();
      const before = context.wrap({ to, created_at: now - 60 });
      const request = context.vanish(to, "ALL_RELAYS", { created_at: now });
      await context.drop(before, request);
      const drops = [
        context.wrap({ to, created_at: now + 60 }),
        context.wrap({ to, created_at: now - DAY }),
        ...context.oneOfEach({ to, created_at: now - 60 }),
      ];
      await context.drop(...drops);
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), drops);
      await (await context.sender()).publish(request);
      const stranger = await context.open("stranger");
      await stranger.publish(request);
      mustBe("the box after the replay", await recipient.pickup(), drops);
    },
  }),
  deadDropCheck({
    id: "deletions/vanish-written",
    covers: ["delete-5"],
    title: "deletes the kind 4s that the signer of a kind 62 wrote to others, up to its created_at",
    async run(context) {
      const from = context.person();
      const to = context.person();
      const now = nowSeconds();
      const written = context.message({ from, to, created_at: now - DAY });
      const later = context.message({ from, to, created_at: now + 60 });
      const foreign = context.message({ from: context.person(), to });
      await context.drop(written, later, foreign);
      await context.drop(context.vanish(from, "ALL_RELAYS", { created_at: now }));
      const recipient = await context.as("recipient", to);
      mustBe("the recipient's box", await recipient.pickup(), [later, foreign]);
      await (await context.sender()).publish(written);
      mustBe("the box after it came again", await recipient.pickup(), [later, foreign]);
    },
  }),
  deadDropCheck({
    id: "deletions/vanish-ahead",
    covers: ["delete-7", "drop-4"],
    title: "refuses a kind 62 that is dated more than 900 s ahead, and deletes nothing",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const edge = nowSeconds() + context.deadDrop.clockSkew;
      const ahead = context.vanish(to, "ALL_RELAYS", { created_at: edge + 60 });
      await context.refused("a kind 62 dated ahead", ahead, "invalid:");
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
];
