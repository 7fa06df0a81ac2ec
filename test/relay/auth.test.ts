import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import { giftWrap, signed } from "../support/events.ts";
import { person } from "../support/people.ts";
import { CLOSE_FRAME, frame, RawSocket } from "../support/raw.ts";
import { knownAs, sharedRelay } from "../support/relay.ts";

const MINUTE = 60;
const relay = sharedRelay();
const bob = person();
const hex = "ab".repeat(32);

const AUTH_REQUIRED = "auth-required: drops are shown to their recipient only";
const NOT_YOURS = "restricted: that is not your box";

/** An AUTH by this person as it should be, but for the tags. */
function withTags(client: Client, tags: string[][]): NostrEvent {
  return client.authEvent(bob, { tags });
}

type Row = {
  readonly sends: string;
  readonly events: (client: Client) => NostrEvent[];
  readonly reason: string;
};

const BAD_AUTHS: readonly Row[] = [
  {
    sends: "an AUTH with an event of another kind",
    events: (client) => [
      client.authEvent(bob, { kind: 22241 }),
      client.authEvent(bob, { kind: 1 }),
      giftWrap({ to: bob }),
    ],
    reason: "invalid: AUTH takes an event of kind 22242",
  },
  {
    sends: "an AUTH with another challenge, or none",
    events: (client) => [
      withTags(client, [
        ["relay", relay().url],
        ["challenge", hex.slice(0, 32)],
      ]),
      withTags(client, [["relay", relay().url], ["challenge"]]),
      withTags(client, [["relay", relay().url]]),
      withTags(client, [
        ["relay", relay().url],
        ["challenge", client.challenge.toUpperCase() + client.challenge],
      ]),
    ],
    reason: "invalid: the challenge is not the one of this connection",
  },
  {
    sends: "an AUTH for another host, or none",
    events: (client) =>
      [
        ["relay", "wss://relay.example"],
        ["relay", "ws://127.0.0.1:1"],
        ["relay", relay().url.replace(/:\d+$/, "")],
        ["relay", relay().url.replace("ws://", "ftp://")],
        ["relay", relay().url.replace("ws://", "//")],
        ["relay", relay().url.replace("ws://", "ws://user@")],
        ["relay", relay().url.replace("ws://", "ws:\\\\")],
        ["relay", relay().url.replace("127.0.0.1", "127.1")],
        ["relay", relay().url.replace("127.0.0.1", "１２７.0.0.1")],
        ["relay", relay().url.replace("127", "12\t7")],
        ["relay", ` ${relay().url}`],
        ["relay", `${relay().url}\\@relay.example`],
        ["relay", relay().url.replace("ws://", "ws://relay.example/")],
        ["relay", ""],
        ["relay"],
        ["r", relay().url],
      ].map((tag) => withTags(client, [tag, ["challenge", client.challenge]])),
    reason: "invalid: the relay tag names another relay<, this one is known as …>",
  },
  {
    sends: "an AUTH from more than 10 minutes ago or ahead",
    events: (client) => [
      client.authEvent(bob, { created_at: now() - 10 * MINUTE - 1 }),
      client.authEvent(bob, { created_at: now() + 11 * MINUTE }),
      client.authEvent(bob, { created_at: 0 }),
    ],
    reason: "invalid: created_at is more than 10 minutes from now",
  },
  {
    sends: "an AUTH with a wrong signature",
    events: (client) => [
      { ...client.authEvent(bob), sig: "0".repeat(128) },
      { ...client.authEvent(bob), sig: client.authEvent(bob, { content: "x" }).sig },
      { ...client.authEvent(bob), sig: giftWrap({ to: bob }).sig },
    ],
    reason: "invalid: signature is wrong",
  },
  {
    sends: "an AUTH with a wrong id",
    events: (client) => [
      { ...client.authEvent(bob), id: hex },
      // Somebody else's proof under one's own name, and one's own under theirs.
      { ...client.authEvent(person()), pubkey: bob.key },
    ],
    reason: "invalid: id is not the hash of the event",
  },
  {
    sends: "an AUTH whose event has an uppercase or short key",
    events: (client) => [
      { ...client.authEvent(bob), pubkey: bob.key.slice(1) },
      { ...client.authEvent(bob), pubkey: hex.toUpperCase() },
    ],
    reason: "invalid: pubkey must be 64 lowercase hex digits",
  },
];

