import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, type Message } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import { acknowledgement, deletion, giftWrap, signed } from "../support/events.ts";
import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";

const relay = sharedRelay();
const bob = person();
const hex = "ab".repeat(32);

/** Fails unless the very next thing the relay says on this connection is that it holds a drop. */
async function expectStillWorks(client: Client): Promise<void> {
  const drop = giftWrap({ to: bob });
  expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
}

type Row = {
  readonly sends: string;
  /** Several ways to send the same thing; a list is sent as JSON. */
  readonly says: readonly (string | Uint8Array | readonly unknown[])[];
  readonly answer: Message;
};

const DEEP = 60_000;
const deep = "[".repeat(DEEP) + "]".repeat(DEEP);

const BAD_MESSAGES: readonly Row[] = [
  {
    sends: "text that is not JSON",
    says: ["hello", "", "[", '["CLOSE","s"]]', "['CLOSE','s']", "[".repeat(DEEP)],
    answer: ["NOTICE", "invalid: message is not JSON"],
  },
  {
    sends: "a REQ or COUNT that is not JSON but names its subscription",
    says: ['["REQ","s",{}', '["COUNT","s",{"kinds":[1059,]}]', `["REQ","s",${"[".repeat(DEEP)}`],
    answer: ["CLOSED", "s", "invalid: message is not JSON"],
  },
  {
    sends: "an EVENT that is not JSON and names no id",
    says: ['["EVENT",{', '["EVENT",{"kind":1059,}]'],
    answer: ["NOTICE", "invalid: message is not JSON"],
  },
  {
    sends: "an EVENT that is not JSON but names an id",
    says: [`["EVENT",{"id":"${hex}","kind":1059,`, `["EVENT",{"id" : "${hex}",}]`],
    answer: ["OK", hex, false, "invalid: message is not JSON"],
  },
  {
    sends: "JSON that is no array",
    says: ['{"REQ":1}', '"REQ"', "5", "null", "true"],
    answer: ["NOTICE", "invalid: message is not a JSON array"],
  },
  {
    sends: "an unknown verb, or none",
    says: [[], [null], [1], [{}], ["PING"], ["req", "s", {}], ["OK", hex, true, ""], ["NEG-ERR"]],
    answer: ["NOTICE", "unsupported: unknown message type"],
  },
  {
    sends: "arrays nested 60,000 deep",
    says: [deep],
    answer: ["NOTICE", "unsupported: unknown message type"],
  },
  {
    sends: "an EVENT whose tags are nested 60,000 deep",
    says: [
      `["EVENT",{"id":"${hex}","pubkey":"${hex}","created_at":1,"kind":1059,"tags":${deep},"content":"","sig":"${hex}${hex}"}]`,
    ],
    answer: ["OK", hex, false, "invalid: tags must be arrays of one or more strings"],
  },
  {
    sends: "a binary frame",
    says: [Buffer.from('["CLOSE","s"]'), Buffer.alloc(0), Buffer.alloc(1_000, 0xff)],
    answer: ["NOTICE", "unsupported: binary messages are not understood"],
  },
  {
    sends: "an EVENT without an event",
    says: [["EVENT"], ["EVENT", null], ["EVENT", []], ["EVENT", "x"], ["EVENT", 1]],
    answer: ["NOTICE", "invalid: an event is a JSON object"],
  },
  {
    sends: "an EVENT with a subscription id before the event",
    says: [["EVENT", "s", { id: hex }]],
    answer: ["OK", hex, false, "invalid: an event is a JSON object"],
  },
  {
    sends: "an AUTH without an event",
    says: [["AUTH"], ["AUTH", null], ["AUTH", "challenge"]],
    answer: ["NOTICE", "invalid: an event is a JSON object"],
  },
  ...["", "s".repeat(65), "💧".repeat(65)].map(
    (id) =>
      ({
        sends: "a REQ or COUNT whose subscription id is empty or has more than 64 characters",
        says: [
          ["REQ", id, {}],
          ["COUNT", id, {}],
        ],
        answer: ["CLOSED", id, "invalid: subscription id must be a string of 1 to 64 characters"],
      }) satisfies Row,
  ),
  {
    sends: "a REQ, COUNT or CLOSE whose subscription id is no string",
    says: [
      ["REQ"],
      ["REQ", 1, {}],
      ["REQ", null, {}],
      ["REQ", {}, {}],
      ["COUNT", 1, {}],
      ["CLOSE"],
      ["CLOSE", ""],
      ["CLOSE", "s".repeat(65)],
      ["CLOSE", 1],
    ],
    answer: ["NOTICE", "invalid: subscription id must be a string of 1 to 64 characters"],
  },
  {
    sends: "a REQ or COUNT without a filter",
    says: [
      ["REQ", "s"],
      ["COUNT", "s"],
    ],
    answer: ["CLOSED", "s", "invalid: at least one filter is needed"],
  },
  {
    sends: "a filter that is no object",
    says: [
      ["REQ", "s", null],
      ["REQ", "s", []],
      ["REQ", "s", "x"],
      ["REQ", "s", {}, 5],
      ["COUNT", "s", 5],
      `["REQ","s",${deep}]`,
    ],
    answer: ["CLOSED", "s", "invalid: a filter is a JSON object"],
  },
  {
    sends: "a filter with a field that NIP-01 does not name",
    says: [
      ["REQ", "s", { search: "x" }],
      ["REQ", "s", {}, { kinds: [4], search: "x" }],
      ["COUNT", "s", { search: [] }],
    ],
    answer: ["CLOSED", "s", 'unsupported: filter has the unknown field "search"'],
  },
  {
    sends: "a filter on a tag whose name is longer than a letter",
    says: [["REQ", "s", { "#pp": [hex] }]],
    answer: ["CLOSED", "s", 'unsupported: filter has the unknown field "#pp"'],
  },
  {
    sends: "a filter whose `ids` hold a number, uppercase or short hex",
    says: [
      ["REQ", "s", { ids: [5] }],
      ["REQ", "s", { ids: [hex.toUpperCase()] }],
      ["REQ", "s", { ids: [hex.slice(1)] }],
      ["REQ", "s", { ids: [hex, `${hex}0`] }],
      ["REQ", "s", { ids: [null] }],
      ["COUNT", "s", { ids: [`g${hex.slice(1)}`] }],
    ],
    answer: ["CLOSED", "s", "invalid: ids must be 64 lowercase hex digits each"],
  },
  {
    sends: "a filter whose `authors` hold a number, uppercase or short hex",
    says: [
      ["REQ", "s", { authors: [5] }],
      ["REQ", "s", { authors: [hex.toUpperCase()] }],
      ["REQ", "s", { authors: [hex.slice(0, 8)] }],
    ],
    answer: ["CLOSED", "s", "invalid: authors must be 64 lowercase hex digits each"],
  },
  {
    sends: "a filter whose `#p` holds a number, uppercase or short hex",
    says: [
      ["REQ", "s", { "#p": [5] }],
      ["REQ", "s", { "#p": [hex.toUpperCase()] }],
      ["REQ", "s", { "#p": [""] }],
    ],
    answer: ["CLOSED", "s", "invalid: #p must be 64 lowercase hex digits each"],
  },
  {
    sends: "a filter whose `kinds` hold anything but whole numbers",
    says: [
      ["REQ", "s", { kinds: ["1059"] }],
      ["REQ", "s", { kinds: [1059, 1.5] }],
      ["REQ", "s", { kinds: [-1] }],
      ["REQ", "s", { kinds: [null] }],
    ],
    answer: ["CLOSED", "s", "invalid: kinds must be whole numbers"],
  },
  {
    sends: "a filter whose tag values hold anything but strings",
    says: [["REQ", "s", { "#t": [5] }], `["REQ","s",{"#t":${deep}}]`],
    answer: ["CLOSED", "s", "invalid: #t must be strings"],
  },
  {
    sends: "a filter with a single value where a list belongs",
    says: [
      ["REQ", "s", { kinds: 1059 }],
      ["REQ", "s", { kinds: null }],
      ["REQ", "s", { kinds: { 0: 1059 } }],
    ],
    answer: ["CLOSED", "s", "invalid: kinds must be a list"],
  },
  {
    sends: "a filter whose `since` is no whole number",
    says: [
      ["REQ", "s", { since: "1700000000" }],
      ["REQ", "s", { since: -1 }],
      ["REQ", "s", { since: 1.5 }],
      ["REQ", "s", { since: null }],
    ],
    answer: ["CLOSED", "s", "invalid: since must be a whole number"],
  },
  {
    sends: "a filter whose `until` is no whole number",
    says: [
      ["REQ", "s", { until: "now" }],
      ["REQ", "s", { until: 1e300 }],
    ],
    answer: ["CLOSED", "s", "invalid: until must be a whole number"],
  },
  {
    sends: "a filter whose `limit` is no whole number",
    says: [
      ["REQ", "s", { limit: "5" }],
      ["REQ", "s", { limit: -1 }],
    ],
    answer: ["CLOSED", "s", "invalid: limit must be a whole number"],
  },
];

