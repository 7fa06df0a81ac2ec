import type { Logger } from "pino";

import { ConfigError, type ConfigurationSource } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { Reloading } from "../steering/reload.ts";
import { isCommitError } from "../store/incidents.ts";
import { die } from "./die.ts";
import { openLog } from "./log.ts";
import { type RunningRelay, startRelay } from "./start.ts";

// SIGTERM to exit takes less than 5 s; what takes longer will not end by itself.
const STOP_MS = 8_000;

/** Who runs a relay asks for this while it runs. */
export type Wishes = {
  /** Aborted when the relay is to stop. */
  readonly stopping: AbortSignal;
  /** Calls whenever the configuration is to be read again, also for what was asked before. */
  readonly onReload: (asked: () => void) => void;
};

/** `deaddrop serve`: runs until it is asked to stop, be it while it starts. `source` is where the configuration was read. Answers the exit code. */
export async function serve(
  config: Config,
  source: ConfigurationSource,
  { stopping, onReload }: Wishes,
): Promise<number> {
  const log = openLog(config.log);
  process.on("unhandledRejection", (error) => {
    // A failed commit makes lmdb reject promises that nobody holds. What they belong to was answered, and the store says why it failed.
    if (!isCommitError(error)) log.error({ err: error }, "internal error");
  });
  process.on("uncaughtException", (error) => die(log, { err: error }, "internal error"));
  stopping.addEventListener("abort", () => endWithin(log, "it was asked to stop"));
  let relay: RunningRelay;
  try {
    relay = await startRelay(config, log);
  } catch (error) {
    log.fatal({ err: error }, "the relay could not start");
    process.stderr.write(`deaddrop: the relay could not start: ${(error as Error).message}\n`);
    endWithin(log, "it could not start");
    // As for what is wrong with the configuration alone: another start would not help.
    return error instanceof ConfigError ? 2 : 1;
  }
  const { steering } = relay;
  const reloading = new Reloading({
    source,
    reload: (wanted) => steering.reload(wanted),
    overruled: (settings) => steering.overruled(settings),
    log,
  });
  onReload(() => reloading.ask());
  if (!stopping.aborted) {
    await new Promise((resolve) => stopping.addEventListener("abort", resolve));
  }
  log.info("stopping");
  reloading.close();
  await relay.stop();
  return 0;
}

// Ends the process that has not ended by then, whatever holds it.
function endWithin(log: Logger, because: string): void {
  setTimeout(() => die(log, { because }, "something did not end in time"), STOP_MS).unref();
}
