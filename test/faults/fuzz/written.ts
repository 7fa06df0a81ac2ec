// What was read, written once more as a client would: read again, it must be the same.

import type { Filter } from "../../../src/nostr/filter.ts";

export function wireFilter({ tags, ids, authors, kinds, ...numbers }: Filter): object {
  return {
    ...(ids && { ids: [...ids] }),
    ...(authors && { authors: [...authors] }),
    ...(kinds && { kinds: [...kinds] }),
    ...Object.fromEntries([...tags].map(([letter, values]) => [`#${letter}`, [...values]])),
    ...numbers,
  };
}

/** The same text for the same, whatever the order of its fields; sets and maps among it. */
export function plain(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Set || part instanceof Map)
      return [...(part as Iterable<unknown>)].map(plain).sort();
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1));
  });
}
