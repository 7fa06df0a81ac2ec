// A relay that says it has had too much is given time: to ask too often is no fault of the relay.

const MAX_REPEATS = 40;
const PAUSE_MS = 250;

/** Asks, and asks again after a pause for as long as the answer is that the relay has had too much, `MAX_REPEATS` times at most. */
export async function unhurried<T>(
  ask: () => Promise<T>,
  isHurried: (answer: T) => boolean,
): Promise<T> {
  for (let repeats = 0; ; repeats++) {
    const answer = await ask();
    if (!isHurried(answer) || repeats >= MAX_REPEATS) return answer;
    await pause(PAUSE_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
