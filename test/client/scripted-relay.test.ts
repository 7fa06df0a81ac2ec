// The relay that the client is tried on without a network, tried itself with a client that is not ours.

import type { NostrEvent } from "nostr-tools";
import { Relay, useWebSocketImplementation } from "nostr-tools/relay";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";

import { acknowledgement, giftWrap, inOrder, signed } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type Signer, signer } from "../support/simple-pool.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import {
  type Conduct,
  type Network,
  networkOf,
  ScriptedRelay,
  type ScriptedRelayOptions,
} from "./scripted-relay.ts";

const NOW = 1_800_000_000;

type Setting = {
  readonly relay: ScriptedRelay;
  readonly bob: Person;
  readonly time: VirtualTime;
  readonly webSocket: Network["webSocket"];
  readonly fetch: Network["fetch"];
  readonly connect: () => Promise<Relay>;
};

function setUp(options: ScriptedRelayOptions = {}): Setting {
  const time = VirtualTime.from(NOW);
  const relay = new ScriptedRelay("relay.example", options);
  const { webSocket, fetch } = networkOf([relay]);
  useWebSocketImplementation(webSocket);
  onTestFinished(() => useWebSocketImplementation(WebSocket));
  const connect = (): Promise<Relay> => time.until(Relay.connect(relay.url), 10);
  return { relay, bob: person(), time, webSocket, fetch, connect };
}

/** Signs what the relay asks for. Without more nostr-tools throws where nobody catches it when that is refused. */
function authenticates(connection: Relay, sign: Signer): void {
  const auth = connection.auth.bind(connection);
  connection.auth = (onauth) => auth(onauth).catch((error: Error) => error.message);
  connection.onauth = sign;
}

type Shown = { readonly events: NostrEvent[]; isAtEnd: boolean; closed: string | undefined };

/** Subscribes to one's box, and authenticates when asked to. */
function subscribe(connection: Relay, who: Person): Shown {
  const shown: Shown = { events: [], isAtEnd: false, closed: undefined };
  authenticates(connection, signer(who));
  connection.subscribe([{ kinds: [1059], "#p": [who.key] }], {
    onevent: (event) => shown.events.push(event),
    oneose: () => (shown.isAtEnd = true),
    onclose: (reason) => (shown.closed = reason),
  });
  return shown;
}

