import type { NostrEvent } from "./event.ts";
import { isHex32 } from "./hex.ts";
import type { Reason } from "./reason.ts";

/** A filter (NIP-01), its lists as sets. `tags` is keyed by the letter alone, without `#`. */
export type Filter = {
  readonly ids?: ReadonlySet<string>;
  readonly authors?: ReadonlySet<string>;
  readonly kinds?: ReadonlySet<number>;
  readonly tags: ReadonlyMap<string, ReadonlySet<string>>;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
};

const TAG_FIELD = /^#[a-zA-Z]$/;
const HEX_TAGS = new Set(["#e", "#p"]);

/**
 * Takes what JSON.parse made of a filter and answers the filter, or why it is none.
 * A field that NIP-01 does not name is refused and not skipped: skipping a condition would return more than was asked for.
 */
export function parseFilter(value: unknown, maxValues: number): Filter | Reason {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return "invalid: a filter is a JSON object";
  }
  const filter: {
    -readonly [Field in keyof Filter]?: Filter[Field];
  } & { tags: Map<string, ReadonlySet<string>> } = { tags: new Map() };
  for (const [field, given] of Object.entries(value)) {
    if (field === "ids" || field === "authors") {
      const list = listOf(given, isHex32, maxValues);
      if (typeof list === "string") return `invalid: ${field} ${list || HEX_LIST}`;
      filter[field] = list;
    } else if (field === "kinds") {
      const list = listOf(given, isWholeNumber, maxValues);
      if (typeof list === "string") return `invalid: kinds ${list || "must be whole numbers"}`;
      filter.kinds = list;
    } else if (field === "since" || field === "until" || field === "limit") {
      if (!isUnsigned(given)) return `invalid: ${field} must be a whole number`;
      filter[field] = given;
    } else if (TAG_FIELD.test(field)) {
      const list = listOf(given, HEX_TAGS.has(field) ? isHex32 : isString, maxValues);
      if (typeof list === "string") {
        return `invalid: ${field} ${list || (HEX_TAGS.has(field) ? HEX_LIST : "must be strings")}`;
      }
      filter.tags.set(field.slice(1), list);
    } else {
      return `unsupported: filter has the unknown field ${JSON.stringify(field.slice(0, 32))}`;
    }
  }
  return filter;
}

/** Whether no event can match: one of the lists is empty. */
export function matchesNothing({ ids, authors, kinds, tags }: Filter): boolean {
  return [ids, authors, kinds, ...tags.values()].some((list) => list?.size === 0);
}

/** Whether the event matches every condition of the filter. `limit` is no condition: it bounds the stored events of a REQ alone (NIP-01). */
export function matchFilter(filter: Filter, event: NostrEvent): boolean {
  if (filter.ids?.has(event.id) === false) return false;
  if (filter.kinds?.has(event.kind) === false) return false;
  if (filter.authors?.has(event.pubkey) === false) return false;
  if (filter.since !== undefined && event.created_at < filter.since) return false;
  if (filter.until !== undefined && event.created_at > filter.until) return false;
  for (const [letter, values] of filter.tags) {
    const has = event.tags.some(
      ([name, value]) => name === letter && value !== undefined && values.has(value),
    );
    if (!has) return false;
  }
  return true;
}

const HEX_LIST = "must be 64 lowercase hex digits each";

// Answers the set, or what is wrong with the list: its own sentence, or "" for a value that `isValue` refuses.
function listOf<T>(
  list: unknown,
  isValue: (value: unknown) => value is T,
  maxValues: number,
): Set<T> | string {
  if (!Array.isArray(list)) return "must be a list";
  if (list.length > maxValues) return `has ${list.length} values, the limit is ${maxValues}`;
  const values = new Set<T>();
  for (const value of list) {
    if (!isValue(value)) return "";
    values.add(value);
  }
  return values;
}

function isWholeNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

// Some clients write the largest number of 64 bits for "no end". JSON's numbers have no end.
function isUnsigned(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 2 ** 64;
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}