type EventRow = {
  readonly sends: string;
  /** Several ways to do the same wrong. */
  readonly events: (good: NostrEvent) => object[];
  readonly reason: string;
};

const BAD_EVENTS: readonly EventRow[] = [
  {
    sends: "an event with an uppercase or short id",
    events: (good) => [
      { ...good, id: hex.toUpperCase() },
      { ...good, id: good.id.slice(1) },
      { ...good, id: `g${good.id.slice(1)}` },
    ],
    reason: "invalid: id must be 64 lowercase hex digits",
  },
  {
    sends: "an event whose `pubkey` is a number, uppercase or short hex",
    events: (good) => [
      { ...good, pubkey: 5 },
      { ...good, pubkey: hex.toUpperCase() },
      { ...good, pubkey: good.pubkey.slice(1) },
      { ...good, pubkey: `02${good.pubkey}` },
      { ...good, pubkey: undefined },
    ],
    reason: "invalid: pubkey must be 64 lowercase hex digits",
  },
  {
    sends: "an event whose `created_at` is no whole number of seconds",
    events: (good) => [
      { ...good, created_at: String(good.created_at) },
      { ...good, created_at: good.created_at + 0.5 },
      { ...good, created_at: -1 },
      { ...good, created_at: 1e300 },
      { ...good, created_at: null },
    ],
    reason: "invalid: created_at must be a whole number of seconds",
  },
  {
    sends: "an event whose `kind` is no whole number from 0 to 65535",
    events: (good) => [
      { ...good, kind: "1059" },
      { ...good, kind: 1059.5 },
      { ...good, kind: -1 },
      { ...good, kind: 65_536 },
    ],
    reason: "invalid: kind must be a whole number between 0 and 65535",
  },
  {
    sends: "an event whose tags are not lists of strings",
    events: (good) => [
      { ...good, tags: "p" },
      { ...good, tags: {} },
      { ...good, tags: [["p", bob.key], []] },
      { ...good, tags: [["p", bob.key], "p"] },
      { ...good, tags: [["p", 5]] },
      { ...good, tags: [["p", bob.key, null]] },
      { ...good, tags: [["p", [bob.key]]] },
    ],
    reason: "invalid: tags must be arrays of one or more strings",
  },
  {
    sends: "an event whose `content` is no string",
    events: (good) => [
      { ...good, content: 5 },
      { ...good, content: { text: "x" } },
      { ...good, content: undefined },
    ],
    reason: "invalid: content must be a string",
  },
  {
    sends: "an event whose `sig` is a number, uppercase or short hex",
    events: (good) => [
      { ...good, sig: 5 },
      { ...good, sig: hex.repeat(2).toUpperCase() },
      { ...good, sig: good.sig.slice(2) },
      { ...good, sig: undefined },
    ],
    reason: "invalid: sig must be 128 lowercase hex digits",
  },
  {
    sends: "an event with half a character (a lone surrogate)",
    events: (good) => [
      { ...good, content: "\ud800" },
      { ...good, tags: [["p", bob.key, "\udfff"]] },
    ],
    reason: "invalid: content and tags must be valid Unicode",
  },
  {
    sends: "an event with a wrong id",
    events: (good) => [
      { ...good, id: hex },
      { ...good, content: `${good.content}!` },
      { ...good, created_at: good.created_at - 1 },
      { ...good, tags: [["p", person().key]] },
    ],
    reason: "invalid: id is not the hash of the event",
  },
  {
    sends: "an event with a wrong signature",
    events: (good) => [
      { ...good, sig: "0".repeat(128) },
      { ...good, sig: `${good.sig.slice(0, -2)}${good.sig.endsWith("00") ? "01" : "00"}` },
      { ...good, sig: giftWrap({ to: bob }).sig },
      { ...acknowledgement(bob, [good]), sig: good.sig },
      { ...deletion(bob, [good]), sig: good.sig },
    ],
    reason: "invalid: signature is wrong",
  },
  {
    sends: "an event without a `p` tag",
    events: () => [
      signed(person(), { kind: 1059 }),
      signed(person(), { kind: 4, tags: [["e", hex]] }),
      signed(person(), { kind: 21059, tags: [["P", hex]] }),
    ],
    reason: "invalid: a drop needs a p tag with its recipient",
  },
  {
    sends: "an event with two `p` tags",
    events: () => [
      giftWrap({ to: bob, tags: [["p", person().key]] }),
      giftWrap({ to: bob, tags: [["p", bob.key]] }),
      giftWrap({ to: bob, tags: [["p"]] }),
    ],
    reason: "invalid: a drop has exactly one p tag",
  },
  {
    sends: "an event whose `p` tag is no key of 64 lowercase hex digits",
    events: () =>
      [["p"], ["p", ""], ["p", hex.toUpperCase()], ["p", hex.slice(1)], ["p", `npub1${hex}`]].map(
        (tag) => signed(person(), { kind: 1059, tags: [tag] }),
      ),
    reason: "invalid: the p tag must be a key of 64 lowercase hex digits",
  },
  {
    sends: 'an event with the `-` tag of NIP-70: "only its author may publish it"',
    events: () => [
      giftWrap({ to: bob, tags: [["-"]] }),
      signed(bob, { kind: 4, tags: [["-"], ["p", bob.key]] }),
    ],
    reason: "blocked: protected events (NIP-70) are not accepted, drops are anonymous",
  },
  ...[1, 22242].map((kind) => ({
    sends:
      kind === 1
        ? "an event of a kind that is not held, such as 1"
        : "an EVENT of kind 22242, which belongs into an AUTH",
    events: () => [signed(person(), { kind, tags: [["p", bob.key]] })],
    reason: `blocked: kind ${kind} is not held here, only encrypted messages are`,
  })),
];

