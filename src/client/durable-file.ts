// Files that hold what must outlive the process: whole or not there at all, and on disk, file and name, when they are said to be. Several processes may write
// side by side. What a process that was killed leaves half written has a name of its own, by which it is found and removed.

import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

const PART = /^\.deaddrop-[\da-f-]{36}\.part$/;
// To write a file takes a moment. What is so old belongs to nobody who lives, in whatever container.
const LEFT_AFTER_MS = 60 * 60 * 1_000;

/**
 * Puts a file into place, in the stead of one of that name, readable by its owner alone; its folder is made when there is none. On disk when it resolves;
 * when it rejects, with what the system says, what was there before is there still.
 */
export function replaceFile(path: string, text: string): Promise<void> {
  return place(path, text, { mayReplace: true });
}

/** The same for a file that must not be there yet: rejects with EEXIST when it is, and leaves nothing behind when it rejects. */
export function createFile(path: string, text: string): Promise<void> {
  return place(path, text, { mayReplace: false });
}

/** What is in a file as JSON; undefined when that is none. Rejects with what the system says. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Removes what processes that were killed have left half written in this folder, as far as that is possible. Never rejects. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((name) => PART.test(name))) {
    const part = join(folder, name);
    const { mtimeMs } = await stat(part).catch(() => ({ mtimeMs: Infinity }));
    if (Date.now() - mtimeMs > LEFT_AFTER_MS) await rm(part, { force: true }).catch(() => {});
  }
}

/**
 * Keeps a damaged file for its owner under a name by which nothing here reads it. Answers that, undefined when it has to stay
 * as it is; and nothing at all when another process has taken it away.
 */
export async function setAside(
  path: string,
): Promise<{ readonly keptAs: string | undefined } | undefined> {
  const keptAs = `${path}.damaged`;
  try {
    await rename(path, keptAs);
    return { keptAs };
  } catch (error) {
    return codeOf(error) === "ENOENT" ? undefined : { keptAs: undefined };
  }
}

/** What the system calls its error, such as ENOENT; undefined when it is none of the system's. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

async function place(
  path: string,
  text: string,
  { mayReplace }: { readonly mayReplace: boolean },
): Promise<void> {
  const folder = resolve(dirname(path));
  const changed = await makeFolder(folder);
  const part = join(folder, `.deaddrop-${randomUUID()}.part`);
  let isPlaced = false;
  try {
    const file = await open(part, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await (mayReplace ? rename : giveNewName)(part, path);
    isPlaced = true;
    // Or the name may be gone after a power cut, though what it named is on disk.
    for (const folder of changed) await syncFolder(folder);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    if (isPlaced && !mayReplace) await rm(path, { force: true }).catch(() => {});
    throw error;
  }
}

async function giveNewName(part: string, path: string): Promise<void> {
  try {
    await link(part, path);
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw error;
    // Some file systems have no hard links: the name is taken first, and then given.
    await (await open(path, "wx", 0o600)).close();
    try {
      await rename(part, path);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }
  await rm(part, { force: true }).catch(() => {});
}

// Answers the folders in which something new is named.
async function makeFolder(folder: string): Promise<string[]> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  const changed = [folder];
  if (first === undefined) return changed;
  for (let made = folder; made.length >= first.length; made = dirname(made)) {
    changed.push(dirname(made));
  }
  return changed;
}

// Windows has no such thing and does not open folders.
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
