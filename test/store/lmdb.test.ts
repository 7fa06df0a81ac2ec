import { statSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";

import { describe, expect, it, onTestFinished } from "vitest";

import { openKnownDrops } from "../../src/store/known-drops.ts";

import { UNHEARD } from "../../src/store/incidents.ts";
import { remoteStore } from "../../src/store/remote.ts";
import { shareStore } from "../../src/store/shared.ts";
import type { Store } from "../../src/store/store.ts";
import { openEnvironment } from "../../src/store/tables.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
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
      return [held, acknowledged, early, unheardOf].map((drop) => view.known(drop));
    };
    expect(known()).toEqual([true, true, false, false]);
    await store.put(early, NOW);
    expect(known()).toEqual([true, true, true, false]);
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
    const { root, tables } = openEnvironment(folder, false);
    await tables.early.remove(Buffer.alloc(1));
    await root.close();

    const { store } = await openBelieving(settings, NOW);
    onTestFinished(() => store.close());
    const acknowledge = (id: string) =>
      store.acknowledge({ signer: aDrop().author, ids: [id], deletion: false }, NOW);
    expect(await acknowledge(aDrop().id)).toBe("done");
    expect(await acknowledge(aDrop().id)).toBe("too many early");
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
