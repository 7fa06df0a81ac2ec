// Drops, acknowledgements and requests to vanish that clients send to a relay whose writes are recorded; and what of them must be there, and what must not, after
// a power cut at any moment of that record.

import { statSync } from "node:fs";
import { setTimeout as after } from "node:timers/promises";

import type { NostrEvent } from "nostr-tools";

import { Client, now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import { finalizeEvent } from "../support/sign.ts";
import { type Log, recordsUpTo } from "./recorded-writes.ts";
import type { Chance } from "./seeded.ts";

const BOXES = 6;
const WRITERS = 12;
const MOST_IDS = 6;
const MOST_BYTES = 3_000;
const SOON_SECONDS = 2;
const LATER_SECONDS = 24 * 60 * 60;
// A drop that goes by the clock is not judged around the moment in which it goes.
const EDGE_SECONDS = 2;

/** Takes drops out of a box, now or at a second. Answered OK they are gone for good. */
type Removal = {
  readonly event: NostrEvent;
  readonly until: number;
  /** How long the log was when it was asked for, bytes. */
  readonly askedAt: number;
  /** A request to vanish speaks of what is held alone. */
  readonly isVanishing: boolean;
};

type Letter = {
  readonly event: NostrEvent;
  readonly box: Person;
  readonly expiry: number;
  readonly removals: Removal[];
  isAnswered: boolean;
};

/** What must be found after a cut. */
export type Expected = {
  /** Ids that must be served. */
  readonly held: ReadonlySet<string>;
  /** Ids that must not, and those that may. */
  readonly gone: ReadonlySet<string>;
  readonly undecided: ReadonlySet<string>;
  /** Known: published again they are answered `duplicate`, and nothing changes. */
  readonly known: readonly NostrEvent[];
  /** Acknowledged before they came, if they did: published they are answered OK, and are not held. */
  readonly early: readonly NostrEvent[];
};

export class RecordedMail {
  readonly people: readonly Person[] = Array.from({ length: BOXES }, () => person());
  readonly refusals: string[] = [];
  readonly #log: string;
  readonly #chance: Chance;
  readonly #letters: Letter[] = [];
  readonly #author = person();
  #answers = 0;
  #removals = 0;

  constructor(log: string, chance: Chance) {
    this.#log = log;
    this.#chance = chance;
  }

  /** Has several clients write, until there are so many answers more and this long has gone by. */
  async storm(url: string, answers: number, milliseconds: number): Promise<void> {
    const enough = this.#answers + answers;
    const end = performance.now() + milliseconds;
    const isOver = (): boolean => this.#answers >= enough && performance.now() >= end;
    const pause = milliseconds / (answers / WRITERS);
    const write = async (): Promise<void> => {
      const cleaning: (() => void)[] = [];
      const client = await Client.connect(url, {}, (clean) => cleaning.push(clean));
      while (!isOver()) {
        await this.#doSomething(client);
        // Bursts, for that is what is committed together, and not more than can be looked at.
        if (this.#chance.is(0.5)) await after(2 * pause);
      }
      for (const clean of cleaning) clean();
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
  }

  /** What must be found `at` this second of what was recorded up to a number of records. */
  expected(log: Log, records: number, at: number): Expected {
    const { answers } = log;
    const isAnswered = ({ id }: NostrEvent): boolean => (answers.get(id) ?? Infinity) < records;
    const [held, gone, undecided] = [new Set<string>(), new Set<string>(), new Set<string>()];
    const known: NostrEvent[] = [];
    const early: NostrEvent[] = [];
    for (const letter of this.#letters) {
      const { event, expiry, removals } = letter;
      const removed = removals.filter((removal) => {
        const came = answers.get(event.id) ?? Infinity;
        const wasThere = !removal.isVanishing || came < recordsUpTo(log, removal.askedAt);
        return wasThere && isAnswered(removal.event);
      });
      const asked = removals.filter(({ askedAt }) => recordsUpTo(log, askedAt) <= records);
      const isRemoved = removed.some(({ until }) => until < at - EDGE_SECONDS);
      const isKept = asked.every(({ until }) => until > at + LATER_SECONDS / 2);
      if (isRemoved || expiry < at - EDGE_SECONDS) gone.add(event.id);
      else if (isKept && expiry > at + LATER_SECONDS / 2 && isAnswered(event)) held.add(event.id);
      else undecided.add(event.id);
      if (expiry < at + LATER_SECONDS / 2) continue;
      if (isAnswered(event)) known.push(event);
      else if (isRemoved) early.push(event);
    }
    return { held, gone, undecided, known, early };
  }

  async #doSomething(client: Client): Promise<void> {
    const dice = this.#chance.between(1, 400);
    if (dice <= 270) await this.#send(client, this.#write());
    else if (dice <= 370) await this.#acknowledge(client, this.#some());
    // Before it comes; and then it comes.
    else if (dice <= 382) await this.#acknowledge(client, [this.#write()]);
    else if (dice <= 399) await this.#send(client, this.#any());
    else await this.#vanish(client);
  }

  #write(): Letter {
    const chance = this.#chance;
    const box = chance.of(this.people);
    const created = now();
    const expiry = created + (chance.is(0.15) ? SOON_SECONDS : 2 * LATER_SECONDS);
    const tags = [
      ["p", box.key],
      ["expiration", String(expiry)],
    ];
    const content = `ciphertext ${this.#letters.length} `.padEnd(
      chance.between(50, MOST_BYTES),
      "x",
    );
    const template = { kind: 1059, created_at: created, tags, content };
    const event = finalizeEvent(template, this.#author.secret);
    const letter = { event, box, expiry, removals: [], isAnswered: false };
    this.#letters.push(letter);
    return letter;
  }

  /** Some of one box, mostly of those that came lately. */
  #some(): Letter[] {
    const box = this.#chance.of(this.people);
    const all = this.#letters.filter((letter) => letter.box === box && letter.isAnswered);
    const some = all.slice(-this.#chance.between(1, MOST_IDS));
    return some.length > 0 ? some : [this.#write()];
  }

  #any(): Letter {
    const letter = this.#letters[this.#chance.between(0, this.#letters.length)];
    return letter ?? this.#write();
  }

  async #send(client: Client, letter: Letter): Promise<void> {
    const [, , accepted, reason] = await client.publish(letter.event);
    this.#answers += 1;
    if (accepted === true) letter.isAnswered = true;
    else if (letter.expiry > now() + EDGE_SECONDS) this.refusals.push(String(reason));
  }

  async #acknowledge(client: Client, letters: readonly Letter[]): Promise<void> {
    const chance = this.#chance;
    const tags = letters.map(({ event }) => ["e", event.id]);
    let until = now();
    const kind = chance.is(0.3) ? 5 : 20221;
    // One that is acknowledged before it came is not held for any grace.
    const mayWait = kind === 20221 && letters.every(({ isAnswered }) => isAnswered);
    if (mayWait && chance.is(0.3)) {
      until += chance.of([SOON_SECONDS, 2 * LATER_SECONDS]);
      tags.push(["grace", String(until)]);
    }
    await this.#remove(client, letters, { kind, tags, until });
  }

  async #vanish(client: Client): Promise<void> {
    const box = this.#chance.of(this.people);
    const letters = this.#letters.filter((letter) => letter.box === box);
    const tags = [["relay", "ALL_RELAYS"]];
    await this.#remove(client, letters, { kind: 62, tags, until: now() }, box);
  }

  async #remove(
    client: Client,
    letters: readonly Letter[],
    { kind, tags, until }: { kind: number; tags: string[][]; until: number },
    box = letters[0]!.box,
  ): Promise<void> {
    // Two of one second must not be one event: what comes between them is not removed by the second then.
    const content = String(this.#removals++);
    const event = finalizeEvent({ kind, created_at: now(), tags, content }, box.secret);
    const askedAt = statSync(this.#log).size;
    const removal = { event, until, askedAt, isVanishing: kind === 62 };
    for (const letter of letters) letter.removals.push(removal);
    const [, , accepted, reason] = await client.publish(event);
    this.#answers += 1;
    if (accepted !== true) this.refusals.push(String(reason));
  }
}