function byName<R extends { readonly sends: string }>(rows: readonly R[]): [string, R][] {
  return rows.map((row) => [row.sends, row]);
}

describe("a message that cannot be obeyed", () => {
  it.each(byName(BAD_MESSAGES))(
    "gets its reason, and the connection goes on: %s",
    async (_, row) => {
      const client = await Client.connect(relay().url);
      for (const message of row.says) {
        client.sayRaw(
          Array.isArray(message) ? JSON.stringify(message) : (message as string | Uint8Array),
        );
        expect(await client.hear()).toEqual(documented(row.sends, row.answer));
      }
      await expectStillWorks(client);
    },
  );

  it("gets its reason where a good one would get an answer, with other subscriptions going on", async () => {
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    const { end } = await client.request("inbox", { limit: 0 });
    expect(end[0]).toBe("EOSE");
    for (const { says, answer } of BAD_MESSAGES) {
      const [message = ""] = says;
      client.sayRaw(
        Array.isArray(message) ? JSON.stringify(message) : (message as string | Uint8Array),
      );
      expect(await client.hear()).toEqual(answer);
    }
    const drop = giftWrap({ to: bob });
    const sender = await Client.connect(relay().url);
    await sender.publish(drop);
    expect(await client.hear()).toEqual(["EVENT", "inbox", drop]);
  });

  it("closes the connection, and no other, when its text is not UTF-8", async () => {
    const client = await Client.connect(relay().url);
    const other = await Client.connect(relay().url);
    client.socket.send(Buffer.from([0xc3, 0x28]), { binary: false });
    const { code } = documented("a text frame that is not UTF-8", { code: 1007 });
    // uWebSockets.js ends it without a code.
    expect([code, 1006]).toContain((await client.closed).code);
    await expectStillWorks(other);
  });
});

