// Writes the vectors of NIP-DD: node nips/vectors/generate.ts
//
// Each file is a list of cases. A case starts with an empty relay that has the `retention` of the case and is known as wss://relay.example, and goes through
// its steps in order. A step happens at `now` (Unix seconds) and is one of
//   { now, publish: <event>, answer: ["OK", <id>, <accepted>, <message>] }   a message that ends in ":" stands for any with this prefix
//   { now, box: <key>, holds: [<id>, ...] }                                  what the recipient gets, newest first
//   { now, retention: <seconds> }                                            the relay is started again with another retention
//   { now, advertises: { retention, former_retentions } }                    what its dead_drop object says; null: there is no such member

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
const ack = (by: Key, of: NostrEvent[], tags: string[][] = [], created_at = NOW): NostrEvent =>
  sign(by, 20221, [...of.map(({ id }) => ["e", id]), ...tags], created_at);
const grace = (at: number): string[] => ["grace", String(at)];
const deletionBy = (by: Key, of: NostrEvent[], tags: string[][] = []): NostrEvent =>
  sign(by, 5, [...of.map(({ id }) => ["e", id]), ...tags], NOW);

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

type Former = { until: number; retention: number }[];
const advertises = (now: number, retention: number, former: Former | null): object => ({
  now,
  advertises: { retention, former_retentions: former },
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
  const change = NOW + 900;
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
    testCase(
      "a former retention that is no longer listed lets nothing back in",
      [
        publish(NOW, acknowledged, OK),
        publish(NOW, ack(bob, [acknowledged]), OK),
        { now: NOW, retention: RETENTION },
        advertises(change + 3 * DAY, RETENTION, null),
        { now: change + 3 * DAY, retention: RETENTION },
        publish(change + 3 * DAY, acknowledged, "invalid:"),
        holds(change + 3 * DAY, bob, []),
      ],
      DAY,
    ),
    testCase("a shorter retention takes nothing away", [
      publish(NOW, kept, OK),
      { now: NOW, retention: DAY },
      holds(NOW + 10 * DAY, bob, [kept]),
    ]),
    testCase("one retention is advertised as it is", [advertises(NOW, RETENTION, null)]),
    testCase(
      "a longer retention is advertised once it holds for every event made now, and the former one while it holds any",
      [
        { now: NOW, retention: RETENTION },
        advertises(NOW + 1, DAY, [{ until: change, retention: DAY }]),
        advertises(change + 2 * DAY, DAY, [{ until: change, retention: DAY }]),
        advertises(change + 2 * DAY + 1, RETENTION, [{ until: change, retention: DAY }]),
        advertises(change + 3 * DAY - 1, RETENTION, [{ until: change, retention: DAY }]),
        advertises(change + 3 * DAY, RETENTION, null),
      ],
      DAY,
    ),
    testCase("a shorter retention is advertised at once, and the former one while it holds any", [
      { now: NOW, retention: DAY },
      advertises(NOW + 1, DAY, [{ until: change, retention: RETENTION }]),
      advertises(change + 2 * DAY + RETENTION - 1, DAY, [{ until: change, retention: RETENTION }]),
      advertises(change + 2 * DAY + RETENTION, DAY, null),
    ]),
  ];
}

