// What one of each thing that strangers make the relay keep takes: the figures of docs/LIMITS.md.
//
//   npm run bench:footprint
//
// On disk: what the tables grow by, through the store itself. In memory: what the heap and the buffers grow by.

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import type { Drop } from "../src/nostr/drop.ts";
import { RateLimiter } from "../src/policy/rate-limiter.ts";
import { openLmdbStore } from "../src/store/lmdb.ts";
import type { Store } from "../src/store/store.ts";

const NOW = 1_800_000_000;
const DAY = 86_400;
const RETENTION_SECONDS = 30 * DAY;
const MANY = 200_000;
const AT_ONCE = 2_000;
const PEERS = 100_000;

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

type Row = { readonly what: string; readonly one: number; readonly unit: string };

const rows: Row[] = [];

const key = (): string => randomBytes(32).toString("hex");

function openStore(folder: string): Promise<{ store: Store }> {
  return openLmdbStore(
    {
      folder,
      retentionSeconds: RETENTION_SECONDS,
      diskReserveBytes: 0,
      limits: {
        boxDrops: 5_000,
        boxBytes: 2 ** 26,
        eventBytes: 2 ** 16,
        earlyTombstones: MANY,
        earlyTombstonesInAll: MANY,
        authorDeletesWraps: false,
      },
    },
    { now: () => NOW, monotonic: () => performance.now() / 1_000 },
  );
}

async function asManyTimes(times: number, write: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < times; done += AT_ONCE) {
    const writes = Array.from({ length: Math.min(AT_ONCE, times - done) }, () => write());
    await Promise.all(writes);
  }
}

function onDisk(store: Store): number {
  const { fileBytes, freeBytes } = store.totals();
  return fileBytes - freeBytes;
}

function inMemory(): number {
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Does something many times to an empty store, and says what one takes on disk. */
async function disk(
  what: string,
  write: (store: Store) => Promise<unknown>,
  times = MANY,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "deaddrop-footprint-"));
  const { store } = await openStore(folder);
  const before = onDisk(store);
  await asManyTimes(times, () => write(store));
  await store.close();
  // A start writes the entries that waited in memory.
  const { store: reopened } = await openStore(folder);
  rows.push({ what, one: (onDisk(reopened) - before) / times, unit: "B on disk" });
  await reopened.close();
  rmSync(folder, { recursive: true });
}

function drop(recipient: string, jsonBytes: number, kind = 1_059): Drop {
  const [id, author] = [key(), key()];
  const created_at = NOW - Math.floor(Math.random() * 2 * DAY);
  const event = {
    id,
    pubkey: author,
    created_at,
    kind,
    tags: [["p", recipient]],
    content: "",
    sig: key() + key(),
  };
  const envelope = JSON.stringify(event).length;
  const json = JSON.stringify({ ...event, content: "x".repeat(Math.max(0, jsonBytes - envelope)) });
  const expiry = created_at + 2 * DAY + RETENTION_SECONDS;
  return { id, recipient, author, created_at, kind, expiry, json };
}

const acknowledge = (store: Store, signer: string, ids: readonly string[]): Promise<unknown> =>
  store.acknowledge({ signer, ids, deletion: false }, NOW);

const one = key();
for (const bytes of [450, 1_400, 1_638, 4_100, 16_400, 65_536]) {
  await disk(
    `drop of ${bytes} B, each for another recipient`,
    (store) => store.put(drop(key(), bytes), NOW),
    bytes < 4_000 ? MANY : AT_ONCE,
  );
}
await disk("kind 4 of 450 B, each for another recipient", (store) =>
  store.put(drop(key(), 450, 4), NOW),
);
await disk("early tombstone, all of one key", (store) => acknowledge(store, one, [key()]));
await disk("early tombstone, each of another key", (store) => acknowledge(store, key(), [key()]));
await disk("request to vanish, each of another key", (store) =>
  store.vanish({ id: key(), signer: key(), created_at: NOW }, NOW),
);
await disk("tombstone of a drop that was held, each of another key", async (store) => {
  const held = drop(key(), 450);
  await store.put(held, NOW);
  await acknowledge(store, held.recipient, [held.id]);
});

const folder = mkdtempSync(join(tmpdir(), "deaddrop-footprint-"));
const { store: filled } = await openStore(folder);
const empty = inMemory();
await asManyTimes(MANY, () => filled.put(drop(key(), 450), NOW));
const grown = (inMemory() - empty) / 2 ** 20;
rows.push({
  what: `store, after ${MANY} drops for as many keys`,
  one: grown,
  unit: "MiB in memory",
});
await filled.close();
rmSync(folder, { recursive: true });

const limiter = new RateLimiter({ perSecond: 1, burst: 1 });
const before = inMemory();
for (let peer = 0; peer < PEERS; peer += 1) {
  limiter.take(`2001:db8:${(peer >> 16).toString(16)}:${(peer & 0xffff).toString(16)}::1`, peer);
}
rows.push({
  what: "rate of an address",
  one: (inMemory() - before) / PEERS,
  unit: "B in memory",
});
// Or it would be gone before it is measured.
limiter.take("2001:db8::1", PEERS);

for (const { what, one: size, unit } of rows)
  console.log(`${what.padEnd(60)} ${size.toFixed(0).padStart(6)} ${unit}`);
