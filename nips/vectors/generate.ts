// Writes the vectors of NIP-DD: node nips/vectors/generate.ts
//
// Each file is a list of cases. A case starts with an empty relay that has the `retention` of the case and is known as wss://relay.example, and goes through
// its steps in order. A step happens at `now` (Unix seconds) and is one of
//   { now, publish: <event>, answer: ["OK", <id>, <accepted>, <message>] }   a message that ends in ":" stands for any with this prefix
//   { now, box: <key>, holds: [<id>, ...] }                                  what the recipient gets, newest first
//   { now, retention: <seconds> }                                            the relay is started again with another retention

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";

import type { NostrEvent } from "nostr-tools";
import { finalizeEvent, getPublicKey } from "nostr-tools/pure";

type Key = { readonly secret: Uint8Array; readonly key: string };

function keyOf(name: string): Key {
  const secret = createHash("sha256").update(`nip-dd ${name}`).digest();
  return { secret, key: getPublicKey(secret) };
}

const people = { alice: keyOf("alice"), bob: keyOf("bob"), carol: keyOf("carol") };
const { alice, bob, carol } = people;

const NOW = 1_750_000_000;
const DAY = 86_400;
const RETENTION = 30 * DAY;
const OK = "";
const DUPLICATE = "duplicate: already have this event";

let made = 0;
function sign(by: Key, kind: number, tags: string[][], created_at: number): NostrEvent {
  const content = kind === 5 || kind === 62 || kind === 20221 ? "" : `ciphertext ${++made}`;
  const event = finalizeEvent({ kind, created_at, tags, content }, by.secret);
  return JSON.parse(JSON.stringify(event)) as NostrEvent;
}
const wrap = (to: Key, created_at = NOW, tags: string[][] = []): NostrEvent =>
  sign(keyOf(`one-time ${++made}`), 1059, [["p", to.key], ...tags], created_at);
const ack = (by: Key, of: NostrEvent[], tags: string[][] = []): NostrEvent =>
  sign(by, 20221, [...of.map(({ id }) => ["e", id]), ...tags], NOW);

const publish = (now: number, event: NostrEvent, message: string): object => ({
  now,
  publish: event,
  answer: ["OK", event.id, message === OK || message.startsWith("duplicate:"), message],
});
const holds = (now: number, box: Key, events: NostrEvent[]): object => ({
  now,
  box: box.key,
  holds: events.map(({ id }) => id),
});

type Case = { title: string; retention: number; steps: object[] };
const testCase = (title: string, steps: object[], retention = RETENTION): Case => ({
  title,
  retention,
  steps,
});

function refused(title: string, event: NostrEvent, prefix: string): Case {
  return testCase(title, [publish(NOW, event, prefix), holds(NOW, bob, [])]);
}

function drops(): Case[] {
  const held = wrap(bob);
  const message = sign(alice, 4, [["p", bob.key]], NOW);
  const forged = { ...wrap(bob), sig: held.sig };
  const altered = { ...wrap(bob), content: "altered" };
  return [
    testCase("a gift wrap is held for its recipient", [
      publish(NOW, held, OK),
      holds(NOW, bob, [held]),
      holds(NOW, carol, []),
    ]),
    testCase("a kind 4 is held for its recipient and not for its author", [
      publish(NOW, message, OK),
      holds(NOW, bob, [message]),
      holds(NOW, alice, []),
    ]),
    testCase("a drop that is held is known", [
      publish(NOW, held, OK),
      publish(NOW, held, DUPLICATE),
    ]),
    refused("no p tag", sign(alice, 1059, [], NOW), "invalid:"),
    refused("two p tags", wrap(bob, NOW, [["p", carol.key]]), "invalid:"),
    refused("uppercase p tag", sign(alice, 1059, [["p", bob.key.toUpperCase()]], NOW), "invalid:"),
    refused("short p tag", sign(alice, 1059, [["p", bob.key.slice(1)]], NOW), "invalid:"),
    refused("a kind that is not held", sign(alice, 1, [["p", bob.key]], NOW), "blocked:"),
    refused("the signature of another event", forged, "invalid:"),
    refused("an id that is not the hash", altered, "invalid:"),
    testCase("an ephemeral wrap is not stored", [
      publish(NOW, sign(alice, 21059, [["p", bob.key]], NOW), OK),
      holds(NOW, bob, []),
    ]),
  ];
}

