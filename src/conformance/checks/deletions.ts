import { DELETION, DIRECT_MESSAGE } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { must, mustBe, Skipped } from "../verdict.ts";
import { graceOfDeletionChecks } from "./acknowledgement-grace.ts";
import { deadDropCheck, nipCheck } from "./define.ts";
import { arriveLikeOthers } from "./first-arrival.ts";
import { vanishChecks } from "./vanish.ts";

export const deletionsChecks: readonly Check[] = [
  deadDropCheck({
    id: "deletions/recipient",
    covers: ["delete-1", "ack-5"],
    title: "takes a kind 5 by the recipient for an acknowledgement, with k tags and without",
    async run(context) {
      const to = context.person();
      const wraps = [context.wrap({ to }), context.wrap({ to })] as const;
      const others = context.oneOfEach({ to });
      const kept = context.wrap({ to });
      await context.drop(...wraps, ...others, kept);
      const bare = context.sign(to, { kind: DELETION, tags: [["e", wraps[0].id]] });
      await context.drop(bare, ...context.deletions(to, [wraps[1], ...others]));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [kept]);
      const sender = await context.sender();
      for (const drop of [...wraps, ...others]) await sender.publish(drop);
      mustBe("the box after they came again", await recipient.pickup(), [kept]);
    },
  }),
  deadDropCheck({
    id: "deletions/early",
    covers: ["delete-1", "same-3", "same-1"],
    title:
      "does not hold a drop that its recipient has deleted by kind 5 before it came, and answers it like any other at first",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(context.deletion(to, [drop]));
      await arriveLikeOthers(context, { "by kind 5 before it came": drop });
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), []);
    },
  }),
  deadDropCheck({
    id: "deletions/author-of-message",
    covers: ["delete-2"],
    title: "deletes a kind 4 that its author names in a kind 5",
    async run(context) {
      const to = context.person();
      const from = context.person();
      const message = context.message({ from, to });
      const kept = context.message({ from, to });
      await context.drop(message, kept, context.deletion(from, [message]));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [kept]);
    },
  }),
  deadDropCheck({
    id: "deletions/author-of-wrap",
    covers: ["delete-3"],
    title: "leaves a gift wrap that its author names in a kind 5",
    async run(context) {
      if (context.deadDrop.authorDeletesWraps) {
        throw new Skipped("the relay says author_deletes_wraps");
      }
      const to = context.person();
      const from = context.person();
      const wrap = context.wrap({ to, from });
      await context.drop(wrap, context.deletion(from, [wrap]));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [wrap]);
    },
  }),
  deadDropCheck({
    id: "deletions/stranger",
    covers: ["delete-1", "delete-2", "ack-2"],
    title: "leaves drops that a stranger names in a kind 5",
    async run(context) {
      const to = context.person();
      const drops = context.oneOfEach({ to });
      const stranger = context.person();
      await context.drop(...drops, ...context.deletions(stranger, drops));
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), drops);
    },
  }),
  deadDropCheck({
    id: "deletions/consumed",
    covers: ["delete-4"],
    title: "neither stores, serves nor broadcasts a kind 5",
    async run(context) {
      const to = context.person();
      const from = context.person();
      const drops = [context.wrap({ to, from })];
      if (context.holds(DIRECT_MESSAGE)) drops.push(context.message({ from, to }));
      await context.drop(...drops);
      const clients = [await context.as("recipient", to), await context.as("author", from)];
      const filters = [{}, { kinds: [DELETION] }, { "#e": drops.map(({ id }) => id) }];
      for (const client of clients) await client.request(filters);
      const deletions = drops.flatMap((drop) => [
        context.deletion(from, [drop]),
        context.deletion(to, [drop]),
      ]);
      await context.drop(...deletions);
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
  ...graceOfDeletionChecks,
  ...vanishChecks,
  nipCheck({
    id: "deletions/nip-09",
    nip: "09",
    sentence:
      "Relays SHOULD delete or stop publishing any referenced events that have an identical `pubkey` as the deletion request.",
    needs: [9],
    title: "stops publishing a kind 4 that its author deletes, and one that a stranger names not",
    async run(context) {
      const to = context.person();
      const from = context.person();
      const message = context.message({ from, to });
      const kept = context.message({ from, to });
      const sender = await context.sender();
      await context.drop(message, kept);
      await sender.publish(context.deletion(context.person(), [kept]));
      await sender.publish(context.deletion(from, [message]));
      const reader = await context.reader("recipient", to);
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
    async run(context) {
      const to = context.person();
      const wrap = context.wrap({ to });
      const kept = context.wrap({ to });
      await context.drop(wrap, kept);
      await (await context.sender()).publish(context.deletion(to, [wrap]));
      const reader = await context.reader("recipient", to);
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
    async run(context) {
      const to = context.person();
      const wrap = context.wrap({ to });
      await context.drop(wrap, context.vanish(to, context.url, { created_at: wrap.created_at }));
      const reader = await context.reader("recipient", to);
      mustBe("the wraps", await reader.pickup({ kinds: [1059], "#p": [to.key] }), []);
    },
  }),
  nipCheck({
    id: "deletions/nip-62-again",
    nip: "62",
    sentence: "Relays MUST ensure the deleted events cannot be re-broadcasted into the relay.",
    needs: [62],
    title: "does not take back what was deleted when its key vanished",
    async run(context) {
      const to = context.person();
      const wrap = context.wrap({ to });
      await context.drop(wrap, context.vanish(to, "ALL_RELAYS", { created_at: wrap.created_at }));
      await (await context.sender()).publish(wrap);
      const reader = await context.reader("recipient", to);
      mustBe("the wraps", await reader.pickup({ kinds: [1059], "#p": [to.key] }), []);
    },
  }),
];
