import { randomBytes } from "node:crypto";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { sweptLately } from "../support/clock.ts";
import { documented } from "../support/documented.ts";
import { acknowledgement, deletion, ephemeralWrap, giftWrap, signed } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { frame, HALF_HANDSHAKE, RawSocket } from "../support/raw.ts";
import { OVERTAKING, sharedRelay, startRelay, temporaryFolder } from "../support/relay.ts";

const KIB = 1_024;

function ids(count: number): { id: string }[] {
  return Array.from({ length: count }, () => ({ id: randomBytes(32).toString("hex") }));
}

function hex(count: number): string[] {
  return ids(count).map(({ id }) => id);
}

/** A gift wrap whose JSON has exactly so many bytes. */
function wrapOf(bytes: number, to: Person, letter = "x"): NostrEvent {
  const author = person();
  const template = { kind: 1059, created_at: now(), tags: [["p", to.key]] };
  const empty = Buffer.byteLength(JSON.stringify(signed(author, template)));
  const letters = (bytes - empty) / Buffer.byteLength(letter);
  const content = letter.repeat(letters) + "x".repeat((bytes - empty) % Buffer.byteLength(letter));
  return signed(author, { ...template, content });
}

async function expectHeld(client: Client, ...drops: NostrEvent[]): Promise<void> {
  for (const drop of drops) expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
}

/** Takes all that the address may do now, and some of what it may do later. */
async function exhaust(client: Client): Promise<void> {
  const ack = acknowledgement(person(), ids(1_000));
  expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
}

/** Publishes them in one flight, and answers what was said, in their order. */
async function publishAtOnce(client: Client, drops: readonly NostrEvent[]): Promise<unknown[]> {
  for (const drop of drops) client.say("EVENT", drop);
  const said = new Map<unknown, unknown>();
  for (const _ of drops) {
    const [, id, , reason] = await client.hear();
    said.set(id, reason);
  }
  return drops.map(({ id }) => said.get(id));
}

/** A store that holds drops for somebody, begun when there was room. */
async function filled(bob: Person, drops: readonly NostrEvent[]): Promise<string> {
  const data = temporaryFolder();
  const relay = await startRelay({ data });
  const client = await (await Client.connect(relay.url)).authenticate(bob);
  await expectHeld(client, ...drops);
  expect(await relay.stop()).toBe(0);
  return data;
}

