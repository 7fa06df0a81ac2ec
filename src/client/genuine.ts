// Whether an event is what it says it is: relays are not believed.

import { getEventHash, verifyEvent } from "nostr-tools/pure";

import type { NostrEvent } from "../nostr/event.ts";

/** Whether the id and the signature of an event are right (NIP-01). */
export function isGenuine(event: NostrEvent): boolean {
  // A copy: nostr-tools remembers its verdict in the object, and tags are its to change.
  return verifyEvent({ ...event, tags: event.tags.map((tag) => [...tag]) });
}

/** Whether an event's id is the hash of the rest: a relay could otherwise have the wrong drop acknowledged. */
export function hasOwnId(event: NostrEvent): boolean {
  return idOf(event) === event.id;
}

/** The id that an event has by its content (NIP-01). */
export function idOf(event: Omit<NostrEvent, "id" | "sig">): string {
  const { pubkey, created_at, kind, content } = event;
  const tags = event.tags.map((tag) => [...tag]);
  return getEventHash({ pubkey, created_at, kind, tags, content });
}
