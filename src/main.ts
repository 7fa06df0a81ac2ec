#!/usr/bin/env -S node --max-semi-space-size=8
// The command `deaddrop`.

import { parseArgs } from "node:util";

import { conformance } from "./cli/conformance.ts";
import { HELP, helpFor } from "./cli/help.ts";
import { info } from "./cli/info.ts";
import { serve } from "./cli/serve.ts";
import { type Config, ConfigError, loadConfig, printConfig, printExample } from "./config.ts";
import { VERSION } from "./version.ts";

const FAILED = 1;
const WRONG_USE = 2;

// Whoever reads what is printed may stop early, as `head` does. That is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2));

async function run(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        config: { type: "string", short: "c" },
        example: { type: "boolean" },
        json: { type: "boolean" },
        only: { type: "string", multiple: true },
        all: { type: "boolean" },
        list: { type: "boolean" },
        timeout: { type: "string" },
        help: { type: "boolean", short: "h" },
        version: { type: "boolean", short: "V" },
      },
    });
  } catch (error) {
    return fail(WRONG_USE, `${(error as Error).message}\n\n${HELP}`);
  }
  const { values, positionals } = parsed;
  const [verb, ...rest] = positionals;
  if (values.version === true) return print(`${VERSION}\n`);
  if (values.help === true || verb === undefined || verb === "help") {
    return print(helpFor(verb === "help" ? rest[0] : verb));
  }

  if (verb === "conformance") {
    const { only = [], all = false, list = false, json = false, timeout } = values;
    const timeoutSeconds = timeout === undefined ? undefined : Number(timeout);
    return conformance({ url: rest[0], json, only, all, list, timeoutSeconds }, process);
  }

  let config: Config;
  try {
    if (verb === "config" && values.example === true) return print(printExample());
    config = loadConfig(process.env, values.config);
  } catch (error) {
    if (error instanceof ConfigError) return fail(WRONG_USE, `${error.message}\n`);
    throw error;
  }
  switch (verb) {
    case "serve":
      return serve(config);
    case "config":
      return print(printConfig(config));
    case "info":
      try {
        return print(await info(config, { url: rest[0], json: values.json === true }));
      } catch (error) {
        return fail(FAILED, `${(error as Error).message}\n`);
      }
    default:
      return fail(WRONG_USE, `unknown command "${verb}"\n\n${HELP}`);
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function fail(code: typeof FAILED | typeof WRONG_USE, text: string): number {
  process.stderr.write(`deaddrop: ${text}`);
  return code;
}
