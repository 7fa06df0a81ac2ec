import { statSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";

import { describe, expect, it, onTestFinished } from "vitest";

import { openKnownDrops } from "../../src/store/known-drops.ts";

import { UNHEARD } from "../../src/store/incidents.ts";
import type { Drop } from "../../src/nostr/drop.ts";
import { tombstoneIn } from "../../src/store/layout.ts";
import { remoteStore } from "../../src/store/remote.ts";
import { shareStore } from "../../src/store/shared.ts";
import type { Store } from "../../src/store/store.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { copyStore } from "../support/store-copy.ts";
import { openStoreFile } from "../support/store-file.ts";
import { aDrop, BOB, DAY, LIMITS, NOW, storeContract } from "./contract.ts";
import { openModel, type StoreSettings } from "./model.ts";

storeContract("model", openModel);

const openLmdb = (folder: string, settings: StoreSettings, now: number) => {
  const { storageFull, ...others } = settings;
  // More than any disk has.
  return openBelieving({ ...others, folder, diskReserveBytes: storageFull ? 2 ** 60 : 0 }, now);
};

storeContract("LMDB", openLmdb);

storeContract("LMDB, through the port of another thread,", async (folder, settings, now) => {
  const { store: own, rule, shared } = await openLmdb(folder, settings, now);
  const { port1, port2 } = new MessageChannel();
  const stop = shareStore(own, port1);
  const remote = remoteStore(port2, folder, shared, UNHEARD);
  const store: Store = {
    ...remote,
    get watermark() {
      return remote.watermark;
    },
    async close() {
      await remote.close();
      stop();
      await own.close();
    },
  };
  return { store, rule };
});

describe("a folder with a dot in its name", () => {
  it("is a folder like any other", async () => {
    const folder = join(temporaryFolder(), "drop.example.com");
    const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits: LIMITS };
    const { store } = await openBelieving(settings, NOW);
    onTestFinished(() => store.close());
    expect(await store.put(aDrop(), NOW)).toBe("stored");
    expect(statSync(join(folder, "data.mdb")).isFile()).toBe(true);
  });
});

describe("a second view of the LMDB store", () => {
  it("knows what is held and what was acknowledged, once it is refreshed", async () => {
    const folder = temporaryFolder();
    const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits: LIMITS };
    const { store, shared } = await openBelieving(settings, NOW);
    onTestFinished(() => store.close());
    const view = openKnownDrops(folder, shared);
    onTestFinished(() => view.close());

    const [held, acknowledged, early, unheardOf] = [aDrop(), aDrop(), aDrop(), aDrop()];
    for (const drop of [held, acknowledged]) await store.put(drop, NOW);
    const ids = [acknowledged.id, early.id];
    await store.acknowledge({ signer: BOB, ids, deletion: false }, NOW);
    const known = (): boolean[] => {
      view.refresh();
      return [held, acknowledged, early, unheardOf].map((drop) => view.look(drop).isKnown);
    };
    expect(known()).toEqual([true, true, false, false]);
    await store.put(early, NOW);
    expect(known()).toEqual([true, true, true, false]);
  });

  it("saves a put what it has worked out, and nothing differs for that", async () => {
    const folder = temporaryFolder();
    const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits: LIMITS };
    // Each is settled at once, so that what is on disk is asked.
    const { store, shared } = await openBelieving({ ...settings, recentDrops: 1 }, NOW);
    onTestFinished(() => store.close());
    const view = openKnownDrops(folder, shared);
    onTestFinished(() => view.close());
    const named = (drop: Drop): Drop => ({ ...drop, names: view.look(drop).names });

    const [drop, other, third, gone] = [aDrop(), aDrop(), aDrop(), aDrop()];
    await store.acknowledge({ signer: BOB, ids: [gone.id], deletion: false }, NOW);
    for (const each of [drop, other, third, gone]) {
      expect(await store.put(named(each), NOW)).toBe("stored");
    }
    for (const each of [drop, gone]) expect(await store.put(each, NOW)).toBe("known");
    const held = async (): Promise<unknown[]> => store.read(await store.list(BOB, {}, 10));
    expect(new Set(await held())).toEqual(new Set([drop, other, third].map(({ json }) => json)));
    await store.acknowledge({ signer: BOB, ids: [drop.id], deletion: false }, NOW);
    for (const each of [drop, named(drop)]) expect(await store.put(each, NOW)).toBe("known");
    expect(new Set(await held())).toEqual(new Set([other, third].map(({ json }) => json)));
  });
});