describe("a scripted relay", () => {
  it("holds drops, shows them to whom they are for, stored and live, and forgets what is acknowledged", async () => {
    const { relay, bob, time, connect } = setUp();
    const [stored, live] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const foreign = giftWrap({ to: person() });
    const connection = await connect();
    expect(await time.until(connection.publish(stored), 10)).toBe("");
    expect(relay.publish(foreign)).toEqual([true, ""]);
    const shown = subscribe(connection, bob);
    await time.passes(1);
    expect(shown).toMatchObject({ isAtEnd: true, closed: undefined });
    expect(shown.events.map(({ id }) => id)).toEqual([stored.id]);
    relay.publish(live);
    await time.passes(1);
    expect(shown.events.map(({ id }) => id)).toEqual([stored.id, live.id]);

    await time.until(connection.publish(acknowledgement(bob, [stored])), 10);
    expect(relay.box(bob)).toEqual([live]);
    expect([...relay.acknowledged]).toEqual([stored.id]);
    expect(relay.publish(stored)).toEqual([true, "duplicate: already have this event"]);
    expect(relay.box(bob)).toEqual([live]);
    expect(relay.harms).toEqual([]);
  });

  it("lets a drop be for its grace", async () => {
    const { relay, bob, time } = setUp();
    const drop = giftWrap({ to: bob });
    relay.publish(drop);
    relay.publish(acknowledgement(bob, [drop], NOW + 100));
    await time.passes(99);
    expect(relay.box(bob)).toEqual([drop]);
    await time.passes(1);
    expect(relay.box(bob)).toEqual([]);
    expect(relay.publish(drop)).toEqual([true, "duplicate: already have this event"]);
    expect(relay.box(bob)).toEqual([]);
  });

  it("obeys the recipient's acknowledgement alone", () => {
    const { relay, bob } = setUp();
    const drop = giftWrap({ to: bob });
    relay.publish(drop);
    relay.publish(acknowledgement(person(), [drop]));
    const forged = { ...acknowledgement(person(), [drop]), pubkey: bob.key };
    expect(relay.publish(forged)).toEqual([false, "invalid: bad signature"]);
    expect(relay.box(bob)).toEqual([drop]);
  });

  it("answers page by page, and says whether there is more", async () => {
    const { relay, bob, time, connect } = setUp({ pageDrops: 2 });
    const drops = inOrder([0, 1, 2].map((age) => giftWrap({ to: bob, created_at: NOW - age })));
    for (const drop of drops) relay.publish(drop);
    const connection = await connect();
    const ends: unknown[] = [];
    const { ws } = connection as unknown as { ws: globalThis.WebSocket };
    ws.addEventListener("message", ({ data }) => {
      const [verb, , hints] = JSON.parse(data as string) as unknown[];
      if (verb === "EOSE") ends.push(hints);
    });
    const shown = subscribe(connection, bob);
    await time.passes(1);
    expect(shown.events.map(({ id }) => id)).toEqual(drops.slice(0, 2).map(({ id }) => id));
    const rest: NostrEvent[] = [];
    connection.subscribe([{ kinds: [1059], until: NOW - 2 }], {
      onevent: (event) => rest.push(event),
    });
    await time.passes(1);
    expect(rest.map(({ id }) => id)).toEqual(drops.slice(2).map(({ id }) => id));
    expect(ends).toEqual([["more"], ["finish"]]);
  });

  it("believes an AUTH by its own clock", async () => {
    const { relay, bob, time, connect } = setUp();
    relay.setsClock(-3_600);
    const connection = await connect();
    const shown = subscribe(connection, bob);
    await time.passes(2);
    expect(shown).toMatchObject({ events: [], isAtEnd: false });
    expect(shown.closed).toContain("restricted: authenticate first");
    expect(relay.harms.map(({ words }) => words)).toContain(
      "invalid: created_at is more than 10 minutes from now",
    );
    expect([...relay.secondary]).toEqual(["restricted: authenticate first #secondary#"]);
  });

  it("does not believe an AUTH for another challenge", async () => {
    const { relay, bob, time, connect } = setUp();
    const connection = await connect();
    authenticates(connection, (template) =>
      signer(bob)({
        ...template,
        tags: [
          ["relay", relay.url],
          ["challenge", "another"],
        ],
      }),
    );
    connection.subscribe([{ kinds: [1059] }], {});
    await time.passes(2);
    expect(relay.harms.map(({ words }) => words)).toContain(
      "invalid: the challenge is not the one of this connection",
    );
  });

  it("that refuses connections says why, and lets nobody in", async () => {
    const { relay, connect } = setUp();
    relay.behaves({ refuses: "connect ECONNREFUSED" });
    await expect(connect()).rejects.toThrow("connection failed");
    expect(relay.harms).toMatchObject([{ words: "connect ECONNREFUSED" }]);
    expect(relay.connections).toBe(0);
  });

  it("that is silent lets a socket wait for ever, and closes none", async () => {
    const { relay, time, webSocket } = setUp();
    relay.behaves({ isSilent: true });
    const events: string[] = [];
    const socket = new webSocket(relay.url);
    socket.addEventListener("open", () => events.push("open"));
    socket.addEventListener("error", () => events.push("error"));
    socket.addEventListener("close", () => events.push("close"));
    await time.passes(3_600);
    expect(events).toEqual([]);
    socket.close();
    await time.passes(1);
    expect(events).toEqual(["error", "close"]);
  });

  it.each<[string, Conduct, Partial<Shown>]>([
    ["refuses AUTH", { refusesAuth: "blocked: you" }, { isAtEnd: false }],
    ["cuts at AUTH", { cutsAt: "AUTH" }, { isAtEnd: false }],
    ["cuts in a page", { cutsAt: "EVENT" }, { isAtEnd: false }],
    ["cuts after EOSE", { cutsAt: "EOSE" }, { isAtEnd: true }],
    ["closes", { closes: "shutting down" }, { isAtEnd: false, closed: "shutting down" }],
    ["withholds EOSE", { withholdsEose: true }, { closed: undefined }],
    ["tells lies", { tells: () => [] }, { isAtEnd: true, events: [] }],
    ["injects", { injects: () => ['["HUH"]'] }, { isAtEnd: true }],
  ])("%s, and writes it down", async (_, conduct, expected) => {
    const { relay, bob, time, connect } = setUp();
    relay.publish(giftWrap({ to: bob }));
    const connection = await connect();
    relay.behaves(conduct);
    const shown = subscribe(connection, bob);
    await time.passes(2);
    expect(shown).toMatchObject(expected);
    expect(relay.harms.length).toBeGreaterThan(0);
  });

  it("that restarts loses its sockets and takes new ones", async () => {
    const { relay, bob, time, connect } = setUp();
    const connection = await connect();
    const shown = subscribe(connection, bob);
    await time.passes(1);
    relay.restarts();
    await time.passes(1);
    expect(connection.connected).toBe(false);
    expect(shown.closed).toBeDefined();
    expect(relay.connections).toBe(0);
    const again = subscribe(await connect(), bob);
    await time.passes(1);
    expect(again.isAtEnd).toBe(true);
  });

  it("refuses acknowledgements with its words, and takes them afterwards", async () => {
    const { relay, bob, time, connect } = setUp();
    const event = acknowledgement(bob, [giftWrap({ to: bob })]);
    const connection = await connect();
    relay.behaves({ refusesAcknowledgement: "weird: no" });
    const refused = connection.publish(event);
    await expect(time.until(refused, 10)).rejects.toThrow("weird: no");
    expect(relay.acknowledged.size).toBe(0);
    relay.behaves({});
    await time.until(connection.publish(event), 10);
    expect(relay.acknowledged.size).toBe(1);
    expect(relay.acknowledgements.map(({ event }) => event.id)).toEqual([event.id, event.id]);
  });

  it.each([true, false])("has a document: dead drop %s", async (isDeadDrop) => {
    const { relay, time, fetch } = setUp({ isDeadDrop });
    const response = await time.until(fetch(relay.url.replace("wss", "https")), 10);
    const document = (await time.until(response.json(), 10)) as { dead_drop?: object };
    expect("dead_drop" in document).toBe(isDeadDrop);
  });

  it("keeps nothing public", () => {
    const { relay, bob } = setUp();
    expect(relay.publish(signed(bob, { kind: 1 }))).toEqual([false, "blocked: not here"]);
  });
});
