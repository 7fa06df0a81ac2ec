// How a message that was picked up is printed.

import type { PickedUp } from "../client/client.ts";
import { shownKey } from "./arguments.ts";
import { tell } from "./failure.ts";
import { receiptFor, unreadable } from "./messages.ts";
import { harmless, harmlessLine, shownTime } from "./show.ts";
import type { Terminal } from "./terminal.ts";

/** What was picked up, for people. The text is indented: what stands at the margin is ours, and no text can look like another message. */
function shownDrop(picked: Exclude<PickedUp, { type: "unreadable" }>): string {
  const { id, from } = picked;
  const head = `id:   ${id}\nfrom: ${shownKey(from)}\n`;
  if (picked.type === "receipt") {
    return `${head}${receiptFor(picked.messages)}\n\n`;
  }
  const { created_at, kind, content, tags } = picked.message;
  const subject = tags.find(([name]) => name === "subject")?.[1];
  const lines = [
    `time: ${shownTime(created_at)}`,
    ...(kind === 14 || kind === 4 ? [] : [`kind: ${kind}`]),
    ...(subject === undefined ? [] : [`subject: ${harmlessLine(subject)}`]),
  ];
  const text = harmless(content).replace(/^/gm, "  ");
  return `${head}${lines.join("\n")}\n\n${text}\n\n`;
}

/** What was picked up, as one line of JSON. */
function dropAsJson(picked: PickedUp): string {
  if (picked.type !== "message") return line(picked);
  const { message, ...rest } = picked;
  const { id, kind, created_at, tags, content } = message;
  return line({ ...rest, message: id, kind, created_at, tags, content });
}

// JSON leaves characters as they are that a terminal obeys.
function line(value: object): string {
  const escaped = JSON.stringify(value).replace(
    /[\p{Cc}\p{Bidi_Control}]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return `${escaped}\n`;
}

/** Writes to standard output and resolves when whoever reads it has it, as far as that can be known. Rejects when nobody reads. */
function written({ stdout }: Terminal, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(text, (error?: Error | null) => (error ? reject(error) : resolve()));
  });
}

/**
 * Prints what was picked up. Answers whether it was a message, or a receipt, and is now with whoever reads standard output: only that may be acknowledged.
 */
export async function printPicked(
  picked: PickedUp,
  { json }: { readonly json: boolean },
  terminal: Terminal,
): Promise<boolean> {
  if (picked.type !== "unreadable") {
    await written(terminal, json ? dropAsJson(picked) : shownDrop(picked));
    return true;
  }
  if (json) await written(terminal, dropAsJson(picked));
  else {
    tell(terminal.stderr, unreadable(picked.id, harmlessLine(picked.why)));
  }
  return false;
}
