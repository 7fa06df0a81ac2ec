import { once } from "node:events";

import { finalizeEvent } from "nostr-tools/pure";
import * as nip17 from "nostr-tools/nip17";
import * as nip59 from "nostr-tools/nip59";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";

import { NoRelaysError, type SavedDelivery } from "../../src/client/client.ts";
import { expirationAfter } from "../../src/client/wrap.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { leadingZeroBits } from "../../src/nostr/pow.ts";
import { Client, now } from "../support/client.ts";
import { person } from "../support/people.ts";
import { sharedRelay, startRelay } from "../support/relay.ts";
import {
  all,
  deadDrop,
  held,
  publicRelay,
  randomFrom,
  recordingWebSocket,
  scriptedRelay,
  statesOf,
  texts,
} from "./support.ts";

const ALICE = person();
const DAY = 24 * 60 * 60;

describe("send", () => {
  const shared = sharedRelay();

  it("is read by any NIP-17 client", async () => {
    const bob = person();
    await deadDrop(ALICE, []).send(bob.key, "Grüße 🦊\nzweite Zeile", { relays: [shared().url] });
    const client = await (await Client.connect(shared().url)).authenticate(bob);
    const { events } = await client.request("box", { kinds: [1059], "#p": [bob.key] });
    const message = nip17.unwrapEvent(events[0] as NostrEvent & { tags: string[][] }, bob.secret);
    expect(message).toMatchObject({
      kind: 14,
      pubkey: ALICE.key,
      content: "Grüße 🦊\nzweite Zeile",
      tags: [["p", bob.key]],
    });
  });

  it("wraps any event", async () => {
    const bob = person();
    const reaction = {
      kind: 7,
      created_at: 1_700_000_000,
      tags: [["e", "0".repeat(64)]],
      content: "🔥",
    };
    await deadDrop(ALICE, []).send(bob.key, reaction, { relays: [shared().url] });
    const [picked] = await all(deadDrop(bob, [shared()]).pickup());
    expect(picked).toMatchObject({ type: "message", from: ALICE.key, message: reaction });
  });

  it("hides when it was sent: created_at of wrap and seal lie up to two days back, each for itself", async () => {
    const bob = person();
    const random = randomFrom("fuzz");
    const clock = { now: () => 1_800_000_000, random };
    const sender = deadDrop(ALICE, [], { runtime: clock });
    const ages: number[] = [];
    for (let times = 0; times < 20; times++) {
      const wrap = await sender.wrap(bob.key, "x");
      ages.push(1_800_000_000 - wrap.created_at);
    }
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...ages)).toBeLessThan(2 * DAY);
    expect(Math.max(...ages)).toBeGreaterThan(DAY);
    expect(new Set(ages).size).toBe(20);
  });

  it("says until when each relay holds it, by the relay's own rule", async () => {
    const relay = await startRelay({ env: { DEADDROP_RETENTION: "3d" } });
    const bob = person();
    const delivery = await deadDrop(ALICE, []).send(bob.key, "x", { relays: [relay.url] });
    const [report] = delivery.reports;
    const wrap = delivery.wraps.get(report?.url ?? "");
    expect(report?.heldUntil).toBe((wrap?.created_at ?? 0) + 2 * DAY + 3 * DAY);
  });

  it("asks for an expiration that holds at least as long as was wished, on the hour, and not always equally long", () => {
    const random = randomFrom("expiration");
    for (const seconds of [60, 3_600, DAY, 30 * DAY]) {
      const extras = Array.from({ length: 200 }, () => {
        const at = 1_800_000_123;
        const expiration = expirationAfter(seconds, { now: () => at, random });
        expect(expiration % 3_600).toBe(0);
        return expiration - at - seconds;
      });
      expect(Math.min(...extras)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...extras)).toBeLessThan(Math.min(seconds, 2 * DAY) + 3_600);
      // A short wish leaves no room to hide in between two full hours.
      expect(new Set(extras).size).toBeGreaterThanOrEqual(seconds >= DAY ? 10 : 1);
    }
  });

  it("sets that expiration on the wrap, and reports the earlier end", async () => {
    const bob = person();
    const delivery = await deadDrop(ALICE, []).send(bob.key, "x", {
      relays: [shared().url],
      expiresInSeconds: DAY,
    });
    const [report] = delivery.reports;
    const wrap = delivery.wraps.get(report?.url ?? "");
    const expiration = Number(wrap?.tags.find(([name]) => name === "expiration")?.[1]);
    expect(expiration).toBeGreaterThanOrEqual(now() + DAY - 60);
    expect(report?.heldUntil).toBe(expiration);
  });

  it("gives each relay the same wrap, or each its own when asked to, and the recipient gets one message", async () => {
    const relays = [shared(), await startRelay()];
    const urls = relays.map(({ url }) => url);
    const bob = person();
    const sender = deadDrop(ALICE, []);
    const same = await (await sender.send(bob.key, "same", { relays: urls })).settled();
    expect(new Set([...same.wraps.values()].map(({ id }) => id)).size).toBe(1);
    const own = await (await sender.send(bob.key, "own", { relays: urls, rewrap: true })).settled();
    const wraps = [...own.wraps.values()];
    for (const part of ["id", "pubkey", "content"] as const) {
      expect(new Set(wraps.map((wrap) => wrap[part])).size).toBe(2);
    }
    const recipient = deadDrop(bob, relays);
    const picked = await all(recipient.pickup());
    expect(texts(picked).sort()).toEqual(["own", "same"]);
    // The copies of a message are acknowledged together.
    await recipient.acknowledge(picked.map(({ id }) => id));
    expect(await held(bob, relays)).toEqual([0, 0]);
  });

  it("finds the recipient's relays in the newest genuine kind 10050 list", async () => {
    const [bob, eve] = [person(), person()];
    const discovery = await publicRelay();
    const list = (who: typeof bob, created_at: number, relay: string): NostrEvent =>
      finalizeEvent(
        { kind: 10_050, created_at, tags: [["relay", relay]], content: "" },
        who.secret,
      );
    const client = await scriptedClient(discovery.url);
    const forged = { ...list(bob, now() + 2, "ws://127.0.0.1:9"), sig: "0".repeat(128) };
    const events = [
      list(bob, now() - 10, "ws://127.0.0.1:9"),
      list(bob, now(), shared().url),
      list(eve, now() + 1, "ws://127.0.0.1:9"),
      forged,
    ];
    for (const event of events) await client(event);
    const sender = deadDrop(ALICE, [shared()], { discovery: [discovery.url] });
    expect(await sender.lookUpRelays(bob.key)).toMatchObject({
      relays: [new URL(shared().url).href],
    });
    const delivery = await sender.send(bob.key, "found");
    expect(statesOf(delivery.reports)).toEqual(["held"]);
    expect(texts(await all(deadDrop(bob, [shared()]).pickup()))).toEqual(["found"]);
  });

  it("publishes one's own list where others look for it, and says who does not keep it", async () => {
    const bob = person();
    const discovery = await publicRelay();
    const own = deadDrop(bob, [shared()], { discovery: [discovery.url] });
    const published = await own.publishRelays();
    expect(published[0]).toEqual({ url: discovery.url, refusal: undefined });
    expect(published[1]?.refusal).toMatch(/^blocked: kind 10050/);
    const sender = deadDrop(ALICE, [], { discovery: [discovery.url] });
    expect(await sender.lookUpRelays(bob.key)).toMatchObject({
      relays: [new URL(shared().url).href],
    });
  });

  it("names relays in what it signs without the password that they are reached with", async () => {
    const bob = person();
    const discovery = await publicRelay();
    const url = shared().url.replace("//", "//bob:secret@");
    const own = deadDrop(bob, [{ url }], { discovery: [discovery.url] });
    await own.publishRelays();
    const sender = deadDrop(ALICE, [shared()], { discovery: [discovery.url] });
    expect(await sender.lookUpRelays(bob.key)).toMatchObject({
      relays: [new URL(shared().url).href],
    });
    await sender.send(bob.key, "still here");
    // The relay believes no AUTH with a password in its relay tag.
    expect(texts(await all(own.pickup()))).toEqual(["still here"]);
  });

  it("rejects when nobody knows where the recipient receives", async () => {
    const discovery = await publicRelay();
    const sender = deadDrop(ALICE, [], { discovery: [discovery.url] });
    await expect(sender.send(person().key, "x")).rejects.toThrow(NoRelaysError);
    await expect(sender.send(person().key, "x", { relays: [] })).rejects.toThrow(NoRelaysError);
  });

  it.each([
    ["a key that is none", { to: "npub1nonsense" }, /no key/],
    ["a quorum of none", { quorum: 0 }, /quorum of 0/],
    ["a quorum of more than there are", { quorum: 2 }, /quorum of 2/],
  ])("rejects %s", async (_, { to, quorum }: { to?: string; quorum?: number }, why) => {
    const sending = deadDrop(ALICE, []).send(to ?? person().key, "x", {
      relays: [shared().url],
      ...(quorum !== undefined && { quorum }),
    });
    await expect(sending).rejects.toThrow(RangeError);
    await expect(sending).rejects.toThrow(why);
  });

  it("does not trouble a relay with a message that is too long for it, and says so", async () => {
    const sender = deadDrop(ALICE, []);
    const text = "x".repeat(40_000);
    const delivery = await sender.send(person().key, text, { relays: [shared().url] });
    expect(delivery.isDelivered).toBe(false);
    expect(delivery.reports[0]?.reason).toMatch(
      /^invalid: a drop of \d+ bytes, the relay takes 65536$/,
    );
  });

  it("leaves 28,672 of a relay's 64 KiB for the message as JSON", async () => {
    const bob = person();
    const [id, tags] = ["0".repeat(64), [["p", bob.key]]];
    const empty = { id, pubkey: ALICE.key, created_at: now(), kind: 14, tags, content: "" };
    const text = "x".repeat(28_672 - JSON.stringify(empty).length);
    const sender = deadDrop(ALICE, []);
    const fits = await sender.send(bob.key, text, { relays: [shared().url] });
    expect(statesOf(fits.reports)).toEqual(["held"]);
    const longer = await sender.send(bob.key, `${text}x`, { relays: [shared().url] });
    expect(longer.reports[0]?.reason).toMatch(/^invalid: a drop of \d+ bytes/);
  });

  it("tells each relay's refusal", async () => {
    const full = await startRelay({ env: { DEADDROP_LIMITS_BOX_DROPS: "1" } });
    const bob = person();
    const sender = deadDrop(ALICE, []);
    await sender.send(bob.key, "first", { relays: [full.url] });
    const delivery = await sender.send(bob.key, "second", { relays: [full.url, shared().url] });
    await delivery.settled();
    expect(delivery.reports).toMatchObject([
      { state: "refused", reason: "rate-limited: mailbox full", heldUntil: undefined },
      { state: "held" },
    ]);
    // One of two is not more than half.
    expect(delivery.isDelivered).toBe(false);
  });

  it("asks again when the relay says to slow down, with the same event", async () => {
    let refusals = 2;
    const relay = await scriptedRelay({
      heard([, event], say) {
        const { id } = event as NostrEvent;
        if (refusals-- > 0) say("OK", id, false, "rate-limited: slow down");
        else say("OK", id, true, "");
      },
    });
    const delivery = await deadDrop(ALICE, []).send(person().key, "x", { relays: [relay.url] });
    expect(statesOf(delivery.reports)).toEqual(["held"]);
    expect(relay.heard).toHaveLength(3);
    expect(new Set(relay.heard.map((said) => JSON.stringify(said))).size).toBe(1);
  });

  it("never authenticates where it drops, and never drops where it authenticates", async () => {
    const bob = person();
    const { webSocket, sockets } = recordingWebSocket();
    // Bob receives and sends at the same relay.
    const client = deadDrop(bob, [shared()], { webSocket });
    await client.send(bob.key, "a note to myself", { relays: [shared().url] });
    const picked = await all(client.pickup());
    await client.acknowledge(picked.map(({ id }) => id));
    const verbs = sockets.map((said) =>
      said.map(([verb, event]) => (verb === "EVENT" ? (event as NostrEvent).kind : verb)),
    );
    expect(verbs).toContainEqual([1059]);
    expect(verbs.filter((said) => said.includes("AUTH"))).toHaveLength(1);
    expect(verbs.find((said) => said.includes("AUTH"))).toContain(20221);
    for (const said of verbs) expect(said.includes("AUTH") && said.includes(1059)).toBe(false);
  });

  it("shows a relay that wants AUTH from senders a throw-away key", async () => {
    let isIn = false;
    const keys: string[] = [];
    const relay = await scriptedRelay({
      opened: (say) => say("AUTH", "challenge"),
      heard([verb, value], say) {
        const { id, pubkey } = value as NostrEvent;
        if (verb === "AUTH") {
          isIn = true;
          keys.push(pubkey);
          say("OK", id, true, "");
        } else if (isIn) say("OK", id, true, "");
        else say("OK", id, false, "auth-required: who are you?");
      },
    });
    const delivery = await deadDrop(ALICE, []).send(person().key, "x", { relays: [relay.url] });
    expect(statesOf(delivery.reports)).toEqual(["held"]);
    expect(keys).toHaveLength(1);
    expect(keys).not.toContain(ALICE.key);
  });

  it("is not sent twice by a relay that breaks the connection before its answer", async () => {
    const bob = person();
    let connections = 0;
    const relay = await scriptedRelay({
      opened: () => (connections += 1),
      heard([, event], say) {
        if (connections >= 3)
          say("OK", (event as NostrEvent).id, true, "duplicate: already have it");
      },
    });
    const { webSocket } = recordingWebSocket();
    class Breaking extends webSocket {
      override send(text: string): void {
        super.send(text);
        if (connections < 3) this.terminate();
      }
    }
    const sender = deadDrop(ALICE, [], { webSocket: Breaking });
    const delivery = await sender.send(bob.key, "x", { relays: [relay.url] });
    expect(statesOf(delivery.reports)).toEqual(["known"]);
    expect(
      new Set(relay.heard.map(([, event]) => (event as NostrEvent).id)).size,
    ).toBeLessThanOrEqual(1);
  });

  it("is handed out to be saved before any relay gets it", async () => {
    const relay = await scriptedRelay({
      heard: ([, event], say) => say("OK", (event as NostrEvent).id, true, ""),
    });
    const saved: unknown[] = [];
    const delivery = await deadDrop(ALICE, []).send(person().key, "x", {
      relays: [relay.url],
      async prepared(made) {
        await new Promise((resolve) => setImmediate(resolve));
        saved.push(relay.heard.length, made.save());
      },
    });
    const [wrap] = delivery.wraps.values();
    const { message } = delivery;
    expect(saved).toEqual([0, { message, quorum: 1, targets: [{ url: relay.url, wrap }] }]);
  });

  it("goes on from what was saved with the relays that had not accepted, and counts those that had", async () => {
    const bob = person();
    const relays = [shared().url, "ws://127.0.0.1:9/"];
    const first = await deadDrop(ALICE, [], { patienceSeconds: 0.5 }).send(bob.key, "x", {
      relays,
    });
    await first.settled();
    expect(first.isDelivered).toBe(false);
    const saved = JSON.parse(JSON.stringify(first.save())) as SavedDelivery;
    const again = await deadDrop(ALICE, [], { patienceSeconds: 0.5 }).resume(saved);
    await again.settled();
    expect(again.quorum).toBe(2);
    expect(again.reports).toEqual(first.reports);
  });

  it.each([
    [{}],
    [[]],
    ["x"],
    [null],
    [{ message: "0".repeat(64), quorum: 1, targets: [{ url: "ws://a", wrap: {} }] }],
  ])("takes nothing for a saved delivery that is none: %j", async (value) => {
    const resuming = deadDrop(ALICE, []).resume(value as unknown as SavedDelivery);
    await expect(resuming).rejects.toThrow(TypeError);
  });

  it.each([
    ["rate-limited: mailbox full", true],
    ["error: storage full", true],
    ["blocked: kind 1059", false],
    ["restricted: members only", false],
    ["invalid: too large", false],
  ])("says whether it may still arrive after a refusal: %s", async (reason, mayArrive) => {
    const relay = await scriptedRelay({
      heard: ([, event], say) => say("OK", (event as NostrEvent).id, false, reason),
    });
    const delivery = await deadDrop(ALICE, []).send(person().key, "x", { relays: [relay.url] });
    expect(delivery.mayArrive).toBe(mayArrive);
  });

  it("is given up when it is aborted", async () => {
    const silent = await scriptedRelay({ heard: () => {} });
    const controller = new AbortController();
    const sending = deadDrop(ALICE, [], { patienceSeconds: 60 }).send(person().key, "x", {
      relays: [silent.url],
      signal: controller.signal,
    });
    while (silent.heard.length === 0) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    const delivery = await sending;
    expect(delivery.reports).toMatchObject([{ state: "unreachable", reason: "given up" }]);
  });
});

