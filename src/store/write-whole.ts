import { renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import { flushFolder } from "./flush-folder.ts";
import { FILE_MODE } from "./privacy.ts";

/**
 * Puts a file for its owner alone in the place of the one with this name, if there is one: on disk, file and name, when it returns. A power cut, or what makes it throw,
 * leaves the one or the other, whole.
 */
export function writeWhole(path: string, text: string): void {
  writeFileSync(`${path}.part`, text, { mode: FILE_MODE, flush: true });
  renameSync(`${path}.part`, path);
  flushFolder(dirname(path));
}
