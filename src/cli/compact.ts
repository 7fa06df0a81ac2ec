import type { Config } from "../config/schema.ts";
import { compact } from "../store/compact.ts";
import { CliError, DONE } from "./failure.ts";
import { compacted, notCompacted } from "./messages.ts";
import type { Terminal } from "./terminal.ts";

/** `deaddrop compact`: makes the file of this configuration's store smaller, which no relay may have open. Throws a CliError when it cannot; nothing has changed then. */
export async function compactStore(
  { data, storeSecret }: Config,
  { stdout }: Terminal,
): Promise<number> {
  const done = await compact(data, storeSecret).catch((error: unknown) => {
    throw new CliError(notCompacted(data, (error as Error).message));
  });
  stdout.write(`${compacted(done)}\n`);
  return DONE;
}
