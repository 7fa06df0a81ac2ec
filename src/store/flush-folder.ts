import { closeSync, fsyncSync, openSync } from "node:fs";

// Some file systems have nothing to flush there.
const NOTHING_TO_FLUSH: ReadonlySet<unknown> = new Set(["EINVAL", "ENOTSUP"]);

/** Has the disk keep the names in a folder, as they are now. Windows does not open folders. */
export function flushFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (NOTHING_TO_FLUSH.has(code)) return;
    throw new Error(`${path} cannot be flushed: ${message}`, { cause: error });
  } finally {
    closeSync(folder);
  }
}
