import { createReadStream, statSync } from "node:fs";

import type { Config } from "../config/schema.ts";
import { cursorFor, forgetCursor, keepCursor } from "../server/import-cursor.ts";
import { ImportCounts } from "../server/import-counts.ts";
import { importEvents } from "../server/import.ts";
import { CliError, exitCodeFor } from "./failure.ts";
import {
  IMPORT_RESUME,
  imported,
  importEnded,
  importFileNotRead,
  importNotResumed,
  importProgress,
  notImported,
} from "./messages.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type ImportOptions = {
  /** Undefined, or "-": standard input. */
  readonly file: string | undefined;
  readonly resume: boolean;
  readonly json: boolean;
};

/**
 * `deaddrop import`: takes events from JSON lines into the store of this configuration, which no relay may have open. Answers the exit code: 3 when some were
 * refused, 1 when all were. Throws a CliError when it came to no end; what was taken until then is there.
 */
export async function importStore(
  config: Config,
  { file: given, resume, json }: ImportOptions,
  terminal: Terminal,
  stopping: AbortSignal,
): Promise<number> {
  const { data } = config;
  const file = given === "-" ? undefined : given;
  if (resume && file === undefined) throw new CliError(IMPORT_RESUME);
  const size = file === undefined ? 0 : sizeOf(file);
  const start = file === undefined || !resume ? 0 : startOf(data, file);
  const source = file === undefined ? terminal.stdin : createReadStream(file, { start });
  // It may be waited for.
  stopping.addEventListener("abort", () => source.destroy());
  const counts = new ImportCounts();
  const line = progressLine(terminal);
  const rest = file === undefined ? undefined : "--resume";
  const ended = await importEvents(config, {
    source,
    start,
    counts,
    stopping,
    reached(bytes) {
      if (file !== undefined) keepCursor(data, file, bytes);
      line.progress(importProgress(counts.all, size === 0 ? undefined : bytes / size));
    },
  }).catch((error: unknown) => {
    line.done();
    throw new CliError(notImported(data, (error as Error).message, counts.all, rest));
  });
  line.done();
  report(counts, json, terminal);
  if (ended !== undefined) throw new CliError(importEnded(ended, rest));
  if (file !== undefined) forgetCursor(data);
  return exitCodeFor(counts.refused, counts.all);
}

function report(counts: ImportCounts, json: boolean, { stdout }: Terminal): void {
  const { stored, known, carriedOut, refused, reasons } = counts;
  const figures = { stored, known, carriedOut, refused };
  const told = json
    ? JSON.stringify({ ...figures, reasons: Object.fromEntries(reasons) })
    : imported(figures, reasons);
  stdout.write(`${told}\n`);
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch (error) {
    throw new CliError(importFileNotRead(file, (error as Error).message));
  }
}

function startOf(folder: string, file: string): number {
  try {
    return cursorFor(folder, file);
  } catch (error) {
    throw new CliError(importNotResumed((error as Error).message));
  }
}
