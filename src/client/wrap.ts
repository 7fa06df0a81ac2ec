// A message's three layers (NIP-59): the rumor, which nobody signs; the seal around it, which says who wrote it; the gift wrap around that, which says for whom.

import { getEventHash, verifyEvent } from "nostr-tools/pure";

import { type NostrEvent, parseEvent, tagValue } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { DIRECT_MESSAGE, GIFT_WRAP } from "../nostr/kinds.ts";
import { isReason } from "../nostr/reason.ts";
import { TIMESTAMP_FUZZ_SECONDS } from "../nostr/drop.ts";
import { type EventTemplate, type Signer, throwAwaySigner } from "./signer.ts";

/** What was written: an event without a signature. Its id is the same in every copy and every wrap. */
export type Rumor = Omit<NostrEvent, "sig">;

/** NIP-17 chat message. */
export const CHAT_MESSAGE = 14;
const SEAL = 13;

/** Where time and chance come from. */
export type Chance = {
  /** Unix seconds. */
  readonly now: () => number;
  /** Evenly between 0 and 1, without 1. */
  readonly random: () => number;
};

/** The rumor of a text (NIP-17, kind 14), or of any event template, by this author. */
export function rumorOf(
  author: string,
  recipient: string,
  message: string | EventTemplate,
  chance: Chance,
): Rumor {
  const template =
    typeof message === "string"
      ? { kind: CHAT_MESSAGE, created_at: chance.now(), tags: [["p", recipient]], content: message }
      : message;
  const { kind, created_at, content } = template;
  const tags = template.tags.map((tag) => tag.slice());
  const rumor = { pubkey: author, created_at, kind, tags, content };
  return { id: getEventHash(rumor), ...rumor };
}

/** Seals a rumor for a recipient. */
export async function seal(
  rumor: Rumor,
  author: Signer,
  recipient: string,
  chance: Chance,
): Promise<NostrEvent> {
  const content = await author.encrypt(recipient, JSON.stringify(rumor));
  return author.sign({ kind: SEAL, created_at: fuzzed(chance), tags: [], content });
}

/** A gift wrap that only lacks its proof of work and its signature, and the throw-away key that signs it. */
export type Unsigned = { readonly template: EventTemplate; readonly signer: Signer };

/** Wraps a seal. `address` is the key that picks it up: the recipient's, or a receiving key of theirs. `expiration` in Unix seconds. */
export async function wrap(
  sealed: NostrEvent,
  address: string,
  expiration: number | undefined,
  chance: Chance,
): Promise<Unsigned> {
  const signer = throwAwaySigner();
  const content = await signer.encrypt(address, JSON.stringify(sealed));
  const tags = [["p", address]];
  if (expiration !== undefined) tags.push(["expiration", String(expiration)]);
  return { template: { kind: GIFT_WRAP, created_at: fuzzed(chance), tags, content }, signer };
}

// NIP-59: "created_at SHOULD be tweaked to thwart time-analysis attacks", up to two days into the past.
function fuzzed({ now, random }: Chance): number {
  return now() - Math.floor(random() * TIMESTAMP_FUZZ_SECONDS);
}

const HOUR_SECONDS = 60 * 60;

/**
 * The `expiration` of a wrap that is wanted for at least so many seconds: later by a random part, and rounded up to the hour. The random part is as long as
 * the fuzz of `created_at`, so that the tag tells of the true time no more than that does (NIP-DD, client-3); or as the wish, if that is shorter: who wants
 * a message gone in an hour tells to an hour or two when it was sent.
 */
export function expirationAfter(seconds: number, { now, random }: Chance): number {
  const spread = random() * Math.min(TIMESTAMP_FUZZ_SECONDS, seconds);
  return Math.ceil((now() + seconds + spread) / HOUR_SECONDS) * HOUR_SECONDS;
}

/** Throws a RangeError unless it is a number of seconds, more than none. Answers it as a whole number. */
export function wholeSeconds(seconds: number, name: string): number {
  if (seconds > 0 && Number.isSafeInteger(Math.ceil(seconds))) return Math.ceil(seconds);
  throw new RangeError(`${name}: ${seconds} is no number of seconds`);
}

