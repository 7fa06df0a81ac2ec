import * as fc from "fast-check";
import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import {
  acknowledgement,
  directMessage,
  ephemeralWrap,
  giftWrap,
  inOrder,
} from "../support/events.ts";
import { type Differences, NegentropyClient } from "../support/negentropy.ts";
import { type Person, person } from "../support/people.ts";
import { frame, RawSocket } from "../support/raw.ts";
import { sharedRelay } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";

const relay = sharedRelay();
const small = sharedRelay({ env: { DEADDROP_LIMITS_RECONCILE: "10" } });
const tight = sharedRelay({
  env: { DEADDROP_LIMITS_MEMORY_PER_ADDRESS: "1MiB", DEADDROP_LIMITS_OUTBOX_BYTES: "256KiB" },
});
const narrow = sharedRelay({ env: { DEADDROP_LIMITS_INBOX: "4" } });

const AUTH_REQUIRED = "auth-required: drops are shown to their recipient only";
const NOT_OPEN = "closed: unknown subscription handle";
const MINUTE = 60;
// Whoever has nothing asks for all ids there are.
const ASKS_FOR_ALL = "6100000200";

function idsOf(drops: readonly NostrEvent[]): string[] {
  return drops.map(({ id }) => id).sort();
}

function gather<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n));
}

/** Gift wraps of one sender, quickly made, each a second older than the one before. */
function wraps(count: number, to: Person): NostrEvent[] {
  const [author, newest, tags] = [person(), now(), [["p", to.key]]];
  return gather(count, (n) =>
    finalizeEvent({ kind: 1059, created_at: newest - n, tags, content: "" }, author.secret),
  );
}

/** Publishes them, as many at once as a connection may. */
async function publish(url: string, drops: readonly NostrEvent[]): Promise<void> {
  const sender = await Client.connect(url);
  for (let next = 0; next < drops.length; next += 1_000) {
    const some = drops.slice(next, next + 1_000);
    for (const drop of some) sender.say("EVENT", drop);
    for (const _ of some) expect((await sender.hear())[2]).toBe(true);
  }
  sender.end();
}

async function clientOf(...people: Person[]): Promise<Client> {
  return (await Client.connect(relay().url)).authenticate(...people);
}

/** Says one message of a reconciliation, and answers what comes back. */
async function ask(client: Client, verb: string, ...rest: readonly unknown[]): Promise<Message> {
  client.say(verb, ...rest);
  return client.hear();
}

/** Reconciles to the end, and closes. */
async function sync(
  client: Client,
  filter: object,
  drops: readonly NostrEvent[],
  meanwhile = async (): Promise<void> => {},
): Promise<Differences> {
  let isOpen = false;
  const differences = await new NegentropyClient(drops).reconcile(async (message) => {
    const [verb, id, answer] = isOpen
      ? await ask(client, "NEG-MSG", "sync", message)
      : await ask(client, "NEG-OPEN", "sync", filter, message);
    expect([verb, id]).toEqual(["NEG-MSG", "sync"]);
    if (!isOpen) await meanwhile();
    isOpen = true;
    return answer as string;
  });
  client.say("NEG-CLOSE", "sync");
  return differences;
}

/** The ids that a reconciliation is about. */
async function reconciled(client: Client, filter: object): Promise<readonly string[]> {
  return (await sync(client, filter, [])).need;
}

