import type { Check } from "../check.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";
import { probes } from "./probes.ts";

/** Subscriptions after their EOSE: who is sent what comes in. */
export const livePickupChecks: readonly Check[] = [
  deadDropCheck({
    id: "pickup/live-foreign",
    covers: ["pickup-3"],
    title: "delivers a live drop to its recipient and to no other subscription",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const strangers = [
        await context.as("stranger", context.person()),
        await context.as("stranger with two keys", context.person(), context.person()),
      ];
      for (const stranger of strangers) {
        for (const filter of probes(drop, to)) await stranger.request([filter]);
      }
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({});
      await context.drop(drop);
      await recipient.delivered(subscription, drop);
      for (const stranger of strangers) {
        await stranger.neverSaw(drop, "a stranger's subscription was sent the drop");
      }
    },
  }),
  deadDropCheck({
    id: "pickup/other-filters",
    covers: ["pickup-6", "pickup-3"],
    title: "answers the filters of a REQ beside one that names other keys only, stored and live",
    async run(context) {
      const to = context.person();
      const peer = context.person();
      const foreign = context.wrap({ to: peer });
      const [stored, live] = [context.wrap({ to }), context.wrap({ to })];
      await context.drop(foreign, stored);
      const recipient = await context.as("recipient", to);
      const filters = [{ "#p": [peer.key] }, { "#p": [to.key] }];
      mustBe("both filters", await recipient.pickup(...filters), [stored]);
      const subscription = await recipient.subscribe(...filters);
      await context.drop(live);
      await recipient.delivered(subscription, live);
      await recipient.neverSaw(foreign, "the other key's drop was sent");
    },
  }),
  deadDropCheck({
    id: "pickup/live-before-auth",
    covers: ["pickup-2", "pickup-3"],
    title: "does not wake up a REQ that was refused before AUTH",
    async run(context) {
      const to = context.person();
      const client = await context.open("recipient");
      const early = await client.request([{ "#p": [to.key] }]);
      must(early.closed?.startsWith("auth-required:") === true, `before AUTH: ${early.text}`);
      const nobody = await context.open("nobody");
      await nobody.request([{}]);
      await client.authenticate(to);
      const subscription = await client.subscribe({ "#p": [to.key] });
      const drop = context.wrap({ to });
      await context.drop(drop);
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
    id: "pickup/later-auth",
    covers: ["pickup-5", "pickup-3"],
    title: "scopes a filter without #p to the keys authenticated when it came, not to later ones",
    async run(context) {
      const [alice, bob] = [context.person(), context.person()];
      const client = await context.as("shared client", alice);
      const early = await client.subscribe({});
      await client.authenticate(bob);
      const late = await client.subscribe({});
      const [forBob, forAlice] = [context.wrap({ to: bob }), context.wrap({ to: alice })];
      await context.drop(forBob, forAlice);
      await client.delivered(late, forBob);
      await client.delivered(early, forAlice);
      await client.pickup({ limit: 1 });
      const isFollowed = client.connection
        .since(0)
        .some(({ message }) => message[1] === early && JSON.stringify(message).includes(forBob.id));
      must(!isFollowed, "a subscription from before AUTH was sent what is for the later key");
    },
  }),
  deadDropCheck({
    id: "pickup/live-second-auth",
    covers: ["pickup-4", "pickup-3"],
    title: "keeps an open subscription alive when a second key is authenticated",
    async run(context) {
      const alice = context.person();
      const bob = context.person();
      const client = await context.as("shared client", alice);
      const first = await client.subscribe({ "#p": [alice.key] });
      await client.authenticate(bob);
      const second = await client.subscribe({ "#p": [bob.key] });
      const drops = [context.wrap({ to: alice }), context.wrap({ to: bob })] as const;
      await context.drop(...drops);
      await client.delivered(first, drops[0]);
      await client.delivered(second, drops[1]);
    },
  }),
];
