import * as nip44 from "nostr-tools/nip44";
import { finalizeEvent, generateSecretKey, getEventHash } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import {
  announcement,
  baseKeyIn,
  open,
  type PickedUp,
  receivers,
  receivingKey,
  secretSigner,
} from "../../src/client/client.ts";
import { epochAt } from "../../src/client/stealth.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import type { NostrEvent as ToolsEvent } from "nostr-tools";
import { Client, now } from "../support/client.ts";
import { directMessage, giftWrap, signed, signedInLetter } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay, startRelay } from "../support/relay.ts";
import {
  all,
  deadDrop,
  held,
  idsOf,
  recordingWebSocket,
  scriptedRelay,
  statesOf,
  texts,
} from "./support.ts";
import * as nip04 from "nostr-tools/nip04";

const ALICE = person();

describe("pickup", () => {
  const shared = sharedRelay();

  it("brings each message once from several relays, and says which relay brought it", async () => {
    const relays = [shared(), await startRelay()];
    const bob = person();
    const sender = deadDrop(ALICE, []);
    for (const text of ["one", "two", "three"]) {
      await (await sender.send(bob.key, text, { relays: relays.map(({ url }) => url) })).settled();
    }
    const picked = await all(deadDrop(bob, relays).pickup());
    expect(texts(picked).sort()).toEqual(["one", "three", "two"]);
    const urls = relays.map(({ url }) => new URL(url).href);
    for (const each of picked) expect(urls).toContain(each.relay);
  });

  it("has caught up when all that is held was handed out, whichever relay is not there, and watches on", async () => {
    const relays = [shared(), await startRelay(), { url: "ws://127.0.0.1:1" }];
    const bob = person();
    const sender = deadDrop(ALICE, []);
    for (const text of ["one", "two", "three"]) {
      const [first, second] = relays.map(({ url }) => url);
      const sent = sender.send(bob.key, text, {
        relays: [text === "two" ? first : second] as string[],
      });
      await (await sent).settled();
    }
    const watch = deadDrop(bob, relays, { patienceSeconds: 1 }).watch();
    const picked: PickedUp[] = [];
    const before = watch.caughtUp.then(() => texts(picked).toSorted());
    for await (const each of watch) {
      picked.push(each);
      if (picked.length < 3) continue;
      void before.then(() => sender.send(bob.key, "later", { relays: [shared().url] }));
      if (picked.length > 3) break;
    }
    expect(await before).toEqual(["one", "three", "two"]);
    expect(texts(picked).at(-1)).toBe("later");
  });

  it("follows a box to its end, page by page, also where many drops share one second", async () => {
    const relay = await startRelay({ env: { DEADDROP_LIMITS_LIMIT: "10" } });
    const bob = person();
    const client = await Client.connect(relay.url);
    const wraps = Array.from({ length: 47 }, (_, index) =>
      giftWrap({ to: bob, created_at: now() - Math.floor(index / 8) * 60 }),
    );
    for (const wrap of wraps) await client.publish(wrap);
    const picked = await all(deadDrop(bob, [relay]).pickup());
    expect(idsOf(picked).sort()).toEqual(wraps.map(({ id }) => id).sort());
    expect((await deadDrop(bob, [relay]).status())[0]?.drops).toBe(47);
  });

  it("follows the box of a relay without hints, until a page brings nothing new", async () => {
    const bob = person();
    const wraps = Array.from({ length: 12 }, (_, index) =>
      giftWrap({ to: bob, created_at: now() - index }),
    );
    const relay = await scriptedRelay({
      heard([verb, id, filter], say) {
        if (verb !== "REQ") return;
        const { until = Infinity } = filter as { until?: number };
        const page = wraps.filter(({ created_at }) => created_at <= until).slice(0, 5);
        for (const wrap of page) say("EVENT", id, wrap);
        say("EOSE", id);
      },
    });
    const picked = await all(deadDrop(bob, [relay]).pickup());
    expect(idsOf(picked).sort()).toEqual(wraps.map(({ id }) => id).sort());
  });

  it("authenticates where the challenge comes only with the refusal", async () => {
    const bob = person();
    const wrap = giftWrap({ to: bob });
    let isIn = false;
    const relay = await scriptedRelay({
      heard([verb, value], say) {
        if (verb === "AUTH") {
          isIn = true;
          say("OK", (value as NostrEvent).id, true, "");
        } else if (verb === "REQ" && isIn) {
          say("EVENT", value, wrap);
          say("EOSE", value, ["finish"]);
        } else if (verb === "REQ") {
          say("AUTH", "late");
          say("CLOSED", value, "auth-required: not yet");
        }
      },
    });
    expect(idsOf(await all(deadDrop(bob, [relay]).pickup()))).toEqual([wrap.id]);
  });

  it("reports a relay that refuses, and one that is silent, and brings what the others have", async () => {
    const bob = person();
    const refusing = await scriptedRelay({
      heard: ([verb, id], say) => verb === "REQ" && say("CLOSED", id, "restricted: members only"),
    });
    const silent = await scriptedRelay({ heard: () => {} });
    await deadDrop(ALICE, []).send(bob.key, "here", { relays: [shared().url] });
    const client = deadDrop(bob, [refusing, silent, shared()], { patienceSeconds: 1.5 });
    const pickup = client.pickup();
    expect(texts(await all(pickup))).toEqual(["here"]);
    expect(statesOf(pickup.reports)).toEqual(["failed", "failed", "complete"]);
    expect(pickup.reports[0]?.reason).toBe("restricted: members only");
    expect(pickup.reports[1]?.reason).not.toBe("");
  });

  it.each<[string, (to: Person) => ToolsEvent]>([
    ["what is no ciphertext", (to) => giftWrap({ to })],
    [
      "what is encrypted for somebody else",
      (to) => wrapped(person(), to, seal(ALICE, to, rumor(ALICE))),
    ],
    ["a seal for somebody else", (to) => wrapped(to, to, seal(ALICE, person(), rumor(ALICE)))],
    ["a wrap without a seal", (to) => wrapped(to, to, { no: "seal" })],
    [
      "a seal that somebody tampered with",
      (to) => wrapped(to, to, { ...seal(ALICE, to, rumor(ALICE)), sig: "0".repeat(128) }),
    ],
    [
      "a message that its sealer did not write",
      (to) => wrapped(to, to, seal(person(), to, rumor(ALICE))),
    ],
    [
      "a message under a wrong id",
      (to) => wrapped(to, to, seal(ALICE, to, { ...rumor(ALICE), id: "1".repeat(64) })),
    ],
    ["a seal around nonsense", (to) => wrapped(to, to, seal(ALICE, to, { kind: 14 }))],
    ["an old message that is no ciphertext", (to) => directMessage({ from: ALICE, to })],
  ])("reports %s, goes on, and acknowledges nothing by itself", async (_, make) => {
    const bob = person();
    const bad = make(bob);
    const client = await Client.connect(shared().url);
    expect((await client.publish(bad))[2]).toBe(true);
    await deadDrop(ALICE, []).send(bob.key, "good", { relays: [shared().url] });
    const own = deadDrop(bob, [shared()]);
    const picked = await all(own.pickup());
    expect(texts(picked)).toEqual(["good"]);
    const [unreadable, ...others] = picked.filter(({ type }) => type === "unreadable");
    expect(others).toEqual([]);
    expect(unreadable).toMatchObject({ id: bad.id, why: expect.stringMatching(/./) });

    await own.acknowledge(idsOf(picked.filter(({ type }) => type === "message")));
    expect(await held(bob, [shared()])).toEqual([1]);
    // Whoever does not want to see it again can say so.
    await own.acknowledge([bad.id]);
    expect(await held(bob, [shared()])).toEqual([0]);
  });

  it("believes no relay that gives a drop another's id", async () => {
    const bob = person();
    const [real, other] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const lying = await scriptedRelay({
      heard([verb, id], say) {
        if (verb !== "REQ") return;
        say("EVENT", id, { ...real, id: other.id });
        say("EOSE", id, ["finish"]);
      },
    });
    expect(await all(deadDrop(bob, [lying]).pickup())).toEqual([]);
  });

  it("brings and acknowledges drops with control characters under either spelling of an id", async () => {
    const bob = person();
    const author = person();
    const spelled = { json: signed, letter: signedInLetter };
    const publisher = await Client.connect(shared().url);
    for (const [spelling, sign] of Object.entries(spelled)) {
      const seal = (
        by: Person,
        to: Person,
        of: object,
        change: { kind: number; tags: string[][] },
      ) =>
        sign(by, {
          ...change,
          pubkey: by.key,
          created_at: now(),
          content: nip44.encrypt(JSON.stringify(of), nip44.getConversationKey(by.secret, to.key)),
        });
      const inside = { kind: 14, pubkey: ALICE.key, created_at: now(), tags: [["p", bob.key]] };
      const { sig: _, ...rumor } = sign(ALICE, { ...inside, content: `\u0001 ${spelling}` });
      const sealed = seal(ALICE, bob, rumor, { kind: 13, tags: [["t", "\u0002"]] });
      const tags = [["p", bob.key, "\u001f"]];
      await publisher.publish(seal(author, bob, sealed, { kind: 1059, tags }));
      const legacy = {
        kind: 4,
        tags,
        pubkey: ALICE.key,
        created_at: now(),
        content: nip04.encrypt(ALICE.secret, bob.key, `old ${spelling}`),
      };
      await publisher.publish(sign(ALICE, legacy));
    }
    const client = deadDrop(bob, [shared()]);
    expect((await client.status())[0]?.drops).toBe(4);
    const picked = await all(client.pickup());
    expect(texts(picked).sort()).toEqual([
      "\u0001 json",
      "\u0001 letter",
      "old json",
      "old letter",
    ]);
    await client.acknowledge(idsOf(picked));
    expect(await held(bob, [shared()])).toEqual([0]);
  });

  it("reads old messages of kind 4", async () => {
    const bob = person();
    const content = nip04.encrypt(ALICE.secret, bob.key, "old but read");
    const message = directMessage({ from: ALICE, to: bob, content });
    await (await Client.connect(shared().url)).publish(message);
    const [picked] = await all(deadDrop(bob, [shared()]).pickup());
    expect(picked).toMatchObject({
      type: "message",
      id: message.id,
      from: ALICE.key,
      message: { kind: 4, content: "old but read" },
    });
  });

  it("picks up for several keys, together or each on a connection of its own", async () => {
    const keys = [person(), person(), person()];
    const sender = deadDrop(ALICE, []);
    for (const { key } of keys) await sender.send(key, key.slice(0, 4), { relays: [shared().url] });
    for (const connections of [1, 3]) {
      const { webSocket, sockets } = recordingWebSocket();
      const signers = keys.map(({ secret }) => secretSigner(secret));
      const client = deadDrop(ALICE, [shared()], { keys: signers, connections, webSocket });
      const picked = await all(client.pickup());
      expect(texts(picked).sort()).toEqual(keys.map(({ key }) => key.slice(0, 4)).sort());
      const auths = sockets.map((said) => said.filter(([verb]) => verb === "AUTH").length);
      expect(auths).toEqual(connections === 1 ? [3] : [1, 1, 1]);
    }
  });

  it("can be left in the middle, and takes up nothing then", async () => {
    const bob = person();
    const sender = deadDrop(ALICE, []);
    for (const text of ["a", "b", "c"])
      await sender.send(bob.key, text, { relays: [shared().url] });
    const client = deadDrop(bob, [shared()]);
    for await (const picked of client.pickup()) {
      expect(picked.type).toBe("message");
      break;
    }
    expect(texts(await all(client.pickup()))).toHaveLength(3);
  });
});

