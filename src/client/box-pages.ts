import type { NostrEvent } from "../nostr/event.ts";
import { hasOwnId } from "./genuine.ts";
import type { Filter, RelayConnection, SubscriptionListener } from "./relay-connection.ts";

export type BoxPagesListener = {
  /** A drop whose id is its own. More than once, if the relay sends it more than once. */
  event(event: NostrEvent): void;
  /** The relay is asked for everything: at first, and after each reconnection. */
  reading(): void;
  /** Everything that is held was told. What comes follows. */
  complete(): void;
  /** The relay is not there, or not any more. It is tried again meanwhile. */
  lost(why: string): void;
  /** Nothing came for as long as a relay may take. It may come yet. */
  silent(): void;
  /** The relay refuses, or does not keep to what it was asked. Called once; nothing is called after it. */
  ended(why: string): void;
  /** Whether more waits for the reader than should. */
  isFull(): boolean;
  /** Resolves when it is not. */
  room(): Promise<void>;
};

/** Drops asked for in one go. */
const PAGE_DROPS = 500;
// Where so many drops share one second, and a relay gives no more at once, the rest of that second cannot be reached.
const MAX_PAGE_DROPS = 5_000;
// More than this no box holds, and no relay gives it in so many pieces: one that goes on makes it up.
const MAX_BOX_DROPS = 200_000;
const MAX_PAGES = 2_000;
const NOT_ASKED_FOR = "the relay sends what it was not asked for";

/**
 * Reads boxes over one connection to their end, page by page, and goes on with what comes. NIP-67's hints say where the end is; without them it is where a page
 * is empty. `filter` names the boxes, without `since`: what a relay holds is what was not acknowledged. Answers how to stop.
 */
export function readPages(
  connection: RelayConnection,
  boxes: Filter,
  { patienceSeconds }: { readonly patienceSeconds: number },
  listener: BoxPagesListener,
): () => void {
  // Of the pages since the last reconnection: to know a page that brings nothing new.
  const seen = new Set<string>();
  let isOver = false;
  let pages = 0;
  let round = 0;
  let stopFirst: (() => void) | undefined;
  let stopPage: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function expect(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      // As many keys as one has take their time, and so do those who sign.
      if (connection.isAuthenticating) expect();
      else listener.silent();
    }, patienceSeconds * 1_000);
  }

  function begin(): void {
    if (isOver) return;
    expect();
    stopFirst = connection.subscribe(
      [{ ...boxes, limit: PAGE_DROPS }],
      page(boxes, PAGE_DROPS, Infinity),
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
        round += 1;
        listener.reading();
      },
      lost(why) {
        if (isFirst && !isOver) listener.lost(why);
      },
      event(event) {
        if (isOver) return;
        // By a wrong one a relay could hide the drop whose it is.
        const isOwn = hasOwnId(event);
        if (!beforeEose) {
          if (listener.isFull()) pause();
          else if (isOwn) listener.event(event);
          return;
        }
        expect();
        came += 1;
        oldest = Math.min(oldest, event.created_at);
        if (came > limit || event.created_at > until || seen.size >= MAX_BOX_DROPS) {
          return end(NOT_ASKED_FOR);
        }
        if (!isOwn) return;
        if (!seen.has(event.id)) news += 1;
        seen.add(event.id);
        listener.event(event);
      },
      eose(hint) {
        if (isOver || !beforeEose) return;
        beforeEose = false;
        clearTimeout(timer);
        if (hint === "finish" || came === 0) complete();
        else void next(filter, limit, oldest, news);
      },
      closed: end,
    };
  }

  async function next(filter: Filter, limit: number, oldest: number, news: number): Promise<void> {
    const own = round;
    await listener.room();
    // Meanwhile the connection may have broken, and everything begun anew.
    if (isOver || round !== own) return;
    pages += 1;
    if (pages > MAX_PAGES) return end(NOT_ASKED_FOR);
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
    listener.complete();
  }

  // The reader does not keep up with what comes. It stays where it is, and is asked for again.
  function pause(): void {
    unsubscribe();
    void listener.room().then(begin);
  }

  function end(why: string): void {
    if (isOver) return;
    stop();
    listener.ended(why);
  }

  function unsubscribe(): void {
    clearTimeout(timer);
    stopPage?.();
    stopFirst?.();
  }

  function stop(): void {
    isOver = true;
    unsubscribe();
  }

  begin();
  return stop;
}
