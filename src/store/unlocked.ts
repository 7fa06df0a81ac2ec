import type { DropKeys } from "./drop-cipher.ts";
import { openDropKeys } from "./drop-keys.ts";
import { Keys } from "./layout.ts";
import { Pseudonyms } from "./pseudonyms.ts";
import { SealedDrops } from "./sealed-drops.ts";
import { secretsFrom, type StoreSecrets } from "./secret.ts";
import { type Databases, type Environment, openDatabases, type Tables } from "./tables.ts";

/** What the databases hold, for who has the secret. */
export function unlocked(databases: Databases, secrets: StoreSecrets, keys: DropKeys): Tables {
  return {
    ...databases,
    keys: new Keys(new Pseudonyms(secrets)),
    drops: new SealedDrops(databases.drops, keys, secrets.drops),
  };
}

/** A read-only view of a store that another thread has open. */
export function openView(
  folder: string,
  secret: Uint8Array,
): Environment & { readonly close: () => Promise<void> } {
  const { root, databases } = openDatabases(folder, true);
  const keys = openDropKeys(folder);
  return {
    root,
    databases,
    tables: unlocked(databases, secretsFrom(secret), keys),
    async close() {
      keys.close();
      await root.close();
    },
  };
}