describe("an event that cannot be held", () => {
  it.each(byName(BAD_EVENTS))(
    "is refused by its id, and the connection goes on: %s",
    async (_, row) => {
      const client = await Client.connect(relay().url);
      for (const event of row.events(giftWrap({ to: bob }))) {
        const { id } = event as NostrEvent;
        client.say("EVENT", event);
        expect(await client.hear()).toEqual(documented(row.sends, ["OK", id, false, row.reason]));
      }
      await expectStillWorks(client);
    },
  );

  it("is refused with a NOTICE when its id cannot be read", async () => {
    const client = await Client.connect(relay().url);
    const good = giftWrap({ to: bob });
    const sends = "an event whose id is a number, missing, or too odd to repeat";
    for (const id of [5, undefined, null, [good.id], good.id + good.id, `${good.id.slice(1)}\n`]) {
      client.say("EVENT", { ...good, id });
      expect(await client.hear()).toEqual(
        documented(sends, ["NOTICE", "invalid: id must be 64 lowercase hex digits"]),
      );
    }
    await expectStillWorks(client);
  });

  it.each([0, 3, 13, 14, 15, 1058, 1060, 10050, 20222, 21060, 30000, 65_535])(
    "is refused as blocked when its kind is %d",
    async (kind) => {
      const client = await Client.connect(relay().url);
      const event = signed(bob, { kind, tags: [["p", bob.key]] });
      const reason = `blocked: kind ${kind} is not held here, only encrypted messages are`;
      expect(await client.publish(event)).toEqual(["OK", event.id, false, reason]);
      await expectStillWorks(client);
    },
  );

  it("is not in the box afterwards, whatever was wrong with it", async () => {
    const carol = person();
    const sender = await Client.connect(relay().url);
    const good = giftWrap({ to: carol });
    for (const { events } of BAD_EVENTS) {
      for (const event of events(good)) {
        sender.say("EVENT", event);
        expect((await sender.hear())[2]).toBe(false);
      }
    }
    const recipient = await (await Client.connect(relay().url)).authenticate(carol);
    expect(await recipient.pickup()).toEqual([]);
  });

  it("does not keep the good one from being held", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const good = giftWrap({ to: carol });
    client.say("EVENT", { ...good, sig: "0".repeat(128) });
    expect(await client.hear()).toEqual(["OK", good.id, false, "invalid: signature is wrong"]);
    expect(await client.publish(good)).toEqual(["OK", good.id, true, ""]);
    expect(await client.pickup()).toEqual([good.id]);
  });
});

