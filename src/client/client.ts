// What `deaddrop-client` offers: sending to dead drops and picking up from them, in browsers and in Node.

export { DeadDrop, NoRelaysError } from "./dead-drop.ts";
export type { DeadDropOptions } from "./options.ts";
export type { SendOptions, WrapOptions } from "./send-options.ts";
export type { Delivery } from "./delivery.ts";
export type { DeliveryReport, SavedDelivery } from "./saved-delivery.ts";
export type { AcknowledgeOptions } from "./acknowledger.ts";
export type { BoxStatus } from "./box-status.ts";
export type { CollectOptions } from "./pickup.ts";
export type { Collection, CollectionReport, PickedUp } from "./collection.ts";
export type { AcknowledgementReport } from "./outbox.ts";
export {
  type AcknowledgementRecord,
  memoryOutbox,
  type OutboxRecord,
  type OutboxStore,
  type ReceiptRecord,
} from "./outbox-store.ts";
export { type DamagedRecord, indexedDbOutbox, type IndexedDbOutboxOptions } from "./indexed-db.ts";
export { RECEIPT, type ReceiptOptions } from "./receipts.ts";
export { type EventTemplate, secretSigner, type Signer } from "./signer.ts";
export type { Runtime } from "./runtime.ts";
export { open, type Opened, type Receiver } from "./unwrap.ts";
export type { Rumor } from "./wrap.ts";
export { type Miner, workerMiner } from "./mining.ts";
export { receivers } from "./receivers.ts";
export {
  collect,
  EPOCH_SECONDS,
  epochAt,
  epochsToCollect,
  receivingKey,
  receivingSecret,
} from "./stealth.ts";
