import { longestRetention } from "../nostr/drop.ts";
import type { Fetch } from "./document.ts";
import { DEFAULT_PATIENCE_SECONDS } from "./options.ts";
import { fetchRelayInformation } from "./relay-information.ts";
import { secretSigner, type Signer } from "./signer.ts";
import { type BaseKeys, collect } from "./stealth.ts";
import type { Receiver } from "./unwrap.ts";

/**
 * The receiving keys (NIP-RK) of the contacts, and of the weeks in which a relay with this retention, in seconds, can still hold something: to be given to
 * `DeadDrop` as keys, beside or instead of one's own, which `identity` is. `now` in Unix seconds. They are those of a moment: a client that
 * runs for longer than a week is made anew. `retentionSeconds`: what `longestRetentionOf` answers of one's relays. Throws a RangeError that names the argument
 * when one is no key.
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

/**
 * The longest for which one of these relays may still hold anything, in seconds, by what their documents say of now and of before it was changed (NIP-RK,
 * "Recipient"); undefined where none says. Never rejects.
 */
export async function longestRetentionOf(
  relays: readonly string[],
  {
    fetch,
    patienceSeconds = DEFAULT_PATIENCE_SECONDS,
  }: { readonly fetch?: Fetch; readonly patienceSeconds?: number } = {},
): Promise<number | undefined> {
  const information = await Promise.all(
    relays.map((url) => fetchRelayInformation(url, { fetch, patienceSeconds })),
  );
  const known = information.flatMap(({ rule }) => (rule ? longestRetention(rule) : []));
  return known.length === 0 ? undefined : Math.max(...known);
}
