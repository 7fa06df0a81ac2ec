import { closeSync, openSync, writeSync } from "node:fs";

/** Writes into a file as much as the disk takes, to the last byte. */
export function fillDisk(path: string): void {
  const file = openSync(path, "w");
  for (const bytes of [2 ** 20, 2 ** 12, 1]) writeUntilFull(file, bytes);
  closeSync(file);
}

function writeUntilFull(file: number, bytes: number): void {
  try {
    for (;;) writeSync(file, Buffer.alloc(bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
