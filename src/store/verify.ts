// Whether what stands in a store fits together: everything that can be derived from the drops is derived anew, and compared with what is there.

import { expiryOf, recipientOf, type RetentionRule } from "../nostr/drop.ts";
import { DIRECT_MESSAGE } from "../nostr/kinds.ts";
import type { DamagedRecord } from "./incidents.ts";
import { expiryKey, ownerOf, seqOfAuthor, seqOfExpiry, timeOf, tombstoneIn } from "./layout.ts";
import { decodeRule } from "./retention.ts";
import { SETTLED } from "./settling.ts";
import { openStopped } from "./stopped.ts";
import { damagedMeta, entries, type Environment, eventIn, mustRead, numberIn } from "./tables.ts";

/** Something that does not fit. Says nothing of whose it is. */
export type Finding = DamagedRecord & { readonly what: string };

export type Verified = {
  /** Drops that are held, and that lie there until the next sweep. */
  readonly held: number;
  readonly leaving: number;
  readonly tombstones: number;
  readonly findings: readonly Finding[];
};

/** Reads a store that nobody else has open from one end to the other. Throws when it cannot be read at all. */
export function verify(environment: Environment): Verified {
  const { databases } = environment;
  mustRead(databases);
  const findings: Finding[] = [];
  const found = (table: Finding["table"], what: string, seq?: number): void => {
    findings.push({ table, what, seq });
  };
  const held = verifyDrops(environment, found);
  verifyIndexes(environment, held, found);
  verifyEarly(environment, found);
  const leaving = entries(databases.drops) - held.size;
  return { held: held.size, leaving, tombstones: entries(databases.tombstones), findings };
}

type Found = (table: Finding["table"], what: string, seq?: number) => void;

type HeldDrop = {
  /** The entry of `expiries` that it has. */
  readonly due: Buffer;
  /** Whether it has an entry in its box, or has it in the memory of a relay. */
  readonly isSettled: boolean;
};

// Answers those that are held, by their numbers.
function verifyDrops({ databases, tables }: Environment, found: Found): Map<number, HeldDrop> {
  const settled = numberIn(tables, SETTLED) ?? 0;
  const swept = numberIn(tables, "swept") ?? 0;
  const rule = ruleIn(tables.meta.get("retention"));
  const held = new Map<number, HeldDrop>();
  for (const seq of databases.drops.getKeys()) {
    const isDiscarded = tables.discarded.doesExist(seq);
    const json = tables.drops.get(seq);
    const event = json === undefined ? undefined : eventIn(json);
    const recipient = event && recipientOf(event);
    const own = event && expiryOf(event, rule);
    if (isDiscarded && typeof own !== "number") continue;
    if (json === undefined || event === undefined) {
      found("drops", json === undefined ? "has no key" : "is no event", seq);
      continue;
    }
    if (typeof recipient !== "string" || typeof own !== "number") {
      found("drops", "is nobody's, or never past", seq);
      continue;
    }
    const { id, created_at, pubkey, kind } = event;
    const { box, owned } = tables.keys.of({ id, recipient, created_at });
    const value = tables.tombstones.get(owned);
    if (isDiscarded) {
      // What was acknowledged has its tombstone as long as it could come again.
      if (value === undefined && own > swept) found("discarded", "names a drop that is held", seq);
      continue;
    }
    const entry = tables.boxes.get(box);
    const tombstone = value && tombstoneIn(value);
    const listed = entry && tables.keys.headers(recipient, [{ key: box, value: entry }])[0];
    if (entry === undefined && tombstone?.isEarly === true && seq > settled) continue;
    const expiry = listed?.expiry ?? own;
    const due = expiryKey(expiry, seq);
    held.set(seq, { due, isSettled: listed?.seq === seq });
    if (listed === undefined) {
      if (seq <= settled) found("boxes", "is not in its box", seq);
    } else if (listed.seq !== seq || listed.bytes !== Buffer.byteLength(json)) {
      found("boxes", "is another in its box", seq);
    } else if (listed.kind !== kind || expiry > own) {
      found("boxes", "is not what its event says", seq);
    }
    // Acknowledged with a grace; one that goes beyond the drop's own expiry changes nothing else.
    // The tombstone of what is past may be swept before it is.
    if (expiry < own && own > swept && tombstone === undefined) {
      found("tombstones", "goes before its time, and was not acknowledged", seq);
    }
    const time = tables.expiries.get(due);
    if (time === undefined || timeOf(time) !== expiry) {
      found("expiries", "is swept at no time", seq);
    }
    const author = tables.authors.get(tables.keys.owned(pubkey, id));
    if (kind === DIRECT_MESSAGE && (author === undefined || seqOfAuthor(author) !== seq)) {
      found("authors", "cannot be taken back by its author", seq);
    }
  }
  return held;
}

