import { ACKNOWLEDGEMENT } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { must, mustBe } from "../verdict.ts";
import { graceChecks } from "./acknowledgement-grace.ts";
import { unseenChecks } from "./acknowledgement-unseen.ts";
import { deadDropCheck } from "./define.ts";

const MANY_IDS = 25;
const MANY_RACING = 10;
// So many still fit into a message of 128 KiB.
const MOST_IDS_IN_A_MESSAGE = 1_500;

export const acknowledgementChecks: readonly Check[] = [
  deadDropCheck({
    id: "acknowledgement/deletes",
    covers: ["ack-3", "ack-7"],
    title: "deletes the drops an acknowledgement names, and no others, before it answers OK",
    async run(context) {
      const to = context.person();
      const gone = context.oneOfEach({ to });
      const kept = context.wrap({ to });
      await context.drop(...gone, kept);
      const recipient = await context.as("recipient", to);
      mustBe("the box before", await recipient.pickup(), [...gone, kept]);
      for (const acknowledgement of context.acknowledgements(to, gone)) {
        const { accepted, reason } = await recipient.publish(acknowledgement);
        must(accepted, `the acknowledgement was refused: ${reason}`);
      }
      mustBe("the box after", await recipient.pickup(), [kept]);
      for (const drop of gone) mustBe("by id", await recipient.pickup({ ids: [drop.id] }), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/many",
    covers: ["ack-3"],
    title: "deletes all drops of an acknowledgement with many ids",
    async run(context) {
      const to = context.person();
      const many = Math.min(
        MANY_IDS,
        context.deadDrop.maxAcknowledgementIds,
        context.deadDrop.maxDrops,
      );
      const drops = Array.from({ length: many }, () => context.wrap({ to }));
      await context.drop(...drops, context.acknowledgement(to, drops));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/whole",
    covers: ["ack-3", "ack-7"],
    title:
      "applies every id of an acknowledgement, also behind one that is unknown or not the signer's",
    async run(context) {
      const to = context.person();
      const first = context.wrap({ to });
      const second = context.wrap({ to });
      const last = context.wrap({ to });
      const early = context.wrap({ to });
      const foreign = context.wrap({ to: context.person() });
      context.needsIds(5, 2);
      await context.drop(first, second, last, foreign);
      await context.drop(context.acknowledgement(to, [first, foreign, second, early, last]));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
      await context.drop(early);
      mustBe("the box after the one that was unknown came", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/any-ids",
    covers: ["ack-7"],
    title: "answers OK true whether the ids are held, acknowledged, unknown or in another box",
    async run(context) {
      const to = context.person();
      const held = context.wrap({ to });
      const foreign = context.wrap({ to: context.person() });
      await context.drop(held, foreign);
      const sender = await context.sender();
      context.needsIds(1, 2);
      const answers = new Set<string>();
      for (const drop of [held, held, context.wrap({ to }), foreign]) {
        const event = context.acknowledgement(to, [drop]);
        const { accepted, text } = await sender.publish(event);
        must(accepted, `it was answered with ${text}`);
        answers.add(text.replace(event.id, "…"));
      }
      // Each one's answer is the signer's own to see, so a difference is no failure; but there is nothing it could be for.
      return answers.size > 1 ? `the answers differ: ${[...answers].join(" and ")}` : undefined;
    },
  }),
  deadDropCheck({
    id: "acknowledgement/malformed",
    covers: ["ack-11"],
    title: "refuses an acknowledgement that names nothing, no id or too many ids",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const most = context.deadDrop.maxAcknowledgementIds;
      const named = ["e", drop.id];
      const malformed: [string, string[][]][] = [
        ["one without an e tag", []],
        ["one with an e tag that is no id", [named, ["e", "beef"]]],
      ];
      if (most <= MOST_IDS_IN_A_MESSAGE) {
        const ids = Array.from({ length: most + 1 }, (_, id) => id.toString(16).padStart(64, "0"));
        malformed.push(["one with too many ids", ids.map((id) => ["e", id])]);
      }
      for (const [what, tags] of malformed) {
        await context.refused(what, context.sign(to, { kind: ACKNOWLEDGEMENT, tags }), "invalid:");
      }
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/foreign",
    covers: ["ack-2"],
    title: "leaves a drop that somebody else acknowledges",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const other = context.person();
      await context.drop(drop, context.acknowledgement(other, [drop]));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/foreign-early",
    covers: ["ack-2", "ack-6"],
    title: "holds a drop whose id somebody else acknowledged before it came",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(context.acknowledgement(context.person(), [drop]), drop);
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/republished",
    covers: ["ack-5"],
    title: "never shows an acknowledged drop again, however often it is published",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const last = context.wrap({ to });
      await context.drop(drop, context.acknowledgement(to, [drop]));
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({});
      const other = await context.open("other sender");
      for (const sender of [await context.sender(), other, recipient]) await sender.publish(drop);
      // What reaches the subscription later shows that the drop would have reached it by now.
      await context.drop(last);
      await recipient.delivered(subscription, last);
      must(!recipient.saw(drop), "the drop was delivered live");
      mustBe("the box", await recipient.pickup(), [last]);
      mustBe("by id", await recipient.pickup({ ids: [drop.id] }), []);
    },
  }),
  ...unseenChecks,
  ...graceChecks,
  deadDropCheck({
    id: "acknowledgement/at-once",
    covers: ["ack-7", "ack-3"],
    title: "answers two acknowledgements of the same drops at once, and deletes the drops",
    async run(context) {
      const to = context.person();
      const drops = [context.wrap({ to }), context.wrap({ to }), context.wrap({ to })];
      await context.drop(...drops);
      const devices = [await context.as("first device", to), await context.as("second device", to)];
      const answers = await Promise.all(
        devices.map((device, n) => {
          const own = drops.slice(n, n + 2);
          return Promise.all(
            context.acknowledgements(to, own).map((event) => device.publish(event)),
          );
        }),
      );
      for (const { accepted, text } of answers.flat())
        must(accepted, `one was answered with ${text}`);
      for (const device of devices) mustBe("the box", await device.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/race",
    covers: ["same-3", "ack-5"],
    title: "does not hold a drop that comes at the same moment as its acknowledgement",
    async run(context) {
      const to = context.person();
      const { maxDrops, maxEarlyAcknowledgements } = context.deadDrop;
      const racing = Math.min(MANY_RACING, maxDrops, maxEarlyAcknowledgements);
      const drops = Array.from({ length: racing }, () => context.wrap({ to }));
      const sender = await context.sender();
      const recipient = await context.as("recipient", to);
      await Promise.all(
        drops.flatMap((drop) => [
          sender.publish(drop),
          recipient.publish(context.acknowledgement(to, [drop])),
        ]),
      );
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/replayed",
    covers: ["ack-7"],
    title: "gives an acknowledgement that anyone publishes again the same effect, and no other",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const kept = context.wrap({ to });
      const acknowledgement = context.acknowledgement(to, [drop]);
      await context.drop(drop, acknowledgement, kept);
      const stranger = await context.as("stranger", context.person());
      for (const client of [await context.sender(), stranger]) {
        const { accepted, text } = await client.publish(acknowledgement);
        must(accepted, `published again it was answered with ${text}`);
        await client.publish(drop);
      }
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [kept]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/forged",
    covers: ["ack-2"],
    title: "refuses an acknowledgement that the recipient has not signed",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const good = context.acknowledgement(to, [drop]);
      const foreign = context.acknowledgement(context.person(), [drop]);
      await context.refused("a foreign signature", { ...good, sig: foreign.sig });
      await context.refused("a foreign key", { ...foreign, pubkey: to.key });
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/consumed",
    covers: ["ack-1"],
    title: "neither stores, serves, counts nor broadcasts an acknowledgement",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const acknowledgement = context.acknowledgement(to, [drop]);
      const filters = [
        {},
        { kinds: [ACKNOWLEDGEMENT] },
        { ids: [acknowledgement.id] },
        { authors: [to.key] },
        { "#e": [drop.id] },
      ];
      const clients = [
        await context.as("recipient", to),
        await context.as("stranger", context.person()),
        await context.open("nobody"),
      ];
      for (const client of clients) await client.request(filters);
      await context.drop(acknowledgement);
      for (const client of clients) {
        const who = client.connection.name;
        await client.neverSaw(acknowledgement, `it was broadcast to: ${who}`);
        for (const filter of filters) {
          const { subscription, ids, closed } = await client.request([filter]);
          must(!ids.includes(acknowledgement.id), `it was stored and served to: ${who}`);
          if (closed === undefined) client.connection.say("CLOSE", subscription);
        }
      }
      const [recipient] = clients;
      if (!context.counts || recipient === undefined) return;
      const { count, text } = await recipient.count([{ kinds: [ACKNOWLEDGEMENT] }]);
      must(count === 0, `it is counted: ${text}`);
    },
  }),
];
