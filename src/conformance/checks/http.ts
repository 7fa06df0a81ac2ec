import type { NostrEvent } from "../../nostr/event.ts";
import { ALREADY_HAVE } from "../../nostr/reason.ts";
import type { Check } from "../check.ts";
import {
  type AuthorizationChange,
  boxOf,
  countOf,
  namedBoxOf,
  type Page,
  type Posted,
  shown,
} from "../door.ts";
import type { HttpAnswer } from "../http.ts";
import { nowSeconds, type Person } from "../people.ts";
import type { Trial } from "../trial.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";

const HTTP = { needs: ["http"] } as const;

/** NIP-DD, "HTTP": "The status of an accepted event is `201` when it is held now, `202` when it was passed on and is not held, `200` otherwise". */
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
// Several of one second, so that a cursor which is a time alone brings one twice, or never.
const PAGED_AGES = [0, 0, 0, 60, 60, 60, HOUR];
const PAGE = 2;

/** Ways to ask about a box: each tells as much as the others. */
const QUESTIONS: readonly ((owner: Person) => string)[] = [
  boxOf,
  (owner) => `${boxOf(owner)}?limit=1`,
  namedBoxOf,
  countOf,
];

function mustHave(what: string, { status, accepted, text }: Posted, expected: number): void {
  const isAsDemanded = status === expected && accepted === expected < 400;
  must(isAsDemanded, `${what}: status ${status} and ${text}, not ${expected}`);
}

/** Drops of these ages in seconds, held for somebody. Answers them in the order of the ages. */
async function box(trial: Trial, to: Person, ages: readonly number[]): Promise<NostrEvent[]> {
  const now = nowSeconds();
  const drops = ages.map((age) => trial.wrap({ to, created_at: now - age }));
  // What came last is not the newest.
  await trial.drop(...drops.toReversed());
  return drops;
}

function mustComeNewestFirst({ events }: Pick<Page, "events">): void {
  const times = events.map(({ created_at }) => created_at);
  const ordered = times.toSorted((a, b) => b - a);
  must(times.join() === ordered.join(), `not newest first: the times are ${times.join(", ")}`);
}

