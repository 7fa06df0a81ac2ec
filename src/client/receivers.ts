import { secretSigner, type Signer } from "./signer.ts";
import { type BaseKeys, collect } from "./stealth.ts";
import type { Receiver } from "./unwrap.ts";

/**
 * The receiving keys (NIP-RK) of the contacts, and of the weeks in which a relay with this retention, in seconds, can still hold something: to be given to
 * `DeadDrop` as keys, beside or instead of one's own, which `identity` is. `now` in Unix seconds. They are those of a moment: a client that
 * runs for longer than a week is made anew. Throws a RangeError that names the argument when one is no key.
 */
export function receivers(of: {
  readonly identity: Signer;
  readonly contacts: readonly BaseKeys[];
  readonly now: number;
  readonly retentionSeconds: number;
}): Receiver[] {
  const { identity, ...rest } = of;
  return collect(rest).map(({ secret, contact, epoch }) => ({
    address: secretSigner(secret),
    identity,
    contact,
    epoch,
  }));
}
