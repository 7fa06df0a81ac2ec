import { chmodSync, existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const FILES = ["data.mdb", "lock.mdb", "secret", "decisions.json"];
/** What LMDB gives the files that it makes. */
export const FILE_MODE = 0o600;
/** And the folder, when it is made here. */
export const FOLDER_MODE = 0o700;
/** The folder of the keys of drops (drop-keys.ts), in the store's. */
export const KEY_FOLDER = "keys";
const OTHERS = 0o077;
// What a store, who confirms its clock, who steers the relay, and a volume that is mounted there put into the folder. With more in it, as in /tmp, it is not the relay's to close.
const OURS =
  /^(data\.mdb.*|converted|compacting|restoring|lock\.mdb|lock-.*\.sock|keys|secret(\.new)?|decisions\.json.*|clock-is-right.*|import\.json.*|lost\+found)$/;

/** Something of the store that other users of the machine can get at. */
export type Exposed = { readonly path: string; readonly mode: string };

/**
 * Takes the store from everybody but its owner: who can read the folder knows who has mail. Answers what is still open to others, because it belongs to
 * somebody else, has something else in it, or its file system knows no owners.
 */
export function keepPrivate(folder: string): Exposed[] {
  const isShared = readdirSync(folder).some((name) => !OURS.test(name));
  const wanted: [string, number | undefined][] = [[folder, isShared ? undefined : FOLDER_MODE]];
  for (const name of FILES) wanted.push([join(folder, name), FILE_MODE]);
  wanted.push([join(folder, KEY_FOLDER), FOLDER_MODE]);
  const exposed: Exposed[] = [];
  for (const [path, mode] of wanted) {
    if (!existsSync(path) || !isOpenToOthers(path)) continue;
    try {
      if (mode !== undefined) chmodSync(path, mode);
    } catch {
      // What became of it is looked at.
    }
    if (isOpenToOthers(path)) exposed.push({ path, mode: modeOf(path).toString(8) });
  }
  return exposed;
}

function isOpenToOthers(path: string): boolean {
  return (modeOf(path) & OTHERS) !== 0;
}

function modeOf(path: string): number {
  return statSync(path).mode & 0o777;
}
