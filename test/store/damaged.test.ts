// Records that a disk, or somebody's hand, has spoiled: each is skipped and told by its number, and nothing stops at it.

import { cpSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { type DamagedRecord, UNHEARD } from "../../src/store/incidents.ts";
import { expiryKey, ownerOf } from "../../src/store/layout.ts";
import type { Store } from "../../src/store/store.ts";
import { flawOf } from "../../src/store/whole-file.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { openStoreFile, type StoreFile } from "../support/store-file.ts";
import { aDrop, BOB, DAY, LIMITS, NOW } from "./contract.ts";

type Opened = { readonly store: Store; readonly damaged: readonly DamagedRecord[] };

async function open(folder: string, now = NOW): Promise<Opened> {
  const damaged: DamagedRecord[] = [];
  const incidents = { ...UNHEARD, damaged: (record: DamagedRecord) => void damaged.push(record) };
  const settings = { folder, retentionSeconds: 30 * DAY, diskReserveBytes: 0, limits: LIMITS };
  const { store } = await openBelieving({ ...settings, incidents }, now);
  onTestFinished(() => store.close());
  return { store, damaged };
}

/** Three drops, the second of which is spoiled while the store is closed. They were settled before, unless told otherwise. */
async function spoiled(
  spoil: (
    tables: StoreFile["tables"],
    second: { readonly seq: number; readonly key: Buffer },
    file: StoreFile,
  ) => void,
  { isSettled = true } = {},
): Promise<Opened & { readonly folder: string; readonly drops: ReturnType<typeof aDrop>[] }> {
  const folder = temporaryFolder();
  const drops = [1, 2, 3].map((age) => aDrop({ created_at: NOW - age, expiry: NOW + age * 100 }));
  const { store } = await open(folder);
  for (const drop of drops) await store.put(drop, NOW);
  await store.close();
  if (isSettled) await (await open(folder)).store.close();
  const file = openStoreFile(folder);
  const { tables } = file;
  const json = drops[1]?.json ?? "";
  const seq = [...tables.drops.between(1, 3)].find((each) => each.json === json)?.seq;
  const keys = [...tables.boxes.getKeys({})];
  spoil(tables, { seq: seq ?? 0, key: keys[1] ?? Buffer.alloc(0) }, file);
  await file.close();
  return { folder, drops, ...(await open(folder)) };
}

async function sweepAll(store: Store, now: number): Promise<void> {
  for (const of of ["drops", "tombstones"] as const) {
    let next: Buffer | undefined;
    do ({ next } = await store.sweep(of, now, next));
    while (next !== undefined);
  }
}

async function served(store: Store): Promise<(string | undefined)[]> {
  return store.read(await store.list(BOB, {}, 10));
}

const SPOILED_EVENTS: [string, (json: string) => string][] = [
  ["empty", () => ""],
  ["cut", (json) => json.slice(0, 200)],
  ["no JSON at all", () => "\u0000\u0001 secret"],
  ["another drop's", (json) => json.replace(/"id":"..../, '"id":"0000')],
  ["no event", () => '{"id":"'],
];

describe("a drop whose event is damaged", () => {
  it.each(SPOILED_EVENTS)("is skipped, told, and gone after its expiry: %s", async (_, spoil) => {
    let number = 0;
    const { store, drops, damaged } = await spoiled((tables, { seq }, file) => {
      number = seq;
      file.overwrite(seq, spoil(tables.drops.get(seq) ?? ""));
    });
    const headers = await store.list(BOB, {}, 10);
    expect(store.read(headers)).toEqual([drops[0]?.json, undefined, drops[2]?.json]);
    expect(damaged).toEqual([{ table: "drops", seq: number }]);
    expect(headers.map((header) => store.event(header)?.id)).toEqual([
      drops[0]?.id,
      undefined,
      drops[2]?.id,
    ]);

    await sweepAll(store, NOW + 250);
    expect(store.totals().drops).toBe(1);
    expect(await served(store)).toContain(drops[2]?.json);
    await sweepAll(store, NOW + 400);
    expect(store.totals().drops).toBe(0);
  });

  it("is told when it is not there though it is in its box", async () => {
    const { store, drops, damaged } = await spoiled((_, { seq }, file) =>
      file.databases.drops.removeSync(seq),
    );
    const headers = await store.list(BOB, {}, 10);
    expect(store.read(headers)).toEqual([drops[0]?.json, undefined, drops[2]?.json]);
    expect(damaged).toEqual([{ table: "drops", seq: 2 }]);
  });

  it("is no reason not to start: one that was not settled yet", async () => {
    const { store, drops, damaged } = await spoiled(
      (_, { seq }, file) => file.overwrite(seq, "{"),
      { isSettled: false },
    );
    expect(damaged).toEqual([{ table: "drops", seq: 2 }]);
    expect(await served(store)).toEqual([drops[0]?.json, drops[2]?.json]);
    expect(await store.put(aDrop(), NOW)).toBe("stored");
  });

  it("goes with an acknowledgement like any other", async () => {
    const { store, drops } = await spoiled((_, { seq }, file) => file.overwrite(seq, "{"));
    const ids = drops.map(({ id }) => id);
    expect(await store.acknowledge({ signer: BOB, ids, deletion: false }, NOW)).toBe("done");
    expect(await store.list(BOB, {}, 10)).toEqual([]);
    for (const drop of drops) expect(await store.put(drop, NOW)).toBe("known");
    await sweepAll(store, NOW);
    expect(store.totals().drops).toBe(0);
  });
});

describe("a damaged entry of a box", () => {
  it.each([0, 16, 18, 300])("of %i bytes is skipped, and gone after its expiry", async (bytes) => {
    const { folder, store, drops, damaged } = await spoiled(({ boxes }, { key }) =>
      boxes.putSync(key, Buffer.alloc(bytes, 0xff)),
    );
    // A short page would be taken for the last.
    expect(store.read(await store.list(BOB, {}, 2))).toEqual([drops[0]?.json, drops[2]?.json]);
    expect(damaged).toEqual([{ table: "boxes" }]);
    expect(await store.put(drops[1]!, NOW)).toBe("known");
    await sweepAll(store, NOW + 400);
    expect(store.totals().drops).toBe(0);
    await store.close();
    const file = openStoreFile(folder);
    expect([...file.databases.boxes.getKeys({})]).toEqual([]);
    await file.close();
  });
});

describe("a damaged entry of what sweeps go by", () => {
  it("stops no sweep, and is believed past when its day is over", async () => {
    const { store, damaged } = await spoiled(({ expiries }, { seq }) => {
      const key = [...expiries.getKeys({})].find((each) => each.readUIntBE(2, 6) === seq);
      expiries.putSync(key!, Buffer.from([1]));
    });
    await sweepAll(store, NOW + 400);
    expect(store.totals().drops).toBe(1);
    expect(damaged).toEqual([{ table: "expiries", seq: 2 }]);
    await sweepAll(store, NOW + 2 * DAY);
    expect(store.totals().drops).toBe(0);
  });

  it.each([0, 1, 7, 9])("stops no sweep: a key of %i bytes beside the day", async (bytes) => {
    const { store } = await spoiled(({ expiries }) =>
      expiries.putSync(
        Buffer.concat([expiryKey(NOW, 1).subarray(0, 2), Buffer.alloc(bytes)]),
        Buffer.alloc(5),
      ),
    );
    await sweepAll(store, NOW + 400);
    expect(store.totals().drops).toBe(0);
  });

  it("stops no sweep: what is to be taken off the disk", async () => {
    const { store, damaged } = await spoiled(({ discarded }, { seq }) =>
      discarded.putSync(seq, Buffer.alloc(0)),
    );
    await sweepAll(store, NOW);
    expect(damaged).toEqual([{ table: "discarded", seq: 2 }]);
    expect(store.totals().drops).toBe(2);
  });
});

describe("a damaged tombstone", () => {
  it.each([0, 5, 7])("of %i bytes remembers what it was for, and stops no sweep", async (bytes) => {
    const [drop, other] = [aDrop({ expiry: NOW + 100 }), aDrop({ expiry: NOW + 100 })];
    const { store, damaged } = await spoiled(({ keys, tombstones }) => {
      for (const { id } of [drop, other]) {
        const value = id === drop.id ? Buffer.alloc(bytes) : Buffer.from([0, 0, 0, 0, 1, 0]);
        tombstones.putSync(keys.owned(BOB, id), value);
      }
    });
    await sweepAll(store, NOW);
    expect(damaged).toEqual([{ table: "tombstones" }]);
    expect(store.totals().tombstones).toBe(1);
    expect(await store.put(drop, NOW)).toBe("known");
  });

  it("count that is damaged is counted anew", async () => {
    const { store } = await spoiled(({ keys, early }) =>
      early.putSync(ownerOf(keys.owned(BOB, aDrop().id)), Buffer.alloc(1)),
    );
    const { id } = aDrop();
    const acknowledged = { signer: BOB, ids: [id], deletion: false };
    expect(await store.acknowledge(acknowledged, NOW)).toBe("done");
  });
});

describe("a damaged memory of earlier settings", () => {
  it.each(["retention", "settled", "largest", "swept"])(
    "is no store to open, and nothing of it is said: %s",
    async (name) => {
      await expect(spoiled(({ meta }) => meta.putSync(name, '[{"secret": -1}]'))).rejects.toThrow(
        `the store is damaged: its record "${name}" cannot be read; move its folder away`,
      );
    },
  );
});

describe("a store's file that ends early", () => {
  it("is opened only if nothing that is in use is behind its end", async () => {
    const folder = temporaryFolder();
    const { store } = await open(folder);
    const drops = Array.from({ length: 90 }, () => aDrop({ content: "x".repeat(9_000) }));
    for (const drop of drops.slice(0, 11)) await store.put(drop, NOW);
    await store.acknowledge(
      { signer: BOB, ids: drops.slice(3).map(({ id }) => id), deletion: false },
      NOW,
    );
    await sweepAll(store, NOW);
    const held = await served(store);
    await store.close();
    const file = join(folder, "data.mdb");
    const bytes = readFileSync(file);
    const newer = bytes.readBigUInt64LE(152) > bytes.readBigUInt64LE(8_192 + 152) ? 0 : 8_192;
    const last = Number(bytes.readBigUInt64LE(newer + 144));
    expect(statSync(file).size).toBeGreaterThan((last + 1) * 8_192);

    const found: (string | undefined)[] = [];
    for (let pages = last + 1; pages > 0; pages -= 1) {
      const cut = temporaryFolder();
      cpSync(folder, cut, { recursive: true });
      truncateSync(join(cut, "data.mdb"), pages * 8_192);
      found.push(flawOf(join(cut, "data.mdb")));
      if (found.at(-1) !== undefined) continue;
      const { store: short } = await open(cut);
      expect(await served(short)).toEqual(held);
      await short.close();
    }
    // Pages that were freed lie behind the last that is in use; and from that one on everything is missed.
    expect(found.indexOf("cut short")).toBeGreaterThan(1);
    expect(found.slice(found.indexOf("cut short"))).not.toContain(undefined);
  });
});
