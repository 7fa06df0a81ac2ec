// Where the configuration comes from: a YAML file, and the environment, which overrides it.

import { existsSync, readFileSync } from "node:fs";

import { LineCounter, parse, parseDocument } from "yaml";

import { inconsistencies } from "./consistency.ts";
import { explain } from "./explain.ts";
import { type Config, schema } from "./schema.ts";
import { BY_VARIABLE, ENVIRONMENT_PREFIX } from "./settings.ts";

/** A start that must not happen: the message names the key, the value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** The lines of the file where it is wrong, as far as they are known. */
  readonly lines: readonly number[];

  constructor(message: string, lines: readonly number[] = []) {
    super(message);
    this.lines = lines;
  }
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
  const { text, given } = readFile(file);
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
  if (!parsed.success) {
    const { issues } = parsed.error;
    const wrong = issues.flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((name) => [...issue.path, name])
        : [issue.path],
    );
    const sentences = issues.map((issue) => explain(issue, given));
    throw new ConfigError(sentences.join("\n"), linesOf(text, wrong));
  }
  const broken = inconsistencies(parsed.data);
  if (broken.length > 0) {
    const named = broken.flatMap((rule) => rule.match(/\b(?:limits\.\w+|sweepSeconds)\b/g) ?? []);
    const paths = named.map((name) => name.split("."));
    throw new ConfigError(broken.join("\n"), linesOf(text, paths));
  }
  return parsed.data;
}

/** Where a configuration comes from, for who wants to know of changes. */
export type ConfigurationSource = {
  /** The file, whether it is there or not. */
  readonly file: string;
  /** What stood in it at first. */
  readonly text: string | undefined;
  /** Does what `loadConfig` does, with the environment as it was. */
  readonly load: () => Config;
};

/** Where `loadConfig` reads with the same arguments. To be asked before it. */
export function configurationSource(
  environment: Readonly<Record<string, string | undefined>>,
  given?: string,
): ConfigurationSource {
  const file = given ?? bare(environment["DEADDROP_CONFIG"]) ?? DEFAULT_FILE;
  const asItWas = { ...environment };
  return { file, text: textIn(file), load: () => loadConfig(asItWas, given) };
}

/** What stands in a file; undefined when it cannot be read. */
export function textIn(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

// Without the blanks at its ends, which nobody sees in a file of variables: a space, or the carriage return of a file that was made on Windows.
function bare(value: string | undefined): string | undefined {
  const text = value?.trim();
  return text === "" ? undefined : text;
}

function readFile(file: string | undefined): {
  readonly text: string;
  readonly given: Record<string, unknown>;
} {
  const path = file ?? DEFAULT_FILE;
  if (file === undefined && !existsSync(path)) return { text: "", given: {} };
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
    const { message, linePos: [{ line }] = [{}] } = error as Error & {
      readonly linePos?: readonly [{ readonly line?: number }];
    };
    throw new ConfigError(`${path} is not YAML: ${message}`, line === undefined ? [] : [line]);
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new ConfigError(`${path} must hold keys and values`);
  }
  return { text, given: value as Record<string, unknown> };
}

// The lines where the file gives these settings, those that it gives.
function linesOf(text: string, paths: readonly (readonly PropertyKey[])[]): number[] {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  const lines = paths.flatMap((path) => {
    const node = document.getIn(path, true) as
      | { readonly range?: readonly [number, ...unknown[]] }
      | undefined;
    return node?.range === undefined ? [] : [lineCounter.linePos(node.range[0]).line];
  });
  return [...new Set(lines)].toSorted((a, b) => a - b);
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
