import type { NostrEvent } from "../../nostr/event.ts";
import { DIRECT_MESSAGE, GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Filter } from "../client.ts";
import { nowSeconds, type Person } from "../people.ts";

const DAY = 24 * 60 * 60;

/** Every way to ask for somebody's drop without naming its recipient as a whole. */
export function probes(drop: NostrEvent, to: Person): readonly Filter[] {
  return [
    {},
    { limit: 500 },
    { since: 0 },
    { until: nowSeconds() + DAY },
    { kinds: [GIFT_WRAP, DIRECT_MESSAGE] },
    { ids: [drop.id] },
    { ids: [drop.id], kinds: [drop.kind] },
    { authors: [drop.pubkey] },
    { authors: [drop.pubkey], since: drop.created_at, until: drop.created_at },
    { since: drop.created_at, until: drop.created_at },
    { "#e": [drop.id] },
    { "#p": [to.key], ids: [drop.id] },
    { "#p": [to.key] },
    { "#p": [to.key], kinds: [drop.kind], limit: 1 },
    { "#P": [to.key] },
  ];
}
