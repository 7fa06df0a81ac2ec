// Every option of every command, in one table: what parses them, what completes them, and what a command is given.

import { parseArgs } from "node:util";

import { durationSeconds, withUnit } from "../config/duration.ts";
import { CliError, type Message } from "./failure.ts";
import {
  badCommandLine,
  noCount,
  noDuration,
  noSuchOption,
  noUnit,
  optionTakesNoValue,
  optionWithoutValue,
  TIMEOUT_TOO_LONG,
} from "./messages.ts";

type Option = {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
};

export const OPTIONS = {
  config: { type: "string", short: "c" },
  example: { type: "boolean" },
  json: { type: "boolean" },
  only: { type: "string", multiple: true },
  all: { type: "boolean" },
  list: { type: "boolean" },
  timeout: { type: "string" },
  key: { type: "string", short: "k" },
  relay: { type: "string", short: "r", multiple: true },
  discovery: { type: "string", multiple: true },
  socks: { type: "string" },
  secret: { type: "boolean" },
  "no-passphrase": { type: "boolean" },
  method: { type: "string" },
  ack: { type: "boolean" },
  grace: { type: "string" },
  expires: { type: "string" },
  quorum: { type: "string" },
  rewrap: { type: "boolean" },
  print: { type: "boolean" },
  retry: { type: "boolean" },
  "tombstones-only": { type: "boolean" },
  repair: { type: "boolean" },
  recipient: { type: "string" },
  after: { type: "string" },
  resume: { type: "boolean" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
} as const satisfies Readonly<Record<string, Option>>;

export type OptionName = keyof typeof OPTIONS;

/** A command line, taken apart. */
export type CommandLine = ReturnType<typeof parse>;

/** The options that were given. */
export type OptionValues = CommandLine["values"];

/** Takes a command line apart. Throws a CliError for what is no option of any command. */
export function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS, tokens: true });
  } catch (error) {
    throw new CliError(misuse(error as NodeJS.ErrnoException));
  }
}

// Node.js names the option between quotes, with its value: "Option '-r, --relay <value>' argument missing".
function misuse({ code, message }: NodeJS.ErrnoException): Message {
  const [, option] = /'(?:-\w, )?(-[^' ]*)[^']*'/.exec(message) ?? [];
  if (option === undefined) return badCommandLine(message);
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") return noSuchOption(option);
  return /does not take/.test(message) ? optionTakesNoValue(option) : optionWithoutValue(option);
}

/** A duration such as 7d, in seconds. */
export function seconds(text: string | undefined, option: OptionName): number | undefined {
  if (text === undefined) return undefined;
  const parsed = durationSeconds(text);
  if (parsed !== undefined && parsed > 0) return parsed;
  const write = parsed === undefined ? withUnit(text) : undefined;
  throw new CliError(write === undefined ? noDuration(option, text) : noUnit(option, text, write));
}

// A relay that takes longer is not there.
const MAX_TIMEOUT_SECONDS = 60 * 60;

/** How long a relay may take to answer, in seconds. */
export function timeoutSeconds(text: string | undefined): number | undefined {
  const given = seconds(text, "timeout");
  if (given === undefined || given <= MAX_TIMEOUT_SECONDS) return given;
  throw new CliError(TIMEOUT_TOO_LONG);
}

/** A whole number of at least 1. */
export function count(text: string | undefined, option: OptionName): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new CliError(noCount(option, text));
}
