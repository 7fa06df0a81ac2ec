// What an outbox keeps, and where: the contract of a place for it. Beside what is to be told it keeps what a later process has to know.
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

/** What is known of a drop that was picked up, until it is acknowledged. */
export type SeenDrop = {
  readonly id: string;
  readonly created_at: number;
  /** Unix seconds, if its sender set one. */
  readonly expiration?: number;
  /** The key it was addressed to. */
  readonly address: string;
  /** The message inside; none when it could not be opened. */
  readonly message?: SeenMessage;
  /** Why it can never be opened, by this key. */
  readonly why?: string;
};

export type SeenMessage = {
  readonly id: string;
  /** The key that sealed it. */
  readonly from: string;
  readonly isReceipt: boolean;
};

export type SeenRecord = {
  readonly type: "seen";
  readonly id: string;
  readonly drops: readonly SeenDrop[];
  /** Unix seconds: when it may be forgotten. */
  readonly until: number;
};

export type OutboxRecord = AcknowledgementRecord | ReceiptRecord | SeenRecord;

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
