// What clients know of a relay from its answers alone, over all its lives, and what they hold against it.
//
// Of each drop: whether it was sent, whether that was answered, and what was asked that takes it away, from which second on, and whether that was answered.
// What had no answer when the relay died may have happened or not; everything else is certain. Times are those of the relay's own clock, noted before a question and
// after its answer.

import type { EventTemplate, NostrEvent } from "nostr-tools";

import { expiryOf } from "../../src/nostr/drop.ts";
import { type Person, person } from "../support/people.ts";
import { finalizeEvent } from "../support/sign.ts";

const DAY = 24 * 60 * 60;
const RULE = [{ upTo: Infinity, seconds: 30 * DAY }];
const ALREADY_HAVE = "duplicate: already have this event";
const BOXES = 6;
const AUTHORS = 4;

/** What a relay said to an event, through whichever door. */
export type Said = { readonly id: unknown; readonly accepted: unknown; readonly reason: unknown };

export type Send = (event: NostrEvent) => Promise<Said>;

/** That a drop goes at a second (0: at once), as somebody asked. */
type Going = { at: number; isConfirmed: boolean };

export type Known = {
  readonly event: NostrEvent;
  readonly box: Person;
  readonly author: Person;
  readonly expiry: number;
  isSent: boolean;
  /** That it came was answered: it is known from then on. */
  isAnswered: boolean;
  readonly goings: Going[];
  /** A request to vanish met it on its way: it may be held or not. */
  isUncertain: boolean;
};

export type NewDrop = {
  readonly box: number;
  readonly kind: number;
  readonly bytes: number;
  /** How long before now it is dated, seconds. */
  readonly age: number;
  /** Seconds until its expiration tag. */
  readonly lasts: number | undefined;
};

export type Asking = {
  readonly box: number;
  /** How many drops it names. */
  readonly count: number;
  readonly kind: number;
  readonly graceSeconds: number | undefined;
};

/** An acknowledgement, a deletion or a request to vanish that has no answer yet. */
type Asked = { readonly event: NostrEvent; readonly confirmed: () => void };

export class Ledger {
  /** Their owners. */
  readonly boxes = Array.from({ length: BOXES }, () => person());
  readonly all: Known[] = [];
  /** What is wrong with the relay. */
  readonly wrongs: string[] = [];
  /** A number for the life that the relay is in, for what is wrong in it. */
  life = 0;
  acknowledgements = 0;
  readonly #now: () => number;
  readonly #authors = Array.from({ length: AUTHORS }, () => person());
  readonly #byId = new Map<string, Known>();
  readonly #unanswered = new Set<Asked>();
  #requests = 0;
  readonly #vanishing = new Set<NostrEvent>();

