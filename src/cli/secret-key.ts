// Secret keys as people write them, and opening an encrypted one (NIP-49). No secret is in any error here: what the decoders throw quotes what they were
// given, so it is neither shown nor kept as a cause.

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { bech32 } from "@scure/base";
import { decode, type Ncryptsec } from "nostr-tools/nip19";
import { decrypt } from "nostr-tools/nip49";

import { CliError, tell } from "./failure.ts";
import {
  costlyEncryption,
  keyDamaged,
  keyOutOfRange,
  notASecret,
  passphraseMissing,
  passphraseQuestion,
  publicKeyGiven,
  tooLittleMemory,
  unknownEncryption,
  WRONG_PASSPHRASE_AGAIN,
  wrongPassphrase,
  wrongPassphraseGiven,
} from "./messages.ts";
import { ask, canAsk, MAX_TRIES, type Terminal } from "./terminal.ts";

// scrypt with r = 8 takes 1 KiB for each of 2^logn steps: 1 GiB and some ten seconds here, and twice that with each one more.
const MAX_LOGN = 20;
// An ncryptsec of version 2 has 162; bech32 alone would stop at 90.
const MAX_CHARS = 256;

/** A secret key as people write it: `nsec1…`, 64 hex digits, or `ncryptsec1…`, which stays as it is. Throws a CliError that says `where` it was. */
export function parseSecret(text: string, where: string): Uint8Array | Ncryptsec {
  const trimmed = text.trim();
  // BIP-173: all upper case is allowed, as in QR codes; a mixture is not.
  const line = /[a-z]/.test(trimmed) ? trimmed : trimmed.toLowerCase();
  if (line.startsWith("ncryptsec1")) return parseEncrypted(line, where);
  if (line.startsWith("nsec1")) return inRange(decodeNsec(line, where), where);
  if (/^[0-9a-f]{64}$/i.test(line))
    return inRange(Uint8Array.from(Buffer.from(line, "hex")), where);
  throw new CliError(line.startsWith("npub1") ? publicKeyGiven(where) : notASecret(where));
}

/** Opens an encrypted key with $DEADDROP_PASSPHRASE, or by asking for the passphrase. Throws a CliError when it is wrong. */
export async function unlock(
  terminal: Terminal,
  encrypted: Ncryptsec,
  where: string,
): Promise<Uint8Array> {
  const given = terminal.env["DEADDROP_PASSPHRASE"];
  if (given) {
    const secret = decrypted(encrypted, given, where);
    if (secret !== undefined) return secret;
    throw new CliError(wrongPassphraseGiven(where));
  }
  if (!canAsk(terminal)) throw new CliError(passphraseMissing(where));
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const passphrase = await ask(terminal, passphraseQuestion(where), { secret: true });
    const secret = decrypted(encrypted, passphrase, where);
    if (secret !== undefined) return secret;
    if (tries < MAX_TRIES) tell(terminal.stderr, WRONG_PASSPHRASE_AGAIN);
  }
  throw new CliError(wrongPassphrase(where));
}

function decodeNsec(line: string, where: string): Uint8Array {
  try {
    const decoded: { type: string; data: unknown } = decode(line);
    if (decoded.type === "nsec") return decoded.data as Uint8Array;
  } catch {
    // What was thrown quotes the line.
  }
  throw new CliError(keyDamaged(where, "nsec"));
}

function inRange(secret: Uint8Array, where: string): Uint8Array {
  if (secp256k1.utils.isValidSecretKey(secret)) return secret;
  throw new CliError(keyOutOfRange(where));
}

// NIP-49: version, logn, 16 bytes of salt, 24 of nonce, one that says how the key was handled, and the key encrypted, which adds 16.
const ENCRYPTED_BYTES = 1 + 1 + 16 + 24 + 1 + 32 + 16;
const VERSION = 2;

// All that can be wrong is found here, before anybody is asked for a passphrase and before scrypt takes what memory the line asks for.
function parseEncrypted(line: string, where: string): Ncryptsec {
  const decoded = bech32.decodeUnsafe(line, MAX_CHARS);
  const bytes = decoded && bech32.fromWordsUnsafe(decoded.words);
  if (!bytes) throw new CliError(keyDamaged(where, "ncryptsec"));
  const [version, logn = 0] = bytes;
  if (version !== VERSION || bytes.length !== ENCRYPTED_BYTES || logn < 1) {
    throw new CliError(unknownEncryption(where, VERSION));
  }
  if (logn > MAX_LOGN) throw new CliError(costlyEncryption(where, logn, MAX_LOGN));
  return line as Ncryptsec;
}

// undefined: the passphrase is wrong.
function decrypted(
  encrypted: Ncryptsec,
  passphrase: string,
  where: string,
): Uint8Array | undefined {
  let secret: Uint8Array;
  try {
    secret = decrypt(encrypted, passphrase);
  } catch (error) {
    if (!(error instanceof RangeError)) return undefined;
    throw new CliError(tooLittleMemory(where));
  }
  return inRange(secret, where);
}
