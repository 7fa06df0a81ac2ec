// Goes through what a store holds in the order in which it came, while a relay has it open or not: a bounded number of drops at a time, each page as of one
// moment, so that nothing is kept from being written over while somebody waits.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { expiryOf, recipientOf } from "../nostr/drop.ts";
import { openDropKeys } from "./drop-keys.ts";
import { isNew, mustBeSecretOf } from "./history.ts";
import { tombstoneIn } from "./layout.ts";
import { mustBeOpenable } from "./openable.ts";
import { readSecret, secretsFrom } from "./secret.ts";
import { SETTLED } from "./settling.ts";
import {
  type Environment,
  eventIn,
  MAP_BYTES,
  mustRead,
  numberIn,
  openDatabases,
} from "./tables.ts";
import { unlocked } from "./unlocked.ts";
import { ruleIn } from "./verify.ts";

const DROPS_A_PAGE = 200;

export type HeldDrop = {
  readonly seq: number;
  readonly recipient: string;
  readonly created_at: number;
  readonly expiry: number;
  readonly json: string;
};

/** What is held, some drops of it, and the number of the last drop that was looked at for it. */
export type HeldPage = { readonly drops: readonly HeldDrop[]; readonly last: number };

export type ReadStore = Environment & { readonly close: () => Promise<void> };

/** Opens the store in a folder to read it, while a relay has it open or not. Throws, with what to do, when there is none, or this is not its secret. */
export async function openToRead(folder: string, source: string): Promise<ReadStore> {
  if (!existsSync(join(folder, "data.mdb"))) throw new Error(`there is no store in ${folder}`);
  mustBeOpenable(folder, MAP_BYTES);
  const { root, databases } = openDatabases(folder, true);
  const opened = [() => root.close()];
  const close = async (): Promise<void> => {
    for (const each of opened.toReversed()) await each();
  };
  try {
    if (isNew(folder, databases)) throw new Error(`there is no store in ${folder}`);
    const secrets = secretsFrom(readSecret(source, folder, false));
    mustBeSecretOf(folder, databases, secrets);
    const keys = openDropKeys(folder);
    opened.push(async () => keys.close());
    return { root, databases, tables: unlocked(databases, secrets, keys), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What is held at `now`, a page in each turn of the event loop, of drops that came after number `after`. What cannot be read is passed over. */
export function* heldIn(
  { root, tables, databases }: Environment,
  now: () => number,
  after = 0,
): Generator<HeldPage> {
  let start = after + 1;
  for (;;) {
    root.resetReadTxn();
    mustRead(databases);
    const numbers = [...databases.drops.getKeys({ start, limit: DROPS_A_PAGE })];
    const last = numbers.at(-1);
    if (last === undefined) return;
    const time = now();
    const drops = numbers.flatMap((seq) => heldUnder(tables, seq) ?? []);
    yield { drops: drops.filter(({ expiry }) => expiry > time), last };
    start = last + 1;
  }
}

// As verify.ts sees it.
function heldUnder(tables: Environment["tables"], seq: number): HeldDrop | undefined {
  if (tables.discarded.doesExist(seq)) return undefined;
  const json = tables.drops.get(seq);
  const event = json === undefined ? undefined : eventIn(json);
  if (json === undefined || event === undefined) return undefined;
  const recipient = recipientOf(event);
  const own = expiryOf(event, ruleIn(tables.meta.get("retention")));
  if (typeof recipient !== "string" || typeof own !== "number") return undefined;
  const { id, created_at } = event;
  const { box, owned } = tables.keys.of({ id, recipient, created_at });
  const entry = tables.boxes.get(box);
  const listed = entry && tables.keys.headers(recipient, [{ key: box, value: entry }])[0];
  if (listed !== undefined && listed.seq === seq) {
    return { seq, recipient, created_at, expiry: listed.expiry, json };
  }
  if (seq <= (numberIn(tables, SETTLED) ?? 0)) return undefined;
  // It came after it was acknowledged: see arrivals.ts.
  const tombstone = tables.tombstones.get(owned);
  if (tombstone !== undefined && tombstoneIn(tombstone)?.isEarly === true) return undefined;
  return { seq, recipient, created_at, expiry: own, json };
}
