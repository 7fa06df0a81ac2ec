// What `verify-store --repair` makes of a store in which something was spoiled.

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Drop } from "../../src/nostr/drop.ts";
import { repairStore } from "../../src/store/repair.ts";
import { openDatabases } from "../../src/store/tables.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { copyStore } from "../support/store-copy.ts";
import { openStoreFile, type StoreFile } from "../support/store-file.ts";
import { aDrop, BOB, DAY, hex, LIMITS, NOW } from "./contract.ts";

const ALICE = hex("alice");
const CAROL = hex("carol");
const PEOPLE = [ALICE, BOB, CAROL];

type Filled = {
  readonly folder: string;
  /** The JSON of what each box holds, in its order. */
  readonly boxes: readonly (readonly (string | undefined)[])[];
  readonly gone: readonly Drop[];
  /** Acknowledged too, and left for a time: of these a tombstone is all that must be there. */
  readonly leaving: readonly Drop[];
};

type Settings = Parameters<typeof openBelieving>[0];

const settingsOf = (folder: string, recentDrops = 64): Settings => ({
  folder,
  recentDrops,
  retentionSeconds: 30 * DAY,
  diskReserveBytes: 0,
  limits: LIMITS,
});

/** A store with a bit of everything in it, closed. */
async function filled(recentDrops: number, isSettled: boolean): Promise<Filled> {
  const folder = temporaryFolder();
  const opened = await openBelieving(settingsOf(folder, recentDrops), NOW);
  const { store } = opened;
  const drops = PEOPLE.flatMap((recipient, n) => [
    aDrop({ recipient, created_at: NOW - n }),
    aDrop({ recipient, kind: 4, author: PEOPLE[(n + 1) % 3]! }),
    aDrop({ recipient, expiry: NOW + 5 * DAY }),
    aDrop({ recipient }),
    aDrop({ recipient, kind: 4, author: ALICE, created_at: NOW - 9 }),
  ]);
  const early = aDrop({ kind: 4, author: CAROL });
  await store.acknowledge({ signer: BOB, ids: [early.id], deletion: false }, NOW);
  for (const drop of drops) await store.put(drop, NOW);
  await store.put(early, NOW);
  const [first, , third, fourth] = drops as [Drop, Drop, Drop, Drop];
  const acknowledged = (drop: Drop, at?: number): Promise<unknown> =>
    store.acknowledge({ signer: drop.recipient, ids: [drop.id], at, deletion: false }, NOW);
  await acknowledged(first);
  await acknowledged(third, NOW + DAY);
  await acknowledged(fourth, NOW + 90 * DAY);
  const boxes = await boxesOf(store);
  // The keys of what is gone are gone.
  await opened.look();
  await store.close();
  if (isSettled) await (await openBelieving(settingsOf(folder), NOW)).store.close();
  return { folder, boxes, gone: [first, early], leaving: [third, fourth] };
}

async function boxesOf(store: Awaited<ReturnType<typeof openBelieving>>["store"]) {
  const boxes = [];
  for (const person of PEOPLE) boxes.push(store.read(await store.list(person, {}, 100)));
  return boxes;
}

const TABLES = ["boxes", "expiries", "authors", "discarded", "early"] as const;

const damageArb = fc.record({
  table: fc.constantFrom(...TABLES),
  entry: fc.nat(30),
  how: fc.constantFrom("lost", "cut", "value", "key", "twice", "emptied"),
  byte: fc.nat(36),
  bit: fc.nat(7),
});

type Damage = typeof damageArb extends fc.Arbitrary<infer Value> ? Value : never;

function spoil({ databases }: StoreFile, { table, entry, how, byte, bit }: Damage): void {
  // Their keys differ in type alone: numbers, or bytes.
  const database = databases[table] as StoreFile["databases"]["boxes"];
  if (how === "emptied") return database.clearSync();
  const all = [...database.getRange({})];
  const one = all[entry % all.length];
  if (one === undefined) return;
  const flipped = (bytes: Buffer): Buffer => {
    const copy = Buffer.from(bytes);
    copy[byte % copy.length]! ^= 1 << bit;
    return copy;
  };
  const other = Buffer.isBuffer(one.key) ? flipped(one.key) : ((Number(one.key) ^ 1) as never);
  if (how === "lost" || how === "key") database.removeSync(one.key);
  if (how === "key" || how === "twice") database.putSync(other, one.value);
  if (how === "cut") database.putSync(one.key, one.value.subarray(1));
  if (how === "value") database.putSync(one.key, flipped(one.value));
}

async function spoiled(folder: string, damages: readonly Damage[]): Promise<void> {
  const file = openStoreFile(folder);
  for (const damage of damages) spoil(file, damage);
  await file.close();
}