function expiry(): Case[] {
  const plain = wrap(bob);
  const end = NOW + 2 * DAY + RETENTION;
  const oldest = wrap(bob, NOW - 2 * DAY - RETENTION + 1);
  const tooOld = wrap(bob, NOW - 2 * DAY - RETENTION);
  const ahead = wrap(bob, NOW + 900);
  const tooFarAhead = wrap(bob, NOW + 901);
  const short = wrap(bob, NOW, [["expiration", String(NOW + 60)]]);
  const past = wrap(bob, NOW, [["expiration", String(NOW)]]);
  const long = wrap(bob, NOW, [["expiration", String(end + DAY)]]);
  const several = wrap(bob, NOW, [
    ["expiration", String(NOW + 120)],
    ["expiration", String(NOW + 60)],
  ]);
  const kept = wrap(bob, NOW - DAY);
  const acknowledged = wrap(bob, NOW - DAY);
  const keptEnd = NOW - DAY + 2 * DAY + DAY;
  return [
    testCase("without an expiration tag: created_at + two days + retention", [
      publish(NOW, plain, OK),
      holds(end - 1, bob, [plain]),
      holds(end, bob, []),
      publish(end, plain, "invalid:"),
    ]),
    testCase("the oldest that is accepted", [
      publish(NOW, oldest, OK),
      holds(NOW, bob, [oldest]),
      holds(NOW + 1, bob, []),
    ]),
    refused("a second too old", tooOld, "invalid:"),
    testCase("15 minutes ahead", [publish(NOW, ahead, OK)]),
    refused("15 minutes and a second ahead", tooFarAhead, "invalid:"),
    testCase("an expiration tag shortens", [
      publish(NOW, short, OK),
      holds(NOW + 59, bob, [short]),
      holds(NOW + 60, bob, []),
      publish(NOW + 60, short, "invalid:"),
    ]),
    refused("expired on arrival", past, "invalid:"),
    testCase("an expiration tag does not lengthen", [
      publish(NOW, long, OK),
      holds(end - 1, bob, [long]),
      holds(end, bob, []),
    ]),
    testCase("of several expiration tags the earliest counts", [
      publish(NOW, several, OK),
      holds(NOW + 59, bob, [several]),
      holds(NOW + 60, bob, []),
    ]),
    refused("a malformed expiration tag", wrap(bob, NOW, [["expiration", "soon"]]), "invalid:"),
    refused("a negative expiration tag", wrap(bob, NOW, [["expiration", "-1"]]), "invalid:"),
    testCase(
      "a longer retention does not let back in what was acknowledged",
      [
        publish(NOW, acknowledged, OK),
        publish(NOW, ack(bob, [acknowledged]), OK),
        { now: keptEnd, retention: RETENTION },
        publish(keptEnd, acknowledged, "invalid:"),
        holds(keptEnd, bob, []),
      ],
      DAY,
    ),
    testCase("a shorter retention takes nothing away", [
      publish(NOW, kept, OK),
      { now: NOW, retention: DAY },
      holds(NOW + 10 * DAY, bob, [kept]),
    ]),
  ];
}