describe("by default", () => {
  const relay = sharedRelay();
  const bob = person();

  it("a message of 128 KiB is taken", async () => {
    const client = await Client.connect(relay().url);
    const drop = giftWrap({ to: bob });
    client.sayRaw(JSON.stringify(["EVENT", drop]).padEnd(128 * KIB));
    expect(await client.hear()).toEqual(["OK", drop.id, true, ""]);
  });

  it("a message of one byte more closes the connection, and no other, and loses nothing", async () => {
    const carol = person();
    const client = await Client.connect(relay().url);
    const other = await (await Client.connect(relay().url)).authenticate(carol);
    const [before, tooLarge] = [giftWrap({ to: carol }), giftWrap({ to: carol })];
    await expectHeld(client, before);
    client.sayRaw(JSON.stringify(["EVENT", tooLarge]).padEnd(128 * KIB + 1));
    expect(await client.closed).toMatchObject(
      documented("a message of more than 128 KiB", { code: 1009 }),
    );
    expect(await other.pickup()).toEqual([before.id]);
  });

  it.each(["x", "é", "🔑"])("an event of 64 KiB is held, counted in bytes (%s)", async (letter) => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drop = wrapOf(64 * KIB, carol, letter);
    expect(Buffer.byteLength(JSON.stringify(drop))).toBe(64 * KIB);
    await expectHeld(client, drop);
    expect((await client.request("s", {})).events).toEqual([drop]);
  });

  it.each(["x", "é", "🔑"])("an event of one byte more is refused (%s)", async (letter) => {
    const client = await Client.connect(relay().url);
    const drop = wrapOf(64 * KIB + 1, bob, letter);
    expect(await client.publish(drop)).toEqual(
      documented("an event of more than 64 KiB", [
        "OK",
        drop.id,
        false,
        "invalid: event of 65537 bytes, the limit is 65536",
      ]),
    );
    await expectHeld(client, giftWrap({ to: bob }));
  });

  it("an event of 100 tags is held, one of 101 is refused", async () => {
    const client = await Client.connect(relay().url);
    const tags = Array.from({ length: 99 }, () => ["t", "x"]);
    await expectHeld(client, giftWrap({ to: bob, tags }));
    for (const tooMany of [
      giftWrap({ to: bob, tags: [...tags, ["t"]] }),
      ephemeralWrap({ to: bob, tags: [...tags, ["t"]] }),
    ]) {
      expect(await client.publish(tooMany)).toEqual(
        documented("an event of more than 100 tags", [
          "OK",
          tooMany.id,
          false,
          "invalid: 101 tags, the limit is 100",
        ]),
      );
    }
    await expectHeld(client, giftWrap({ to: bob, tags }));
  });

  it.each(["REQ", "COUNT"])("a %s of 20 filters is answered, one of 21 is closed", async (verb) => {
    const client = await (await Client.connect(relay().url)).authenticate(person());
    client.say(verb, "s", ...Array.from({ length: 20 }, () => ({})));
    expect(["EOSE", "COUNT"]).toContain((await client.hear())[0]);
    client.say(verb, "s", ...Array.from({ length: 21 }, () => ({})));
    expect(await client.hear()).toEqual(
      documented("a REQ or COUNT of more than 20 filters", [
        "CLOSED",
        "s",
        "invalid: 21 filters, the limit is 20",
      ]),
    );
    await expectHeld(client, giftWrap({ to: bob }));
  });

  it.each([
    ["ids", hex],
    ["authors", hex],
    ["kinds", (count: number) => Array.from({ length: count }, (_, kind) => kind)],
    ["#e", hex],
    ["#t", hex],
  ])("a filter of 1,000 %s is answered, one of 1,001 is closed", async (field, values) => {
    const client = await (await Client.connect(relay().url)).authenticate(person());
    expect((await client.request("s", { [field]: values(1_000) })).end[0]).toBe("EOSE");
    const reason = `invalid: ${field} has 1001 values, the limit is 1000`;
    client.say("REQ", "s", { [field]: values(1_001) });
    expect(await client.hear()).toEqual(["CLOSED", "s", reason]);
    await expectHeld(client, giftWrap({ to: bob }));
  });

  it("a filter on `#p` of 1,000 keys finds one's own among them, one of 1,001 is closed", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drop = giftWrap({ to: carol });
    await expectHeld(client, drop);
    const found = await client.request("s", { "#p": [...hex(999), carol.key] });
    expect(found.events).toEqual([drop]);
    client.say("REQ", "s", { "#p": [...hex(1_000), carol.key] });
    expect(await client.hear()).toEqual(
      documented("a filter with more than 1,000 values in a list", [
        "CLOSED",
        "s",
        "invalid: #p has 1001 values, the limit is 1000",
      ]),
    );
  });

  it("32 subscriptions are open at once, the 33rd is closed and none of the others", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const names = Array.from({ length: 32 }, (_, number) => `subscription ${number}`);
    for (const name of names) {
      expect((await client.request(name, {})).end).toEqual(["EOSE", name, ["finish"]]);
    }
    expect((await client.request("one too many", {})).end).toEqual(
      documented("a REQ while 32 subscriptions are open", [
        "CLOSED",
        "one too many",
        "rate-limited: 32 subscriptions are open, the limit",
      ]),
    );
    const drop = giftWrap({ to: carol });
    await (await Client.connect(relay().url)).publish(drop);
    const heard = new Set<unknown>();
    for (const _ of names) heard.add((await client.hear())[1]);
    expect(heard).toEqual(new Set(names));
  });

  it("one of 32 subscriptions can be replaced, and makes room when it is closed", async () => {
    const client = await (await Client.connect(relay().url)).authenticate(person());
    const names = Array.from({ length: 32 }, (_, number) => `subscription ${number}`);
    for (const name of [...names, "subscription 7"]) {
      expect((await client.request(name, {})).end[0]).toBe("EOSE");
    }
    client.say("CLOSE", "subscription 7");
    expect((await client.request("another", {})).end[0]).toBe("EOSE");
  });

  it.each([
    [20221, acknowledgement],
    [5, deletion],
  ])("1,000 ids are acknowledged at once (kind %d), 1,001 are refused whole", async (_, by) => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drop = giftWrap({ to: carol });
    await expectHeld(client, drop);
    const tooMany = by(carol, [drop, ...ids(1_000)]);
    expect(await client.publish(tooMany)).toEqual(
      documented("an acknowledgement or deletion of more than 1,000 ids", [
        "OK",
        tooMany.id,
        false,
        "invalid: 1001 ids in one acknowledgement, the limit is 1000",
      ]),
    );
    expect(await client.pickup()).toEqual([drop.id]);
    const all = by(carol, [...ids(999), drop]);
    expect(await client.publish(all)).toEqual(["OK", all.id, true, ""]);
    expect(await client.pickup()).toEqual([]);
  });
});

