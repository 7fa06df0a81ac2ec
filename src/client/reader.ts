import type { NostrEvent } from "../nostr/event.ts";
import type { Filter, Link } from "./link.ts";

/** What a reader tells of one relay. */
export type ReaderEvents = {
  event(event: NostrEvent): void;
  /** Everything that is held was told. Called again after a reconnection. */
  complete(): void;
  /** The relay refuses, or does not answer in time; in the second case a reader that goes on may still complete. */
  failed(why: string): void;
  /** Resolves when another page may come. */
  room(): Promise<void>;
};

export type ReaderSettings = {
  readonly kinds: readonly number[];
  /** The keys whose boxes are read; the link is authenticated with them. */
  readonly addresses: readonly string[];
  /** Whether to go on with what comes. */
  readonly isLive: boolean;
  readonly patienceSeconds: number;
};

/** Drops asked for in one go: what waits for its reader is at most so many of each relay, and what comes live. */
export const PAGE_DROPS = 500;
// Where so many drops share one second, and a relay gives no more at once, the rest of that second cannot be reached.
const MAX_PAGE_DROPS = 5_000;

/**
 * Reads boxes from one relay to their end, page by page, and goes on with what comes. NIP-67's hints say where the end is; without them it is where a page
 * brings nothing new. Asks without `since`: what a relay holds is what was not acknowledged. Answers how to stop.
 */
export function readBoxes(link: Link, settings: ReaderSettings, told: ReaderEvents): () => void {
  const base = { kinds: settings.kinds, "#p": settings.addresses };
  const seen = new Set<string>();
  let isOver = false;
  let stopPage: (() => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function expect(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      told.failed(link.failure);
      if (!settings.isLive) stop();
    }, settings.patienceSeconds * 1_000);
  }

  // One page: its events, and what follows from the hint at its end.
  function page(filter: Filter, limit: number): Parameters<Link["subscribe"]>[1] {
    let oldest = Infinity;
    let came = 0;
    let news = 0;
    return {
      event(event) {
        if (isOver) return;
        if (timer !== undefined) expect();
        came += 1;
        oldest = Math.min(oldest, event.created_at);
        if (seen.has(event.id)) return;
        seen.add(event.id);
        news += 1;
        told.event(event);
      },
      stored(hint) {
        if (isOver) return;
        clearTimeout(timer);
        timer = undefined;
        const isEnd = hint === "finish" || came === 0 || (hint === undefined && news === 0);
        if (isEnd) complete();
        else void next(filter, limit, oldest, news);
        came = news = 0;
        oldest = Infinity;
      },
      closed(reason) {
        if (isOver) return;
        told.failed(reason);
        stop();
      },
    };
  }

  async function next(filter: Filter, limit: number, oldest: number, news: number): Promise<void> {
    await told.room();
    if (isOver) return;
    // `until` includes its second, so that no drop of it is missed; a page with nothing else in it is asked for again, larger, or else left behind.
    const isStuck = news === 0;
    const isLargest = limit >= MAX_PAGE_DROPS;
    const until = isStuck && isLargest ? oldest - 1 : oldest;
    const more = isStuck && !isLargest ? Math.min(limit * 2, MAX_PAGE_DROPS) : limit;
    const following = { ...filter, until };
    stopPage?.();
    expect();
    stopPage = link.subscribe([{ ...following, limit: more }], page(following, more));
  }

  function complete(): void {
    stopPage?.();
    // What a page brings is compared with the pages before it, and after a reconnection all begins anew.
    seen.clear();
    told.complete();
    if (!settings.isLive) stop();
  }

  function stop(): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    stopPage?.();
    stopFirst();
  }

  expect();
  const stopFirst = link.subscribe([{ ...base, limit: PAGE_DROPS }], page(base, PAGE_DROPS));
  return stop;
}
