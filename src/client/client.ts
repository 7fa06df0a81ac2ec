// What `deaddrop-client` offers: sending to dead drops and picking up from them, in browsers and in Node.

export { DeadDrop } from "./dead-drop.ts";
export { NoRelaysError, type RelayLookup } from "./relay-list.ts";
export type { DeadDropOptions, Network } from "./options.ts";
export type { Fetch } from "./document.ts";
export { type DomainAddress, parsePerson, type Person } from "./person.ts";
export { lookUpNip05, Nip05Error } from "./nip05.ts";
export type { SendOptions, WrapOptions } from "./send-options.ts";
export type { Delivery } from "./delivery.ts";
export type { DeliveryReport, SavedDelivery } from "./saved-delivery.ts";
export type { AcknowledgeOptions } from "./acknowledger.ts";
export type { BoxStatus } from "./box-status.ts";
export type { CollectOptions } from "./pickup.ts";
export type { Collection, CollectionReport, PickedUp, Unreadable } from "./collection.ts";
export type { AcknowledgementReport } from "./outbox.ts";
export {
  type AcknowledgementRecord,
  memoryOutbox,
  type OutboxRecord,
  type OutboxStore,
  type ReceiptRecord,
  type SeenDrop,
  type SeenRecord,
} from "./outbox-store.ts";
export { type DamagedRecord, indexedDbOutbox, type IndexedDbOutboxOptions } from "./indexed-db.ts";
export { RECEIPT } from "../nostr/kinds.ts";
export type { ReceiptOptions } from "./receipts.ts";
export {
  type EventTemplate,
  generateSecretKey,
  secretSigner,
  type Signer,
  UndecryptableError,
} from "./signer.ts";
export type { Runtime } from "./runtime.ts";
export { open, type Opened, type Receiver } from "./unwrap.ts";
export type { Rumor } from "./wrap.ts";
export { type Miner, workerMiner } from "./mining.ts";
export { announcement, BASE_KEY, baseKeyIn } from "./base-keys.ts";
export { longestRetentionOf, receivers } from "./receivers.ts";
export {
  type BaseKeys,
  collect,
  EPOCH_SECONDS,
  epochAt,
  epochsToCollect,
  receivingKey,
  receivingSecret,
} from "./stealth.ts";
