import pino from "pino";

import type { Config } from "../config/schema.ts";
import { type RunningRelay, startRelay } from "./start.ts";

/** `deaddrop serve`: runs until it is asked to stop, be it while it starts. Answers the exit code. */
export async function serve(config: Config, stopping: AbortSignal): Promise<number> {
  const log = pino({ level: config.log, base: null });
  // A full disk makes lmdb reject promises that nobody holds. The writes they belong to were answered; the relay goes on.
  process.on("unhandledRejection", (error) => log.error({ err: error }, "internal error"));
  let relay: RunningRelay;
  try {
    relay = await startRelay(config, log);
  } catch (error) {
    log.fatal({ err: error }, "the relay could not start");
    process.stderr.write(`deaddrop: the relay could not start: ${(error as Error).message}\n`);
    return 1;
  }
  if (!stopping.aborted) {
    await new Promise((resolve) => stopping.addEventListener("abort", resolve));
  }
  log.info("stopping");
  await relay.stop();
  return 0;
}
