import { DELETION } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { nowSeconds } from "../people.ts";
import { must, mustBe, Skipped } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";

const DAY = 24 * 60 * 60;

export const deletionsChecks: readonly Check[] = [
  deadDropCheck({
    id: "deletions/recipient",
    covers: ["delete-1", "ack-5"],
    title: "takes a kind 5 by the recipient for an acknowledgement, with k tags and without",
    async run(trial) {
      const to = trial.person();
      const wraps = [trial.wrap({ to }), trial.wrap({ to })] as const;
      const message = trial.message({ from: trial.person(), to });
      const kept = trial.wrap({ to });
      await trial.drop(...wraps, message, kept);
      const bare = trial.sign(to, { kind: DELETION, tags: [["e", wraps[0].id]] });
      await trial.drop(bare, trial.deletion(to, [wraps[1], message]));
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [kept]);
      const sender = await trial.sender();
      for (const drop of [...wraps, message]) await sender.publish(drop);
      mustBe("the box after they came again", await recipient.pickup(), [kept]);
    },
  }),
  deadDropCheck({
    id: "deletions/early",
    covers: ["delete-1", "ack-12"],
    title: "does not hold a drop that its recipient has deleted by kind 5 before it came",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(trial.deletion(to, [drop]), drop);
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "deletions/author-of-message",
    covers: ["delete-2"],
    title: "deletes a kind 4 that its author names in a kind 5",
    async run(trial) {
      const to = trial.person();
      const from = trial.person();
      const message = trial.message({ from, to });
      const kept = trial.message({ from, to });
      await trial.drop(message, kept, trial.deletion(from, [message]));
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [kept]);
    },
  }),
  deadDropCheck({
    id: "deletions/author-of-wrap",
    covers: ["delete-3"],
    title: "leaves a gift wrap that its author names in a kind 5",
    async run(trial) {
      if (trial.deadDrop.authorDeletesWraps) {
        throw new Skipped("the relay says author_deletes_wraps");
      }
      const to = trial.person();
      const from = trial.person();
      const wrap = trial.wrap({ to, from });
      await trial.drop(wrap, trial.deletion(from, [wrap]));
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [wrap]);
    },
  }),
  deadDropCheck({
    id: "deletions/stranger",
    covers: ["delete-1", "delete-2", "ack-2"],
    title: "leaves drops that a stranger names in a kind 5",
    async run(trial) {
      const to = trial.person();
      const drops = [trial.wrap({ to }), trial.message({ from: trial.person(), to })];
      await trial.drop(...drops, trial.deletion(trial.person(), drops));
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), drops);
    },
  }),
  deadDropCheck({
    id: "deletions/consumed",
    covers: ["delete-4"],
    title: "neither stores, serves nor broadcasts a kind 5",
    async run(trial) {
      const to = trial.person();
      const from = trial.person();
      const wrap = trial.wrap({ to });
      const message = trial.message({ from, to });
      await trial.drop(wrap, message);
      const clients = [await trial.as("recipient", to), await trial.as("author", from)];
      const filters = [{}, { kinds: [DELETION] }, { "#e": [wrap.id, message.id] }];
      for (const client of clients) await client.request(filters);
      const deletions = [trial.deletion(to, [wrap]), trial.deletion(from, [message])];
      await trial.drop(...deletions);
      for (const client of clients) {
        const who = client.connection.name;
        for (const deletion of deletions) {
          await client.neverSaw(deletion, `it was broadcast to: ${who}`);
          const ids = await client.pickup({ ids: [deletion.id] });
          must(ids.length === 0, `it was stored and served to: ${who}`);
        }
        mustBe("kind 5", await client.pickup({ kinds: [DELETION] }), []);
      }
    },
  }),
  deadDropCheck({
    id: "deletions/vanish",
    covers: ["delete-5"],
    title: "deletes the signer's box at a kind 62, keeps it deleted, and leaves other boxes alone",
    async run(trial) {
      for (const relay of ["ALL_RELAYS", trial.url]) {
        const to = trial.person();
        const other = trial.person();
        const now = nowSeconds();
        const drops = [
          trial.wrap({ to, created_at: now - DAY }),
          trial.message({ from: other, to, created_at: now }),
        ];
        const later = trial.wrap({ to, created_at: now + 60 });
        const foreign = trial.wrap({ to: other });
        await trial.drop(...drops, later, foreign);
        await trial.drop(trial.vanish(to, relay, { created_at: now }));
        const recipient = await trial.as("recipient", to);
        mustBe(`the box after a kind 62 for ${relay}`, await recipient.pickup(), [later]);
        const sender = await trial.sender();
        for (const drop of drops) await sender.publish(drop);
        mustBe("the box after they came again", await recipient.pickup(), [later]);
        const stranger = await trial.as("other recipient", other);
        mustBe("the other box", await stranger.pickup(), [foreign]);
      }
    },
  }),
  deadDropCheck({
    id: "deletions/vanish-elsewhere",
    covers: ["delete-5", "drop-4"],
    title: "deletes nothing at a kind 62 that names another relay",
    async run(trial) {
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(drop);
      const sender = await trial.sender();
      await sender.publish(trial.vanish(to, "wss://relay.example.com/"));
      await sender.publish(trial.vanish(to, "all_relays"));
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
  deadDropCheck({
    id: "deletions/vanish-replayed",
    covers: ["delete-6"],
    title: "deletes nothing when a kind 62 is published again, however old the new drops are dated",
    async run(trial) {
      const to = trial.person();
      const now = nowSeconds();
      const before = trial.wrap({ to, created_at: now - 60 });
      const request = trial.vanish(to, "ALL_RELAYS", { created_at: now });
      await trial.drop(before, request);
      const drops = [
        trial.wrap({ to, created_at: now + 60 }),
        trial.wrap({ to, created_at: now - DAY }),
        trial.message({ from: trial.person(), to, created_at: now - 60 }),
      ];
      await trial.drop(...drops);
      const recipient = await trial.as("recipient", to);
      mustBe("the box", await recipient.pickup(), drops);
      await (await trial.sender()).publish(request);
      const stranger = await trial.open("stranger");
      await stranger.publish(request);
      mustBe("the box after the replay", await recipient.pickup(), drops);
    },
  }),
  nipCheck({
    id: "deletions/nip-09",
    nip: "09",
    sentence:
      "Relays SHOULD delete or stop publishing any referenced events that have an identical `pubkey` as the deletion request.",
    needs: [9],
    title: "stops publishing a kind 4 that its author deletes, and one that a stranger names not",
    async run(trial) {
      const to = trial.person();
      const from = trial.person();
      const message = trial.message({ from, to });
      const kept = trial.message({ from, to });
      const sender = await trial.sender();
      await trial.drop(message, kept);
      await sender.publish(trial.deletion(trial.person(), [kept]));
      await sender.publish(trial.deletion(from, [message]));
      const reader = await trial.reader("recipient", to);
      mustBe("the messages", await reader.pickup({ kinds: [4], "#p": [to.key] }), [kept]);
    },
  }),
  nipCheck({
    id: "deletions/nip-09-recipient",
    nip: "09",
    sentence:
      "Relays SHOULD delete or stop serving a `kind:1059` event upon receiving a valid deletion request from a `p`-tag recipient.",
    needs: [9, 59],
    title: "stops serving a gift wrap that its recipient deletes",
    async run(trial) {
      const to = trial.person();
      const wrap = trial.wrap({ to });
      const kept = trial.wrap({ to });
      await trial.drop(wrap, kept);
      await (await trial.sender()).publish(trial.deletion(to, [wrap]));
      const reader = await trial.reader("recipient", to);
      mustBe("the wraps", await reader.pickup({ kinds: [1059], "#p": [to.key] }), [kept]);
    },
  }),
  nipCheck({
    id: "deletions/nip-62",
    nip: "62",
    sentence:
      "Relays SHOULD delete all NIP-59 Gift Wraps that p-tagged the `.pubkey` if their service URL is tagged in the event, deleting all DMs to the pubkey.",
    needs: [62],
    title: "deletes the gift wraps of a key that asks to vanish",
    async run(trial) {
      const to = trial.person();
      const wrap = trial.wrap({ to });
      await trial.drop(wrap, trial.vanish(to, trial.url, { created_at: wrap.created_at }));
      const reader = await trial.reader("recipient", to);
      mustBe("the wraps", await reader.pickup({ kinds: [1059], "#p": [to.key] }), []);
    },
  }),
  nipCheck({
    id: "deletions/nip-62-again",
    nip: "62",
    sentence: "Relays MUST ensure the deleted events cannot be re-broadcasted into the relay.",
    needs: [62],
    title: "does not take back what was deleted when its key vanished",
    async run(trial) {
      const to = trial.person();
      const wrap = trial.wrap({ to });
      await trial.drop(wrap, trial.vanish(to, "ALL_RELAYS", { created_at: wrap.created_at }));
      await (await trial.sender()).publish(wrap);
      const reader = await trial.reader("recipient", to);
      mustBe("the wraps", await reader.pickup({ kinds: [1059], "#p": [to.key] }), []);
    },
  }),
];
