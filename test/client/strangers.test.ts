// Relays that other people name: what the client connects to within one's own network is not theirs to choose.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it, onTestFinished } from "vitest";

import { isPrivateHost } from "../../src/client/private-host.ts";
import { Client, now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { deadDrop, publicRelay, statesOf } from "./support.ts";

/** Something within one's own network that is no relay, and counts who connects. */
async function innerService(): Promise<{
  readonly port: number;
  readonly connections: () => number;
}> {
  let connections = 0;
  const server = createServer((_, response) => response.end("{}"));
  server.on("connection", () => (connections += 1));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

/** Where everybody finds that this person receives at these relays. */
async function listed(who: Person, relays: readonly string[]): Promise<string> {
  const directory = await publicRelay();
  const tags = relays.map((relay) => ["relay", relay]);
  const list = { kind: 10_050, created_at: now(), tags, content: "" };
  const client = await Client.connect(directory.url);
  await client.publish(finalizeEvent(list, who.secret));
  return directory.url;
}

const REFUSED = /^blocked: \S+ is within a private network, .*name the relay yourself$/;

describe("a recipient's list", () => {
  const shared = sharedRelay();

  it("makes no connection to a private address, and the sender learns of it", async () => {
    const inner = await innerService();
    const bob = person();
    const names = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"];
    const discovery = await listed(
      bob,
      names.map((name) => `ws://${name}:${inner.port}`),
    );
    const delivery = await deadDrop(person(), [], { discovery: [discovery] }).send(bob.key, "x");
    // Three of the spellings are one URL.
    expect(statesOf(delivery.reports)).toEqual(["refused", "refused", "refused", "refused"]);
    for (const { reason } of delivery.reports) expect(reason).toMatch(REFUSED);
    expect(delivery.mayArrive).toBe(false);
    expect(inner.connections()).toBe(0);
  });

  it.each(["relays", "discovery"] as const)(
    "may name what one's own configuration names as %s",
    async (option) => {
      const bob = person();
      const directory = await listed(bob, [shared().url]);
      const more = { discovery: [directory], relays: [] as string[] };
      more[option].push(shared().url);
      const delivery = await deadDrop(person(), [], more).send(bob.key, "x");
      expect(statesOf(delivery.reports)).toEqual(["held"]);
    },
  );

  it("is looked up once where the lookup is given, and is a stranger's word all the same", async () => {
    const inner = await innerService();
    const bob = person();
    const discovery = await listed(bob, [`ws://127.0.0.1:${inner.port}`]);
    const sender = deadDrop(person(), [], { discovery: [discovery] });
    const lookup = await sender.lookUpRelays(bob.key);
    // Nobody is asked any more: this one knows no discovery relay.
    const other = deadDrop(person(), [], { discovery: [] });
    const delivery = await other.send(bob.key, "x", { lookup });
    expect(delivery.reports[0]?.reason).toMatch(REFUSED);
    expect(inner.connections()).toBe(0);
  });

  it("is not asked about a relay that is given with the message, nor when it is gone on with", async () => {
    const bob = person();
    const sender = deadDrop(person(), []);
    const delivery = await sender.send(bob.key, "x", { relays: [shared().url] });
    expect(statesOf(delivery.reports)).toEqual(["held"]);
    const later = deadDrop(person(), []);
    const { had: _, ...target } = delivery.save().targets[0] ?? { url: "" };
    const resumed = await later.resume({ ...delivery.save(), targets: [target] });
    expect(statesOf(resumed.reports)).toEqual(["known"]);
  });

  it("leads to no private address either where a saved delivery is gone on with", async () => {
    const inner = await innerService();
    const url = `ws://127.0.0.1:${inner.port}/`;
    const sender = deadDrop(person(), [], { patienceSeconds: 0.5 });
    const saved = (await sender.send(person().key, "x", { relays: [url] })).save();
    const before = inner.connections();
    const targets = saved.targets.map((target) => ({ ...target, isFound: true }));
    const resumed = await deadDrop(person(), []).resume({ ...saved, targets });
    expect(resumed.reports[0]?.reason).toMatch(REFUSED);
    expect(inner.connections()).toBe(before);
    // As it was saved, it names a relay that was given with the message.
    await deadDrop(person(), [], { patienceSeconds: 0.5 }).resume(saved);
    expect(inner.connections()).toBeGreaterThan(before);
  });
});

describe("a private host", () => {
  it.each([
    ..."0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254".split(
      " ",
    ),
    ..."169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.168.0.1 198.18.0.1 198.19.255.255".split(
      " ",
    ),
    ..."198.51.100.7 203.0.113.7 224.0.0.251 239.255.255.250 240.0.0.1 255.255.255.255".split(" "),
    ..."2130706433 0x7f000001 0177.0.0.1 127.1 0xa.0.0.1 １２７.0.0.1 127。0。0。1".split(" "),
    ..."[::] [::1] [::ffff:10.0.0.1] [::ffff:7f00:1] [64:ff9b::10.0.0.1] [64:ff9b::7f00:1]".split(
      " ",
    ),
    ..."[64:ff9b:1::1] [::127.0.0.1] [2002:7f00:1::] [2002:c0a8:101::1] [2001::1] [2001:db8::1]".split(
      " ",
    ),
    ..."[3fff::1] [fc00::1] [fd12:3456::1] [fe80::1] [fec0::1] [ff02::1] [100::1] [5f00::1]".split(
      " ",
    ),
    ..."localhost LOCALHOST localhost. relay.localhost printer.local relay.internal nas.home.arpa".split(
      " ",
    ),
    ..."router router.lan relay.intranet relay.corp. home.arpa relay.home relay.private x.test".split(
      " ",
    ),
  ])("is %s", (host) => {
    expect(isPrivateHost(new URL(`ws://${host}/`).hostname)).toBe(true);
  });

  it.each([
    ..."1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1".split(
      " ",
    ),
    ..."169.253.0.1 172.15.0.1 172.32.0.1 192.0.1.1 192.167.1.1 198.17.0.1 198.20.0.1 223.255.255.255".split(
      " ",
    ),
    ..."[2606:4700::1111] [2001:200::1] [2a00::1] [3ffe::1] [::ffff:1.1.1.1] [64:ff9b::1.1.1.1]".split(
      " ",
    ),
    ..."[2002:101:101::1] relay.example.com local.example.com internal.example localhost.example".split(
      " ",
    ),
    ..."mylocal.example xn--bcher-kva.example abcdef.onion".split(" "),
  ])("is not %s", (host) => {
    expect(isPrivateHost(new URL(`ws://${host}/`).hostname)).toBe(false);
  });

  it.each(["fe80::1%eth0", "::1", "::ffff:192.168.1.1", "10.1.2.3"])(
    "is %s, as a resolver spells it",
    (address) => {
      expect(isPrivateHost(address)).toBe(true);
    },
  );
});
