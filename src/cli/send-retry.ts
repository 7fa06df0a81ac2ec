import { readFile } from "node:fs/promises";

import type { DeadDrop, Delivery, SavedDelivery } from "../client/client.ts";
import { answeredOf, reportDelivery } from "./delivery-report.ts";
import { DONE, FAILED, PARTLY, tell } from "./failure.ts";
import { NOTHING_UNSENT, unsentDamaged } from "./messages.ts";
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
  const { progress, done } = progressLine(terminal.stderr);
  const codes: number[] = [];
  for (const file of await unsentFiles(profile)) {
    let delivery: Delivery;
    try {
      const saved = JSON.parse(await readFile(file, "utf8")) as SavedDelivery;
      delivery = await client.resume(saved, { progress: (now) => progress(answeredOf(now)) });
    } catch (error) {
      codes.push(tell(terminal.stderr, unsentDamaged(file, (error as Error).message)));
      continue;
    }
    await delivery.settled();
    done();
    await settleUnsent(profile, delivery);
    codes.push(reportDelivery(delivery, options, terminal));
  }
  if (codes.length === 0 && !options.json) tell(terminal.stderr, NOTHING_UNSENT);
  if (codes.every((code) => code === DONE)) return DONE;
  return codes.every((code) => code === FAILED) ? FAILED : PARTLY;
}
