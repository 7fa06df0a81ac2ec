// What OK promises, when the process is killed in the middle of whatever it does.

import { randomInt } from "node:crypto";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it, onTestFinished } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { OVERTAKING, startRelay, temporaryFolder } from "../support/relay.ts";
import { openStoreFile, type StoreFile } from "../support/store-file.ts";
import { finalizeEvent } from "../support/sign.ts";

const KILLS = 25;
const WRITERS = 64;
const BOXES = 8;
// A kill comes after so many OKs at most.
const MOST_ANSWERS = 400;
const MOST_IDS = 5;
// Messages in flight on one connection when everything is published again: less than its inbox holds.
const IN_FLIGHT = 100;

/** What the clients know of one event. "Asked" is before the answer, which may never have come. */
type Known = {
  readonly event: NostrEvent;
  readonly box: Person;
  putAsked: boolean;
  /** That it came was answered: it is known from then on. */
  isAnswered: boolean;
  acknowledgeAsked: boolean;
  /** Counted from 1; 0: not yet. */
  acknowledgedInLife: number;
};

function mustBeServed({ isAnswered, acknowledgeAsked }: Known): boolean {
  return isAnswered && !acknowledgeAsked;
}

function mustBeGone({ acknowledgedInLife }: Known): boolean {
  return acknowledgedInLife > 0;
}

type Asked = { readonly event: NostrEvent; readonly of: readonly Known[] };

/** Everything that clients were told over the lives of one relay, and whether it was true. */
class Ledger {
  readonly boxes = Array.from({ length: BOXES }, () => person());
  readonly wrongs: string[] = [];
  readonly all: Known[] = [];
  #life = 0;
  #answersLeft = Infinity;
  #enough = (): void => {};
  readonly #unanswered = new Set<Asked>();
  readonly #byId = new Map<string, Known>();
  // Wraps are signed by throw-away keys; a few are enough here.
  readonly #senders = Array.from({ length: 4 }, () => person().secret);

  /** Compares what is served after a start with what was promised before it, and listens from then on. */
  async begin(url: string): Promise<void> {
    this.#life += 1;
    const watcher = await (await Client.connect(url)).authenticate(...this.boxes);
    await this.#checkServed(watcher);
    watcher.say("REQ", "live", { limit: 0 });
    await watcher.hearUntil("EOSE");
    watcher.socket.on("message", (text: Buffer) => {
      const message = JSON.parse(text.toString()) as Message;
      if (message[0] === "EVENT") this.#heardLive(message);
    });
  }

  /** Everything that was ever sent is sent again, and what had no answer gets one. */
  async repeat(writers: readonly Client[]): Promise<void> {
    // An early acknowledgement without an answer: the drop comes when that is settled.
    const sent = this.all.filter((known) => known.putAsked || mustBeGone(known));
    await inFlight(
      writers,
      sent,
      ({ event }) => event,
      (known, answer) => this.#put(known, answer, !known.putAsked),
    );
    const unanswered = [...this.#unanswered];
    await inFlight(
      writers,
      unanswered,
      ({ event }) => event,
      (asked, answer) => this.#acknowledged(asked, answer),
    );
  }

  /** Has everybody write, and resolves when there were so many answers. They go on until their connections break. */
  async storm(writers: readonly Client[], answers: number): Promise<{ over: Promise<unknown> }> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#answersLeft = answers;
    this.#enough = resolve;
    const over = Promise.allSettled(writers.map((writer) => this.#write(writer)));
    await promise;
    return { over };
  }

  async #write(client: Client): Promise<never> {
    for (;;) {
      const dice = Math.random();
      if (dice < 0.65) await this.#publish(client, this.#add());
      else if (dice < 0.85) await this.#acknowledgeSome(client);
      else if (dice < 0.9) await this.#acknowledge(client, [this.#add()]);
      else await this.#publish(client, this.#any() ?? this.#add());
    }
  }

  #heardLive(message: Message): void {
    const known = this.#byId.get((message[2] as NostrEvent).id);
    // What was acknowledged a moment ago may have been on its way.
    const { acknowledgedInLife = this.#life } = known ?? {};
    if (known === undefined) this.#wrong("an unknown event was served");
    if (acknowledgedInLife > 0 && acknowledgedInLife < this.#life) {
      this.#wrong("an acknowledged drop was served live");
    }
  }

  async #checkServed(client: Client): Promise<void> {
    for (const box of this.boxes) {
      const served = await client.pickup({ "#p": [box.key] });
      const ids = new Set(served);
      if (ids.size < served.length) this.#wrong("a drop was served twice");
      for (const known of this.all) {
        if (known.box !== box) continue;
        const isServed = ids.delete(known.event.id);
        if (mustBeServed(known) && !isServed) this.#wrong("a held drop is lost");
        if (mustBeGone(known) && isServed) this.#wrong("an acknowledged drop is served");
        if (!known.putAsked && isServed) this.#wrong("a drop is served that nobody sent");
      }
      if (ids.size > 0) this.#wrong("foreign drops are served");
    }
  }

