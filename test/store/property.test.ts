// The embedded store and the model are asked the same at random and must answer the same.

import { isDeepStrictEqual } from "node:util";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { type Drop, expiryOf, type RetentionRule, untimely } from "../../src/nostr/drop.ts";
import { type NostrEvent, writeEvent } from "../../src/nostr/event.ts";
import { openKnownDrops } from "../../src/store/known-drops.ts";

import {
  ANNOUNCED_AFTER_MS,
  type Header,
  ID_PREFIX_DIGITS,
  type Store,
} from "../../src/store/store.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { copyStore } from "../support/store-copy.ts";
import { DAY, hex, NOW, sweepAll } from "./contract.ts";
import { openModel, type StoreSettings } from "./model.ts";

const HOUR = 60 * 60;
const PEOPLE = ["alice", "bob", "carol"];
const EVENTS = 8;

// Shrinking ends then, so that a failure is printed, with its seed, before the test runs out of time.
const ENOUGH_MS = 60_000;
const REQUESTS = 3;

// Few of everything, so that they meet.
const personArb = fc.constantFrom(...PEOPLE);
const eventIndexArb = fc.nat(EVENTS - 1);
const retentionArb = fc.constantFrom(0, DAY, 3 * DAY, 9 * DAY);

const eventArb = fc.record({
  kind: fc.constantFrom(4, 1059),
  author: personArb,
  recipient: personArb,
  // Some of the same second, some that are too old, some whose time is yet to come.
  created_at: fc.oneof(
    { weight: 1, arbitrary: fc.constant(NOW) },
    { weight: 3, arbitrary: offset(-HOUR, 15 * 60) },
    { weight: 1, arbitrary: offset(-12 * DAY, 8 * DAY) },
  ),
  expiration: fc.option(offset(-DAY, 12 * DAY), { freq: 3, nil: undefined }),
  content: fc.constantFrom("", "ü", "x".repeat(100), "x".repeat(300)),
});

function offset(min: number, max: number): fc.Arbitrary<number> {
  return fc.integer({ min, max }).map((seconds) => NOW + seconds);
}

const writeArb = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("put" as const), event: eventIndexArb }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("acknowledge" as const),
      // Mostly by the recipient.
      signer: fc.option(personArb, { freq: 1, nil: undefined }),
      events: fc.uniqueArray(eventIndexArb, { minLength: 1, maxLength: 4 }),
      graceSeconds: fc.option(fc.integer({ min: -10, max: 2 * DAY }), { freq: 2, nil: undefined }),
      deletion: fc.boolean(),
      isAboutOthers: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("vanish" as const),
      request: fc.nat(REQUESTS - 1),
    }),
  },
);

const aloneArb = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("list" as const),
      recipient: personArb,
      since: fc.option(eventIndexArb, { nil: undefined }),
      until: fc.option(eventIndexArb, { nil: undefined }),
      after: fc.option(fc.nat(10), { nil: undefined }),
      max: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      // Until just before, at or just after an event's expiry, or for a while.
      edge: fc.option(fc.record({ event: eventIndexArb, delta: fc.integer({ min: -1, max: 1 }) }), {
        nil: undefined,
      }),
      seconds: fc.integer({ min: 0, max: 2 * DAY }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("sweep" as const),
      of: fc.uniqueArray(fc.constantFrom("drops" as const, "tombstones" as const), {
        minLength: 1,
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("reopen" as const),
      retentionSeconds: fc.option(retentionArb, { nil: undefined }),
      crash: fc.boolean(),
    }),
  },
);

type Write = Value<typeof writeArb>;
type Alone = Value<typeof aloneArb>;
type Value<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Type> ? Type : never;

/** What happens in a run: what is asked alone, and writes that are asked for in one breath. */
type Step = Alone | { readonly do: "write"; readonly writes: readonly Write[] };

function stepsArb(mostWrites: number): fc.Arbitrary<Step[]> {
  const writesArb = fc.record({
    do: fc.constant("write" as const),
    writes: fc.array(writeArb, { minLength: 1, maxLength: mostWrites }),
  });
  const stepArb = fc.oneof({ weight: 5, arbitrary: writesArb }, { weight: 4, arbitrary: aloneArb });
  return fc.array(stepArb, { maxLength: 50, size: "max" });
}

const worldArb = fc.record({
  events: fc.array(eventArb, { minLength: EVENTS, maxLength: EVENTS }),
  requests: fc.array(fc.record({ signer: personArb, created_at: offset(-2 * DAY, 6 * DAY) }), {
    minLength: REQUESTS,
    maxLength: REQUESTS,
  }),
  retentionSeconds: retentionArb,
  limits: fc.record({
    boxDrops: fc.integer({ min: 1, max: 5 }),
    boxBytes: fc.integer({ min: 500, max: 3_000 }),
    eventBytes: fc.constant(1_000),
    earlyTombstones: fc.integer({ min: 0, max: 3 }),
    earlyTombstonesInAll: fc.integer({ min: 0, max: 5 }),
    authorDeletesWraps: fc.boolean(),
  }),
});

