// A second reading of NIP-01, written from its text and from nothing of ours. It is plain, slow, and knows no limits but the NIP's own.

import { createHash } from "node:crypto";

export type PlainEvent = {
  id: string;
  pubkey: string;
  created_at: number;
  kind: number;
  tags: string[][];
  content: string;
  sig: string;
};

export type PlainFilter = Record<string, unknown>;

/** "32-bytes lowercase hex-encoded", "64-bytes lowercase hex". */
function isLowercaseHex(value: unknown, bytes: number): value is string {
  if (typeof value !== "string" || value.length !== 2 * bytes) return false;
  for (const character of value) if (!"0123456789abcdef".includes(character)) return false;
  return true;
}

/** "the `event`, which has the following format on the wire". */
export function isEvent(value: unknown): value is PlainEvent {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  const event = value as Record<string, unknown>;
  return (
    isLowercaseHex(event["id"], 32) &&
    isLowercaseHex(event["pubkey"], 32) &&
    Number.isInteger(event["created_at"]) && // "unix timestamp in seconds"
    Number.isInteger(event["kind"]) && // "integer between 0 and 65535"
    (event["kind"] as number) >= 0 &&
    (event["kind"] as number) <= 65535 &&
    Array.isArray(event["tags"]) &&
    // "Each tag is an array of one or more strings"
    event["tags"].every(
      (tag: unknown) =>
        Array.isArray(tag) && tag.length > 0 && tag.every((part) => typeof part === "string"),
    ) &&
    typeof event["content"] === "string" && // "arbitrary string"
    isLowercaseHex(event["sig"], 64)
  );
}

const ESCAPES: Record<string, string> = {
  "\n": "\\n",
  '"': '\\"',
  "\\": "\\\\",
  "\r": "\\r",
  "\t": "\\t",
  "\b": "\\b",
  "\f": "\\f",
};

/** "The following characters … must be escaped as shown, and all other characters must be included verbatim". */
function quoted(text: string): string {
  let written = "";
  for (const character of text) written += ESCAPES[character] ?? character;
  return `"${written}"`;
}

/** "the UTF-8 JSON-serialized string … of the following structure". */
export function serialized({ pubkey, created_at, kind, tags, content }: PlainEvent): string {
  const lists = tags.map((tag) => `[${tag.map(quoted).join(",")}]`);
  return `[0,${quoted(pubkey)},${created_at},${kind},[${lists.join(",")}],${quoted(content)}]`;
}

export function idOf(event: PlainEvent): string {
  return createHash("sha256").update(serialized(event), "utf8").digest("hex");
}

const HEX_LISTS = ["ids", "authors", "#e", "#p"];

/** "`<filtersX>` is a JSON object … it can have the following attributes". */
export function isFilter(value: unknown): value is PlainFilter {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return false;
  for (const [name, given] of Object.entries(value) as [string, unknown][]) {
    if (["since", "until", "limit"].includes(name)) {
      if (!Number.isInteger(given)) return false;
      continue;
    }
    const isTag = name.length === 2 && name.startsWith("#") && /[a-zA-Z]/.test(name);
    if (!["ids", "authors", "kinds"].includes(name) && !isTag) return false;
    // "JSON arrays with one or more values"
    if (!Array.isArray(given) || given.length === 0) return false;
    for (const one of given as unknown[]) {
      if (name === "kinds" && !(Number.isInteger(one) && Number(one) >= 0 && Number(one) <= 65535))
        return false;
      if (HEX_LISTS.includes(name) && !isLowercaseHex(one, 32)) return false;
      if (isTag && typeof one !== "string") return false;
    }
  }
  return true;
}

/** "All conditions of a filter that are specified must match for an event for it to pass the filter". */
export function passes(event: PlainEvent, filter: PlainFilter): boolean {
  return Object.entries(filter).every(([name, given]) => {
    if (name === "limit") return true; // "only valid for the initial query"
    if (name === "since") return (given as number) <= event.created_at;
    if (name === "until") return event.created_at <= (given as number);
    const list = given as unknown[];
    if (name === "ids") return list.includes(event.id);
    if (name === "authors") return list.includes(event.pubkey);
    if (name === "kinds") return list.includes(event.kind);
    // "the event and filter condition values must have at least one item in common"; "the second as the tag value"
    return event.tags.some((tag) => tag[0] === name[1] && tag.length > 1 && list.includes(tag[1]));
  });
}

/** "an arbitrary, non-empty string of max length 64 chars" */
export function isSubscriptionId(value: unknown): value is string {
  return typeof value === "string" && value !== "" && Array.from(value).length <= 64;
}
