import type { Check } from "../check.ts";
import { must } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";
import { probes } from "./probes.ts";

/** Subscriptions after their EOSE: who is sent what comes in. */
export const livePickupChecks: readonly Check[] = [
  deadDropCheck({
    id: "pickup/live-foreign",
    covers: ["pickup-3"],
    title: "delivers a live drop to its recipient and to no other subscription",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      const strangers = [
        await trial.as("stranger", trial.person()),
        await trial.as("stranger with two keys", trial.person(), trial.person()),
      ];
      for (const stranger of strangers) {
        for (const filter of probes(drop, to)) await stranger.request([filter]);
      }
      const recipient = await trial.as("recipient", to);
      const subscription = await recipient.subscribe({});
      await trial.drop(drop);
      await recipient.delivered(subscription, drop);
      for (const stranger of strangers) {
        await stranger.neverSaw(drop, "a stranger's subscription was sent the drop");
      }
    },
  }),
  deadDropCheck({
    id: "pickup/live-before-auth",
    covers: ["pickup-2", "pickup-3"],
    title: "does not wake up a REQ that was refused before AUTH",
    async run(trial) {
      const to = trial.person();
      const client = await trial.open("recipient");
      const early = await client.request([{ "#p": [to.key] }]);
      must(early.closed?.startsWith("auth-required:") === true, `before AUTH: ${early.text}`);
      const nobody = await trial.open("nobody");
      await nobody.request([{}]);
      await client.authenticate(to);
      const subscription = await client.subscribe({ "#p": [to.key] });
      const drop = trial.wrap({ to });
      await trial.drop(drop);
      await client.delivered(subscription, drop);
      await client.pickup({ limit: 1 });
      const strays = client.connection
        .since(0)
        .filter(({ message: [verb, id] }) => verb === "EVENT" && id === early.subscription);
      must(strays.length === 0, "an event came on the subscription that was refused");
      await nobody.neverSaw(drop, "a connection without AUTH was sent the drop");
    },
  }),
  deadDropCheck({
    id: "pickup/live-second-auth",
    covers: ["pickup-4", "pickup-3"],
    title: "keeps an open subscription alive when a second key is authenticated",
    async run(trial) {
      const alice = trial.person();
      const bob = trial.person();
      const client = await trial.as("shared client", alice);
      const first = await client.subscribe({ "#p": [alice.key] });
      await client.authenticate(bob);
      const second = await client.subscribe({ "#p": [bob.key] });
      const drops = [trial.wrap({ to: alice }), trial.wrap({ to: bob })] as const;
      await trial.drop(...drops);
      await client.delivered(first, drops[0]);
      await client.delivered(second, drops[1]);
    },
  }),
];
