// The seam between what is held and what comes: a subscription opened at any moment of a storm of drops shows each of them exactly once, before its EOSE
// or after it. And what was acknowledged in the storm is shown to nobody from the OK on.

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { acknowledgement } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { OVERTAKING, sharedRelay } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";

const relay = sharedRelay({ env: OVERTAKING });

const PUBLISHERS = 4;
// Few enough that the storm lasts for hundreds of commits, more than one so that commits hold several drops.
const UNANSWERED_EACH = 3;
const KEPT_OPEN = 16;

describe("a subscription opened in a storm of drops", () => {
  it("shows each drop exactly once across scan, EOSE and live", async () => {
    const [bob, carol] = [person(), person()];
    const held = [...dropsFor(bob, 30), ...dropsFor(carol, 30)];
    const coming = shuffled([...dropsFor(bob, 600), ...dropsFor(carol, 300)]);
    const last = [...dropsFor(bob, 1), ...dropsFor(carol, 1)];
    const readers = [
      await Reader.connect(bob),
      await Reader.connect(bob),
      await Reader.connect(carol),
      await Reader.connect(bob, carol),
    ];
    await publish(held);

    const storm = publish(coming);
    await Promise.all([storm, ...readers.map((reader) => reader.openAgainAndAgain(over(storm)))]);
    await publish(last);
    for (const reader of readers) await reader.saw(last);

    const all = [...held, ...coming, ...last];
    expect(readers.flatMap((reader) => reader.misses(all))).toEqual([]);
    expect(readers.flatMap((reader) => reader.repeated)).toEqual([]);
    expect(readers.flatMap((reader) => reader.afterClose)).toEqual([]);
    // Without one of these the storm was over before anything could go wrong.
    for (const reader of readers) expect(reader.subscriptionsAcrossTheSeam).toBeGreaterThan(0);
  });

  it("shows nothing of what was acknowledged, from the OK on", async () => {
    const bob = person();
    const coming = dropsFor(bob, 800);
    const last = dropsFor(bob, 1);
    // Acknowledged before they come.
    const early = coming.filter((_, index) => index % 10 === 0);
    const phone = await Reader.connect(bob);
    const laptop = await Reader.connect(bob);
    await phone.acknowledge(early);

    const storm = publish(coming);
    await Promise.all([
      storm,
      laptop.openAgainAndAgain(over(storm)),
      // Reads and acknowledges on one connection, so that the order of what it hears is the order of what was done.
      phone.openAgainAndAgain(over(storm), () =>
        phone.acknowledge(phone.newlySeen().filter((_, index) => index % 2 === 0)),
      ),
    ]);
    await publish(last);
    await phone.saw(last);
    await laptop.saw(last);

    const kept = [...coming, ...last].filter(({ id }) => !phone.acknowledged.has(id));
    expect(phone.acknowledged.size).toBeGreaterThan(early.length);
    expect(phone.afterAcknowledgement).toEqual([]);
    expect([...phone.misses(kept), ...laptop.misses(kept)]).toEqual([]);
    expect([...phone.repeated, ...laptop.repeated]).toEqual([]);
    expect(early.filter((drop) => phone.everSaw(drop) || laptop.everSaw(drop))).toEqual([]);

    const later = await (await Client.connect(relay().url)).authenticate(bob);
    expect(new Set(await later.pickup())).toEqual(new Set(kept.map(({ id }) => id)));
  });
});

type Seen = {
  /** How often each drop was shown. */
  readonly times: Map<string, number>;
  /** How many of them before EOSE; undefined until then. */
  stored: number | undefined;
  isClosed: boolean;
};

/** One connection with many subscriptions to the boxes of its keys, and the book it keeps of what each one showed. */
class Reader {
  /** What was shown by a subscription after something said later than its CLOSE was answered. */
  readonly afterClose: string[] = [];
  /** What was shown by any subscription after its acknowledgement was answered. */
  readonly afterAcknowledgement: string[] = [];
  readonly acknowledged = new Set<string>();
  readonly #client: Client;
  readonly #people: readonly Person[];
  readonly #subscriptions = new Map<string, Seen>();
  readonly #everSeen = new Set<string>();
  #fresh: NostrEvent[] = [];

  private constructor(client: Client, people: readonly Person[]) {
    this.#client = client;
    this.#people = people;
  }

  static async connect(...people: Person[]): Promise<Reader> {
    return new Reader(await (await Client.connect(relay().url)).authenticate(...people), people);
  }

  /** Opens one subscription after the other until the signal. Some stay open, the others are closed after their EOSE. */
  async openAgainAndAgain(
    until: AbortSignal,
    between: () => Promise<void> = async () => {},
  ): Promise<void> {
    do {
      const id = `subscription ${this.#subscriptions.size}`;
      const seen: Seen = { times: new Map(), stored: undefined, isClosed: false };
      this.#subscriptions.set(id, seen);
      this.#client.say("REQ", id, {});
      await this.#hear(([verb, subscription]) => verb === "EOSE" && subscription === id);
      await between();
      const mayStay = this.#subscriptions.size % 3 === 1 && this.#open.length <= KEPT_OPEN;
      if (mayStay || until.aborted) continue;
      this.#client.say("CLOSE", id);
      await this.#answeredSoFar();
      seen.isClosed = true;
    } while (!until.aborted);
  }

