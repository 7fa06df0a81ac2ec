// What a start makes of a store of format 2.

import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { UNHEARD } from "../../src/store/incidents.ts";
import { statsOf } from "../../src/store/stats.ts";
import type { Store } from "../../src/store/store.ts";
import { openDatabases } from "../../src/store/tables.ts";
import { verifyStore } from "../../src/store/verify.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { BOB, DAY, hex, LIMITS, NOW, sweepAll } from "./contract.ts";
import { ALICE, BEFORE, before, CAROL, DROPS } from "./format-2.ts";

const SETTINGS = {
  retentionSeconds: 30 * DAY,
  diskReserveBytes: 0,
  limits: { ...LIMITS, earlyTombstones: 2 },
};

async function open(folder: string): Promise<Store> {
  const { store } = await openBelieving({ folder, ...SETTINGS }, NOW);
  onTestFinished(() => store.close());
  return store;
}

async function boxOf(store: Store, recipient: string): Promise<(string | undefined)[]> {
  return store.read(await store.list(recipient, {}, 100));
}

const jsons = (...drops: { json: string }[]): string[] => drops.map(({ json }) => json);

const { held, acknowledged, inItsGrace, ofAlice, toAlice, ofBob, alsoHeld } = DROPS;
const { vanished, third, unsettled, toCarol } = DROPS;

describe("a store of format 2", () => {
  it("is one of today's after the next start, with all that is held, in its order", async () => {
    const store = await open(before());
    expect(await boxOf(store, BOB)).toEqual(
      jsons(held, inItsGrace, ofAlice, alsoHeld, third, unsettled),
    );
    expect(await boxOf(store, ALICE)).toEqual(jsons(toAlice, ofBob));
    expect(await boxOf(store, CAROL)).toEqual(jsons(toCarol));
    expect(store.totals()).toMatchObject({ drops: 9 });
  });

  it("knows what was acknowledged and what vanished, and takes neither again", async () => {
    const store = await open(before());
    for (const each of Object.values(DROPS)) expect(await store.put(each, NOW)).toBe("known");
    expect(vanished.recipient).toBe(CAROL);
    expect(acknowledged.recipient).toBe(BOB);
    // Carol's early one, and her request to vanish: she has no place for a third.
    const third = { signer: CAROL, ids: [hex("a third")], deletion: false };
    expect(await store.acknowledge(third, NOW)).toBe("too many early");
    const early = { ...held, id: hex("drop of format 2, early"), recipient: CAROL };
    expect(await store.put(early, NOW)).toBe("stored");
    expect(await boxOf(store, CAROL)).toEqual(jsons(toCarol));
    await store.vanish({ id: hex("vanish"), signer: CAROL, created_at: NOW }, NOW);
    expect(await boxOf(store, CAROL)).toEqual(jsons(toCarol));
  });

  it("goes on with graces, expiries and what authors may take back", async () => {
    const store = await open(before());
    await sweepAll(store, "drops", NOW + DAY);
    expect(await boxOf(store, BOB)).toEqual(jsons(held, ofAlice, alsoHeld, third, unsettled));
    const ids = [ofAlice.id, unsettled.id, held.id];
    await store.acknowledge({ signer: ALICE, ids, deletion: true }, NOW + DAY);
    expect(await boxOf(store, BOB)).toEqual(jsons(held, alsoHeld, third));
    await sweepAll(store, "drops", NOW + 33 * DAY);
    expect(store.totals().drops).toBe(0);
  });

  it("is found nowhere on the disk afterwards", async () => {
    const folder = before();
    const old = join(folder, "data.mdb");
    // Whoever has the old file open sees what becomes of it.
    const watched = join(temporaryFolder(), "watched");
    linkSync(old, watched);
    const store = await open(folder);
    await store.close();
    expect(readFileSync(watched).equals(Buffer.alloc(BEFORE.length))).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(["data.mdb", "keys", "lock.mdb", "secret"]);
    expect(readFileSync(old).includes(Buffer.from(BOB, "hex").subarray(0, 16))).toBe(false);
  });

  // Each is what a crash leaves at a place on the way.
  it.each<[string, (folder: string) => void]>([
    [
      "in the middle of it",
      (folder) => cpSync(join(folder, "data.mdb"), join(folder, "converted", "data.mdb")),
    ],
    [
      "before the new file had its name",
      (folder) => linkSync(join(folder, "data.mdb"), join(folder, "data.mdb.before")),
    ],
  ])("is whole when the first start crashed %s", async (_, crash) => {
    const folder = before();
    crash(folder);
    const store = await open(folder);
    expect(await boxOf(store, ALICE)).toEqual(jsons(toAlice, ofBob));
    expect(existsSync(join(folder, "data.mdb.before"))).toBe(false);
    await store.close();
    expect(await boxOf(await open(folder), ALICE)).toEqual(jsons(toAlice, ofBob));
  });

  it("that was converted is wiped by a later start where a crash came in between", async () => {
    const folder = before();
    await (await open(folder)).close();
    writeFileSync(join(folder, "data.mdb.before"), BEFORE);
    const watched = join(temporaryFolder(), "watched");
    linkSync(join(folder, "data.mdb.before"), watched);
    const store = await open(folder);
    expect(await boxOf(store, ALICE)).toEqual(jsons(toAlice, ofBob));
    expect(existsSync(join(folder, "data.mdb.before"))).toBe(false);
    expect(readFileSync(watched).equals(Buffer.alloc(statSync(watched).size))).toBe(true);
  });

  it("is told when it was converted, once", async () => {
    const folder = before();
    let told = 0;
    const incidents = { ...UNHEARD, converted: () => void (told += 1) };
    for (const _ of ["first", "second"]) {
      const { store } = await openBelieving({ folder, ...SETTINGS, incidents }, NOW);
      await store.close();
    }
    expect(told).toBe(1);
  });

  it("stays as it is when it cannot be converted", async () => {
    const folder = before();
    // Where the secret would be made.
    mkdirSync(join(folder, "secret"));
    await expect(openBelieving({ folder, ...SETTINGS }, NOW)).rejects.toThrow("secret");
    const { root, databases } = openDatabases(folder, true);
    expect(databases.meta.get("format")).toBe("2");
    expect([...databases.drops.getKeys()].length).toBeGreaterThan(9);
    await root.close();
  });
});

describe("a store of another format", () => {
  it.each([
    ["4", "of a newer version of this program, and this one reads 3; start that version again, or"],
    ["1", "and this one reads 3; start the version that wrote it, or move the folder away"],
  ])("is not opened, and it is said what to do: %s", async (format, what) => {
    const folder = temporaryFolder();
    const { store } = await openBelieving({ folder, ...SETTINGS }, NOW);
    await store.put(held, NOW);
    await store.close();
    const file = openDatabases(folder, false);
    await file.databases.meta.put("format", format);
    await file.root.close();
    const bytes = statSync(join(folder, "data.mdb")).size;
    for (const open of [
      () => openBelieving({ folder, ...SETTINGS }, NOW),
      () => verifyStore(folder, ""),
      () => statsOf(folder, "", NOW),
    ]) {
      await expect(open()).rejects.toThrow(`${folder} holds a store of format ${format}`);
      await expect(open()).rejects.toThrow(what);
    }
    expect(statSync(join(folder, "data.mdb")).size).toBe(bytes);
  });
});
