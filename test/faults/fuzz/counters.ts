// What the instrumented sources count: how often each of their branches was taken. One array for all of them, so that looking at it costs a microsecond.

const MOST = 65_536;

const counted = globalThis as { __taken?: Uint32Array; __branches?: number };

/** How often each branch was taken since the last `reset`. The sources have it by the name that is written into them. */
export const taken: Uint32Array = (counted.__taken ??= new Uint32Array(MOST));

/** How many branches there are. */
export function branches(): number {
  return counted.__branches ?? 0;
}

/** A place for another branch. */
export function newBranch(): number {
  const branch = branches();
  if (branch >= MOST) throw new Error("more branches than are counted");
  counted.__branches = branch + 1;
  return branch;
}

/** Everything that was done since the last `reset`, in branches taken: what a clock would say, without a clock. */
export function steps(): number {
  let sum = 0;
  for (let branch = 0; branch < branches(); branch++) sum += taken[branch] ?? 0;
  return sum;
}

export function reset(): void {
  taken.fill(0, 0, branches());
}