  async #publish(client: Client, known: Known): Promise<void> {
    const { putAsked } = known;
    known.putAsked = true;
    const answer = await this.#send(client, known.event);
    this.#put(known, answer, !putAsked);
  }

  // `isFirst`: it was sent for the first time, by one client alone. What was acknowledged before is answered as if it were new.
  #put(known: Known, [, id, accepted, message]: Message, isFirst: boolean): void {
    if (isFirst && message !== "") this.#wrong(`a new drop was answered ${String(message)}`);
    if (id !== known.event.id || accepted !== true)
      this.#wrong(`a drop was refused: ${String(message)}`);
    const isDuplicate = message === "duplicate: already have this event";
    if (known.isAnswered && !isDuplicate) this.#wrong("a known drop was taken for new");
    known.putAsked = true;
    known.isAnswered = true;
  }

  async #acknowledgeSome(client: Client): Promise<void> {
    const box = this.boxes[randomInt(BOXES)];
    const some = this.all
      .filter((known) => known.box === box && known.isAnswered && !known.acknowledgeAsked)
      .slice(-randomInt(1, MOST_IDS + 1));
    await (some.length > 0 ? this.#acknowledge(client, some) : this.#publish(client, this.#add()));
  }

  async #acknowledge(client: Client, of: readonly Known[]): Promise<void> {
    const kind = Math.random() < 0.5 ? 20221 : 5;
    const tags = of.map(({ event }) => ["e", event.id]);
    const secret = of[0]!.box.secret;
    const event = finalizeEvent({ kind, created_at: now(), tags, content: "" }, secret);
    const asked = { event, of };
    this.#unanswered.add(asked);
    for (const known of of) known.acknowledgeAsked = true;
    this.#acknowledged(asked, await this.#send(client, event));
  }

  async #send(client: Client, event: NostrEvent): Promise<Message> {
    const answer = await client.publish(event);
    if (--this.#answersLeft === 0) this.#enough();
    return answer;
  }

  #acknowledged(asked: Asked, [, id, accepted, message]: Message): void {
    if (id !== asked.event.id || accepted !== true || message !== "") {
      this.#wrong(`an acknowledgement was answered ${String(message)}`);
    }
    this.#unanswered.delete(asked);
    for (const known of asked.of) known.acknowledgedInLife = this.#life;
  }

  #add(): Known {
    const box = this.boxes[randomInt(BOXES)]!;
    const secret = this.#senders[randomInt(this.#senders.length)]!;
    const content = `ciphertext ${this.all.length} `.padEnd(randomInt(50, 1_500), "x");
    const template = { kind: 1059, created_at: now(), tags: [["p", box.key]], content };
    const event = finalizeEvent(template, secret);
    const fresh = { putAsked: false, isAnswered: false, acknowledgeAsked: false };
    const known = { event, box, ...fresh, acknowledgedInLife: 0 };
    this.all.push(known);
    this.#byId.set(event.id, known);
    return known;
  }

  /** One that was sent and answered, or acknowledged before it was ever sent. */
  #any(): Known | undefined {
    const known = this.all[randomInt(this.all.length + 1)];
    if (known === undefined) return undefined;
    return known.isAnswered || (mustBeGone(known) && !known.putAsked) ? known : undefined;
  }

  #wrong(what: string): void {
    this.wrongs.push(`life ${this.#life}: ${what}`);
  }
}

/** Sends each event, many at a time on each connection, and hands each answer over. */
async function inFlight<Each>(
  clients: readonly Client[],
  all: readonly Each[],
  eventOf: (each: Each) => NostrEvent,
  answered: (each: Each, answer: Message) => void,
): Promise<void> {
  let taken = 0;
  const send = async (client: Client): Promise<void> => {
    while (taken < all.length) {
      const flight = all.slice(taken, (taken += IN_FLIGHT));
      const byId = new Map(flight.map((each) => [eventOf(each).id, each]));
      for (const each of flight) client.say("EVENT", eventOf(each));
      for (let left = flight.length; left > 0; left--) {
        const answer = await client.hear();
        answered(byId.get(answer[1] as string)!, answer);
      }
    }
  };
  await Promise.all(clients.map(send));
}

describe("kill -9", () => {
  it("takes back nothing that was answered OK, at 25 moments under 64 writers", async () => {
    const data = temporaryFolder();
    const ledger = new Ledger();
    for (let kills = 0; ; kills++) {
      const relay = await startRelay({ data, env: OVERTAKING });
      await ledger.begin(relay.url);
      const writers = await Promise.all(
        Array.from({ length: WRITERS }, () => Client.connect(relay.url)),
      );
      await ledger.repeat(writers);
      expect(ledger.wrongs).toEqual([]);
      if (kills === KILLS) break;

      const { over } = await ledger.storm(writers, randomInt(1, MOST_ANSWERS));
      await relay.kill();
      await over;
    }
    expect(ledger.all.some((known) => mustBeServed(known))).toBe(true);
    expect(ledger.all.some((known) => mustBeGone(known))).toBe(true);
  }, 240_000);
});

function isAcknowledged({ tables }: StoreFile, { key }: Person, id: string): boolean {
  return tables.tombstones.doesExist(tables.keys.owned(key, id));
}

describe("OK", () => {
  it("comes when the drop, or its acknowledgement, can be read from the file by any process", async () => {
    const relay = await startRelay();
    const bob = person();
    const file = openStoreFile(relay.data, true);
    onTestFinished(() => file.close());
    const isKnown = ({ id }: NostrEvent): boolean => {
      file.root.resetReadTxn();
      const drops = [...file.tables.drops.between(1, 100)];
      return drops.some(({ json }) => json.includes(id)) || isAcknowledged(file, bob, id);
    };

    const client = await Client.connect(relay.url);
    const events = Array.from({ length: 40 }, () => giftWrap({ to: bob }));
    for (const [number, event] of events.entries()) {
      expect(isKnown(event)).toBe(false);
      await client.publish(number % 2 === 0 ? event : acknowledgement(bob, [event]));
      expect(isKnown(event)).toBe(true);
    }
  });
});
