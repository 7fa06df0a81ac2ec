// What an outbox keeps, and where: the contract of a place for it. Beside what is to be told it keeps what a later process has to know.
//
// - A record is plain JSON, known by its id; `put` replaces one with the same id, and resolves when the record would survive the end of the process.
// - A store need not understand records, nor keep them in any order. It forgets none that was not removed; what it finds damaged it does not load.

import { type NostrEvent, parseEvent } from "../nostr/event.ts";
import { isHex32 } from "../nostr/hex.ts";
import { isReason } from "../nostr/reason.ts";
import { isRelayUrl } from "./relay-url.ts";
import { isSavedDelivery, type SavedDelivery } from "./saved-delivery.ts";

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

/**
 * What was found where records are kept, however it came there: a record, or `why` it is none. Neither: a record of a type that another version of the
 * library has put there, and not to be touched.
 */
export function readRecord(value: unknown): {
  readonly record?: OutboxRecord;
  readonly why?: string;
} {
  const given = Object(value) as Record<string, unknown>;
  const { id, type } = given;
  if (typeof id !== "string" || typeof type !== "string") return { why: "it is no record" };
  if (!Object.hasOwn(SHAPES, type)) return {};
  const hasShape = Object.entries(SHAPES[type as OutboxRecord["type"]]).every(([field, is]) =>
    is(given[field]),
  );
  return hasShape
    ? { record: value as OutboxRecord }
    : { why: `it has not the shape of a record of the type ${type}` };
}

type Fields<Of> = { readonly [Field in keyof Required<Of>]: (value: unknown) => boolean };

const SHAPES: {
  readonly [Type in OutboxRecord["type"]]: Fields<
    Omit<Extract<OutboxRecord, { readonly type: Type }>, "id" | "type">
  >;
} = {
  acknowledgement: {
    event: (value) => !isReason(parseEvent(value)),
    relays: (value) => Array.isArray(value) && value.every(isRelayUrl),
    messages: (value) => Array.isArray(value) && value.every(isHex32),
    until: isNumber,
  },
  receipt: {
    from: isHex32,
    to: isHex32,
    messages: (value) => Array.isArray(value) && value.every(isHex32),
    at: isNumber,
    until: isNumber,
    tries: isNumber,
    delivery: (value) => value === undefined || isSavedDelivery(value),
  },
  seen: {
    drops: (value) => Array.isArray(value) && value.every(isSeenDrop),
    until: isNumber,
  },
};

function isSeenDrop(value: unknown): boolean {
  const { id, created_at, expiration, address, message, why } = Object(value) as Partial<SeenDrop>;
  return (
    isHex32(id) &&
    isNumber(created_at) &&
    (expiration === undefined || isNumber(expiration)) &&
    isHex32(address) &&
    (message === undefined || isSeenMessage(message)) &&
    (why === undefined || typeof why === "string")
  );
}

function isSeenMessage(value: unknown): boolean {
  const { id, from, isReceipt } = Object(value) as Partial<SeenMessage>;
  return isHex32(id) && isHex32(from) && typeof isReceipt === "boolean";
}

function isNumber(value: unknown): boolean {
  return Number.isFinite(value);
}

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
