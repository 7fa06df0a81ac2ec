// What goes wrong for senders and recipients who mean well, and what those try who do not.

import * as nip04 from "nostr-tools/nip04";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";

import {
  type AcknowledgementRecord,
  epochAt,
  memoryOutbox,
  type OutboxRecord,
  receivers,
  receivingKey,
  secretSigner,
  type Signer,
} from "../../src/client/client.ts";
import { RelayConnection } from "../../src/client/relay-connection.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { Client, now } from "../support/client.ts";
import { directMessage, giftWrap, signed } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay, startRelay } from "../support/relay.ts";
import {
  all,
  deadDrop,
  held,
  idsOf,
  publicRelay,
  recordingWebSocket,
  scriptedRelay,
  statesOf,
  texts,
} from "./support.ts";

const DAY = 24 * 60 * 60;
const ALICE = person();
const shared = sharedRelay();

function addressFor(bob: Person): string {
  return receivingKey({ sender: ALICE.secret, recipient: bob.key, epoch: epochAt(now()) });
}

function keysOf(bob: Person): ReturnType<typeof receivers> {
  return receivers({
    identity: secretSigner(bob.secret),
    contacts: [{ contact: ALICE.key, secret: bob.secret, base: ALICE.key }],
    now: now(),
    retentionSeconds: DAY,
  });
}

describe("a client that was idle", () => {
  it("publishes again on a new connection", async () => {
    let closed: (() => void) | undefined;
    const idle = new Promise<void>((resolve) => (closed = resolve));
    class Watched extends WebSocket {
      override close(): void {
        super.close();
        closed?.();
      }
    }
    const connection = new RelayConnection(
      shared().url,
      { webSocket: Watched, runtime: { now, random: Math.random }, signers: [] },
      {
        patienceSeconds: 5,
        retrySeconds: 0.1,
        maxRetrySeconds: 1,
        idleSeconds: 0.05,
        heartbeatSeconds: 60,
      },
    );
    onTestFinished(() => connection.close());
    const accepted = { accepted: true, reason: "" };
    expect(await connection.publish(giftWrap({ to: person() }))).toEqual(accepted);
    await idle;
    expect(await connection.publish(giftWrap({ to: person() }))).toEqual(accepted);
  });
});

describe("a message that came to two of one's keys", () => {
  it("is acknowledged by each for its own drop: no relay learns that they belong together", async () => {
    const bob = person();
    const message = { kind: 14, created_at: now(), tags: [["p", bob.key]], content: "twice" };
    const sender = deadDrop(ALICE, []);
    const client = await Client.connect(shared().url);
    const wraps = [
      await sender.wrap(bob.key, message),
      await sender.wrap(bob.key, message, { address: addressFor(bob) }),
    ];
    for (const wrap of wraps) expect((await client.publish(wrap as never))[2]).toBe(true);

    const { webSocket, sockets } = recordingWebSocket();
    const keys = [secretSigner(bob.secret), ...keysOf(bob)];
    const recipient = deadDrop(bob, [shared()], { keys, webSocket });
    const picked = await all(recipient.pickup());
    expect(texts(picked)).toEqual(["twice"]);
    await recipient.acknowledge(idsOf(picked));

    const acknowledgements = sockets
      .flat()
      .flatMap(([verb, event]) => (verb === "EVENT" ? [event as NostrEvent] : []));
    expect(acknowledgements).toHaveLength(2);
    for (const { pubkey, tags } of acknowledgements) {
      const own = wraps.filter((wrap) => wrap.tags.some(([, key]) => key === pubkey));
      expect(tags.map(([, id]) => id)).toEqual(own.map(({ id }) => id));
    }
    const again = deadDrop(bob, [shared()], { keys });
    expect(await all(again.pickup())).toEqual([]);
  });

  it("stays for the other device in a grace, also the copy that turns up later", async () => {
    const relays = [shared(), await startRelay()];
    const bob = person();
    await (
      await deadDrop(ALICE, []).send(bob.key, "for both", {
        relays: relays.map(({ url }) => url),
        rewrap: true,
      })
    ).settled();
    const phone = deadDrop(bob, relays);
    for await (const { id } of phone.pickup()) {
      await phone.acknowledge([id], { graceSeconds: DAY });
    }
    expect(await all(phone.pickup())).toEqual([]);
    expect(texts(await all(deadDrop(bob, relays).pickup()))).toEqual(["for both"]);
    expect(await held(bob, relays)).toEqual([1, 1]);
  });
});