function acknowledgements(): Case[] {
  const [one, two, three] = [wrap(bob, NOW - 1), wrap(bob, NOW - 2), wrap(bob, NOW - 3)];
  const carols = wrap(carol);
  const ackOne = ack(bob, [one]);
  const ackGrace = ack(bob, [one], [grace(NOW + 60)]);
  const deletion = deletionBy(bob, [one], [["k", "1059"]]);
  const message = sign(alice, 4, [["p", bob.key]], NOW);
  const byAuthor = deletionBy(alice, [message], [["k", "4"]]);
  const alices = sign(alice, 1059, [["p", bob.key]], NOW);
  const byWrapper = deletionBy(alice, [alices], [["k", "1059"]]);
  const ahead = wrap(bob, NOW + 900);
  const end = NOW + 900 + 2 * DAY + RETENTION;
  const oldest = NOW - 900 - 2 * DAY - RETENTION;
  const forged = { ...one, sig: two.sig };
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
    testCase("before the drop: its first arrival is answered as if it were held", [
      publish(NOW, ackOne, OK),
      publish(NOW, one, OK),
      holds(NOW, bob, []),
      publish(NOW, one, DUPLICATE),
      holds(NOW, bob, []),
    ]),
    testCase("before the drop, with a grace", [
      publish(NOW, ackGrace, OK),
      publish(NOW, one, OK),
      holds(NOW, bob, []),
      publish(NOW, one, DUPLICATE),
    ]),
    testCase("a kind 5 before the drop", [
      publish(NOW, deletion, OK),
      publish(NOW, one, OK),
      holds(NOW, bob, []),
      publish(NOW, one, DUPLICATE),
    ]),
    testCase("before the drop, of which a forged copy comes first", [
      publish(NOW, ackOne, OK),
      publish(NOW, forged, "invalid:"),
      publish(NOW, one, OK),
      publish(NOW, one, DUPLICATE),
      holds(NOW, bob, []),
    ]),
    testCase("a first arrival after a restart", [
      publish(NOW, ackOne, OK),
      { now: NOW + 1, retention: RETENTION },
      publish(NOW + 1, one, OK),
      { now: NOW + 2, retention: RETENTION },
      publish(NOW + 2, one, DUPLICATE),
      holds(NOW + 2, bob, []),
    ]),
    testCase("a second too old, it deletes and has nothing remembered that never came", [
      publish(NOW, one, OK),
      publish(NOW, ack(bob, [one, two], [], oldest - 1), OK),
      holds(NOW, bob, []),
      publish(NOW, one, DUPLICATE),
      publish(NOW, two, OK),
      holds(NOW, bob, [two]),
    ]),
    testCase("as old as it may be", [
      publish(NOW, ack(bob, [one], [], oldest), OK),
      publish(NOW, one, OK),
      holds(NOW, bob, []),
    ]),
    testCase("15 minutes ahead", [
      publish(NOW, ack(bob, [one], [], NOW + 900), OK),
      publish(NOW, one, OK),
      holds(NOW, bob, []),
    ]),
    testCase("15 minutes and a second ahead, it deletes and has nothing remembered", [
      publish(NOW, one, OK),
      publish(NOW, ack(bob, [one, two], [], NOW + 901), OK),
      holds(NOW, bob, []),
      publish(NOW, two, OK),
      holds(NOW, bob, [two]),
    ]),
    testCase("as old as the longest retention in force lets it be", [
      { now: NOW - 1, retention: DAY },
      publish(NOW, ack(bob, [one], [], oldest), OK),
      publish(NOW, one, OK),
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
      publish(NOW, ack(bob, [one], [grace(NOW + 100 * DAY)]), OK),
      holds(NOW - 1 + 2 * DAY + RETENTION, bob, []),
    ]),
    testCase("of several graces the earliest counts", [
      publish(NOW, one, OK),
      publish(NOW, ack(bob, [one], [grace(NOW + 120), grace(NOW + 60)]), OK),
      holds(NOW + 59, bob, [one]),
      holds(NOW + 60, bob, []),
    ]),
    testCase("a second grace shortens the first, and does not lengthen it", [
      publish(NOW, one, OK),
      publish(NOW, two, OK),
      publish(NOW, ack(bob, [one, two], [grace(NOW + 60)]), OK),
      publish(NOW, ack(bob, [one], [grace(NOW + 120)]), OK),
      publish(NOW, ack(bob, [two], [grace(NOW + 30)]), OK),
      holds(NOW + 29, bob, [one, two]),
      holds(NOW + 30, bob, [one]),
      holds(NOW + 60, bob, []),
    ]),
    testCase("a grace that is past is over at once", [
      publish(NOW, one, OK),
      publish(NOW, ack(bob, [one], [grace(NOW)]), OK),
      holds(NOW, bob, []),
    ]),
    testCase("a kind 5 with grace", [
      publish(NOW, one, OK),
      publish(NOW, deletionBy(bob, [one], [grace(NOW + 60)]), OK),
      holds(NOW + 59, bob, [one]),
      publish(NOW + 59, one, DUPLICATE),
      holds(NOW + 60, bob, []),
    ]),
    testCase("a kind 5 has no grace in its expiration", [
      publish(NOW, one, OK),
      publish(NOW, deletionBy(bob, [one], [["expiration", String(NOW + 60)]]), OK),
      holds(NOW, bob, []),
    ]),
    testCase("a kind 5 with a malformed grace", [
      publish(NOW, one, OK),
      publish(NOW, deletionBy(bob, [one], [["grace", "soon"]]), "invalid:"),
      holds(NOW, bob, [one]),
    ]),
    testCase("without an id", [publish(NOW, ack(bob, []), "invalid:")]),
    testCase("with a malformed id", [publish(NOW, ack(bob, [], [["e", "beef"]]), "invalid:")]),
    testCase("with a malformed grace", [
      publish(NOW, one, OK),
      publish(NOW, ack(bob, [one], [["grace", "soon"]]), "invalid:"),
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
      publish(end - 1, ahead, OK),
      holds(end - 1, bob, []),
      publish(end - 1, ahead, DUPLICATE),
      publish(end, ahead, "invalid:"),
    ]),
    testCase("remembered as long under the former, longer retention", [
      { now: NOW, retention: DAY },
      publish(NOW, ack(bob, [ahead]), OK),
      publish(end - 1, ahead, OK),
      holds(end - 1, bob, []),
    ]),
    testCase(
      "remembered as long as the former, shorter retention asks for",
      [
        { now: NOW, retention: RETENTION },
        publish(NOW, ack(bob, [ahead]), OK),
        publish(NOW + 900 + 3 * DAY - 1, ahead, OK),
        holds(NOW + 900 + 3 * DAY - 1, bob, []),
        publish(NOW + 900 + 3 * DAY, ahead, "invalid:"),
      ],
      DAY,
    ),
    testCase("a kind 5 by a stranger deletes nothing", [
      publish(NOW, one, OK),
      publish(NOW, deletionBy(carol, [one]), OK),
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
