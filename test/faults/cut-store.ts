// A process of its own that opens stores as a power cut left them, one after the other, with the store's own functions: faster than a relay's start, and it may
// end by a signal. Each message names a folder; each answer says what is in it.

import { hash } from "node:crypto";

import type { NostrEvent } from "nostr-tools";

import { isIdOf, preimageOf } from "../../src/nostr/event-id.ts";
import { expiryOf, recipientOf } from "../../src/nostr/drop.ts";
import { writeEvent } from "../../src/nostr/event.ts";
import { systemRuntime } from "../../src/server/runtime.ts";
import { type OpenedStore, openLmdbStore } from "../../src/store/lmdb.ts";
import { eventIn } from "../../src/store/tables.ts";
import { LIMITS } from "../support/clock.ts";

const isWhole = (event: Parameters<typeof preimageOf>[0] & { id: string }): boolean =>
  isIdOf(event.id, preimageOf(event), (text) => hash("sha256", text));
const RETENTION_SECONDS = 30 * 24 * 60 * 60;
const ALL = 1_000_000;

export type Look = {
  readonly folder: string;
  /** Keys. */
  readonly boxes: readonly string[];
  /** To be put when it was seen what is there. */
  readonly again: readonly NostrEvent[];
  /** Their ids are no hashes. */
  readonly isForged?: boolean;
};

export type Seen = {
  /** Ids of what is served at first, and at last, after everything was put again. */
  readonly first: readonly string[];
  readonly last: readonly string[];
  /** Drops that are listed, and are not there or not what was sent. */
  readonly spoiled: number;
  /** What became of each that was put again. */
  readonly outcomes: readonly string[];
};

export type Answer = Seen | { readonly refused: string };

async function look({ folder, boxes, again, isForged = false }: Look): Promise<Seen> {
  const settings = { folder, retentionSeconds: RETENTION_SECONDS, diskReserveBytes: 0 };
  const opened = await openLmdbStore({ ...settings, limits: LIMITS }, systemRuntime);
  try {
    const { ids: first, spoiled } = await served(opened, boxes, isForged);
    const outcomes = await Promise.all(again.map((event) => put(opened, event)));
    return { first, spoiled, outcomes, last: (await served(opened, boxes, isForged)).ids };
  } finally {
    await opened.store.close();
  }
}

async function served(
  { store }: OpenedStore,
  boxes: readonly string[],
  isForged: boolean,
): Promise<{ ids: string[]; spoiled: number }> {
  const ids: string[] = [];
  let spoiled = 0;
  for (const box of boxes) {
    const listed = await store.list(box, {}, ALL);
    const held = listed.filter(({ expiry }) => expiry > systemRuntime.now());
    for (const json of store.read(held)) {
      const event = json === undefined ? undefined : eventIn(json);
      const isSpoiled = event === undefined || !(isForged || isWhole(event));
      if (isSpoiled) spoiled += 1;
      else ids.push(event.id);
    }
  }
  return { ids, spoiled };
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
