// A few people, what they send, acknowledge and ask for, and what a relay shows them: read through every exit, and compared with the oracle.
//
// Time goes as follows. All that is stored comes, and is acknowledged; ten seconds pass, in which what is short expires and the shorter graces end; whoever reads
// asks for what is held; more comes, which is delivered to those who listen.

import type { NostrEvent } from "nostr-tools";
import { npubEncode } from "nostr-tools/nip19";

import type { Message } from "../../support/client.ts";
import { inOrder } from "../../support/events.ts";
import { NegentropyClient } from "../../support/negentropy.ts";
import { type Person, person } from "../../support/people.ts";
import { finalizeEvent } from "../../support/sign.ts";
import type { PlainFilter } from "../fuzz/nip01.ts";
import type { Door, Line, Stream } from "./door.ts";
import { recipientOf, refusal, request, shown } from "./oracle.ts";
import { until } from "./over-sockets.ts";
import {
  AUTHORS,
  type DropPlan,
  type FilterPlan,
  type PickupPlan,
  type ReaderPlan,
  RECIPIENTS,
  STORED,
  type WorldPlan,
} from "./plan.ts";

const PASSES = 10;
const SOON = 5;
const LONG = 86_400;

const NOBODY = person();
const AUTHORS_KEYS = Array.from({ length: AUTHORS }, () => person());
/** An event that nobody ever published. */
const UNKNOWN = finalizeEvent({ kind: 1059, created_at: 0, tags: [], content: "" }, NOBODY.secret);

type Kept = { readonly plan: DropPlan; readonly event: NostrEvent };

/** What was seen, and what should have been. */
export type Seen = { readonly seen: unknown; readonly told: unknown };

type Reader = {
  readonly plan: ReaderPlan;
  readonly line: Line;
  readonly keys: readonly string[];
  /** Of the subscription as it is in the end. */
  filters: readonly PlainFilter[];
};

type Streamed = { readonly plan: PickupPlan; readonly stream: Stream };

let made = 0;

export class World {
  readonly people: readonly Person[] = Array.from({ length: RECIPIENTS }, () => person());
  readonly #plan: WorldPlan;
  readonly #door: Door;
  readonly #began: number;
  readonly #stored: readonly Kept[];
  #coming: readonly Kept[] = [];
  #vanished: boolean;
  #readers: Reader[] = [];
  #streams: Streamed[] = [];
  readonly #found: Seen[] = [];
  // Another world at the same relay: its boxes are foreign here.
  #other: World = this;

  constructor(plan: WorldPlan, door: Door) {
    this.#plan = plan;
    this.#door = door;
    this.#began = door.now();
    this.#stored = plan.stored.map((drop) => this.#make(drop));
    this.#vanished = plan.vanishes;
  }

