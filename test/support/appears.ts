import { existsSync, watch } from "node:fs";
import { dirname } from "node:path";

/** Resolves when there is a file with this name. Its folder must be there. */
export function appears(path: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(dirname(path), look);
    function look(): void {
      if (!existsSync(path)) return;
      watcher.close();
      resolve();
    }
    look();
  });
}
