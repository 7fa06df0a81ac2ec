import type { WorldPlan } from "./plan.ts";

/** The same plan with less in it, for as long as it `fails`, and no more often than that. */
export async function smaller(
  plan: WorldPlan,
  fails: (plan: WorldPlan) => Promise<boolean>,
  attempts: number,
): Promise<WorldPlan> {
  let least = plan;
  let left = attempts;
  for (let candidates = without(least); left > 0; left--) {
    const { value, done } = candidates.next();
    if (done === true) break;
    const candidate = value as WorldPlan;
    if (!isWorld(candidate) || !(await fails(candidate))) continue;
    least = candidate;
    candidates = without(least);
  }
  return least;
}

// A request without a filter is another thing.
function isWorld({ readers }: WorldPlan): boolean {
  return readers.every(({ filters, instead }) => filters.length > 0 && instead?.length !== 0);
}

// Copies that lack one element of one list, wherever it stands.
function* without(value: unknown): Generator<unknown, undefined> {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) for (let at = 0; at < value.length; at++) yield value.toSpliced(at, 1);
  for (const [name, inner] of Object.entries(value)) {
    for (const less of without(inner)) {
      yield Array.isArray(value) ? value.with(Number(name), less) : { ...value, [name]: less };
    }
  }
}
