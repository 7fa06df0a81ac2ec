import { statSync } from "node:fs";
import { join } from "node:path";

import { TOLD } from "./store.ts";

/**
 * The store's file, as it was when it was opened. Throws whenever another one, or none, stands in its place: what is written then goes into a file that
 * nobody finds any more. And when somebody cut it: it never becomes shorter by itself, and what is written then lies among pages that are missing.
 */
export function watchFile(folder: string): { mustBeThere(): void } {
  const path = join(folder, "data.mdb");
  const { dev, ino, size } = statSync(path, { bigint: true });
  let longest = size;
  return {
    mustBeThere() {
      const now = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (now === undefined) throw new StoreLost(`${path} was removed under the relay`);
      if (now.ino !== ino || now.dev !== dev) {
        throw new StoreLost(`${path} was replaced by another file under the relay`);
      }
      if (now.size < longest) throw new StoreLost(`${path} was cut short under the relay`);
      longest = now.size;
    },
  };
}

/** The store cannot be read or written any more, and no later attempt would be another. */
export class StoreLost extends Error {
  override readonly name = TOLD.lost;
}