// What speaks of drops must speak of some that are there.
function verifyIndexes(
  { databases, tables }: Environment,
  held: ReadonlyMap<number, HeldDrop>,
  found: Found,
): void {
  const { drops } = databases;
  const listed = new Set<number>();
  for (const { key, value } of tables.boxes.getRange()) {
    const seq = tables.keys.headers("", [{ key, value }])[0]?.seq;
    if (seq === undefined || !held.has(seq)) found("boxes", "names a drop that is not held", seq);
    else if (held.get(seq)?.isSettled === false || listed.has(seq)) {
      found("boxes", "names a drop that is in another box", seq);
    } else listed.add(seq);
  }
  for (const { value } of tables.authors.getRange()) {
    const seq = seqOfAuthor(value);
    const isThere = seq !== undefined && drops.doesExist(seq) && !tables.discarded.doesExist(seq);
    if (!isThere) found("authors", "names a drop that is not held", seq);
  }
  for (const key of tables.expiries.getKeys()) {
    const seq = seqOfExpiry(key);
    const isThere = seq !== undefined && drops.doesExist(seq);
    if (!isThere) found("expiries", "names a drop that is not there", seq);
    else if (held.get(seq)?.due.equals(key) === false) {
      found("expiries", "names another time than that of its drop", seq);
    }
  }
  for (const seq of tables.discarded.getKeys()) {
    if (!drops.doesExist(seq)) found("discarded", "names a drop that is not there", seq);
  }
}

function verifyEarly({ tables }: Environment, found: Found): void {
  const counts = new Map<string, number>();
  let all = 0;
  for (const { key, value } of tables.tombstones.getRange()) {
    const tombstone = tombstoneIn(value);
    if (tombstone === undefined) found("tombstones", "says nothing");
    if (tombstone?.isEarly !== true) continue;
    const owner = ownerOf(key).toString("hex");
    counts.set(owner, (counts.get(owner) ?? 0) + 1);
    all += 1;
  }
  // Of all: see early.ts.
  if (all > 0) counts.set("00", all);
  for (const { key, value } of tables.early.getRange()) {
    const owner = key.toString("hex");
    if (value.length !== 4 || counts.get(owner) !== value.readUInt32BE()) {
      found("early", "is another count than that of the tombstones");
    }
    counts.delete(owner);
  }
  if (counts.size > 0) found("early", "has no count of tombstones that are there");
}

/** The rule under which the drops of a store are held. */
export function ruleIn(text: string | undefined): RetentionRule {
  const rule = text === undefined ? "malformed" : decodeRule(text);
  if (rule === "malformed") throw damagedMeta("retention");
  return rule;
}

/** Does so with the store in a folder. Throws, with what to do, when it cannot be opened, another process has it open, or this is not its secret. */
export async function verifyStore(folder: string, source: string): Promise<Verified> {
  const stopped = await openStopped(folder, source);
  try {
    return verify(stopped);
  } finally {
    await stopped.close();
  }
}
