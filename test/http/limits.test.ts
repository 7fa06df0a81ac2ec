// What one address may ask, open and leave unread over HTTP.

import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";

import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap, inOrder } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import {
  ALL,
  type Answer,
  ask,
  askAs,
  authorizationEvent,
  boxOf,
  brought,
  bytesOf,
  count,
  done,
  dropsFor,
  EventStream,
  HELD,
  hold,
  inHeader,
  metricsOf,
  pickup,
  post,
  refusal,
  taken,
  untilOpen,
  untilWaiting,
} from "./support.ts";

const SLOW_DOWN = "rate-limited: slow down";
const CUT_OFF = 'deaddrop_connections_cut_off_total{reason="does_not_read"}';

/** What makes a request one from this address, where the relay believes it. */
function from(address: string): { headers: Record<string, string> } {
  return { headers: { "x-forwarded-for": address } };
}

const PROXIED = { DEADDROP_TRUSTED_PROXIES: "127.0.0.1" };

function expectToWait({ status, headers }: Answer): void {
  expect(status).toBe(429);
  expect(headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
}

/** Asks forty at a time until one is refused for its rate. */
async function untilRefused(request: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  while (!answers.some(({ status }) => status === 429)) {
    answers.push(...(await Promise.all(Array.from({ length: 40 }, request))));
  }
  return answers;
}

describe("drops too fast", () => {
  const env = { DEADDROP_LIMITS_DROPS_PER_SECOND: "1", DEADDROP_LIMITS_DROPS_BURST: "3" };

  it("are refused with 429 and when to come again, and reading goes on", async () => {
    const relay = await startRelay({ env });
    const bob = person();
    const drops = dropsFor(bob, 40);
    // Asked together, so that hardly a second passes: few of them get through.
    const answers = await Promise.all(
      drops.map((drop) => {
        const body = JSON.stringify(drop);
        return ask(`${relay.http}/drop`, { method: "POST", body });
      }),
    );
    const held = drops.filter((_, index) => answers[index]?.status === HELD);
    const refused = drops.findIndex((_, index) => answers[index]?.status !== HELD);
    expectToWait(answers[refused]!);
    const { id } = drops[refused]!;
    expect(JSON.parse(answers[refused]!.text)).toEqual({ id, ...refusal(SLOW_DOWN) });
    expect(held.length).toBeGreaterThanOrEqual(3);
    expect((await pickup(relay, bob)).events).toEqual(inOrder(held));
  });

  it("are one with those on a WebSocket and with acknowledgements, which cost what they do there", async () => {
    const relay = await startRelay({ env: { ...env, ...PROXIED } });
    const bob = person();
    const busy = from("203.0.113.1");
    const client = await Client.connect(relay.url, busy.headers);
    const ids = dropsFor(bob, 1_000);
    const ack = acknowledgement(bob, ids);
    expect(await post(relay, "/ack", ack, busy.headers)).toEqual(done(ack));

    const [drop, other] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const answer = await post(relay, "/drop", drop, busy.headers);
    expect(answer).toEqual({ status: 429, said: { id: drop.id, ...refusal(SLOW_DOWN) } });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, false, SLOW_DOWN]);
    const again = await post(relay, "/ack", ack, busy.headers);
    expect(again).toEqual({ status: 429, said: { id: ack.id, ...refusal(SLOW_DOWN) } });

    const quiet = from("203.0.113.2");
    expect(await post(relay, "/drop", other, quiet.headers)).toEqual(taken(HELD, other));
  });
});

describe("drops of too many bytes together", () => {
  it("are refused with 429 and when to come again", async () => {
    const relay = await startRelay({
      env: { DEADDROP_LIMITS_BYTES_PER_SECOND: "1", DEADDROP_LIMITS_BYTES_BURST: "128KiB" },
    });
    const bob = person();
    const drops = Array.from({ length: 8 }, () =>
      giftWrap({ to: bob, content: "x".repeat(60_000) }),
    );
    const answers: Answer[] = [];
    for (const drop of drops) {
      const body = JSON.stringify(drop);
      answers.push(await ask(`${relay.http}/drop`, { method: "POST", body }));
    }
    const held = drops.filter((_, index) => answers[index]?.status === HELD);
    expect(held.slice(0, 2)).toEqual(drops.slice(0, 2));
    expectToWait(answers.at(-1)!);
    const { id } = drops.at(-1)!;
    expect(JSON.parse(answers.at(-1)!.text)).toEqual({ id, ...refusal(SLOW_DOWN) });
    expect((await pickup(relay, bob)).events).toEqual(inOrder(held));
  });
});

