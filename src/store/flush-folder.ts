import { closeSync, fsyncSync, openSync } from "node:fs";

/** Has the names in a folder on disk, as they are now. */
export function flushFolder(folder: string): void {
  const opened = openSync(folder, "r");
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}
