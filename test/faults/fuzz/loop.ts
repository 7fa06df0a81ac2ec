// Coverage-guided fuzzing, in one process: an input that takes a branch of src/ that none before it took, or takes one much more often, is kept, and further
// inputs are made of those that were kept.

import { branches, reset, steps, taken } from "./counters.ts";
import { type Material, mutant, pumped } from "./mutate.ts";
import { Random } from "./random.ts";
import type { Target } from "./target.ts";

export type Fuzzed = {
  readonly inputs: number;
  /** Those that were kept. */
  readonly corpus: readonly string[];
  /** Branches that were taken by some input, and all there are in the modules that the target loads. */
  readonly branchesTaken: number;
  readonly branches: number;
  /** The most branches that one input took for a character of it, beyond what any input may take. */
  readonly stepsPerChar: number;
  readonly finding?: { readonly input: string; readonly what: string };
};

const MAX_CHARS = 4_096;
const LONG = 16;

export async function fuzz(
  target: Target,
  { runs, seed, corpus: former }: { runs: number; seed: number; corpus: readonly string[] },
): Promise<Fuzzed> {
  const random = new Random(seed);
  const seen = new Seen();
  const corpus: string[] = [];
  const material: Material = {
    words: target.words ?? [" "],
    isJson: target.isJson ?? false,
    maxChars: target.maxChars ?? MAX_CHARS,
  };
  const begun = [...target.seeds, ...former];
  // Of each input that was kept, with a piece of it many times over.
  const long: string[] = [];
  let stepsPerChar = 0;
  let inputs = 0;
  for (; inputs < begun.length + runs; inputs++) {
    const input =
      begun[inputs] ??
      long.pop() ??
      mutant(parentOf(corpus, random), random, () => random.of(corpus), material);
    const what = await fault(target, input);
    const { fixed } = target.steps;
    stepsPerChar = Math.max(stepsPerChar, (steps() - fixed) / Math.max(1, input.length));
    if (what !== undefined) {
      const finding = { input: await smallest(target, input, what), what };
      return { inputs, corpus, ...seen.count(), stepsPerChar, finding };
    }
    if (!seen.isNew() && inputs >= begun.length) continue;
    corpus.push(input);
    for (let times = 0; times < LONG; times++) long.push(pumped(input, random, material.maxChars));
  }
  return { inputs, corpus, ...seen.count(), stepsPerChar };
}

// What was kept last is what leads on.
function parentOf(corpus: readonly string[], random: Random): string {
  const last = Math.min(corpus.length, 32);
  return random.oneIn(2)
    ? random.of(corpus)
    : (corpus[corpus.length - 1 - random.below(last)] ?? "");
}

/** What is wrong with the target on this input. */
async function fault(target: Target, input: string): Promise<string | undefined> {
  reset();
  try {
    const checking = target.check(input);
    if (checking !== undefined) await checking;
  } catch (error) {
    const { name, message } = error as Error;
    return `${name}: ${message}`;
  }
  const allowed = target.steps.fixed + target.steps.perChar * input.length;
  return steps() > allowed
    ? "Finding: it takes more steps than the input has characters for"
    : undefined;
}

/** The shortest input, found by leaving pieces out, on which the same is wrong. */
async function smallest(target: Target, input: string, what: string): Promise<string> {
  let text = input;
  for (let size = text.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= text.length;) {
      const shorter = text.slice(0, at) + text.slice(at + size);
      if ((await fault(target, shorter)) === what) text = shorter;
      else at += size;
    }
  }
  return text;
}

// Which branches were taken, and how often: once, twice, three times, up to 7, 15, 31, 127, and more. A bit for each.
class Seen {
  readonly #seen = new Uint8Array(taken.length);

  /** Whether the last input took some branch as no other did. */
  isNew(): boolean {
    let isNew = false;
    for (let branch = 0; branch < branches(); branch++) {
      const times = taken[branch] ?? 0;
      if (times === 0) continue;
      const bit = 1 << rank(times);
      const before = this.#seen[branch] ?? 0;
      if ((before & bit) !== 0) continue;
      this.#seen[branch] = before | bit;
      isNew = true;
    }
    return isNew;
  }

  count(): { branchesTaken: number; branches: number } {
    const all = this.#seen.subarray(0, branches());
    return { branchesTaken: all.filter((bits) => bits !== 0).length, branches: branches() };
  }
}

function rank(times: number): number {
  if (times <= 3) return times - 1;
  if (times < 8) return 3;
  if (times < 16) return 4;
  if (times < 32) return 5;
  return times < 128 ? 6 : 7;
}