describe("with low limits", () => {
  const relay = sharedRelay({
    env: {
      ...OVERTAKING,
      DEADDROP_LIMITS_BOX_DROPS: "5",
      DEADDROP_LIMITS_BOX_BYTES: "8KiB",
      DEADDROP_LIMITS_EVENT_BYTES: "8KiB",
      DEADDROP_LIMITS_LIMIT: "3",
      DEADDROP_LIMITS_AUTH_KEYS: "2",
      DEADDROP_LIMITS_EARLY_TOMBSTONES: "3",
      DEADDROP_LIMITS_INBOX: "4",
      DEADDROP_LIMITS_INBOX_BYTES: "2KiB",
      DEADDROP_SWEEP_SECONDS: "1h",
    },
  });
  const FULL = "rate-limited: mailbox full";

  it("a full box refuses, keeps everything, and has room again for what is acknowledged", async () => {
    const [carol, dave] = [person(), person()];
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drops = Array.from({ length: 5 }, () => giftWrap({ to: carol }));
    await expectHeld(client, ...drops);
    const sixth = giftWrap({ to: carol });
    expect(await client.publish(sixth)).toEqual(
      documented("a drop for a box that is full", ["OK", sixth.id, false, FULL]),
    );
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 5 }]);
    await expectHeld(client, giftWrap({ to: dave }));

    const ack = acknowledgement(carol, drops.slice(0, 1));
    expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
    await expectHeld(client, sixth);
    const seventh = giftWrap({ to: carol });
    expect(await client.publish(seventh)).toEqual(["OK", seventh.id, false, FULL]);
    const held = [...drops.slice(1), sixth].map(({ id }) => id);
    expect(await client.count({ ids: held })).toEqual(["COUNT", "count", { count: 5 }]);
  });

  it("a full box answers what it has as it would with room", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drops = Array.from({ length: 5 }, () => giftWrap({ to: carol }));
    const gone = giftWrap({ to: carol });
    await expectHeld(client, gone);
    await client.publish(acknowledgement(carol, [gone]));
    await expectHeld(client, ...drops);
    for (const drop of [gone, ...drops]) {
      const known = ["OK", drop.id, true, "duplicate: already have this event"];
      expect(await client.publish(drop)).toEqual(known);
    }
  });

  it("a box takes exactly what it has room for when drops come at once", async () => {
    const carol = person();
    const senders = await Promise.all(
      Array.from({ length: 10 }, () => Client.connect(relay().url)),
    );
    const answers = await Promise.all(
      senders.map((sender) => sender.publish(giftWrap({ to: carol }))),
    );
    const said = answers.map(([, , , reason]) => reason as string).sort();
    expect(said).toEqual(["", "", "", "", "", FULL, FULL, FULL, FULL, FULL]);
  });

  it("a box is full to the byte", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    await expectHeld(client, wrapOf(4 * KIB, carol));
    const tooMuch = wrapOf(4 * KIB + 1, carol);
    expect(await client.publish(tooMuch)).toEqual(["OK", tooMuch.id, false, FULL]);
    await expectHeld(client, wrapOf(4 * KIB, carol));
    const more = giftWrap({ to: carol });
    expect(await client.publish(more)).toEqual(["OK", more.id, false, FULL]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 2 }]);
  });

  it("a full box has room again when a drop in it expires", async () => {
    const data = temporaryFolder();
    await sweptLately(data);
    const env = { DEADDROP_LIMITS_BOX_DROPS: "5", DEADDROP_SWEEP_SECONDS: "1h" };
    const { url } = await startRelay({ data, env });
    const carol = person();
    const client = await (await Client.connect(url)).authenticate(carol);
    const goes = giftWrap({ to: carol, tags: [["expiration", String(now() + 2)]] });
    const stay = Array.from({ length: 4 }, () => giftWrap({ to: carol }));
    await expectHeld(client, goes, ...stay);
    const next = giftWrap({ to: carol });
    let answer = await client.publish(next);
    expect(answer).toEqual(["OK", next.id, false, FULL]);
    while (answer[2] === false) answer = await client.publish(next);
    expect(answer).toEqual(["OK", next.id, true, ""]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 5 }]);
  });

  it("an ephemeral wrap passes a full box", async () => {
    const carol = person();
    const client = await Client.connect(relay().url);
    await expectHeld(client, ...Array.from({ length: 5 }, () => giftWrap({ to: carol })));
    const wrap = ephemeralWrap({ to: carol });
    expect(await client.publish(wrap)).toEqual(["OK", wrap.id, true, ""]);
  });

  it("one filter returns the newest as many as the limit, and EOSE says whether there is more", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drops = [4, 3, 2, 1].map((ago) => giftWrap({ to: carol, created_at: now() - ago }));
    await expectHeld(client, ...drops.slice(1));
    const newest = drops.slice(1).toReversed();
    for (const filter of [{}, { limit: 3 }, { limit: 4_000 }]) {
      expect(await client.request("s", filter)).toEqual({
        events: newest,
        end: ["EOSE", "s", ["finish"]],
      });
    }
    client.say("CLOSE", "s");
    await expectHeld(client, ...drops.slice(0, 1));
    for (const filter of [{}, { limit: 4_000 }]) {
      expect(await client.request("s", filter)).toEqual({
        events: newest,
        end: ["EOSE", "s", ["more"]],
      });
    }
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 4 }]);
  });

  it("as many keys as the limit are authenticated on one connection, and no more", async () => {
    const [carol, dave, eve] = [person(), person(), person()];
    const client = await (await Client.connect(relay().url)).authenticate(carol, dave);
    const auth = client.authEvent(eve);
    client.say("AUTH", auth);
    expect(await client.hear()).toEqual(
      documented("an AUTH with one key too many (here 2 are allowed)", [
        "OK",
        auth.id,
        false,
        "rate-limited: 2 keys are authenticated, the limit",
      ]),
    );
    client.say("REQ", "s", { "#p": [eve.key] });
    expect((await client.hear())[0]).toBe("CLOSED");
    // One of those again is none too many.
    await client.authenticate(dave);
    expect((await client.request("s", { "#p": [carol.key, dave.key] })).end[0]).toBe("EOSE");
  });

  it("as many ids as the limit are remembered before their drops come, and no more", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const held = giftWrap({ to: carol });
    const late = Array.from({ length: 4 }, () => giftWrap({ to: carol })) as [
      NostrEvent,
      NostrEvent,
      NostrEvent,
      NostrEvent,
    ];
    await expectHeld(client, held);
    const atLimit = acknowledgement(carol, late.slice(0, 3));
    expect(await client.publish(atLimit)).toEqual(["OK", atLimit.id, true, ""]);
    const tooMany = acknowledgement(carol, [late[3], held]);
    expect(await client.publish(tooMany)).toEqual(
      documented("an acknowledgement of one more id that never came (here of 3)", [
        "OK",
        tooMany.id,
        false,
        "rate-limited: too many acknowledgements of drops that never came here",
      ]),
    );
    // What was held is acknowledged all the same.
    expect(await client.pickup()).toEqual([]);
    for (const drop of late) expect((await client.publish(drop))[3]).toBe("");
    expect(await client.pickup()).toEqual([late[3].id]);
  });

  it("the memory of early ids is one's own: another key has room", async () => {
    const client = await Client.connect(relay().url);
    for (const ack of [acknowledgement(person(), ids(3)), acknowledgement(person(), ids(3))]) {
      expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
    }
  });

  it("as many messages as the limit wait for their answer, one more is refused by its id", async () => {
    const socket = await RawSocket.open(relay().url);
    const drops = Array.from({ length: 5 }, () => giftWrap({ to: person() }));
    socket.write(Buffer.concat(drops.map((drop) => frame(JSON.stringify(["EVENT", drop])))));
    const answers = new Map((await socket.hearOks(5)).map((answer) => [answer[1], answer]));
    const [last, ...first] = drops.toReversed() as [NostrEvent, ...NostrEvent[]];
    for (const { id } of first) expect(answers.get(id)).toEqual(["OK", id, true, ""]);
    expect(answers.get(last.id)).toEqual(
      documented("a message while 1,024 wait for their answer", [
        "OK",
        last.id,
        false,
        "rate-limited: too many messages are waiting for an answer",
      ]),
    );
    socket.write(frame(JSON.stringify(["EVENT", last])));
    expect((await socket.hearOks(6)).at(-1)).toEqual(["OK", last.id, true, ""]);
  });

  it("as many bytes as the limit wait for their answer, what comes after more is refused", async () => {
    const socket = await RawSocket.open(relay().url);
    const [first, second] = [giftWrap({ to: person() }), giftWrap({ to: person() })];
    // A COUNT waits until what came before it has its answer.
    const messages = [
      ["EVENT", first],
      ["COUNT", "s", { "#e": hex(20) }, { "#e": hex(20) }],
      ["EVENT", second],
    ];
    socket.write(Buffer.concat(messages.map((message) => frame(JSON.stringify(message)))));
    const answers = new Map((await socket.hearOks(2)).map((answer) => [answer[1], answer]));
    expect(answers.get(first.id)).toEqual(["OK", first.id, true, ""]);
    expect(answers.get(second.id)).toEqual(
      documented("a message while 4 MiB wait for their answer", [
        "OK",
        second.id,
        false,
        "rate-limited: too many messages are waiting for an answer",
      ]),
    );
  });
});

