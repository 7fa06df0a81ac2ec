import {
  CLOCK_SKEW_SECONDS,
  longestRetention,
  type RetentionRule,
  TIMESTAMP_FUZZ_SECONDS,
} from "./drop.ts";
import type { NostrEvent } from "./event.ts";
import { graceIn } from "./grace.ts";
import { isHex32 } from "./hex.ts";
import { CHAT_MESSAGE, DELETION, FILE_MESSAGE, HELD_KINDS, RECEIPT, SEAL } from "./kinds.ts";
import type { Reason } from "./reason.ts";

// Some clients name what is inside a gift wrap (NIP-17), and mean the wrap.
const ABOUT_DROPS: ReadonlySet<number> = new Set([
  ...HELD_KINDS,
  SEAL,
  CHAT_MESSAGE,
  FILE_MESSAGE,
  RECEIPT,
]);

/** The recipient's signed "I have these ids" (NIP-DD). It acts on the pairs (id, signer) and on nothing else. */
export type Acknowledgement = {
  readonly signer: string;
  readonly ids: readonly string[];
  /** Grace: the second at which the drops go. Undefined: now. */
  readonly at?: number;
  /** A kind 5, which also deletes what its signer wrote (NIP-09). */
  readonly deletion: boolean;
  /** Whether ids of drops that never came here are remembered. Undefined: they are. */
  readonly remembersUnseen?: false;
};

export type AcknowledgementRules = {
  /** The most ids that one may name. */
  readonly maxIds: number;
  readonly rule: RetentionRule;
  /** Unix time, seconds. */
  readonly now: number;
};

/**
 * Reads a kind 20221, or a kind 5, which does the same (NIP-59 asks relays to honour it). A kind 5 comes from clients that
 * know nothing of dead drops, and one that deletes other things too: an e tag of it that is no id is passed over, and what its k tags name is no reason
 * to keep a drop whose id it has. A grace that cannot be read is refused in either: to pass over it would delete at once.
 */
export function parseAcknowledgement(
  event: NostrEvent,
  { maxIds, rule, now }: AcknowledgementRules,
): Acknowledgement | { readonly reason: Reason } {
  const deletion = event.kind === DELETION;
  const ids = new Set<string>();
  for (const [name, value] of event.tags) {
    if (name !== "e") continue;
    if (isHex32(value)) ids.add(value);
    else if (!deletion) return { reason: "invalid: an e tag must hold 64 lowercase hex digits" };
  }
  const at = graceIn(event);
  if (typeof at === "object") return at;
  if (ids.size > maxIds) {
    return { reason: `invalid: ${ids.size} ids in one acknowledgement, the limit is ${maxIds}` };
  }
  if (ids.size === 0 && !deletion) return { reason: "invalid: acknowledgement without an e tag" };
  return {
    signer: event.pubkey,
    ids: [...ids],
    deletion,
    ...(at !== undefined && { at }),
    ...(!mayNameUnseen(event, rule, now) && { remembersUnseen: false }),
  };
}

// What is older speaks of drops that are past by now, whichever retention they fell under; without this bound whoever replays a signer's old acknowledgements
// would use up what that key may have remembered.
function mayNameUnseen(event: NostrEvent, rule: RetentionRule, now: number): boolean {
  if (event.kind === DELETION && isAboutOthers(event)) return false;
  const { created_at } = event;
  const oldest = now - TIMESTAMP_FUZZ_SECONDS - CLOCK_SKEW_SECONDS - longestRetention(rule);
  return oldest <= created_at && created_at <= now + CLOCK_SKEW_SECONDS;
}

// NIP-09 says in k tags what is to be deleted. Somebody's public notes are nothing to remember here; a tag that names no kind says nothing.
function isAboutOthers(event: NostrEvent): boolean {
  const named = event.tags.filter(([name, kind]) => name === "k" && /^\d+$/.test(kind ?? ""));
  return named.length > 0 && !named.some(([, kind]) => ABOUT_DROPS.has(Number(kind)));
}