describe("an outbox of a client of before", () => {
  it("has a copy that turns up later go when the message was said to go", async () => {
    const relays = [shared(), await startRelay()];
    const bob = person();
    const delivery = await deadDrop(ALICE, []).send(bob.key, "for both", {
      relays: relays.map(({ url }) => url),
      rewrap: true,
    });
    await delivery.settled();
    const [wrap] = delivery.wraps.values();
    const grace = String(now() + DAY);
    const named = [
      ["e", wrap?.id ?? ""],
      ["expiration", grace],
    ];
    const event = signed(bob, { kind: 20221, tags: named });
    const outbox = memoryOutbox();
    await outbox.put({
      type: "acknowledgement",
      id: event.id,
      event,
      relays: [relays[0]?.url ?? ""],
      messages: [delivery.message],
      until: now() + 32 * DAY,
    });
    const phone = deadDrop(bob, relays, { outbox });
    expect(await all(phone.pickup())).toEqual([]);
    const sent = async (): Promise<AcknowledgementRecord[]> =>
      (await outbox.load()).flatMap((kept) =>
        kept.type === "acknowledgement" && kept.id !== event.id ? [kept] : [],
      );
    // Nobody waits for it, for it is met again.
    while ((await sent())[0]?.relays.length !== 0) await phone.flush();
    const tags = (await sent()).map((kept) => kept.event.tags);
    expect(tags).toEqual([
      [
        ["e", expect.any(String)],
        ["grace", grace],
      ],
    ]);
    expect(await held(bob, relays)).toEqual([1, 1]);
  });
});

describe("a receiving key", () => {
  it("takes no kind 4, by which a stranger could see whose it is", async () => {
    const [bob, mallory] = [person(), person()];
    const address = addressFor(bob);
    const content = nip04.encrypt(mallory.secret, address, "answer me");
    const probe = directMessage({ from: mallory, to: { ...bob, key: address }, content });
    // Asked for or not.
    const relay = await scriptedRelay({
      heard([verb, id], say) {
        if (verb !== "REQ") return;
        say("EVENT", id, probe);
        say("EOSE", id, ["finish"]);
      },
    });
    const picked = await all(deadDrop(bob, [relay], { keys: keysOf(bob) }).pickup());
    expect(picked).toMatchObject([{ type: "unreadable" }]);
    const asked = relay.heard.filter(([verb]) => verb === "REQ");
    for (const [, , filter] of asked) expect(filter).toMatchObject({ kinds: [1059] });
  });
});

describe("one's own list of relays", () => {
  it("does not travel on the connection of one's drops", async () => {
    const discovery = await publicRelay();
    const { webSocket, sockets } = recordingWebSocket();
    const client = deadDrop(ALICE, [discovery], { webSocket });
    await client.publishRelays();
    await client.send(person().key, "x", { relays: [discovery.url] });
    const kinds = sockets.map((said) =>
      said.flatMap(([verb, event]) => (verb === "EVENT" ? [(event as NostrEvent).kind] : [])),
    );
    expect(kinds).toHaveLength(2);
    expect(kinds).toEqual(expect.arrayContaining([[10_050], [1059]]));
  });
});

