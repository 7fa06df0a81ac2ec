import { existsSync } from "node:fs";
import { join } from "node:path";

// Where Debian has servers; they are not on everybody's path.
const FOLDERS = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];

/** Where a program is; undefined on a machine without it, which may skip what needs it, unless it is CI's. */
export function programAt(name: string): string | undefined {
  const found = FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined && process.env["CI"] !== undefined) {
    throw new Error(`no ${name}: .ci/tools installs it`);
  }
  return found;
}