describe("a repair of a store", () => {
  it.each([
    ["settled", 64, true],
    ["not settled", 64, false],
    ["settled in part", 4, false],
  ])(
    "brings back all that is whole and nothing that was acknowledged, whatever happened to the indexes: %s",
    async (_, recentDrops, isSettled) => {
      const { folder, boxes, gone, leaving } = await filled(recentDrops, isSettled);
      const staying = (all: Filled["boxes"]): unknown =>
        all.map((box) => box.filter((json) => leaving.every((drop) => drop.json !== json)));
      expect((await verifyStore(folder, "")).findings).toEqual([]);
      const property = fc.asyncProperty(
        fc.array(damageArb, { minLength: 1, maxLength: 6 }),
        async (damages) => {
          const copy = temporaryFolder(() => {});
          copyStore(folder, copy);
          await spoiled(copy, damages);
          const { damaged } = await repairStore(copy, "", NOW);
          expect((await verifyStore(copy, "")).findings).toEqual([]);
          expect((await repairStore(copy, "", NOW)).found).toBe(0);
          const { store } = await openBelieving(settingsOf(copy), NOW);
          try {
            expect(staying(await boxesOf(store))).toEqual(staying(boxes));
            for (const drop of [...gone, ...leaving])
              expect(await store.put(drop, NOW)).toBe("known");
          } finally {
            await store.close();
            rmSync(copy, { recursive: true });
          }
          // What was gone before cannot be read, and is no loss.
          expect(damaged).toBeLessThanOrEqual(gone.length + leaving.length);
        },
      );
      await fc.assert(property, { numRuns: 30, interruptAfterTimeLimit: 20_000 });
    },
    90_000,
  );

  it("leaves what was acknowledged with a grace until that is over", async () => {
    const { folder, boxes, leaving } = await filled(64, true);
    await spoiled(folder, [{ table: "boxes", entry: 0, how: "emptied", byte: 0, bit: 0 }]);
    await repairStore(folder, "", NOW);
    const { store } = await openBelieving(settingsOf(folder), NOW);
    const [inItsGrace] = leaving as [Drop];
    const listed = await store.list(inItsGrace.recipient, {}, 100);
    expect(listed.map(({ idPrefix, expiry }) => [idPrefix, expiry])).toContainEqual([
      inItsGrace.id.slice(0, 32),
      NOW + DAY,
    ]);
    expect(store.read(await store.list(BOB, {}, 100))).toEqual(boxes[1]);
    await store.close();
  });

  it("takes out what cannot be read, says how much that was, and destroys its key", async () => {
    const { folder, boxes } = await filled(64, true);
    const file = openStoreFile(folder);
    const seq = [...file.databases.drops.getKeys({})].find(
      (each) => file.tables.drops.get(each) === boxes[1]?.[0],
    )!;
    file.overwrite(seq, "{");
    await file.close();
    expect(await repairStore(folder, "", NOW)).toMatchObject({ damaged: 1, held: 13 });
    const keys = readFileSync(join(folder, "keys", "00000000"));
    expect(keys.subarray(16 * seq).subarray(0, 16)).toEqual(Buffer.alloc(16));
    const { store } = await openBelieving(settingsOf(folder), NOW);
    expect(await boxesOf(store)).toEqual([boxes[0], boxes[1]?.slice(1), boxes[2]]);
    await store.close();
  });

  it("keeps each tombstone, and gives one that says nothing the longest time", async () => {
    const { folder, gone } = await filled(64, true);
    const file = openStoreFile(folder);
    const all = [...file.databases.tombstones.getKeys({})];
    for (const key of all) file.databases.tombstones.putSync(key, Buffer.alloc(1));
    await file.close();
    expect(await repairStore(folder, "", NOW)).toMatchObject({ tombstones: all.length });
    expect((await verifyStore(folder, "")).findings).toEqual([]);
    const { store } = await openBelieving(settingsOf(folder), NOW);
    for (const drop of gone) expect(await store.put(drop, NOW)).toBe("known");
    await store.close();
    // In the end they are swept as all others.
    const later = await openBelieving(settingsOf(folder), NOW + 60 * DAY);
    await later.confirmClock();
    await later.store.sweep("tombstones", NOW + 60 * DAY);
    expect(later.store.totals().tombstones).toBe(0);
    await later.store.close();
  });

  it.each<[string, (folder: string) => void | Promise<void>, RegExp]>([
    [
      "a file of keys is missing",
      (folder) => rmSync(join(folder, "keys", "00000000")),
      /00000000 is missing or cut short: .*put it back/,
    ],
    [
      "it has another secret",
      (folder) => writeFileSync(join(folder, "secret"), hex("another")),
      /was written under another secret/,
    ],
    [
      "it does not say under which secret it was written",
      async (folder) => {
        const file = openStoreFile(folder);
        file.databases.meta.removeSync("secret");
        await file.close();
      },
      /its record "secret" cannot be read/,
    ],
  ])("changes nothing when %s", async (_, change, why) => {
    const { folder } = await filled(64, true);
    await spoiled(folder, [{ table: "boxes", entry: 0, how: "emptied", byte: 0, bit: 0 }]);
    await change(folder);
    await expect(repairStore(folder, "", NOW)).rejects.toThrow(why);
    const { root, databases } = openDatabases(folder, true);
    expect([...databases.drops.getKeys()]).toHaveLength(15);
    expect([...databases.boxes.getKeys()]).toEqual([]);
    await root.close();
  });
});
