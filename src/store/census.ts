// How many boxes there are, what is in them, and how old the oldest drop is. Nothing is stored about that, and counting it as it changes would cost every drop
// something; so the entries of all boxes are gone through now and then, a millisecond at a time with rests in between. What changes meanwhile may be counted or not.

import { setTimeout as sleep } from "node:timers/promises";

import type { Boxes } from "./boxes.ts";
import { after, bytesIn, createdAtIn, firstFutureDay, isEntry, ownerOf } from "./layout.ts";
import { mustRead, type Tables } from "./tables.ts";

export type Census = {
  readonly boxes: number;
  /** Of the drops as JSON. */
  readonly bytes: number;
  /** The earliest `created_at` of a drop, undefined where none is held. */
  readonly oldest: number | undefined;
};

export type CensusParts = {
  readonly tables: Tables;
  readonly boxes: Pick<Boxes, "recent">;
  /** Whatever is read, is read in it. */
  readonly reading: <Found>(read: () => Found) => Found;
  readonly isGivenUp: () => boolean;
};

const ENTRIES_AT_ONCE = 1_000;
// Boxes of recent drops, each of which is looked for among the others.
const BOXES_AT_ONCE = 200;
// Between two pieces of about a millisecond: a twentieth of an event loop.
const REST_MS = 20;
const MOST_EXPIRED = 10_000;
const DAY_SECONDS = 24 * 60 * 60;

/** Goes through all boxes. Resolves early, to less than there is, when it is given up. */
export async function takeCensus(parts: CensusParts): Promise<Census> {
  const { tables, reading, isGivenUp } = parts;
  const census = { boxes: 0, bytes: 0, oldest: Infinity };
  let start: Buffer | undefined;
  let owner: Buffer | undefined;
  do {
    const page = reading(() => {
      mustRead(tables);
      return [...tables.boxes.getRange({ ...(start && { start }), limit: ENTRIES_AT_ONCE })];
    });
    for (const entry of page) {
      if (!isEntry(entry)) continue;
      const whose = ownerOf(entry.key);
      if (owner === undefined || !whose.equals(owner)) census.boxes += 1;
      owner = whose;
      census.bytes += bytesIn(entry.value);
      census.oldest = Math.min(census.oldest, createdAtIn(entry.key));
    }
    const last = page.at(-1);
    start = last && page.length === ENTRIES_AT_ONCE ? after(last.key) : undefined;
    if (start !== undefined) await sleep(REST_MS);
  } while (start !== undefined && !isGivenUp());

  let looked = 0;
  for (const [recipient, headers] of parts.boxes.recent()) {
    for (const { bytes, created_at } of headers) {
      census.bytes += bytes;
      census.oldest = Math.min(census.oldest, created_at);
    }
    const range = { ...tables.keys.boxRange(recipient), limit: 1 };
    const isCounted = reading(() => [...tables.boxes.getKeys(range)].length > 0);
    if (!isCounted) census.boxes += 1;
    if (++looked % BOXES_AT_ONCE > 0) continue;
    await sleep(REST_MS);
    if (isGivenUp()) break;
  }
  const { oldest } = census;
  return { ...census, oldest: oldest === Infinity ? undefined : oldest };
}

/** Drops of days that are over that lie on disk, as far as they are counted. */
export function expiredDrops(tables: Pick<Tables, "meta" | "expiries">, now: number): number {
  mustRead(tables);
  const end = firstFutureDay(now - DAY_SECONDS);
  return tables.expiries.getKeysCount({ end, limit: MOST_EXPIRED });
}