describe("a relay that counts the bytes each address publishes", () => {
  const relay = sharedRelay({
    env: {
      DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
      DEADDROP_LIMITS_BYTES_PER_SECOND: "1",
      DEADDROP_LIMITS_BYTES_BURST: "128KiB",
    },
  });
  const SLOW_DOWN = "rate-limited: slow down";

  function connectFrom(address: string): Promise<Client> {
    return Client.connect(relay().url, { "x-forwarded-for": address });
  }

  it("refuses what is too large for the rest, takes what is not, and holds back no others", async () => {
    const [client, other] = [await connectFrom("203.0.113.1"), await connectFrom("203.0.113.2")];
    const [first, second, third] = Array.from({ length: 3 }, () =>
      giftWrap({ to: person(), content: "x".repeat(60_000) }),
    ) as [NostrEvent, NostrEvent, NostrEvent];
    expect(await publishAtOnce(client, [first, second])).toEqual(["", ""]);
    expect(await client.publish(third)).toEqual(
      documented("an event of too many bytes, after those that its address published lately", [
        "OK",
        third.id,
        false,
        SLOW_DOWN,
      ]),
    );
    await expectHeld(client, giftWrap({ to: person() }));
    expect(await other.publish(third)).toEqual(["OK", third.id, true, ""]);
  });

  it("counts bytes and not characters, of every event", async () => {
    const client = await connectFrom("203.0.113.3");
    const wide = signed(person(), { kind: 1, content: "\u{20ac}".repeat(41_000) });
    expect((await client.publish(wide))[3]).toMatch(/^blocked: /);
    const drop = giftWrap({ to: person(), content: "x".repeat(20_000) });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, false, SLOW_DOWN]);
  });
});