export const httpChecks: readonly Check[] = [
  deadDropCheck({
    ...HTTP,
    id: "http/answer",
    covers: ["http-3", "same-1"],
    title: "answers POST /drop as it answers EVENT, and holds drops of both doors in one box",
    async run(trial) {
      const { door } = trial;
      const sender = await trial.sender();
      const to = trial.person();
      const posted = trial.wrap({ to });
      const published = trial.wrap({ to });
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
      const recipient = await trial.as("recipient", to);
      mustBe("the box over the socket", await recipient.pickup(), [posted, published]);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/refusal",
    covers: ["http-3"],
    title: "refuses over HTTP what it refuses on the socket, for the same reason",
    async run(trial) {
      const { door } = trial;
      const sender = await trial.sender();
      const to = trial.person();
      const drop = trial.wrap({ to });
      const p = ["p", to.key];
      const wrong: Record<string, NostrEvent> = {
        "a forged drop": { ...drop, sig: trial.wrap({ to }).sig },
        "a drop with another id": { ...drop, id: to.key },
        "a drop for two": trial.wrap({ to, tags: [["p", trial.person().key]] }),
        "an expired drop": trial.wrap({ to, tags: [["expiration", String(nowSeconds() - HOUR)]] }),
        "kind 1": trial.sign(trial.person(), { kind: 1, tags: [p] }),
        "an acknowledgement of nothing": trial.acknowledgement(to, []),
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
    async run(trial) {
      const { door } = trial;
      const to = trial.person();
      const alone = await door.post("/drop", trial.ephemeral({ to }));
      mustHave("kind 21059 without a listener", alone, PASSED_ON);
      const recipient = await trial.as("recipient", to);
      const subscription = await recipient.subscribe({});
      const event = trial.ephemeral({ to });
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
    async run(trial) {
      const { door } = trial;
      const to = trial.person();
      const acknowledged = trial.wrap({ to });
      const deleted = trial.wrap({ to });
      const kept = trial.wrap({ to });
      await trial.drop(acknowledged, deleted, kept);
      const held = await door.post("/drop", acknowledged);

      const foreign = trial.acknowledgement(trial.person(), [acknowledged, deleted, kept]);
      mustHave("a stranger's acknowledgement", await door.post("/ack", foreign), DONE);
      const all = [acknowledged, deleted, kept];
      mustBe("the box a stranger acknowledged", (await door.pickup(to)).ids, all);

      const recipient = await trial.as("recipient", to);
      const acknowledgement = trial.acknowledgement(to, [acknowledged]);
      const done = await door.post("/ack", acknowledgement);
      mustHave("an acknowledgement", done, DONE);
      mustBe("the box after it", await recipient.pickup(), [deleted, kept]);
      // It has no effect but that of the first time (ack-9), so it can be compared with itself.
      const { text, reason } = await recipient.publish(acknowledgement);
      must(done.reason === reason, `${done.text} over HTTP, ${text} on the socket`);

      mustHave("kind 5", await door.post("/ack", trial.deletion(to, [deleted])), DONE);
      mustBe("the box after kind 5", (await door.pickup(to)).ids, [kept]);

      const gone = await door.post("/drop", acknowledged);
      mustHave("a drop that was acknowledged", gone, DONE);
      must(held.text === gone.text, `held: ${held.text}, acknowledged: ${gone.text}`);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/ack-alone",
    covers: ["http-3"],
    title: "takes nothing at /ack but acknowledgements",
    async run(trial) {
      const { door } = trial;
      const to = trial.person();
      const drops = [trial.wrap({ to }), trial.message({ from: trial.person(), to })];
      for (const drop of drops) {
        const posted = await door.post("/ack", drop);
        must(!posted.accepted, `kind ${drop.kind} was accepted: ${posted.text}`);
        mustHave(`kind ${drop.kind}`, posted, 400);
      }
      mustBe("the box", (await door.pickup(to)).ids, []);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/gate",
    covers: ["http-1", "pickup-2", "pickup-3"],
    title: "shows a box to its recipient, newest first, and to nobody else",
    async run(trial) {
      const { door } = trial;
      const to = trial.person();
      const drops = await box(trial, to, [0, 60, HOUR]);
      const stranger = trial.person();
      for (const targetOf of QUESTIONS) {
        const target = targetOf(to);
        const refusals = [
          [401, await door.get(target)],
          [403, await door.get(target, door.authorization(stranger, target))],
        ] as const;
        for (const [expected, answer] of refusals) {
          must(answer.status === expected, `GET ${target}: ${shown(answer)}, not ${expected}`);
          const isTold = drops.some(({ id }) => answer.body.includes(id));
          must(!isTold, `GET ${target} was refused, and showed the box all the same`);
        }
      }
      const own = await door.pickup(to);
      mustBe("the box", own.ids, drops);
      mustComeNewestFirst(own);
      must(
        JSON.stringify(own.events) === JSON.stringify(drops),
        `a drop came back otherwise than it was signed: ${own.text}`,
      );
      const count = await door.count(to);
      must(count === drops.length, `${drops.length} drops are counted as ${String(count)}`);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/box-answer",
    covers: ["http-1", "pickup-7"],
    title: "answers a stranger with the same bytes about a box that is full, emptied or unknown",
    async run(trial) {
      const { door } = trial;
      const [full, emptied, unknown] = [trial.person(), trial.person(), trial.person()];
      const held = [trial.wrap({ to: full }), trial.wrap({ to: full })];
      const gone = trial.wrap({ to: emptied });
      await trial.drop(...held, gone, trial.acknowledgement(emptied, [gone]));
      mustBe("the full box", (await door.pickup(full)).ids, held);
      for (const by of [undefined, trial.person()]) {
        for (const targetOf of QUESTIONS) {
          const ask = (owner: Person): Promise<HttpAnswer> => {
            const target = targetOf(owner);
            return door.get(target, by && door.authorization(by, target));
          };
          const unknowns = [await ask(unknown)];
          const others: HttpAnswer[] = [];
          for (const owner of [full, emptied]) {
            others.push(await ask(owner));
            unknowns.push(await ask(unknown));
          }
          const answers = new Set(
            [...unknowns, ...others].map((answer) => steadyBytes(answer, unknowns)),
          );
          must(answers.size === 1, `the answers differ: ${[...answers].join(" and ")}`);
        }
      }
    },
  }),
  nipCheck({
    id: "http/authorization",
    nip: "98",
    sentence:
      "If one of the checks was to fail the server SHOULD respond with a 401 Unauthorized response code.",
    needs: ["dead_drop", "http"],
    obligations: ["http-1"],
    title: "refuses an authorization for another request, from another time or by somebody else",
    async run(trial) {
      const { door } = trial;
      const to = trial.person();
      const drop = trial.wrap({ to });
      await trial.drop(drop);
      const target = boxOf(to);
      const right = door.authorization(to, target);
      const [, url = ""] = right.tags.find(([name]) => name === "u") ?? [];
      const now = nowSeconds();
      const changes: Record<string, AuthorizationChange> = {
        "another box": { url: url.replace(to.key, trial.person().key) },
        "the count": { url: `${url}/count` },
        "another query": { url: `${url}?limit=1` },
        "another host": { url: `https://relay.example.com${target}` },
        "no URL": { tags: [["method", "GET"]] },
        "another method": { method: "POST" },
        "no method": { tags: [["u", url]] },
        "an hour ago": { created_at: now - HOUR },
        "an hour from now": { created_at: now + HOUR },
        "another kind": { kind: 22_242 },
      };
      const wrong = Object.entries(changes).map(
        ([what, change]) => [what, door.authorization(to, target, change)] as const,
      );
      const { sig } = door.authorization(trial.person(), target);
      for (const [what, event] of [...wrong, ["a foreign signature", { ...right, sig }] as const]) {
        const answer = await door.get(target, event);
        must(answer.status === 401, `an authorization with ${what}: ${shown(answer)}, not 401`);
        must(
          !answer.body.includes(drop.id),
          `an authorization with ${what} opened the box all the same`,
        );
      }
      const answer = await door.get(target, right);
      must(answer.status === 200, `the right authorization: ${shown(answer)}, not 200`);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/reading",
    covers: ["http-2", "pickup-9"],
    title: "shows the same however often a box is read",
    async run(trial) {
      const { door } = trial;
      const to = trial.person();
      const drops = await box(trial, to, [0, 60, HOUR]);
      const first = await door.pickup(to);
      mustBe("the box", first.ids, drops);
      await door.pickup(to, "?limit=1");
      await door.count(to);
      const second = await door.pickup(to);
      must(first.text === second.text, `first ${first.text}, and then ${second.text}`);
      const recipient = await trial.as("recipient", to);
      mustBe("the box over the socket", await recipient.pickup(), drops);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/pages",
    covers: ["pickup-8", "http-2"],
    title: "brings each drop once, page after page, and says when that was all",
    async run(trial) {
      const { door } = trial;
      const to = trial.person();
      const drops = await box(trial, to, PAGED_AGES);
      const events: NostrEvent[] = [];
      let query = "";
      for (let pages = 1; ; pages++) {
        const page = await door.pickup(to, `?limit=${PAGE}${query}`);
        events.push(...page.events);
        const { finished, cursor } = page;
        must(page.events.length <= PAGE, `limit ${PAGE} brought ${page.events.length} drops`);
        if (finished === "true") break;
        must(finished === "false", `Dead-Drop-Finished is ${finished ?? "missing"}`);
        must(cursor !== undefined, "there is more, and no Dead-Drop-Cursor");
        must(pages < drops.length, `${drops.length} drops take more than ${pages} pages`);
        query = `&cursor=${encodeURIComponent(cursor)}`;
      }
      const ids = events.map(({ id }) => id);
      mustBe("the box", ids, drops);
      mustComeNewestFirst({ events });
    },
  }),
];

// What changes from one question about the same box to the next, such as a date or what is left of a rate, tells nothing of the box.
function steadyBytes({ status, headers, body }: HttpAnswer, same: readonly HttpAnswer[]): string {
  const lines = [...headers].filter(
    ([name]) => new Set(same.map((answer) => answer.headers.get(name))).size === 1,
  );
  return JSON.stringify([status, Object.fromEntries(lines), body]);
}
