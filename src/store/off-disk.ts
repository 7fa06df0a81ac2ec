import { expiryKey } from "./layout.ts";
import type { Header } from "./store.ts";
import type { Tables } from "./tables.ts";

/** Deletes a drop that no index knows any more. */
export function takeOffDisk(
  { drops, expiries }: Pick<Tables, "drops" | "expiries">,
  { seq, expiry }: Pick<Header, "seq" | "expiry">,
): void {
  drops.remove(seq);
  expiries.removeSync(expiryKey(expiry, seq));
}