describe("a box that is removed", () => {
  // In memory; and settled at once, so that the index on disk has most of them.
  it.each([undefined, 1])(
    "is empty for good, and no other box is (recent: %s)",
    async (recentDrops) => {
      const folder = temporaryFolder();
      const limits = { ...LIMITS, boxDrops: 1_000, boxBytes: 2 ** 20 };
      const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits };
      const few = recentDrops === undefined ? settings : { ...settings, recentDrops };
      const { store, removeBox } = await openBelieving(few, NOW);
      const carol = "c".repeat(64);
      // More than a transaction takes in one go.
      const drops = Array.from({ length: 130 }, () => aDrop());
      const others = [
        aDrop({ recipient: carol }),
        aDrop({ recipient: carol, author: BOB, kind: 4 }),
      ];
      for (const drop of [...drops, ...others]) expect(await store.put(drop, NOW)).toBe("stored");
      const [inGrace] = drops;
      await store.acknowledge(
        { signer: BOB, ids: [inGrace!.id], at: NOW + 60, deletion: false },
        NOW,
      );

      await removeBox(BOB, NOW);
      expect(await store.list(BOB, {}, 1_000)).toEqual([]);
      expect(await store.list(carol, {}, 1_000)).toHaveLength(2);
      expect(store.totals()).toMatchObject({ drops: 2, tombstones: 130 });
      await store.close();
      const again = await openBelieving(settings, NOW);
      onTestFinished(() => again.store.close());
      for (const drop of drops) expect(await again.store.put(drop, NOW)).toBe("known");
      expect(await again.store.list(BOB, {}, 1_000)).toEqual([]);
      await again.removeBox("d".repeat(64), NOW);
      expect(again.store.totals()).toMatchObject({ drops: 2, tombstones: 130 });
    },
  );
});

type Disk = { drops: number; authors: number; early: number; isEarly: boolean | undefined };

/** What lies in the file when the store is closed. */
async function onDisk(folder: string, { id }: Drop): Promise<Disk> {
  const { databases, tables, close } = openStoreFile(folder, true);
  const value = tables.tombstones.get(tables.keys.owned(BOB, id));
  const [drops, authors, early] = [databases.drops, databases.authors, databases.early].map(
    (table) => (table.getStats() as { entryCount: number }).entryCount,
  ) as [number, number, number];
  await close();
  return { drops, authors, early, isEarly: value && tombstoneIn(value)?.isEarly };
}

