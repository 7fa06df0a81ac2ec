import type { Config } from "../config/schema.ts";
import { backUp, isSealed } from "../store/backup.ts";
import { restore } from "../store/restore.ts";
import { CliError, DONE } from "./failure.ts";
import { backedUp, notBackedUp, notRestored, restored } from "./messages.ts";
import { shownTime } from "./show.ts";
import type { Terminal } from "./terminal.ts";

const now = (): number => Math.floor(Date.now() / 1_000);

/**
 * `deaddrop backup`: copies the store of this configuration into a folder, while a relay has it open or not. Throws a CliError when it cannot; nothing is in the
 * folder then.
 */
export async function backup(
  { data, storeSecret }: Config,
  folder: string,
  { stdout }: Terminal,
): Promise<number> {
  const withSecret = storeSecret === "";
  const manifest = await backUp(data, folder, { now, withSecret }).catch((error: unknown) => {
    throw new CliError(notBackedUp(data, (error as Error).message));
  });
  const at = shownTime(manifest.at);
  const kept = withSecret ? "inside" : "elsewhere";
  const secret = isSealed(manifest) ? kept : "none";
  stdout.write(`${backedUp({ ...manifest, at, folder, secret })}\n`);
  return DONE;
}

/** `deaddrop restore`: makes a store for this configuration of a backup. Throws a CliError when it cannot; there is no store then. */
export async function restoreBackup(
  { data, storeSecret }: Config,
  folder: string,
  tombstonesOnly: boolean,
  { stdout }: Terminal,
): Promise<number> {
  const settings = { secret: storeSecret, tombstonesOnly };
  const manifest = await restore(folder, data, settings).catch((error: unknown) => {
    throw new CliError(notRestored(folder, (error as Error).message));
  });
  stdout.write(`${restored({ ...manifest, at: shownTime(manifest.at), data, tombstonesOnly })}\n`);
  return DONE;
}
