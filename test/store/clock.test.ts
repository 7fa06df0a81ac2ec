// What a clock that is ahead, behind or set while it runs does to a store: nothing that lasts.

import * as fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";

import { latestExpiry } from "../../src/nostr/drop.ts";
import {
  beliefAfter,
  type Belief,
  beliefAtStart,
  JUMP_SECONDS,
  STEADY_SECONDS,
} from "../../src/store/belief.ts";
import { openLmdbStore, type OpenedStore } from "../../src/store/lmdb.ts";
import { TestClock } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { aDrop, BOB, DAY, hex, LIMITS, NOW, sweepAll } from "./contract.ts";

const RETENTION = 30 * DAY;
const FAR = 33 * DAY;

describe("a clock", () => {
  const start = (wall: number, lastSweep: number, retention = RETENTION): Belief =>
    beliefAtStart({ wall, monotonic: 5 }, lastSweep, retention);

  it.each([
    ["where nothing was ever swept", NOW, 0, RETENTION, "new"],
    ["at the last sweep", NOW, NOW, RETENTION, undefined],
    ["before it", NOW - FAR, NOW, RETENTION, undefined],
    ["a day after it", NOW + DAY, NOW, RETENTION, undefined],
    ["more than a day after it", NOW + DAY + 1, NOW, RETENTION, "ahead"],
    ["a quarter of a short retention after it", NOW + 900, NOW, 3_600, undefined],
    ["more than that", NOW + 901, NOW, 3_600, "ahead"],
  ])("at a start %s", (_, wall, lastSweep, retention, doubt) => {
    expect(start(wall, lastSweep, retention).doubt).toBe(doubt);
  });

  it("is believed once it has been steady for an hour, whatever spoke against it", () => {
    const belief = start(NOW + FAR, NOW);
    const after = (seconds: number) =>
      beliefAfter(belief, { wall: NOW + FAR + seconds, monotonic: 5 + seconds });
    expect(after(STEADY_SECONDS - 1).doubt).toBe("ahead");
    expect(after(STEADY_SECONDS).doubt).toBe(undefined);
  });

  it.each([JUMP_SECONDS + 1, -JUMP_SECONDS - 1])("is not believed once it is set: %d", (jump) => {
    const belief = beliefAfter(start(NOW, NOW), { wall: NOW + jump, monotonic: 5 });
    expect(belief.doubt).toBe("jumped");
    const steady = { wall: NOW + jump + STEADY_SECONDS, monotonic: 5 + STEADY_SECONDS };
    expect(beliefAfter(belief, steady).doubt).toBe(undefined);
  });

  it("is believed after a pause in which both clocks went on", () => {
    const pause = { wall: NOW + FAR, monotonic: 5 + FAR };
    expect(beliefAfter(start(NOW, NOW), pause).doubt).toBe(undefined);
  });

  it("is set by many small steps as by a large one", () => {
    let belief = start(NOW, NOW);
    for (let step = 1; step <= 2 * JUMP_SECONDS && belief.doubt === undefined; step++) {
      belief = beliefAfter(belief, { wall: NOW + 2 * step, monotonic: 5 + step });
    }
    expect(belief.doubt).toBe("jumped");
  });

  // Steps of a clock that is read whenever anything happens: time goes by, or somebody sets it.
  const stepArb = fc.record({
    passes: fc.oneof(fc.nat(600), fc.nat(2 * STEADY_SECONDS)),
    isSet: fc.option(fc.integer({ min: -FAR, max: FAR }), { freq: 3, nil: 0 }),
  });

  it("is never believed beyond where it was by more than time went by, unless it was steady for an hour", () => {
    const property = fc.property(fc.array(stepArb, { maxLength: 30 }), (steps) => {
      let [wall, monotonic, quiet] = [NOW, 0, Infinity];
      let believed = { wall, monotonic };
      let belief = beliefAtStart(believed, NOW, RETENTION);
      for (const { passes, isSet } of steps) {
        wall += passes + isSet;
        monotonic += passes;
        quiet = Math.abs(isSet) > JUMP_SECONDS ? 0 : quiet + passes;
        belief = beliefAfter(belief, { wall, monotonic });
        if (belief.doubt !== undefined) continue;
        const isFar = wall - believed.wall > monotonic - believed.monotonic + 2 * JUMP_SECONDS;
        expect(isFar && quiet < STEADY_SECONDS).toBe(false);
        believed = { wall, monotonic };
      }
    });
    fc.assert(property, { numRuns: 2_000 });
  });

  it("is always believed again an hour after it was set for the last time", () => {
    const property = fc.property(fc.array(stepArb, { maxLength: 30 }), (steps) => {
      let [wall, monotonic] = [NOW + FAR, 0];
      let belief = beliefAtStart({ wall, monotonic }, NOW, RETENTION);
      const readings = [...steps, { passes: 1, isSet: 0 }, { passes: STEADY_SECONDS, isSet: 0 }];
      for (const { passes, isSet } of readings) {
        wall += passes + isSet;
        monotonic += passes;
        belief = beliefAfter(belief, { wall, monotonic });
      }
      expect(belief.doubt).toBe(undefined);
    });
    fc.assert(property, { numRuns: 2_000 });
  });
});

