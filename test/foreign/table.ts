// The table of docs/CLIENTS.md, and the notes below it.

import { type Library, type Scenario, SCENARIOS } from "./libraries.ts";
import { type Seen, WORKS } from "./part.ts";

const BEGIN = "<!-- What follows was written by test/foreign/clients.test.ts. -->";
const END = "<!-- End of what was written. -->";

/** The page with what was seen in it. */
export function written(page: string, seen: ReadonlyMap<Library, Seen>): string {
  const [before, rest = ""] = page.split(BEGIN);
  const [, after] = rest.split(END);
  return `${before}${BEGIN}\n\n${table(seen)}\n\n${END}${after}`;
}

/** Whether a library did what it is known to do; what it is known to fail at has a number. */
function table(seen: ReadonlyMap<Library, Seen>): string {
  const notes: string[] = [];
  const cell = (library: Library, what: Seen, scenario: Scenario): string => {
    if (library.absent.includes(scenario)) return "–";
    if (what.get(scenario) === WORKS) return "yes";
    const fault = library.faults[scenario];
    if (fault === undefined) return "no";
    notes.push(`${notes.length + 1}. ${library.name}: ${fault}`);
    return `no (${notes.length})`;
  };
  const scenarios = Object.keys(SCENARIOS) as Scenario[];
  const rows = Array.from(seen, ([library, what]) => [
    `${library.name} ${library.version}`,
    ...scenarios.map((scenario) => cell(library, what, scenario)),
  ]);
  const all = [["", ...Object.values(SCENARIOS)], ...rows];
  const widths = all[0]?.map((_, at) => Math.max(3, ...all.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, at) => text.padEnd(widths?.[at] ?? 0)).join(" | ")} |`;
  const [head = [], ...body] = all;
  const rule = line(head.map((_, at) => "-".repeat(widths?.[at] ?? 0)));
  return [line(head), rule, ...body.map(line), "", ...notes].join("\n");
}