describe("the first arrival of a drop that was acknowledged before", () => {
  const settings = { retentionSeconds: 30 * DAY, diskReserveBytes: 0, limits: LIMITS };

  async function arrival() {
    const folder = temporaryFolder();
    const { store } = await openBelieving({ ...settings, folder, recentDrops: 4 }, NOW);
    const drop = aDrop({ kind: 4 });
    await store.acknowledge({ signer: BOB, ids: [drop.id], deletion: false }, NOW);
    expect(await store.put(drop, NOW)).toBe("stored");
    return { folder, store, drop };
  }

  it("writes what that of any drop does, and no more", async () => {
    const { folder, store, drop } = await arrival();
    await store.close();
    // The key's count and that of all.
    expect(await onDisk(folder, drop)).toEqual({ drops: 1, authors: 1, early: 2, isEarly: true });
  });

  const gone = { drops: 0, authors: 0, early: 0, isEarly: false };

  it("is off the disk, and its tombstone one like any other, after the next sweep", async () => {
    const { folder, store, drop } = await arrival();
    await store.sweep("drops", NOW);
    await store.close();
    expect(await onDisk(folder, drop)).toEqual(gone);
  });

  it("is so after the next sweep of a store that was started anew", async () => {
    const { folder, store, drop } = await arrival();
    await store.close();
    const { store: again } = await openBelieving({ ...settings, folder }, NOW);
    await again.sweep("drops", NOW);
    await again.close();
    expect(await onDisk(folder, drop)).toEqual(gone);
  });

  it("is known after a crash, when all that came before it is gone", async () => {
    const folder = temporaryFolder();
    const { store } = await openBelieving({ ...settings, folder, recentDrops: 8 }, NOW);
    onTestFinished(() => store.close());
    const drop = aDrop();
    await store.acknowledge({ signer: BOB, ids: [drop.id], deletion: false }, NOW);
    const others = Array.from({ length: 8 }, () => aDrop());
    const all = [...others.slice(0, 5), drop, ...others.slice(5)];
    for (const each of all) {
      expect(await store.put(each, NOW)).toBe("stored");
      if (each !== others.at(-1)) {
        await store.acknowledge({ signer: BOB, ids: [each.id], deletion: false }, NOW);
      }
    }
    const crashed = temporaryFolder();
    copyStore(folder, crashed);
    const { store: again } = await openBelieving({ ...settings, folder: crashed }, NOW);
    onTestFinished(() => again.close());
    expect(await again.put(drop, NOW)).toBe("known");
  });

  it("is so when as many drops came as are kept in memory, without a sweep", async () => {
    const { folder, store, drop } = await arrival();
    for (let count = 0; count < 2; count++) await store.put(aDrop(), NOW);
    await store.close();
    expect(await onDisk(folder, drop)).toEqual({ ...gone, drops: 2 });
  });
});

describe("a store from before all early tombstones were counted", () => {
  it("has them counted", async () => {
    const folder = temporaryFolder();
    const limits = { ...LIMITS, earlyTombstonesInAll: 3 };
    const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits };
    const first = await openBelieving(settings, NOW);
    const ids = [aDrop().id, aDrop().id];
    await first.store.acknowledge({ signer: BOB, ids, deletion: false }, NOW);
    await first.store.close();
    const file = openStoreFile(folder);
    await file.databases.early.remove(Buffer.alloc(1));
    await file.close();

    const { store } = await openBelieving(settings, NOW);
    onTestFinished(() => store.close());
    const acknowledge = (id: string) =>
      store.acknowledge({ signer: aDrop().author, ids: [id], deletion: false }, NOW);
    expect(await acknowledge(aDrop().id)).toBe("done");
    expect(await acknowledge(aDrop().id)).toBe("too many early");
  });
});

describe("a machine whose clock is before 1970", () => {
  it("sweeps nothing, and holds what comes", async () => {
    const folder = temporaryFolder();
    const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits: LIMITS };
    const { store } = await openBelieving(settings, -9 * DAY);
    onTestFinished(() => store.close());
    expect(await store.put(aDrop(), -9 * DAY)).toBe("stored");
    for (const of of ["drops", "tombstones"] as const) {
      expect(await store.sweep(of, -9 * DAY)).toMatchObject({ removed: 0 });
    }
    expect(await store.list(BOB, {}, 10)).toHaveLength(1);
  });
});

describe("a drop that expires while it waits to be put a second time", () => {
  it("is not listed twice, and not for ever", async () => {
    const folder = temporaryFolder();
    const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits: LIMITS };
    const { store } = await openBelieving(settings, NOW);
    onTestFinished(() => store.close());
    const drop = aDrop({ expiry: NOW + 1 });
    // One transaction.
    await Promise.all([
      store.put(drop, NOW),
      store.sweep("drops", NOW + 1),
      store.put(drop, NOW),
      store.put(drop, NOW),
    ]);
    expect((await store.list(BOB, {}, 10)).length).toBeLessThanOrEqual(1);
    await store.sweep("drops", NOW + 1);
    expect(await store.list(BOB, {}, 10)).toEqual([]);
    expect(store.totals().drops).toBe(0);
  });
});