describe("a receipt", () => {
  it("is one drop, however often it has to be tried", async () => {
    const [alice, bob] = [person(), person()];
    const discovery = await publicRelay();
    // Of Alice's relays one does not take it.
    const sender = deadDrop(alice, [shared(), { url: "ws://127.0.0.1:9/" }], {
      discovery: [discovery.url],
      patienceSeconds: 0.5,
    });
    await sender.publishRelays();
    await sender.send(bob.key, "did it arrive?", { relays: [shared().url] });
    let time = now();
    const recipient = deadDrop(bob, [shared()], {
      discovery: [discovery.url],
      patienceSeconds: 0.5,
      receipts: { minDelaySeconds: 0, maxDelaySeconds: 0 },
      runtime: { now: () => time, random: Math.random },
    });
    await recipient.acknowledge(idsOf(await all(recipient.pickup())));
    for (let tries = 0; tries < 3; tries++) {
      await recipient.flush();
      time += DAY;
    }
    expect(await held(alice, [shared()])).toEqual([1]);
  });

  it("is tried less and less often, as the same drop, and given up", async () => {
    const [alice, bob] = [person(), person()];
    const discovery = await publicRelay();
    const refusing = await scriptedRelay({
      heard([verb, value], say) {
        if (verb === "EVENT") say("OK", (value as NostrEvent).id, false, "blocked: not here");
      },
    });
    await deadDrop(alice, [refusing], { discovery: [discovery.url] }).publishRelays();
    await deadDrop(alice, []).send(bob.key, "did it arrive?", { relays: [shared().url] });
    let time = now();
    const outbox = memoryOutbox();
    const recipient = deadDrop(bob, [shared()], {
      discovery: [discovery.url, refusing.url],
      outbox,
      receipts: { minDelaySeconds: 0, maxDelaySeconds: 0 },
      runtime: { now: () => time, random: Math.random },
    });
    await recipient.acknowledge(idsOf(await all(recipient.pickup())));
    const waits: number[] = [];
    for (let tries = 0; tries < 10; tries++) {
      await recipient.flush();
      const receipt = (await outbox.load()).find(
        (record: OutboxRecord) => record.type === "receipt",
      );
      if (receipt?.type !== "receipt") break;
      waits.push(receipt.at - time);
      time = receipt.at;
    }
    expect(waits).toEqual([60, 300, 1_500, 7_500, 37_500]);
    const receipts = refusing.heard.filter(([, event]) => (event as NostrEvent).kind === 1059);
    expect(new Set(receipts.map(([, event]) => (event as NostrEvent).id)).size).toBe(1);
  });
});

describe("a signer that fails", () => {
  it("is not taken for a drop that cannot be read by anybody", async () => {
    const bob = person();
    await deadDrop(ALICE, []).send(bob.key, "patience", { relays: [shared().url] });
    const real = secretSigner(bob.secret);
    const remote: Signer = { ...real, decrypt: () => Promise.reject(new Error("bunker: timeout")) };
    const picked = await all(deadDrop(bob, [shared()], { keys: [remote] }).pickup());
    expect(picked).toMatchObject([
      { type: "unreadable", why: expect.stringContaining("bunker: timeout") },
    ]);
  });

  it("makes its box one that was not read", async () => {
    const [bob, carol] = [person(), person()];
    const broken: Signer = {
      ...secretSigner(carol.secret),
      sign: () => Promise.reject(new Error("no")),
    };
    const pickup = deadDrop(bob, [shared()], { keys: [secretSigner(bob.secret), broken] }).pickup();
    await all(pickup);
    expect(pickup.reports).toMatchObject([
      { state: "failed", reason: expect.stringContaining("no") },
    ]);
  });
});

describe("a signer that makes something else", () => {
  it.each<[string, (own: Signer) => Signer["sign"], string]>([
    ["another event", (own) => (asked) => own.sign({ ...asked, kind: 1 }), "something else"],
    ["another key's", () => (asked) => secretSigner(ALICE.secret).sign(asked), "another key"],
    ["no event", () => async () => null as never, "made no event"],
  ])("of %s shows a relay nothing of it, and says why", async (_, sign, why) => {
    const bob = person();
    const own = secretSigner(bob.secret);
    const { webSocket, sockets } = recordingWebSocket();
    const keys = [{ ...own, sign: sign(own) }];
    const client = deadDrop(bob, [shared()], { keys, webSocket });
    const pickup = client.pickup();
    expect(await all(pickup)).toEqual([]);
    expect(pickup.reports).toMatchObject([
      { state: "failed", reason: expect.stringContaining(why) },
    ]);
    await expect(client.acknowledge(["0".repeat(64)])).rejects.toThrow(why);
    const said = sockets.flat().map(([verb]) => verb);
    expect(said).not.toContain("AUTH");
    expect(said).not.toContain("EVENT");
  });

  it("acknowledges nothing with a signature that is wrong", async () => {
    const bob = person();
    const own = secretSigner(bob.secret);
    const sign: Signer["sign"] = async (asked) => ({
      ...(await own.sign(asked)),
      sig: "0".repeat(128),
    });
    const client = deadDrop(bob, [shared()], { keys: [{ ...own, sign }] });
    const acknowledging = client.acknowledge(["0".repeat(64)]);
    await expect(acknowledging).rejects.toThrow("signature is wrong");
  });
});