describe("reconciling one's box", () => {
  it("finds what either side lacks", async () => {
    const bob = person();
    const drops = gather(300, (n) => giftWrap({ to: bob, created_at: now() - (n >> 2) }));
    const mine = gather(40, (n) => giftWrap({ to: bob, created_at: now() - n }));
    await publish(relay().url, drops);
    const client = await clientOf(bob);
    const half = drops.filter((_, n) => n % 2 === 0);
    const { have, need } = await sync(client, { kinds: [1059] }, [...half, ...mine]);
    expect(have).toEqual(idsOf(mine));
    expect(need).toEqual(idsOf(drops.filter((_, n) => n % 2 === 1)));
    const { events } = await client.request("needed", { ids: need });
    expect(idsOf(events)).toEqual(need);
  });

  it("is about an empty box as well", async () => {
    const bob = person();
    const client = await clientOf(bob);
    const mine = [giftWrap({ to: bob })];
    const { have, need } = await sync(client, {}, mine);
    expect([have, need]).toEqual([idsOf(mine), []]);
  });

  it("reconciles 5,000 with half of them in a few rounds", async () => {
    const bob = person();
    const drops = wraps(5_000, bob);
    await publish(relay().url, drops);
    const half = drops.filter((_, n) => n % 2 === 0);
    const { have, need, rounds } = await sync(await clientOf(bob), {}, half);
    expect([have.length, need.length]).toEqual([0, 2_500]);
    expect(rounds).toBeLessThanOrEqual(12);
  }, 180_000);

  it("obeys the filter as a REQ does", async () => {
    const [bob, alice] = [person(), person()];
    const drops = [
      ...gather(5, (n) => giftWrap({ to: bob, created_at: now() - n * MINUTE })),
      ...gather(5, (n) => directMessage({ from: alice, to: bob, created_at: now() - n * MINUTE })),
    ];
    await publish(relay().url, drops);
    const client = await clientOf(bob);
    const filters = [
      { kinds: [4] },
      { since: now() - 2 * MINUTE - 30 },
      { until: now() - 2 * MINUTE + 30 },
      { authors: [alice.key], limit: 2 },
      { limit: 3 },
      { limit: 0 },
      { ids: [drops[0]?.id, drops[7]?.id] },
      { "#p": [bob.key] },
      { "#t": ["nothing"] },
      { kinds: [] },
      {},
    ];
    for (const filter of filters) {
      expect([filter, await reconciled(client, filter)]).toEqual([
        filter,
        (await client.pickup(filter)).sort(),
      ]);
    }
  });

  it("takes the newest of several boxes together", async () => {
    const people = gather(3, () => person());
    const drops = people.flatMap((to, first) =>
      gather(20, (n) => giftWrap({ to, created_at: now() - MINUTE - 3 * n - first })),
    );
    await publish(relay().url, drops);
    const client = await clientOf(...people);
    expect(await reconciled(client, {})).toEqual(idsOf(drops));
    const newest = inOrder(drops).slice(0, 25);
    expect(await reconciled(client, { limit: 25 })).toEqual(idsOf(newest));
    expect(await reconciled(client, { "#p": [people[1]?.key] })).toEqual(
      idsOf(drops.slice(20, 40)),
    );
  });

  it("leaves out what was acknowledged, has expired, or was never held", async () => {
    const bob = person();
    const soon = now() + 2;
    const kept = giftWrap({ to: bob });
    const gone = giftWrap({ to: bob });
    const short = giftWrap({ to: bob, tags: [["expiration", String(soon)]] });
    await publish(relay().url, [kept, gone, short, ephemeralWrap({ to: bob })]);
    await publish(relay().url, [acknowledgement(bob, [gone])]);
    const client = await clientOf(bob);
    expect(await reconciled(client, {})).toEqual(idsOf([kept, short]));
    await expect.poll(() => now(), { timeout: 10_000 }).toBeGreaterThanOrEqual(soon);
    expect(await reconciled(client, {})).toEqual(idsOf([kept]));
  });

  it("removes nothing and acknowledges nothing", async () => {
    const bob = person();
    const drops = gather(50, () => giftWrap({ to: bob }));
    await publish(relay().url, drops);
    const client = await clientOf(bob);
    await reconciled(client, {});
    expect((await client.pickup()).sort()).toEqual(idsOf(drops));
  });

  it("is about what was held when it began, whatever comes and goes meanwhile", async () => {
    const bob = person();
    const drops = wraps(1_000, bob);
    await publish(relay().url, drops);
    const client = await clientOf(bob);
    const half = drops.filter((_, n) => n % 2 === 0);
    const others = drops.filter((_, n) => n % 2 === 1);
    const added = gather(10, () => giftWrap({ to: bob }));
    const { need, rounds } = await sync(client, {}, half, async () => {
      await publish(relay().url, added);
      await publish(relay().url, [acknowledgement(bob, others.slice(10))]);
    });
    expect(rounds).toBeGreaterThan(1);
    expect(need).toEqual(idsOf(others));
    expect((await client.pickup({ ids: need })).sort()).toEqual(idsOf(others.slice(0, 10)));
  });

  it("does not disturb what is delivered live", async () => {
    const bob = person();
    const client = await clientOf(bob);
    await client.request("n", {});
    expect((await ask(client, "NEG-OPEN", "n", {}, ASKS_FOR_ALL))[0]).toBe("NEG-MSG");
    const drop = giftWrap({ to: bob });
    await publish(relay().url, [drop]);
    expect(await client.hear()).toEqual(["EVENT", "n", drop]);
    client.say("NEG-CLOSE", "n");
    const next = giftWrap({ to: bob });
    await publish(relay().url, [next]);
    expect(await client.hear()).toEqual(["EVENT", "n", next]);
  });
});