type World = Value<typeof worldArb>;

type Opened = {
  readonly store: Store;
  readonly rule: RetentionRule;
  known(drop: Drop): boolean;
  /** A folder with what a crash would leave now. */
  copy(): string;
  /** Throws when what lies in a folder does not fit together. */
  verify(left: string): Promise<void>;
  close(): Promise<void>;
};

type Open = (folder: string, settings: StoreSettings, now: number) => Promise<Opened>;

const openLmdb =
  (recentDrops: number): Open =>
  async (folder, settings, now) => {
    const opened = await openBelieving(
      { ...settings, folder, diskReserveBytes: 0, recentDrops },
      now,
    );
    // What the threads that check signatures see.
    const view = openKnownDrops(folder, opened.shared);
    return {
      ...opened,
      known(drop) {
        view.refresh();
        return view.look(drop).isKnown;
      },
      copy() {
        const copy = temporaryFolder();
        copyStore(folder, copy);
        return copy;
      },
      async verify(left) {
        const { findings } = await verifyStore(left, "");
        if (findings.length > 0) throw new Error(JSON.stringify(findings));
      },
      async close() {
        await view.close();
        await opened.store.close();
      },
    };
  };

const openPlain: Open = async (folder, settings, now) => {
  const { store, rule } = await openModel(folder, settings, now);
  return {
    store,
    rule,
    known: (drop) => store.known(drop),
    copy: () => folder,
    verify: () => Promise.resolve(),
    close: () => store.close(),
  };
};

/** One store in its world, with a clock of its own. */
class Side {
  readonly #open: Open;
  #folder: string;
  readonly #events: readonly NostrEvent[];
  readonly #requests: World["requests"];
  #settings: StoreSettings;
  #now = NOW;
  #opened: Opened;
  #announced: string[] = [];
  // Every header ever listed since the store was opened: cursors may be old.
  #listed: Header[] = [];

  private constructor(open: Open, folder: string, world: World, opened: Opened) {
    this.#open = open;
    this.#folder = folder;
    this.#events = world.events.map((event, number) => eventOf(event, number));
    this.#requests = world.requests;
    this.#settings = settingsOf(world);
    this.#opened = opened;
    this.#listen();
  }

  static async open(open: Open, folder: string, world: World): Promise<Side> {
    return new Side(open, folder, world, await open(folder, settingsOf(world), NOW));
  }

  close(): Promise<void> {
    return this.#opened.close();
  }

