import type { NostrEvent } from "../../nostr/event.ts";
import type { Check } from "../check.ts";
import type { Context } from "../context.ts";
import { type AuthorizationChange, boxOf, countOf, namedBoxOf, type Page, shown } from "../door.ts";
import type { HttpAnswer } from "../http.ts";
import { nowSeconds, type Person } from "../people.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";

const HTTP = { needs: ["http"] } as const;

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

/** Drops of these ages in seconds, held for somebody. Answers them in the order of the ages. */
async function box(context: Context, to: Person, ages: readonly number[]): Promise<NostrEvent[]> {
  const now = nowSeconds();
  const drops = ages.map((age) => context.wrap({ to, created_at: now - age }));
  // What came last is not the newest.
  await context.drop(...drops.toReversed());
  return drops;
}

function mustComeNewestFirst({ events }: Pick<Page, "events">): void {
  const times = events.map(({ created_at }) => created_at);
  const ordered = times.toSorted((a, b) => b - a);
  must(times.join() === ordered.join(), `not newest first: the times are ${times.join(", ")}`);
}

/** `GET /pickup`: who may read a box over HTTP, and what they are shown. */
export const httpPickupChecks: readonly Check[] = [
  deadDropCheck({
    ...HTTP,
    id: "http/gate",
    covers: ["http-1", "pickup-2", "pickup-3"],
    title: "shows a box to its recipient, newest first, and to nobody else",
    async run(context) {
      const { door } = context;
      const to = context.person();
      const drops = await box(context, to, [0, 60, HOUR]);
      const stranger = context.person();
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
    covers: ["http-1", "pickup-12"],
    title: "answers a stranger with the same bytes about a box that is full, emptied or unknown",
    async run(context) {
      const { door } = context;
      const [full, emptied, unknown] = [context.person(), context.person(), context.person()];
      const held = [context.wrap({ to: full }), context.wrap({ to: full })];
      const gone = context.wrap({ to: emptied });
      await context.drop(...held, gone, context.acknowledgement(emptied, [gone]));
      mustBe("the full box", (await door.pickup(full)).ids, held);
      for (const by of [undefined, context.person()]) {
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
    async run(context) {
      const { door } = context;
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const target = boxOf(to);
      const right = door.authorization(to, target);
      const [, url = ""] = right.tags.find(([name]) => name === "u") ?? [];
      const now = nowSeconds();
      const changes: Record<string, AuthorizationChange> = {
        "another box": { url: url.replace(to.key, context.person().key) },
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
      const { sig } = door.authorization(context.person(), target);
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
    covers: ["http-2", "ack-10"],
    title: "shows the same however often a box is read",
    async run(context) {
      const { door } = context;
      const to = context.person();
      const drops = await box(context, to, [0, 60, HOUR]);
      const first = await door.pickup(to);
      mustBe("the box", first.ids, drops);
      await door.pickup(to, "?limit=1");
      await door.count(to);
      const second = await door.pickup(to);
      must(first.text === second.text, `first ${first.text}, and then ${second.text}`);
      const recipient = await context.as("recipient", to);
      mustBe("the box over the socket", await recipient.pickup(), drops);
    },
  }),
  deadDropCheck({
    ...HTTP,
    id: "http/pages",
    covers: ["pickup-8", "http-2"],
    title: "brings each drop once, page after page, and says when that was all",
    async run(context) {
      const { door } = context;
      const to = context.person();
      context.needsRoom(PAGED_AGES.length);
      const drops = await box(context, to, PAGED_AGES);
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
