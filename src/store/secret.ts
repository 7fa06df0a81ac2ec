// The secret under which a store is written: see pseudonyms.ts and drop-cipher.ts.

import { execFileSync } from "node:child_process";
import { hkdfSync, randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { flushFolder } from "./flush-folder.ts";
import { FILE_MODE } from "./privacy.ts";
import type { NamingSecrets } from "./pseudonyms.ts";

const SECRET_BYTES = 32;
const DIGITS = /^[0-9a-f]{64}$/i;
// A person may have to touch a key.
const COMMAND_MS = 60_000;

/** What each part of the store is written under. */
export type StoreSecrets = NamingSecrets & {
  /** Of the drops' cipher, 16 bytes. */
  readonly drops: Buffer;
  /** Tells whether it is the right secret, and nothing of it. Hex digits. */
  readonly check: string;
};

/** Where the secret of a store is when its settings do not say. */
export const SECRET_FILE = "secret";

/** All that is made of a secret of 32 bytes. */
export function secretsFrom(secret: Uint8Array): StoreSecrets {
  const part = (name: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync("sha256", secret, "", `deaddrop ${name}`, bytes));
  return {
    keys: part("keys", 32),
    ids: part("ids", 16),
    drops: part("drops", 16),
    check: part("check", 16).toString("hex"),
  };
}

/**
 * Reads a secret, which is 64 hex digits, from where `source` says: `file:` and a path, `env:` and the name of an environment variable, `command:` and what
 * prints it. Empty: from the store's folder, where one is made for a store that `isNew`. Throws with what to do when there is none.
 */
export function readSecret(source: string, folder: string, isNew: boolean): Buffer {
  const file = join(folder, SECRET_FILE);
  if (source === "" && isNew && !existsSync(file)) makeSecret(folder);
  const text = textOf(source === "" ? `file:${file}` : source).trim();
  if (!DIGITS.test(text)) {
    throw new Error(
      `the store's secret is not 64 hex digits in ${nameOf(source, file)}; "openssl rand -hex ${SECRET_BYTES}" makes one`,
    );
  }
  return Buffer.from(text, "hex");
}

function textOf(source: string): string {
  const [, how, what = ""] = /^(file|env|command):(.*)$/s.exec(source) ?? [];
  try {
    if (how === "file") return readFileSync(what, "utf8");
    if (how === "env") return process.env[what] ?? "";
    return execFileSync("/bin/sh", ["-c", what], {
      encoding: "utf8",
      timeout: COMMAND_MS,
      stdio: ["ignore", "pipe", "inherit"],
    });
  } catch (error) {
    const { message } = error as Error;
    throw new Error(
      `the store's secret cannot be read (${message}); without it nothing in the store can be`,
      { cause: error },
    );
  }
}

function nameOf(source: string, file: string): string {
  if (source === "") return file;
  // The command may have a password in it.
  return source.startsWith("command:") ? "what its command prints" : source;
}

// Whole or not at all, and on disk before anything is written under it. To be called by who has the store locked.
function makeSecret(folder: string): void {
  const file = join(folder, SECRET_FILE);
  const text = `${randomBytes(SECRET_BYTES).toString("hex")}\n`;
  writeFileSync(`${file}.new`, text, { mode: FILE_MODE, flush: true });
  renameSync(`${file}.new`, file);
  flushFolder(folder);
}
