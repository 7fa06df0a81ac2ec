// A command whose writes are recorded, on a store that was there before.

import { execFile, execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { commandLine } from "../cli/process.ts";
import { temporaryFolder } from "../support/relay.ts";
import { CutDisk } from "./cut-disk.ts";
import { type Log, readLog } from "./recorded-writes.ts";
import { Chance } from "./seeded.ts";

// By the calls that are recorded.
const COPY = `
  const { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } = require("node:fs");
  const [, from, data, root] = process.argv;
  const flush = (path) => { const file = openSync(path); fsyncSync(file); closeSync(file); };
  const copy = (from, to) => {
    mkdirSync(to);
    for (const name of readdirSync(from)) {
      const [one, other] = [from + "/" + name, to + "/" + name];
      if (statSync(one).isDirectory()) copy(one, other);
      else if (statSync(one).isFile() && name !== "lock.mdb") writeFileSync(other, readFileSync(one), { flush: true });
    }
    flush(to);
  };
  copy(from, data);
  flush(root);
`;

export type RecordedCommand = {
  readonly log: Log;
  /** Where all that was recorded lies. */
  readonly root: string;
  /** The number of records by which the store was there: what follows is the command's. */
  readonly from: number;
};

/** The variables that have a process recorded, into `log`, of what it does in `root`. */
export function recording(library: string, log: string, root: string): Record<string, string> {
  return { LD_PRELOAD: library, RECORDED_LOG: log, RECORDED_FOLDER: root };
}

/** Copies the store in `store` to `data` in a new folder, as is recorded. */
export function recordedStore(
  library: string,
  store: string,
): { readonly root: string; readonly data: string; readonly log: string; readonly from: number } {
  const [root, logs] = [temporaryFolder(), temporaryFolder()];
  const [log, data] = [join(logs, "log"), join(root, "data")];
  execFileSync(process.execPath, ["-e", COPY, store, data, root], {
    env: { ...process.env, ...recording(library, log, root) },
  });
  return { root, data, log, from: readLog(log).records.length };
}

/** Runs `deaddrop` on a copy of the store in `store`. `args` are given the folder in which the copy, and all that is recorded, lies. */
export async function recordedCommand(
  library: string,
  store: string,
  args: (root: string) => readonly string[],
): Promise<RecordedCommand> {
  const { root, data, log: file, from } = recordedStore(library, store);
  const { command, env } = commandLine(args(root));
  const [program, ...rest] = command;
  const said = await new Promise<string>((resolve) => {
    const all = { ...env, ...recording(library, file, root), DEADDROP_DATA: data };
    execFile(program, rest, { env: all }, (_, __, stderr) => resolve(stderr));
  });
  if (said !== "") throw new Error(said);
  const log = readLog(file);
  const missed = unrecorded(log, root);
  if (missed.length > 0) throw new Error(`not recorded: ${missed.join(", ")}`);
  return { log, root, from };
}

/** Files that are not what was recorded of them, as of the end: somebody wrote there in a way that is not recorded. Locks are, through a map. */
export function unrecorded({ records }: Log, root: string): string[] {
  const disk = new CutDisk();
  for (const each of records) disk.take(each);
  const copy = temporaryFolder();
  disk.cut(copy, { whole: () => true, part: () => true }, new Chance(0));
  const names = [root, copy].flatMap((each) =>
    readdirSync(each, { recursive: true, encoding: "utf8" }),
  );
  return [...new Set(names)].filter((name) => {
    const [file, other] = [join(root, name), join(copy, name)];
    if (!existsSync(file) || !existsSync(other)) return true;
    if (statSync(file).isDirectory() || /lock(?:\.mdb)?$/.test(name)) return false;
    return !readFileSync(file).equals(readFileSync(other));
  });
}
