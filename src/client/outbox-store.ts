// What an outbox keeps, and where: the contract of a place for it.
//
// - A record is plain JSON, known by its id; `put` replaces one with the same id, and resolves when the record would survive the end of the process.
// - A store need not understand records, nor keep them in any order. It forgets none that was not removed.

import type { NostrEvent } from "../nostr/event.ts";
import type { SavedDelivery } from "./saved-delivery.ts";

export type AcknowledgementRecord = {
  readonly type: "acknowledgement";
  /** The id of `event`. */
  readonly id: string;
  /** Kind 20221. */
  readonly event: NostrEvent;
  /** The relays still to be told. */
  readonly relays: readonly string[];
  /** Ids of the messages inside the drops. */
  readonly messages: readonly string[];
  /** Unix seconds: the expiry of the last of the drops. Nothing is left to be told then. */
  readonly until: number;
};

export type ReceiptRecord = {
  readonly type: "receipt";
  readonly id: string;
  /** The key that says so, and the one to tell. */
  readonly from: string;
  readonly to: string;
  readonly messages: readonly string[];
  /** Unix seconds: when to send it. */
  readonly at: number;
  readonly until: number;
  /** How often it was tried, and what was tried: it is not made a second time. */
  readonly tries: number;
  readonly delivery?: SavedDelivery;
};

export type OutboxRecord = AcknowledgementRecord | ReceiptRecord;

/** Where an outbox is kept: a folder in Node (`fileOutbox` of `deaddrop-client/node`), IndexedDB in a browser, or memory. Records are plain JSON. */
export type OutboxStore = {
  load(): Promise<OutboxRecord[]>;
  /** Resolves when the record would survive the end of the process. Replaces one with the same id. */
  put(record: OutboxRecord): Promise<void>;
  remove(id: string): Promise<void>;
};

/** An outbox that lives as long as the process or the page. */
export function memoryOutbox(): OutboxStore {
  const records = new Map<string, OutboxRecord>();
  return {
    load: async () => [...records.values()],
    async put(record) {
      records.set(record.id, record);
    },
    async remove(id) {
      records.delete(id);
    },
  };
}