describe("proof of work", () => {
  it("is mined to what the relay advertises, off the main thread", async () => {
    const relay = await startRelay({ env: { DEADDROP_PROOF_OF_WORK: "16" } });
    const bob = person();
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 1);
    const delivery = await deadDrop(ALICE, []).send(bob.key, "costly", { relays: [relay.url] });
    clearInterval(counting);
    expect(statesOf(delivery.reports)).toEqual(["held"]);
    const [wrap] = delivery.wraps.values();
    expect(leadingZeroBits(wrap?.id ?? "")).toBeGreaterThanOrEqual(16);
    expect(turns).toBeGreaterThan(0);
    expect(texts(await all(deadDrop(bob, [relay]).pickup()))).toEqual(["costly"]);
  });

  it("is mined again to what a refusal asks for, for the same message", async () => {
    const relay = await scriptedRelay({
      heard([, event], say) {
        const { id } = event as NostrEvent;
        const isEnough = leadingZeroBits(id) >= 10;
        say("OK", id, isEnough, isEnough ? "" : "pow: 10 bits needed. (0)");
      },
    });
    const bob = person();
    const delivery = await deadDrop(ALICE, []).send(bob.key, "x", { relays: [relay.url] });
    expect(statesOf(delivery.reports)).toEqual(["held"]);
    const events = relay.heard.map(([, event]) => event as NostrEvent & { tags: string[][] });
    expect(events).toHaveLength(2);
    const messages = events.map((event) => nip59.unwrapEvent(event, bob.secret).id);
    expect(messages).toEqual([delivery.message, delivery.message]);
  });

  it("is not mined beyond what one is ready to, and the report says so", async () => {
    const relay = await startRelay({ env: { DEADDROP_PROOF_OF_WORK: "20" } });
    const sender = deadDrop(ALICE, [], { maxProofOfWork: 8 });
    const delivery = await sender.send(person().key, "x", { relays: [relay.url] });
    expect(delivery.isDelivered).toBe(false);
    expect(delivery.reports[0]?.state).toBe("refused");
    expect(delivery.reports[0]?.reason).toMatch(/^pow: the relay asks for 20 bits/);
  });

  it("can be broken off", async () => {
    const relay = await startRelay({ env: { DEADDROP_PROOF_OF_WORK: "60" } });
    const controller = new AbortController();
    const sender = deadDrop(ALICE, [], { maxProofOfWork: 60 });
    const sending = sender.send(person().key, "x", {
      relays: [relay.url],
      signal: controller.signal,
      mining: () => controller.abort(),
    });
    await expect(sending).rejects.toThrow(/abort/i);
  });
});

/** Publishes to a relay that asks nothing. */
async function scriptedClient(url: string): Promise<(event: NostrEvent) => Promise<void>> {
  const socket = new WebSocket(url);
  await once(socket, "open");
  return async (event) => {
    socket.send(JSON.stringify(["EVENT", event]));
    await once(socket, "message");
  };
}
