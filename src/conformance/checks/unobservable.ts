import type { Check } from "../check.ts";
import { unobservable } from "./define.ts";

const OF_CLIENTS = "an obligation of clients";

/** What the drafts demand and no conversation shows. */
export const unobservableChecks: readonly Check[] = [
  unobservable("unobservable/durable", "drop-2", "needs the relay to be killed"),
  unobservable("unobservable/retention", "expiry-7", "needs the relay's configuration to change"),
  unobservable("unobservable/least", "expiry-8", "needs the relay's configuration to change"),
  unobservable("unobservable/early", "ack-14", "takes as long as the relay's retention"),
  unobservable("unobservable/full-storage", "ack-8", "needs a relay whose storage is full"),
  unobservable("unobservable/dead-drops-alone", "client-12", OF_CLIENTS),
  unobservable("unobservable/everywhere", "client-1", OF_CLIENTS),
  unobservable("unobservable/anonymous-sender", "client-9", OF_CLIENTS),
  unobservable("unobservable/rounded-expiration", "client-8", OF_CLIENTS),
  unobservable("unobservable/recipient", "client-4", OF_CLIENTS),
  unobservable("unobservable/receipt-wanted", "receipt-1", OF_CLIENTS),
  unobservable("unobservable/receipt-later", "receipt-2", OF_CLIENTS),
  unobservable("unobservable/receipt-of-receipt", "receipt-3", OF_CLIENTS),
];