describe("an AUTH that proves nothing", () => {
  it.each(BAD_AUTHS.map((row): [string, Row] => [row.sends, row]))(
    "is refused and opens no box, and a right one still does: %s",
    async (_, { sends, events, reason }) => {
      const client = await Client.challenged(relay().url);
      for (const event of events(client)) {
        client.say("AUTH", event);
        documented(sends, ["OK", event.id, false, reason]);
        const said = reason.replace(/<.*>$/, knownAs(relay()));
        expect(await client.hear()).toEqual(["OK", event.id, false, said]);
        client.say("REQ", "s", { "#p": [bob.key] });
        expect(await client.hear()).toEqual(["CLOSED", "s", AUTH_REQUIRED]);
      }
      await client.authenticate(bob);
      expect(await client.count({})).toMatchObject(["COUNT", "count", {}]);
    },
  );

  it("is one that answers the challenge of another connection", async () => {
    const one = await Client.challenged(relay().url);
    const other = await Client.challenged(relay().url);
    const event = one.authEvent(bob);
    other.say("AUTH", event);
    const reason = "invalid: the challenge is not the one of this connection";
    expect(await other.hear()).toEqual(["OK", event.id, false, reason]);
  });

  it("takes nothing away from those that came before", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drop = giftWrap({ to: carol });
    await client.publish(drop);
    client.say("AUTH", { ...client.authEvent(bob), sig: "0".repeat(128) });
    expect((await client.hear())[2]).toBe(false);
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("is one sent as an EVENT, however right", async () => {
    const client = await Client.challenged(relay().url);
    expect((await client.publish(client.authEvent(bob)))[2]).toBe(false);
    expect(await client.count({})).toEqual(["CLOSED", "count", AUTH_REQUIRED]);
  });
});

describe("an AUTH", () => {
  const right: [string, (client: Client) => NostrEvent][] = [
    ["up to 10 minutes ago", (client) => client.authEvent(bob, { created_at: now() - 9 * MINUTE })],
    [
      "up to 10 minutes ahead",
      (client) => client.authEvent(bob, { created_at: now() + 10 * MINUTE }),
    ],
    [
      "with another scheme and a path",
      (client) =>
        withTags(client, [
          ["relay", `${relay().url.replace("ws:", "wss:")}/some/path?x`],
          ["challenge", client.challenge],
        ]),
    ],
    [
      "with the scheme of HTTP",
      (client) =>
        withTags(client, [
          ["relay", relay().http],
          ["challenge", client.challenge],
        ]),
    ],
    [
      "without a scheme",
      (client) =>
        withTags(client, [
          ["relay", relay().url.replace("ws://", "")],
          ["challenge", client.challenge],
        ]),
    ],
    [
      "with a root dot",
      (client) =>
        withTags(client, [
          ["relay", relay().url.replace("127.0.0.1", "localhost.")],
          ["challenge", client.challenge],
        ]),
    ],
    [
      "with another name of this machine",
      (client) =>
        withTags(client, [
          ["relay", relay().url.replace("127.0.0.1", "LOCALHOST")],
          ["challenge", client.challenge],
        ]),
    ],
  ];

  it.each(right)("opens the box: %s", async (_, event) => {
    const client = await Client.challenged(relay().url);
    const auth = event(client);
    client.say("AUTH", auth);
    expect(await client.hear()).toEqual(["OK", auth.id, true, ""]);
    expect(await client.count({})).toMatchObject(["COUNT", "count", {}]);
  });

  it("opens the box for a REQ that comes in the same flight", async () => {
    const carol = person();
    const client = await Client.connect(relay().url);
    const drop = giftWrap({ to: carol });
    await client.publish(drop);
    await client.asked();
    const auth = client.authEvent(carol);
    client.say("AUTH", auth);
    client.say("REQ", "s", {});
    expect(await client.hearUntil("EOSE")).toEqual([
      ["OK", auth.id, true, ""],
      ["EVENT", "s", drop],
      ["EOSE", "s", ["finish"]],
    ]);
  });

  it("opens one box more for each key, and the same again for none", async () => {
    const [carol, dave] = [person(), person()];
    const client = await Client.connect(relay().url);
    const drops = [giftWrap({ to: carol }), giftWrap({ to: dave })];
    for (const drop of drops) await client.publish(drop);
    await client.authenticate(carol, carol);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 1 }]);
    await client.authenticate(dave);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 2 }]);
  });

  it("gets a challenge of its own on every connection", async () => {
    const clients = await Promise.all([1, 2, 3].map(() => Client.challenged(relay().url)));
    expect(new Set(clients.map(({ challenge }) => challenge)).size).toBe(3);
  });
});