type Opened = OpenedStore & { readonly clock: OpenedStore["clock"]; readonly machine: TestClock };

/** Opens the store under a clock that shows this. It is closed after the test. */
async function openAt(
  now: number,
  folder = temporaryFolder(),
  change: { retentionSeconds?: number; boxDrops?: number } = {},
): Promise<Opened> {
  const { retentionSeconds = RETENTION, boxDrops = LIMITS.boxDrops } = change;
  const machine = new TestClock(now);
  const limits = { ...LIMITS, boxDrops };
  const settings = { folder, retentionSeconds, diskReserveBytes: 0, limits };
  const opened = await openLmdbStore(settings, machine);
  onTestFinished(() => opened.store.close());
  return { ...opened, machine };
}

/** A folder that was swept at NOW, and holds a drop and the tombstone of another one. */
async function aPast() {
  const folder = temporaryFolder();
  const { store, machine } = await openAt(NOW, folder);
  const [held, acknowledged] = [aDrop(), aDrop()];
  for (const drop of [held, acknowledged]) await store.put(drop, NOW);
  await store.acknowledge({ signer: BOB, ids: [acknowledged.id], deletion: false }, NOW);
  machine.passes(STEADY_SECONDS);
  await sweep({ store }, NOW);
  await store.close();
  return { folder, held, acknowledged };
}

/** Answers how many drops and tombstones went. */
async function sweep({ store }: Pick<OpenedStore, "store">, now: number): Promise<number[]> {
  return [await sweepAll(store, "drops", now), await sweepAll(store, "tombstones", now)];
}

async function heldBy({ store }: Pick<OpenedStore, "store">): Promise<string[]> {
  return (await store.list(BOB, {}, 100)).map(({ idPrefix }) => idPrefix);
}

const prefix = ({ id }: { id: string }): string => id.slice(0, 32);

describe("a store whose clock is far ahead", () => {
  it("deletes neither drops nor tombstones at a start", async () => {
    const { folder, held, acknowledged } = await aPast();
    const ahead = await openAt(NOW + FAR, folder);
    expect(ahead.clock.doubt).toBe("ahead");
    expect(await sweep(ahead, NOW + FAR)).toEqual([0, 0]);
    await ahead.store.close();
    const right = await openAt(NOW + 60, folder);
    expect(right.clock.doubt).toBe(undefined);
    expect(await heldBy(right)).toEqual([prefix(held)]);
    expect(await right.store.put(acknowledged, NOW + 60)).toBe("known");
  });

  it("deletes nothing for the time in which it is, while it runs", async () => {
    const { folder, held } = await aPast();
    const opened = await openAt(NOW + 10, folder);
    opened.machine.isSet(FAR);
    expect(await sweep(opened, NOW + 10 + FAR)).toEqual([0, 0]);
    expect(opened.clock.doubt).toBe("jumped");
    opened.machine.isSet(-FAR);
    expect(await sweep(opened, NOW + 10)).toEqual([0, 0]);
    expect(await heldBy(opened)).toEqual([prefix(held)]);
  });

  it("deletes nothing for a time that was read before it was set back", async () => {
    const { folder, held } = await aPast();
    const opened = await openAt(NOW + 10, folder);
    expect(await sweep(opened, NOW + 10 + FAR)).toEqual([0, 0]);
    expect(await heldBy(opened)).toEqual([prefix(held)]);
  });

  it("goes on to take up to the last sweep what is past", async () => {
    const folder = temporaryFolder();
    const before = await openAt(NOW, folder);
    const past = aDrop({ expiry: NOW - 5 });
    await before.store.put(past, NOW - 10);
    await before.confirmClock();
    await before.store.close();
    const ahead = await openAt(NOW + FAR, folder);
    expect(await sweep(ahead, NOW + FAR)).toEqual([1, 0]);
  });

  it("makes no room in a full box", async () => {
    const { folder, held } = await aPast();
    const ahead = await openAt(NOW + FAR, folder, { boxDrops: 1 });
    const later = aDrop({ created_at: NOW + FAR });
    expect(await ahead.store.put(later, NOW + FAR)).toBe("box full");
    expect(await heldBy(ahead)).toEqual([prefix(held)]);
  });

  it("deletes nothing at the end of a grace, which ends all the same", async () => {
    const { folder, held } = await aPast();
    const ahead = await openAt(NOW + FAR, folder);
    const at = NOW + 3_600;
    const grace = { signer: BOB, ids: [held.id], at, deletion: false };
    expect(await ahead.store.acknowledge(grace, NOW + FAR)).toBe("done");
    expect(await ahead.store.list(BOB, {}, 10)).toMatchObject([{ expiry: at }]);
  });

  it("deletes what is acknowledged, and what a request to vanish speaks of", async () => {
    const { folder, held } = await aPast();
    const ahead = await openAt(NOW + FAR, folder);
    const another = aDrop();
    await ahead.store.put(another, NOW + FAR);
    await ahead.store.acknowledge({ signer: BOB, ids: [held.id], deletion: false }, NOW + FAR);
    expect(await heldBy(ahead)).toEqual([prefix(another)]);
    const vanishing = { id: hex("vanish"), signer: BOB, created_at: NOW };
    expect(await ahead.store.vanish(vanishing, NOW + FAR)).toBe("done");
    expect(await heldBy(ahead)).toEqual([]);
  });

  it("forgets no retention of the past", async () => {
    const folder = temporaryFolder();
    const short = await openAt(NOW, folder, { retentionSeconds: DAY });
    await short.confirmClock();
    await short.store.close();
    const raised = await openAt(NOW + 60, folder);
    await raised.store.close();
    const ahead = await openAt(NOW + 60 + 4 * FAR, folder);
    await ahead.store.close();
    const right = await openAt(NOW + 120, folder);
    expect(latestExpiry(NOW, right.rule)).toBe(NOW + 3 * DAY);
  });

  it("deletes once the clock has been steady for an hour: the relay was switched off", async () => {
    const { folder } = await aPast();
    const later = await openAt(NOW + FAR, folder);
    later.machine.passes(STEADY_SECONDS);
    expect(later.clock.doubt).toBe(undefined);
    expect(await sweep(later, later.machine.now())).toEqual([1, 1]);
  });

  it("deletes once somebody says that it is right, and remembers that", async () => {
    const { folder } = await aPast();
    const ahead = await openAt(NOW + FAR, folder);
    await ahead.confirmClock();
    expect(ahead.clock.doubt).toBe(undefined);
    expect(await sweep(ahead, NOW + FAR)).toEqual([1, 1]);
    await ahead.store.close();
    expect((await openAt(NOW + FAR + 60, folder)).clock.doubt).toBe(undefined);
  });
});

