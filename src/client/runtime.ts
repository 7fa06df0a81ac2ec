/** Where time and randomness come from. */
export type Runtime = {
  /** Unix seconds. */
  readonly now: () => number;
  /** Evenly between 0 and 1, without 1. */
  readonly random: () => number;
};

/** The system's clock and random numbers. */
export const systemRuntime: Runtime = {
  now: () => Math.floor(Date.now() / 1_000),
  // It hides times, so it is drawn as keys are.
  random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
};
