import { createHash } from "node:crypto";

import {
  type EventTemplate,
  finalizeEvent,
  generateSecretKey,
  getPublicKey,
} from "nostr-tools/pure";

import { type NostrEvent, writeEvent } from "../nostr/event.ts";
import { leadingZeroBits } from "../nostr/pow.ts";

/** A key pair, made for one check and forgotten after the run. */
export type Person = { readonly secret: Uint8Array; readonly key: string };

export type Template = { readonly kind: number } & Partial<Omit<EventTemplate, "kind">>;

/** More than this takes a machine minutes for the hundreds of events of a run. */
export const MAX_MINED_BITS = 20;

export function makePerson(): Person {
  const secret = generateSecretKey();
  return { secret, key: getPublicKey(secret) };
}

/** Signs as the person, after mining an id with `bits` leading zero bits (NIP-13). */
export function sign(person: Person, template: Template, bits = 0): NostrEvent {
  const unsigned = { created_at: nowSeconds(), tags: [], content: "", ...template };
  const mined = bits === 0 ? unsigned : mine(unsigned, person.key, bits);
  // nostr-tools marks what it signed with a symbol, which no relay gives back.
  return JSON.parse(writeEvent(finalizeEvent(mined, person.secret)).json) as NostrEvent;
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1_000);
}

function mine(template: EventTemplate, pubkey: string, bits: number): EventTemplate {
  for (let nonce = 0; ; nonce++) {
    const tags = [...template.tags, ["nonce", String(nonce), String(bits)]];
    const text = writeEvent({ ...template, tags, pubkey, id: "", sig: "" }).preimage;
    if (leadingZeroBits(createHash("sha256").update(text).digest("hex")) >= bits) {
      return { ...template, tags };
    }
  }
}
