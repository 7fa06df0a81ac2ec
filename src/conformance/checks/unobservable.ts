import type { Check } from "../check.ts";
import { unobservable } from "./define.ts";

const OF_CLIENTS = "an obligation of clients";

/** What NIP-DD demands and no conversation shows. */
export const unobservableChecks: readonly Check[] = [
  unobservable("unobservable/durable", "drop-2", "needs the relay to be killed"),
  unobservable("unobservable/retention", "expiry-7", "needs the relay's configuration to change"),
  unobservable("unobservable/full-storage", "ack-8", "needs a relay whose storage is full"),
  unobservable("unobservable/reserve", "ack-13", "needs a relay whose storage is full"),
  unobservable("unobservable/quorum", "client-1", OF_CLIENTS),
  unobservable("unobservable/again", "client-2", OF_CLIENTS),
  unobservable("unobservable/blurred-expiration", "client-3", OF_CLIENTS),
  unobservable("unobservable/rounded-expiration", "client-8", OF_CLIENTS),
  unobservable("unobservable/no-since", "client-4", OF_CLIENTS),
  unobservable("unobservable/store-first", "client-5", OF_CLIENTS),
  unobservable("unobservable/everywhere", "client-6", OF_CLIENTS),
  unobservable("unobservable/grace", "client-7", OF_CLIENTS),
  unobservable("unobservable/anonymous-sender", "client-9", OF_CLIENTS),
  unobservable("unobservable/merged", "client-10", OF_CLIENTS),
  unobservable("unobservable/either-spelling", "client-11", OF_CLIENTS),
  unobservable("unobservable/receipt-wanted", "receipt-1", OF_CLIENTS),
  unobservable("unobservable/receipt-later", "receipt-2", OF_CLIENTS),
  unobservable("unobservable/receipt-of-receipt", "receipt-3", OF_CLIENTS),
  unobservable("unobservable/logs", "privacy-1", "logs and metrics are not on the wire"),
  unobservable("unobservable/metrics", "privacy-2", "logs and metrics are not on the wire"),
];
