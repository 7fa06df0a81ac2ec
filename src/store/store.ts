import type { Drop } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";

/**
 * The answer to who put a drop has been taken by then. Where a peer, or the proxy in front, shares a processor with the relay it would wait for the delivery, too, and be
 * told by that time that somebody listens.
 */
export const ANNOUNCED_AFTER_MS = 2;

/**
 * What a relay keeps: boxes of drops, and the memory of what was acknowledged.
 *
 * - A promise of a write resolves after the write would survive `kill -9` and a power cut, and not before. When it rejects, nothing is known of the
 *   write: it may be there after a restart, whole or, for a write that touches many drops, in part. Every write may be repeated safely.
 * - Writes take effect one after the other, in the order in which they were asked for. Put and acknowledge commute: whichever comes first, an
 *   acknowledged drop ends up not held. A deletion by the author speaks only of what is held.
 * - A drop that is held, or that came and was acknowledged, is `known`, until its expiry. Nothing else makes it so, and nothing but acknowledgement, deletion
 *   by its author and expiry ends its being held: no write evicts another drop.
 * - A drop that was acknowledged before it came is put once as if nobody had heard of it: checked, written, flushed and answered `stored`, or refused, like any
 *   other. But it is not held, not announced and not counted, and from then on it is known. A sender cannot tell by its first arrival what became of it.
 * - `list` and `read` show what is committed, and never a drop that an earlier, resolved write removed. They take no lock and pin no snapshot:
 *   between two calls drops may come and go.
 * - Every committed drop that is still held is announced once, in the order of `seq`, `ANNOUNCED_AFTER_MS` after the promise of its `put` resolved: how long an answer
 *   takes must not tell whether anybody listens. `watermark` is the `seq` of the newest one committed. Whoever notes it and subscribes in one turn misses nothing: `list` shows
 *   all up to it, and what comes later is announced.
 * - `list`, `read` and the rest throw, or reject, when the store cannot be read: nothing found means that nothing is there. A record that is damaged is skipped as
 *   if it were not there.
 * - A drop's expiry is the one its event has under the rule that came with the store.
 * - Keys and ids are hex digits, times Unix seconds, sizes bytes of UTF-8.
 *
 * - What is deleted because it is past, is deleted only as far as the machine's clock is believed (clock.ts), whatever `now` a caller names. How far that ever
 *   went is remembered: what had expired by then is `expired` for good, and never `known`, `stored` or `box full` again.
 *
 * Not promised: isolation between processes (open a store once), and that expired drops are gone before the next sweep: whoever lists looks at each
 * header's expiry.
 */
export type Store = {
  /**
   * Holds the drop, unless it expired before the last sweep, is known or there is no room for it, and answers `stored`; also of one that was acknowledged before
   * it came, and is not held. `now` decides which drops in the box are past.
   */
  put(drop: Drop, now: number): Promise<PutOutcome>;
  /** Removes, now or at a time, the drops with these ids from the signer's box, and remembers the ids. */
  acknowledge(acknowledgement: Acknowledged, now: number): Promise<AcknowledgeOutcome>;
  /** Removes all that `vanishing` speaks of, once: a replay of the same request does nothing. */
  vanish(vanishing: Vanishing, now: number): Promise<VanishOutcome>;
  /** Up to `max` headers of one box in NIP-01's order (newest first, then by id), after `window.after` when given. */
  list(recipient: string, window: Window, max: number): Promise<Header[]>;
  /** The drops' JSON, in the order asked for; undefined where a drop is not held any more. */
  read(headers: readonly Header[]): (string | undefined)[];
  /** The event of a drop; undefined where it is not held any more. */
  event(header: Header): NostrEvent | undefined;
  /** Does one bounded piece of deleting what is past at `now`, and says where the next piece begins. */
  sweep(of: "drops" | "tombstones", now: number, from?: SweepCursor): Promise<Swept>;
  /** The `seq` of the newest drop committed. */
  readonly watermark: number;
  /** Has `listener` hear of every drop committed from now on whose recipient it `wants`, asked at that moment; of all if it does not say. Answers how to stop. */
  subscribe(
    listener: (committed: readonly Held[]) => void,
    wants?: (recipient: string) => boolean,
  ): () => void;
  /** How much is held, for metrics and `deaddrop info`. */
  totals(): Totals;
  /** Resolves when everything asked for is on disk and the store is released. */
  close(): Promise<void>;
};

/** Answers, without waiting, whether a drop is held, or came and was acknowledged. The same work is done for either; `names` saves `put` a part of it. */
export type KnownDrops = {
  look(drop: DropIdentity): { readonly isKnown: boolean; readonly names: string };
  /** Lets what was committed since be seen. */
  refresh(): void;
};

/** What a drop is recognised by: signed fields alone. */
export type DropIdentity = Pick<Drop, "id" | "recipient" | "created_at" | "names">;

/** A drop and its place in the order of commits. */
export type Held = Drop & { readonly seq: number };

export type PutOutcome = "stored" | "known" | "expired" | "box full" | "storage full";

export type Acknowledged = {
  readonly signer: string;
  readonly ids: readonly string[];
  /** The second at which the drops go; undefined: now. */
  readonly at?: number | undefined;
  /** Also delete what the signer wrote (NIP-09). */
  readonly deletion: boolean;
  /** Whether the ids that are not in the box are remembered. Undefined: they are. */
  readonly remembersUnseen?: false | undefined;
};

/** `too many early`, `storage full`: what was held is acknowledged all the same, ids that were never seen here are not remembered. */
export type AcknowledgeOutcome = "done" | "too many early" | "storage full";

/** `storage full`: everything is removed all the same, but the request is not remembered. */
export type VanishOutcome = "done" | "storage full";

export type Vanishing = {
  readonly id: string;
  readonly signer: string;
  /** Drops with a later `created_at` stay (NIP-62). */
  readonly created_at: number;
};

export type Window = {
  /** Only drops with `created_at` between these, both included. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly after?: Place | undefined;
};

/** Where a drop stands in its box. */
export type Place = Pick<Header, "recipient" | "created_at" | "idPrefix">;

/** What can be said of a held drop without reading it. */
export type Header = {
  readonly seq: number;
  readonly recipient: string;
  /** The first 32 hex digits of the id. */
  readonly idPrefix: string;
  readonly created_at: number;
  readonly kind: number;
  /** The drop's expiry, or the end of its grace if that comes first. */
  readonly expiry: number;
  readonly bytes: number;
};

export const ID_PREFIX_DIGITS = 32;

/** Where a sweep goes on. Only the store that made it can read it. */
export type SweepCursor = Buffer;

/** `next` is undefined when the sweep came to the end. */
export type Swept = { readonly removed: number; readonly next?: SweepCursor | undefined };

export type Totals = {
  readonly drops: number;
  readonly tombstones: number;
  /** The size of the store's file, and how much of it is free for reuse. */
  readonly fileBytes: number;
  readonly freeBytes: number;
};

/** Orders headers as NIP-01 asks: newest first, "the event with the lowest id first" among equals. */
export function newestFirst(a: Place, b: Place): number {
  return b.created_at - a.created_at || (a.idPrefix < b.idPrefix ? -1 : 1);
}

/** Names of the errors with which reads and writes fail after the store has told why in another way. A class does not survive the way between threads. */
export const TOLD = { diskFull: "DiskFull", lost: "StoreLost" } as const;
