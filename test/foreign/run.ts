// What each library did, all of them side by side against one relay that is restarted twice.

import { setTimeout } from "node:timers/promises";

import type { NostrEvent } from "nostr-tools";

import { Client, now } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type AtEnd, type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";
import type { Library, Scenario } from "./libraries.ts";
import { Program } from "./program.ts";
import { Tap } from "./tap.ts";

/** `works`, or what happened instead. */
export type Seen = ReadonlyMap<Scenario, string>;

export const WORKS = "works";

/** For what should happen; only what is broken takes so long. */
const PATIENCE_MS = 60_000;

/** How old the connections are when the relay goes. */
const SETTLED_MS = 6_500;

const BOX = 5_000;
const A_DAY = 86_400;

type Part = {
  readonly library: Library;
  readonly program: Program;
  readonly seen: Map<Scenario, string>;
  readonly people: Readonly<Record<Role, Person>>;
  readonly taps: Readonly<Record<Role, Tap>>;
};

/** Alice sends, Bob receives, and talks on another device of his; Carol comes after the first restart; Dora's box is large. */
const ROLES = ["alice", "bob", "bobTalking", "carol", "dora"] as const;
type Role = (typeof ROLES)[number];

/** Runs the programs of all libraries. */
export async function run(
  libraries: readonly Library[],
  log: string[],
  atEnd: AtEnd,
): Promise<ReadonlyMap<Library, Seen>> {
  const dora = person();
  const parts = await Promise.all(libraries.map((library) => begin(library, dora, log, atEnd)));
  const aliases = parts.flatMap(({ taps }) => ROLES.map((role) => taps[role].url)).join();
  const data = temporaryFolder(atEnd);
  const start = async (): Promise<RelayProcess> => {
    const relay = await startRelay({ data, env: { DEADDROP_ALIASES: aliases } }, atEnd);
    for (const { taps } of parts) for (const role of ROLES) taps[role].lead(relay.url);
    return relay;
  };
  const hold = (): void => {
    for (const { taps } of parts) for (const role of ROLES) taps[role].hold();
  };

  let relay = await start();
  // One after the other: a connection that says nothing for a second is asked who it is, and a busy machine is not to be the cause.
  for (const part of parts) await sends(part);
  await Promise.all(parts.map((part) => receives(part, relay.url, atEnd)));
  const listening = performance.now();
  const box = await fill(dora, relay.url, atEnd);
  await together(parts, "reconcile", (part) => reconciles(part, box));
  // A connection that was lost as soon as it was there is another matter, to welshman for one.
  await setTimeout(Math.max(0, listening + SETTLED_MS - performance.now()));

  for (const part of parts) wasUnasked(part);

  hold();
  await relay.stop();
  relay = await start();
  await together(parts, "restart", (part) => comesBack(part, "restart", "bob", relay.url, atEnd));

  await Promise.all(parts.map((part) => listens(part, "carol")));
  for (const { taps } of parts) taps.carol.refuseOnce();
  hold();
  await relay.kill();
  relay = await start();
  await together(parts, "crash", (part) => comesBack(part, "crash", "carol", relay.url, atEnd));
  return new Map(parts.map(({ library, seen }) => [library, seen]));
}

async function begin(library: Library, dora: Person, log: string[], atEnd: AtEnd): Promise<Part> {
  const taps = await Promise.all(ROLES.map(async (role) => [role, await Tap.open(atEnd)] as const));
  const bob = person();
  const named = (line: string): unknown => log.push(`${library.name}: ${line}`);
  return {
    library,
    program: await Program.start(library.start, named, atEnd),
    seen: new Map(),
    people: { alice: person(), bob, bobTalking: bob, carol: person(), dora },
    taps: Object.fromEntries(taps) as Record<Role, Tap>,
  };
}

async function open({ program, people, taps }: Part, role: Role): Promise<void> {
  const secret = Buffer.from(people[role].secret).toString("hex");
  await within(program.order("open", role, { url: taps[role].url, secret }), "opens");
}

async function sends(part: Part): Promise<void> {
  const { program, people } = part;
  await open(part, "alice");
  await observe(part, "send", async () => {
    await program.order("send", "alice", { to: people.bob.key, text: "held" });
    await program.order("write", "alice", { to: people.bob.key, text: "legacy" });
  });
}

// Of all that its connection said until the relay went.
function wasUnasked({ seen, taps }: Part): void {
  const times = taps.alice.count("client", "AUTH");
  note(seen, "unasked", times === 0 ? WORKS : `AUTH was sent ${times} times`);
}

async function receives(part: Part, url: string, atEnd: AtEnd): Promise<void> {
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

async function listens(part: Part, role: Role): Promise<void> {
  await open(part, role);
  const filters = [boxOf(part.people[role])];
  await part.program.order("listen", role, { filters, name: role });
  await within(part.taps[role].saw("relay", "EOSE"), "subscribes");
}

async function comesBack(
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

async function reconciles(part: Part, box: readonly NostrEvent[]): Promise<void> {
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

async function fill(recipient: Person, url: string, atEnd: AtEnd): Promise<NostrEvent[]> {
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

// What is known to fail has the time that all others took.
async function together(
  parts: readonly Part[],
  scenario: Scenario,
  act: (part: Part) => Promise<void>,
): Promise<void> {
  const able = parts.filter(({ library }) => !library.absent.includes(scenario));
  const acts = able.map((part) => ({ part, done: observe(part, scenario, () => act(part)) }));
  const hopeful = acts.filter(({ part }) => part.library.faults[scenario] === undefined);
  await Promise.all(hopeful.map(({ done }) => done));
  for (const { seen } of able) {
    if (!seen.has(scenario)) note(seen, scenario, "was not done when all others were");
  }
}

async function observe(
  { library, seen }: Part,
  scenario: Scenario,
  act: () => Promise<void>,
): Promise<void> {
  if (library.absent.includes(scenario)) return;
  await within(act(), scenario).then(
    () => note(seen, scenario, WORKS),
    (error: Error) => note(seen, scenario, error.message),
  );
}

// What failed once has failed.
function note(seen: Map<Scenario, string>, scenario: Scenario, what: string): void {
  if (!seen.has(scenario) || seen.get(scenario) === WORKS) seen.set(scenario, what);
}

function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = globalThis.setTimeout(
      () => reject(new Error(`${what}: nothing happened`)),
      PATIENCE_MS,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function eventsBy(tap: Tap): NostrEvent[] {
  const events = tap.said.filter(({ by, message }) => by === "client" && message[0] === "EVENT");
  return events.map(({ message }) => message[1] as NostrEvent);
}

function boxOf(who: Person): { kinds: number[]; "#p": string[] } {
  return { kinds: [1059], "#p": [who.key] };
}
