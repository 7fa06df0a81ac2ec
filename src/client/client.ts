// What `deaddrop/client` offers: sending to dead drops and picking up from them, in browsers and in Node.

export { DeadDrop, type DeadDropOptions, NoRelaysError } from "./dead-drop.ts";
export type { SendOptions, WrapOptions } from "./sender.ts";
export type { Delivery, DeliveryReport, SavedDelivery } from "./delivery.ts";
export type { AcknowledgeOptions, BoxStatus, CollectOptions } from "./mailbox.ts";
export type { Collection, CollectionReport, PickedUp } from "./collection.ts";
export {
  type AcknowledgementRecord,
  type AcknowledgementReport,
  memoryOutbox,
  type OutboxRecord,
  type OutboxStore,
  type ReceiptRecord,
} from "./outbox.ts";
export { indexedDbOutbox } from "./indexed-db.ts";
export { RECEIPT, type ReceiptOptions } from "./receipts.ts";
export { type EventTemplate, secretSigner, type Signer } from "./signer.ts";
export { type Chance, open, type Opened, type Receiver, type Rumor } from "./wrap.ts";
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