describe("watch", () => {
  const shared = sharedRelay();

  it("brings what is held and then what comes, until it is stopped", async () => {
    const bob = person();
    const sender = deadDrop(ALICE, []);
    await sender.send(bob.key, "held", { relays: [shared().url] });
    const controller = new AbortController();
    const heard: string[] = [];
    for await (const picked of deadDrop(bob, [shared()]).watch({ signal: controller.signal })) {
      heard.push(...texts([picked]));
      if (heard.length < 3)
        await sender.send(bob.key, `live ${heard.length}`, { relays: [shared().url] });
      else controller.abort();
    }
    expect(heard).toEqual(["held", "live 1", "live 2"]);
  });
});

describe("acknowledge", () => {
  const shared = sharedRelay();

  it("tells every relay, and the messages are not brought again, by any of them", async () => {
    // A relay that refuses acknowledgements goes on holding it.
    const bob = person();
    const kept: NostrEvent[] = [];
    const forgetful = await scriptedRelay({
      heard([verb, value], say) {
        if (verb === "EVENT") {
          const event = value as NostrEvent;
          if (event.kind === 1059) kept.push(event);
          say("OK", event.id, event.kind === 1059, event.kind === 1059 ? "" : "blocked: no");
        } else if (verb === "REQ") {
          for (const event of kept) say("EVENT", value, event);
          say("EOSE", value, ["finish"]);
        }
      },
    });
    const relays = [shared(), forgetful];
    await (
      await deadDrop(ALICE, []).send(bob.key, "once", { relays: relays.map(({ url }) => url) })
    ).settled();
    const client = deadDrop(bob, relays);
    const picked = await all(client.pickup());
    const told = await client.acknowledge(idsOf(picked));
    expect(told.map(({ state, reason }) => [state, reason])).toEqual([
      ["done", ""],
      ["later", "blocked: no"],
    ]);
    expect(await all(client.pickup())).toEqual([]);
    expect(kept).toHaveLength(1);
  });

  it("takes more ids than one acknowledgement holds", async () => {
    const relay = await startRelay({ env: { DEADDROP_LIMITS_ACKNOWLEDGEMENT_IDS: "50" } });
    const bob = person();
    const client = await Client.connect(relay.url);
    const wraps = Array.from({ length: 110 }, () => giftWrap({ to: bob }));
    for (const wrap of wraps) await client.publish(wrap);
    const told = await deadDrop(bob, [relay]).acknowledge(wraps.map(({ id }) => id));
    expect(statesOf(told)).toEqual(["done"]);
    expect(await held(bob, [relay])).toEqual([0]);
  });

  it("leaves a grace for one's other devices", async () => {
    const bob = person();
    await deadDrop(ALICE, []).send(bob.key, "for both", { relays: [shared().url] });
    const phone = deadDrop(bob, [shared()]);
    await phone.acknowledge(idsOf(await all(phone.pickup())), { graceSeconds: 3_600 });
    expect(await all(phone.pickup())).toEqual([]);
    expect(texts(await all(deadDrop(bob, [shared()]).pickup()))).toEqual(["for both"]);
  });

  it("rejects what is no id, and a drop of which nobody knows to which key it was addressed", async () => {
    const two = [person(), person()].map(({ secret }) => secretSigner(secret));
    const client = deadDrop(ALICE, [shared()], { keys: two });
    await expect(client.acknowledge(["nonsense"])).rejects.toThrow(/no id/);
    await expect(client.acknowledge(["0".repeat(64)])).rejects.toThrow(/which of the keys/);
    await expect(client.acknowledge(["0".repeat(64)], { key: ALICE.key })).rejects.toThrow(
      /none of one's keys/,
    );
    const told = await client.acknowledge(["0".repeat(64)], { key: two[0]?.key ?? "" });
    expect(statesOf(told)).toEqual(["done"]);
  });
});

