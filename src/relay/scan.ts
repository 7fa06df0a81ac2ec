import type { NostrEvent } from "../nostr/event.ts";
import { type Filter, matchFilter } from "../nostr/filter.ts";
import {
  type Header,
  ID_PREFIX_DIGITS,
  newestFirst,
  type Place,
  type Store,
} from "../store/store.ts";
import type { ScopedFilter } from "./gate.ts";
import type { Turn } from "./turns.ts";

export type ScanSettings = {
  /** Unix seconds: what expired by then is not found. */
  readonly now: () => number;
  /** Drops committed later are left to live delivery. */
  readonly watermark: number;
  /** The most drops one filter finds. */
  readonly maxLimit: number;
  /** Of its box only what comes after this drop in NIP-01's order. Given for a single box. */
  readonly after?: Place | undefined;
  /** Asked now and then: true when nobody waits for what is found any more. */
  readonly isGivenUp: () => boolean;
  readonly turn: Turn;
};

/** The drops to send, newest first, and whether there are more that match (NIP-67). */
export type Found = { readonly headers: readonly Header[]; readonly more: boolean };

// Keys read in one go, about half a millisecond.
const PAGE = 1_000;

/** One filter, and what was found for it: the newest `limit`, and one more if there is one. */
type Asked = ScopedFilter & {
  readonly matches: Matcher;
  readonly limit: number;
  found: Header[];
  fromThisBox: number;
};

/** Finds, without reading them, the stored drops that match any of the filters. Each box is gone through once, whatever the number of filters. */
export async function scan(
  store: Store,
  filters: readonly ScopedFilter[],
  settings: ScanSettings,
): Promise<Found> {
  const asked = filters.map((scoped): Asked => {
    const limit = Math.min(scoped.filter.limit ?? settings.maxLimit, settings.maxLimit);
    const matches = headerMatcher(scoped.filter, settings);
    return { ...scoped, matches, limit, found: [], fromThisBox: 0 };
  });
  await settings.turn.begin();
  try {
    for (const recipient of boxesOf(filters)) {
      const here = asked.filter(({ recipients }) => recipients.has(recipient));
      await scanBox(store, recipient, here, settings);
    }
    for (const one of asked) keepNewest(one);
  } finally {
    settings.turn.pause();
  }
  const isCutShort = asked.some(({ found, limit }) => found.length > limit);
  const [first, second] = asked;
  if (first !== undefined && second === undefined) {
    return { headers: first.found.slice(0, first.limit), more: isCutShort };
  }
  const bySeq = new Map<number, Header>();
  for (const { found, limit } of asked) {
    for (const header of found.slice(0, limit)) bySeq.set(header.seq, header);
  }
  const headers = [...bySeq.values()].sort(newestFirst);
  // What the limit of one filter left out, another may have found.
  const more = isCutShort && (await countMatches(store, filters, settings)) > headers.length;
  return { headers, more };
}

/** How many stored drops match any of the filters. `limit` is no condition and does not bound the count (NIP-45). */
export async function countMatches(
  store: Store,
  filters: readonly ScopedFilter[],
  settings: ScanSettings,
): Promise<number> {
  let count = 0;
  const { turn } = settings;
  const all = filters.map(({ filter, recipients }) => ({
    recipients,
    matches: headerMatcher(filter, settings),
  }));
  await turn.begin();
  try {
    for (const recipient of boxesOf(filters)) {
      const asked = all.filter(({ recipients }) => recipients.has(recipient));
      for await (const page of pages(store, recipient, {}, settings)) {
        for (const header of page) {
          if (turn.isOver) await turn.next();
          const event = eventOf(store, header);
          if (asked.some(({ matches }) => matches(header, event))) count += 1;
        }
      }
    }
  } finally {
    turn.pause();
  }
  return count;
}

function boxesOf(filters: readonly ScopedFilter[]): ReadonlySet<string> {
  const [first, second] = filters;
  return first !== undefined && second === undefined
    ? first.recipients
    : new Set(filters.flatMap(({ recipients }) => [...recipients]));
}

async function scanBox(
  store: Store,
  recipient: string,
  asked: readonly Asked[],
  settings: ScanSettings,
): Promise<void> {
  const { turn } = settings;
  const [first, second] = asked;
  const window = first !== undefined && second === undefined ? first.filter : {};
  for (const one of asked) one.fromThisBox = 0;
  let looking = asked;
  pages: for await (const page of pages(store, recipient, window, settings)) {
    for (const header of page) {
      if (turn.isOver) await turn.next();
      const event = eventOf(store, header);
      let isFull = false;
      for (const one of looking) {
        if (!one.matches(header, event)) continue;
        one.found.push(header);
        one.fromThisBox += 1;
        isFull ||= one.fromThisBox > one.limit;
      }
      if (!isFull) continue;
      looking = looking.filter(({ fromThisBox, limit }) => fromThisBox <= limit);
      if (looking.length === 0) break pages;
    }
  }
  for (const one of asked) if (one.found.length > 2 * one.limit) keepNewest(one);
}

function keepNewest(one: Asked): void {
  if (one.recipients.size > 1) one.found.sort(newestFirst);
  one.found = one.found.slice(0, one.limit + 1);
}

// What a box holds, newest first. The event loop has its turn in between, also when there are many boxes with little in them.
async function* pages(
  store: Store,
  recipient: string,
  { since, until }: Pick<Filter, "since" | "until">,
  { turn, after: from, isGivenUp }: ScanSettings,
): AsyncGenerator<Header[]> {
  let after: Place | undefined = from;
  while (!isGivenUp()) {
    if (turn.isOver) await turn.next();
    const page = await turn.without(store.list(recipient, { since, until, after }, PAGE));
    yield page;
    after = page.at(-1);
    if (page.length < PAGE) return;
  }
}

type StoredEvent = () => NostrEvent | undefined;

// Read and parsed when a filter asks for more than the header tells, and once for all filters.
function eventOf(store: Store, header: Header): StoredEvent {
  let event: NostrEvent | undefined;
  let isRead = false;
  return () => {
    if (!isRead) {
      event = store.event(header);
      isRead = true;
    }
    return event;
  };
}

type Matcher = (header: Header, event: StoredEvent) => boolean;

function headerMatcher(filter: Filter, { now, watermark }: ScanSettings): Matcher {
  const prefixes =
    filter.ids && new Set([...filter.ids].map((id) => id.slice(0, ID_PREFIX_DIGITS)));
  // What the header does not tell stands in the event.
  const needsEvent = filter.authors !== undefined || filter.tags.size > 0;
  return (header, event) => {
    if (header.seq > watermark || header.expiry <= now()) return false;
    if (filter.since !== undefined && header.created_at < filter.since) return false;
    if (filter.until !== undefined && header.created_at > filter.until) return false;
    if (filter.kinds?.has(header.kind) === false) return false;
    if (prefixes?.has(header.idPrefix) === false) return false;
    if (!needsEvent) return true;
    const stored = event();
    return stored !== undefined && matchFilter(filter, stored);
  };
}
