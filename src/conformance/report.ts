import type { Check } from "./check.ts";
import { OBLIGATIONS } from "./obligations.ts";
import type { Result } from "./runner.ts";
import { subjectOf } from "./suite.ts";
import type { Line } from "./transcript.ts";

const MARKS = { passed: "✓", failed: "✗", advised: "!", skipped: "–" } as const;
const ARROWS = { sent: "→", heard: "←", note: "·" } as const;
const OUTCOMES = ["passed", "failed", "advised", "skipped"] as const;
// What a person can take in; the JSON report has it all.
const MAX_SHOWN_LINES = 40;
const MAX_SHOWN_CHARS = 300;

/** A check's result for people, with the transcript of what the relay did and should not. */
export function shown(result: Result): string {
  const { check, outcome } = result;
  const head = `${MARKS[outcome]} ${check.id}  ${check.title}\n`;
  switch (outcome) {
    case "passed":
      return result.note === undefined ? head : `${head}    ${printable(result.note)}\n`;
    case "skipped":
      return `${head}    skipped: ${printable(result.reason)}\n`;
    case "failed":
    case "advised":
      return `${head}    NIP-${check.nip}: “${check.sentence}”\n    ${printable(result.reason)}\n${dialogue(result.transcript)}\n`;
  }
}

/** One line of JSON for a check's result. */
export function shownAsJson(result: Result): string {
  const { check, milliseconds, outcome, ...rest } = result;
  const { id, title, nip, sentence, obligations } = check;
  const line = { check: id, outcome, title, nip, sentence, obligations, milliseconds, ...rest };
  return jsonLine(line);
}

/** How a check's line in `--list` reads. */
export function listed(check: Check): string {
  return `${check.id}  ${check.title} (${source(check)})\n`;
}

/** The same with `--json`. */
export function listedAsJson(check: Check): string {
  const { id, title, nip, sentence, isAdvice, obligations: ids } = check;
  const obligations = ids.map((obligation) => ({
    id: obligation,
    sentence: OBLIGATIONS[obligation],
  }));
  return jsonLine({ check: id, title, nip, sentence, isAdvice, obligations });
}

export type Summary = {
  readonly url: string;
  readonly seconds: number;
  /** What became of the drops the suite had left. */
  readonly cleanUp: string;
};

/** The table at the end: a row for each subject. */
export function summary(results: readonly Result[], { url, seconds, cleanUp }: Summary): string {
  const subjects = [...new Set(results.map(({ check }) => subjectOf(check)))];
  const rows = [
    ["", ...OUTCOMES],
    ...subjects.map((subject) =>
      row(
        subject,
        results.filter(({ check }) => subjectOf(check) === subject),
      ),
    ),
    row("all", results),
  ];
  const width = Math.max(...rows.map(([name = ""]) => name.length));
  const table = rows.map(([name = "", ...numbers]) =>
    `${name.padEnd(width)}${numbers.map((number) => number.padStart(9)).join("")}`.trimEnd(),
  );
  return `\n${table.join("\n")}\n\n${printable(url)}: ${seconds} s; ${printable(cleanUp)}\n`;
}

export function summaryAsJson(results: readonly Result[], about: Summary): string {
  const counts = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, count(results, outcome)]));
  return jsonLine({ summary: counts, ...about });
}

function row(name: string, results: readonly Result[]): string[] {
  return [name, ...OUTCOMES.map((outcome) => String(count(results, outcome)))];
}

function count(results: readonly Result[], outcome: Result["outcome"]): number {
  return results.filter((result) => result.outcome === outcome).length;
}

function source({ nip, obligations }: Check): string {
  return obligations.length === 0 ? `NIP-${nip}` : `NIP-${nip} ${obligations.join(", ")}`;
}

function dialogue(lines: readonly Line[]): string {
  const half = MAX_SHOWN_LINES / 2;
  const isLong = lines.length > MAX_SHOWN_LINES;
  const gap = `      … ${lines.length - MAX_SHOWN_LINES} lines; --json has more of them`;
  if (!isLong) return lines.map(asText).join("\n");
  return [...lines.slice(0, half).map(asText), gap, ...lines.slice(-half).map(asText)].join("\n");
}

function asText({ at, connection, direction, text }: Line): string {
  const safe = printable(text);
  const short =
    safe.length > MAX_SHOWN_CHARS ? `${safe.slice(0, MAX_SHOWN_CHARS)}… (${safe.length})` : safe;
  return `    ${String(at).padStart(6)} ms  ${connection} ${ARROWS[direction]} ${short}`;
}

// A relay must not write to the terminal of whoever tests it: no control characters, nothing that turns the direction of text.
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}

// JSON may hold the separators U+2028 and U+2029 as they are, but many readers of lines end one there.
function jsonLine(value: object): string {
  const json = JSON.stringify(value);
  return `${json.replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029")}\n`;
}
