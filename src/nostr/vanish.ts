import { hostOf } from "./auth.ts";
import type { NostrEvent } from "./event.ts";

/** Whether a kind 62 speaks to this relay: a `relay` tag names it or `ALL_RELAYS` (NIP-62). */
export function isAddressedHere(event: NostrEvent, hosts: ReadonlySet<string>): boolean {
  return event.tags.some(([name, value]) => {
    if (name !== "relay" || value === undefined) return false;
    return value === "ALL_RELAYS" || hosts.has(hostOf(value) ?? "");
  });
}
