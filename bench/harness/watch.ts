import { setTimeout as sleep } from "node:timers/promises";

import { cpuMs, memoryBytes, waitedMs } from "./process.ts";

const LOOK_MS = 50;
const WINDOW_MS = 500;
/** Of a core, in a window: a relay that uses more is busy, one that uses less in two windows in a row is calm again. */
const BUSY = 0.5;
const CALM_WINDOWS = 2;

/** What a process takes while somebody is at it. */
export class Watch {
  readonly #pid: number;
  readonly #cpuBefore: number;
  readonly #began = performance.now();
  readonly #waitedBefore: number;
  #waitedMs: number;
  #cpuMs: number;
  #window: { at: number; cpuMs: number };
  #calmWindows = 0;
  #busyMs = 0;
  #peakBytes = 0;
  #isAlive = true;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#cpuBefore = this.#cpuMs = cpuMs(pid);
    this.#waitedBefore = this.#waitedMs = waitedMs(pid);
    this.#window = { at: this.#began, cpuMs: this.#cpuMs };
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** The most memory of its own that it had. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** How long it used more than half a core. */
  get busyMs(): number {
    return this.#busyMs;
  }

  /** What it used of a core so far, 1 being all of it. */
  get share(): number {
    this.#look();
    return (this.#cpuMs - this.#cpuBefore) / (performance.now() - this.#began);
  }

  /** How long it waited for a core meanwhile, as `share` has it. */
  get waited(): number {
    return (this.#waitedMs - this.#waitedBefore) / (performance.now() - this.#began);
  }

  /** Resolves when it has been calm for a second, or is gone, or after `limitMs`. */
  async calm(limitMs: number): Promise<void> {
    const late = performance.now() + limitMs;
    this.#calmWindows = 0;
    while (this.#isAlive && this.#calmWindows < CALM_WINDOWS && performance.now() < late) {
      await sleep(LOOK_MS);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    try {
      this.#peakBytes = Math.max(this.#peakBytes, memoryBytes(this.#pid) || 0);
      this.#cpuMs = cpuMs(this.#pid);
      this.#waitedMs = waitedMs(this.#pid);
    } catch {
      this.#isAlive = false;
      return;
    }
    const now = performance.now();
    const ms = now - this.#window.at;
    if (ms < WINDOW_MS) return;
    const isBusy = (this.#cpuMs - this.#window.cpuMs) / ms > BUSY;
    this.#window = { at: now, cpuMs: this.#cpuMs };
    this.#calmWindows = isBusy ? 0 : this.#calmWindows + 1;
    if (isBusy) this.#busyMs += ms;
  }
}
