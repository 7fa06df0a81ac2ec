import type { NostrEvent } from "../nostr/event.ts";
import { DIRECT_MESSAGE, GIFT_WRAP } from "../nostr/kinds.ts";
import type { Filter, SubscriptionListener } from "./relay-connection.ts";
import type { KeyGroup, RelayPool } from "./relay-pool.ts";

/** What a reader tells of one relay. */
export type ReaderListener = {
  event(event: NostrEvent): void;
  /** Everything that is held was told. Called again after a reconnection. */
  complete(): void;
  /** The relay refuses, does not answer in time, or does not keep to what it was asked. While it goes on reading it may still complete. */
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

/** Drops asked for in one go. */
const PAGE_DROPS = 500;
// Where so many drops share one second, and a relay gives no more at once, the rest of that second cannot be reached.
const MAX_PAGE_DROPS = 5_000;
// More than this no box holds, and no relay gives it in so many pieces: one that goes on makes it up.
const MAX_BOX_DROPS = 200_000;
const MAX_PAGES = 2_000;
const NOT_ASKED_FOR = "the relay sends what it was not asked for";

/**
 * Reads boxes from one relay to their end, page by page, and goes on with what comes. NIP-67's hints say where the end is; without them it is where a page
 * is empty. Asks without `since`: what a relay holds is what was not acknowledged. Answers how to stop.
 */
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
  const base = { kinds, "#p": addresses };
  const seen = new Set<string>();
  let isOver = false;
  let pages = 0;
  let stopFirst: (() => void) | undefined;
  let stopPage: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function expect(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // As many keys as one has take their time.
      if (connection.isAuthenticating) return expect();
      listener.failed(connection.failure);
      if (!isLive) stop();
    }, pool.patienceSeconds * 1_000);
  }

  function begin(): void {
    if (isOver) return;
    expect();
    stopFirst = connection.subscribe(
      [{ ...base, limit: PAGE_DROPS }],
      page(base, PAGE_DROPS, Infinity),
    );
  }

  // One page, of drops up to `until`, and what follows from its end. The first page is followed by what comes.
  function page(filter: Filter, limit: number, until: number): SubscriptionListener {
    const isFirst = until === Infinity;
    let beforeEose = true;
    let oldest = Infinity;
    let came = 0;
    let news = 0;
    return {
      requested() {
        beforeEose = true;
        oldest = Infinity;
        came = news = 0;
        expect();
        if (!isFirst) return;
        // A new connection sends everything again, whatever was read before.
        stopPage?.();
        seen.clear();
        pages = 0;
      },
      event(event) {
        if (isOver) return;
        if (!beforeEose) return listener.isFull() ? pause() : listener.event(event);
        expect();
        came += 1;
        oldest = Math.min(oldest, event.created_at);
        if (came > limit || event.created_at > until || seen.size >= MAX_BOX_DROPS) {
          return fail(NOT_ASKED_FOR);
        }
        if (seen.has(event.id)) return;
        seen.add(event.id);
        news += 1;
        listener.event(event);
      },
      eose(hint) {
        if (isOver || !beforeEose) return;
        beforeEose = false;
        clearTimeout(timer);
        if (hint === "finish" || came === 0) complete();
        else void next(filter, limit, oldest, news);
      },
      closed: ended,
    };
  }

  async function next(filter: Filter, limit: number, oldest: number, news: number): Promise<void> {
    await listener.room();
    if (isOver) return;
    pages += 1;
    if (pages > MAX_PAGES) return fail(NOT_ASKED_FOR);
    // `until` includes its second, so that no drop of it is missed; a page with nothing else in it is asked for again, larger, or else left behind.
    const isStuck = news === 0;
    const isLargest = limit >= MAX_PAGE_DROPS;
    const until = isStuck && isLargest ? oldest - 1 : oldest;
    const more = isStuck && !isLargest ? Math.min(limit * 2, MAX_PAGE_DROPS) : limit;
    const following = { ...filter, until };
    stopPage?.();
    expect();
    stopPage = connection.subscribe([{ ...following, limit: more }], page(following, more, until));
  }

  function complete(): void {
    stopPage?.();
    seen.clear();
    const refusals = addresses.flatMap((key) => connection.refusalOf(key) ?? []);
    // A relay leaves out the boxes of keys that it does not believe, and says that it is finished.
    if (refusals.length > 0) {
      listener.failed(`${refusals.length} keys are not authenticated: ${refusals[0]}`);
    } else listener.complete();
    if (!isLive) stop();
  }

  // The reader does not keep up with what comes. It stays where it is, and is asked for again.
  function pause(): void {
    stopFirst?.();
    stopPage?.();
    clearTimeout(timer);
    void listener.room().then(begin);
  }

  function ended(reason: string): void {
    if (isOver) return;
    const isPassing = /^(error|rate-limited):/.test(reason);
    if (!isLive || !isPassing) return fail(reason);
    listener.failed(reason);
    stopFirst?.();
    stopPage?.();
    clearTimeout(timer);
    timer = setTimeout(begin, pool.retrySeconds * 1_000);
  }

  function fail(why: string): void {
    listener.failed(why);
    stop();
  }

  function stop(): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    stopPage?.();
    stopFirst?.();
    listener.over();
  }

  begin();
  return stop;
}
