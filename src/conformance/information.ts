import type { HttpAnswer, HttpRequest } from "./http.ts";
import { DIRECT_MESSAGE, GIFT_WRAP } from "../nostr/kinds.ts";
import { Failed } from "./verdict.ts";

/** What a relay says it does: a NIP in `supported_nips`, the `dead_drop` object of NIP-DD, or `http` in that object. */
export type Advertised = number | "dead_drop" | "http";

/** A JSON object of the relay, its fields unchecked. */
export type Document = Readonly<Record<string, unknown>>;

/** What NIP-DD says of the `dead_drop` object, as far as checks count with it. */
export type DeadDrop = {
  /** Those of 4 and 1059 that the relay holds. */
  readonly kinds: ReadonlySet<number>;
  readonly retention: number;
  /** What the retention was for events up to a `created_at`, the earliest first. */
  readonly formerRetentions: readonly FormerRetention[];
  readonly timestampFuzz: number;
  readonly clockSkew: number;
  readonly maxDrops: number;
  readonly maxAcknowledgementIds: number;
  readonly maxEarlyAcknowledgements: number;
  readonly authorDeletesWraps: boolean;
  readonly http: boolean;
};

export type FormerRetention = { readonly until: number; readonly retention: number };

/** The question for the relay information document (NIP-11). */
export function informationRequest(url: string): HttpRequest {
  return { url: url.replace(/^ws/i, "http"), accept: "application/nostr+json" };
}

/** The document in an answer. Throws Failed when it is none. */
export function documentIn({ status, body }: HttpAnswer): Document {
  if (status !== 200) throw new Failed(`HTTP status ${status} instead of 200`);
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new Failed(`the body is not JSON: ${JSON.stringify(body.slice(0, 80))}`);
  }
  const document = objectIn(value);
  if (document === undefined) throw new Failed("the document is not a JSON object");
  return document;
}

export function objectIn(value: unknown): Document | undefined {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject ? (value as Document) : undefined;
}

/** The advertised values; where one is missing or no number, the one in NIP-DD's example. */
export function deadDropIn(document: Document | undefined): DeadDrop {
  const given = objectIn(document?.["dead_drop"]) ?? {};
  const number = (field: string, otherwise: number): number => {
    const value = given[field];
    return Number.isSafeInteger(value) ? (value as number) : otherwise;
  };
  const kinds: unknown[] = Array.isArray(given["kinds"]) ? given["kinds"] : [];
  const held = [GIFT_WRAP, DIRECT_MESSAGE].filter((kind) => kinds.includes(kind));
  return {
    kinds: new Set(held.length > 0 ? held : [GIFT_WRAP, DIRECT_MESSAGE]),
    formerRetentions: formerRetentionsIn(given["former_retentions"]) ?? [],
    retention: number("retention", 30 * 24 * 60 * 60),
    timestampFuzz: number("timestamp_fuzz", 2 * 24 * 60 * 60),
    clockSkew: number("clock_skew", 15 * 60),
    maxDrops: number("max_drops", 5_000),
    maxAcknowledgementIds: number("max_acknowledgement_ids", 1_000),
    maxEarlyAcknowledgements: number("max_early_acknowledgements", 10_000),
    authorDeletesWraps: given["author_deletes_wraps"] === true,
    http: given["http"] === true,
  };
}

/** The values of `former_retentions`, the earliest first; undefined where there is something else. */
export function formerRetentionsIn(value: unknown): readonly FormerRetention[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const entries = value.map((entry: unknown) => objectIn(entry) ?? {});
  const isWhole = entries.every(({ until, retention }) => isNatural(until) && isNatural(retention));
  if (!isWhole) return undefined;
  return (entries as unknown as FormerRetention[]).toSorted((a, b) => a.until - b.until);
}

/** The second from which on an event of this `created_at` without an expiration tag is refused: the first of the former values that speaks of it, or the present one. */
export function expiryOf(createdAt: number, deadDrop: DeadDrop): number {
  const former = deadDrop.formerRetentions.find(({ until }) => createdAt <= until);
  return createdAt + deadDrop.timestampFuzz + (former ?? deadDrop).retention;
}

/** The `created_at` of an event that expires at this second; undefined when a change of the retention leaves none. */
export function createdAtFor(expiry: number, deadDrop: DeadDrop): number | undefined {
  return [deadDrop, ...deadDrop.formerRetentions]
    .map(({ retention }) => expiry - deadDrop.timestampFuzz - retention)
    .find((createdAt) => expiryOf(createdAt, deadDrop) === expiry);
}

function isNatural(number: unknown): boolean {
  return Number.isSafeInteger(number) && Number(number) >= 0;
}
