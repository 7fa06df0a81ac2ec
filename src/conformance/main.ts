#!/usr/bin/env node
// The suite alone: the command `deaddrop-conformance`, in a package without the relay.

import { parseArgs } from "node:util";

import { ALL_WELL, conformance, SOMETHING_FAILED, timeLimit, WRONG_USE } from "./command.ts";
import { conformanceHelp } from "./help.ts";

const PROGRAM = "deaddrop-conformance";

const OPTIONS = {
  only: { type: "string", multiple: true },
  all: { type: "boolean" },
  list: { type: "boolean" },
  json: { type: "boolean" },
  timeout: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

// Whoever reads what is printed may stop early, as `head` does. That is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(ALL_WELL);
  process.stderr.write(`${PROGRAM}: cannot write to standard output: ${error.message}\n`);
  process.exit(SOMETHING_FAILED);
});
// Nobody is there to be told of it.
process.stderr.on("error", () => {});

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const given = parse(args);
  if (typeof given === "string") return misused(given);
  const { only = [], all = false, list = false, json = false, timeout, help } = given.values;
  if (help === true) {
    process.stdout.write(conformanceHelp(PROGRAM));
    return ALL_WELL;
  }
  const [url, surplus] = given.positionals;
  if (surplus !== undefined) return misused(`takes one relay; "${surplus}" is one too many`);
  const timeoutSeconds = timeLimit(timeout);
  return conformance({ program: PROGRAM, url, json, only, all, list, timeoutSeconds }, process);
}

/** The command line, taken apart; or why that is impossible. */
function parse(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options: OPTIONS });
  } catch (error) {
    return (error as Error).message;
  }
}

function misused(why: string): number {
  process.stderr.write(`${PROGRAM}: ${why}; see "${PROGRAM} --help"\n`);
  return WRONG_USE;
}
