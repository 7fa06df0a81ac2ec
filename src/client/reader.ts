// Reads one's boxes at one relay, however often it has to begin again.
//
// - A pickup ends when everything was brought, or when the relay refuses, is silent or is not there for longer than one waits. A refusal that passes in
//   seconds is waited out.
// - A watch is ended by its caller alone. Whatever the relay does is told and tried again, less and less often.
// - What is told is the first cause: a relay that does not believe a key refuses what is asked then, and that is not why.

import type { NostrEvent } from "../nostr/event.ts";
import { DIRECT_MESSAGE, GIFT_WRAP } from "../nostr/kinds.ts";
import type { Refusal } from "./authentication.ts";
import { backoffSeconds } from "./backoff.ts";
import { readPages } from "./box-pages.ts";
import { passesSoon } from "./refusal.ts";
import { type KeyGroup, MAX_RETRY_SECONDS, type RelayPool } from "./relay-pool.ts";

/** What a reader tells of one relay. */
export type ReaderListener = {
  /** A drop whose id is its own. More than once, if the relay sends it more than once. */
  event(event: NostrEvent): void;
  /** The relay is asked for everything: at first, and after each interruption. */
  reading(): void;
  /** Everything that is held was told. */
  complete(): void;
  /** The relay refuses, is not there, does not answer in time, or does not keep to what it was asked. While it is read on it may still complete. */
  failed(why: string): void;
  /** Nothing more is told. Called once. */
  over(): void;
  /** Whether more waits for the reader than should. */
  isFull(): boolean;
  /** Resolves when it is not. */
  room(): Promise<void>;
};

export type ReaderSettings = {
  readonly url: string;
  /** The keys whose boxes are read. */
  readonly group: KeyGroup;
  readonly kinds: readonly number[];
  /** Whether to go on with what comes. */
  readonly isLive: boolean;
};

/** The kinds that dead drops hold. */
export const DROP_KINDS = [GIFT_WRAP, DIRECT_MESSAGE];

// Trying again shows a person another question, or reads again what was read: a relay that believes some of the keys and not others is read on meanwhile.
const MAX_SLOW_RETRY_SECONDS = 30 * 60;

/** Reads boxes from one relay to their end, and goes on with what comes if it `isLive`. Answers how to stop. */
export function readBoxes(
  pool: RelayPool,
  settings: ReaderSettings,
  listener: ReaderListener,
): () => void {
  const { url, group, isLive } = settings;
  const { addresses } = group;
  const connection = pool.forPickup(url, addresses[0] ?? "");
  // NIP-RK: nobody sends kind 4 to a receiving key.
  const kinds = settings.kinds.filter((kind) => kind !== DIRECT_MESSAGE || !group.isReceiving);
  const boxes = { kinds, "#p": addresses };
  let isOver = false;
  let tries = 0;
  // When a pickup gives up on a refusal that passes; milliseconds.
  let until: number | undefined;
  let stopPages: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function begin(): void {
    if (isOver) return;
    stopPages = readPages(connection, boxes, pool, {
      event: (event) => listener.event(event),
      reading: () => listener.reading(),
      complete() {
        const refusals = refused();
        // A relay leaves out the boxes of keys that it does not believe, and says that it is finished.
        if (refusals.length > 0) return trouble(causeOf(refusals), retrySlowly());
        clearTimeout(timer);
        tries = 0;
        until = undefined;
        listener.complete();
        if (!isLive) stop();
      },
      lost(why) {
        if (isLive) listener.failed(why);
      },
      silent() {
        const why = connection.isOpen ? "no answer" : connection.failure;
        // The connection goes on trying by itself where there is none.
        if (isLive && !connection.isOpen) listener.failed(why);
        else trouble(why, retry());
      },
      ended(why) {
        const refusals = refused();
        const isPersons = refusals.some(({ by }) => by === "signer");
        const cause = refusals.length > 0 ? causeOf(refusals) : why;
        trouble(cause, isPersons ? retrySlowly() : retry(), passesSoon(cause));
      },
      isFull: () => listener.isFull(),
      room: () => listener.room(),
    });
  }

  // `seconds`: how long to wait before it is tried again.
  function trouble(why: string, seconds: number, mayWait = false): void {
    listener.failed(why);
    until ??= performance.now() + pool.patienceSeconds * 1_000;
    const isInTime = performance.now() + seconds * 1_000 < until;
    if (pool.isClosed || !(isLive || (mayWait && isInTime))) return stop();
    tries += 1;
    clearTimeout(timer);
    timer = setTimeout(again, seconds * 1_000);
  }

  function again(): void {
    stopPages?.();
    // Only on a new connection does a relay ask once more who one is.
    if (refused().length > 0) connection.renew();
    begin();
  }

  function retry(): number {
    return backoffSeconds(pool.retrySeconds, tries, MAX_RETRY_SECONDS, pool.runtime);
  }

  function retrySlowly(): number {
    return backoffSeconds(MAX_RETRY_SECONDS, tries, MAX_SLOW_RETRY_SECONDS, pool.runtime);
  }

  function refused(): Refusal[] {
    return addresses.flatMap((key) => connection.refusalOf(key) ?? []);
  }

  function causeOf([first, ...more]: readonly Refusal[]): string {
    const which = addresses.length === 1 ? "" : `${1 + more.length} of ${addresses.length} keys: `;
    const who = first?.by === "signer" ? "the signer did not sign" : "the relay refused the key";
    return `${which}${who}: ${first?.why}`;
  }

  function stop(): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    stopPages?.();
    listener.over();
  }

  begin();
  return stop;
}