describe("reconciling the box of somebody else", () => {
  it("is refused as a REQ is, and the challenge sent again", async () => {
    const [bob, eve] = [person(), person()];
    await publish(relay().url, [giftWrap({ to: bob })]);
    const client = await clientOf(eve);
    const before = client.challenges.length;
    const answer = await ask(client, "NEG-OPEN", "n", { "#p": [bob.key] }, ASKS_FOR_ALL);
    expect(answer).toEqual(
      documented("a NEG-OPEN about someone else's box", [
        "NEG-ERR",
        "n",
        "restricted: that is not your box",
      ]),
    );
    expect(client.challenges).toHaveLength(before + 1);
    expect(await ask(client, "NEG-MSG", "n", ASKS_FOR_ALL)).toEqual(["NEG-ERR", "n", NOT_OPEN]);
  });

  it("leaves it out of a filter that names one's own as well, or nobody", async () => {
    const [bob, eve] = [person(), person()];
    const mine = giftWrap({ to: eve });
    const drops = gather(100, () => giftWrap({ to: bob }));
    await publish(relay().url, [mine, ...drops]);
    const client = await clientOf(eve);
    const ids = drops.map(({ id }) => id);
    for (const filter of [{}, { "#p": [bob.key, eve.key] }, { kinds: [1059] }]) {
      expect(await reconciled(client, filter)).toEqual([mine.id]);
    }
    expect(await reconciled(client, { ids })).toEqual([]);
    expect(await reconciled(client, { authors: [drops[0]?.pubkey] })).toEqual([]);
    // What the client says it has does not matter.
    expect((await sync(client, {}, drops)).need).toEqual([mine.id]);
  });
});

