import { DropCipher } from "../../src/store/drop-cipher.ts";
import { openDropKeys } from "../../src/store/drop-keys.ts";
import { readSecret, secretsFrom } from "../../src/store/secret.ts";
import { type Environment, openDatabases } from "../../src/store/tables.ts";
import { unlocked } from "../../src/store/unlocked.ts";

export type StoreFile = Environment & {
  /** Puts something in the place of a drop's JSON. */
  overwrite(seq: number, json: string): void;
  readonly close: () => Promise<void>;
};

/** The file of a store whose secret is in its folder, as who owns the machine sees it, and may change it. */
export function openStoreFile(folder: string, readOnly = false): StoreFile {
  const { root, databases } = openDatabases(folder, readOnly);
  const keys = openDropKeys(folder);
  const secrets = secretsFrom(readSecret("", folder, false));
  return {
    root,
    databases,
    tables: unlocked(databases, secrets, keys),
    overwrite(seq, json) {
      const cipher = new DropCipher(secrets.drops);
      databases.drops.putSync(seq, cipher.seal(seq, json, Buffer.byteLength(json), keys));
    },
    async close() {
      keys.close();
      await root.close();
    },
  };
}
