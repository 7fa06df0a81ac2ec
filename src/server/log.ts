// The operator's log: a line of JSON for each thing, or, where somebody watches it on a terminal, a plain one.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";

import pino from "pino";

import type { Config } from "../config/schema.ts";

const STDOUT = 1;

/** Writes to standard output what is as severe as `level`. */
export function openLog(level: Config["log"]): pino.Logger {
  const terminal = { write: (line: string) => void writeSync(STDOUT, plainLine(line)) };
  // With a length it can be told when all is written.
  const destination = isatty(STDOUT) ? terminal : pino.destination({ minLength: 1 });
  return pino({ level, base: null }, destination);
}

type Line = {
  readonly level: number;
  readonly time: number;
  readonly msg: string;
  readonly err?: { readonly message: string; readonly stack?: string };
};

/** A line of the log as a person reads it: when, how severe, what, and its details as `name=value`; below it where an error comes from. */
export function plainLine(json: string): string {
  const { level, time, msg, err, ...details } = JSON.parse(json) as Line;
  const words = [
    new Date(time).toISOString().slice(0, 19).replace("T", " "),
    (pino.levels.labels[level] ?? String(level)).padEnd(5),
    shown(msg),
    ...Object.entries(details).map(([name, value]) => `${name}=${quoted(value)}`),
  ];
  if (err !== undefined) words.push(`err=${quoted(err.message)}`);
  const stack = err?.stack?.split("\n").slice(1) ?? [];
  return [words.join(" "), ...stack.map(shown)].join("\n") + "\n";
}

// A value that is more than one word would be taken for several.
function quoted(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return /^[^\s"=]+$/.test(value) ? shown(value) : shown(JSON.stringify(value));
}

// A stranger's words must not move the cursor.
function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, "�");
}
