// Where secret keys are kept. A key file holds one line, `nsec1…` or, encrypted with a passphrase as in NIP-49, `ncryptsec1…`. Only its owner may read
// it, and it is never written over.
//
// A secret comes from a file, the environment or standard input, never from an argument, which every process on the machine can see.

import { existsSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";

import { type Ncryptsec, type NSec, nsecEncode } from "nostr-tools/nip19";
import { encrypt } from "nostr-tools/nip49";

import { codeOf, createFile, removeLeftovers } from "../client/durable-file.ts";
import { CliError } from "./failure.ts";
import {
  KEY_NAMES_NO_FILE,
  keyExists,
  keyNotWritten,
  keyOpenToOthers,
  keyUnreadable,
  noKey,
  noKeyFile,
} from "./messages.ts";
import { parseSecret, unlock } from "./secret-key.ts";
import { readAll, type Terminal } from "./terminal.ts";

export const MAX_KEY_BYTES = 1024;

const HAS_MODES = process.platform !== "win32";
const OTHERS = 0o077;

export type LoadedSecret = {
  /** 32 bytes, within the range of the curve. */
  readonly secret: Uint8Array;
  /** The file it is kept in; undefined: $DEADDROP_KEY. */
  readonly file: string | undefined;
  /** Whether it takes a passphrase to read it. */
  readonly isEncrypted: boolean;
};

/** The folder of what belongs to the one who runs commands: $DEADDROP_HOME, or `deaddrop` where XDG has configuration. */
export function homeFolder(env: Terminal["env"]): string {
  if (env["DEADDROP_HOME"]) return env["DEADDROP_HOME"];
  // XDG Base Directory Specification: "If an implementation encounters a relative path […] it should consider the path invalid and ignore it."
  const configuration = env["XDG_CONFIG_HOME"] ?? "";
  if (isAbsolute(configuration)) return join(configuration, "deaddrop");
  return join(env["HOME"] || homedir(), ".config", "deaddrop");
}

/** Where the key is: the file that was named, $DEADDROP_KEY_FILE, or `key` in the home folder. */
export function keyFilePath(env: Terminal["env"], named: string | undefined): string {
  // `--key "$UNSET"` means some key, but hardly this one.
  if (named === "") throw new CliError(KEY_NAMES_NO_FILE);
  return resolve(named || env["DEADDROP_KEY_FILE"] || join(homeFolder(env), "key"));
}

/**
 * The secret key to act with: from the file that was named, $DEADDROP_KEY, $DEADDROP_KEY_FILE or the home folder, whichever comes first. An encrypted one is
 * opened with $DEADDROP_PASSPHRASE, or by asking on the terminal. Throws a CliError with what to do.
 */
export async function loadSecret(
  terminal: Terminal,
  { key }: { readonly key: string | undefined },
): Promise<LoadedSecret> {
  const { env } = terminal;
  const given = key === undefined ? env["DEADDROP_KEY"] : undefined;
  const file = given ? undefined : keyFilePath(env, key);
  const where = file ?? "$DEADDROP_KEY";
  const parsed = file === undefined ? parseSecret(given ?? "", where) : await readKeyFile(file);
  if (typeof parsed !== "string") return { secret: parsed, file, isEncrypted: false };
  return { secret: await unlock(terminal, parsed, where), file, isEncrypted: true };
}

/** Throws the CliError of a file that would be written over, for whoever wants to know before asking questions. */
export function assertFree(path: string): void {
  if (existsSync(path)) throw taken(path);
}

/** Keeps a secret in a new file, encrypted when there is a passphrase. On disk when it resolves; on a CliError nothing is left there. */
export async function writeKeyFile(
  path: string,
  secret: Uint8Array,
  passphrase: string | undefined,
): Promise<void> {
  const line = passphrase === undefined ? nsecEncode(secret) : encrypt(secret, passphrase);
  await writeKeyLine(path, line);
}

/** Keeps a key in a new file, in the form it has. As `writeKeyFile`. */
export async function writeKeyLine(path: string, line: NSec | Ncryptsec): Promise<void> {
  await removeLeftovers(dirname(path));
  try {
    await createFile(path, `${line}\n`);
  } catch (error) {
    throw codeOf(error) === "EEXIST" && existsSync(path) ? taken(path) : notWritten(path, error);
  }
}

async function readKeyFile(path: string): Promise<Uint8Array | Ncryptsec> {
  const text = await readPrivate(path);
  // Hex might as well be a public key.
  if (/^\s*n(sec|cryptsec)1/i.test(text)) return parseSecret(text, path);
  throw new CliError(noKeyFile(path));
}

async function readPrivate(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, "r");
    // What is read is what was looked at, even when the name changes hands meanwhile.
    const { mode } = await file.stat();
    if (HAS_MODES && (mode & OTHERS) !== 0) {
      throw new CliError(keyOpenToOthers(path, quoted(path)));
    }
    const source = file.createReadStream({ end: MAX_KEY_BYTES, autoClose: false });
    return await readAll(source, { name: path, maxBytes: MAX_KEY_BYTES });
  } catch (error) {
    if (error instanceof CliError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(code === "ENOENT" ? noKey(path) : keyUnreadable(message));
  } finally {
    await file?.close();
  }
}

function taken(path: string): CliError {
  return new CliError(keyExists(path));
}

function notWritten(path: string, error: unknown): CliError {
  return new CliError(keyNotWritten(path, (error as Error).message));
}

/** A word as a shell reads it. */
export function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