describe("requests too fast", () => {
  const env = {
    ...PROXIED,
    // Work takes tokens, too, and what waits for them comes back at this rate: on a slow machine as well it must not take a minute.
    DEADDROP_LIMITS_REQUESTS_PER_SECOND: "10",
    DEADDROP_LIMITS_REQUESTS_BURST: "60",
  };

  it.each([
    ["pickups", "GET", ""],
    ["counts", "GET", "/count"],
    ["looks", "HEAD", ""],
  ])(
    "are refused with 429 and when to come again, of one address alone: %s",
    async (_, method, rest) => {
      const relay = await startRelay({ env });
      const bob = person();
      const url = boxOf(relay, bob, rest);
      const asked = { ...from("203.0.113.1"), method };
      const answers = await untilRefused(() => askAs(bob, url, asked));
      const refused = answers.find(({ status }) => status !== 200)!;
      expectToWait(refused);
      const said = `${JSON.stringify(refusal(SLOW_DOWN))}\n`;
      expect(refused.text).toBe(method === "HEAD" ? "" : said);
      expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(2);
      const other = { ...from("203.0.113.2"), method };
      expect((await askAs(bob, url, other)).status).toBe(200);
    },
  );

  it("are refused before it is looked at who asks, so that they tell nothing of a box", async () => {
    const relay = await startRelay({ env });
    const url = boxOf(relay, person());
    const answers = await untilRefused(() => askAs(person(), url, from("203.0.113.1")));
    const statuses = new Set(answers.map(({ status }) => status));
    expect(statuses).toEqual(new Set([403, 429]));
  });
});

describe("readers of one address", () => {
  const env = {
    ...PROXIED,
    DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "2",
    DEADDROP_METRICS: "127.0.0.1:0",
    DEADDROP_LIMITS_WAIT_SECONDS: "10m",
  };
  const here = from("203.0.113.1");
  const there = from("203.0.113.2");

  it("count as its connections, and one too many is refused with 429", async () => {
    const relay = await startRelay({ env });
    const [bob, carol] = [person(), person()];
    const stream = await EventStream.open(relay, bob, "", here.headers);
    const waiting = pickup(relay, carol, "?wait=600", here);
    await untilWaiting(relay, { connections: 2, proven: 2 });

    for (const rest of ["", "?wait=600", "/count"]) {
      const answer = await askAs(bob, boxOf(relay, bob, rest), here);
      expectToWait(answer);
      expect(JSON.parse(answer.text)).toEqual(refusal("rate-limited: too many connections"));
    }
    await expect(EventStream.open(relay, bob, "", here.headers)).rejects.toThrow("HTTP 429");
    await expect(Client.connect(relay.url, here.headers)).rejects.toThrow("HTTP 429");

    // Others go on, and what is waited for comes.
    const drop = giftWrap({ to: carol });
    expect(await post(relay, "/drop", drop, there.headers)).toEqual(taken(HELD, drop));
    expect((await pickup(relay, carol, "", there)).events).toEqual([drop]);
    expect((await waiting).events).toEqual([drop]);
    await untilOpen(relay, 1);
    expect((await pickup(relay, carol, "", here)).events).toEqual([drop]);
    expect(await stream.hear()).toEqual(ALL);
  });

  it("make room when they leave, and when they have what they asked for", async () => {
    const relay = await startRelay({ env });
    const bob = person();
    const streams = [
      await EventStream.open(relay, bob, "", here.headers),
      await EventStream.open(relay, bob, "", here.headers),
    ];
    await untilOpen(relay, 2);
    expect((await askAs(bob, boxOf(relay, bob), here)).status).toBe(429);
    streams[0]?.leave();
    await untilOpen(relay, 1);
    for (const rest of ["", "/count", "?wait=0", "?limit=1"]) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await askAs(bob, boxOf(relay, bob, rest), { ...here, method });
        expect(answer.status).toBe(200);
        await untilOpen(relay, 1);
      }
    }
  });

  it("take no room for a box that they are refused", async () => {
    const relay = await startRelay({ env });
    const [bob, mallory] = [person(), person()];
    for (let asked = 0; asked < 5; asked++) {
      expect((await askAs(mallory, boxOf(relay, bob), here)).status).toBe(403);
      expect((await ask(boxOf(relay, bob), here)).status).toBe(401);
    }
    await untilOpen(relay, 0);
  });

  it("are told of no room in the same words for every box", async () => {
    const relay = await startRelay({ env });
    const [bob, mallory] = [person(), person()];
    await hold(relay, [giftWrap({ to: bob })]);
    await EventStream.open(relay, mallory, "", here.headers);
    await EventStream.open(relay, mallory, "", here.headers);
    await untilOpen(relay, 2);
    const answers = [];
    for (const owner of [bob, person()]) {
      answers.push(bytesOf(await askAs(mallory, boxOf(relay, owner), here)));
    }
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/^HTTP (403|429)\n/);
  });

  it("count with its WebSockets", async () => {
    const relay = await startRelay({ env });
    const bob = person();
    await Client.connect(relay.url, here.headers);
    await EventStream.open(relay, bob, "", here.headers);
    await untilOpen(relay, 2);
    expect((await askAs(bob, boxOf(relay, bob), here)).status).toBe(429);
  });
});

