import type { RetentionRule } from "../nostr/drop.ts";

/** What a client needs to know of a relay before it sends (NIP-11, NIP-DD). */
export type RelayFacts = {
  /** Leading zero bits that ids must have (NIP-13). */
  readonly proofOfWork: number;
  /** How long drops are held, seconds; undefined for a relay that is no dead drop. */
  readonly retentionSeconds: number | undefined;
  /** The largest drop, as JSON; undefined where the relay does not say. */
  readonly maxEventBytes: number | undefined;
  readonly maxAcknowledgementIds: number;
};

/** What is taken for granted of a relay that says nothing. */
export const UNKNOWN: RelayFacts = {
  proofOfWork: 0,
  retentionSeconds: undefined,
  maxEventBytes: undefined,
  maxAcknowledgementIds: 1_000,
};

const MAX_DOCUMENT_CHARS = 256 * 1024;

/** Asks a relay for its NIP-11 document. One that does not answer in time, or nonsense, is a relay of which nothing is known. */
export async function relayFacts(url: string, patienceSeconds: number): Promise<RelayFacts> {
  try {
    const response = await fetch(url.replace(/^ws/i, "http"), {
      headers: { accept: "application/nostr+json" },
      signal: AbortSignal.timeout(patienceSeconds * 1_000),
    });
    return factsIn(JSON.parse(await textOf(response)));
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

function factsIn(document: unknown): RelayFacts {
  const { limitation, dead_drop } = Object(document) as Record<string, unknown>;
  const limits = Object(limitation) as Record<string, unknown>;
  const deadDrop = Object(dead_drop) as Record<string, unknown>;
  return {
    proofOfWork: count(limits["min_pow_difficulty"]) ?? UNKNOWN.proofOfWork,
    retentionSeconds: count(deadDrop["retention"]),
    maxEventBytes: count(deadDrop["max_event_bytes"]) ?? count(limits["max_message_length"]),
    // None at all would mean that nothing can be done; that is not what anybody says on purpose.
    maxAcknowledgementIds:
      count(deadDrop["max_acknowledgement_ids"]) || UNKNOWN.maxAcknowledgementIds,
  };
}

function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

/** The rule by which a relay computes expiries (NIP-DD): one it advertises, as if it had never been another. */
export function ruleOf(retentionSeconds: number): RetentionRule {
  return [{ upTo: Infinity, seconds: retentionSeconds }];
}
