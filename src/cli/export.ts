import { parsePerson } from "../client/person.ts";
import type { Config } from "../config/schema.ts";
import { ExportFile, exportDrops } from "../store/export.ts";
import { CliError, DONE } from "./failure.ts";
import {
  exportAfterNumber,
  exported,
  exportExists,
  exportFileNotOpened,
  exportInterrupted,
  EXPORT_RECIPIENT,
  EXPORT_RESUME,
  EXPORT_RESUMES_ITS_OWN,
  exportProgress,
  notAPerson,
  notExported,
} from "./messages.ts";
import { progressLine, type Terminal } from "./terminal.ts";

export type ExportOptions = {
  readonly file: string | undefined;
  readonly recipient: string | undefined;
  readonly after: string | undefined;
  readonly resume: boolean;
};

const now = (): number => Math.floor(Date.now() / 1_000);

/**
 * `deaddrop export`: writes what the store of this configuration holds as JSON lines, to a file or standard output, while a relay has it open or not. Throws a
 * CliError when it cannot.
 */
export async function exportStore(
  { data, storeSecret }: Config,
  options: ExportOptions,
  terminal: Terminal,
  stopping: AbortSignal,
): Promise<number> {
  const { file: path } = options;
  const file = fileFor(options);
  const recipient = file === undefined ? keyIn(options.recipient) : file.recipient;
  const from = file?.after ?? numberIn(options.after);
  let after = from;
  const line = progressLine(terminal);
  const rest = (): string => (file === undefined ? `--after ${after}` : "--resume");
  try {
    const { exported: count } = await exportDrops(data, storeSecret, {
      now,
      recipient,
      after: from,
      stopping,
      async write(lines, last) {
        if (file === undefined) await print(terminal, lines);
        else file.write(lines, last);
        after = last;
      },
      progress: (drops, share) => line.progress(exportProgress(drops, share)),
    });
    line.done();
    if (stopping.aborted) {
      file?.flush();
      throw new CliError(exportInterrupted(rest()));
    }
    file?.finish();
    // Where the drops are is no place for it.
    (file === undefined ? terminal.stderr : terminal.stdout).write(
      `${exported(count, path, after)}\n`,
    );
    return DONE;
  } catch (error) {
    line.done();
    if (error instanceof CliError) throw error;
    const isBegun = after > from || file !== undefined;
    throw new CliError(notExported(data, (error as Error).message, isBegun ? rest() : undefined));
  } finally {
    file?.close();
  }
}

function fileFor({ file: path, resume, ...options }: ExportOptions): ExportFile | undefined {
  if (path === undefined) {
    if (resume) throw new CliError(EXPORT_RESUME);
    return undefined;
  }
  const isOther = options.recipient !== undefined || options.after !== undefined;
  if (resume && isOther) throw new CliError(EXPORT_RESUMES_ITS_OWN);
  try {
    if (resume) return ExportFile.resume(path);
    return ExportFile.make(path, numberIn(options.after), keyIn(options.recipient));
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(code === "EEXIST" ? exportExists(path) : exportFileNotOpened(path, message));
  }
}

function numberIn(text: string | undefined): number {
  if (text === undefined) return 0;
  if (!/^\d{1,15}$/.test(text)) throw new CliError(exportAfterNumber(text));
  return Number(text);
}

// No address: it would ask a domain whose box it is.
function keyIn(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    const person = parsePerson(text);
    if ("key" in person) return person.key;
  } catch (error) {
    throw new CliError(notAPerson("--recipient", (error as Error).message));
  }
  throw new CliError(EXPORT_RECIPIENT);
}

// Resolves when it was taken: a slow reader is waited for.
function print({ stdout }: Terminal, lines: string): Promise<void> {
  if (lines === "") return Promise.resolve();
  return new Promise((resolve, reject) => {
    stdout.write(lines, (error) => (error ? reject(error) : resolve()));
  });
}
