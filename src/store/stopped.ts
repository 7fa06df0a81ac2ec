// A store that no relay has open, for the commands that need it for themselves.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { openDropKeys } from "./drop-keys.ts";
import { isNew, mustBeSecretOf } from "./history.ts";
import { lockStore } from "./lock.ts";
import { mustBeOpenable } from "./openable.ts";
import { watchFile } from "./same-file.ts";
import { readSecret, secretsFrom, type StoreSecrets } from "./secret.ts";
import { type Environment, MAP_BYTES, openDatabases } from "./tables.ts";
import { unlocked } from "./unlocked.ts";

export type StoppedStore = Environment & {
  readonly secrets: StoreSecrets;
  /** Closes the file and keeps the lock, for whoever puts another one in its place. */
  readonly closeFile: () => Promise<void>;
  readonly close: () => Promise<void>;
};

/** Opens the store in a folder. Throws, with what to do, when it cannot be opened, another process has it open, or this is not its secret. */
export async function openStopped(folder: string, source: string): Promise<StoppedStore> {
  if (!existsSync(join(folder, "data.mdb"))) throw new Error(`there is no store in ${folder}`);
  mustBeOpenable(folder, MAP_BYTES);
  const file = watchFile(folder);
  const { root, databases } = openDatabases(folder, false);
  let closing: Promise<void> | undefined;
  const closeFile = (): Promise<void> => (closing ??= root.close());
  const opened = [closeFile];
  const close = async (): Promise<void> => {
    for (const each of opened.toReversed()) await each();
  };
  try {
    const release = await lockStore(folder, { root, databases });
    // The file first: until it is closed nobody else may have it.
    opened.unshift(release);
    file.mustBeThere();
    if (isNew(folder, databases)) throw new Error(`there is no store in ${folder}`);
    const secrets = secretsFrom(readSecret(source, folder, false));
    mustBeSecretOf(folder, databases, secrets);
    const keys = openDropKeys(folder);
    opened.push(async () => keys.close());
    const tables = unlocked(databases, secrets, keys);
    return { root, databases, tables, secrets, closeFile, close };
  } catch (error) {
    await close();
    throw error;
  }
}
