// What is looked at every second, in the thread that has the store open: the clock, whether somebody confirms it, and the disk.

import type { Doubt } from "../store/belief.ts";
import type { OpenedStore } from "../store/lmdb.ts";
import type { Log } from "../relay/observer.ts";
import { confirmedTime, forgetConfirmation } from "./confirmation.ts";
import { systemRuntime } from "./runtime.ts";

export type UpkeepSettings = { readonly folder: string; readonly log: Log };

const LOOK_MS = 1_000;
// Who confirms the clock reads the same one; what lies there for longer was left by somebody who does not wait for it.
const CONFIRMED_SECONDS = 60;

const CONFIRM = 'or "deaddrop clock confirm" says that it is right';
const DOUBTS: Readonly<Record<Doubt, string>> = {
  new: "nothing was ever swept here: what is past is deleted once the clock has been steady for an hour",
  ahead: `the clock is far beyond the last sweep: what is past stays on disk until the clock has been steady for an hour, ${CONFIRM}`,
  jumped: `the clock was set, or the machine slept: what is past stays on disk until the clock has been steady for an hour, ${CONFIRM}`,
  behind: `the clock is before the last sweep: what expires before that is refused until the clock is past it, ${CONFIRM}`,
};

export class Upkeep {
  readonly #opened: OpenedStore;
  readonly #settings: UpkeepSettings;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;
  #doubt: Doubt | undefined;

  constructor(opened: OpenedStore, settings: UpkeepSettings) {
    this.#opened = opened;
    this.#settings = settings;
    this.#warnOfReserve();
    this.#timer = setInterval(() => this.#start(), LOOK_MS);
    this.#start();
  }

  /** Resolves when it has looked for the last time. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  #start(): void {
    this.#looking ??= this.#look()
      .catch((error: unknown) => this.#settings.log.error({ err: error }, "upkeep failed"))
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #look(): Promise<void> {
    await this.#confirm();
    this.#tellDoubt();
    await this.#opened.look();
  }

  async #confirm(): Promise<void> {
    const { folder, log } = this.#settings;
    const time = confirmedTime(folder);
    if (time === undefined) return;
    if (Math.abs(time - systemRuntime.now()) <= CONFIRMED_SECONDS) {
      await this.#opened.confirmClock();
      log.info({ clock: shown(systemRuntime.now()) }, "the clock was confirmed");
    }
    forgetConfirmation(folder);
  }

  #tellDoubt(): void {
    const { log } = this.#settings;
    const { doubt, lastSweep } = this.#opened.clock;
    if (doubt === this.#doubt) return;
    this.#doubt = doubt;
    const details = { doubt, clock: shown(systemRuntime.now()), lastSweep: shown(lastSweep) };
    if (doubt === undefined) log.info(details, "the clock is believed");
    else if (doubt === "new") log.info(details, DOUBTS[doubt]);
    else log.warn(details, DOUBTS[doubt]);
  }

  #warnOfReserve(): void {
    const { freeBytes, reserveBytes } = this.#opened.disk.free;
    if (freeBytes >= reserveBytes) return;
    this.#settings.log.warn(
      { freeBytes, reserveBytes },
      "limits.diskReserveBytes is more than the disk has free: drops are refused but for what the store's file has room for",
    );
  }
}

function shown(seconds: number): string | undefined {
  return seconds === 0 ? undefined : new Date(seconds * 1_000).toISOString();
}