/** Who can open what is addressed to a key: that key itself, and the identity to which the seal inside is encrypted. */
export type Receiver = {
  readonly address: Signer;
  readonly identity: Signer;
  /** The only one who may write to this key (NIP-RK): whoever else knows it could see by a reaction whose it is. */
  readonly contact?: string;
};

export type Opened = { readonly message: Rumor } | { readonly why: string };

/**
 * Opens a drop as its receiver: a gift wrap, or an old message of kind 4. Answers the message, or why there is none: it is not for this key, it is malformed, or it
 * claims to be by somebody who did not seal it (NIP-17: "Clients MUST verify if pubkey of the kind:13 is the same pubkey on the kind:14").
 */
export async function open(drop: NostrEvent, receiver: Receiver): Promise<Opened> {
  try {
    return drop.kind === DIRECT_MESSAGE
      ? await openLegacy(drop, receiver)
      : await openWrap(drop, receiver);
  } catch (error) {
    // Not for this key, or the signer was not to be had: whoever acknowledges it now may lose a message.
    return { why: `it cannot be decrypted with this key: ${(error as Error).message}` };
  }
}

async function openWrap(
  drop: NostrEvent,
  { address, identity, contact }: Receiver,
): Promise<Opened> {
  const sealed = parseEvent(JSON.parse(await address.decrypt(drop.pubkey, drop.content)));
  if (isReason(sealed) || sealed.kind !== SEAL) return { why: "there is no seal in the wrap" };
  if (contact !== undefined && sealed.pubkey !== contact) {
    return { why: "it is addressed to a receiving key and not by the contact that has it" };
  }
  if (!isGenuine(sealed)) return { why: "the signature of the seal is wrong" };
  const message = parseRumor(JSON.parse(await identity.decrypt(sealed.pubkey, sealed.content)));
  if (message === undefined) return { why: "there is no message in the seal" };
  if (message.pubkey !== sealed.pubkey) {
    return { why: "the message claims to be by somebody who did not seal it" };
  }
  return { message };
}

async function openLegacy(drop: NostrEvent, { address, identity }: Receiver): Promise<Opened> {
  // NIP-RK: nobody who has one sends kind 4 to a receiving key, so this is somebody who wants to see whose it is.
  if (address.key !== identity.key) return { why: "kind 4 is not sent to a receiving key" };
  if (address.decryptLegacy === undefined) return { why: "this signer cannot read kind 4" };
  if (!isGenuine(drop)) return { why: "the signature is wrong" };
  const { id, pubkey, created_at, kind, tags } = drop;
  const content = await address.decryptLegacy(pubkey, drop.content);
  return { message: { id, pubkey, created_at, kind, tags, content } };
}

/** Whether the id and the signature of an event are right. */
export function isGenuine(event: NostrEvent): boolean {
  // A copy: nostr-tools remembers its verdict in the object, and tags are its to change.
  return verifyEvent({ ...event, tags: event.tags.map((tag) => [...tag]) });
}

/** Whether an event's id is the hash of the rest: a relay could otherwise have the wrong drop acknowledged. */
export function hasOwnId(event: NostrEvent): boolean {
  const { id, pubkey, created_at, kind, content } = event;
  const tags = event.tags.map((tag) => [...tag]);
  return getEventHash({ pubkey, created_at, kind, tags, content }) === id;
}

/** The key that a drop is addressed to. */
export function addressOf(drop: NostrEvent): string | undefined {
  const address = tagValue(drop, "p");
  return isHex32(address) ? address : undefined;
}

// A rumor is an event without a signature; its id is made anew and must be what it says, where it says one.
function parseRumor(value: unknown): Rumor | undefined {
  const event = parseEvent({ id: NO_ID, ...(value as object), sig: NO_SIGNATURE });
  if (isReason(event)) return undefined;
  const { pubkey, created_at, kind, content } = event;
  const tags = event.tags.map((tag) => [...tag]);
  const id = getEventHash({ pubkey, created_at, kind, tags, content });
  if (event.id !== id && event.id !== NO_ID) return undefined;
  return { id, pubkey, created_at, kind, tags, content };
}

const NO_ID = "0".repeat(64);
const NO_SIGNATURE = "0".repeat(128);
