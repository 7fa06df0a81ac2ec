import type { Filter } from "../../src/nostr/filter.ts";
import type { Held } from "./small-boxes.ts";

/** Whether a filter has conditions of time and no others. */
export function isTimeAlone({ ids, authors, kinds, tags, since, until }: Filter): boolean {
  const isTimed = since !== undefined || until !== undefined;
  return isTimed && tags.size === 0 && [ids, authors, kinds].every((list) => list === undefined);
}

/** A filter in which the beginning of an id or a key stands for those that a relay holds. */
export function completed(filter: unknown, held: readonly Held[]): unknown {
  const known: Record<string, readonly string[]> = {
    ids: held.map(({ event }) => event.id),
    authors: held.map(({ event }) => event.pubkey),
    "#p": held.map(({ recipient }) => recipient),
  };
  const fields = Object.entries(Object(filter) as object).map(([name, list]) => {
    const whole = known[name];
    if (whole === undefined || !Array.isArray(list)) return [name, list];
    const meant = list.map((start) => whole.filter((one) => one.startsWith(String(start))));
    return [name, meant.flatMap((found, n) => (found.length > 0 ? found : [list[n]]))];
  });
  return Object.fromEntries(fields);
}

/** Whether filters can match no drop: each names other kinds than drops, or has an empty list. */
export function matchesNothing(filters: readonly unknown[]): boolean {
  return filters.every((given) =>
    Object.entries(Object(given) as Record<string, unknown>).some(
      ([name, list]) =>
        Array.isArray(list) &&
        (list.length === 0 ||
          (name === "kinds" && !list.some((kind) => [4, 1059, 21_059].includes(Number(kind))))),
    ),
  );
}
