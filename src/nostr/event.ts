import { isHex32, isHex64 } from "./hex.ts";
import type { Reason } from "./reason.ts";

/** A well-formed event (NIP-01). That its id and signature are right is another fact: see `Verifier`. */
export type NostrEvent = {
  readonly id: string;
  readonly pubkey: string;
  readonly created_at: number;
  readonly kind: number;
  readonly tags: readonly (readonly string[])[];
  readonly content: string;
  readonly sig: string;
};

/**
 * Takes what JSON.parse made of an event and answers the event, or why it is none. Fields that NIP-01 does not name are dropped.
 * Nothing is coerced: a number where a string belongs is refused.
 */
export function parseEvent(value: unknown): NostrEvent | Reason {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return "invalid: an event is a JSON object";
  }
  const { id, pubkey, created_at, kind, tags, content, sig } = value as Record<string, unknown>;
  if (!isHex32(id)) return "invalid: id must be 64 lowercase hex digits";
  if (!isHex32(pubkey)) return "invalid: pubkey must be 64 lowercase hex digits";
  if (!isTimestamp(created_at)) return "invalid: created_at must be a whole number of seconds";
  if (!isKind(kind)) return "invalid: kind must be a whole number between 0 and 65535";
  if (!isTags(tags)) return "invalid: tags must be arrays of one or more strings";
  if (typeof content !== "string") return "invalid: content must be a string";
  if (!isHex64(sig)) return "invalid: sig must be 128 lowercase hex digits";
  const event = { id, pubkey, created_at, kind, tags, content, sig };
  return isUnicode(event) ? event : "invalid: content and tags must be valid Unicode";
}

/** An event in writing. */
export type WrittenEvent = {
  /** What is stored and served: NIP-01's fields, no white space. */
  readonly json: string;
  /** The same as `preimageOf` makes, for `isIdOf`. */
  readonly preimage: string;
};

/** Writes both at once: most of their text is the same, and escaping it is most of the work. */
export function writeEvent(event: NostrEvent): WrittenEvent {
  const { id, pubkey, created_at, kind, sig } = event;
  const tags = JSON.stringify(event.tags);
  const content = JSON.stringify(event.content);
  return {
    json: `{"id":"${id}","pubkey":"${pubkey}","created_at":${created_at},"kind":${kind},"tags":${tags},"content":${content},"sig":"${sig}"}`,
    preimage: `[0,"${pubkey}",${created_at},${kind},${tags},${content}]`,
  };
}

/**
 * The id that a message which could not be read seems to speak of, so that the refusal can name it. A guess from the text: good enough to
 * answer with, never to act on.
 */
export function peekId(text: string): string | undefined {
  return /"id"\s*:\s*"([^"\\]{1,64})"/.exec(text)?.[1];
}

/** The first value of the first tag called `name`. */
export function tagValue(event: NostrEvent, name: string): string | undefined {
  return event.tags.find((tag) => tag[0] === name)?.[1];
}

function isTimestamp(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isKind(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535;
}

function isTags(value: unknown): value is string[][] {
  if (!Array.isArray(value)) return false;
  for (const tag of value) {
    if (!Array.isArray(tag) || tag.length === 0) return false;
    for (const part of tag) if (typeof part !== "string") return false;
  }
  return true;
}

// A lone surrogate has no UTF-8 form, so the id NIP-01 asks for does not exist.
function isUnicode(event: NostrEvent): boolean {
  if (!event.content.isWellFormed()) return false;
  for (const tag of event.tags) for (const part of tag) if (!part.isWellFormed()) return false;
  return true;
}
