import type { Check } from "../check.ts";
import type { Requested } from "../client.ts";
import { nowSeconds } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";

const FINISH =
  '`"finish"`: the relay has sent every stored event matching the subscription\'s filters.';

function hintsOf({ hints, text }: Requested): readonly string[] {
  must(
    hints === undefined ||
      (Array.isArray(hints) && hints.every((hint) => typeof hint === "string")),
    `the third element is no array of strings: ${text}`,
  );
  return hints ?? [];
}

export const hintsChecks: readonly Check[] = [
  nipCheck({
    id: "hints/true",
    nip: "67",
    sentence: FINISH,
    needs: [67],
    title: "never says finish when there is more, nor more when everything was sent",
    async run(context) {
      const to = context.person();
      await context.drop(context.wrap({ to }), context.wrap({ to }), context.wrap({ to }));
      const reader = await context.reader("recipient", to);
      const part = await reader.request([{ "#p": [to.key], limit: 1 }]);
      must(!hintsOf(part).includes("finish"), `1 of 3 events: ${part.text}`);
      const whole = await reader.request([{ "#p": [to.key] }]);
      const wrong = whole.ids.length < 3 ? "finish" : "more";
      must(!hintsOf(whole).includes(wrong), `${whole.ids.length} of 3 events: ${whole.text}`);
    },
  }),
  deadDropCheck({
    id: "hints/sent",
    covers: ["pickup-8"],
    advises: true,
    needs: [67],
    title: "says finish when a box was sent as a whole, empty or not, and more when it was not",
    async run(context) {
      const to = context.person();
      const recipient = await context.as("recipient", to);
      const empty = await recipient.request([{}]);
      must(hintsOf(empty).includes("finish"), `an empty box: ${empty.text}`);
      await context.drop(context.wrap({ to }), context.wrap({ to }));
      const whole = await recipient.request([{}]);
      const right = whole.ids.length < 2 ? "more" : "finish";
      must(hintsOf(whole).includes(right), `${whole.ids.length} of 2 drops: ${whole.text}`);
      const part = await recipient.request([{ limit: 1 }]);
      must(hintsOf(part).includes("more"), `1 of 2 drops: ${part.text}`);
    },
  }),
  deadDropCheck({
    id: "hints/paging",
    covers: ["pickup-8"],
    needs: [67],
    title: "lets a client that follows more with until reach the whole box",
    async run(context) {
      const to = context.person();
      const now = nowSeconds();
      const drops = [0, 1, 2, 3, 4, 5, 6].map((age) => context.wrap({ to, created_at: now - age }));
      context.needsRoom(drops.length);
      await context.drop(...drops);
      const recipient = await context.as("recipient", to);
      const got = new Set<string>();
      let until = now + 1;
      for (let page = 0; page <= 2 * drops.length; page++) {
        const box = await recipient.request([{ limit: 3, until }]);
        for (const id of box.ids) got.add(id);
        recipient.connection.say("CLOSE", box.subscription);
        if (hintsOf(box).includes("finish") || box.ids.length === 0) break;
        const oldest = box.events.at(-1)?.created_at ?? 0;
        const isFull = box.ids.length < 2 && oldest === until;
        must(oldest < until || isFull, `no progress below ${until}: ${box.text}`);
        // A page of one event brings the one at its edge again.
        until = isFull ? until - 1 : oldest;
      }
      mustBe("all pages", [...got], drops);
    },
  }),
];
