import type { Config } from "../config/schema.ts";
import { askToConfirm, forgetConfirmation, isAsked } from "../server/confirmation.ts";
import { CliError, DONE } from "./failure.ts";
import { clockConfirmed, noRelayOnStore, storeNotWritable } from "./messages.ts";
import { shownTime } from "./show.ts";
import type { Terminal } from "./terminal.ts";

// A relay looks every second.
const PATIENCE_MS = 10_000;
const LOOK_MS = 100;

/**
 * `deaddrop clock confirm`: tells the relay that runs on this configuration's store that the machine's clock is right. Throws a CliError when there is none,
 * or when its store cannot be written to.
 */
export async function confirmClock({ data }: Config, { stdout }: Terminal): Promise<number> {
  const now = Math.floor(Date.now() / 1_000);
  try {
    askToConfirm(data, now);
  } catch (error) {
    throw new CliError(storeNotWritable(data, (error as Error).message));
  }
  const deadline = performance.now() + PATIENCE_MS;
  while (isAsked(data)) {
    if (performance.now() > deadline) {
      forgetConfirmation(data);
      throw new CliError(noRelayOnStore(data));
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  stdout.write(`${clockConfirmed(shownTime(now))}\n`);
  return DONE;
}
