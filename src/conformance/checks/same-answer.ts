import type { NostrEvent } from "../../nostr/event.ts";
import type { Check } from "../check.ts";
import type { Client } from "../client.ts";
import { nowSeconds } from "../people.ts";
import { must } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";
import { arriveLikeOthers, mustBeKnown } from "./first-arrival.ts";

const TIMED_ANSWERS = 60;

export const sameAnswerChecks: readonly Check[] = [
  deadDropCheck({
    id: "same-answer/bytes",
    covers: ["same-1"],
    title: "answers a held drop and the same drop acknowledged with the same bytes",
    async run(context) {
      const to = context.person();
      for (const drop of context.oneOfEach({ to })) {
        await context.drop(drop);
        const sender = await context.sender();
        const held = await sender.publish(drop);
        mustBeKnown(`kind ${drop.kind}, held`, held, drop);
        await context.drop(context.acknowledgement(to, [drop]));
        const acknowledged = await sender.publish(drop);
        must(
          held.text === acknowledged.text,
          `kind ${drop.kind}: ${held.text} and then ${acknowledged.text}`,
        );
      }
    },
  }),
  deadDropCheck({
    id: "same-answer/ways",
    covers: ["same-1", "delete-1", "delete-5"],
    title: "answers the same in whatever way the drop was acknowledged",
    async run(context) {
      const to = context.person();
      const sender = await context.sender();
      const wrap = (): NostrEvent => context.wrap({ to });
      const [graced, pastGrace, deleted, early, vanished] = [
        wrap(),
        wrap(),
        wrap(),
        wrap(),
        wrap(),
      ];
      const now = nowSeconds();
      await context.drop(graced, context.acknowledgement(to, [graced], { until: now + 600 }));
      await context.drop(pastGrace, context.acknowledgement(to, [pastGrace], { until: now - 1 }));
      await context.drop(deleted, context.deletion(to, [deleted]));
      const ways = { graced, "with a past grace": pastGrace, "by kind 5": deleted };
      for (const [way, drop] of Object.entries(ways)) {
        mustBeKnown(`acknowledged ${way}`, await sender.publish(drop), drop);
        mustBeKnown(`acknowledged ${way}, again`, await sender.publish(drop), drop);
      }
      await context.drop(vanished, context.vanish(to, "ALL_RELAYS", { created_at: nowSeconds() }));
      mustBeKnown("deleted by kind 62", await sender.publish(vanished), vanished);
      await context.drop(context.acknowledgement(to, [early]));
      await arriveLikeOthers(context, { "before it came": early });
    },
  }),
  deadDropCheck({
    id: "same-answer/anyone",
    covers: ["same-1"],
    title: "answers everyone the same, whoever is connected and authenticated",
    async run(context) {
      const to = context.person();
      const held = context.wrap({ to });
      const acknowledged = context.wrap({ to });
      await context.drop(held, acknowledged, context.acknowledgement(to, [acknowledged]));
      const recipient = await context.as("recipient", to);
      await recipient.subscribe({});
      const stranger = await context.as("stranger", context.person());
      for (const client of [await context.open("nobody"), stranger, recipient]) {
        const who = client.connection.name;
        mustBeKnown(`held, to ${who}`, await client.publish(held), held);
        mustBeKnown(`acknowledged, to ${who}`, await client.publish(acknowledged), acknowledged);
      }
    },
  }),
  deadDropCheck({
    id: "same-answer/time",
    covers: ["same-2"],
    title: "takes the same time for a held and an acknowledged drop (reported, not judged)",
    async run(context) {
      const to = context.person();
      const held = context.wrap({ to });
      const acknowledged = context.wrap({ to });
      await context.drop(held, acknowledged, context.acknowledgement(to, [acknowledged]));
      const sender = await context.sender();
      const times = { held: [] as number[], acknowledged: [] as number[] };
      const time = async (client: Client, which: keyof typeof times): Promise<void> => {
        const drop = which === "held" ? held : acknowledged;
        times[which].push((await client.publish(drop)).milliseconds);
      };
      for (let n = 0; n < TIMED_ANSWERS; n++) {
        // Alternating, and each as often first, so that what drifts drifts for both.
        const order = ["held", "acknowledged"] as const;
        for (const which of n % 2 === 0 ? order : order.toReversed()) await time(sender, which);
      }
      return described(times.held, times.acknowledged);
    },
  }),
];

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

function described(held: readonly number[], acknowledged: readonly number[]): string {
  let slower = 0;
  for (const a of acknowledged) for (const h of held) slower += a > h ? 1 : a === h ? 0.5 : 0;
  const share = slower / (held.length * acknowledged.length);
  return (
    `median of ${held.length}: held ${median(held).toFixed(2)} ms, acknowledged ${median(acknowledged).toFixed(2)} ms; ` +
    `an acknowledged answer is the slower one in ${Math.round(share * 100)} % of all pairs (50 %: nothing to tell them apart by)`
  );
}
