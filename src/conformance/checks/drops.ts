import { DIRECT_MESSAGE, EPHEMERAL_GIFT_WRAP, GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { must, mustBe, Skipped } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";

// Notes, profiles, lists, a seal, a bare message, ephemeral and addressable kinds: what a drop relay is sent by clients that treat it like any other.
const OTHER_KINDS = [0, 1, 3, 6, 7, 13, 14, 1058, 1060, 10_002, 10_050, 20_001, 24_133, 30_023];
// Those that have a short escape, and some that JSON has as \u00XX alone.
const CONTROLS = '\n"\\\r\t\b\f\u0000\u0001\u000b\u001f\u007f';
// To fill a larger box takes longer than a check may.
const MAX_FILLED_BOX = 200;

export const dropsChecks: readonly Check[] = [
  deadDropCheck({
    id: "drops/one-recipient",
    covers: ["drop-1"],
    title: "refuses a drop that does not have exactly one p tag with a lowercase hex key",
    async run(context) {
      const { key } = context.person();
      const other = context.person();
      const tags: Record<string, string[][]> = {
        "no p tag": [],
        "two p tags": [
          ["p", key],
          ["p", other.key],
        ],
        "the same p tag twice": [
          ["p", key],
          ["p", key],
        ],
        "a p tag without a value": [["p"]],
        "an empty p tag": [["p", ""]],
        "an uppercase key": [["p", `${key.slice(0, 63)}A`]],
        "a short key": [["p", key.slice(1)]],
        "a long key": [["p", `${key}0`]],
        "a key that is not hex": [["p", `${key.slice(0, 63)}g`]],
        "a P tag": [["P", key]],
      };
      for (const kind of context.deadDrop.kinds) {
        for (const [what, wrong] of Object.entries(tags)) {
          const event = context.sign(context.person(), {
            kind,
            tags: wrong,
            content: "conformance",
          });
          await context.refused(`kind ${kind} with ${what}`, event);
        }
      }
    },
  }),
  deadDropCheck({
    id: "drops/anyone",
    covers: ["drop-3"],
    title: "takes drops of every kind it holds from a connection that is not authenticated",
    async run(context) {
      await context.drop(...context.oneOfEach({ to: context.person() }));
    },
  }),
  deadDropCheck({
    id: "drops/any-connection",
    covers: ["drop-3"],
    title: "takes drops for others and for oneself from an authenticated connection, too",
    async run(context) {
      const to = context.person();
      const from = context.person();
      const sender = await context.as("sender", from);
      for (const drop of [
        context.wrap({ to }),
        ...(context.holds(DIRECT_MESSAGE) ? [context.message({ from, to })] : []),
        context.wrap({ to: from }),
      ]) {
        const { accepted, reason } = await sender.publish(drop);
        must(accepted, `kind ${drop.kind} was refused: ${reason}`);
      }
    },
  }),
  deadDropCheck({
    id: "drops/either-spelling",
    covers: ["drop-10"],
    title:
      "takes a drop with control characters under either spelling of its id, and gives it back",
    async run(context) {
      const to = context.person();
      const template = { kind: GIFT_WRAP, tags: [["p", to.key, "\u001f"]], content: CONTROLS };
      const drops = [false, true].map((isInLetter) =>
        context.sign(context.person(), template, isInLetter),
      );
      await context.drop(...drops);
      mustBe("the box", await (await context.as("recipient", to)).pickup(), drops);
    },
  }),
  deadDropCheck({
    id: "drops/held",
    covers: ["drop-4", "ack-10"],
    title: "holds a drop through pickups, disconnections and other drops",
    async run(context) {
      const to = context.person();
      const drops = context.oneOfEach({ to });
      await context.drop(...drops);
      for (const name of ["first device", "second device"]) {
        const recipient = await context.as(name, to);
        mustBe("the box", await recipient.pickup(), drops);
        mustBe("the box, read again", await recipient.pickup(), drops);
        recipient.connection.end();
      }
      const more = context.wrap({ to });
      await context.drop(more);
      const recipient = await context.as("third device", to);
      mustBe("the box with one more", await recipient.pickup(), [...drops, more]);
    },
  }),
  deadDropCheck({
    id: "drops/full-box",
    covers: ["drop-5", "drop-4"],
    title: "refuses what a full box cannot hold, and keeps all that it holds",
    async run(context) {
      const { maxDrops } = context.deadDrop;
      if (maxDrops > MAX_FILLED_BOX) {
        throw new Skipped(
          `max_drops is ${maxDrops}; a box of up to ${MAX_FILLED_BOX} can be filled`,
        );
      }
      context.needsSeconds(10);
      const to = context.person();
      const drops = Array.from({ length: maxDrops }, () => context.wrap({ to }));
      await context.drop(...drops);
      const sender = await context.sender();
      const { accepted, reason } = await sender.publish(context.wrap({ to }), { isPatient: false });
      must(!accepted, `a box of max_drops ${maxDrops} took one more`);
      must(reason.startsWith("rate-limited:"), `it was refused with "${reason}"`);
      const recipient = await context.as("recipient", to);
      mustBe("the full box", await recipient.pickup(), drops);
      await context.drop(context.wrap({ to: context.person() }));
    },
  }),
  deadDropCheck({
    id: "drops/ephemeral-live",
    covers: ["drop-8", "pickup-3"],
    title: "passes kind 21059 to its recipient's open subscriptions and to nobody else",
    async run(context) {
      const to = context.person();
      const stranger = await context.as("stranger", context.person());
      const recipient = await context.as("recipient", to);
      await stranger.subscribe({ kinds: [EPHEMERAL_GIFT_WRAP] }, {});
      const subscription = await recipient.subscribe({ kinds: [EPHEMERAL_GIFT_WRAP] });
      const event = context.ephemeral({ to });
      await context.drop(event);
      await recipient.delivered(subscription, event);
      await stranger.neverSaw(event, "a stranger was sent somebody's kind 21059");
    },
  }),
  deadDropCheck({
    id: "drops/ephemeral-not-stored",
    covers: ["drop-8"],
    title: "does not store kind 21059, with a listener or without",
    async run(context) {
      const to = context.person();
      const unheard = context.ephemeral({ to });
      const heard = context.ephemeral({ to });
      await context.drop(unheard);
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({ kinds: [EPHEMERAL_GIFT_WRAP] });
      await context.drop(heard);
      await recipient.delivered(subscription, heard);
      const later = await context.as("recipient later", to);
      mustBe("the box", await later.pickup(), []);
      mustBe("by id", await later.pickup({ ids: [heard.id, unheard.id] }), []);
      if (context.counts) {
        const { count } = await later.count([{ kinds: [EPHEMERAL_GIFT_WRAP] }]);
        must(count === 0, `COUNT finds ${count} events of kind 21059`);
      }
    },
  }),
  deadDropCheck({
    id: "drops/ephemeral-answer",
    covers: ["drop-9"],
    title: "answers kind 21059 with the same OK true whether or not its recipient listens",
    async run(context) {
      const to = context.person();
      const unheard = context.ephemeral({ to });
      const alone = await context.drop(unheard);
      const recipient = await context.as("recipient", to);
      await recipient.subscribe({ kinds: [EPHEMERAL_GIFT_WRAP] });
      const heard = context.ephemeral({ to });
      const together = await context.drop(heard);
      const [one, other] = [alone.replace(unheard.id, "…"), together.replace(heard.id, "…")];
      must(one === other, `without a listener it is ${one}, with one ${other}`);
    },
  }),
  deadDropCheck({
    id: "drops/other-kinds",
    covers: ["drop-7"],
    title: "refuses every other kind with blocked:",
    async run(context) {
      const to = context.person();
      const drops = [DIRECT_MESSAGE, GIFT_WRAP].filter((kind) => !context.holds(kind));
      for (const kind of [...OTHER_KINDS, ...drops]) {
        const event = context.sign(context.person(), {
          kind,
          tags: [["p", to.key]],
          content: "{}",
        });
        await context.refused(`kind ${kind}`, event, "blocked:");
      }
    },
  }),
  deadDropCheck({
    id: "drops/at-once",
    covers: ["same-1", "drop-4"],
    title: "holds a drop once when it comes on several connections at once",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      const senders = await Promise.all([1, 2, 3, 4].map((n) => context.open(`sender ${n}`)));
      const answers = await Promise.all(senders.map((sender) => sender.publish(drop)));
      for (const { accepted, text } of answers)
        must(accepted, `one of the senders was told ${text}`);
      const recipient = await context.as("recipient", to);
      mustBe("the box", await recipient.pickup(), [drop]);
    },
  }),
];
