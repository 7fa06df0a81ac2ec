import { parseExpiration } from "./drop.ts";
import type { NostrEvent } from "./event.ts";
import { isHex32 } from "./hex.ts";
import {
  ACKNOWLEDGEMENT,
  CHAT_MESSAGE,
  DELETION,
  FILE_MESSAGE,
  HELD_KINDS,
  SEAL,
} from "./kinds.ts";
import type { Reason } from "./reason.ts";

// Some clients name what is inside a gift wrap (NIP-17), and mean the wrap.
const ABOUT_DROPS: ReadonlySet<number> = new Set([...HELD_KINDS, SEAL, CHAT_MESSAGE, FILE_MESSAGE]);

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

/**
 * Reads a kind 20221, or a kind 5, which does what a 20221 without `expiration` does (NIP-59 asks relays to honour it). A kind 5 comes from clients that
 * know nothing of dead drops, and one that deletes other things too: an e tag of it that is no id is passed over, and what its k tags name is no reason
 * to keep a drop whose id it has.
 */
export function parseAcknowledgement(
  event: NostrEvent,
  maxIds: number,
): Acknowledgement | { readonly reason: Reason } {
  const deletion = event.kind === DELETION;
  const ids = new Set<string>();
  let at: number | undefined;
  for (const [name, value] of event.tags) {
    if (name === "e") {
      if (isHex32(value)) ids.add(value);
      else if (!deletion) return { reason: "invalid: an e tag must hold 64 lowercase hex digits" };
    } else if (name === "expiration" && event.kind === ACKNOWLEDGEMENT) {
      const second = parseExpiration(value);
      if (second === undefined) return { reason: "invalid: malformed expiration tag" };
      at = Math.min(at ?? second, second);
    }
  }
  if (ids.size > maxIds) {
    return { reason: `invalid: ${ids.size} ids in one acknowledgement, the limit is ${maxIds}` };
  }
  if (ids.size === 0 && !deletion) return { reason: "invalid: acknowledgement without an e tag" };
  return {
    signer: event.pubkey,
    ids: [...ids],
    deletion,
    ...(at !== undefined && { at }),
    ...(deletion && isAboutOthers(event) && { remembersUnseen: false }),
  };
}

// NIP-09 says in k tags what is to be deleted. Somebody's public notes are nothing to remember here; a tag that names no kind says nothing.
function isAboutOthers(event: NostrEvent): boolean {
  const named = event.tags.filter(([name, kind]) => name === "k" && /^\d+$/.test(kind ?? ""));
  return named.length > 0 && !named.some(([, kind]) => ABOUT_DROPS.has(Number(kind)));
}