describe("receipts", () => {
  const shared = sharedRelay();

  it("reach the sender as a drop like any other, after the acknowledgement, and are not answered with receipts", async () => {
    const [alice, bob] = [person(), person()];
    const lists = await scriptedRelay({
      heard([verb, id, filter], say) {
        if (verb !== "REQ") return;
        const [author] = (filter as { authors: string[] }).authors;
        const owner = [alice, bob].find(({ key }) => key === author);
        if (owner !== undefined) {
          const tags = [["relay", shared().url]];
          const list = { kind: 10_050, created_at: now(), tags, content: "" };
          say("EVENT", id, finalizeEvent(list, owner.secret));
        }
        say("EOSE", id);
      },
    });
    const receipts = { minDelaySeconds: 0, maxDelaySeconds: 0 };
    const discovery = [lists.url];
    const sender = deadDrop(alice, [shared()], { discovery, receipts });
    const delivery = await sender.send(bob.key, "did it arrive?");

    const silent = deadDrop(bob, [shared()], { discovery });
    const picked = await all(silent.pickup());
    silent.close();
    expect(await held(alice, [shared()])).toEqual([0]);

    const recipient = deadDrop(bob, [shared()], { discovery, receipts });
    await recipient.acknowledge(idsOf(await all(recipient.pickup())));
    expect(await recipient.flush()).toBe(0);
    const [receipt, ...others] = await all(sender.pickup());
    expect(others).toEqual([]);
    expect(receipt).toMatchObject({ type: "receipt", from: bob.key, messages: [delivery.message] });
    expect(picked[0]?.type === "message" && picked[0].message.id).toBe(delivery.message);

    const client = await (await Client.connect(shared().url)).authenticate(alice);
    const { events } = await client.request("box", {});
    const signer = secretSigner(alice.secret);
    const drop = await open(events[0] as NostrEvent, { address: signer, identity: signer });
    const tags = [
      ["p", alice.key],
      ["e", delivery.message],
    ];
    expect(drop).toMatchObject({ message: { kind: 18, tags, content: "" } });

    await sender.acknowledge([receipt?.id ?? ""]);
    expect(await sender.flush()).toBe(0);
    expect(await held(bob, [shared()])).toEqual([0]);
  });
});