// Far more than the relay's outbox and the kernel's buffers hold.
const MANY = 300;
const DROP_BYTES = 60_000;

describe("a reader that does not read", () => {
  const env = {
    DEADDROP_METRICS: "127.0.0.1:0",
    DEADDROP_LIMITS_OUTBOX_BYTES: "256KiB",
    DEADDROP_LIMITS_PING_SECONDS: "1s",
    DEADDROP_LIMITS_DEAD_SECONDS: "2s",
  };

  it.each([
    ["a pickup", {}],
    ["an event stream", { accept: "text/event-stream" }],
  ])(
    "is cut off in the middle of %s, while others are served and nothing is lost",
    async (_, headers) => {
      const relay = await startRelay({ env });
      const bob = person();
      const drops = dropsFor(bob, MANY, { bytes: DROP_BYTES });
      await hold(relay, drops);
      const deaf = await openUnread(relay, bob, headers);
      expect((await pickup(relay, bob)).events).toEqual(inOrder(drops));
      const carol = person();
      const stream = await EventStream.open(relay, carol);
      expect(await stream.hear()).toEqual(ALL);

      for (let cutOff = 0; cutOff === 0; cutOff = (await metricsOf(relay)).get(CUT_OFF) ?? 0) {
        const drop = giftWrap({ to: carol });
        await hold(relay, [drop]);
        expect(await stream.hear()).toEqual(brought(drop));
        await post(relay, "/ack", acknowledgement(carol, [drop]));
      }
      await expect(text(deaf)).rejects.toThrow("aborted");
      await untilOpen(relay, 1);
      expect(await count(relay, bob)).toEqual({ count: MANY });
    },
  );

  it("is cut off when more comes live than its outbox takes, while others hear it all", async () => {
    // Only for what it does not take, and not for the time.
    const patient = { ...env, DEADDROP_LIMITS_DEAD_SECONDS: "10m" };
    const relay = await startRelay({ env: patient });
    const bob = person();
    const deaf = await openUnread(relay, bob, { accept: "text/event-stream" });
    const quick = await EventStream.open(relay, bob);
    expect(await quick.hear()).toEqual(ALL);
    const coming = dropsFor(bob, MANY, { bytes: DROP_BYTES });
    for (const drop of coming) {
      await hold(relay, [drop]);
      expect(await quick.hear()).toEqual(brought(drop));
    }
    expect((await metricsOf(relay)).get(CUT_OFF)).toBe(1);
    await expect(text(deaf)).rejects.toThrow("aborted");
    expect((await pickup(relay, bob)).events).toEqual(inOrder(coming));
  });

  it("gets everything when it reads on in time", async () => {
    const patient = { ...env, DEADDROP_LIMITS_DEAD_SECONDS: "10m" };
    const relay = await startRelay({ env: patient });
    const bob = person();
    const drops = inOrder(dropsFor(bob, MANY, { bytes: DROP_BYTES }));
    await hold(relay, drops);
    const slow = await openUnread(relay, bob, {});
    expect(await count(relay, bob)).toEqual({ count: MANY });
    const gone = drops.slice(-10);
    await post(relay, "/ack", acknowledgement(bob, gone));
    const lines = (await text(slow)).split("\n").filter(Boolean);
    // What was acknowledged before its turn came is not shown.
    expect(lines).toEqual(drops.slice(0, -10).map((drop) => JSON.stringify(drop)));
  });
});

/** Asks for a box, hears that the answer begins, and reads nothing of it. */
async function openUnread(
  relay: RelayProcess,
  owner: Person,
  headers: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const url = boxOf(relay, owner);
  const authorization = inHeader(authorizationEvent(owner, url));
  const request = get(url, { agent: false, headers: { ...headers, authorization } });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  return response;
}
