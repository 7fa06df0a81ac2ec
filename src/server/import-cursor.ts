// How far an import of a file has come, in the store's folder: whatever ended it, another one can go on there.

import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

import { z } from "zod";

import { writeWhole } from "../store/write-whole.ts";

const FILE = "import.json";

const schema = z.strictObject({ file: z.string(), bytes: z.int().min(0) });

/** Remembers that all of `file` up to this byte is in the store in `folder`. */
export function keepCursor(folder: string, file: string, bytes: number): void {
  writeWhole(join(folder, FILE), `${JSON.stringify({ file: resolve(file), bytes })}\n`);
}

export function forgetCursor(folder: string): void {
  rmSync(join(folder, FILE), { force: true });
}

/** The byte from which on an import of `file` into the store in `folder` goes on. Throws, with what is wrong, when none broke off. */
export function cursorFor(folder: string, file: string): number {
  const path = join(folder, FILE);
  if (!existsSync(path)) throw new Error("no import broke off there");
  const { file: known, bytes } = cursorIn(path);
  if (known !== resolve(file)) throw new Error(`what broke off was the import of ${known}`);
  if (statSync(file).size < bytes) throw new Error(`${file} is shorter than it was`);
  return bytes;
}

function cursorIn(path: string): z.infer<typeof schema> {
  try {
    return schema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    throw new Error(`${path} is damaged; remove it and start again`, { cause: error });
  }
}
