import type { NostrEvent } from "../../nostr/event.ts";
import { ALREADY_HAVE } from "../../nostr/reason.ts";
import type { Check } from "../check.ts";
import type { Posted } from "../door.ts";
import { nowSeconds } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck } from "./define.ts";

const HTTP = { needs: ["http"] } as const;

/** NIP-DH: `201` for what is accepted as held now, `202` for what is passed on, `200` for the rest. */
const HELD = 201;
const PASSED_ON = 202;
const DONE = 200;
/** And "that of a refused one", by the prefix of the reason. */
const OF_REFUSAL: Readonly<Record<string, number>> = {
  invalid: 400,
  blocked: 403,
  restricted: 403,
  pow: 422,
  error: 503,
};

const HOUR = 60 * 60;

function mustHave(what: string, { status, accepted, text }: Posted, expected: number): void {
  const isAsDemanded = status === expected && accepted === expected < 400;
  must(isAsDemanded, `${what}: status ${status} and ${text}, not ${expected}`);
}

/** `POST /drop` and `POST /ack`: what comes in over HTTP. */
export const httpPublishChecks: readonly Check[] = [
  deadDropCheck({
    ...HTTP,
    id: "http/answer",
    covers: ["http-3", "same-1"],
    title: "answers POST /drop as it answers EVENT, and holds drops of both doors in one box",
    async run(context) {
      const { door } = context;
      const sender = await context.sender();
      const to = context.person();
      const posted = context.wrap({ to });
      const published = context.wrap({ to });
      const fresh = await door.post("/drop", posted);
      const heard = await sender.publish(published);
      mustHave("a drop", fresh, HELD);
      must(
        fresh.id === posted.id,
        `the answer names ${JSON.stringify(fresh.id)}, not ${posted.id}`,
      );
      must(
        heard.accepted && fresh.reason === heard.reason,
        `a drop: ${fresh.text} over HTTP, ${heard.text} on the socket`,
      );
      for (const drop of [posted, published]) {
        const again = await door.post("/drop", drop);
        mustHave("a drop that is held", again, DONE);
        must(
          again.reason === ALREADY_HAVE,
          `a drop that is held: ${again.text}, not "${ALREADY_HAVE}"`,
        );
      }
      mustBe("the box over HTTP", (await door.pickup(to)).ids, [posted, published]);
      const recipient = await context.as("recipient", to);
      mustBe("the box over the socket", await recipient.pickup(), [posted, published]);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/refusal",
    covers: ["http-3"],
    title: "refuses over HTTP what it refuses on the socket, for the same reason",
    async run(context) {
      const { door } = context;
      const sender = await context.sender();
      const to = context.person();
      const drop = context.wrap({ to });
      const p = ["p", to.key];
      const wrong: Record<string, NostrEvent> = {
        "a forged drop": { ...drop, sig: context.wrap({ to }).sig },
        "a drop with another id": { ...drop, id: to.key },
        "a drop for two": context.wrap({ to, tags: [["p", context.person().key]] }),
        "an expired drop": context.wrap({
          to,
          tags: [["expiration", String(nowSeconds() - HOUR)]],
        }),
        "kind 1": context.sign(context.person(), { kind: 1, tags: [p] }),
        "an acknowledgement of nothing": context.acknowledgement(to, []),
      };
      const refused = new Set<string>();
      for (const [what, event] of Object.entries(wrong)) {
        const heard = await sender.publish(event);
        const posted = await door.post("/drop", event);
        const both = `${what}: ${posted.text} over HTTP, ${heard.text} on the socket`;
        must(posted.accepted === heard.accepted, both);
        // What a relay takes against NIP-DD it may know the second time; other checks see that.
        if (heard.accepted) continue;
        refused.add(event.id);
        must(posted.reason === heard.reason, both);
        const [prefix = ""] = heard.reason.split(":");
        mustHave(what, posted, OF_REFUSAL[prefix] ?? posted.status);
      }
      const { ids } = await door.pickup(to);
      must(!ids.some((id) => refused.has(id)), "the box holds a drop that was refused");
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/ephemeral",
    covers: ["http-3", "drop-8", "drop-9"],
    title: "passes kind 21059 on with 202, whether or not its recipient listens, and holds nothing",
    async run(context) {
      const { door } = context;
      const to = context.person();
      const alone = await door.post("/drop", context.ephemeral({ to }));
      mustHave("kind 21059 without a listener", alone, PASSED_ON);
      const recipient = await context.as("recipient", to);
      const subscription = await recipient.subscribe({});
      const event = context.ephemeral({ to });
      const together = await door.post("/drop", event);
      mustHave("kind 21059 with a listener", together, PASSED_ON);
      await recipient.delivered(subscription, event);
      must(
        alone.reason === together.reason,
        `without a listener it is ${alone.text}, with one ${together.text}`,
      );
      mustBe("the box", (await door.pickup(to)).ids, []);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/ack",
    covers: ["ack-3", "ack-2", "same-1", "delete-1", "http-3"],
    title: "deletes what the recipient acknowledges with POST /ack, and answers the drop as before",
    async run(context) {
      const { door } = context;
      const to = context.person();
      const acknowledged = context.wrap({ to });
      const deleted = context.wrap({ to });
      const kept = context.wrap({ to });
      await context.drop(acknowledged, deleted, kept);
      const held = await door.post("/drop", acknowledged);

      const all = [acknowledged, deleted, kept];
      for (const foreign of context.acknowledgements(context.person(), all)) {
        mustHave("a stranger's acknowledgement", await door.post("/ack", foreign), DONE);
      }
      mustBe("the box a stranger acknowledged", (await door.pickup(to)).ids, all);

      const recipient = await context.as("recipient", to);
      const acknowledgement = context.acknowledgement(to, [acknowledged]);
      const done = await door.post("/ack", acknowledgement);
      mustHave("an acknowledgement", done, DONE);
      mustBe("the box after it", await recipient.pickup(), [deleted, kept]);
      // It has no effect but that of the first time (ack-9), so it can be compared with itself.
      const { text, reason } = await recipient.publish(acknowledgement);
      must(done.reason === reason, `${done.text} over HTTP, ${text} on the socket`);

      mustHave("kind 5", await door.post("/ack", context.deletion(to, [deleted])), DONE);
      mustBe("the box after kind 5", (await door.pickup(to)).ids, [kept]);

      const gone = await door.post("/drop", acknowledged);
      mustHave("a drop that was acknowledged", gone, DONE);
      must(held.text === gone.text, `held: ${held.text}, acknowledged: ${gone.text}`);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/ack-early",
    covers: ["http-3", "same-3", "same-1"],
    title: "answers POST /drop of what was acknowledged before it came with 201, and then with 200",
    async run(context) {
      const { door } = context;
      const to = context.person();
      const [drop, other] = [context.wrap({ to }), context.wrap({ to: context.person() })];
      mustHave(
        "an acknowledgement",
        await door.post("/ack", context.acknowledgement(to, [drop])),
        DONE,
      );
      const fresh = await door.post("/drop", other);
      const first = await door.post("/drop", drop);
      mustHave("a drop", fresh, HELD);
      mustHave("the first arrival of a drop that was acknowledged", first, HELD);
      must(fresh.reason === first.reason, `a drop: ${fresh.text}, one acknowledged: ${first.text}`);
      const again = await door.post("/drop", drop);
      mustHave("a drop that was acknowledged, the second time", again, DONE);
      must(again.reason === ALREADY_HAVE, `the second time: ${again.text}, not "${ALREADY_HAVE}"`);
      mustBe("the box", (await door.pickup(to)).ids, []);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/ack-alone",
    covers: ["ack-11"],
    title: "takes nothing at /ack but acknowledgements",
    async run(context) {
      const { door } = context;
      const to = context.person();
      const drops = context.oneOfEach({ to });
      for (const drop of drops) {
        const posted = await door.post("/ack", drop);
        must(!posted.accepted, `kind ${drop.kind} was accepted: ${posted.text}`);
        mustHave(`kind ${drop.kind}`, posted, 400);
      }
      mustBe("the box", (await door.pickup(to)).ids, []);
    },
  }),
];