describe("NEG-OPEN before AUTH", () => {
  it("is answered as soon as AUTH is, in whatever order they come", async () => {
    const bob = person();
    const drop = giftWrap({ to: bob });
    await publish(relay().url, [drop]);
    const client = await Client.challenged(relay().url);
    client.say("NEG-OPEN", "n", {}, ASKS_FOR_ALL);
    client.say("NEG-OPEN", "taken back", {}, ASKS_FOR_ALL);
    client.say("CLOSE", "n");
    client.say("NEG-CLOSE", "taken back");
    const auth = client.authEvent(bob);
    client.say("AUTH", auth);
    expect(await client.hear()).toEqual(["OK", auth.id, true, ""]);
    expect(await client.hear()).toEqual(["NEG-MSG", "n", `6100000201${drop.id}`]);
    expect(await ask(client, "NEG-MSG", "taken back", ASKS_FOR_ALL)).toEqual([
      "NEG-ERR",
      "taken back",
      NOT_OPEN,
    ]);
  });

  it("is challenged, and refused after a while", async () => {
    const socket = await RawSocket.open(relay().url);
    socket.write(frame(JSON.stringify(["NEG-OPEN", "n", {}, ASKS_FOR_ALL])));
    const refusal = documented("a NEG-OPEN before AUTH", ["NEG-ERR", "n", AUTH_REQUIRED]);
    await socket.hears(JSON.stringify(refusal));
    const verbs = [...socket.heard.matchAll(/\["(AUTH|NEG-ERR)"/g)].map(([, verb]) => verb);
    expect(verbs).toEqual(["AUTH", "AUTH", "NEG-ERR"]);
  });
});

describe("a reconciliation", () => {
  it("ends with NEG-CLOSE", async () => {
    const client = await clientOf(person());
    expect((await ask(client, "NEG-OPEN", "n", {}, ASKS_FOR_ALL))[0]).toBe("NEG-MSG");
    client.say("NEG-CLOSE", "n");
    client.say("NEG-CLOSE", "never opened");
    expect(await ask(client, "NEG-MSG", "n", ASKS_FOR_ALL)).toEqual(
      documented("a NEG-MSG to a reconciliation that is not open", ["NEG-ERR", "n", NOT_OPEN]),
    );
  });

  it("begins anew under the same id, with another filter", async () => {
    const bob = person();
    const drops = [giftWrap({ to: bob }), directMessage({ from: bob, to: bob })];
    await publish(relay().url, drops);
    const client = await clientOf(bob);
    for (const [n, kind] of [1059, 4].entries()) {
      const answer = await ask(client, "NEG-OPEN", "n", { kinds: [kind] }, ASKS_FOR_ALL);
      expect(answer).toEqual(["NEG-MSG", "n", `6100000201${drops[n]?.id}`]);
    }
  });

  it("about too many drops is refused", async () => {
    const bob = person();
    const newest = now();
    const drops = gather(11, (n) => giftWrap({ to: bob, created_at: newest - n }));
    await publish(small().url, drops);
    const client = await (await Client.connect(small().url)).authenticate(bob);
    expect(await ask(client, "NEG-OPEN", "n", {}, ASKS_FOR_ALL)).toEqual(
      documented("a NEG-OPEN about more drops than may be reconciled (here 10)", [
        "NEG-ERR",
        "n",
        "blocked: this query is too big",
      ]),
    );
    expect((await reconciled(client, { limit: 10 })).length).toBe(10);
    expect((await reconciled(client, { since: drops[9]?.created_at })).length).toBe(10);
  });

  it("that was silent longest makes room when too many are open", async () => {
    const client = await clientOf(person());
    const names = gather(8, (n) => `n${n}`);
    for (const name of names) await ask(client, "NEG-OPEN", name, {}, ASKS_FOR_ALL);
    await ask(client, "NEG-MSG", "n0", ASKS_FOR_ALL);
    expect(await ask(client, "NEG-OPEN", "one more", {}, ASKS_FOR_ALL)).toEqual(
      documented("a NEG-OPEN while 8 reconciliations are open", [
        "NEG-ERR",
        "n1",
        "closed: too many reconciliations are open, begin again",
      ]),
    );
    expect((await client.hear()).slice(0, 2)).toEqual(["NEG-MSG", "one more"]);
    for (const name of ["n0", ...names.slice(2), "one more"]) {
      expect((await ask(client, "NEG-MSG", name, ASKS_FOR_ALL))[0]).toBe("NEG-MSG");
    }
  });

  it("is refused while its address has too much kept, and not any more when another is closed", async () => {
    const bob = person();
    await publish(tight().url, wraps(2_500, bob));
    const clients: Client[] = [];
    let answer: Message;
    do {
      const client = await (await Client.connect(tight().url)).authenticate(bob);
      answer = await ask(client, "NEG-OPEN", "n", {}, ASKS_FOR_ALL);
      clients.push(client);
    } while (answer[0] === "NEG-MSG" && clients.length < 20);
    expect(answer).toEqual(
      documented("a NEG-OPEN of an address that has too much kept in memory", [
        "NEG-ERR",
        "n",
        "rate-limited: this address has too much kept in memory",
      ]),
    );
    expect(clients.length).toBeGreaterThan(1);
    const last = clients.pop() as Client;
    // With several event loops not all of them count together.
    for (const client of clients) {
      client.say("NEG-CLOSE", "n");
      expect(await client.pickup({ limit: 0 })).toEqual([]);
    }
    expect((await ask(last, "NEG-OPEN", "n", {}, ASKS_FOR_ALL))[0]).toBe("NEG-MSG");
  });

  it("is refused while too much waits for its answer; NEG-CLOSE is carried out all the same", async () => {
    const client = await Client.challenged(narrow().url);
    for (const name of ["a", "b", "c", "d"]) client.say("NEG-OPEN", name, {}, ASKS_FOR_ALL);
    expect(await ask(client, "NEG-OPEN", "e", {}, ASKS_FOR_ALL)).toEqual([
      "NEG-ERR",
      "e",
      "rate-limited: too many messages are waiting for an answer",
    ]);
    client.say("NEG-CLOSE", "b");
    const auth = client.authEvent(person());
    client.say("AUTH", auth);
    expect((await client.hear())[0]).toBe("OK");
    for (const name of ["a", "c", "d"]) {
      expect((await client.hear()).slice(0, 2)).toEqual(["NEG-MSG", name]);
    }
  });
});

describe("a message that is wrong", () => {
  const HEX = "invalid: a negentropy message is written in hex";
  const ID = "invalid: subscription id must be a string of 1 to 64 characters";
  const long = "s".repeat(65);

  it.each([
    ["a NEG-OPEN or NEG-MSG whose message is no hex", ["NEG-OPEN", "n", {}], HEX],
    ["a NEG-OPEN or NEG-MSG whose message is no hex", ["NEG-OPEN", "n", {}, "6"], HEX],
    ["a NEG-OPEN or NEG-MSG whose message is no hex", ["NEG-OPEN", "n", {}, 16, "61"], HEX],
    ["a NEG-OPEN or NEG-MSG whose message is no hex", ["NEG-MSG", "n", "xx"], HEX],
    ["a NEG-OPEN or NEG-MSG whose message is no hex", ["NEG-MSG", "n"], HEX],
    [
      "a NEG-OPEN without a filter",
      ["NEG-OPEN", "n", "6100000200"],
      "invalid: a filter is a JSON object",
    ],
    [
      "a NEG-OPEN whose filter has a field that NIP-01 does not name",
      ["NEG-OPEN", "n", { search: "x" }, "61"],
      'unsupported: filter has the unknown field "search"',
    ],
    [
      "a NEG-OPEN or NEG-MSG that is not of the negentropy protocol",
      ["NEG-OPEN", "n", {}, ""],
      "invalid: not a message of the negentropy protocol",
    ],
    [
      "a NEG-OPEN or NEG-MSG that ends too early",
      ["NEG-OPEN", "n", {}, "6100"],
      "invalid: the negentropy message ends too early",
    ],
  ])("is refused by name: %s", async (sends, says, reason) => {
    const client = await clientOf(person());
    expect(await ask(client, ...(says as [string]))).toEqual(
      documented(sends, ["NEG-ERR", "n", reason]),
    );
    expect(await reconciled(client, {})).toEqual([]);
  });

  it.each(["", long])("is refused by name, whatever the name: %j", async (id) => {
    const client = await clientOf(person());
    for (const message of [
      ["NEG-OPEN", id, {}, ASKS_FOR_ALL],
      ["NEG-MSG", id, ASKS_FOR_ALL],
    ]) {
      expect(await ask(client, ...(message as [string]))).toEqual(
        documented(
          "a NEG-OPEN or NEG-MSG whose subscription id is empty or has more than 64 characters",
          ["NEG-ERR", id, ID],
        ),
      );
    }
  });

  it("is refused with a NOTICE when it has no name", async () => {
    const client = await clientOf(person());
    for (const message of [
      ["NEG-OPEN"],
      ["NEG-MSG", 5, ASKS_FOR_ALL],
      ["NEG-CLOSE", null],
      ["NEG-CLOSE", long],
    ]) {
      expect(await ask(client, ...(message as [string]))).toEqual(
        documented("a NEG-OPEN, NEG-MSG or NEG-CLOSE whose subscription id is no string", [
          "NOTICE",
          ID,
        ]),
      );
    }
  });

  it("is refused by the name that can be read, when it is no JSON", async () => {
    const client = await clientOf(person());
    for (const text of ['["NEG-OPEN","n",{}', '["NEG-MSG", "n", 61']) {
      client.sayRaw(text);
      expect(await client.hear()).toEqual(
        documented("a NEG-OPEN or NEG-MSG that is not JSON but names its subscription", [
          "NEG-ERR",
          "n",
          "invalid: message is not JSON",
        ]),
      );
    }
  });

  it("ends the reconciliation it speaks of", async () => {
    const client = await clientOf(person());
    for (const wrong of ["6100", "zz"]) {
      expect((await ask(client, "NEG-OPEN", "n", {}, ASKS_FOR_ALL))[0]).toBe("NEG-MSG");
      expect((await ask(client, "NEG-MSG", "n", wrong))[2]).toMatch(/^invalid: /);
      expect(await ask(client, "NEG-MSG", "n", ASKS_FOR_ALL)).toEqual(["NEG-ERR", "n", NOT_OPEN]);
    }
  });

  it("of another version is answered with the version spoken here", async () => {
    const client = await clientOf(person());
    expect(await ask(client, "NEG-OPEN", "n", {}, "62aabb")).toEqual(["NEG-MSG", "n", "61"]);
    expect((await ask(client, "NEG-MSG", "n", ASKS_FOR_ALL))[0]).toBe("NEG-MSG");
  });

  it("is answered by name and disturbs nobody, whatever it is", async () => {
    const bob = person();
    const drops = gather(100, (n) => giftWrap({ to: bob, created_at: now() - n }));
    await publish(relay().url, drops);
    const client = await clientOf(bob);
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .array(fc.constantFrom("000000", "0100020002", "000001", "ff", "8000", "010002", "00"), {
          maxLength: 20,
        })
        .map((parts) => Buffer.from(parts.join(""), "hex")),
    );
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), async (rest, isOpening) => {
        const message = `61${Buffer.from(rest).toString("hex")}`;
        if (!isOpening) await ask(client, "NEG-OPEN", "n", {}, ASKS_FOR_ALL);
        const [verb, id] = isOpening
          ? await ask(client, "NEG-OPEN", "n", {}, message)
          : await ask(client, "NEG-MSG", "n", message);
        expect([/^NEG-(?:MSG|ERR)$/.test(verb), id]).toEqual([true, "n"]);
      }),
      { numRuns: 200 },
    );
    expect(await reconciled(client, {})).toEqual(idsOf(drops));
  });
});
