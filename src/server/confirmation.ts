// How an operator tells a running relay that its clock is right: a file in the folder of the store, where nobody else may write. Whoever asks puts it there
// with the time that is confirmed; the relay takes it away once it has remembered that.

import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const FILE = "clock-is-right";

/** Asks the relay whose store is in `folder` to believe that it is `now`. Throws when nobody can write there. */
export function askToConfirm(folder: string, now: number): void {
  const file = join(folder, FILE);
  writeFileSync(`${file}.part`, `${now}\n`);
  // Seen whole or not at all. It need not outlive a power cut, as whoever asks does not either.
  renameSync(`${file}.part`, file);
}

/** Whether the relay has yet to take it. */
export function isAsked(folder: string): boolean {
  return existsSync(join(folder, FILE));
}

/** The time that somebody confirms, undefined when nobody does. */
export function confirmedTime(folder: string): number | undefined {
  if (!isAsked(folder)) return undefined;
  return Number(readFileSync(join(folder, FILE), "utf8"));
}

/** Takes the question away: it is answered, or whoever asked waits no more. */
export function forgetConfirmation(folder: string): void {
  rmSync(join(folder, FILE), { force: true });
}
