import { readFileSync } from "node:fs";

import type { Message } from "./client.ts";

/** A message; a closed connection, 1006 for one that was cut off; or an HTTP status. */
type Answer = Message | { readonly code: number } | `HTTP ${number}`;

const ROWS = badInput(
  readFileSync(new URL("../../docs/BEHAVIOR.md", import.meta.url).pathname, "utf8"),
);

/**
 * The answer itself, after a look into docs/BEHAVIOR.md: there the section "Bad input" has a row for what the client sends, with this answer. So what
 * a test expects and what is documented cannot drift apart.
 */
export function documented<A extends Answer>(sends: string, answer: A): A {
  const row = ROWS.get(sends);
  if (row !== inWords(answer)) {
    throw new Error(`docs/BEHAVIOR.md, "${sends}": ${row ?? "no row"}, not ${inWords(answer)}`);
  }
  return answer;
}

// What the client sends → what the relay answers.
function badInput(text: string): ReadonlyMap<string, string> {
  const [section = ""] = text.split(/^## Bad input$/m)[1]?.split(/^## /m) ?? [];
  const rows = new Map<string, string>();
  for (const line of section.split("\n")) {
    const [, sends, answers] = /^\| (.*?) +\| (.*?) +\|$/.exec(line) ?? [];
    if (sends !== undefined && answers !== undefined) rows.set(sends, answers);
  }
  return rows;
}

function inWords(answer: Answer): string {
  if (typeof answer === "string") return `\`${answer}\``;
  if ("code" in answer) {
    return answer.code === 1006 ? "cut off" : `connection closed with \`${answer.code}\``;
  }
  const [verb, ...rest] = answer;
  const said = verb === "OK" ? `\`OK\` \`${String(rest[1])}\`` : `\`${verb}\``;
  const reason = rest.at(-1);
  return reason === "" ? said : `${said} \`${String(reason)}\``;
}
