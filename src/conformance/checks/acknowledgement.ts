import { ACKNOWLEDGEMENT } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { must, mustBe } from "../verdict.ts";
import { graceChecks } from "./acknowledgement-grace.ts";
import { deadDropCheck } from "./define.ts";

const MANY_IDS = 25;
// So many still fit into a message of 128 KiB.
const MOST_IDS_IN_A_MESSAGE = 1_500;

export const acknowledgementChecks: readonly Check[] = [
  deadDropCheck({
    id: "acknowledgement/deletes",
    covers: ["ack-3", "ack-7"],
    title: "deletes the drops an acknowledgement names, and no others, before it answers OK",
    async run(trial) {
      const to = trial.person();
      const gone = [trial.wrap({ to }), trial.message({ from: trial.person(), to })];
      const kept = trial.wrap({ to });
      await trial.drop(...gone, kept);
      const recipient = await trial.as("recipient", to);
      mustBe("the box before", await recipient.pickup(), [...gone, kept]);
      const { accepted, reason } = await recipient.publish(trial.acknowledgement(to, gone));
      must(accepted, `the acknowledgement was refused: ${reason}`);
      mustBe("the box after", await recipient.pickup(), [kept]);
      for (const drop of gone) mustBe("by id", await recipient.pickup({ ids: [drop.id] }), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/many",
    covers: ["ack-3"],
    title: "deletes all drops of an acknowledgement with many ids",
    async run(trial) {
      const to = trial.person();
      const many = Math.min(
        MANY_IDS,
        trial.deadDrop.maxAcknowledgementIds,
        trial.deadDrop.maxDrops,
      );
      const drops = Array.from({ length: many }, () => trial.wrap({ to }));
      await trial.drop(...drops, trial.acknowledgement(to, drops));
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/any-ids",
    covers: ["ack-7"],
    title: "answers OK true whether the ids are held, acknowledged, unknown or in another box",
    async run(trial) {
      const to = trial.person();
      const held = trial.wrap({ to });
      const foreign = trial.wrap({ to: trial.person() });
      await trial.drop(held, foreign);
      const sender = await trial.sender();
      const answers = new Set<string>();
      for (const drop of [held, held, trial.wrap({ to }), foreign]) {
        const event = trial.acknowledgement(to, [drop]);
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
    title: "refuses an acknowledgement that names nothing, no id, no time or too many ids",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(drop);
      const most = trial.deadDrop.maxAcknowledgementIds;
      const named = ["e", drop.id];
      const malformed: [string, string[][]][] = [
        ["one without an e tag", []],
        ["one with an e tag that is no id", [named, ["e", "beef"]]],
        ["one with a malformed expiration", [named, ["expiration", "soon"]]],
      ];
      if (most <= MOST_IDS_IN_A_MESSAGE) {
        const ids = Array.from({ length: most + 1 }, (_, id) => id.toString(16).padStart(64, "0"));
        malformed.push(["one with too many ids", ids.map((id) => ["e", id])]);
      }
      for (const [what, tags] of malformed) {
        await trial.refused(what, trial.sign(to, { kind: ACKNOWLEDGEMENT, tags }), "invalid:");
      }
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/foreign",
    covers: ["ack-2"],
    title: "leaves a drop that somebody else acknowledges",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      const other = trial.person();
      await trial.drop(drop, trial.acknowledgement(other, [drop]));
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/foreign-early",
    covers: ["ack-2", "ack-6"],
    title: "holds a drop whose id somebody else acknowledged before it came",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(trial.acknowledgement(trial.person(), [drop]), drop);
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/republished",
    covers: ["ack-5"],
    title: "never shows an acknowledged drop again, however often it is published",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      const last = trial.wrap({ to });
      await trial.drop(drop, trial.acknowledgement(to, [drop]));
      const recipient = await trial.as("recipient", to);
      const subscription = await recipient.subscribe({});
      const other = await trial.open("other sender");
      for (const sender of [await trial.sender(), other, recipient]) await sender.publish(drop);
      // What reaches the subscription later shows that the drop would have reached it by now.
      await trial.drop(last);
      await recipient.delivered(subscription, last);
      must(!recipient.saw(drop), "the drop was delivered live");
      mustBe("the box", await recipient.pickup(), [last]);
      mustBe("by id", await recipient.pickup({ ids: [drop.id] }), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/early",
    covers: ["ack-12", "ack-6"],
    title: "does not hold a drop that was acknowledged before it came",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      const sender = await trial.sender();
      const early = await sender.publish(trial.acknowledgement(to, [drop]));
      must(early.accepted, `the early acknowledgement was refused: ${early.reason}`);
      const { accepted, text } = await sender.publish(drop);
      must(accepted, `the drop was answered with ${text}`);
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
      await sender.publish(drop);
      mustBe("the box after it came again", await recipient.pickup(), []);
    },
  }),
  ...graceChecks,
  deadDropCheck({
    id: "acknowledgement/at-once",
    covers: ["ack-7", "ack-3"],
    title: "answers two acknowledgements of the same drops at once, and deletes the drops",
    async run(trial) {
      const to = trial.person();
      const drops = [trial.wrap({ to }), trial.wrap({ to }), trial.wrap({ to })];
      await trial.drop(...drops);
      const devices = [await trial.as("first device", to), await trial.as("second device", to)];
      const answers = await Promise.all(
        devices.map((device, n) => {
          const own = drops.slice(n, n + 2);
          return device.publish(trial.acknowledgement(to, own));
        }),
      );
      for (const { accepted, text } of answers) must(accepted, `one was answered with ${text}`);
      for (const device of devices) mustBe("the box", await device.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/race",
    covers: ["ack-12", "ack-5"],
    title: "does not hold a drop that comes at the same moment as its acknowledgement",
    async run(trial) {
      const to = trial.person();
      const drops = Array.from({ length: 10 }, () => trial.wrap({ to }));
      const sender = await trial.sender();
      const recipient = await trial.as("recipient", to);
      await Promise.all(
        drops.flatMap((drop) => [
          sender.publish(drop),
          recipient.publish(trial.acknowledgement(to, [drop])),
        ]),
      );
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/replayed",
    covers: ["ack-9", "ack-7"],
    title: "gives an acknowledgement that anyone publishes again the same effect, and no other",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      const kept = trial.wrap({ to });
      const acknowledgement = trial.acknowledgement(to, [drop]);
      await trial.drop(drop, acknowledgement, kept);
      const stranger = await trial.as("stranger", trial.person());
      for (const client of [await trial.sender(), stranger]) {
        const { accepted, text } = await client.publish(acknowledgement);
        must(accepted, `published again it was answered with ${text}`);
        await client.publish(drop);
      }
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [kept]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/forged",
    covers: ["ack-2"],
    title: "refuses an acknowledgement that the recipient has not signed",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(drop);
      const good = trial.acknowledgement(to, [drop]);
      const foreign = trial.acknowledgement(trial.person(), [drop]);
      await trial.refused("a foreign signature", { ...good, sig: foreign.sig });
      await trial.refused("a foreign key", { ...foreign, pubkey: to.key });
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "acknowledgement/consumed",
    covers: ["ack-1"],
    title: "neither stores, serves, counts nor broadcasts an acknowledgement",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(drop);
      const acknowledgement = trial.acknowledgement(to, [drop]);
      const filters = [
        {},
        { kinds: [ACKNOWLEDGEMENT] },
        { ids: [acknowledgement.id] },
        { authors: [to.key] },
        { "#e": [drop.id] },
      ];
      const clients = [
        await trial.as("recipient", to),
        await trial.as("stranger", trial.person()),
        await trial.open("nobody"),
      ];
      for (const client of clients) await client.request(filters);
      await trial.drop(acknowledgement);
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
      if (!trial.counts || recipient === undefined) return;
      const { count, text } = await recipient.count([{ kinds: [ACKNOWLEDGEMENT] }]);
      must(count === 0, `it is counted: ${text}`);
    },
  }),
];
