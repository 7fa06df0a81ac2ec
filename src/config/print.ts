// The configuration as an operator reads it.

import { stringify } from "yaml";

import type { Config } from "./schema.ts";
import { SETTINGS, variableOf } from "./settings.ts";
import { join, joinListen } from "./values.ts";

/** The effective configuration as YAML: sizes in bytes, durations in seconds. */
export function printConfig(config: Config): string {
  const { listen, metrics, retention, limits } = config;
  return stringify({
    ...config,
    listen: listen.map((address) => joinListen(address)).join(", "),
    // The names of the others say their unit.
    retention: `${retention}s`,
    limits: {
      ...limits,
      memoryPerAddress: `${limits.memoryPerAddress}B`,
      memory: `${limits.memory}B`,
    },
    metrics: typeof metrics === "string" ? metrics : join(metrics),
  });
}

const COLUMNS = 80;

/** A file with every key, its documentation, its variable and its default, the settings commented out. */
export function printExample(): string {
  const lines: string[] = [];
  for (const setting of SETTINGS) {
    const { path, description, defaultValue, isGroup } = setting;
    const indent = "  ".repeat(path.length - 1);
    const name = path.at(-1) ?? "";
    for (const line of wrapped(description, COLUMNS - indent.length - 2)) {
      lines.push(`${indent}# ${line}`);
    }
    if (isGroup) {
      lines.push(`#${name}:`);
    } else {
      lines.push(`${indent}# ${variableOf(setting)}`);
      lines.push(`#${indent}${name}: ${stringify(defaultValue).trim()}`);
    }
    lines.push("");
  }
  return lines.join("\n");
}

const ABOUT_ENVIRONMENT =
  "The settings as variables, for a file .env beside docker-compose.yml or an EnvironmentFile of systemd: a line each, NAME=value, without quotes, a list with commas. What is commented out or empty has its default, which is shown. What docker-compose.yml reads besides, such as DEADDROP_DOMAIN, is in docs/OPERATING.md. Made by: deaddrop config --example env";

/** A file of variables with every setting, its documentation and its default, the settings commented out. */
export function printEnvironmentExample(): string {
  const lines = [...comment(ABOUT_ENVIRONMENT), ""];
  for (const setting of SETTINGS) {
    lines.push(...comment(setting.description));
    if (!setting.isGroup) lines.push(`#${variableOf(setting)}=${String(setting.defaultValue)}`);
    lines.push("");
  }
  return lines.join("\n");
}

function comment(text: string): string[] {
  return wrapped(text, COLUMNS - 2).map((line) => `# ${line}`);
}

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
