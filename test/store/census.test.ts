import { describe, expect, it, onTestFinished } from "vitest";

import type { Drop } from "../../src/nostr/drop.ts";
import type { OpenedStore } from "../../src/store/lmdb.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { aDrop, DAY, hex, LIMITS, NOW } from "./contract.ts";

/** Opens a store; with few `recentDrops` most entries are on the disk, with many all are in memory. */
async function open(folder: string, recentDrops: number): Promise<OpenedStore> {
  const settings = {
    folder,
    retentionSeconds: 30 * DAY,
    diskReserveBytes: 0,
    limits: LIMITS,
    recentDrops,
  };
  const opened = await openBelieving(settings, NOW);
  onTestFinished(() => opened.store.close());
  return opened;
}

const census = (opened: OpenedStore) => opened.census(() => false);

const bytesOf = (drops: readonly Drop[]): number =>
  drops.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0);

describe("a census", () => {
  it("of nothing finds nothing", async () => {
    const opened = await open(temporaryFolder(), 4);
    expect(await census(opened)).toEqual({ boxes: 0, bytes: 0, oldest: undefined });
  });

  it.each([
    ["on the disk, but for some", 4],
    ["in memory", 100_000],
  ])("counts every box and drop once, and finds the oldest: entries %s", async (_, recent) => {
    const opened = await open(temporaryFolder(), recent);
    const { store } = opened;
    // More than are looked at together.
    const drops = Array.from({ length: 2_300 }, (__, n) =>
      aDrop({ recipient: hex(String(n % 700)), created_at: NOW - n }),
    );
    await Promise.all(drops.map((drop) => store.put(drop, NOW)));
    expect(await census(opened)).toEqual({
      boxes: 700,
      bytes: bytesOf(drops),
      oldest: NOW - 2_299,
    });

    const [gone, kept] = [drops.slice(1_000), drops.slice(0, 1_000)];
    for (const recipient of new Set(gone.map((drop) => drop.recipient))) {
      const ids = gone.filter((drop) => drop.recipient === recipient).map(({ id }) => id);
      await store.acknowledge({ signer: recipient, ids, deletion: false }, NOW);
    }
    expect(await census(opened)).toEqual({ boxes: 700, bytes: bytesOf(kept), oldest: NOW - 999 });
  });

  it("ends early when it is given up", async () => {
    const opened = await open(temporaryFolder(), 4);
    const drops = Array.from({ length: 2_300 }, (_, n) => aDrop({ recipient: hex(String(n)) }));
    await Promise.all(drops.map((drop) => opened.store.put(drop, NOW)));
    const { boxes } = await opened.census(() => true);
    expect(boxes).toBeLessThan(drops.length);
  });
});

describe("drops of days that are over", () => {
  it("are counted until they are off the disk", async () => {
    const { store, expired } = await open(temporaryFolder(), 4);
    for (let n = 0; n < 3; n++) {
      await store.put(aDrop({ recipient: hex(String(n)), created_at: NOW - 20 * DAY }), NOW);
    }
    // The clock of this store is ages ahead.
    expect(expired()).toBe(3);
    await store.sweep("drops", NOW + 300 * DAY);
    expect(expired()).toBe(0);
  });
});