  /** `now` is the relay's time, seconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  wrong(what: string): void {
    this.wrongs.push(`life ${this.life}: ${what}`);
  }

  // --- what is asked

  /** A drop that nobody has sent yet. */
  create({ box: index, kind, bytes, age, lasts }: NewDrop): Known {
    const box = this.box(index);
    const author = this.#authors[this.all.length % AUTHORS]!;
    const created_at = this.#now() - age;
    const tags = [["p", box.key]];
    if (lasts !== undefined) tags.push(["expiration", String(this.#now() + lasts)]);
    const content = `ciphertext ${this.all.length} `.padEnd(bytes, "x");
    const event = finalizeEvent({ kind, created_at, tags, content }, author.secret);
    const isUncertain = this.#isMetByVanishing(box, created_at);
    const expiry = expiryOf(event, RULE) as number;
    const fresh = { isSent: false, isAnswered: false, goings: [], isUncertain };
    const known: Known = { event, box, author, expiry, ...fresh };
    this.all.push(known);
    this.#byId.set(event.id, known);
    return known;
  }

  async drop(known: Known, send: Send): Promise<void> {
    const { isSent, isAnswered } = known;
    known.isSent = true;
    const from = this.#now();
    const said = await send(known.event);
    this.#heardOfDrop(known, said, { isFirst: !isSent, isDuplicate: isAnswered, from });
  }

  /** One that may be sent again, by several at once: that it is known was answered. Or one that was acknowledged and never sent. */
  repeatable(which: number): Known | undefined {
    const known = this.all[which % Math.max(1, this.all.length)];
    if (known === undefined) return undefined;
    return known.isAnswered || (isTaken(known) && !known.isSent) ? known : undefined;
  }

  /** Acknowledges the newest drops of a box that are there, if there are any. */
  async acknowledge(asking: Asking, send: Send): Promise<void> {
    const box = this.box(asking.box);
    const held = this.all.filter(
      (known) => known.box === box && known.isAnswered && known.goings.length === 0,
    );
    const named = held.slice(-asking.count);
    if (named.length > 0) await this.#acknowledge(box, named, asking, send);
  }

  /** Acknowledges drops that nobody has sent yet. */
  acknowledgeEarly(asking: Asking, send: Send): Promise<void> {
    const { box, count } = asking;
    const coming = { box, kind: 1059, bytes: 100, age: 0, lasts: undefined };
    const named = Array.from({ length: count }, () => this.create(coming));
    return this.#acknowledge(this.box(box), named, asking, send);
  }

  /** The author of a kind 4 deletes it, if there is one. */
  async deleteAsAuthor(which: number, send: Send): Promise<void> {
    const own = this.all.filter(
      ({ event, isAnswered, goings }) => event.kind === 4 && isAnswered && goings.length === 0,
    );
    const known = own[which % Math.max(1, own.length)];
    if (known === undefined) return;
    await this.#take([known], 0, known.author, { kind: 5, tags: [["e", known.event.id]] }, send);
  }

  /** The owner of a box vanishes: what is in it goes, what comes later is held. */
  async vanish(index: number, send: Send): Promise<void> {
    const box = this.box(index);
    const created_at = this.#now();
    const there = this.all.filter(
      (known) => known.box === box && known.event.created_at <= created_at && known.isSent,
    );
    for (const known of there) if (!known.isAnswered) known.isUncertain = true;
    const tags = [["relay", "ALL_RELAYS"]];
    // Two of one second must not be one: what that speaks of is settled with the first.
    const content = `request ${this.#requests++}`;
    const template = { kind: 62, tags, created_at, content };
    const sure = there.filter(({ isAnswered }) => isAnswered);
    await this.#take(sure, 0, box, template, send);
  }

  /** Everything that was ever sent is sent again, and what had no answer gets one. `each` hands many to several clients at once. */
  async repeat(
    each: <Of>(of: readonly Of[], ask: (one: Of, send: Send) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    // One that was acknowledged before it was sent, without an answer: it is not sent until that is settled.
    const sent = this.all.filter((known) => known.isSent || isTaken(known));
    await each(sent, (known, send) => this.drop(known, send));
    await each([...this.#unanswered], (asked, send) => this.#ask(asked, send));
  }

  async #acknowledge(
    box: Person,
    named: readonly Known[],
    { kind, graceSeconds }: Asking,
    send: Send,
  ): Promise<void> {
    const tags = named.map(({ event }) => ["e", event.id]);
    const at = graceSeconds === undefined ? 0 : this.#now() + graceSeconds;
    if (at > 0) tags.push(["grace", String(at)]);
    await this.#take(named, at, box, { kind, tags }, send);
  }

  async #take(
    named: readonly Known[],
    at: number,
    by: Person,
    template: Pick<EventTemplate, "kind" | "tags"> & Partial<EventTemplate>,
    send: Send,
  ): Promise<void> {
    const event = finalizeEvent({ created_at: this.#now(), content: "", ...template }, by.secret);
    if (event.kind === 62) this.#vanishing.add(event);
    const gone = named.map((known) => {
      const going = { at, isConfirmed: false };
      known.goings.push(going);
      return { known, going };
    });
    const confirmed = (): void => {
      this.#vanishing.delete(event);
      for (const { known, going } of gone) {
        going.isConfirmed = true;
        // Of one that had not come nothing is ever held, whatever the grace.
        if (!known.isSent) going.at = 0;
      }
    };
    const asked = { event, confirmed };
    this.#unanswered.add(asked);
    await this.#ask(asked, send);
  }

  async #ask(asked: Asked, send: Send): Promise<void> {
    const { id, accepted, reason } = await send(asked.event);
    if (id !== asked.event.id || accepted !== true || reason !== "") {
      this.wrong(`a kind ${asked.event.kind} was answered ${String(accepted)} ${String(reason)}`);
    }
    this.acknowledgements += 1;
    this.#unanswered.delete(asked);
    asked.confirmed();
  }

  #heardOfDrop(
    known: Known,
    { id, accepted, reason }: Said,
    asked: { isFirst: boolean; isDuplicate: boolean; from: number },
  ): void {
    const isPast = known.expiry <= asked.from;
    const mayBePast = known.expiry <= this.#now();
    if (mayBePast && accepted === false && reason === "invalid: expired") return;
    if (isPast)
      this.wrong(`a drop that is past was answered ${String(accepted)} ${String(reason)}`);
    if (id !== known.event.id || accepted !== true) {
      this.wrong(`a drop was refused: ${String(reason)}`);
      return;
    }
    if (asked.isFirst && reason !== "") this.wrong(`a new drop was answered ${String(reason)}`);
    if (asked.isDuplicate && reason !== ALREADY_HAVE) this.wrong("a known drop was taken for new");
    known.isAnswered = true;
  }

  // --- what is shown

  /** A pickup of a box is about to be asked for: answers what judges what it brought. */
  pickup(index: number): (brought: readonly string[]) => void {
    const box = this.box(index);
    const from = this.#now();
    const own = this.all.filter((known) => known.box === box);
    const gone = new Set(own.filter((known) => mustBeGone(known, from)));
    const answered = own.filter(({ isAnswered }) => isAnswered);
    return (brought) => {
      const until = this.#now();
      const ids = new Set(brought);
      if (ids.size < brought.length) this.wrong("a drop was served twice");
      for (const known of answered) {
        if (!mayBeGone(known, until) && !ids.has(known.event.id)) this.wrong("a held drop is lost");
      }
      for (const id of ids) {
        const known = this.#byId.get(id);
        if (known?.box !== box) this.wrong("a foreign or unknown drop was served");
        else if (!known.isSent) this.wrong("a drop was served that nobody sent");
        else if (gone.has(known)) this.wrong(whyGone(known, from));
      }
    };
  }

  /** Judges what is delivered live from now on. */
  live(): (id: string) => void {
    const from = this.#now();
    const gone = new Set(this.all.filter((known) => mustBeGone(known, from)));
    return (id) => {
      const known = this.#byId.get(id);
      if (known === undefined) this.wrong("an unknown drop was delivered live");
      else if (gone.has(known) && known.isSent) this.wrong(`${whyGone(known, from)}, live`);
    };
  }

  /** How many drops must be there now, and how many must be gone. */
  get certain(): { held: number; gone: number } {
    const now = this.#now();
    const sent = this.all.filter(({ isAnswered }) => isAnswered);
    return {
      held: sent.filter((known) => !mayBeGone(known, now)).length,
      gone: sent.filter((known) => mustBeGone(known, now)).length,
    };
  }

  box(index: number): Person {
    return this.boxes[index % BOXES]!;
  }

  // A request without an answer may be obeyed now or later, and speaks of all that is dated before it.
  #isMetByVanishing(box: Person, created_at: number): boolean {
    for (const event of this.#vanishing) {
      if (event.pubkey === box.key && created_at <= event.created_at) return true;
    }
    return false;
  }
}

function isTaken({ goings }: Known): boolean {
  return goings.some(({ isConfirmed }) => isConfirmed);
}

function mustBeGone({ expiry, goings }: Known, now: number): boolean {
  return expiry <= now || goings.some(({ at, isConfirmed }) => isConfirmed && at <= now);
}

function mayBeGone({ expiry, goings, isUncertain }: Known, now: number): boolean {
  return isUncertain || expiry <= now || goings.some(({ at }) => at <= now);
}

function whyGone({ event, expiry, goings }: Known, now: number): string {
  if (expiry <= now) return `an expired drop was served (kind ${event.kind})`;
  const ends = goings.map(({ at }) => (at === 0 ? "at once" : `for ${now - at} s`));
  return `an acknowledged drop was served (kind ${event.kind}, gone ${ends.join(", ")})`;
}