function acknowledgements(): Case[] {
  const [one, two, three] = [wrap(bob, NOW - 1), wrap(bob, NOW - 2), wrap(bob, NOW - 3)];
  const carols = wrap(carol);
  const ackOne = ack(bob, [one]);
  const ackGrace = ack(bob, [one], [["expiration", String(NOW + 60)]]);
  const deletion = sign(
    bob,
    5,
    [
      ["e", one.id],
      ["k", "1059"],
    ],
    NOW,
  );
  const message = sign(alice, 4, [["p", bob.key]], NOW);
  const byAuthor = sign(
    alice,
    5,
    [
      ["e", message.id],
      ["k", "4"],
    ],
    NOW,
  );
  const alices = sign(alice, 1059, [["p", bob.key]], NOW);
  const byWrapper = sign(
    alice,
    5,
    [
      ["e", alices.id],
      ["k", "1059"],
    ],
    NOW,
  );
  const ahead = wrap(bob, NOW + 900);
  const end = NOW + 900 + 2 * DAY + RETENTION;
  const vanish = sign(bob, 62, [["relay", "ALL_RELAYS"]], NOW);
  const vanishElsewhere = sign(bob, 62, [["relay", "wss://elsewhere.example"]], NOW);
  const later = wrap(bob, NOW + 10);
  return [
    testCase("an acknowledged drop is gone and stays gone", [
      publish(NOW, one, OK),
      publish(NOW, two, OK),
      publish(NOW, ackOne, OK),
      holds(NOW, bob, [two]),
      publish(NOW, one, DUPLICATE),
      publish(NOW, two, DUPLICATE),
      holds(NOW, bob, [two]),
    ]),
    testCase("several ids in one acknowledgement", [
      publish(NOW, one, OK),
      publish(NOW, two, OK),
      publish(NOW, three, OK),
      publish(NOW, ack(bob, [one, three]), OK),
      holds(NOW, bob, [two]),
    ]),
    testCase("before the drop", [
      publish(NOW, ackOne, OK),
      publish(NOW, one, DUPLICATE),
      holds(NOW, bob, []),
    ]),
    testCase("of somebody else's drop changes nothing", [
      publish(NOW, carols, OK),
      publish(NOW, ack(bob, [carols]), OK),
      holds(NOW, carol, [carols]),
    ]),
    testCase("published again changes nothing", [
      publish(NOW, one, OK),
      publish(NOW, ackOne, OK),
      publish(NOW, two, OK),
      publish(NOW + DAY, ackOne, OK),
      holds(NOW + DAY, bob, [two]),
      publish(NOW + DAY, one, DUPLICATE),
    ]),
    testCase("with grace the drop is served until then", [
      publish(NOW, one, OK),
      publish(NOW, ackGrace, OK),
      holds(NOW + 59, bob, [one]),
      publish(NOW + 59, one, DUPLICATE),
      holds(NOW + 60, bob, []),
      publish(NOW + 60, one, DUPLICATE),
      holds(NOW + 60, bob, []),
    ]),
    testCase("grace does not outlive the expiry", [
      publish(NOW, one, OK),
      publish(NOW, ack(bob, [one], [["expiration", String(NOW + 100 * DAY)]]), OK),
      holds(NOW - 1 + 2 * DAY + RETENTION, bob, []),
    ]),
    testCase("without an id", [publish(NOW, ack(bob, []), "invalid:")]),
    testCase("with a malformed id", [publish(NOW, ack(bob, [], [["e", "beef"]]), "invalid:")]),
    testCase("with a malformed expiration", [
      publish(NOW, one, OK),
      publish(NOW, ack(bob, [one], [["expiration", "soon"]]), "invalid:"),
      holds(NOW, bob, [one]),
    ]),
    testCase("a kind 5 by the recipient does the same", [
      publish(NOW, one, OK),
      publish(NOW, deletion, OK),
      holds(NOW, bob, []),
      publish(NOW, one, DUPLICATE),
    ]),
    testCase("a kind 5 by its author deletes a kind 4", [
      publish(NOW, message, OK),
      publish(NOW, byAuthor, OK),
      holds(NOW, bob, []),
      publish(NOW, message, DUPLICATE),
    ]),
    testCase("a kind 5 by the key that signed a gift wrap deletes nothing", [
      publish(NOW, alices, OK),
      publish(NOW, byWrapper, OK),
      holds(NOW, bob, [alices]),
    ]),
    testCase("remembered before the drop came until nothing that existed then is accepted", [
      publish(NOW, ack(bob, [ahead]), OK),
      publish(end - 1, ahead, DUPLICATE),
      holds(end - 1, bob, []),
      publish(end, ahead, "invalid:"),
    ]),
    testCase("a kind 5 by a stranger deletes nothing", [
      publish(NOW, one, OK),
      publish(NOW, sign(carol, 5, [["e", one.id]], NOW), OK),
      holds(NOW, bob, [one]),
    ]),
    testCase("a kind 62 empties the box, once", [
      publish(NOW, one, OK),
      publish(NOW, vanish, OK),
      holds(NOW, bob, []),
      publish(NOW, one, DUPLICATE),
      publish(NOW, two, OK),
      publish(NOW + 10, later, OK),
      publish(NOW + 10, vanish, OK),
      holds(NOW + 10, bob, [later, two]),
    ]),
    testCase("a kind 62 for another relay", [
      publish(NOW, one, OK),
      publish(NOW, vanishElsewhere, "invalid:"),
      holds(NOW, bob, [one]),
    ]),
  ];
}

const folder = new URL("./", import.meta.url);
const write = (name: string, content: unknown): void =>
  writeFileSync(new URL(`${name}.json`, folder), `${JSON.stringify(content, undefined, 2)}\n`);

write(
  "keys",
  Object.fromEntries(
    Object.entries(people).map(([name, { secret, key }]) => [
      name,
      { secret: Buffer.from(secret).toString("hex"), key },
    ]),
  ),
);
write("drops", drops());
write("expiry", expiry());
write("acknowledgements", acknowledgements());