describe("a relay that counts what each address does", () => {
  const relay = sharedRelay({
    env: {
      DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
      DEADDROP_LIMITS_DROPS_PER_SECOND: "1",
      DEADDROP_LIMITS_DROPS_BURST: "5",
      DEADDROP_LIMITS_REQUESTS_PER_SECOND: "1",
      DEADDROP_LIMITS_REQUESTS_BURST: "5",
      DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "2",
    },
  });
  const SLOW_DOWN = "rate-limited: slow down";

  function connectFrom(address: string): Promise<Client> {
    return Client.connect(relay().url, { "x-forwarded-for": address });
  }

  it("takes a burst of drops, refuses one more, and takes it some time later", async () => {
    const client = await connectFrom("203.0.113.1");
    const drops = Array.from({ length: 6 }, () => giftWrap({ to: person() }));
    expect(await publishAtOnce(client, drops)).toEqual(["", "", "", "", "", SLOW_DOWN]);
    const last = drops.at(-1) as NostrEvent;
    let answer = await client.publish(last);
    while (answer[2] === false) {
      expect(answer).toEqual(
        documented("an event too soon after too many of one address", [
          "OK",
          last.id,
          false,
          SLOW_DOWN,
        ]),
      );
      // One that did nothing but ask again would be cut off. A second goes by until somebody who says nothing is challenged.
      const silent = await Client.connect(relay().url);
      await silent.challengeSent;
      silent.end();
      await silent.closed;
      answer = await client.publish(last);
    }
    expect(answer).toEqual(["OK", last.id, true, ""]);
  });

  it("counts all connections of an address together, and other addresses apart", async () => {
    const [one, same, other] = [
      await connectFrom("203.0.113.2"),
      await connectFrom("203.0.113.2"),
      await connectFrom("203.0.113.3"),
    ];
    const drops = [giftWrap({ to: person() })];
    await exhaust(one);
    expect(await publishAtOnce(same, drops)).toEqual([SLOW_DOWN]);
    expect(await publishAtOnce(other, drops)).toEqual([""]);
  });

  it("counts one /64 of IPv6 as one address", async () => {
    const [one, same, other] = [
      await connectFrom("2001:db8:0:1::1"),
      await connectFrom("2001:db8:0:1:ffff::2"),
      await connectFrom("2001:db8:0:2::1"),
    ];
    const drops = [giftWrap({ to: person() })];
    await exhaust(one);
    expect(await publishAtOnce(same, drops)).toEqual([SLOW_DOWN]);
    expect(await publishAtOnce(other, drops)).toEqual([""]);
  });

  it("counts refused events too, or refusing would be free", async () => {
    const client = await connectFrom("203.0.113.4");
    const good = giftWrap({ to: person() });
    const bad = Array.from({ length: 5 }, () => signed(person(), { kind: 1 }));
    expect((await publishAtOnce(client, [...bad, good])).at(-1)).toBe(SLOW_DOWN);
  });

  it("takes an acknowledgement of many ids for more than one event", async () => {
    const client = await connectFrom("203.0.113.5");
    await exhaust(client);
    const drop = giftWrap({ to: person() });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, false, SLOW_DOWN]);
  });

  it("answers a burst of requests, and names what it refuses then", async () => {
    const client = await connectFrom("203.0.113.6");
    // Two of five: the question that brought the challenge, and that it was taken back.
    await client.asked();
    const auth = client.authEvent(person());
    for (let count = 0; count < 3; count += 1) client.say("COUNT", "c", {});
    client.say("COUNT", "c", {});
    client.say("REQ", "r", {});
    client.say("NEG-OPEN", "n", {}, "6100000200");
    client.say("AUTH", auth);
    client.say("PING");
    // Letting go is always allowed.
    client.say("CLOSE", "r");
    client.say("NEG-CLOSE", "n");
    const heard = [];
    for (let count = 0; count < 8; count += 1) heard.push(await client.hear());
    const answered = heard.filter(([, , reason]) => String(reason).startsWith("auth-required"));
    expect(answered).toHaveLength(3);
    const refused = heard.filter((message) => !answered.includes(message));
    const sends = "a REQ or COUNT too soon after too many requests of one address";
    expect(refused).toEqual([
      documented(sends, ["CLOSED", "c", SLOW_DOWN]),
      documented(sends, ["CLOSED", "r", SLOW_DOWN]),
      documented("a NEG-OPEN or NEG-MSG too soon after too many requests of one address", [
        "NEG-ERR",
        "n",
        SLOW_DOWN,
      ]),
      documented("an AUTH too soon after too many requests of one address", [
        "OK",
        auth.id,
        false,
        SLOW_DOWN,
      ]),
      ["NOTICE", SLOW_DOWN],
    ]);
    await expectHeld(client, giftWrap({ to: person() }));
  });

  it("answers HTTP requests out of the same burst", async () => {
    const headers = { "x-forwarded-for": "203.0.113.7" };
    const statuses = [];
    for (let count = 0; count < 5; count += 1) {
      statuses.push((await fetch(relay().http, { headers })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200]);
    let status = 200;
    while (status === 200) ({ status } = await fetch(relay().http, { headers }));
    expect(status).toBe(429);
  });

  it("opens as many connections of an address as the limit, and one more when one has gone", async () => {
    const address = "203.0.113.8";
    const [first] = [await connectFrom(address), await connectFrom(address)];
    await expect(connectFrom(address)).rejects.toThrow(
      documented("a connection of an address that has 64 open", "HTTP 429"),
    );
    await connectFrom("203.0.113.9");
    first.end();
    await first.closed;
    let third: Client | undefined;
    while (third === undefined) third = await connectFrom(address).catch(() => undefined);
    await expectHeld(third, giftWrap({ to: person() }));
  });
});