  /** All that is stored comes, and is acknowledged. */
  async fills(other: World): Promise<void> {
    this.#other = other;
    const line = await this.#door.connect();
    const early = this.#stored.filter(({ plan }) => plan.fate === "early");
    await this.#publish(line, this.#acknowledgements(early, "early"));
    await this.#publish(
      line,
      this.#stored.map(({ event }) => event),
    );
    for (const fate of ["acknowledged", "graced", "grace over", "deleted"] as const) {
      const these = this.#stored.filter(({ plan }) => plan.fate === fate);
      await this.#publish(line, this.#acknowledgements(these, fate));
    }
    const named = this.#stored.filter(({ plan }) => plan.fate === "named by another");
    const ids = named.map(({ event }): [string, string] => ["e", event.id]);
    if (ids.length > 0) {
      const stranger = person();
      await this.#publish(line, [this.#sign(stranger, 20_221, ids), this.#sign(stranger, 5, ids)]);
    }
    const [first] = this.people;
    if (this.#vanished && first !== undefined) {
      await this.#publish(line, [this.#sign(first, 62, [["relay", "ALL_RELAYS"]])]);
    }
    line.end();
  }

  /** Whoever reads asks for what is held. */
  async reads(): Promise<void> {
    await Promise.all(this.#plan.readers.map((plan) => this.#read(plan)));
    for (const plan of this.#plan.pickups) await this.#pickUp(plan);
  }

  /** More comes. */
  async goesOn(): Promise<void> {
    this.#coming = this.#plan.coming.map((drop) => this.#make(drop));
    const line = await this.#door.connect();
    const early = this.#coming.filter(({ plan }) => plan.fate === "early");
    await this.#publish(line, this.#acknowledgements(early, "early"));
    await this.#publish(
      line,
      this.#coming.map(({ event }) => event),
    );
    for (const index of this.#plan.again) {
      const kept = this.#stored[index];
      if (kept !== undefined) await this.#publishAgain(line, kept);
    }
    line.end();
  }

  /** What those saw who listened, and all that was seen before. */
  async ends(): Promise<readonly Seen[]> {
    for (const reader of this.#readers) await this.#listened(reader);
    for (const streamed of this.#streams) await this.#streamed(streamed);
    return this.#found;
  }

  // --- what is so

  /** What is held, when it is read. */
  get #held(): NostrEvent[] {
    return this.#stored
      .filter(
        ({ plan }) =>
          plan.kind !== 21_059 &&
          !this.#isPast(plan) &&
          ["held", "graced", "named by another"].includes(plan.fate) &&
          !(this.#vanished && plan.to === 0),
      )
      .map(({ event }) => event);
  }

  /** What is brought to those who listen. */
  get #brought(): NostrEvent[] {
    return this.#coming
      .filter(({ plan }) => plan.kind === 21_059 || plan.fate !== "early")
      .concat(this.#again.filter(({ plan }) => plan.kind === 21_059))
      .map(({ event }) => event);
  }

  /** What is published once more, and taken. */
  get #again(): Kept[] {
    return this.#plan.again.flatMap((index) => {
      const kept = this.#stored[index];
      return kept === undefined || this.#isPast(kept.plan) ? [] : [kept];
    });
  }

  get #heldLater(): NostrEvent[] {
    const held = this.#coming.filter(({ plan }) => plan.kind !== 21_059 && plan.fate !== "early");
    return [...this.#held, ...held.map(({ event }) => event)];
  }

  #isPast({ isShort }: DropPlan): boolean {
    return isShort && this.#door.passes !== undefined;
  }

  // --- what is done

  async #read(plan: ReaderPlan): Promise<void> {
    const line = await this.#door.connect();
    await this.#authenticate(line, plan.keys);
    const keys = plan.keys.map((index) => this.#key(index));
    const reader: Reader = {
      plan,
      line,
      keys,
      filters: plan.filters.map((one) => this.#filter(one)),
    };
    this.#readers.push(reader);
    await this.#asks(reader, ["count", "ids", "scan", "neg"]);
    line.say("CLOSE", "ids");
    if (plan.instead !== undefined) {
      reader.filters = plan.instead.map((one) => this.#filter(one));
      await this.#asks(reader, ["scan"]);
    }
    if (plan.isClosed) line.say("CLOSE", "scan");
    // More keys do not widen what was asked with fewer.
    await this.#authenticate(line, plan.later);
  }

  // In one flight, answered in whatever order.
  async #asks(
    { line, filters, keys, plan }: Reader,
    questions: readonly ("count" | "ids" | "scan" | "neg")[],
  ): Promise<void> {
    const held = this.#held;
    const ids = [{ ids: [...this.#events, UNKNOWN].map(({ id }) => id) }];
    const has = inOrder(plan.has.map((index) => this.#event(index)));
    const [first = {}] = filters;
    const client = new NegentropyClient(new Map(has.map((event) => [event.id, event])).values());
    const ask = {
      count: () => line.say("COUNT", "count", ...filters),
      ids: () => line.say("REQ", "ids", ...ids),
      scan: () => line.say("REQ", "scan", ...filters),
      neg: () => line.say("NEG-OPEN", "neg", first, client.begin()),
    };
    for (const question of questions) ask[question]();
    const answers: Record<string, unknown> = {};
    const brought: Record<string, string[]> = { scan: [], ids: [] };
    while (Object.keys(answers).length < questions.length) {
      const [verb, id, value] = (await line.hear()) as [string, string, unknown];
      if (verb === "EVENT") {
        brought[id]?.push(genuine(value as NostrEvent, this.#events));
      } else if (verb === "EOSE" || (verb === "CLOSED" && id !== "count")) {
        answers[id] = { ids: brought[id], end: value };
      } else if (verb === "NEG-MSG") {
        const next = client.next(value as string);
        if (next === null) answers[id] = client.differences;
        else line.say("NEG-MSG", id, next);
      } else answers[id] = value;
    }
    line.say("NEG-CLOSE", "neg");
    const refused = refusal(filters, keys);
    const oracle = {
      count: refused ?? { count: shown(held, filters, keys).length },
      ids: request(held, ids, keys),
      scan: request(held, filters, keys),
      neg: refusal([first], keys) ?? differences(request(held, [first], keys).ids, has),
    };
    for (const question of questions) {
      this.#found.push({
        seen: { [question]: answers[question] },
        told: { [question]: oracle[question] },
      });
    }
  }

  async #listened({ line, plan, keys, filters }: Reader): Promise<void> {
    const brought: string[] = [];
    const all = [...new Set([...plan.keys, ...plan.later])].map((index) => this.#key(index));
    let count: unknown;
    // Its answer follows all that came before. Without a key it takes half a second, and there is nothing to be brought.
    if (all.length > 0) {
      line.say("COUNT", "count", ...filters);
      for (;;) {
        const message: Message = await line.hear();
        if (message[0] !== "EVENT") {
          count = message[2];
          break;
        }
        brought.push(`${String(message[1])} ${genuine(message[2] as NostrEvent, this.#events)}`);
      }
    }
    line.end();
    const live = plan.isClosed ? [] : shown(this.#brought, filters, keys);
    const told = {
      brought: live.map(({ id }) => `scan ${id}`).toSorted(),
      count: refusal(filters, all) ?? { count: shown(this.#heldLater, filters, all).length },
    };
    this.#found.push({
      seen: { brought: brought.toSorted(), count: all.length > 0 ? count : told.count },
      told,
    });
  }

  // --- over HTTP

  async #pickUp(plan: PickupPlan): Promise<void> {
    const box = this.#key(plan.box);
    const path = `/pickup/${plan.limit === 2 ? npubEncode(box) : box}`;
    const isOwn = plan.by !== undefined && this.#key(plan.by) === box;
    const refused = plan.by === undefined ? 401 : 403;
    const held = inOrder(shown(this.#held, [{}], [box])).map(({ id }) => id);

    const counted = await this.#door.get(
      `${path}/count`,
      this.#authorization(plan, `${path}/count`),
    );
    this.#found.push({
      seen: { status: counted.status, count: isOwn && JSON.parse(counted.text) },
      told: { status: isOwn ? 200 : refused, count: isOwn && { count: held.length } },
    });

    const pages: string[][] = [];
    let status = 0;
    let isMore = true;
    for (let cursor: string | undefined; isMore;) {
      const query = new URLSearchParams();
      if (plan.limit !== undefined) query.set("limit", String(plan.limit));
      if (cursor !== undefined) query.set("cursor", cursor);
      const target = query.size > 0 ? `${path}?${query.toString()}` : path;
      const page = await this.#door.get(target, this.#authorization(plan, target));
      status = page.status;
      if (status === 200)
        pages.push(
          linesOf(page.text).map((line) => genuine(JSON.parse(line) as NostrEvent, this.#events)),
        );
      isMore = status === 200 && !page.isFinished;
      cursor = page.cursor;
    }
    this.#found.push({
      seen: { status, pages },
      told: { status: isOwn ? 200 : refused, pages: isOwn ? inPages(held, plan.limit) : [] },
    });
    if (!plan.isStream) return;
    const authorization = this.#authorization(plan, path);
    if (authorization === undefined) return;
    const stream = await this.#door.stream(path, authorization);
    this.#streams.push({ plan, stream });
    await until(() => stream.status !== 200 || stream.text().includes("event: stored"));
  }

  async #streamed({ plan, stream }: Streamed): Promise<void> {
    const box = this.#key(plan.box);
    const isOwn = plan.by !== undefined && this.#key(plan.by) === box;
    const ids = (events: readonly NostrEvent[]): string[] =>
      shown(events, [{}], [box]).map(({ id }) => id);
    const told = isOwn
      ? {
          status: 200,
          stored: inOrder(shown(this.#held, [{}], [box])).map(({ id }) => id),
          live: ids(this.#brought).toSorted(),
        }
      : { status: 403, stored: [], live: [] };
    await until(
      () => !isOwn || dropsIn(stream.text()).length >= told.stored.length + told.live.length,
    );
    const [stored = "", live = ""] =
      stream.status === 200 ? stream.text().split("event: stored") : [];
    const drops = (text: string): string[] =>
      dropsIn(text).map((json) => genuine(JSON.parse(json) as NostrEvent, this.#events));
    this.#found.push({
      seen: { status: stream.status, stored: drops(stored), live: drops(live).toSorted() },
      told,
    });
    stream.end();
  }

  #authorization({ by }: PickupPlan, target: string): string | undefined {
    if (by === undefined) return undefined;
    const tags = [
      ["u", this.#door.http + target],
      ["method", "GET"],
    ];
    const event = this.#sign(this.people[by] ?? NOBODY, 27_235, tags);
    return `Nostr ${Buffer.from(JSON.stringify(event)).toString("base64")}`;
  }

  // --- events

  async #authenticate(line: Line, indices: readonly number[]): Promise<void> {
    for (const index of indices) await proves(this.#door, line, this.people[index] ?? NOBODY);
  }

  /** In one flight; each must be taken. */
  async #publish(line: Line, events: readonly NostrEvent[]): Promise<void> {
    for (const event of events) line.say("EVENT", event);
    const answers: string[] = [];
    while (answers.length < events.length) answers.push(JSON.stringify(await line.hear()));
    mustBe(
      answers.toSorted(),
      events.map(({ id }) => JSON.stringify(["OK", id, true, ""])).toSorted(),
    );
  }

  async #publishAgain(line: Line, { plan, event }: Kept): Promise<void> {
    line.say("EVENT", event);
    const told = this.#isPast(plan)
      ? ["OK", event.id, false, "invalid: expired"]
      : ["OK", event.id, true, plan.kind === 21_059 ? "" : "duplicate: already have this event"];
    this.#found.push({ seen: await line.hear(), told });
  }

  #acknowledgements(kept: readonly Kept[], fate: DropPlan["fate"]): NostrEvent[] {
    return this.people.flatMap((recipient) => {
      const his = kept.filter(({ event }) => recipientOf(event) === recipient.key);
      if (his.length === 0) return [];
      const tags = his.map(({ event }) => ["e", event.id]);
      // Where no time passes a grace is over when it is given.
      const isTimeless = this.#door.passes === undefined;
      const over = this.#door.now() + (isTimeless ? -1 : SOON);
      if (fate === "graced") tags.push(["grace", String(this.#door.now() + LONG)]);
      if (fate === "grace over") tags.push(["grace", String(over)]);
      return [this.#sign(recipient, fate === "deleted" ? 5 : 20_221, tags)];
    });
  }

  #make(plan: DropPlan): Kept {
    const { kind, to, by, age, e, t, isShort } = plan;
    const tags = [
      ...t.map((word) => ["t", word]),
      ["p", this.#key(to)],
      ...(e === undefined ? [] : [["e", numbered(e)]]),
      ...(isShort
        ? [["expiration", String(this.#door.now() + SOON + (this.#door.passes ? 0 : LONG))]]
        : []),
    ];
    const created_at = this.#door.now() - age;
    const template = { kind, created_at, tags, content: String(made++) };
    return { plan, event: finalizeEvent(template, (AUTHORS_KEYS[by] ?? NOBODY).secret) };
  }

  #sign(by: Person, kind: number, tags: string[][]): NostrEvent {
    const template = { kind, created_at: this.#door.now(), tags, content: String(made++) };
    return finalizeEvent(template, by.secret);
  }

  get #events(): NostrEvent[] {
    const own = [...this.#stored, ...this.#coming];
    return [...own, ...this.#other.#stored, ...this.#other.#coming].map(({ event }) => event);
  }

  #event(index: number): NostrEvent {
    const foreign = this.#other.#stored[index - STORED]?.event;
    return this.#stored[index]?.event ?? foreign ?? UNKNOWN;
  }

  #key(index: number): string {
    const foreign = this.#other === this ? undefined : this.#other.people[index - RECIPIENTS];
    return (this.people[index] ?? foreign ?? NOBODY).key;
  }

  #filter(plan: FilterPlan): PlainFilter {
    const time = this.#began + (this.#door.passes ? PASSES : 0);
    const whole = {
      ids: plan.ids.map((index) => this.#event(index).id),
      authors: plan.authors.map((index) => this.#event(index).pubkey),
      kinds: plan.kinds,
      "#p": plan.p.map((index) => this.#key(index)),
      "#e": plan.e.map(numbered),
      "#t": plan.t,
      since: Math.max(0, time - plan.since),
      until: Math.max(0, time - plan.until),
      limit: plan.limit,
    };
    return Object.fromEntries(plan.fields.map((field) => [field, whole[field]]));
  }
}

/** Worlds at one relay, at one time: what was seen in each, and where one could not go on, why. */
export async function histories(
  plans: readonly WorldPlan[],
  door: Door,
): Promise<readonly (readonly Seen[])[]> {
  const worlds = plans.map((plan) => new World(plan, door));
  const broken = new Map<World, Seen>();
  const all = (phase: (world: World, index: number) => Promise<void>): Promise<unknown> =>
    Promise.all(
      worlds.map(async (world, index) => {
        if (broken.has(world)) return;
        await phase(world, index).catch((error: unknown) => {
          broken.set(world, { seen: (error as Error).message, told: "nothing unheard of" });
        });
      }),
    );
  const seen = new Map<World, readonly Seen[]>();
  await all((world, index) => world.fills(worlds[(index + 1) % worlds.length] ?? world));
  door.passes?.(PASSES);
  await all((world) => world.reads());
  await all((world) => world.goesOn());
  await delivered(door);
  await all(async (world) => void seen.set(world, await world.ends()));
  return worlds.map((world) => {
    const why = broken.get(world);
    return why === undefined ? (seen.get(world) ?? []) : [why];
  });
}

async function proves(door: Door, line: Line, { secret }: Person): Promise<void> {
  const tags = [
    ["relay", door.url],
    ["challenge", await line.challenged()],
  ];
  const event = finalizeEvent({ kind: 22_242, created_at: door.now(), tags, content: "" }, secret);
  line.say("AUTH", event);
  mustBe(await line.hear(), ["OK", event.id, true, ""]);
}

// Resolves when all that was answered has been delivered: what follows it has.
async function delivered(door: Door): Promise<void> {
  const last = person();
  const line = await door.connect();
  await proves(door, line, last);
  line.say("REQ", "last", {});
  await line.hear();
  for (const kind of [1_059, 21_059]) {
    const tags = [["p", last.key]];
    const template = { kind, created_at: door.now(), tags, content: String(made++) };
    line.say("EVENT", finalizeEvent(template, NOBODY.secret));
    await line.hear();
    await line.hear();
  }
  line.end();
}

// The id of what was shown, which must be what was published.
function genuine(shownAs: NostrEvent, events: readonly NostrEvent[]): string {
  const published = events.find(({ id }) => id === shownAs.id);
  mustBe(shownAs, published);
  return shownAs.id;
}

function differences(here: readonly string[], has: readonly NostrEvent[]): object {
  const there = new Set(has.map(({ id }) => id));
  return {
    have: [...there].filter((id) => !here.includes(id)).toSorted(),
    need: here.filter((id) => !there.has(id)).toSorted(),
  };
}

function inPages(ids: readonly string[], limit = Infinity): string[][] {
  const pages: string[][] = [];
  for (let at = 0; at < Math.max(1, ids.length); at += limit) pages.push(ids.slice(at, at + limit));
  return pages;
}

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function dropsIn(text: string): string[] {
  return [...text.matchAll(/event: drop\ndata: (.*)\n\n/g)].map(([, json]) => json ?? "");
}

function mustBe(seen: unknown, told: unknown): void {
  const [one, other] = [JSON.stringify(seen), JSON.stringify(told)];
  if (one !== other) throw new Error(`${one} and not ${other}`);
}

function numbered(index: number): string {
  return String(index).padStart(64, "0");
}
