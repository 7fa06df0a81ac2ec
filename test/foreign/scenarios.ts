// What each library is asked to do.

import type { NostrEvent } from "nostr-tools";

import { Client, now } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import type { AtEnd } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";
import { note, observe, open, type Part, type Role, within, WORKS } from "./part.ts";
import type { Tap } from "./tap.ts";

const BOX = 5_000;
const A_DAY = 86_400;

/** Alice sends to Bob what he is to find. */
export async function sends(part: Part): Promise<void> {
  const { program, people } = part;
  await open(part, "alice");
  await observe(part, "send", async () => {
    await program.order("send", "alice", { to: people.bob.key, text: "held" });
    await program.order("write", "alice", { to: people.bob.key, text: "legacy" });
  });
}

/** Whether Alice's connection was asked who she is, in all that it said until now. */
export function wasUnasked({ seen, taps }: Part): void {
  const times = taps.alice.count("client", "AUTH");
  note(seen, "unasked", times === 0 ? WORKS : `AUTH was sent ${times} times`);
}

/** Bob finds it, hears more, talks, counts and deletes. */
export async function receives(part: Part, url: string, atEnd: AtEnd): Promise<void> {
  const { program, people, taps } = part;
  const { alice, bob } = people;
  const sent = eventsBy(taps.alice);
  const [wrap, message] = [
    sent.find(({ kind }) => kind === 1059),
    sent.find(({ kind }) => kind === 4),
  ];
  const client = await Client.connect(url, {}, atEnd);
  await open(part, "bob");
  await observe(part, "stored", async () => {
    await program.order("listen", "bob", { filters: [boxOf(bob)], name: "bob" });
    await program.shows("bob", wrap?.id ?? "");
  });
  await observe(part, "live", async () => {
    await taps.bob.saw("relay", "EOSE");
    const id = await program.order("send", "alice", { to: bob.key, text: "now" });
    await program.shows("bob", String(id));
    // With the newest date so far, which clients remember that ask `since`.
    const newest = giftWrap({ to: bob });
    await client.publish(newest);
    await program.shows("bob", newest.id);
  });
  await observe(part, "conversation", async () => {
    await open(part, "bobTalking");
    const reply = await program.order("write", "bobTalking", { to: alice.key, text: "my own" });
    const filters = [
      { kinds: [4], authors: [bob.key], "#p": [alice.key] },
      { kinds: [4], authors: [alice.key], "#p": [bob.key] },
    ];
    await program.order("listen", "bobTalking", { filters, name: "conversation" });
    await program.shows("conversation", message?.id ?? "");
    await taps.bobTalking.saw("relay", "EOSE");
    if (program.hasShown("conversation", String(reply))) throw new Error("foreign drop shown");
  });
  await observe(part, "count", async () => {
    const count = await program.order("count", "bob", { filter: boxOf(bob) });
    if (count !== 3) throw new Error(`counted ${JSON.stringify(count)}`);
  });
  await observe(part, "remove", async () => {
    const ids = await (await client.authenticate(bob)).pickup(boxOf(bob));
    await program.order("remove", "bob", { ids });
    const left = await client.pickup(boxOf(bob));
    if (left.length > 0) throw new Error(`${left.length} of ${ids.length} are still held`);
  });
  // Something foreign for Dora.
  await client.publish(giftWrap({ to: bob }));
}

/** Subscribes to the box. */
export async function listens(part: Part, role: Role): Promise<void> {
  await open(part, role);
  const filters = [boxOf(part.people[role])];
  await part.program.order("listen", role, { filters, name: role });
  await within(part.taps[role].saw("relay", "EOSE"), "subscribes");
}

/** Shows what comes when the relay is there again. */
export async function comesBack(
  { program, people, seen }: Part,
  scenario: "restart" | "crash",
  role: Role,
  url: string,
  atEnd: AtEnd,
): Promise<void> {
  const sender = await Client.connect(url, {}, atEnd);
  const drop = async (age: number): Promise<string> => {
    const wrap = giftWrap({ to: people[role], created_at: now() - age });
    await sender.publish(wrap);
    return wrap.id;
  };
  const old = await drop(A_DAY);
  await program.shows(role, await drop(-1));
  // Whatever is held has been shown when something new is.
  await program.shows(role, await drop(-2));
  if (!program.hasShown(role, old)) note(seen, "backdated", `not shown after a ${scenario}`);
  else note(seen, "backdated", WORKS);
}

/** Compares half of the box with the relay. */
export async function reconciles(part: Part, box: readonly NostrEvent[]): Promise<void> {
  const { program, people, taps } = part;
  await open(part, "dora");
  const half = box.slice(0, BOX / 2);
  const own = Array.from({ length: 100 }, () => giftWrap({ to: people.dora }));
  const events = [...half, ...own].map(({ id, created_at }) => ({ id, created_at }));
  const mixed = { kinds: [1059], "#p": [people.dora.key, people.bob.key] };
  for (const filter of [boxOf(people.dora), mixed]) {
    const found = await program.order("reconcile", "dora", { filter, events });
    const { need, have } = found as { need: string[]; have: string[] };
    same("need", need, box.slice(BOX / 2));
    same("have", have, own);
  }
  const foreign = program.order("reconcile", "dora", { filter: boxOf(people.bob), events: [] });
  await Promise.race([
    taps.dora.saw("relay", "NEG-ERR"),
    foreign.then((found) => same("foreign", (found as { need: string[] }).need, [])),
  ]);
}

function same(what: string, ids: readonly string[], events: readonly NostrEvent[]): void {
  const [found, expected] = [new Set(ids), new Set(events.map(({ id }) => id))];
  if (found.size === expected.size && ids.every((id) => expected.has(id))) return;
  throw new Error(`${what}: ${found.size} ids instead of ${expected.size}`);
}

/** A box of 5,000. */
export async function fill(recipient: Person, url: string, atEnd: AtEnd): Promise<NostrEvent[]> {
  const sender = person();
  const box = Array.from({ length: BOX }, (_, index) =>
    finalizeEvent(
      {
        kind: 1059,
        created_at: now() - index * 7,
        tags: [["p", recipient.key]],
        content: String(index),
      },
      sender.secret,
    ),
  );
  const client = await Client.connect(url, {}, atEnd);
  for (let at = 0; at < box.length; at += 500) {
    const some = box.slice(at, at + 500);
    for (const event of some) client.say("EVENT", event);
    for (const _ of some) await client.hear();
  }
  return box;
}

function eventsBy(tap: Tap): NostrEvent[] {
  const events = tap.said.filter(({ by, message }) => by === "client" && message[0] === "EVENT");
  return events.map(({ message }) => message[1] as NostrEvent);
}

function boxOf(who: Person): { kinds: number[]; "#p": string[] } {
  return { kinds: [1059], "#p": [who.key] };
}
