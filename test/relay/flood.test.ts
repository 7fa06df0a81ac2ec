import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import { giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { RawSocket } from "../support/raw.ts";
import { sharedRelay } from "../support/relay.ts";

const TRUSTED = { DEADDROP_TRUSTED_PROXIES: "127.0.0.1", DEADDROP_METRICS: "127.0.0.1:0" };
const SLOW_DOWN = "rate-limited: slow down";
const TOO_MUCH = "rate-limited: this address has too much kept in memory";
const HEX = "ab".repeat(32);

/** One that takes about 110 KB. */
function filter(): object {
  return { authors: Array.from({ length: 900 }, (_, n) => n.toString(16).padStart(64, "0")) };
}

/** Opens subscriptions until one is refused, and answers how many were opened, and the refusal. */
async function fill(client: Client): Promise<[number, unknown]> {
  for (let opened = 0; opened < 1_000; opened++) {
    const { end } = await client.request(`s${opened}`, filter());
    if (end[0] === "CLOSED") return [opened, end[2]];
  }
  throw new Error("nothing was refused");
}

async function from(url: string, address: string, ...people: Person[]): Promise<Client> {
  const client = await Client.connect(url, { "x-forwarded-for": address });
  return people.length === 0 ? client : client.authenticate(...people);
}

async function cutOffs(metrics: string | undefined, why: string): Promise<number> {
  const text = await (await fetch(metrics ?? "")).text();
  const [, count = "0"] = new RegExp(`cut_off_total{reason="${why}"} (\\d+)`).exec(text) ?? [];
  return Number(count);
}

describe("one that floods", () => {
  const relay = sharedRelay({
    env: {
      ...TRUSTED,
      // Long to pay back.
      DEADDROP_LIMITS_REQUESTS_PER_SECOND: "1",
      DEADDROP_LIMITS_REQUESTS_BURST: "20",
      DEADDROP_LIMITS_DROPS_PER_SECOND: "1",
      DEADDROP_LIMITS_DROPS_BURST: "20",
    },
  });

  const floods: [string, (client: Client) => void][] = [
    ["messages that nobody understands", (client) => client.sayRaw("x")],
    ["binary messages", (client) => client.sayRaw(Buffer.alloc(1))],
    ["requests", (client) => client.say("REQ", "s", {})],
    ["pings", (client) => client.socket.ping()],
    ["pongs that nobody asked for", (client) => client.socket.pong()],
    ["events", (client) => client.say("EVENT", { id: HEX })],
  ];

  it.each(floods)("is refused, then cut off, and not let in again: %s", async (what, flood) => {
    const address = `203.0.113.${10 + floods.findIndex(([name]) => name === what)}`;
    const client = await from(relay().url, address);
    const before = await cutOffs(relay().metrics, "does_not_slow_down");
    // A thousand refusals are borne.
    for (let sent = 0; sent < 1_200; sent++) flood(client);
    expect((await client.closed).code).toBe(1006);
    expect(await cutOffs(relay().metrics, "does_not_slow_down")).toBe(before + 1);
    await expect(from(relay().url, address)).rejects.toThrow("HTTP 429");
    const headers = { "x-forwarded-for": address };
    expect((await fetch(relay().http, { headers })).status).toBe(429);
    const other = await from(relay().url, "203.0.113.99");
    const drop = giftWrap({ to: person() });
    expect(await other.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    other.end();
  });

  it("is cut off the sooner the larger its messages are", async () => {
    const client = await from(relay().url, "203.0.113.2");
    const large = "[".repeat(127 * 1_024);
    for (let sent = 0; sent < 50; sent++) client.sayRaw(large);
    expect((await client.closed).code).toBe(1006);
  });

  it("is refused by name before its messages are parsed", async () => {
    const client = await from(relay().url, "203.0.113.1");
    // What 80 KB of brackets cost to parse, all tokens are needed for.
    client.sayRaw("[".repeat(80 * 1_024));
    expect((await client.hear())[0]).toBe("NOTICE");
    client.sayRaw('["REQ","s",{"unknown":');
    expect(await client.hear()).toEqual(["CLOSED", "s", SLOW_DOWN]);
    client.sayRaw('["COUNT","c"');
    expect(await client.hear()).toEqual(["CLOSED", "c", SLOW_DOWN]);
    client.sayRaw(`["AUTH",{"id":"${HEX}"`);
    expect(await client.hear()).toEqual(["OK", HEX, false, SLOW_DOWN]);
    client.sayRaw("[[[[");
    expect(await client.hear()).toEqual(["NOTICE", SLOW_DOWN]);
  });
});

describe("a client that pings", () => {
  const impatient = sharedRelay({
    env: { DEADDROP_LIMITS_PING_SECONDS: "1", DEADDROP_LIMITS_DEAD_SECONDS: "3" },
  });

  it("and does not answer the relay's pings is as good as gone", async () => {
    const socket = await RawSocket.open(impatient().url);
    const ping = Buffer.from([0x89, 0x80, 0, 0, 0, 0]);
    const timer = setInterval(() => socket.write(ping), 100);
    await socket.closed;
    clearInterval(timer);
    // Its pings were answered meanwhile.
    expect(socket.heard).toContain("\x8a\x00");
  });
});

describe("work for one address", () => {
  const relay = sharedRelay({
    env: {
      ...TRUSTED,
      DEADDROP_LIMITS_REQUESTS_PER_SECOND: "5",
      DEADDROP_LIMITS_REQUESTS_BURST: "60",
    },
  });

  it("is charged when it is done, and what was admitted earlier waits until it is paid for", async () => {
    const [eve, bob] = [person(), person()];
    const sender = await from(relay().url, "198.51.100.1");
    // Every one of them has to be read for the question below.
    const drops = Array.from({ length: 400 }, () =>
      giftWrap({ to: eve, content: "x".repeat(20_000) }),
    );
    for (const drop of drops) sender.say("EVENT", drop);
    for (const _ of drops) await sender.hear();
    const attackers = await Promise.all(
      Array.from({ length: 4 }, () => from(relay().url, "198.51.100.2", eve)),
    );
    let answered = 0;
    for (const attacker of attackers) {
      for (let asked = 0; asked < 10; asked++) attacker.say("COUNT", "c", { authors: [HEX] });
      attacker.socket.on("message", () => {
        answered += 1;
      });
    }
    const honest = await from(relay().url, "198.51.100.3", bob);
    expect(await honest.pickup()).toEqual([]);
    expect(await honest.count({})).toEqual(["COUNT", "count", { count: 0 }]);
    const drop = giftWrap({ to: bob });
    await honest.publish(drop);
    expect(await honest.pickup()).toEqual([drop.id]);
    // They were admitted before the honest one asked; not all of them are done, nor will be soon.
    expect(answered).toBeLessThan(40);
    for (const attacker of attackers) attacker.end();
  });
});

describe("what one address has kept in memory", () => {
  const relay = sharedRelay({
    env: {
      ...TRUSTED,
      DEADDROP_LIMITS_FILTER_BYTES: "256KiB",
      DEADDROP_LIMITS_OUTBOX_BYTES: "512KiB",
      DEADDROP_LIMITS_MEMORY_PER_ADDRESS: "1MiB",
      DEADDROP_LIMITS_MEMORY: "1536KiB",
      DEADDROP_LIMITS_SUBSCRIPTIONS: "1000",
    },
  });

  it("is bounded for each connection, and goes when its subscriptions do", async () => {
    const client = await from(relay().url, "203.0.113.1", person());
    const [opened, reason] = await fill(client);
    const sends = "a REQ whose filters, with those that are open, take more than 1 MiB";
    expect(documented(sends, ["CLOSED", "s", reason as string])[2]).toBe(TOO_MUCH);
    expect(opened).toBeGreaterThan(0);
    expect(opened).toBeLessThanOrEqual(4);
    for (let closed = 0; closed < opened; closed++) client.say("CLOSE", `s${closed}`);
    expect((await fill(client))[0]).toBe(opened);
    client.end();
    await client.closed;
  });

  it("is bounded for each address and in all, and goes with its connections", async () => {
    const clients: Client[] = [];
    const open = async (address: string): Promise<number> => {
      const client = await from(relay().url, address, person());
      clients.push(client);
      return (await fill(client))[0];
    };
    const alone = await open("203.0.113.2");
    for (let more = 0; more < 20; more++) await open("203.0.113.2");
    expect(await open("203.0.113.2")).toBe(0);
    // Of the second one only half is left.
    expect(await open("203.0.113.3")).toBe(alone);
    for (let more = 0; more < 20; more++) await open("203.0.113.3");
    expect(await open("203.0.113.4")).toBe(0);
    // Who asks for little is served.
    const small = await from(relay().url, "203.0.113.5", person());
    expect(await small.pickup()).toEqual([]);
    for (const client of clients) client.end();
    await Promise.all(clients.map(({ closed }) => closed));
    expect(await open("203.0.113.2")).toBe(alone);
  });

  it("includes the messages that wait for a key", async () => {
    const client = await from(relay().url, "203.0.113.6");
    for (let asked = 0; asked < 20; asked++) client.say("REQ", `s${asked}`, filter());
    expect((await client.hear())[2]).toBe(TOO_MUCH);
  });
});

describe("a live drop to many subscriptions of its recipient", () => {
  const relay = sharedRelay({
    env: {
      ...TRUSTED,
      DEADDROP_LIMITS_REQUESTS_PER_SECOND: "1",
      DEADDROP_LIMITS_REQUESTS_BURST: "200",
    },
  });

  it("is sent to as many as the address's tokens pay for", async () => {
    const bob = person();
    const clients = await Promise.all(
      Array.from({ length: 9 }, () => from(relay().url, "203.0.113.1", bob)),
    );
    for (const client of clients) {
      for (let open = 0; open < 15; open++) await client.request(`s${open}`, { limit: 0 });
    }
    const sender = await from(relay().url, "203.0.113.2");
    // 135 each, in one flight: twenty more are paid for in a second.
    const drops = Array.from({ length: 3 }, () => giftWrap({ to: bob }));
    for (const drop of drops) sender.say("EVENT", drop);
    for (const _ of drops) expect((await sender.hear())[2]).toBe(true);
    await Promise.race(clients.map(({ closed }) => closed));
    expect(await cutOffs(relay().metrics, "has_too_much_sent_to_it_twice")).toBeGreaterThan(0);
  });

  it("is always sent to one", async () => {
    const bob = person();
    const client = await from(relay().url, "203.0.113.3", bob);
    await client.request("s", {});
    const sender = await from(relay().url, "203.0.113.4");
    for (let sent = 0; sent < 350; sent++) {
      const drop = giftWrap({ to: bob });
      await sender.publish(drop);
      expect(await client.hear()).toEqual(["EVENT", "s", drop]);
    }
  });
});

describe("pings that cannot be answered yet", () => {
  const relay = sharedRelay();
  // uWebSockets.js answers each by itself.
  const answersEach = process.env["DEADDROP_TRANSPORT"] === "uws";
  const PINGS = 200_000;

  /** A reader that does not read, and pings; what it hears when it reads again. */
  async function pinging(): Promise<{ reader: Client; pongs: string[] }> {
    const reader = await Client.connect(relay().url);
    const pongs: string[] = [];
    reader.socket.on("pong", (data: Buffer) => pongs.push(data.toString().trim()));
    reader.socket.pause();
    for (let sent = 1; sent <= PINGS; sent++) {
      const ping = String(sent).padEnd(125);
      if (sent % 1_000 > 0) reader.socket.ping(ping);
      else await new Promise((resolve) => reader.socket.ping(ping, true, resolve));
    }
    reader.socket.resume();
    return { reader, pongs };
  }

  it.skipIf(answersEach)("are answered by the latest", async () => {
    const { pongs } = await pinging();
    while (pongs.at(-1) !== String(PINGS)) await new Promise((resolve) => setImmediate(resolve));
    expect(pongs.length).toBeLessThan(PINGS);
  });

  it.runIf(answersEach)("are no more than the outbox takes", async () => {
    const { reader } = await pinging();
    expect((await reader.closed).code).toBe(1006);
  });
});