describe("a relay with room for few", () => {
  it("opens as many connections as the limit, and goes on with those when one more comes", async () => {
    const relay = await startRelay({ env: { DEADDROP_LIMITS_CONNECTIONS: "2" } });
    const clients = [await Client.connect(relay.url), await Client.connect(relay.url)];
    await expect(Client.connect(relay.url)).rejects.toThrow("HTTP 429");
    for (const client of clients) await expectHeld(client, giftWrap({ to: person() }));
  });

  it("refuses by its id what comes while too many events wait for their check", async () => {
    const relay = await startRelay({ env: { DEADDROP_LIMITS_VERIFYING: "64" } });
    const socket = await RawSocket.open(relay.url);
    const drops = Array.from({ length: 65 }, () => giftWrap({ to: person() }));
    socket.write(Buffer.concat(drops.map((drop) => frame(JSON.stringify(["EVENT", drop])))));
    const answers = new Map((await socket.hearOks(65)).map((answer) => [answer[1], answer]));
    const [last, ...first] = drops.toReversed() as [NostrEvent, ...NostrEvent[]];
    expect(answers.get(last.id)).toEqual(
      documented("an event while too many wait for their signature check", [
        "OK",
        last.id,
        false,
        "rate-limited: the relay is busy, try again",
      ]),
    );
    for (const { id } of first) expect(answers.get(id)).toEqual(["OK", id, true, ""]);
  });
});

