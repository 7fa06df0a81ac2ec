import type { HttpAnswer, HttpRequest } from "./http.ts";
import { Failed } from "./verdict.ts";

/** What a relay says it does: a NIP in `supported_nips`, the `dead_drop` object of NIP-DD, or `http` in that object. */
export type Advertised = number | "dead_drop" | "http";

/** A JSON object of the relay, its fields unchecked. */
export type Document = Readonly<Record<string, unknown>>;

/** What NIP-DD says of the `dead_drop` object, as far as checks count with it. */
export type DeadDrop = {
  readonly retention: number;
  readonly timestampFuzz: number;
  readonly clockSkew: number;
  readonly maxDrops: number;
  readonly maxAcknowledgementIds: number;
  readonly authorDeletesWraps: boolean;
  readonly http: boolean;
};

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
  return {
    retention: number("retention", 30 * 24 * 60 * 60),
    timestampFuzz: number("timestamp_fuzz", 2 * 24 * 60 * 60),
    clockSkew: number("clock_skew", 15 * 60),
    maxDrops: number("max_drops", 5_000),
    maxAcknowledgementIds: number("max_acknowledgement_ids", 1_000),
    authorDeletesWraps: given["author_deletes_wraps"] === true,
    http: given["http"] === true,
  };
}
