/** Time and chance, which the relay does not look up itself. */
export type Runtime = {
  /** Unix seconds, whole. */
  now(): number;
  /** Seconds since whenever, never set back. */
  monotonic(): number;
  /** Answers so many random bytes as hex digits. */
  randomHex(bytes: number): string;
};