describe("before an AUTH", () => {
  const asked: [string, object[]][] = [
    ["for anything", [{}]],
    ["for a box", [{ "#p": [bob.key] }]],
    ["for an id", [{ ids: [hex] }]],
    ["for nothing", [{ limit: 0 }]],
    ["for what is held here, among others", [{ kinds: [1] }, { kinds: [0, 4] }]],
  ];

  it.each(asked)("a REQ is closed: %s", async (_, filters) => {
    const client = await Client.connect(relay().url);
    client.say("REQ", "s", ...filters);
    expect(await client.hear()).toEqual(
      documented("a REQ before AUTH", ["CLOSED", "s", AUTH_REQUIRED]),
    );
    await client.authenticate(bob);
    expect((await client.request("s", ...filters)).end).toEqual(["EOSE", "s", ["finish"]]);
  });

  it.each(asked)("a COUNT is closed: %s", async (_, filters) => {
    const client = await Client.connect(relay().url);
    expect(await client.count(...filters)).toEqual(
      documented("a COUNT before AUTH", ["CLOSED", "count", AUTH_REQUIRED]),
    );
    await client.authenticate(bob);
    expect(await client.count(...filters)).toEqual(["COUNT", "count", { count: 0 }]);
  });

  it("a box that holds something and one that does not are closed alike", async () => {
    const [full, empty] = [person(), person()];
    const client = await Client.connect(relay().url);
    await client.publish(giftWrap({ to: full }));
    const answers: Message[] = [];
    for (const { key } of [full, empty]) answers.push(await client.count({ "#p": [key] }));
    expect(answers[0]).toEqual(answers[1]);
  });
});

