import { statSync } from "node:fs";
import { join } from "node:path";

import { TOLD } from "./store.ts";

/**
 * The store's file, as it was when it was opened. Throws whenever another one, or none, stands in its place: what is written then goes into a file that
 * nobody finds any more.
 */
export function watchFile(folder: string): { mustBeThere(): void } {
  const path = join(folder, "data.mdb");
  const { dev, ino } = statSync(path, { bigint: true });
  return {
    mustBeThere() {
      const now = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (now === undefined) throw new StoreLost(`${path} was removed under the relay`);
      if (now.ino !== ino || now.dev !== dev) {
        throw new StoreLost(`${path} was replaced by another file under the relay`);
      }
    },
  };
}

/** The store cannot be read or written any more, and no later attempt would be another. */
export class StoreLost extends Error {
  override readonly name = TOLD.lost;
}
