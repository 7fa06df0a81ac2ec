import type { Config } from "../config/schema.ts";
import { statsOf } from "../store/stats.ts";
import { CliError, DONE } from "./failure.ts";
import { storeNotRead, storeStats } from "./messages.ts";
import { shownTime } from "./show.ts";
import type { Terminal } from "./terminal.ts";

/** `deaddrop stats`: what the store of this configuration holds, in numbers, while a relay has it open or not. Throws a CliError when it cannot be read. */
export async function stats(
  { data, storeSecret }: Config,
  { json }: { readonly json: boolean },
  { stdout }: Terminal,
): Promise<number> {
  const now = Math.floor(Date.now() / 1_000);
  const counts = await statsOf(data, storeSecret, now).catch((error: unknown) => {
    throw new CliError(storeNotRead(data, (error as Error).message));
  });
  const oldest = counts.oldest === undefined ? undefined : shownTime(counts.oldest);
  stdout.write(`${json ? JSON.stringify(counts) : storeStats({ ...counts, oldest })}\n`);
  return DONE;
}
