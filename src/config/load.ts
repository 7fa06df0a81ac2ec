// Where the configuration comes from: a YAML file, and the environment, which overrides it.

import { existsSync, readFileSync } from "node:fs";

import { parse } from "yaml";

import { inconsistencies } from "./consistency.ts";
import { explain } from "./explain.ts";
import { type Config, schema } from "./schema.ts";
import { BY_VARIABLE, ENVIRONMENT_PREFIX } from "./settings.ts";

/** A start that must not happen: the message names the key, the value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Variables with the prefix that are no settings: where the file is, where uWebSockets.js is, what docker-compose.yml makes `url` and `aliases` of, and what the commands of senders and recipients read. */
const OTHER_VARIABLES = new Set([
  "DEADDROP_CONFIG",
  "DEADDROP_UWS",
  "DEADDROP_DOMAIN",
  "DEADDROP_ONION",
  "DEADDROP_HOME",
  "DEADDROP_KEY",
  "DEADDROP_KEY_FILE",
  "DEADDROP_PASSPHRASE",
  "DEADDROP_RELAYS",
  "DEADDROP_DISCOVERY",
  "DEADDROP_SOCKS",
]);
const DEFAULT_FILE = "deaddrop.yaml";

/**
 * Reads the file (`DEADDROP_CONFIG`, else ./deaddrop.yaml if there is one) and then the environment, which overrides it. An empty variable is as good as
 * none: files of variables name what they do not set. Throws ConfigError.
 */
export function loadConfig(
  environment: Readonly<Record<string, string | undefined>>,
  file = bare(environment["DEADDROP_CONFIG"]),
): Config {
  const given = readFile(file);
  for (const [variable, written] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || OTHER_VARIABLES.has(variable)) continue;
    const setting = BY_VARIABLE.get(variable);
    if (setting === undefined) {
      throw new ConfigError(
        // Its value might be a secret that was meant for another command.
        `unknown setting ${variable}; see deaddrop config --example`,
      );
    }
    const value = bare(written);
    if (value !== undefined) set(given, setting.path, value);
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success)
    throw new ConfigError(parsed.error.issues.map((issue) => explain(issue, given)).join("\n"));
  const broken = inconsistencies(parsed.data);
  if (broken.length > 0) throw new ConfigError(broken.join("\n"));
  return parsed.data;
}

// Without the blanks at its ends, which nobody sees in a file of variables: a space, or the carriage return of a file that was made on Windows.
function bare(value: string | undefined): string | undefined {
  const text = value?.trim();
  return text === "" ? undefined : text;
}

function readFile(file: string | undefined): Record<string, unknown> {
  const path = file ?? DEFAULT_FILE;
  if (file === undefined && !existsSync(path)) return {};
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`cannot read ${path}: ${(error as Error).message}`);
  }
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new ConfigError(`${path} is not YAML: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ConfigError(`${path} must hold keys and values`);
  }
  return value as Record<string, unknown>;
}

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = "", ...rest] = path;
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const group = target[name] ?? {};
  // What is no group stays as it is, for the schema to refuse.
  if (typeof group !== "object" || Array.isArray(group)) return;
  target[name] = { ...group };
  set(target[name] as Record<string, unknown>, rest, value);
}