describe("many keys", () => {
  it("are all picked up for, and the process goes on meanwhile", async () => {
    const people = Array.from({ length: 300 }, () => person());
    const last = people.at(-1) ?? person();
    await deadDrop(ALICE, []).send(last.key, "found", { relays: [shared().url] });
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 1);
    const keys = people.map(({ secret }) => secretSigner(secret));
    // Less than it takes to sign for all of them.
    const client = deadDrop(last, [shared()], { keys, patienceSeconds: 1 });
    const pickup = client.pickup();
    expect(texts(await all(pickup))).toEqual(["found"]);
    clearInterval(counting);
    expect(statesOf(pickup.reports)).toEqual(["complete"]);
    expect(turns).toBeGreaterThan(5);
  });
});

// The same for each test, as what a relay makes up would be.
const SAME = giftWrap({ to: ALICE, created_at: 1_900_000_000 });

describe("a relay that does not mean well", () => {
  it("cannot have every key sign for ever", async () => {
    let challenges = 0;
    const relay = await scriptedRelay({
      opened: (say) => say("AUTH", "0"),
      heard([verb, value], say) {
        if (verb === "REQ") say("EOSE", value, ["finish"]);
        if (verb !== "AUTH") return;
        say("OK", (value as NostrEvent).id, true, "");
        if (challenges < 100) say("AUTH", String(++challenges));
      },
    });
    await all(deadDrop(person(), [relay]).pickup());
    expect(relay.heard.filter(([verb]) => verb === "AUTH").length).toBeLessThanOrEqual(3);
  });

  it.each<
    [
      string,
      (
        id: unknown,
        filter: { until?: number; limit: number },
        say: (...message: unknown[]) => void,
        bob: Person,
      ) => void,
    ]
  >([
    [
      "sends the same page for ever",
      (id, _, say) => {
        say("EVENT", id, SAME);
        say("EOSE", id, ["more"]);
      },
    ],
    [
      "sends more than it was asked for",
      (id, { limit }, say, bob) => {
        const wrap = giftWrap({ to: bob });
        for (let sent = 0; sent <= limit; sent++) say("EVENT", id, wrap);
      },
    ],
  ])("is left when it %s", async (_, answers) => {
    const bob = person();
    const relay = await scriptedRelay({
      heard([verb, id, filter], say) {
        if (verb === "REQ") answers(id, filter as { limit: number }, say, bob);
      },
    });
    const pickup = deadDrop(bob, [relay]).pickup();
    await all(pickup);
    expect(pickup.reports).toMatchObject([
      { state: "failed", reason: "the relay sends what it was not asked for" },
    ]);
  });

  it("does not set how long, or in how many pieces, an acknowledgement is kept", async () => {
    const greedy = await startRelay({
      env: { DEADDROP_LIMITS_ACKNOWLEDGEMENT_IDS: "1", DEADDROP_RETENTION: "999999999d" },
    });
    const bob = person();
    const outbox = memoryOutbox();
    const ids = Array.from({ length: 100 }, (_, index) => index.toString(16).padStart(64, "0"));
    await deadDrop(bob, [greedy, shared()], { outbox }).acknowledge(ids);
    const records = await outbox.load();
    expect(records).toHaveLength(2);
    for (const { until } of records) expect(until).toBeLessThan(now() + 3 * 365 * DAY);
  });
});

