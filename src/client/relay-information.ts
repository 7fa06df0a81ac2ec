import type { RetentionRule } from "../nostr/drop.ts";
import { type DocumentRequest, fetchDocument } from "./document.ts";

/** What a client needs to know of a relay before it sends (NIP-11, NIP-DD). */
export type RelayInformation = {
  /** Whether it is a dead drop: its document has a `dead_drop` object, or has none; `unknown`: no document could be read. */
  readonly deadDrop: "yes" | "no" | "unknown";
  /** In words, why no document could be read; else empty. */
  readonly why: string;
  /** Leading zero bits that ids must have (NIP-13). */
  readonly proofOfWork: number;
  /** For how long it holds what, and did before; undefined for a relay that is no dead drop. */
  readonly rule: RetentionRule | undefined;
  /** The largest drop, as JSON; undefined where the relay does not say. */
  readonly maxEventBytes: number | undefined;
  readonly maxAcknowledgementIds: number;
};

// What is taken for granted of a relay that says nothing.
const SILENT = {
  proofOfWork: 0,
  rule: undefined,
  maxEventBytes: undefined,
  // Few enough for whatever it takes: one that takes less refuses for good.
  maxAcknowledgementIds: 100,
} as const;

// A relay does not set how long, or in how many pieces, a client keeps what it has to tell all relays.
const MAX_RETENTION_SECONDS = 2 * 365 * 24 * 60 * 60;
// A relay has one for each change in as long as it holds.
const MOST_FORMER_RETENTIONS = 100;
const LEAST_IDS = 50;
const MOST_IDS = 1_000;

/** Asks a relay for its NIP-11 document. Never rejects: of one that does not answer in time, or nonsense, nothing is known, and `why` says the reason. */
export async function fetchRelayInformation(
  url: string,
  options: Omit<DocumentRequest, "accept">,
): Promise<RelayInformation> {
  try {
    const accept = "application/nostr+json";
    return informationIn(await fetchDocument(url.replace(/^ws/i, "http"), { accept, ...options }));
  } catch (error) {
    return unknown((error as Error).message);
  }
}

/** Of a relay that was not, or could not be, asked. */
export function unknown(why: string): RelayInformation {
  return { deadDrop: "unknown", why, ...SILENT };
}

function informationIn({
  limitation,
  dead_drop,
}: Readonly<Record<string, unknown>>): RelayInformation {
  const limits = Object(limitation) as Record<string, unknown>;
  const isDeadDrop =
    typeof dead_drop === "object" && dead_drop !== null && !Array.isArray(dead_drop);
  const deadDrop = (isDeadDrop ? dead_drop : {}) as Record<string, unknown>;
  const ids = count(deadDrop["max_acknowledgement_ids"]) ?? SILENT.maxAcknowledgementIds;
  return {
    deadDrop: isDeadDrop ? "yes" : "no",
    why: "",
    proofOfWork: count(limits["min_pow_difficulty"]) ?? SILENT.proofOfWork,
    rule: ruleIn(deadDrop),
    maxEventBytes: count(deadDrop["max_event_bytes"]) ?? count(limits["max_message_length"]),
    maxAcknowledgementIds: Math.min(Math.max(ids, LEAST_IDS), MOST_IDS),
  };
}

function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined;
}

/** The rule of a relay that advertises one retention, and none of before (NIP-DD). */
export function ruleOf(retentionSeconds: number): RetentionRule {
  return [{ upTo: Infinity, seconds: retentionSeconds }];
}

// What it advertises applies to what none of those of before applies to. Of those what cannot be read is passed over.
function ruleIn(deadDrop: Readonly<Record<string, unknown>>): RetentionRule | undefined {
  const seconds = retentionIn(deadDrop["retention"]);
  if (seconds === undefined) return undefined;
  const former: unknown = deadDrop["former_retentions"];
  const entries = Array.isArray(former) ? former.slice(0, MOST_FORMER_RETENTIONS) : [];
  const before = entries.flatMap((entry: unknown) => {
    const { until, retention } = Object(entry) as Record<string, unknown>;
    const upTo = count(until);
    const formerSeconds = retentionIn(retention);
    return upTo === undefined || formerSeconds === undefined
      ? []
      : [{ upTo, seconds: formerSeconds }];
  });
  return [...before.toSorted((a, b) => a.upTo - b.upTo), { upTo: Infinity, seconds }];
}

function retentionIn(value: unknown): number | undefined {
  const seconds = count(value);
  return seconds === undefined ? undefined : Math.min(seconds, MAX_RETENTION_SECONDS);
}
