import type { RetentionRule } from "../nostr/drop.ts";

/** What a client needs to know of a relay before it sends (NIP-11, NIP-DD). */
export type RelayInformation = {
  /** Leading zero bits that ids must have (NIP-13). */
  readonly proofOfWork: number;
  /** How long drops are held, seconds; undefined for a relay that is no dead drop. */
  readonly retentionSeconds: number | undefined;
  /** The largest drop, as JSON; undefined where the relay does not say. */
  readonly maxEventBytes: number | undefined;
  readonly maxAcknowledgementIds: number;
  /** Whether it is a dead drop: whether its document has a `dead_drop`. */
  readonly deadDrop: "yes" | "no" | "unknown";
  /** Why nothing is known of it; "" where something is. */
  readonly why: string;
};

/** What is taken for granted of a relay that says nothing. */
export const UNKNOWN: RelayInformation = {
  proofOfWork: 0,
  retentionSeconds: undefined,
  maxEventBytes: undefined,
  // Few enough for whatever it takes: one that takes less refuses for good.
  maxAcknowledgementIds: 100,
  deadDrop: "unknown",
  why: "its document cannot be read",
};

// A relay does not set how long, or in how many pieces, a client keeps what it has to tell all relays.
const MAX_RETENTION_SECONDS = 2 * 365 * 24 * 60 * 60;
const LEAST_IDS = 50;
const MOST_IDS = 1_000;

const MAX_DOCUMENT_CHARS = 256 * 1024;

/** Asks a relay for its NIP-11 document. One that does not answer in time, or nonsense, is a relay of which nothing is known. */
export async function fetchRelayInformation(
  url: string,
  patienceSeconds: number,
): Promise<RelayInformation> {
  try {
    const response = await fetch(url.replace(/^ws/i, "http"), {
      headers: { accept: "application/nostr+json" },
      signal: AbortSignal.timeout(patienceSeconds * 1_000),
    });
    if (!response.ok) return UNKNOWN;
    return informationIn(JSON.parse(await textOf(response)));
  } catch {
    return UNKNOWN;
  }
}

async function textOf({ body }: Response): Promise<string> {
  const reader = body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done = true, value } = (await reader?.read()) ?? {};
    if (done) return text;
    text += decoder.decode(value as Uint8Array, { stream: true });
    if (text.length > MAX_DOCUMENT_CHARS) {
      await reader?.cancel();
      throw new Error("the document does not end");
    }
  }
}

function informationIn(document: unknown): RelayInformation {
  const { limitation, dead_drop } = Object(document) as Record<string, unknown>;
  const limits = Object(limitation) as Record<string, unknown>;
  const deadDrop = Object(dead_drop) as Record<string, unknown>;
  const retention = count(deadDrop["retention"]);
  const ids = count(deadDrop["max_acknowledgement_ids"]) ?? UNKNOWN.maxAcknowledgementIds;
  return {
    deadDrop: Object(dead_drop) === dead_drop ? "yes" : "no",
    why: "",
    proofOfWork: count(limits["min_pow_difficulty"]) ?? UNKNOWN.proofOfWork,
    retentionSeconds:
      retention === undefined ? undefined : Math.min(retention, MAX_RETENTION_SECONDS),
    maxEventBytes: count(deadDrop["max_event_bytes"]) ?? count(limits["max_message_length"]),
    maxAcknowledgementIds: Math.min(Math.max(ids, LEAST_IDS), MOST_IDS),
  };
}

function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

/** The rule by which a relay computes expiries (NIP-DD): one it advertises, as if it had never been another. */
export function ruleOf(retentionSeconds: number): RetentionRule {
  return [{ upTo: Infinity, seconds: retentionSeconds }];
}
