import { peekId } from "../nostr/event.ts";
import { RecordSet } from "../nostr/record-set.ts";
import type { Header, Store } from "../store/store.ts";
import type { ScanSettings } from "./scan.ts";

// Drops read in one go, under half a millisecond.
const READ_AT_ONCE = 100;

/** Drops found by a scan in Negentropy's order, with the whole ids that stand in the drops. What was acknowledged since it was found is left out. */
export async function reconciledSet(
  store: Store,
  found: readonly Header[],
  { turn, isGivenUp }: Pick<ScanSettings, "turn" | "isGivenUp">,
): Promise<RecordSet> {
  const headers = oldestFirst(found);
  const set = new RecordSet(headers.length);
  await turn.begin();
  try {
    for (let next = 0; next < headers.length && !isGivenUp(); next += READ_AT_ONCE) {
      if (turn.isOver) await turn.next();
      const some = headers.slice(next, next + READ_AT_ONCE);
      for (const [at, json] of store.read(some).entries()) {
        const [id, time] = [json === undefined ? undefined : peekId(json), some[at]?.created_at];
        if (id !== undefined && time !== undefined) set.add(time, id);
      }
    }
  } finally {
    turn.pause();
  }
  return set;
}

// Negentropy's order turns that of the times around (NIP-01), but not that of the ids of one second.
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
