// Makes a message's three layers (NIP-59): the rumor, which nobody signs; the seal around it, which says who wrote it; the gift wrap around that, which says
// for whom. `unwrap.ts` opens them.

import { TIMESTAMP_FUZZ_SECONDS } from "../nostr/drop.ts";
import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { CHAT_MESSAGE, GIFT_WRAP, SEAL } from "../nostr/kinds.ts";
import { isReason, type Reason, withoutPrefix } from "../nostr/reason.ts";
import { idOf } from "./genuine.ts";
import { ciphertextLength, utf8Length } from "./message-size.ts";
import type { Runtime } from "./runtime.ts";
import { type EventTemplate, signedBy, type Signer, throwAwaySigner } from "./signer.ts";

/** What was written: an event without a signature. Its id is the same in every copy and every wrap. */
export type Rumor = Omit<NostrEvent, "sig">;

const NO_ID = "0".repeat(64);
const NO_SIGNATURE = "0".repeat(128);

/** Takes what JSON.parse made of a rumor and answers the rumor, or why it is none. One without an id gets its own; that another has its own is another fact. */
export function parseRumor(value: unknown): Rumor | Reason {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  const event = parseEvent(isObject ? { id: NO_ID, ...value, sig: NO_SIGNATURE } : value);
  if (isReason(event)) return event;
  const { pubkey, created_at, kind, tags, content } = event;
  const id = Object.hasOwn(value as object, "id") ? event.id : idOf(event);
  return { id, pubkey, created_at, kind, tags, content };
}

/**
 * The rumor of a text (NIP-17, kind 14), or of any event template, by this author: what its reader will make of it, or a RangeError that says why a reader could
 * make nothing of it.
 */
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
  // Whoever writes JavaScript may hand in anything.
  const { kind, created_at, tags, content } = Object(template) as EventTemplate;
  const rumor = parseRumor({ pubkey: author, created_at, kind, tags, content });
  if (isReason(rumor)) {
    throw new RangeError(`nobody could read this message: ${withoutPrefix(rumor)}`);
  }
  return rumor;
}

/** Seals a rumor for a recipient. Rejects as the signer does, and when what the signer made is no seal. */
export async function seal(
  rumor: Rumor,
  author: Signer,
  recipient: string,
  runtime: Runtime,
): Promise<NostrEvent> {
  const created_at = fuzzed(runtime);
  const text = JSON.stringify(rumor);
  const content: unknown = await author.encrypt(recipient, text);
  // Its length is all that can be told of it, and the same for all who do what NIP-44 says.
  const isOfLength = (written: string): boolean =>
    written.length === ciphertextLength(utf8Length(text));
  if (typeof content !== "string" || !isOfLength(content)) {
    throw new Error("the signer did not encrypt the message as NIP-44 says");
  }
  return signedBy(author, { kind: SEAL, created_at, tags: [], content });
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
  const created_at = now() - Math.floor(random() * TIMESTAMP_FUZZ_SECONDS);
  if (Number.isSafeInteger(created_at) && created_at >= 0) return created_at;
  throw new RangeError(`the clock shows no time in whole seconds since 1970: ${now()}`);
}

const HOUR_SECONDS = 60 * 60;

/**
 * The `expiration` of a wrap that is wanted for at least so many seconds: later by a random part, and rounded up to the hour. The random part is as long as
 * the fuzz of `created_at`, so that the tag tells of the true time no more than that does (NIP-DD, "Clients"); or as the wish, if that is shorter: who wants
 * a message gone in an hour tells to an hour or two when it was sent.
 */
export function expirationAfter(seconds: number, { now, random }: Runtime): number {
  const spread = random() * Math.min(TIMESTAMP_FUZZ_SECONDS, seconds);
  return Math.ceil((now() + seconds + spread) / HOUR_SECONDS) * HOUR_SECONDS;
}
