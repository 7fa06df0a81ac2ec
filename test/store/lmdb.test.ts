import { describe, expect, it, onTestFinished } from "vitest";

import { openKnownDrops, openLmdbStore } from "../../src/store/lmdb.ts";
import { temporaryFolder } from "../support/relay.ts";
import { aDrop, BOB, DAY, LIMITS, NOW, storeContract } from "./contract.ts";
import { openModel } from "./model.ts";

storeContract("model", openModel);

storeContract("LMDB", (folder, { storageFull, ...settings }, now) =>
  // More than any disk has.
  openLmdbStore({ ...settings, folder, diskReserveBytes: storageFull ? 2 ** 60 : 0 }, now),
);

describe("a second view of the LMDB store", () => {
  it("knows what is held and what was acknowledged, once it is refreshed", async () => {
    const folder = temporaryFolder();
    const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits: LIMITS };
    const { store, recentIds } = await openLmdbStore(settings, NOW);
    onTestFinished(() => store.close());
    const view = openKnownDrops(folder, recentIds);
    onTestFinished(() => view.close());

    const [held, acknowledged, unheardOf] = [aDrop(), aDrop(), aDrop()];
    for (const drop of [held, acknowledged]) await store.put(drop, NOW);
    await store.acknowledge({ signer: BOB, ids: [acknowledged.id], deletion: false }, NOW);
    view.refresh();
    expect([held, acknowledged, unheardOf].map((drop) => view.known(drop))).toEqual([
      true,
      true,
      false,
    ]);
  });
});
