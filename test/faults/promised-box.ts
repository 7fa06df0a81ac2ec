import type { NostrEvent } from "nostr-tools";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";

/** What one recipient was promised, and whether that is so. */
export class PromisedBox {
  readonly owner: Person;
  readonly wrongs: string[] = [];
  refused = 0;
  #looks = 0;
  readonly #held = new Set<string>();
  readonly #gone = new Map<string, NostrEvent>();

  constructor(owner = person()) {
    this.owner = owner;
  }

  copy(): PromisedBox {
    const copy = new PromisedBox(this.owner);
    for (const id of this.#held) copy.#held.add(id);
    for (const [id, event] of this.#gone) copy.#gone.set(id, event);
    return copy;
  }

  /** How many must be in it. */
  get size(): number {
    return this.#held.size;
  }

  async drop(client: Client, event: NostrEvent): Promise<void> {
    const [, id, accepted] = await client.publish(event);
    if (id === event.id && accepted === true) this.#held.add(event.id);
    else this.refused += 1;
  }

  async acknowledge(client: Client, events: readonly NostrEvent[]): Promise<void> {
    for (const { id } of events) this.#held.delete(id);
    const [, , accepted] = await client.publish(acknowledgement(this.owner, events));
    if (accepted === true) for (const event of events) this.#gone.set(event.id, event);
    else this.refused += 1;
  }

  /** Drops some, acknowledges some; what is answered OK is promised. */
  async write(client: Client, times: number, bytes: number): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      const event = giftWrap({ to: this.owner, content: "x".repeat(bytes) });
      await this.drop(client, event);
      if (time % 4 === 3 && this.#held.has(event.id)) await this.acknowledge(client, [event]);
    }
  }

  /** Picks up, again and again, until it is told to stop or cannot go on. */
  async watch(client: Client, isOver: () => boolean): Promise<void> {
    await client.authenticate(this.owner);
    while (!isOver()) await this.look(client);
  }

  async look(client: Client): Promise<void> {
    const must = [...this.#held];
    const mustNot = new Set(this.#gone.keys());
    const ids = await this.#shown(client);
    // It may say that it cannot.
    if (ids === undefined) return;
    for (const id of must)
      if (this.#held.has(id) && !ids.has(id)) this.wrongs.push("a drop is not shown");
    for (const id of ids) if (mustNot.has(id)) this.wrongs.push("an acknowledged drop is shown");
  }

  /** What is said of an id that is shown. */
  stateOf(id: string): "held" | "gone" | "never sent" {
    if (this.#held.has(id)) return "held";
    return this.#gone.has(id) ? "gone" : "never sent";
  }

  // Each time under another name: what was live under the one before may still be on its way.
  async #shown(client: Client): Promise<Set<string> | undefined> {
    const name = `look ${++this.#looks}`;
    client.say("REQ", name, {});
    const ids = new Set<string>();
    for (;;) {
      const [verb, of, event] = await client.hear();
      if (of !== name) continue;
      if (verb === "EVENT") ids.add((event as NostrEvent).id);
      else if (verb === "EOSE") break;
      else return undefined;
    }
    client.say("CLOSE", name);
    return ids;
  }

  /** Looks, sends what is acknowledged once more, and looks again. */
  async check(url: string): Promise<void> {
    const client = await (await Client.connect(url)).authenticate(this.owner);
    await this.look(client);
    for (const event of this.#gone.values()) {
      const [, , accepted, reason] = await client.publish(event);
      if (accepted !== true || reason !== "duplicate: already have this event") {
        this.wrongs.push(`an acknowledged drop is answered ${String(reason)}`);
      }
    }
    await this.look(client);
  }
}