  /** Does it, and answers what it was told and everything that can be seen afterwards. */
  async take(step: Step): Promise<object> {
    const before = this.#announced.length;
    const told = await this.#do(step);
    // Announcements follow the answers.
    await new Promise((resolve) => setTimeout(resolve, ANNOUNCED_AFTER_MS));
    const { store } = this.#opened;
    const boxes = [];
    for (const person of PEOPLE) {
      const headers = await store.list(hex(person), {}, EVENTS + 1);
      this.#listed.push(...headers);
      const isAnnounced = headers.every(({ seq }) => seq <= store.watermark);
      boxes.push({ headers: unnumbered(headers), drops: store.read(headers), isAnnounced });
    }
    const timely = this.#events.map((_, index) => this.#timely(index));
    const known = timely.map((drop) => drop && this.#opened.known(drop));
    const { drops: held } = store.totals();
    // What came and went in one step was announced if a commit happened to end in between.
    const there = new Set(boxes.flatMap(({ headers }) => headers.map(({ idPrefix }) => idPrefix)));
    this.#announced = this.#announced.filter(
      (id, index) => index < before || there.has(id.slice(0, ID_PREFIX_DIGITS)),
    );
    // The rules themselves may differ in what no longer matters.
    const expiries = timely.map((drop) => drop?.expiry);
    return { told, boxes, known, held, expiries, announced: this.#announced };
  }

  async #do(step: Step): Promise<unknown> {
    switch (step.do) {
      case "write":
        // All of them asked for before any is answered.
        return Promise.all(step.writes.map((write) => this.#write(write)));
      case "list":
        return this.#list(step);
      case "wait": {
        const { edge, seconds } = step;
        const until = edge ? this.#expiry(edge.event) + edge.delta : this.#now + seconds;
        this.#now = Math.max(this.#now, until);
        return undefined;
      }
      case "sweep":
        for (const of of step.of) await sweepAll(this.#opened.store, of, this.#now);
        return undefined;
      case "reopen": {
        const { retentionSeconds = this.#settings.retentionSeconds } = step;
        // What is on the disk at this moment is all that a crash leaves.
        const left = step.crash ? this.#opened.copy() : this.#folder;
        await this.#opened.close();
        await this.#opened.verify(left);
        this.#folder = left;
        this.#settings = { ...this.#settings, retentionSeconds };
        // No restart is over in the second it began in.
        this.#now += 1;
        this.#opened = await this.#open(this.#folder, this.#settings, this.#now);
        this.#listed = [];
        this.#listen();
        return undefined;
      }
    }
  }

  #listen(): void {
    this.#opened.store.subscribe((drops) => {
      this.#announced = [...this.#announced, ...drops.map(({ id }) => id)];
    });
  }

  async #write(write: Write): Promise<string | void> {
    const { store } = this.#opened;
    switch (write.do) {
      case "put": {
        const drop = this.#timely(write.event);
        return drop === undefined ? "not timely" : store.put(drop, this.#now);
      }
      case "acknowledge": {
        // The id of an event that could not have been sent yet is nobody's to know.
        const events = write.events
          .map((index) => this.#event(index))
          .filter(({ created_at }) => untimely(created_at, Infinity, this.#now) === undefined);
        const signer = write.signer ? hex(write.signer) : events[0]?.tags[0]?.[1];
        if (signer === undefined) return "nothing to acknowledge";
        const { deletion, graceSeconds } = write;
        const at = graceSeconds === undefined ? undefined : this.#now + graceSeconds;
        const ids = events.map(({ id }) => id);
        const remembersUnseen = write.isAboutOthers ? false : undefined;
        return store.acknowledge({ signer, ids, at, deletion, remembersUnseen }, this.#now);
      }
      case "vanish": {
        const { created_at, signer } = this.#requests[write.request]!;
        if (untimely(created_at, Infinity, this.#now) !== undefined) return "not timely";
        const id = hex(`request ${write.request}`);
        return store.vanish({ id, signer: hex(signer), created_at }, this.#now);
      }
    }
  }

  async #list(asked: Step & { do: "list" }): Promise<object> {
    const recipient = hex(asked.recipient);
    const since = asked.since === undefined ? undefined : this.#event(asked.since).created_at;
    const until = asked.until === undefined ? undefined : this.#event(asked.until).created_at;
    const listed = this.#listed.filter((header) => header.recipient === recipient);
    const after = asked.after === undefined ? undefined : listed.at(-1 - asked.after);
    return unnumbered(await this.#opened.store.list(recipient, { since, until, after }, asked.max));
  }

  #event(index: number): NostrEvent {
    return this.#events[index]!;
  }

  #expiry(index: number): number {
    return expiryOf(this.#event(index), this.#opened.rule) as number;
  }

  /** The drop that an event is, if the relay would let it through to the store now. */
  #timely(index: number): Drop | undefined {
    const event = this.#event(index);
    const { id, pubkey: author, created_at, kind, tags } = event;
    const expiry = this.#expiry(index);
    if (untimely(created_at, expiry, this.#now) !== undefined) return undefined;
    const recipient = tags[0]?.[1] ?? "";
    return { id, recipient, author, created_at, kind, expiry, json: writeEvent(event).json };
  }
}

function settingsOf({ retentionSeconds, limits }: World): StoreSettings {
  return { retentionSeconds, limits, storageFull: false };
}

type Seen = { readonly lmdb: object; readonly model: object };

function eventOf(event: World["events"][number], number: number): NostrEvent {
  const { kind, created_at, expiration, content } = event;
  // Ids with proof of work: they differ late.
  const id = "0".repeat(20) + hex(`event ${number}`).slice(20);
  const tags = [["p", hex(event.recipient)]];
  if (expiration !== undefined) tags.push(["expiration", String(expiration)]);
  return { id, pubkey: hex(event.author), created_at, kind, tags, content, sig: "0".repeat(128) };
}

// The two may number their drops differently.
function unnumbered(headers: readonly Header[]): Header[] {
  return headers.map((header) => ({ ...header, seq: 0 }));
}

/** Asks both stores the same, and answers what they made of the first step in which they differ, or else of the last one. */
async function inStep(recentDrops: number, world: World, steps: readonly Step[]): Promise<Seen> {
  const folder = temporaryFolder();
  const lmdb = await Side.open(openLmdb(recentDrops), folder, world);
  const model = await Side.open(openPlain, folder, world);
  let seen: Seen = { lmdb: {}, model: {} };
  try {
    for (const step of steps) {
      const [actual, expected] = [await lmdb.take(step), await model.take(step)];
      seen = { lmdb: { step, ...actual }, model: { step, ...expected } };
      if (!isDeepStrictEqual(actual, expected)) break;
    }
  } finally {
    await lmdb.close();
    await model.close();
  }
  return seen;
}

describe("the LMDB store", () => {
  it.each([
    ["asked for one thing after the other", 1, 64],
    ["asked for one thing after the other, with its memory full", 1, 1],
    ["asked for more before it has answered", 8, 64],
    ["asked for more before it has answered, with its memory full", 8, 2],
  ])(
    "answers, lists and announces as the model does, %s",
    async (_, mostWrites, recentDrops) => {
      const property = fc.asyncProperty(worldArb, stepsArb(mostWrites), async (world, steps) => {
        const { lmdb, model } = await inStep(recentDrops, world, steps);
        expect(lmdb).toEqual(model);
      });
      await fc.assert(property, { numRuns: 120, interruptAfterTimeLimit: ENOUGH_MS });
    },
    2 * ENOUGH_MS,
  );
});
