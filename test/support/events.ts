import { createHash } from "node:crypto";

import { schnorr } from "@noble/curves/secp256k1.js";
import type { EventTemplate, NostrEvent } from "nostr-tools";
import { finalizeEvent } from "nostr-tools/pure";

import { inLetter, preimageOf } from "../../src/nostr/event-id.ts";

import { now } from "./client.ts";
import { type Person, person } from "./people.ts";

type Change = Partial<EventTemplate>;

/** A gift wrap as a relay sees one: signed by a key of its own, the content opaque. */
export function giftWrap({ to, ...change }: { to: Person } & Change): NostrEvent {
  return addressed(1059, person(), to, change);
}

export function directMessage({
  from,
  to,
  ...change
}: { from: Person; to: Person } & Change): NostrEvent {
  return addressed(4, from, to, change);
}

export function ephemeralWrap({ to, ...change }: { to: Person } & Change): NostrEvent {
  return addressed(21059, person(), to, change);
}

/** "I have these": kind 20221, with grace when `until` is given. */
export function acknowledgement(
  by: Person,
  events: readonly { id: string }[],
  until?: number,
  created_at = now(),
): NostrEvent {
  const tags = events.map(({ id }) => ["e", id]);
  if (until !== undefined) tags.push(["grace", String(until)]);
  return signed(by, { kind: 20221, created_at, tags });
}

export function deletion(by: Person, events: readonly { id: string }[]): NostrEvent {
  return signed(by, { kind: 5, tags: events.map(({ id }) => ["e", id]) });
}

export function vanishing(by: Person, relay = "ALL_RELAYS", change: Change = {}): NostrEvent {
  return signed(by, { kind: 62, tags: [["relay", relay]], ...change });
}

export function signed(by: Person, change: Change & { kind: number }): NostrEvent {
  const event = finalizeEvent({ created_at: now(), tags: [], content: "", ...change }, by.secret);
  // nostr-tools marks what it signed with a symbol, which no relay gives back.
  return JSON.parse(JSON.stringify(event)) as NostrEvent;
}

/** The same event with the id that it has by NIP-01 to the letter: another one where there are control characters in it. */
export function signedInLetter(by: Person, event: Omit<NostrEvent, "id" | "sig">): NostrEvent {
  const { pubkey, created_at, kind, tags, content } = event;
  const hash = createHash("sha256")
    .update(inLetter(preimageOf(event)))
    .digest();
  const sig = Buffer.from(schnorr.sign(hash, by.secret)).toString("hex");
  return { id: hash.toString("hex"), pubkey, created_at, kind, tags, content, sig };
}

/** As a pickup shows them: newest first, and by id among those of one second. */
export function inOrder<E extends { created_at: number; id: string }>(events: readonly E[]): E[] {
  return events.toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1));
}

let made = 0;

function addressed(kind: number, from: Person, to: Person, change: Change): NostrEvent {
  const { tags = [], ...rest } = change;
  // Two events of one second must not be one event.
  const content = `ciphertext ${made++}`;
  return signed(from, { kind, content, ...rest, tags: [["p", to.key], ...tags] });
}

/** Like a gift wrap in form, and in nothing else: its id and signature are made up. */
export const WELL_FORMED: NostrEvent = {
  id: "0".repeat(64),
  pubkey: "a".repeat(64),
  created_at: 1_700_000_000,
  kind: 1059,
  tags: [["p", "b".repeat(64)]],
  content: "ciphertext",
  sig: "c".repeat(128),
};