describe("a relay whose peers do not do their part", () => {
  const relay = sharedRelay({
    env: {
      DEADDROP_LIMITS_HANDSHAKE_SECONDS: "1",
      DEADDROP_LIMITS_PING_SECONDS: "1",
      DEADDROP_LIMITS_DEAD_SECONDS: "3",
    },
  });

  it("cuts off one that sends half a frame and waits, and not one that answers pings", async () => {
    const patient = await Client.connect(relay().url);
    const half = await RawSocket.open(relay().url);
    const drop = giftWrap({ to: person() });
    half.write(frame(JSON.stringify(["EVENT", drop])).subarray(0, 300));
    await half.closed;
    expect(patient.socket.readyState).toBe(patient.socket.OPEN);
    // The half was no event.
    await expectHeld(patient, drop);
    documented("half a frame, and then nothing", { code: 1006 });
  });

  it("cuts off one that does not finish its handshake", async () => {
    const slow = await RawSocket.connect(relay().url);
    slow.write(HALF_HANDSHAKE);
    await slow.closed;
    const drop = giftWrap({ to: person() });
    const answer = await (await Client.connect(relay().url)).publish(drop);
    expect(answer).toEqual(["OK", drop.id, true, ""]);
  });

  it("cuts off one that answers no pings, whatever it asked for", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    await expectHeld(client, giftWrap({ to: carol }));
    client.say("REQ", "s", {});
    client.socket.pause();
    // Opened later, and so cut off later.
    await (
      await RawSocket.open(relay().url)
    ).closed;
    client.socket.resume();
    expect((await client.closed).code).toBe(1006);
  });
});

