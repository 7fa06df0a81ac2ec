import { cpSync } from "node:fs";
import { join } from "node:path";

const PARTS = ["data.mdb", "secret", "keys"];

/** Copies a store, which may be open, with all that a relay needs to start on it: what a crash would leave now. */
export function copyStore(from: string, to: string): void {
  for (const part of PARTS) cpSync(join(from, part), join(to, part), { recursive: true });
}
