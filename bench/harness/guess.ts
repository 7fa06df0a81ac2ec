// Whether somebody who asks can tell by an answer, by its bytes or by its time, what became of what he asks about. What he can know is what separates two kinds of
// trials that come in random order: the best guess is found in the first half of them and tried on the second. Half of them right is what a coin gives.

export type Trial = {
  /** Which of the two kinds it is. */
  readonly isSo: boolean;
  /** What was answered, without what differs in any case. */
  readonly answer: string;
  readonly micros: number;
};

type Guess = (trial: Trial) => boolean;

/** What the best guesses come to, in words. */
export function guessed(
  trials: readonly Trial[],
  { so, otherwise }: { so: string; otherwise: string },
): string {
  const [first, second] = [trials.slice(0, trials.length / 2), trials.slice(trials.length / 2)];
  const bytes = guessFromBytes(first);
  const { guess: time, threshold } = guessFromTime(first);
  const spread = 1.96 * Math.sqrt(0.25 / second.length);
  const answers = [...new Set(trials.map(({ answer }) => answer))];
  const width = Math.max(so.length, otherwise.length) + 1;
  return `\
answers: ${answers.join(" and ")}
${`${so}:`.padEnd(width)} ${inWords(trials, true)}
${`${otherwise}:`.padEnd(width)} ${inWords(trials, false)}
best guess from the answer's bytes: right in ${percent(share(second, bytes))} of the second half
best guess from its time (threshold ${threshold.toFixed(0)} µs): right in ${percent(share(first, time))} of the first half, ${percent(share(second, time))} of the second
a coin is right in 50 % ± ${percent(spread)} of so many, 19 times in 20
`;
}

/** How many of the trials a guess gets right, as a share. */
function share(trials: readonly Trial[], guess: Guess): number {
  return trials.filter((trial) => guess(trial) === trial.isSo).length / trials.length;
}

/** For each answer what it more often meant. */
function guessFromBytes(trials: readonly Trial[]): Guess {
  const balance = new Map<string, number>();
  for (const { answer, isSo } of trials) {
    balance.set(answer, (balance.get(answer) ?? 0) + (isSo ? 1 : -1));
  }
  return ({ answer }) => (balance.get(answer) ?? 0) > 0;
}

/** The threshold, and the side of it, that is right most often. */
function guessFromTime(trials: readonly Trial[]): { guess: Guess; threshold: number } {
  const byTime = trials.toSorted((a, b) => a.micros - b.micros);
  // All are said to be so; one after the other, from the quickest on, is said not to be.
  let right = byTime.filter(({ isSo }) => isSo).length;
  let best = { distance: -1, threshold: 0, isSlower: true };
  for (const { micros, isSo } of byTime) {
    right += isSo ? -1 : 1;
    const distance = Math.abs(right - trials.length / 2);
    if (distance <= best.distance) continue;
    best = { distance, threshold: micros, isSlower: right >= trials.length / 2 };
  }
  const { threshold, isSlower } = best;
  return { threshold, guess: ({ micros }) => micros > threshold === isSlower };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

function inWords(trials: readonly Trial[], isSo: boolean): string {
  const times = trials
    .filter((trial) => trial.isSo === isSo)
    .map(({ micros }) => micros)
    .toSorted((a, b) => a - b);
  const [p10, p50, p90] = [0.1, 0.5, 0.9].map((q) => quantile(times, q).toFixed(0));
  return `${times.length} trials, p10 ${p10} µs, median ${p50} µs, p90 ${p90} µs`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(2)} %`;
}
