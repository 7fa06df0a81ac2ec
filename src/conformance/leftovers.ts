// What the suite has left on the relay under test.
//
// Whatever the relay accepted for a recipient of ours is remembered, so that at the end it can be acknowledged: a run leaves tombstones, never drops.
// What was acknowledged or has expired in the course of a check is forgotten again; to acknowledge it once more would only leave one more tombstone.

import { type NostrEvent, tagValue } from "../nostr/event.ts";
import { ACKNOWLEDGEMENT, DELETION, HELD_KINDS } from "../nostr/kinds.ts";
import { Client } from "./client.ts";
import { Connection } from "./connection.ts";
import type { Advertised, DeadDrop } from "./information.ts";
import { nowSeconds, type Person, sign } from "./people.ts";
import { Transcript } from "./transcript.ts";

/** An accepted drop and the keys that can ask for its deletion. */
type Left = { readonly event: NostrEvent; readonly recipient: Person; readonly author: Person };

/** What cleaning up needs to know of the relay; a session is one. */
type Relay = {
  readonly url: string;
  readonly patienceMs: number;
  readonly deadDrop: DeadDrop;
  readonly minedBits: number | undefined;
  whyNot(feature: Advertised): string | undefined;
};

const MAX_ID_BATCH = 100;

export class Leftovers {
  readonly #left = new Map<string, Left>();

  /** Remembers an accepted drop until it is acknowledged. */
  accepted(event: NostrEvent, people: ReadonlyMap<string, Person>): void {
    if (event.kind === ACKNOWLEDGEMENT || event.kind === DELETION) {
      for (const [name, id] of event.tags) {
        const isGone =
          name === "e" && id !== undefined && this.#left.get(id)?.recipient.key === event.pubkey;
        // With a grace the drop is still there, perhaps beyond the end of the run.
        if (isGone && tagValue(event, "grace") === undefined) this.#left.delete(id);
      }
      return;
    }
    const recipient = people.get(tagValue(event, "p") ?? "");
    const author = people.get(event.pubkey);
    if (!HELD_KINDS.has(event.kind) || recipient === undefined || author === undefined) return;
    this.#left.set(event.id, { event, recipient, author });
  }

  /** Acknowledges what is left. Answers what was done, in words for the report. */
  async cleanUp(relay: Relay): Promise<string> {
    const now = nowSeconds();
    for (const [id, { event }] of this.#left) {
      if (event.tags.some(([name, at]) => name === "expiration" && Number(at) <= now)) {
        this.#left.delete(id);
      }
    }
    const left = [...this.#left.values()];
    if (left.length === 0) return "nothing was left on the relay";
    let refused = 0;
    try {
      const connection = await Connection.open(relay.url, {
        name: "cleaner",
        transcript: new Transcript(),
        patienceMs: relay.patienceMs,
      });
      const cleaner = new Client(connection, { url: relay.url, accepted: () => {} });
      try {
        for (const request of this.#requests(relay, left)) {
          if (!(await cleaner.publish(request)).accepted) refused++;
        }
      } finally {
        connection.end();
      }
    } catch (error) {
      return `drops that may be left on the relay: ${left.length} (${(error as Error).message})`;
    }
    if (refused > 0) {
      return `drops that may be left on the relay: ${left.length} (requests that were refused: ${refused})`;
    }
    this.#left.clear();
    const how = relay.whyNot("dead_drop") === undefined ? "acknowledged" : "to be deleted (NIP-09)";
    return `drops left on the relay: ${left.length}, now ${how}`;
  }

  // Where there are no acknowledgements, NIP-09: by the recipient for a gift wrap, by the author for everything.
  *#requests(relay: Relay, left: readonly Left[]): Iterable<NostrEvent> {
    const knowsDeadDrops = relay.whyNot("dead_drop") === undefined;
    const bySigner = new Map<Person, NostrEvent[]>();
    for (const { event, recipient, author } of left) {
      for (const signer of knowsDeadDrops ? [recipient] : [recipient, author]) {
        const owned = bySigner.get(signer);
        if (owned === undefined) bySigner.set(signer, [event]);
        else owned.push(event);
      }
    }
    const batch = Math.max(1, Math.min(relay.deadDrop.maxAcknowledgementIds, MAX_ID_BATCH));
    for (const [signer, owned] of bySigner) {
      for (let start = 0; start < owned.length; start += batch) {
        const events = owned.slice(start, start + batch);
        const tags = events.map(({ id }) => ["e", id]);
        const kinds = [...new Set(events.map(({ kind }) => kind))];
        const template = knowsDeadDrops
          ? { kind: ACKNOWLEDGEMENT, tags }
          : { kind: DELETION, tags: [...tags, ...kinds.map((kind) => ["k", String(kind)])] };
        yield sign(signer, template, { bits: relay.minedBits ?? 0, inLetter: false });
      }
    }
  }
}
