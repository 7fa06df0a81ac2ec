// Whether the machine's clock is believed when it says that something is past.
//
// Clocks are wrong at boot, until somebody corrects them, and now and then while they run. What was deleted by a wrong clock is gone for good; what is past
// and still on disk is not served, and costs nothing but room. So a clock is believed at once only if it goes on where the last sweep left it, and otherwise
// after it has gone on steadily, beside the monotonic clock, for long enough that who corrects clocks would have done so.

const DAY_SECONDS = 24 * 60 * 60;

/** NTP corrects a clock within minutes of a start, or of the network's coming. A machine that sleeps every night is awake for longer than this. */
export const STEADY_SECONDS = 60 * 60;
/** Two clocks that drift apart by more since they were last compared: one of them was set. */
export const JUMP_SECONDS = 60;

/**
 * Why what is past is not deleted for now: nothing was ever swept; the clock is far beyond the last sweep; it was set, or stood still, while the relay ran.
 * `behind`: it is before the last sweep, so that nothing becomes past.
 */
export type Doubt = (typeof DOUBTS)[number];
export const DOUBTS = ["new", "ahead", "jumped", "behind"] as const;

/** What the clocks say at one moment, seconds. */
export type Reading = { readonly wall: number; readonly monotonic: number };

/** By how much the clocks are apart, since when, and what speaks against the wall clock. */
export type Belief = {
  readonly apart: number;
  readonly since: number;
  readonly doubt: Exclude<Doubt, "behind"> | undefined;
};

/** How far beyond the last sweep a clock is believed at a start: a day, or a quarter of the retention. */
function nearby(retentionSeconds: number): number {
  return Math.min(DAY_SECONDS, retentionSeconds / 4);
}

/** What is thought of a clock at a start. `lastSweep` is the time up to which everything was swept, 0 if nothing ever was. */
export function beliefAtStart(
  { wall, monotonic }: Reading,
  lastSweep: number,
  retentionSeconds: number,
): Belief {
  const believed = { apart: wall - monotonic, since: monotonic, doubt: undefined };
  if (lastSweep === 0) return { ...believed, doubt: "new" };
  if (wall > lastSweep + nearby(retentionSeconds)) return { ...believed, doubt: "ahead" };
  return believed;
}

/** What is thought of it after another reading. */
export function beliefAfter(belief: Belief, { wall, monotonic }: Reading): Belief {
  const apart = wall - monotonic;
  // Compared with where they stood when they were last set, not with the reading before: many small steps are a large one.
  if (Math.abs(apart - belief.apart) > JUMP_SECONDS) {
    return { apart, since: monotonic, doubt: "jumped" };
  }
  const isSteady = monotonic - belief.since >= STEADY_SECONDS;
  return belief.doubt !== undefined && isSteady ? { ...belief, doubt: undefined } : belief;
}
