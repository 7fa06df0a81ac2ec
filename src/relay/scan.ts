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
  /** Lets the event loop have its turn. Asked for whenever a scan has held it for `TURN_MS`. */
  readonly pause: () => Promise<void>;
};

/** The drops to send, newest first, and whether there are more that match (NIP-67). */
export type Found = { readonly headers: readonly Header[]; readonly more: boolean };

// Keys read in one go, about half a millisecond.
const PAGE = 1_000;
const TURN_MS = 4;

/** Finds, without reading them, the stored drops that match any of the filters. */
export async function scan(
  store: Store,
  filters: readonly ScopedFilter[],
  settings: ScanSettings,
): Promise<Found> {
  let isCutShort = false;
  const bySeq = new Map<number, Header>();
  const turn = new Turn(settings);
  for (const scoped of filters) {
    const limit = Math.min(scoped.filter.limit ?? settings.maxLimit, settings.maxLimit);
    const found = await scanFilter(store, scoped, limit, settings, turn);
    isCutShort ||= found.length > limit;
    for (const header of found.slice(0, limit)) bySeq.set(header.seq, header);
  }
  const headers = [...bySeq.values()];
  if (filters.length === 1) return { headers, more: isCutShort };
  // What the limit of one filter left out, another may have found.
  const more = isCutShort && (await countMatches(store, filters, settings)) > headers.length;
  return { headers: headers.sort(newestFirst), more };
}

/** How many stored drops match any of the filters. `limit` is no condition and does not bound the count (NIP-45). */
export async function countMatches(
  store: Store,
  filters: readonly ScopedFilter[],
  settings: ScanSettings,
): Promise<number> {
  let count = 0;
  const turn = new Turn(settings);
  const all = filters.map(({ filter, recipients }) => ({
    recipients,
    matches: headerMatcher(filter, settings),
  }));
  for (const recipient of new Set(filters.flatMap(({ recipients }) => [...recipients]))) {
    const asked = all.filter(({ recipients }) => recipients.has(recipient));
    for await (const page of pages(store, recipient, {}, turn, undefined)) {
      for (const header of page) {
        if (turn.isOver) await turn.next();
        const event = eventOf(store, header);
        if (asked.some(({ matches }) => matches(header, event))) count += 1;
      }
    }
  }
  return count;
}

// The newest `limit` matches of one filter, and one more if there is one: so the caller knows.
async function scanFilter(
  store: Store,
  { filter, recipients }: ScopedFilter,
  limit: number,
  settings: ScanSettings,
  turn: Turn,
): Promise<Header[]> {
  const matches = headerMatcher(filter, settings);
  let found: Header[] = [];
  const keepNewest = (): void => {
    if (recipients.size > 1) found.sort(newestFirst);
    found = found.slice(0, limit + 1);
  };
  for (const recipient of recipients) {
    let fromThisBox = 0;
    for await (const page of pages(store, recipient, filter, turn, settings.after)) {
      for (const header of page) {
        if (fromThisBox > limit) break;
        if (turn.isOver) await turn.next();
        if (!matches(header, eventOf(store, header))) continue;
        found.push(header);
        fromThisBox += 1;
      }
      if (fromThisBox > limit) break;
    }
    if (found.length > 2 * limit) keepNewest();
  }
  keepNewest();
  return found;
}

/** How long a scan has held the event loop. */
export class Turn {
  readonly #settings: Pick<ScanSettings, "isGivenUp" | "pause">;
  #began = performance.now();

  constructor(settings: Pick<ScanSettings, "isGivenUp" | "pause">) {
    this.#settings = settings;
  }

  get isGivenUp(): boolean {
    return this.#settings.isGivenUp();
  }

  get isOver(): boolean {
    return performance.now() - this.#began > TURN_MS;
  }

  /** Time that passes until what this answers is called is not this scan's: others have the event loop. */
  wait(): () => void {
    const since = performance.now();
    return () => {
      this.#began += performance.now() - since;
    };
  }

  async next(): Promise<void> {
    await this.#settings.pause();
    this.#began = performance.now();
  }
}

/** What a box holds, newest first. The event loop has its turn in between, also when there are many boxes with little in them. */
export async function* pages(
  store: Store,
  recipient: string,
  { since, until }: Pick<Filter, "since" | "until">,
  turn: Turn,
  from: Place | undefined,
): AsyncGenerator<Header[]> {
  let after: Place | undefined = from;
  while (!turn.isGivenUp) {
    if (turn.isOver) await turn.next();
    const listing = store.list(recipient, { since, until, after }, PAGE);
    const waited = turn.wait();
    const page = await listing;
    waited();
    yield page;
    after = page.at(-1);
    if (page.length < PAGE) return;
  }
}

type StoredEvent = () => NostrEvent | undefined;

/** Read and parsed when a filter asks for more than the header tells, and once for all filters. */
export function eventOf(store: Store, header: Header): StoredEvent {
  let event: NostrEvent | undefined;
  let isRead = false;
  return () => {
    if (!isRead) {
      const [json] = store.read([header]);
      event = json === undefined ? undefined : (JSON.parse(json) as NostrEvent);
      isRead = true;
    }
    return event;
  };
}

export function headerMatcher(
  filter: Filter,
  { now, watermark }: Pick<ScanSettings, "now" | "watermark">,
): (header: Header, event: StoredEvent) => boolean {
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
