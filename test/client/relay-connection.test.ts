import { afterEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";

import type { SocketSettings, WebSocketFactory } from "../../src/client/socket.ts";
import { RelayConnection } from "../../src/client/relay-connection.ts";
import { secretSigner } from "../../src/client/signer.ts";
import { now } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { scriptedRelay } from "./support.ts";

const SETTINGS: SocketSettings = {
  patienceSeconds: 5,
  retrySeconds: 1,
  maxRetrySeconds: 60,
  idleSeconds: 30,
  heartbeatSeconds: 60,
};

function connection(
  url: string,
  change: Partial<SocketSettings> = {},
  webSocket: WebSocketFactory = WebSocket,
): RelayConnection {
  const runtime = { now, random: () => 0.5 };
  const made = new RelayConnection(
    url,
    { webSocket, runtime, signers: [] },
    { ...SETTINGS, ...change },
  );
  onTestFinished(() => made.close());
  return made;
}

function keyed(url: string): RelayConnection {
  const signers = [secretSigner(person().secret)];
  const runtime = { now, random: Math.random };
  const made = new RelayConnection(url, { webSocket: WebSocket, runtime, signers }, SETTINGS);
  onTestFinished(() => made.close());
  return made;
}

describe("a connection to a relay", () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it("waits longer and longer between its tries, up to a limit, and tries at once when it is asked again", async () => {
    vi.useFakeTimers();
    const tries: number[] = [];
    class Unreachable extends EventTarget {
      constructor() {
        super();
        tries.push(Date.now());
        queueMicrotask(() => this.dispatchEvent(new Event("close")));
      }
      send(): void {}
      close(): void {}
    }
    const own = connection("ws://nowhere/", {}, Unreachable as unknown as WebSocketFactory);
    own.subscribe([{}], { event: () => {} });
    await vi.advanceTimersByTimeAsync(200_000);
    // Three quarters of 1, 2, 4, … seconds, as chance would have it here, and at most of 60.
    const waits = tries.slice(1).map((at, index) => (at - (tries[index] ?? 0)) / 1_000);
    expect(waits).toEqual([0.75, 1.5, 3, 6, 12, 24, 45, 45, 45]);
    void own.publish(giftWrap({ to: person() }));
    expect(tries).toHaveLength(waits.length + 2);
  });

  it("gives up a connection that does not answer any more, and asks again on another", async () => {
    let connections = 0;
    const relay = await scriptedRelay({
      opened: () => (connections += 1),
      heard([verb, id], say) {
        if (verb === "REQ" && id !== "heartbeat") say("EOSE", id);
      },
    });
    const own = connection(relay.url, {
      heartbeatSeconds: 0.05,
      patienceSeconds: 0.2,
      retrySeconds: 0.01,
    });
    await new Promise<void>((resolve) => {
      own.subscribe([{ kinds: [1059] }], {
        event: () => {},
        eose: () => connections === 2 && resolve(),
      });
    });
    expect(relay.heard).toContainEqual(["REQ", "heartbeat", { kinds: [1059], limit: 0 }]);
  });

  it("keeps a connection whose heartbeat is answered", async () => {
    let connections = 0;
    let enough: (() => void) | undefined;
    const beaten = new Promise<void>((resolve) => (enough = resolve));
    const relay = await scriptedRelay({
      opened: () => (connections += 1),
      heard([verb, id], say) {
        if (verb === "REQ") say("EOSE", id);
        if (relay.heard.filter(([, name]) => name === "heartbeat").length > 5) enough?.();
      },
    });
    const own = connection(relay.url, { heartbeatSeconds: 0.02, patienceSeconds: 5 });
    own.subscribe([{ kinds: [1059] }], { event: () => {} });
    await beaten;
    expect(connections).toBe(1);
  });

  it("says which of its keys the relay does not believe, and goes on with the others", async () => {
    const [trusted, doubted] = [person(), person()];
    const notices: string[] = [];
    const relay = await scriptedRelay({
      opened: (say) => say("AUTH", "challenge"),
      heard([verb, value], say) {
        if (verb === "REQ") say("EOSE", value);
        if (verb !== "AUTH") return;
        const { id, pubkey } = value as { id: string; pubkey: string };
        const isTrusted = pubkey === trusted.key;
        say("OK", id, isTrusted, isTrusted ? "" : "restricted: not you");
      },
    });
    const own = new RelayConnection(
      relay.url,
      {
        webSocket: WebSocket,
        runtime: { now, random: Math.random },
        signers: [doubted, trusted].map(({ secret }) => secretSigner(secret)),
        notice: (text) => notices.push(text),
      },
      SETTINGS,
    );
    onTestFinished(() => own.close());
    await new Promise<void>((resolve) => {
      own.subscribe([{}], { event: () => {}, eose: () => resolve() });
    });
    expect(notices).toEqual([`${doubted.key} is not authenticated: restricted: not you`]);
    expect([trusted, doubted].map(({ key }) => own.refusalOf(key))).toEqual([
      undefined,
      { by: "relay", why: "restricted: not you" },
    ]);
    const heard = relay.heard.filter(([, id]) => id !== "challenge");
    expect(heard.map(([verb]) => verb)).toEqual(["AUTH", "AUTH", "REQ"]);
  });

  it("asks for nothing to be challenged, and for the box when its keys were answered", async () => {
    const relay = await scriptedRelay({
      heard([verb, value], say) {
        if (verb === "AUTH") say("OK", (value as { id: string }).id, true, "");
        else if (value === "challenge" && verb === "REQ") say("AUTH", "as you ask");
        else if (verb === "REQ") say("EOSE", value);
      },
    });
    const own = keyed(relay.url);
    await new Promise<void>((resolve) => {
      own.subscribe([{ kinds: [4] }], { event: () => {}, eose: () => resolve() });
    });
    expect(relay.heard.map(([verb, id]) => [verb, verb === "AUTH" ? "" : id])).toEqual([
      ["REQ", "challenge"],
      ["CLOSE", "challenge"],
      ["AUTH", ""],
      ["REQ", "s1"],
    ]);
  });

  it.each([
    ["answers", "EOSE", "finish"],
    ["refuses for another reason", "CLOSED", "blocked: no wraps here"],
  ])("does not wait for the challenge of a relay that %s without one", async (_, verb, more) => {
    // Whoever waited would wait for ever.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    const relay = await scriptedRelay({
      heard([asked, id], say) {
        if (asked === "REQ") say(id === "challenge" ? verb : "EOSE", id, more);
      },
    });
    const own = keyed(relay.url);
    await new Promise<void>((resolve) => {
      own.subscribe([{}], { event: () => {}, eose: () => resolve() });
    });
    expect(relay.heard.map(([said, id]) => [said, id])).toEqual([
      ["REQ", "challenge"],
      ["CLOSE", "challenge"],
      ["REQ", "s1"],
    ]);
  });

  it("does not wait for ever for a relay that answers one of its keys and not the other", async () => {
    const people = [person(), person()];
    const relay = await scriptedRelay({
      opened: (say) => say("AUTH", "challenge"),
      heard([verb, value], say) {
        const { id, pubkey } = value as { id: string; pubkey: string };
        if (verb === "AUTH" && pubkey === people[0]?.key) say("OK", id, true, "");
      },
    });
    const signers = people.map(({ secret }) => secretSigner(secret));
    const parts = { webSocket: WebSocket, runtime: { now, random: Math.random }, signers };
    const own = new RelayConnection(relay.url, parts, { ...SETTINGS, patienceSeconds: 0.3 });
    onTestFinished(() => own.close());
    const answer = await own.publish(giftWrap({ to: person() }));
    expect(answer).toHaveProperty("unreachable");
    while (own.failure !== "no answer to AUTH")
      await new Promise((resolve) => setImmediate(resolve));
  });

  it("answers at once when it is closed", async () => {
    const relay = await scriptedRelay({ heard: () => {} });
    const own = connection(relay.url);
    const publishing = own.publish(giftWrap({ to: person() }));
    own.close();
    expect(await publishing).toEqual({ unreachable: "given up" });
    expect(await own.publish(giftWrap({ to: person() }))).toEqual({ unreachable: "given up" });
  });
});
