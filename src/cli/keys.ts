import { nsecEncode, npubEncode } from "nostr-tools/nip19";
import { generateSecretKey, getPublicKey } from "nostr-tools/pure";

import { CliError, DONE, tell } from "./failure.ts";
import {
  assertFree,
  keyFilePath,
  type LoadedSecret,
  loadSecret,
  MAX_KEY_BYTES,
  writeKeyFile,
  writeKeyLine,
} from "./key-file.ts";
import {
  NEW_PASSPHRASE_QUESTION,
  NO_FILE,
  OTHER_KEY_PREFERRED,
  PASSPHRASES_DIFFER,
  PASSPHRASES_DIFFER_AGAIN,
  SAME_AGAIN_QUESTION,
  SECRET_QUESTION,
  SECRET_TYPED,
  STANDARD_INPUT,
  staysEncrypted,
} from "./messages.ts";
import { parseSecret, unlock } from "./secret-key.ts";
import { ask, MAX_TRIES, readAll, type Terminal } from "./terminal.ts";

export type KeysOptions = {
  /** A file; without one where the environment says, or the home folder. */
  readonly key: string | undefined;
  readonly json: boolean;
  /** Show the secret key itself, and nothing else. */
  readonly secret: boolean;
};
type WritingOptions = Omit<KeysOptions, "secret"> & {
  /** Keep the key unencrypted, and ask for no passphrase. */
  readonly noPassphrase: boolean;
};

/** `deaddrop keys new`: makes a key and keeps it in a new file. Answers the exit code. */
export async function newKey(options: WritingOptions, terminal: Terminal): Promise<number> {
  const file = keyFilePath(terminal.env, options.key);
  assertFree(file);
  const secret = generateSecretKey();
  const passphrase = await newPassphrase(options, terminal);
  await writeKeyFile(file, secret, passphrase);
  printKept({ secret, file, isEncrypted: passphrase !== undefined }, options, terminal);
  return DONE;
}

/** `deaddrop keys show`: whose key it is and where it is kept, or the secret key itself. Answers the exit code. */
export async function showKey(options: KeysOptions, terminal: Terminal): Promise<number> {
  const loaded = await loadSecret(terminal, options);
  if (!options.secret) {
    print(loaded, options, terminal);
    return DONE;
  }
  const nsec = nsecEncode(loaded.secret);
  terminal.stdout.write(options.json ? `${JSON.stringify({ nsec })}\n` : `${nsec}\n`);
  return DONE;
}

/**
 * `deaddrop keys import`: keeps a key that is typed on the terminal, or else read from standard input, in a new file. One that is encrypted stays encrypted
 * as it is, once its passphrase is known to be right. Answers the exit code.
 */
export async function importKey(options: WritingOptions, terminal: Terminal): Promise<number> {
  const file = keyFilePath(terminal.env, options.key);
  assertFree(file);
  const [text, where] = await givenKey(terminal);
  const parsed = parseSecret(text, where);
  if (typeof parsed === "string") {
    if (options.noPassphrase) {
      throw new CliError(staysEncrypted(where));
    }
    const secret = await unlock(terminal, parsed, where);
    await writeKeyLine(file, parsed);
    printKept({ secret, file, isEncrypted: true }, options, terminal);
    return DONE;
  }
  const passphrase = await newPassphrase(options, terminal);
  await writeKeyFile(file, parsed, passphrase);
  const isEncrypted = passphrase !== undefined;
  printKept({ secret: parsed, file, isEncrypted }, options, terminal);
  return DONE;
}

async function givenKey(terminal: Terminal): Promise<[text: string, where: string]> {
  const { stdin } = terminal;
  if (stdin.isTTY === true) {
    return [await ask(terminal, SECRET_QUESTION, { secret: true }), SECRET_TYPED];
  }
  const text = await readAll(stdin, { name: STANDARD_INPUT, maxBytes: MAX_KEY_BYTES });
  return [text, STANDARD_INPUT];
}

// undefined: the key is to be kept as it is.
async function newPassphrase(
  { noPassphrase }: WritingOptions,
  terminal: Terminal,
): Promise<string | undefined> {
  if (noPassphrase) return undefined;
  const given = terminal.env["DEADDROP_PASSPHRASE"];
  if (given) return given;
  if (terminal.stdin.isTTY !== true) return undefined;
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const once = await ask(terminal, NEW_PASSPHRASE_QUESTION, { secret: true });
    if (once === "") return undefined;
    const again = await ask(terminal, SAME_AGAIN_QUESTION, { secret: true });
    if (once === again) return once;
    if (tries < MAX_TRIES) tell(terminal.stderr, PASSPHRASES_DIFFER_AGAIN);
  }
  throw new CliError(PASSPHRASES_DIFFER);
}

function printKept(kept: LoadedSecret, options: WritingOptions, terminal: Terminal): void {
  print(kept, options, terminal);
  if (options.key !== undefined || !terminal.env["DEADDROP_KEY"]) return;
  tell(terminal.stderr, OTHER_KEY_PREFERRED);
}

function print(
  { secret, file, isEncrypted }: LoadedSecret,
  { json }: { readonly json: boolean },
  { stdout }: Terminal,
): void {
  const hex = getPublicKey(secret);
  const npub = npubEncode(hex);
  if (json) {
    stdout.write(`${JSON.stringify({ npub, hex, file: file ?? null, encrypted: isEncrypted })}\n`);
  } else {
    const kept = file ?? NO_FILE;
    const encrypted = isEncrypted ? "yes" : "no";
    stdout.write(`npub: ${npub}\nhex: ${hex}\nfile: ${kept}\nencrypted: ${encrypted}\n`);
  }
}
