// How a client in Node connects: directly, and through a SOCKS5 proxy.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type LookupFunction } from "node:net";

import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it, onTestFinished } from "vitest";

import { type DeadDropOptions } from "../../src/client/client.ts";
import { nodeNetwork, throughSocks } from "../../src/client/node.ts";
import { Client, now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { socksProxy } from "../support/socks.ts";
import { all, deadDrop, publicRelay, statesOf, texts } from "./support.ts";

const ONION = `${"a".repeat(55)}d.onion`;

/** What stands before a relay and notes from which port each connection comes. */
async function doorTo(url: string): Promise<{ readonly port: number; readonly seen: number[] }> {
  const seen: number[] = [];
  const server = createServer((client) => {
    seen.push(client.remotePort ?? 0);
    const relay = connect(Number(new URL(url).port), "127.0.0.1");
    client.on("error", () => {}).on("close", () => relay.destroy());
    relay.on("error", () => {}).on("close", () => client.destroy());
    client.pipe(relay).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, seen };
}

/** Where everybody finds that this person receives at this relay. */
async function listed(who: Person, relay: string): Promise<string> {
  const directory = await publicRelay();
  const list = { kind: 10_050, created_at: now(), tags: [["relay", relay]], content: "" };
  await (await Client.connect(directory.url)).publish(finalizeEvent(list, who.secret));
  return directory.url;
}

/** A resolver that knows these names: what each is at the first, the second and each later question. Empty: it does not exist. */
function resolver(names: Readonly<Record<string, readonly string[]>>): LookupFunction {
  const asked = new Map<string, number>();
  return (name, options, found) => {
    const times = asked.get(name) ?? 0;
    asked.set(name, times + 1);
    const addresses = names[name] ?? [];
    const address = addresses[Math.min(times, addresses.length - 1)] ?? "";
    if (address === "") return found(new Error(`getaddrinfo ENOTFOUND ${name}`), []);
    const all = [{ address, family: address.includes(":") ? 6 : 4 }];
    if (options.all === true) found(null, all);
    else found(null, address, all[0]?.family);
  };
}

describe("a relay that others name, in Node,", () => {
  const shared = sharedRelay();

  /** What becomes of a message to somebody who says to receive at this host. */
  async function sentTo(
    host: string,
    names: Readonly<Record<string, readonly string[]>>,
    options: Partial<DeadDropOptions> = {},
  ): Promise<{ readonly state: string; readonly reason: string; readonly connections: number }> {
    const door = await doorTo(shared().url);
    const bob = person();
    const url = `ws://${host}:${door.port}/`;
    const discovery = [await listed(bob, url)];
    const lookup = resolver(names);
    const client = deadDrop(person(), [], {
      discovery,
      patienceSeconds: 0.5,
      ...nodeNetwork({ lookup }),
      ...options,
    });
    const [report] = (await client.send(bob.key, "x")).reports;
    const { state = "", reason = "" } = report ?? {};
    return { state, reason, connections: door.seen.length };
  }

  it.each(["127.0.0.1", "192.168.7.7", "::1", "::ffff:10.0.0.1", "fe80::1"])(
    "is not connected to where its name resolves to a private address: %s",
    async (address) => {
      const { state, reason, connections } = await sentTo("relay.example", {
        "relay.example": [address],
      });
      expect({ state, connections }).toEqual({ state: "refused", connections: 0 });
      expect(reason).toBe(
        `blocked: relay.example resolves to ${address}, within a private network`,
      );
    },
  );

  it("is not connected to where its name resolves to a private address later", async () => {
    const { state, reason, connections } = await sentTo("relay.example", {
      "relay.example": ["", "127.0.0.1"],
    });
    expect({ state, connections }).toEqual({ state: "refused", connections: 0 });
    expect(reason).toMatch(/^blocked: relay\.example resolves to 127\.0\.0\.1/);
  });

  it("may resolve to any address where one names it oneself", async () => {
    const door = await doorTo(shared().url);
    const lookup = resolver({ "relay.example": ["127.0.0.1"] });
    const client = deadDrop(person(), [], nodeNetwork({ lookup }));
    const relays = [`ws://relay.example:${door.port}`];
    const delivery = await client.send(person().key, "x", { relays });
    expect(statesOf(delivery.reports)).toEqual(["held"]);
  });

  it("is said to need a proxy where it is an onion service, and no resolver is asked for it", async () => {
    const { state, reason } = await sentTo(ONION, { [ONION]: ["127.0.0.1"] });
    expect(state).toBe("refused");
    expect(reason).toBe(`blocked: ${ONION} is reached through Tor alone: give its SOCKS proxy`);
  });
});

describe("a SOCKS proxy", () => {
  const shared = sharedRelay({ env: { DEADDROP_ALIASES: `ws://${ONION}` } });

  it("carries everything, resolves every name, and reaches onion services", async () => {
    const door = await doorTo(shared().url);
    const directory = await publicRelay();
    const proxy = await socksProxy((host) =>
      host === ONION ? door.port : host === "lists.example" ? portOf(directory.url) : undefined,
    );
    const [alice, bob] = [person(), person()];
    const options = { discovery: ["ws://lists.example"], ...throughSocks(proxy.address) };
    const recipient = deadDrop(bob, [{ url: `ws://${ONION}` }], options);
    const published = await recipient.publishRelays();
    expect(published[0]).toEqual({ url: "ws://lists.example/", refusal: undefined });
    const sender = deadDrop(alice, [], options);
    const delivery = await sender.send(bob.key, "from nowhere");
    expect(delivery.reports).toMatchObject([{ url: `ws://${ONION}/`, state: "held" }]);
    // Its document came the same way.
    expect(delivery.reports[0]?.heldUntil).toBeGreaterThan(now());
    const picked = await all(recipient.pickup());
    expect(texts(picked)).toEqual(["from nowhere"]);
    expect(statesOf(await recipient.acknowledge(picked.map(({ id }) => id)))).toEqual(["done"]);
    // Whoever came to the relay came from the proxy; and names were left to it.
    const fromProxy = proxy.asked.filter(({ host }) => host === ONION).map(({ from }) => from);
    expect(new Set(door.seen)).toEqual(new Set(fromProxy));
    expect(door.seen).toHaveLength(fromProxy.length);
    expect(new Set(proxy.asked.map(({ host }) => host))).toEqual(new Set([ONION, "lists.example"]));
  });

  it("is given another name and password for every connection, so that Tor keeps them on circuits apart", async () => {
    const proxy = await socksProxy(() => portOf(shared().url));
    const bob = person();
    const url = `ws://${ONION}/`;
    const client = deadDrop(bob, [{ url }], throughSocks(proxy.address));
    await client.send(bob.key, "to myself", { relays: [url] });
    expect(texts(await all(client.pickup()))).toEqual(["to myself"]);
    const users = proxy.asked.map(({ user }) => user);
    expect(users.length).toBeGreaterThanOrEqual(3);
    expect(new Set(users).size).toBe(users.length);
    for (const user of users) expect(user).toMatch(/^[\w-]{20,}:[\w-]{20,}$/);
  });

  it("is the only way also where other settings were spread before it", async () => {
    const door = await doorTo(shared().url);
    const bob = person();
    const directory = { url: await listed(bob, "ws://relay.example/") };
    const proxy = await socksProxy((host) =>
      host === "lists.example" ? portOf(directory.url) : door.port,
    );
    const client = deadDrop(person(), [], {
      discovery: ["ws://lists.example"],
      ...nodeNetwork({ lookup: resolver({}) }),
      ...throughSocks(proxy.address),
    });
    const delivery = await client.send(bob.key, "x");
    expect(statesOf(delivery.reports)).toEqual(["held"]);
    expect(proxy.asked.map(({ host }) => host)).toContain("relay.example");
  });

  it("does not carry anybody into its own network because a stranger says so", async () => {
    const bob = person();
    const directory = await listed(bob, "ws://10.0.0.1/");
    const proxy = await socksProxy(() => portOf(directory));
    const discovery = ["ws://lists.example"];
    const client = deadDrop(person(), [], { discovery, ...throughSocks(proxy.address) });
    expect(statesOf((await client.send(bob.key, "x")).reports)).toEqual(["refused"]);
    expect(proxy.asked.map(({ host }) => host)).toEqual(["lists.example"]);
  });

  it("is said to have refused, or not to be there", async () => {
    const proxy = await socksProxy(() => undefined);
    const options = { patienceSeconds: 0.5, ...throughSocks(proxy.address) };
    const relays = [`ws://${ONION}`];
    const refused = await deadDrop(person(), [], options).send(person().key, "x", { relays });
    expect(refused.reports[0]).toMatchObject({
      state: "unreachable",
      reason: expect.stringMatching(
        /^through the SOCKS proxy at 127\.0\.0\.1:\d+: .*HostUnreachable/,
      ) as string,
    });
    const absent = { patienceSeconds: 0.5, ...throughSocks("127.0.0.1:1") };
    const lost = await deadDrop(person(), [], absent).send(person().key, "x", { relays });
    expect(lost.reports[0]?.reason).toMatch(
      /^through the SOCKS proxy at 127\.0\.0\.1:1: .*ECONNREFUSED/,
    );
  });

  it.each([
    "",
    "9050",
    "127.0.0.1",
    "http://127.0.0.1:9050",
    "127.0.0.1:9050/x",
    "a:b@127.0.0.1:9050",
    "127.0.0.1:99999",
  ])("is named by a host and a port, and not by %j", (text) => {
    expect(() => throughSocks(text)).toThrow(/is no SOCKS proxy; give its host and port/);
  });

  it.each(["127.0.0.1:9050", "localhost:9150", "[::1]:9050", "socks5h://127.0.0.1:9050"])(
    "is named by %s",
    (text) => {
      expect(Object.keys(throughSocks(text)).toSorted()).toEqual([
        "fetch",
        "strangers",
        "webSocket",
      ]);
    },
  );
});

function portOf(url: string): number {
  return Number(new URL(url).port);
}