describe("a store whose clock is behind", () => {
  const BACK = 20 * DAY;

  it("deletes nothing early", async () => {
    const { folder, held, acknowledged } = await aPast();
    const behind = await openAt(NOW - BACK, folder);
    expect(behind.clock.doubt).toBe("behind");
    expect(await sweep(behind, NOW - BACK)).toEqual([0, 0]);
    expect(await heldBy(behind)).toEqual([prefix(held)]);
    expect(await behind.store.put(acknowledged, NOW - BACK)).toBe("known");
  });

  it("takes nothing that had expired at the last sweep, whatever became of it", async () => {
    const folder = temporaryFolder();
    const before = await openAt(NOW - 10 * DAY, folder);
    const expiry = NOW - 5 * DAY;
    const drops = [aDrop({ expiry }), aDrop({ expiry }), aDrop({ expiry })];
    const [held, acknowledged] = drops;
    for (const drop of [held!, acknowledged!]) await before.store.put(drop, NOW - 10 * DAY);
    const acknowledging = { signer: BOB, ids: [acknowledged!.id], deletion: false };
    await before.store.acknowledge(acknowledging, NOW - 10 * DAY);
    before.machine.passes(10 * DAY);
    // Its tombstone is still there.
    expect(await sweepAll(before.store, "drops", NOW)).toBe(1);
    await before.store.close();

    const behind = await openAt(NOW - BACK, folder);
    for (const drop of drops) expect(await behind.store.put(drop, NOW - BACK)).toBe("expired");
    expect(await sweepAll(behind.store, "tombstones", NOW - BACK)).toBe(0);
    await behind.confirmClock();
    expect(await behind.store.put(held!, NOW - BACK)).toBe("stored");
  });

  it("remembers what is acknowledged early as if it were the time of the last sweep", async () => {
    const { folder } = await aPast();
    const behind = await openAt(NOW - BACK, folder);
    const late = aDrop({ created_at: NOW });
    const early = { signer: BOB, ids: [late.id], deletion: false };
    await behind.store.acknowledge(early, NOW - BACK);
    await behind.store.close();
    const right = await openAt(NOW + 60, folder);
    right.machine.passes(RETENTION + 2 * DAY - 61);
    const end = NOW + RETENTION + 2 * DAY - 1;
    await sweep(right, end);
    expect(await right.store.put(late, end)).toBe("stored");
    expect(await heldBy(right)).not.toContain(prefix(late));
  });

  it("has a retention end no sooner than at the last sweep", async () => {
    const { folder } = await aPast();
    const behind = await openAt(NOW - BACK, folder, { retentionSeconds: DAY });
    expect(latestExpiry(NOW, behind.rule)).toBe(NOW + RETENTION + 2 * DAY);
  });
});