describe("a receipt of a client of before, of another kind,", () => {
  const shared = sharedRelay();

  it("is read as one", async () => {
    const [alice, bob] = [person(), person()];
    const messages = ["0".repeat(64)];
    const tags = [["p", alice.key], ...messages.map((id) => ["e", id])];
    await deadDrop(bob, []).send(
      alice.key,
      { kind: 20_222, created_at: now(), tags, content: "" },
      { relays: [shared().url] },
    );
    expect(await all(deadDrop(alice, [shared()]).pickup())).toMatchObject([
      { type: "receipt", from: bob.key, messages },
    ]);
  });
});

describe("receiving keys", () => {
  const shared = sharedRelay();
  const WEEK = 7 * 24 * 60 * 60;

  /** Announces a base key to somebody, who picks it up. */
  async function told(from: Person, to: Person, own: Person): Promise<void> {
    const message = announcement(to.key, own.key, now());
    await deadDrop(from, []).send(to.key, message, { relays: [shared().url] });
    const client = deadDrop(to, [shared()]);
    const [picked] = await all(client.pickup());
    if (picked?.type !== "message") throw new Error("no announcement came");
    expect(picked.from).toBe(from.key);
    expect(baseKeyIn(picked.message)).toBe(own.key);
    await client.acknowledge([picked.id]);
  }

  /** Two people who have announced base keys to each other, over the relay. */
  async function acquainted(): Promise<{
    readonly alice: Person;
    readonly bob: Person;
    readonly base: { readonly alice: Person; readonly bob: Person };
  }> {
    const people = { alice: person(), bob: person(), base: { alice: person(), bob: person() } };
    const { alice, bob, base } = people;
    await told(bob, alice, base.bob);
    await told(alice, bob, base.alice);
    return people;
  }

  it("carry a message that neither names its recipient nor meets the recipient's own key, or another week's, on a connection", async () => {
    const { alice, bob, base } = await acquainted();
    const address = receivingKey({
      sender: base.alice.secret,
      recipient: base.bob.key,
      epoch: epochAt(now()),
    });
    const delivery = await deadDrop(alice, []).send(bob.key, "unnamed", {
      relays: [shared().url],
      address,
    });
    const [wrap] = delivery.wraps.values();
    expect(JSON.stringify(wrap)).not.toContain(bob.key);
    expect(JSON.stringify(wrap)).not.toContain(base.bob.key);

    const stealth = receivers({
      identity: secretSigner(bob.secret),
      contacts: [
        { contact: alice.key, secret: base.bob.secret, base: base.alice.key },
        { contact: person().key, secret: person().secret, base: person().key },
      ],
      now: now(),
      retentionSeconds: 4 * WEEK,
    });
    const { webSocket, sockets } = recordingWebSocket();
    const keys = [secretSigner(bob.secret), ...stealth];
    const client = deadDrop(bob, [shared()], { keys, webSocket });
    const picked = await all(client.pickup());
    expect(picked).toMatchObject([
      { type: "message", from: alice.key, to: address, message: { content: "unnamed" } },
    ]);
    await client.acknowledge(idsOf(picked));
    expect(await all(deadDrop(bob, [shared()], { keys }).pickup())).toEqual([]);

    const seen = sockets.map((said) =>
      said.flatMap(([verb, event]) => (verb === "AUTH" ? [(event as NostrEvent).pubkey] : [])),
    );
    expect(seen.filter((authenticated) => authenticated.includes(bob.key))).toEqual([[bob.key]]);
    expect(seen.flat()).toHaveLength(keys.length);
    const weekOf = new Map(stealth.map(({ address: { key }, epoch }) => [key, epoch]));
    const weeks = seen.map((authenticated) => new Set(authenticated.map((key) => weekOf.get(key))));
    expect(weeks.filter(({ size }) => size > 1)).toEqual([]);
    expect(new Set(weekOf.values()).size).toBeGreaterThan(4);
  });

  it("are not answered to whoever found one out: only the contact may write to it", async () => {
    const { alice, bob, base } = await acquainted();
    const eve = person();
    const address = receivingKey({
      sender: base.alice.secret,
      recipient: base.bob.key,
      epoch: epochAt(now()),
    });
    await deadDrop(eve, []).send(bob.key, "is it you, Bob?", { relays: [shared().url], address });
    const keys = receivers({
      identity: secretSigner(bob.secret),
      contacts: [{ contact: alice.key, secret: base.bob.secret, base: base.alice.key }],
      now: now(),
      retentionSeconds: 0,
    });
    const receipts = { minDelaySeconds: 0, maxDelaySeconds: 0 };
    const picked = await all(deadDrop(bob, [shared()], { keys, receipts }).pickup());
    expect(picked).toMatchObject([{ type: "unreadable", why: expect.stringContaining("contact") }]);
  });

  it.each([
    ["another kind", { kind: 14, tags: [["base", person().key]] }],
    ["no key", { kind: 19, tags: [["base", "5"]] }],
    ["nobody's key", { kind: 19, tags: [["base", "f".repeat(64)]] }],
    ["nothing", { kind: 19, tags: [["p", person().key]] }],
  ])("are announced by no message with %s", (_, { kind, tags }) => {
    const rumor = { id: "0".repeat(64), pubkey: ALICE.key, created_at: now(), content: "" };
    expect(baseKeyIn({ ...rumor, kind, tags })).toBe(undefined);
  });
});

type Rumor = Record<string, unknown>;

function rumor(by: Person): Rumor {
  const event = { pubkey: by.key, created_at: now(), kind: 14, tags: [], content: "x" };
  return { id: getEventHash(event), ...event };
}

function seal(by: Person, to: Person, inside: Rumor): NostrEvent {
  const content = nip44.encrypt(
    JSON.stringify(inside),
    nip44.getConversationKey(by.secret, to.key),
  );
  return finalizeEvent({ kind: 13, created_at: now(), tags: [], content }, by.secret);
}

function wrapped(readableBy: Person, to: Person, inside: object): ToolsEvent {
  const secret = generateSecretKey();
  const key = nip44.getConversationKey(secret, readableBy.key);
  const content = nip44.encrypt(JSON.stringify(inside), key);
  return finalizeEvent({ kind: 1059, created_at: now(), tags: [["p", to.key]], content }, secret);
}
