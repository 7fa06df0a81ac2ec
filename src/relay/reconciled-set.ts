// The drops that a reconciliation is about: what a REQ with its filter finds, in Negentropy's order, with their whole ids.

import { peekId } from "../nostr/event.ts";
import { RecordSet } from "../nostr/negentropy.ts";
import { type Header, newestFirst, type Store } from "../store/store.ts";
import type { ScopedFilter } from "./gate.ts";
import { eventOf, headerMatcher, pages, type ScanSettings, Turn } from "./scan.ts";

// Drops read in one go, under half a millisecond.
const READ_AT_ONCE = 100;

/**
 * The stored drops that match, of which a filter's `limit` keeps the newest, as in a REQ. Undefined when they are more than `settings.maxLimit`, or when
 * nobody waits for them any more.
 */
export async function reconciledSet(
  store: Store,
  scoped: ScopedFilter,
  settings: ScanSettings,
): Promise<RecordSet | undefined> {
  const turn = new Turn(settings);
  const found = await matching(store, scoped, settings, turn);
  if (found.length > settings.maxLimit || turn.isGivenUp) return undefined;
  const ordered = oldestFirst(found);
  const set = new RecordSet(ordered.length);
  for (let next = 0; next < ordered.length; next += READ_AT_ONCE) {
    if (turn.isOver) await turn.next();
    if (turn.isGivenUp) return undefined;
    const headers = ordered.slice(next, next + READ_AT_ONCE);
    const jsons = store.read(headers);
    for (const [at, { created_at }] of headers.entries()) {
      // What was acknowledged meanwhile is gone.
      const id = jsons[at] === undefined ? undefined : peekId(jsons[at]);
      if (id !== undefined) set.add(created_at, id);
    }
  }
  return set;
}

// Newest first: up to the filter's `limit`, or one more than may be reconciled.
async function matching(
  store: Store,
  { filter, recipients }: ScopedFilter,
  settings: ScanSettings,
  turn: Turn,
): Promise<readonly Header[]> {
  const matches = headerMatcher(filter, settings);
  const most = Math.min(filter.limit ?? Infinity, settings.maxLimit + 1);
  let found: readonly Header[] = [];
  for (const recipient of recipients) {
    const box: Header[] = [];
    for await (const page of pages(store, recipient, filter, turn, undefined)) {
      for (const header of page) {
        if (box.length >= most) break;
        if (turn.isOver) await turn.next();
        if (matches(header, eventOf(store, header))) box.push(header);
      }
      if (box.length >= most) break;
    }
    found = merged(found, box, most);
  }
  return found;
}

// The first `most` of both. Sorting them all would hold the event loop for longer than a turn.
function merged(a: readonly Header[], b: readonly Header[], most: number): readonly Header[] {
  if (a.length === 0) return b;
  const all: Header[] = [];
  let [nextA, nextB] = [0, 0];
  while (all.length < most) {
    const [first, second] = [a[nextA], b[nextB]];
    if (first === undefined && second === undefined) break;
    const isFirst = second === undefined || (first !== undefined && newestFirst(first, second) < 0);
    const header = isFirst ? first : second;
    if (header !== undefined) all.push(header);
    if (isFirst) nextA += 1;
    else nextB += 1;
  }
  return all;
}

// NIP-01 turns the order of the times around, but not that of the ids of one second.
function oldestFirst(headers: readonly Header[]): Header[] {
  const turned: Header[] = [];
  for (let end = headers.length; end > 0;) {
    const time = headers[end - 1]?.created_at;
    let start = end - 1;
    while (start > 0 && headers[start - 1]?.created_at === time) start -= 1;
    for (const header of headers.slice(start, end)) turned.push(header);
    end = start;
  }
  return turned;
}
