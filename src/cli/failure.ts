// Exit codes.
export const DONE = 0;
export const FAILED = 1;
export const WRONG_USE = 2;
/** Some relays did it and some did not: fewer than the quorum, or not all of one's own. */
export const PARTLY = 3;
/** What a shell reports of a command that SIGINT ended: 128 + 2. */
export const INTERRUPTED = 130;

/** The exit code of what was done at several relays, of which so many failed. */
export function exitCodeFor(
  failed: number,
  all: number,
): typeof DONE | typeof PARTLY | typeof FAILED {
  if (failed === 0) return DONE;
  return failed < all ? PARTLY : FAILED;
}

/** A command cannot do what was asked. The message is for whoever typed it: what is wrong and what to do, and never a secret. */
export class CliError extends Error {
  readonly exitCode: typeof FAILED | typeof WRONG_USE | typeof INTERRUPTED;

  constructor(exitCode: CliError["exitCode"], message: string) {
    super(message);
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
export function asFailureOf(error: unknown, sentence: (why: string) => string): unknown {
  const why = saidBySystem(error);
  return why === undefined ? error : new CliError(FAILED, sentence(why));
}

/**
 * Does a command's work, which answers its exit code. A CliError is told on standard error, and so is an error of the system (a full disk, a file that may not
 * be read); whatever else is thrown is a bug, and passed on.
 */
export async function exitCodeOf(
  work: () => Promise<number>,
  stderr: { write(text: string): unknown },
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const failure = asFailureOf(error, (why) => why);
    if (!(failure instanceof CliError)) throw error;
    stderr.write(`deaddrop: ${withoutSecrets(failure.message.trimEnd())}\n`);
    return failure.exitCode;
  }
}

// What was typed in the wrong place is often repeated in an error, and may be a secret key.
function withoutSecrets(text: string): string {
  return text.replace(/\b(nsec|ncryptsec)1[0-9a-z]+/gi, "$1…");
}
