// Exit codes.
export const DONE = 0;
export const FAILED = 1;
export const WRONG_USE = 2;
/** Some relays did it and some did not: fewer than the quorum, or not all of one's own. */
export const PARTLY = 3;
/** What a shell reports of a command that SIGINT ended: 128 + 2. */
export const INTERRUPTED = 130;

export type ExitCode =
  | typeof DONE
  | typeof FAILED
  | typeof WRONG_USE
  | typeof PARTLY
  | typeof INTERRUPTED;

/** What is told to whoever typed a command, and the exit code it leads to. All of them are in messages.ts. */
export type Message = { readonly text: string; readonly exitCode: ExitCode };

/** The exit code of what was done at several relays, of which so many failed. */
export function exitCodeFor(
  failed: number,
  all: number,
): typeof DONE | typeof PARTLY | typeof FAILED {
  if (failed === 0) return DONE;
  return failed < all ? PARTLY : FAILED;
}

/** A command cannot do what was asked. */
export class CliError extends Error {
  readonly exitCode: ExitCode;

  constructor({ text, exitCode }: Message) {
    super(text);
    this.name = "CliError";
    this.exitCode = exitCode;
  }
}

/** What the system says of a file, or of another thing of its own, that it did not read or write; undefined for an error that is not the system's. */
export function saidBySystem(error: unknown): string | undefined {
  const { code, syscall, message } = Object(error) as Partial<NodeJS.ErrnoException>;
  return code !== undefined && syscall !== undefined ? message : undefined;
}

/** An error of the system as a CliError that says what it means for whoever typed the command. What is not the system's is a bug, and stays as it is. */
export function asFailureOf(error: unknown, message: (why: string) => Message): unknown {
  const why = saidBySystem(error);
  return why === undefined ? error : new CliError(message(why));
}

/** Tells a message on standard error. Answers its exit code. */
export function tell(stderr: { write(text: string): unknown }, message: Message): ExitCode {
  stderr.write(`deaddrop: ${withoutSecrets(message.text.trimEnd())}\n`);
  return message.exitCode;
}

/** Does a command's work, which answers its exit code. A CliError is told on standard error; whatever else is thrown is a bug, and passed on. */
export async function exitCodeOf(
  work: () => Promise<number>,
  stderr: { write(text: string): unknown },
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return tell(stderr, { text: error.message, exitCode: error.exitCode });
  }
}

// What was typed in the wrong place is often repeated in an error, and may be a secret key.
function withoutSecrets(text: string): string {
  return text.replace(/\b(nsec|ncryptsec)1[0-9a-z]+/gi, "$1…");
}
