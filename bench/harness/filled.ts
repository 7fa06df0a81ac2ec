// Stores that already hold many drops. They take minutes to fill, so they are kept in the cache and copied.

import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  cpSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join, resolve } from "node:path";

import type { Drop } from "../../src/nostr/drop.ts";
import { openLmdbStore } from "../../src/store/lmdb.ts";
import { now, type Person, person } from "./events.ts";

const CACHE = resolve(import.meta.dirname, "../../.cache/bench");
const RETENTION_SECONDS = 30 * 86_400;
const TWO_DAYS = 172_800;
const MAX_AGE_MS = 5 * 86_400_000;
const AT_ONCE = 2_000;
const CONTENT_BYTES = 615;

/** What the layout of the store depends on: a cached store of another one is not used. */
const LAYOUT = new URL("../../src/store/layout.ts", import.meta.url);

/** `held` drops of 1.2 KB in turn for `boxes` recipients, those `boxOf` names. */
export type Filling = {
  readonly held: number;
  readonly boxes: number;
  /** Beside them boxes of so many drops each for those `owner` names, scattered among the others. */
  readonly owned?: { readonly boxes: number; readonly drops: number };
};

/** Drops that all expire at one second. */
export type Expiring = { readonly drops: number; readonly at: number };

/** A recipient by number, whose secret nobody has. */
export const boxOf = (number: number): string => hash(`box ${number}`).toString("hex");

/** A recipient by number, the same in every run. */
export const owner = (number: number): Person => person(hash(`owner ${number}`));

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Has `folder` hold a store that is so filled. */
export async function fill(folder: string, filling: Filling): Promise<void> {
  const { held, boxes, owned = { boxes: 0, drops: 0 } } = filling;
  const ownedName = owned.boxes === 0 ? "" : `-owned-${owned.boxes}-${owned.drops}`;
  const cached = join(CACHE, `held-${held}-${boxes}${ownedName}`);
  if (!isFresh(cached)) {
    rmSync(cached, { recursive: true, force: true });
    const making = `${cached}-${process.pid}`;
    mkdirSync(making, { recursive: true });
    await make(making, held + owned.boxes * owned.drops, scattered(filling));
    renameSync(making, cached);
  }
  cpSync(cached, folder, { recursive: true });
  // Else the relay's first flush writes the whole copy, and the clock runs meanwhile.
  for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (statSync(join(folder, file)).isFile()) flush(join(folder, file));
  }
}

function flush(file: string): void {
  const opened = openSync(file, "r+");
  fsyncSync(opened);
  closeSync(opened);
}

function isFresh(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const { mtimeMs } = statSync(folder);
  return mtimeMs > statSync(LAYOUT).mtimeMs && Date.now() - mtimeMs < MAX_AGE_MS;
}

/** Has `folder` hold drops that will be past: not kept, since they soon are. In `boxes` recipients' boxes. */
export async function fillExpiring(
  folder: string,
  expiring: readonly Expiring[],
  boxes: number,
): Promise<void> {
  const all = expiring.reduce((sum, { drops }) => sum + drops, 0);
  await make(folder, all, past(expiring, boxes));
}

function* scattered({ held, boxes, owned }: Filling): Generator<Drop> {
  const owners = Array.from({ length: owned?.boxes ?? 0 }, (_, at) => owner(at).pubkey);
  const recipients = Array.from({ length: boxes }, (_, at) => boxOf(at));
  const own = owners.length * (owned?.drops ?? 0);
  const every = own === 0 ? Number.POSITIVE_INFINITY : Math.floor((held + own) / own);
  let owns = 0;
  for (let one = 0; one < held + own; one += 1) {
    const isOwned = owns < own && one % every === 0;
    yield drop((isOwned ? owners[owns % owners.length] : recipients[(one - owns) % boxes]) ?? "");
    if (isOwned) owns += 1;
  }
}

function* past(expiring: readonly Expiring[], boxes: number): Generator<Drop> {
  for (const { drops, at } of expiring) {
    for (let one = 0; one < drops; one += 1) yield drop(boxOf(one % boxes), at);
  }
}

// Through the store itself, without the checks before it: nobody asks these drops for their signatures again.
async function make(folder: string, count: number, drops: Iterable<Drop>): Promise<void> {
  const opened = await openLmdbStore(
    {
      folder,
      retentionSeconds: RETENTION_SECONDS,
      diskReserveBytes: 0,
      limits: {
        boxDrops: count,
        boxBytes: count * 4_096,
        earlyTombstones: 0,
        earlyTombstonesInAll: 0,
        eventBytes: 65_536,
        authorDeletesWraps: false,
      },
    },
    { now, monotonic: () => performance.now() / 1_000 },
  );
  const { store } = opened;
  let puts: Promise<unknown>[] = [];
  for (const drop of drops) {
    puts.push(store.put(drop, now()));
    if (puts.length < AT_ONCE) continue;
    await Promise.all(puts);
    puts = [];
  }
  await Promise.all(puts);
  // Or a relay would sweep nothing until the clock has been steady for an hour.
  await opened.confirmClock();
  await store.close();
}

const author = randomBytes(32).toString("hex");
const sig = randomBytes(64).toString("hex");

function drop(recipient: string, expiration?: number): Drop {
  const id = randomBytes(32).toString("hex");
  const created_at = now() - Math.floor(Math.random() * TWO_DAYS);
  const kind = 1_059;
  const tags = [["p", recipient]];
  if (expiration !== undefined) tags.push(["expiration", String(expiration)]);
  const content = randomBytes(CONTENT_BYTES).toString("base64");
  const json = JSON.stringify({ id, pubkey: author, created_at, kind, tags, content, sig });
  const expiry = expiration ?? created_at + TWO_DAYS + RETENTION_SECONDS;
  return { id, recipient, author, created_at, kind, expiry, json };
}