describe("a box without hints", () => {
  it("is read to its end also behind a page that shares one second", async () => {
    const bob = person();
    const second = now() - 100;
    const wraps = [
      ...Array.from({ length: 12 }, () => giftWrap({ to: bob, created_at: second })),
      giftWrap({ to: bob, created_at: second - 1 }),
    ];
    const relay = await scriptedRelay({
      heard([verb, id, filter], say) {
        if (verb !== "REQ") return;
        const { until = Infinity } = filter as { until?: number };
        // No more than five at once, whatever is asked for.
        for (const wrap of wraps.filter(({ created_at }) => created_at <= until).slice(0, 5)) {
          say("EVENT", id, wrap);
        }
        say("EOSE", id);
      },
    });
    const ids = idsOf(await all(deadDrop(bob, [relay]).pickup()));
    expect(ids).toContain(wraps.at(-1)?.id);
  });
});

describe("a watch", () => {
  it("asks again when a relay ends it in passing", async () => {
    const bob = person();
    const wrap = giftWrap({ to: bob });
    let requests = 0;
    const relay = await scriptedRelay({
      heard([verb, id], say) {
        if (verb !== "REQ") return;
        requests += 1;
        if (requests === 1) return say("CLOSED", id, "error: the box could not be read");
        say("EVENT", id, wrap);
        say("EOSE", id, ["finish"]);
      },
    });
    for await (const picked of deadDrop(bob, [relay]).watch()) {
      expect(picked.id).toBe(wrap.id);
      break;
    }
  });

  it("ends when the client is closed", async () => {
    const client = deadDrop(person(), [shared()]);
    const watching = all(client.watch());
    await all(client.pickup());
    client.close();
    expect(await watching).toEqual([]);
    expect(await all(client.pickup())).toEqual([]);
  });
});

describe("two drops at once", () => {
  it("are both delivered to a relay that wants a key", async () => {
    let isIn = false;
    const relay = await scriptedRelay({
      opened: (say) => say("AUTH", "challenge"),
      heard([verb, value], say) {
        const { id } = value as NostrEvent;
        if (verb === "AUTH") isIn = true;
        if (verb === "AUTH" || isIn) say("OK", id, true, "");
        else say("OK", id, false, "auth-required: who are you?");
      },
    });
    const sender = deadDrop(ALICE, []);
    const deliveries = await Promise.all(
      ["one", "two"].map((text) => sender.send(person().key, text, { relays: [relay.url] })),
    );
    expect(deliveries.map(({ isDelivered }) => isDelivered)).toEqual([true, true]);
  });
});

describe("an outbox that cannot be written", () => {
  it("does not end a pickup", async () => {
    const bob = person();
    const inner = memoryOutbox();
    const before = deadDrop(bob, [{ url: "ws://127.0.0.1:9/" }], {
      outbox: inner,
      patienceSeconds: 0.2,
    });
    await before.acknowledge(["0".repeat(64)]);
    before.close();
    await deadDrop(ALICE, []).send(bob.key, "still here", { relays: [shared().url] });
    const outbox = { ...inner, put: () => Promise.reject(new Error("disk full")) };
    const pickup = deadDrop(bob, [shared()], { outbox }).pickup();
    expect(texts(await all(pickup))).toEqual(["still here"]);
    expect(statesOf(pickup.reports)).toEqual(["complete"]);
  });
});

describe("a caller's own mistakes", () => {
  it.each([0, -1, Number.NaN, Infinity])("are no number of seconds: %s", async (seconds) => {
    const client = deadDrop(ALICE, [shared()]);
    const sending = client.send(person().key, "x", {
      relays: [shared().url],
      expiresInSeconds: seconds,
    });
    await expect(sending).rejects.toThrow(RangeError);
    const acknowledging = client.acknowledge(["0".repeat(64)], { graceSeconds: seconds });
    await expect(acknowledging).rejects.toThrow(RangeError);
  });

  it("do not keep a message from its way: a progress callback that throws", async () => {
    const delivery = await deadDrop(ALICE, []).send(person().key, "x", {
      relays: [shared().url],
      progress() {
        throw new Error("mine");
      },
    });
    expect(delivery.isDelivered).toBe(true);
  });
});