  async acknowledge(drops: readonly NostrEvent[]): Promise<void> {
    const [signer] = this.#people;
    if (drops.length === 0 || signer === undefined) return;
    const ack = acknowledgement(signer, drops);
    this.#client.say("EVENT", ack);
    await this.#hear(([verb, id]) => verb === "OK" && id === ack.id);
    for (const { id } of drops) this.acknowledged.add(id);
  }

  /** Drops that were seen since this was last asked. */
  newlySeen(): NostrEvent[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  everSaw({ id }: NostrEvent): boolean {
    return this.#everSeen.has(id);
  }

  /** Waits until every open subscription has shown these, the last ones that were published, and with them all that came before. */
  async saw(last: readonly NostrEvent[]): Promise<void> {
    const mine = this.#mine(last);
    const hasAll = ({ stored, times }: Seen): boolean =>
      stored !== undefined && mine.every(({ id }) => times.has(id));
    while (!this.#open.every(([, seen]) => hasAll(seen))) await this.#hear(() => true);
    await this.#answeredSoFar();
  }

  /** What was not shown exactly once by each open subscription. */
  misses(drops: readonly NostrEvent[]): string[] {
    return this.#open.flatMap(([subscription, { times }]) =>
      this.#mine(drops)
        .filter(({ id }) => times.get(id) !== 1)
        .map(({ id }) => `${subscription} showed ${id} ${times.get(id) ?? 0} times`),
    );
  }

  /** What any subscription showed more than once. */
  get repeated(): string[] {
    return [...this.#subscriptions].flatMap(([subscription, { times }]) =>
      [...times].filter(([, shown]) => shown > 1).map(([id]) => `${subscription} repeated ${id}`),
    );
  }

  /** How many subscriptions showed something before EOSE and something after it. */
  get subscriptionsAcrossTheSeam(): number {
    return this.#open.filter(([, { stored = 0, times }]) => stored > 0 && stored < times.size)
      .length;
  }

  get #open(): [string, Seen][] {
    return [...this.#subscriptions].filter(([, { isClosed }]) => !isClosed);
  }

  #mine(drops: readonly NostrEvent[]): NostrEvent[] {
    const keys = this.#people.map(({ key }) => key);
    return drops.filter(({ tags }) => keys.includes(tags[0]?.[1] ?? ""));
  }

  // COUNT is answered in turn, after what was said before.
  async #answeredSoFar(): Promise<void> {
    this.#client.say("COUNT", "so far", {});
    await this.#hear(([verb]) => verb === "COUNT");
  }

  async #hear(isIt: (message: Message) => boolean): Promise<void> {
    let message: Message;
    do {
      message = await this.#client.hear();
      this.#note(message);
    } while (!isIt(message));
  }

  #note([verb, id, third]: Message): void {
    const seen = this.#subscriptions.get(String(id));
    if (seen === undefined) return;
    if (verb === "EOSE") seen.stored = seen.times.size;
    if (verb !== "EVENT") return;
    const drop = third as NostrEvent;
    seen.times.set(drop.id, (seen.times.get(drop.id) ?? 0) + 1);
    if (seen.isClosed) this.afterClose.push(`${String(id)} showed ${drop.id}`);
    if (this.acknowledged.has(drop.id)) this.afterAcknowledgement.push(drop.id);
    if (!this.#everSeen.has(drop.id)) this.#fresh.push(drop);
    this.#everSeen.add(drop.id);
  }
}

function dropsFor(to: Person, count: number): NostrEvent[] {
  const { secret } = person();
  return Array.from({ length: count }, (_, index) => {
    const tags = [["p", to.key]];
    return finalizeEvent({ kind: 1059, created_at: now(), tags, content: String(index) }, secret);
  });
}

// By their ids, which are random.
function shuffled(drops: readonly NostrEvent[]): NostrEvent[] {
  return drops.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Aborted when the storm is over. */
function over(storm: Promise<void>): AbortSignal {
  const controller = new AbortController();
  void storm.finally(() => controller.abort());
  return controller.signal;
}

/** Publishes over several connections side by side, each with a few unanswered at any moment. Resolves when all are OK. */
async function publish(drops: readonly NostrEvent[]): Promise<void> {
  const left = [...drops];
  async function publisher(): Promise<void> {
    const client = await Client.connect(relay().url);
    let unanswered = 0;
    for (;;) {
      while (unanswered < UNANSWERED_EACH && left.length > 0) {
        client.say("EVENT", left.shift());
        unanswered += 1;
      }
      if (unanswered === 0) return;
      const answer = await client.hear();
      if (answer[0] !== "OK" || answer[2] !== true) throw new Error(JSON.stringify(answer));
      unanswered -= 1;
    }
  }
  await Promise.all(Array.from({ length: PUBLISHERS }, () => publisher()));
}
