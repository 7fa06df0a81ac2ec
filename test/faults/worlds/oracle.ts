// What a relay shows to whom, in the plainest words there are: lists that are searched from one end to the other.

import { passes, type PlainEvent, type PlainFilter } from "../fuzz/nip01.ts";
import { inOrder } from "../../support/events.ts";

/** Kinds of drops. */
const ADDRESSED = [4, 1059, 21059];

export function recipientOf(event: PlainEvent): string {
  return event.tags.find(([name]) => name === "p")?.[1] ?? "";
}

function isAboutNothing(filter: PlainFilter): boolean {
  const kinds = filter["kinds"] as number[] | undefined;
  if (kinds?.every((kind) => !ADDRESSED.includes(kind)) === true) return true;
  return Object.values(filter).some((list) => Array.isArray(list) && list.length === 0);
}

function isForeign(filter: PlainFilter, keys: readonly string[]): boolean {
  const named = filter["#p"] as string[] | undefined;
  return !isAboutNothing(filter) && named?.every((key) => !keys.includes(key)) === true;
}

/** What is refused before anything is looked at. */
export function refusal(
  filters: readonly PlainFilter[],
  keys: readonly string[],
): string | undefined {
  if (keys.length === 0) {
    if (filters.every((filter) => isAboutNothing(filter))) return undefined;
    return "auth-required: drops are shown to their recipient only";
  }
  const asking = filters.filter((filter) => !isAboutNothing(filter));
  if (asking.length === 0 || asking.some((filter) => !isForeign(filter, keys))) return undefined;
  return "restricted: that is not your box";
}

/** Of some events those that whoever has these keys may be shown, and asked for. */
export function shown(
  events: readonly PlainEvent[],
  filters: readonly PlainFilter[],
  keys: readonly string[],
): PlainEvent[] {
  if (refusal(filters, keys) !== undefined) return [];
  return events.filter(
    (event) => keys.includes(recipientOf(event)) && filters.some((filter) => passes(event, filter)),
  );
}

/** What a REQ brings of what is held, in its order, and whether that is all there is (NIP-67). */
export function request(
  held: readonly PlainEvent[],
  filters: readonly PlainFilter[],
  keys: readonly string[],
): { ids: string[]; end: unknown } {
  const refused = refusal(filters, keys);
  if (refused !== undefined) return { ids: [], end: refused };
  const brought = new Set<PlainEvent>();
  for (const filter of filters) {
    const matches = inOrder(shown(held, [filter], keys));
    const limit = filter["limit"] as number | undefined;
    for (const event of matches.slice(0, limit ?? matches.length)) brought.add(event);
  }
  const isAll = shown(held, filters, keys).every((event) => brought.has(event));
  return {
    ids: inOrder([...brought]).map(({ id }) => id),
    end: [isAll ? "finish" : "more"],
  };
}
