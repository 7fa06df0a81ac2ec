import pino from "pino";

import type { Config } from "../config/schema.ts";
import { type RunningRelay, startRelay } from "./start.ts";

/** `deaddrop serve`: runs until SIGTERM or SIGINT. Answers the exit code. */
export async function serve(config: Config): Promise<number> {
  const log = pino({ level: config.log, base: null });
  // A full disk makes lmdb reject promises that nobody holds. The writes they belong to were answered; the relay goes on.
  process.on("unhandledRejection", (error) => log.error({ err: error }, "internal error"));
  // Before anything is open: who asks it to end while it starts means it too.
  const asked = new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
  let relay: RunningRelay;
  try {
    relay = await startRelay(config, log);
  } catch (error) {
    log.fatal({ err: error }, "the relay could not start");
    process.stderr.write(`deaddrop: the relay could not start: ${(error as Error).message}\n`);
    return 1;
  }
  await asked;
  log.info("stopping");
  await relay.stop();
  return 0;
}
