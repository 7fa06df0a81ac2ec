import { parseExpiration } from "./drop.ts";
import type { NostrEvent } from "./event.ts";
import { isHex32 } from "./hex.ts";
import { ACKNOWLEDGEMENT, DELETION, HELD_KINDS } from "./kinds.ts";
import type { Reason } from "./reason.ts";

/** The recipient's signed "I have these ids" (NIP-DD). It acts on the pairs (id, signer) and on nothing else. */
export type Acknowledgement = {
  readonly signer: string;
  readonly ids: readonly string[];
  /** Grace: the second at which the drops go. Undefined: now. */
  readonly at?: number;
  /** A kind 5, which also deletes what its signer wrote (NIP-09). */
  readonly deletion: boolean;
};

/** Reads a kind 20221, or a kind 5, which does what a 20221 without `expiration` does (NIP-59 asks relays to honour it). */
export function parseAcknowledgement(
  event: NostrEvent,
  maxIds: number,
): Acknowledgement | { readonly reason: Reason } {
  const deletion = event.kind === DELETION;
  // NIP-09 says in k tags what is to be deleted. Somebody's public notes are nothing to remember here.
  const kinds = event.tags.filter(([name]) => name === "k").map(([, kind]) => Number(kind));
  if (deletion && kinds.length > 0 && !kinds.some((kind) => HELD_KINDS.has(kind))) {
    return { signer: event.pubkey, ids: [], deletion };
  }
  const ids = new Set<string>();
  let at: number | undefined;
  for (const [name, value] of event.tags) {
    if (name === "e") {
      if (!isHex32(value)) return { reason: "invalid: an e tag must hold 64 lowercase hex digits" };
      ids.add(value);
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
  return { signer: event.pubkey, ids: [...ids], deletion, ...(at !== undefined && { at }) };
}