describe("a filter", () => {
  it.each(["REQ", "COUNT"])("for someone else's box closes a %s", async (verb) => {
    const stranger = person();
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.publish(giftWrap({ to: stranger }));
    for (const filters of [
      [{ "#p": [stranger.key] }],
      [{ "#p": [stranger.key, person().key] }],
      [{ "#p": [stranger.key], kinds: [1059], limit: 1 }],
      [{ "#p": [stranger.key] }, { "#p": [person().key] }],
      [{ "#p": [stranger.key] }, { kinds: [] }],
    ]) {
      client.say(verb, "s", ...filters);
      expect(await client.hear()).toEqual(
        documented("a filter for someone else's box", ["CLOSED", "s", NOT_YOURS]),
      );
    }
    expect((await client.request("s", { limit: 0 })).end[0]).toBe("EOSE");
  });

  it("with a part that can match nothing is about the other parts", async () => {
    const [carol, peer] = [person(), person()];
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const mine = signed(peer, { kind: 4, tags: [["p", carol.key]] });
    const theirs = signed(carol, { kind: 4, tags: [["p", peer.key]] });
    for (const drop of [mine, theirs]) await client.publish(drop);
    // How most clients show a conversation of kind 4: what I wrote to them, and what they wrote to me.
    const conversation = [
      { kinds: [4], authors: [carol.key], "#p": [peer.key] },
      { kinds: [4], authors: [peer.key], "#p": [carol.key] },
    ];
    for (const filters of [conversation, [...conversation, { ids: [] }], [{ "#p": [] }, {}]]) {
      client.say("COUNT", "count", ...filters);
      expect(await client.hear()).toEqual(["COUNT", "count", { count: 1 }]);
      expect((await client.request("s", ...filters)).events).toEqual([mine]);
    }
    const next = signed(peer, { kind: 4, content: "live", tags: [["p", carol.key]] });
    await (await Client.connect(relay().url)).publish(next);
    expect(await client.hear()).toEqual(["EVENT", "s", next]);
  });

  it.each(["ids", "authors", "kinds", "#p", "#e"])(
    "that is about nothing, having an empty %s alone, is answered and brings nothing",
    async (field) => {
      const client = await (await Client.connect(relay().url)).authenticate(bob);
      await client.publish(giftWrap({ to: bob }));
      const { events, end } = await client.request("s", { [field]: [] });
      expect([events, end]).toEqual([[], ["EOSE", "s", ["finish"]]]);
      expect(await client.count({ [field]: [] })).toEqual(["COUNT", "count", { count: 0 }]);
      await (await Client.connect(relay().url)).publish(giftWrap({ to: bob }));
      expect(await client.count({ limit: 0 })).toMatchObject(["COUNT", "count", {}]);
    },
  );

  it("for one's own and someone else's box is about one's own", async () => {
    const [carol, stranger] = [person(), person()];
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const [mine, foreign] = [giftWrap({ to: carol }), giftWrap({ to: stranger })];
    for (const drop of [mine, foreign]) await client.publish(drop);
    const both = { "#p": [stranger.key, carol.key] };
    expect(await client.count(both)).toEqual(["COUNT", "count", { count: 1 }]);
    expect((await client.request("s", both)).events).toEqual([mine]);

    const sender = await Client.connect(relay().url);
    await sender.publish(giftWrap({ to: stranger }));
    const next = giftWrap({ to: carol });
    await sender.publish(next);
    expect(await client.hear()).toEqual(["EVENT", "s", next]);
  });

  it.each([
    ["an id", (drop: NostrEvent) => ({ ids: [drop.id] })],
    ["an author", (drop: NostrEvent) => ({ authors: [drop.pubkey] })],
    ["a kind", (drop: NostrEvent) => ({ kinds: [drop.kind] })],
  ])("that names %s of someone else's drop finds nothing", async (_, filterOf) => {
    const client = await (await Client.connect(relay().url)).authenticate(person());
    const foreign = giftWrap({ to: person() });
    await client.publish(foreign);
    expect(await client.pickup(filterOf(foreign))).toEqual([]);
    expect(await client.count(filterOf(foreign))).toEqual(["COUNT", "count", { count: 0 }]);
  });

  it("for kinds that are consumed finds nothing, also not one's own", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    await client.publish(signed(carol, { kind: 5 }));
    expect(await client.pickup({ kinds: [5, 62, 20221, 22242] })).toEqual([]);
  });
});

describe("a relay with a public URL", () => {
  const named = sharedRelay({
    env: { DEADDROP_URL: "wss://drop.example/inbox", DEADDROP_ALIASES: "wss://alias.example:8443" },
  });

  it.each([
    ["wss://drop.example", true],
    ["WSS://DROP.EXAMPLE:443/", true],
    ["ws://drop.example/other", true],
    ["wss://alias.example:8443", true],
    ["drop.example", true],
    ["https://drop.example./inbox", true],
    ["http://alias.example:8443", true],
    ["wss://alias.example", false],
    ["wss://drop.example:8443", false],
    ["wss://drop.example.evil.example", false],
    ["wss://drop.example@evil.example", false],
    ["the address it listens on", false],
  ])("is known as %s: %s", async (url, known) => {
    const client = await Client.challenged(named().url);
    const event = withTags(client, [
      ["relay", url.startsWith("the") ? named().url : url],
      ["challenge", client.challenge],
    ]);
    client.say("AUTH", event);
    const names = "drop.example, alias.example:8443";
    const reason = `invalid: the relay tag names another relay, this one is known as ${names}`;
    expect(await client.hear()).toEqual(["OK", event.id, known, known ? "" : reason]);
  });
});

describe("a client that asks and says goodbye in one breath", () => {
  it("is answered, and hears nothing after the relay's own goodbye", async () => {
    const socket = await RawSocket.open(relay().url);
    socket.write(Buffer.concat([frame(JSON.stringify(["REQ", "box", {}])), CLOSE_FRAME]));
    await socket.closed;
    const goodbye = socket.heard.lastIndexOf("\x88\x02\x03\xe8");
    // The REQ waits for a key, and goes with its client.
    expect(goodbye).toBeGreaterThan(socket.heard.indexOf('["AUTH",'));
    expect(socket.heard.indexOf('["AUTH",')).toBeGreaterThan(0);
    expect(socket.heard.slice(goodbye)).toHaveLength(4);
  });
});
