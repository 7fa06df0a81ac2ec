import type { Logger } from "pino";

// Whoever does not read the log does not keep the relay from ending.
const LAST_WORDS_MS = 1_000;

/**
 * Ends the process with code 1 once the log says why. Nothing that was answered OK is lost, and whoever supervises the process starts it again. What is refused
 * for it is still sent.
 */
export function die(log: Logger, why: object, message: string): void {
  log.fatal(why, message);
  log.flush(end);
  setTimeout(end, LAST_WORDS_MS);
}

function end(): void {
  process.exit(1);
}
