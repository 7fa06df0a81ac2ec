import { GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { nowSeconds } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";
import { livePickupChecks } from "./pickup-live.ts";
import { probes } from "./probes.ts";

const DAY = 24 * 60 * 60;
// What a slow relay takes for an event that is about to expire.
const MARGIN_SECONDS = 60;

export const pickupChecks: readonly Check[] = [
  deadDropCheck({
    id: "pickup/unauthenticated",
    covers: ["pickup-2", "pickup-3"],
    title: "closes every REQ of a connection that is not authenticated with auth-required:",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const nobody = await context.open("nobody");
      // All at once, for each may be held until AUTH.
      const asked = probes(drop, to).map(async (filter) => {
        const { closed, ids, text } = await nobody.request([filter]);
        must(ids.length === 0, `${JSON.stringify(filter)} returned an event`);
        must(closed?.startsWith("auth-required:") === true, `${JSON.stringify(filter)}: ${text}`);
      });
      await Promise.all(asked);
    },
  }),
  deadDropCheck({
    id: "pickup/whole-box",
    covers: ["pickup-8"],
    title: "returns the whole box, however old its drops are dated",
    async run(context) {
      const to = context.person();
      const now = nowSeconds();
      const { kinds, maxDrops, retention, timestampFuzz } = context.deadDrop;
      const oldest = timestampFuzz + retention - 2 * MARGIN_SECONDS;
      const ages = [-600, 0, 60, 3600, DAY, 2 * DAY, 10 * DAY, oldest].filter(
        (age) => context.expiryOf(now - age) > now + MARGIN_SECONDS,
      );
      const drops = ages
        .flatMap((age) => context.oneOfEach({ to, created_at: now - age }))
        .slice(-maxDrops);
      await context.drop(...drops, context.wrap({ to: context.person() }));
      const recipient = await context.as("recipient", to);
      const p = { "#p": [to.key] };
      const both = { kinds: [...kinds] };
      for (const filter of [{}, p, both, { ...p, ...both }]) {
        const { subscription, ids, hints, text } = await recipient.request([filter]);
        recipient.connection.say("CLOSE", subscription);
        const isMore = Array.isArray(hints) && hints.includes("more");
        const what = `${ids.length} of ${drops.length} drops to ${JSON.stringify(filter)}`;
        must(ids.length >= drops.length || isMore, `${what}, and no "more": ${text}`);
        mustBe(JSON.stringify(filter), await recipient.pickup(filter), drops);
      }
    },
  }),
  deadDropCheck({
    id: "pickup/no-p",
    covers: ["pickup-5", "pickup-3"],
    title: "scopes a filter without #p to the keys of the connection",
    async run(context) {
      const alice = context.person();
      const bob = context.person();
      const own = [context.wrap({ to: alice }), context.wrap({ to: bob })];
      await context.drop(...own, context.wrap({ to: context.person() }));
      const client = await context.as("shared client", alice, bob);
      for (const filter of [{ kinds: [GIFT_WRAP] }, { kinds: [GIFT_WRAP], limit: 500 }]) {
        mustBe(JSON.stringify(filter), await client.pickup(filter), own);
      }
    },
  }),
  deadDropCheck({
    id: "pickup/no-kinds",
    covers: ["pickup-5", "pickup-3"],
    title: "scopes a filter without kinds, or without anything, to the keys of the connection",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop, context.wrap({ to: context.person() }));
      const recipient = await context.as("recipient", to);
      for (const filter of [{}, { limit: 500 }, { since: 0 }, { until: nowSeconds() + DAY }]) {
        mustBe(JSON.stringify(filter), await recipient.pickup(filter), [drop]);
      }
    },
  }),
  deadDropCheck({
    id: "pickup/foreign-p",
    covers: ["pickup-12", "pickup-3"],
    title: "closes a REQ that names other keys only with restricted:",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const stranger = await context.as("stranger", context.person());
      const p = { "#p": [to.key] };
      for (const filter of [p, { ...p, kinds: [1059] }, { ...p, ids: [drop.id] }]) {
        const { closed, ids, text } = await stranger.request([filter]);
        must(ids.length === 0, `${JSON.stringify(filter)} returned an event`);
        must(closed?.startsWith("restricted:") === true, `${JSON.stringify(filter)}: ${text}`);
      }
    },
  }),
  deadDropCheck({
    id: "pickup/mixed-p",
    covers: ["pickup-6", "pickup-3"],
    title: "leaves out the other keys of a filter that names one's own as well",
    async run(context) {
      const to = context.person();
      const other = context.person();
      const own = context.wrap({ to });
      const foreign = context.wrap({ to: other });
      await context.drop(own, foreign);
      const recipient = await context.as("recipient", to);
      const filter = { "#p": [other.key, to.key] };
      mustBe("both keys", await recipient.pickup(filter), [own]);
      const subscription = await recipient.subscribe(filter);
      const foreignLive = context.wrap({ to: other });
      const ownLive = context.wrap({ to });
      await context.drop(foreignLive, ownLive);
      await recipient.delivered(subscription, ownLive);
      await recipient.neverSaw(foreignLive, "the other key's drop was delivered live");
    },
  }),
  deadDropCheck({
    id: "pickup/probes",
    covers: ["pickup-3"],
    title: "returns somebody else's drop to no filter, alone or behind one's own",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const key = context.person();
      const stranger = await context.as("stranger", key);
      for (const filter of probes(drop, to)) {
        for (const filters of [[filter], [{ "#p": [key.key] }, filter]]) {
          const { subscription, ids, closed } = await stranger.request(filters);
          must(ids.length === 0, `${JSON.stringify(filters)} returned an event`);
          if (closed === undefined) stranger.connection.say("CLOSE", subscription);
        }
      }
      must(!stranger.saw(drop), "the drop was sent to a stranger");
    },
  }),
  deadDropCheck({
    id: "pickup/author",
    covers: ["pickup-3"],
    title: "does not show a kind 4 to its author",
    async run(context) {
      const to = context.person();
      const from = context.person();
      const stored = context.message({ from, to });
      const live = context.message({ from, to });
      const author = await context.as("author", from);
      const recipient = await context.as("recipient", to);
      await context.drop(stored);
      for (const filter of [{}, { authors: [from.key] }, { ids: [stored.id] }, { kinds: [4] }]) {
        mustBe(`the author's ${JSON.stringify(filter)}`, await author.pickup(filter), []);
      }
      await author.subscribe({ authors: [from.key] });
      const subscription = await recipient.subscribe({});
      await author.publish(live);
      await recipient.delivered(subscription, live);
      await author.neverSaw(live, "the author was sent the message");
    },
  }),
  deadDropCheck({
    id: "pickup/ids-answer",
    covers: ["pickup-12", "pickup-3"],
    title: "answers a stranger the same about an id it holds, and one that does not exist",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const unknown = context.wrap({ to });
      const stranger = await context.as("stranger", context.person());
      const held = await stranger.request([{ ids: [drop.id] }], "probe");
      const none = await stranger.request([{ ids: [unknown.id] }], "probe");
      must(held.ids.length === 0, "the drop was returned");
      must(held.text === none.text, `held: ${held.text}, unknown: ${none.text}`);
    },
  }),
  deadDropCheck({
    id: "pickup/box-answer",
    covers: ["pickup-12"],
    title: "answers a stranger the same about a box that is full, emptied or unknown",
    async run(context) {
      const [full, emptied, unknown] = [context.person(), context.person(), context.person()];
      const gone = context.wrap({ to: emptied });
      await context.drop(context.wrap({ to: full }), context.wrap({ to: full }), gone);
      await context.drop(context.acknowledgement(emptied, [gone]));
      const stranger = await context.as("stranger", context.person());
      const answers = new Set<string>();
      for (const { key } of [full, emptied, unknown]) {
        const { ids, text } = await stranger.request([{ "#p": [key] }], "probe");
        must(ids.length === 0, "a stranger was sent an event");
        answers.add(text);
      }
      must(answers.size === 1, `the answers differ: ${[...answers].join(" and ")}`);
    },
  }),
  ...livePickupChecks,
  deadDropCheck({
    id: "pickup/no-acknowledgement",
    covers: ["ack-10"],
    title: "takes neither EOSE, CLOSE, a later since nor a newer drop for an acknowledgement",
    async run(context) {
      const to = context.person();
      const now = nowSeconds();
      const live = context.wrap({ to, created_at: now - 50 });
      const stored = context.wrap({ to, created_at: now - 100 });
      await context.drop(stored);
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({});
      await context.drop(live);
      await recipient.delivered(subscription, live);
      recipient.connection.say("CLOSE", subscription);
      await recipient.pickup({ since: now });
      await recipient.pickup({ limit: 1 });
      // Acknowledges a newer one alone: "up to" is not what an acknowledgement says.
      const newest = context.wrap({ to, created_at: now });
      await context.drop(newest, context.acknowledgement(to, [newest]));
      recipient.connection.end();
      const later = await context.as("recipient later", to);
      mustBe("the box", await later.pickup(), [stored, live]);
    },
  }),
  deadDropCheck({
    id: "pickup/negentropy",
    covers: ["pickup-3"],
    title: "tells a stranger nothing by reconciliation (NIP-77) either",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const clients = [
        await context.open("nobody"),
        await context.as("stranger", context.person()),
      ];
      for (const client of clients) {
        // Version 1, and one range over everything that asks for the list of ids.
        client.connection.say(
          "NEG-OPEN",
          "n",
          { kinds: [GIFT_WRAP], "#p": [to.key] },
          "6100000200",
        );
        client.connection.say("NEG-OPEN", "m", { kinds: [GIFT_WRAP] }, "6100000200");
        await client.request([{ limit: 1 }]);
        const told = client.connection.since(0).some(({ text }) => text.includes(drop.id));
        must(!told, "the id of the drop was told");
      }
    },
  }),
  nipCheck({
    id: "pickup/nip-17",
    nip: "17",
    sentence:
      "It's advisable that relays do not serve `kind:1059` to clients other than the ones tagged in them.",
    needs: [17],
    title: "delivers a gift wrap live to its recipient and to nobody else",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const reader = await context.reader("recipient", to);
      const others = [
        await context.open("nobody"),
        await context.reader("stranger", context.person()),
      ];
      for (const client of others) await client.request([{ kinds: [GIFT_WRAP] }]);
      const subscription = await reader.subscribe({ kinds: [GIFT_WRAP], "#p": [to.key] });
      await context.drop(drop);
      await reader.delivered(subscription, drop);
      for (const client of others) {
        await client.neverSaw(drop, `it was delivered to: ${client.connection.name}`);
      }
    },
  }),
  nipCheck({
    id: "pickup/nip-59",
    nip: "59",
    sentence: "relays SHOULD only serve `kind 1059` events intended for the marked recipient.",
    needs: [59],
    title: "serves a gift wrap to its recipient and to nobody else",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const reader = await context.reader("recipient", to);
      mustBe("the recipient's", await reader.pickup({ kinds: [1059], "#p": [to.key] }), [drop]);
      const others = [
        await context.open("nobody"),
        await context.reader("stranger", context.person()),
      ];
      for (const client of others) {
        for (const filter of [{ kinds: [1059], "#p": [to.key] }, { ids: [drop.id] }]) {
          const { ids } = await client.request([filter]);
          must(
            ids.length === 0,
            `${JSON.stringify(filter)} returned it to ${client.connection.name}`,
          );
        }
      }
    },
  }),
];
