import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";

import { systemRuntime } from "../../src/server/runtime.ts";
import { type LmdbSettings, openLmdbStore, type OpenedStore } from "../../src/store/lmdb.ts";
import type { Clock } from "../../src/store/clock.ts";
import { type AtEnd, temporaryFolder } from "./relay.ts";

const AGES = 2 ** 31;
const DAY = 24 * 60 * 60;
/** Of a store, larger than any test fills it. */
export const LIMITS = {
  boxDrops: 1_000,
  boxBytes: 2 ** 20,
  eventBytes: 65_536,
  earlyTombstones: 1_000,
  earlyTombstonesInAll: 1_000,
  authorDeletesWraps: false,
};

/** A machine's clocks, set by the test. */
export class TestClock implements Clock {
  #wall: number;
  #monotonic = 0;

  constructor(now: number) {
    this.#wall = now;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** Time goes by. */
  passes(seconds: number): void {
    this.#wall += seconds;
    this.#monotonic += seconds;
  }

  /** Somebody sets the clock, so much ahead. */
  isSet(seconds: number): void {
    this.#wall += seconds;
  }
}

/** Opens a store at `now`, where whatever time is named from then on is believed. */
export async function openBelieving(settings: LmdbSettings, now: number): Promise<OpenedStore> {
  const clock = new TestClock(now);
  const opened = await openLmdbStore(settings, clock);
  clock.passes(AGES);
  return opened;
}

/** Makes a relay that starts on this folder now believe its clock at once, as if one had swept a moment ago. */
export async function sweptLately(folder: string, retentionSeconds = 30 * DAY): Promise<void> {
  const settings = { folder, retentionSeconds, diskReserveBytes: 0, limits: LIMITS };
  const { store, confirmClock } = await openLmdbStore(settings, systemRuntime);
  await confirmClock();
  await store.close();
}

const PRELOADED = new URL("./shifted-clock.mjs", import.meta.url).href;

/** The clocks of a process, in all its threads, for as long as the test runs, or until `atEnd`: they show the machine's time and what is added to it. */
export class ShiftedClock {
  /** Variables of the process that has these clocks. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;
  readonly #ahead: Float64Array;

  constructor(wallSeconds = 0, atEnd?: AtEnd) {
    this.#file = join(temporaryFolder(atEnd), "clock");
    this.#ahead = Float64Array.of(wallSeconds * 1_000, 0);
    writeFileSync(this.#file, this.#ahead);
    this.env = { NODE_OPTIONS: `--import=${PRELOADED}`, TEST_CLOCK: this.#file };
  }

  /** Unix seconds, as the process sees them. */
  now(): number {
    return Math.floor((Date.now() + (this.#ahead[0] ?? 0)) / 1_000);
  }

  /** Seconds that went by, beside those that the process alone knows of. */
  monotonic(): number {
    return (performance.now() + (this.#ahead[1] ?? 0)) / 1_000;
  }

  /** Somebody sets the clock, so much ahead of the machine's. */
  isSet(seconds: number): void {
    this.#ahead[0] = seconds * 1_000;
    this.#write();
  }

  /** Time goes by, more than does. */
  passes(seconds: number): void {
    this.#ahead[0]! += seconds * 1_000;
    this.#ahead[1]! += seconds * 1_000;
    this.#write();
  }

  /** Somebody sets the clock, so much further; or the machine sleeps for so long, and its monotonic clock, too. */
  isMoved(seconds: number): void {
    this.#ahead[0]! += seconds * 1_000;
    this.#write();
  }

  #write(): void {
    const file = openSync(this.#file, "r+");
    writeSync(file, this.#ahead, 0, this.#ahead.byteLength, 0);
    closeSync(file);
  }
}
