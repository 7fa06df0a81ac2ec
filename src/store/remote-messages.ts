// What travels between a thread that has the store open (shared.ts) and one that uses it (remote.ts).
//
// - What is asked in one turn of the event loop travels together, and so do the answers.
// - Lists are flat, without names, which cost more than values there.

import type { PackedDrop } from "../nostr/drop.ts";
import type { Acknowledged, Header, Held, SweepCursor, Vanishing, Window } from "./store.ts";

export type Asked = readonly [number, ...Question];

export type Question =
  | readonly ["put", now: number, ...PackedDrop]
  | readonly ["acknowledge", Acknowledged, now: number]
  | readonly ["vanish", Vanishing, now: number]
  | readonly ["list", recipient: string, Window, max: number]
  | readonly ["sweep", "drops" | "tombstones", now: number, SweepCursor | undefined];

export type Told = {
  /** Number of the question, answer; and so on. */
  readonly answers?: readonly unknown[];
  /** Number of the question, name and message of the error; and so on. */
  readonly failures?: readonly (number | string)[];
  /** `seq` and fields of every drop committed, without the JSON; and so on. */
  readonly committed?: readonly (number | string)[];
};

/** A committed drop but for its JSON, which every thread reads from the memory map. */
export type Committed = Omit<Held, "json">;

const COMMITTED_FIELDS = 7;
const LISTED_FIELDS = 6;

export function packCommitted(drops: readonly Held[]): (number | string)[] {
  const packed: (number | string)[] = [];
  for (const { seq, id, recipient, author, created_at, kind, expiry } of drops) {
    packed.push(seq, id, recipient, author, created_at, kind, expiry);
  }
  return packed;
}

export function* unpackCommitted(packed: readonly (number | string)[]): Generator<Committed> {
  for (let at = 0; at < packed.length; at += COMMITTED_FIELDS) {
    const [seq, id, recipient, author, created_at, kind, expiry] = packed.slice(
      at,
      at + COMMITTED_FIELDS,
    ) as [number, string, string, string, number, number, number];
    yield { seq, id, recipient, author, created_at, kind, expiry };
  }
}

export function packHeaders(headers: readonly Header[]): (number | string)[] {
  return headers.flatMap(({ seq, idPrefix, created_at, kind, expiry, bytes }) => [
    seq,
    idPrefix,
    created_at,
    kind,
    expiry,
    bytes,
  ]);
}

export function unpackHeaders(recipient: string, packed: readonly (number | string)[]): Header[] {
  const headers: Header[] = [];
  for (let at = 0; at < packed.length; at += LISTED_FIELDS) {
    const [seq, idPrefix, created_at, kind, expiry, bytes] = packed.slice(
      at,
      at + LISTED_FIELDS,
    ) as [number, string, number, number, number, number];
    headers.push({ seq, recipient, idPrefix, created_at, kind, expiry, bytes });
  }
  return headers;
}
