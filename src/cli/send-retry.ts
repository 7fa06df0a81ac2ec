import type { DeadDrop, SavedDelivery } from "../client/client.ts";
import { codeOf, readJson, setAside } from "../client/durable-file.ts";
import { isSavedDelivery } from "../client/saved-delivery.ts";
import { answeredOf, reportDelivery } from "./delivery-report.ts";
import { DONE, type ExitCode, FAILED, PARTLY, saidBySystem, tell } from "./failure.ts";
import { NOTHING_UNSENT, unsentDamaged, unsentUnreadable } from "./messages.ts";
import type { Profile } from "./profile.ts";
import { progressLine, type Terminal } from "./terminal.ts";
import { settleUnsent, unsentFiles } from "./unsent.ts";

/** `deaddrop send --retry`: goes on with every message of this profile that has not reached its quorum. Answers the exit code. */
export async function retryUnsent(
  client: DeadDrop,
  profile: Profile,
  options: { readonly json: boolean },
  terminal: Terminal,
): Promise<number> {
  const { progress, done } = progressLine(terminal);
  const codes: number[] = [];
  for (const file of await unsentFiles(profile)) {
    const saved = await readUnsent(file, profile);
    if (saved === undefined) continue;
    if (typeof saved === "number") {
      codes.push(saved);
      continue;
    }
    const delivery = await client.resume(saved, {
      progress: (now) => progress(answeredOf(now)),
    });
    await delivery.settled();
    done();
    await settleUnsent(profile, delivery);
    codes.push(reportDelivery(delivery, options, terminal));
  }
  if (codes.length === 0 && !options.json) tell(terminal.stderr, NOTHING_UNSENT);
  if (codes.every((code) => code === DONE)) return DONE;
  return codes.every((code) => code === FAILED) ? FAILED : PARTLY;
}

// undefined: another process has done with it. An exit code: it cannot be read, and that is said.
async function readUnsent(
  file: string,
  { notice }: Profile,
): Promise<SavedDelivery | ExitCode | undefined> {
  let saved: unknown;
  try {
    saved = await readJson(file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    const why = saidBySystem(error);
    if (why === undefined) throw error;
    return notice(unsentUnreadable(why));
  }
  if (isSavedDelivery(saved)) return saved;
  const aside = await setAside(file);
  return aside && notice(unsentDamaged(file, aside));
}
