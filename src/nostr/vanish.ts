import type { NostrEvent } from "./event.ts";
import { namesOneOf, type OwnUrl } from "./own-url.ts";

/** Whether a kind 62 speaks to this relay: a `relay` tag names it or `ALL_RELAYS` (NIP-62). */
export function isAddressedHere(event: NostrEvent, urls: readonly OwnUrl[]): boolean {
  return event.tags.some(([name, value]) => {
    if (name !== "relay" || value === undefined) return false;
    return value === "ALL_RELAYS" || namesOneOf(urls, value);
  });
}