describe("a relay with a small outbox", () => {
  it("cuts off one that does not read what it is sent, and loses nothing; others go on", async () => {
    const relay = await startRelay({
      env: { DEADDROP_LIMITS_OUTBOX_BYTES: "256KiB", DEADDROP_METRICS: "127.0.0.1:0" },
    });
    const carol = person();
    const slow = await (await Client.connect(relay.url)).authenticate(carol);
    const reader = await (await Client.connect(relay.url)).authenticate(carol);
    const sender = await Client.connect(relay.url);
    await slow.request("live", {});
    await reader.request("live", {});
    slow.socket.pause();
    const sent: string[] = [];
    const metrics = relay.metrics ?? "";
    let counted = "";
    while (!counted.includes('cut_off_total{reason="does_not_read"} 1')) {
      const drop = wrapOf(60 * KIB, carol);
      await expectHeld(sender, drop);
      sent.push(drop.id);
      expect((await reader.hear())[2]).toEqual(drop);
      counted = await (await fetch(metrics)).text();
    }
    slow.socket.resume();
    expect(await slow.closed).toMatchObject(
      documented("nothing, and reads nothing, while drops come for it", { code: 1006 }),
    );
    expect((await reader.pickup()).sort()).toEqual(sent.sort());
  });
});

describe("a relay whose disk reserve is reached", () => {
  const FULL = "error: storage full";
  const NO_ROOM = { DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB" };

  it("refuses new drops and goes on with pickups and acknowledgements", async () => {
    const bob = person();
    const drops = Array.from({ length: 10 }, () => giftWrap({ to: bob }));
    const data = await filled(bob, drops);
    const relay = await startRelay({ data, env: NO_ROOM });
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    // Pages that are free in the file may be filled yet.
    const more: string[] = [];
    let drop = wrapOf(32 * KIB, bob);
    let answer = await client.publish(drop);
    while (answer[2] === true) {
      more.push(drop.id);
      drop = wrapOf(32 * KIB, bob);
      answer = await client.publish(drop);
    }
    expect(answer).toEqual(
      documented("a drop when the disk reserve is reached", ["OK", drop.id, false, FULL]),
    );
    const [first, ...others] = drops as [NostrEvent, ...NostrEvent[]];
    const left = [...others.map(({ id }) => id), ...more].sort();
    expect((await client.pickup()).sort()).toEqual([first.id, ...left].sort());
    const ack = acknowledgement(bob, [first]);
    expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
    expect((await client.pickup()).sort()).toEqual(left);
    for (const drop of drops) {
      const known = ["OK", drop.id, true, "duplicate: already have this event"];
      expect(await client.publish(drop)).toEqual(known);
    }
  });

  it("uses what acknowledgements freed in its file for new drops", async () => {
    const bob = person();
    const drops = Array.from({ length: 40 }, () => wrapOf(32 * KIB, bob));
    const data = await filled(bob, drops);
    const before = await startRelay({ data, env: NO_ROOM });
    const recipient = await (await Client.connect(before.url)).authenticate(bob);
    const ack = acknowledgement(bob, drops);
    expect(await recipient.publish(ack)).toEqual(["OK", ack.id, true, ""]);
    expect(await before.stop()).toBe(0);

    const after = await startRelay({ data, env: NO_ROOM });
    const client = await Client.connect(after.url);
    const next = wrapOf(32 * KIB, person());
    let answer = await client.publish(next);
    // Until the first sweep has taken off what was acknowledged.
    while (answer[2] === false) answer = await client.publish(next);
    await expectHeld(client, ...Array.from({ length: 9 }, () => wrapOf(32 * KIB, person())));
  });
});
