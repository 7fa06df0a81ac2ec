// Makes a message's three layers (NIP-59): the rumor, which nobody signs; the seal around it, which says who wrote it; the gift wrap around that, which says
// for whom. `unwrap.ts` opens them.

import { TIMESTAMP_FUZZ_SECONDS } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import { CHAT_MESSAGE, GIFT_WRAP, SEAL } from "../nostr/kinds.ts";
import { idOf } from "./genuine.ts";
import type { Runtime } from "./runtime.ts";
import { type EventTemplate, type Signer, throwAwaySigner } from "./signer.ts";

/** What was written: an event without a signature. Its id is the same in every copy and every wrap. */
export type Rumor = Omit<NostrEvent, "sig">;

/** The rumor of a text (NIP-17, kind 14), or of any event template, by this author. */
export function rumorOf(
  author: string,
  recipient: string,
  message: string | EventTemplate,
  runtime: Runtime,
): Rumor {
  const template =
    typeof message === "string"
      ? {
          kind: CHAT_MESSAGE,
          created_at: runtime.now(),
          tags: [["p", recipient]],
          content: message,
        }
      : message;
  const { kind, created_at, content } = template;
  const tags = template.tags.map((tag) => tag.slice());
  const rumor = { pubkey: author, created_at, kind, tags, content };
  return { id: idOf(rumor), ...rumor };
}

/** Seals a rumor for a recipient. */
export async function seal(
  rumor: Rumor,
  author: Signer,
  recipient: string,
  runtime: Runtime,
): Promise<NostrEvent> {
  const content = await author.encrypt(recipient, JSON.stringify(rumor));
  return author.sign({ kind: SEAL, created_at: fuzzed(runtime), tags: [], content });
}

/** A gift wrap that only lacks its proof of work and its signature, and the throw-away key that signs it. */
export type UnsignedWrap = { readonly template: EventTemplate; readonly signer: Signer };

/** Wraps a seal. `address` is the key that picks it up: the recipient's, or a receiving key of theirs. `expiration` in Unix seconds. */
export async function wrap(
  sealed: NostrEvent,
  address: string,
  expiration: number | undefined,
  runtime: Runtime,
): Promise<UnsignedWrap> {
  const signer = throwAwaySigner();
  const content = await signer.encrypt(address, JSON.stringify(sealed));
  const tags = [["p", address]];
  if (expiration !== undefined) tags.push(["expiration", String(expiration)]);
  return { template: { kind: GIFT_WRAP, created_at: fuzzed(runtime), tags, content }, signer };
}

// NIP-59: "created_at SHOULD be tweaked to thwart time-analysis attacks", up to two days into the past.
function fuzzed({ now, random }: Runtime): number {
  return now() - Math.floor(random() * TIMESTAMP_FUZZ_SECONDS);
}

const HOUR_SECONDS = 60 * 60;

/**
 * The `expiration` of a wrap that is wanted for at least so many seconds: later by a random part, and rounded up to the hour. The random part is as long as
 * the fuzz of `created_at`, so that the tag tells of the true time no more than that does (NIP-DD, client-3); or as the wish, if that is shorter: who wants
 * a message gone in an hour tells to an hour or two when it was sent.
 */
export function expirationAfter(seconds: number, { now, random }: Runtime): number {
  const spread = random() * Math.min(TIMESTAMP_FUZZ_SECONDS, seconds);
  return Math.ceil((now() + seconds + spread) / HOUR_SECONDS) * HOUR_SECONDS;
}
