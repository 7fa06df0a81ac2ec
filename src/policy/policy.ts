import type { Refused } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import type { Reason } from "../nostr/reason.ts";

/** An event somebody wants held or passed on, before its id and signature were checked. */
export type Candidate = {
  readonly event: NostrEvent;
  /** The size of its JSON. */
  readonly bytes: number;
  readonly recipient: string | Refused;
  readonly expiry: number | Refused;
  /** Unix time, seconds. */
  readonly now: number;
};

/** What a policy makes clients respect at a time (Unix seconds), in NIP-11's words. */
export type Limitation = (now: number) => Readonly<Record<string, number | boolean>>;

/**
 * Stops some candidates, with the reason the sender is told, and lets the others pass. It looks at nothing but the candidate: whether it stops a drop
 * must not depend on what is held.
 */
export type Policy = ((candidate: Candidate) => Reason | undefined) & {
  readonly limitation?: Limitation;
};

/** A policy that NIP-11 tells of. */
export function advertised(
  limitation: Limitation,
  policy: (candidate: Candidate) => Reason | undefined,
): Policy {
  return Object.assign(policy, { limitation });
}
