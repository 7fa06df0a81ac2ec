/** What other threads see of a store beside its file. */
export type SharedState = {
  /** The ids of recent drops: see recent-ids.ts. */
  readonly recentIds: SharedArrayBuffer;
  /** The `seq` of the newest drop committed. */
  readonly newest: SharedArrayBuffer;
};
