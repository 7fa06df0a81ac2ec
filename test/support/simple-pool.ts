import type { EventTemplate, Filter, NostrEvent, VerifiedEvent } from "nostr-tools";
import { SimplePool } from "nostr-tools/pool";
import { finalizeEvent } from "nostr-tools/pure";
import { onTestFinished } from "vitest";

import type { Person } from "./people.ts";

export type Signer = (template: EventTemplate) => Promise<VerifiedEvent>;

export function signer({ secret }: Person): Signer {
  return async (template) => finalizeEvent(template, secret);
}

/** The pool of nostr-tools, until the test is over. */
export function newPool(): SimplePool {
  const pool = new SimplePool();
  onTestFinished(() => pool.destroy());
  return pool;
}

/** Publishes as somebody who signs in to nothing. */
export async function publish(url: string, events: readonly NostrEvent[]): Promise<void> {
  const pool = newPool();
  for (const event of events) await Promise.all(pool.publish([url], event));
  pool.destroy();
}

/** Everything in the box that matches, asked for by a pool of its own. */
export async function pickUp(url: string, who: Person, filter: Filter): Promise<NostrEvent[]> {
  const pool = newPool();
  const events = await shownTo(pool, url, filter, signer(who));
  pool.destroy();
  return events;
}

export function shownTo(
  pool: SimplePool,
  url: string,
  filter: Filter,
  onauth: Signer,
): Promise<NostrEvent[]> {
  return new Promise((resolve, reject) => {
    const events: NostrEvent[] = [];
    pool.subscribe([url], filter, {
      onauth,
      onevent: (event) => events.push(event),
      oneose: () => resolve(events),
      onclose: (closed) => reject(new Error(closed.map(({ reason }) => reason).join())),
    });
  });
}