describe("what is unusual and still right", () => {
  it("is held without the fields that NIP-01 does not name, however deep they are", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drop = giftWrap({ to: carol });
    client.sayRaw(`["EVENT",${JSON.stringify(drop).slice(0, -1)},"seen_on":${deep}}]`);
    expect(await client.hear()).toEqual(["OK", drop.id, true, ""]);
    expect((await client.request("s", {})).events).toEqual([drop]);
  });

  it("is understood with white space, escapes and further elements", async () => {
    const client = await Client.connect(relay().url);
    const drop = giftWrap({ to: bob });
    client.sayRaw(` \r\n\t[ "\\u0045VENT" , ${JSON.stringify(drop, null, 2)} , "extra" ] `);
    expect(await client.hear()).toEqual(["OK", drop.id, true, ""]);
  });

  it.each(["s", "s".repeat(64), '\u0000\n"\\]', "é".repeat(64)])(
    "opens a subscription under the id %j and names it in every answer",
    async (id) => {
      const carol = person();
      const client = await (await Client.connect(relay().url)).authenticate(carol);
      const drop = giftWrap({ to: carol });
      await client.publish(drop);
      client.say("REQ", id, {});
      expect(await client.hearUntil("EOSE")).toEqual([
        ["EVENT", id, drop],
        ["EOSE", id, ["finish"]],
      ]);
    },
  );

  it("is a CLOSE of a subscription that is not open: nothing is answered", async () => {
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    client.say("CLOSE", "never opened");
    const drop = giftWrap({ to: bob });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
  });
});

describe("a second REQ under one id", () => {
  it("replaces the first, for what is held and for what comes", async () => {
    const [carol, dave] = [person(), person()];
    const client = await (await Client.connect(relay().url)).authenticate(carol, dave);
    const forDave = giftWrap({ to: dave });
    await client.publish(forDave);
    expect(await client.request("s", { "#p": [carol.key] })).toMatchObject({ events: [] });
    expect(await client.request("s", { "#p": [dave.key] })).toMatchObject({ events: [forDave] });

    const sender = await Client.connect(relay().url);
    await sender.publish(giftWrap({ to: carol }));
    const next = giftWrap({ to: dave });
    await sender.publish(next);
    expect(await client.hear()).toEqual(["EVENT", "s", next]);
  });

  it.each([
    ["malformed", { kinds: "all" }],
    ["someone else's box", { "#p": [person().key] }],
  ])("ends the first even when it is refused itself: %s", async (_, filter) => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    await client.request("s", {});
    client.say("REQ", "s", filter);
    expect((await client.hear()).slice(0, 2)).toEqual(["CLOSED", "s"]);

    const sender = await Client.connect(relay().url);
    await sender.publish(giftWrap({ to: carol }));
    // What "s" would have heard comes before the answer to this.
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 1 }]);
  });
});
