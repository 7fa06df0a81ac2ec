// Folders in which somebody is who has this project: what they write there is removed after the test.

import { cpSync, symlinkSync } from "node:fs";
import { basename, join } from "node:path";

import { temporaryFolder } from "./relay.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
// What a checkout is without.
const MADE = new Set([".cache", ".git", "coverage", "data", "dist", "node_modules"]);

/** A copy, in which nothing is installed. */
export function copiedCheckout(): string {
  const folder = temporaryFolder();
  cpSync(ROOT, folder, { recursive: true, filter: (source) => !MADE.has(basename(source)) });
  return folder;
}

/** A folder in which `npm run` finds this project as it is installed here. */
export function linkedCheckout(): string {
  const folder = temporaryFolder();
  for (const name of ["package.json", "src", "node_modules"]) {
    symlinkSync(join(ROOT, name), join(folder, name));
  }
  return folder;
}
