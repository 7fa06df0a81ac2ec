/** What other threads see of a store beside its file. */
export type SharedState = {
  /** What the store is written under, 32 bytes. */
  readonly secret: Uint8Array;
  /** The ids of recent drops: see recent-ids.ts. */
  readonly recentIds: SharedArrayBuffer;
  /** The `seq` of the newest drop committed. */
  readonly newest: SharedArrayBuffer;
  /** The time up to which was swept, as 64 bits: see clock.ts. */
  readonly lastSweep: SharedArrayBuffer;
  /** How many drops lie on disk that are not held, and were not discarded yet: see arrivals.ts. 32 bits. */
  readonly arrivals: SharedArrayBuffer;
  /** 1 while the disk has no room for drops, as 32 bits. */
  readonly isFull: SharedArrayBuffer;
};

/** The time up to which was swept: what expired by then is not taken any more, even when the clock was set back since. */
export function lastSweep(shared: Pick<SharedState, "lastSweep">): number {
  return Number(Atomics.load(new BigInt64Array(shared.lastSweep), 0));
}

/** Whether the disk had no room for drops when it was last looked at. */
export function isFull(shared: Pick<SharedState, "isFull">): boolean {
  return Atomics.load(new Int32Array(shared.isFull), 0) === 1;
}
