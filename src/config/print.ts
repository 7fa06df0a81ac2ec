// The configuration as an operator reads it.

import { stringify } from "yaml";

import type { Config } from "./schema.ts";
import { SETTINGS, variableOf } from "./settings.ts";
import { join } from "./values.ts";

/** The effective configuration as YAML: sizes in bytes, durations in seconds. */
export function printConfig(config: Config): string {
  const { listen, metrics, retention, limits } = config;
  return stringify({
    ...config,
    listen: join(listen),
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

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
