// Opens a store in the folder given, and ends so many turns of the event loop after it began to write a drop: "exits", or "throws".

import { setImmediate as turn } from "node:timers/promises";

import { openLmdbStore } from "../../src/store/lmdb.ts";

const [folder = "", how, turns] = process.argv.slice(2);
const NOW = 1_800_000_000;
const DAY = 86_400;
const limits = {
  boxDrops: 10,
  boxBytes: 10_000,
  eventBytes: 10_000,
  earlyTombstones: 10,
  earlyTombstonesInAll: 10,
  authorDeletesWraps: false,
};

const { store } = await openLmdbStore(
  { folder, retentionSeconds: 30 * DAY, diskReserveBytes: 0, limits },
  { now: () => NOW, monotonic: () => 0 },
);
const drop = {
  id: "1".repeat(64),
  recipient: "2".repeat(64),
  author: "3".repeat(64),
  created_at: NOW,
  kind: 1059,
  expiry: NOW + DAY,
  json: "{}",
};
void store.put(drop, NOW);
for (let turned = 0; turned < Number(turns); turned++) await turn();
if (how === "exits") process.exit(7);
throw new Error("told to");
