import type { DeadDrop, SavedDelivery } from "../client/client.ts";
import { codeOf, readJson, setAside } from "../client/durable-file.ts";
import { isSavedDelivery } from "../client/saved-delivery.ts";
import { answeredOf, reportDelivery } from "./delivery-report.ts";
import { DONE, FAILED, PARTLY, saidBySystem } from "./failure.ts";
import { keptFor, type Profile } from "./profile.ts";
import { progressLine, type Terminal } from "./terminal.ts";
import { settleUnsent, unsentFiles } from "./unsent.ts";

/** `deaddrop send --retry`: goes on with every message of this profile that has not reached its quorum. Answers the exit code. */
export async function retryUnsent(
  client: DeadDrop,
  profile: Profile,
  options: { readonly json: boolean },
  terminal: Terminal,
): Promise<number> {
  const { progress, done } = progressLine(terminal.stderr);
  const codes: number[] = [];
  for (const file of await unsentFiles(profile)) {
    const saved = await readUnsent(file, profile);
    if (saved === undefined) continue;
    if (saved === "lost") {
      codes.push(FAILED);
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
  if (codes.length === 0 && !options.json) terminal.stderr.write("nothing is waiting to be sent\n");
  if (codes.every((code) => code === DONE)) return DONE;
  return codes.every((code) => code === FAILED) ? FAILED : PARTLY;
}

// undefined: another process has done with it. "lost": it cannot be read, and that is said.
async function readUnsent(
  file: string,
  profile: Profile,
): Promise<SavedDelivery | "lost" | undefined> {
  let saved: unknown;
  try {
    saved = await readJson(file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    const why = saidBySystem(error);
    if (why === undefined) throw error;
    profile.notice(`a message that waits to be sent cannot be read, and waits on (${why})`);
    return "lost";
  }
  if (isSavedDelivery(saved)) return saved;
  const aside = await setAside(file);
  if (aside === undefined) return undefined;
  profile.notice(
    `${file} is damaged, and a message that waited in it is not sent; send it again${keptFor(aside)}`,
  );
  return "lost";
}
