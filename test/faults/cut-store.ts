// A process of its own that opens stores as a power cut left them, one after the other, with the store's own functions: faster than a relay's start, and it may
// end by a signal. Each message names a folder; each answer says what is in it.

import type { NostrEvent } from "nostr-tools";

import { expiryOf, recipientOf } from "../../src/nostr/drop.ts";
import { writeEvent } from "../../src/nostr/event.ts";
import { systemRuntime } from "../../src/server/runtime.ts";
import { type OpenedStore, openLmdbStore } from "../../src/store/lmdb.ts";
import { LIMITS } from "../support/clock.ts";

const RETENTION_SECONDS = 30 * 24 * 60 * 60;
const ALL = 1_000_000;

export type Look = {
  readonly folder: string;
  /** Keys. */
  readonly boxes: readonly string[];
  /** To be put when it was seen what is there. */
  readonly again: readonly NostrEvent[];
};

export type Seen = {
  /** Ids of what is served at first, and at last, after everything was put again. */
  readonly first: readonly string[];
  readonly last: readonly string[];
  /** What became of each that was put again. */
  readonly outcomes: readonly string[];
};

export type Answer = Seen | { readonly refused: string };

async function look({ folder, boxes, again }: Look): Promise<Seen> {
  const settings = { folder, retentionSeconds: RETENTION_SECONDS, diskReserveBytes: 0 };
  const opened = await openLmdbStore({ ...settings, limits: LIMITS }, systemRuntime);
  try {
    const first = await served(opened, boxes);
    const outcomes: string[] = [];
    for (const event of again) outcomes.push(await put(opened, event));
    return { first, outcomes, last: await served(opened, boxes) };
  } finally {
    await opened.store.close();
  }
}

async function served({ store }: OpenedStore, boxes: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const box of boxes) {
    const listed = await store.list(box, {}, ALL);
    const held = listed.filter(({ expiry }) => expiry > systemRuntime.now());
    for (const json of store.read(held)) {
      ids.push(json === undefined ? "unreadable" : (JSON.parse(json) as NostrEvent).id);
    }
  }
  return ids;
}

async function put({ store, rule }: OpenedStore, event: NostrEvent): Promise<string> {
  const { id, pubkey: author, created_at, kind } = event;
  const [recipient, expiry] = [recipientOf(event), expiryOf(event, rule)];
  if (typeof recipient !== "string" || typeof expiry !== "number") return "no drop";
  const drop = { id, recipient, author, created_at, kind, expiry, json: writeEvent(event).json };
  return store.put(drop, systemRuntime.now());
}

process.on("message", (message: Look) => {
  void look(message)
    .catch((error: unknown) => ({ refused: (error as Error).message }))
    .then((answer: Answer) => process.send?.(answer));
});
