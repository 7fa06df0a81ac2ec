// How things are shown on a terminal.

import type { DeliveryReport, PickedUp } from "../client/client.ts";
import { shownKey } from "./arguments.ts";
import type { Terminal } from "./terminal.ts";

/** Unix seconds as people read them, in UTC. */
export function shownTime(seconds: number): string {
  const date = new Date(seconds * 1_000);
  // What a stranger wrote may be no date.
  return Number.isNaN(date.getTime())
    ? `${seconds}`
    : `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/**
 * Text of a stranger, without what would move the cursor, change colours or end the line for a program that reads on: control characters but line
 * feed and tab, and those that turn the direction of writing.
 */
function harmless(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd");
}

/** The same for what has one line. */
export function harmlessLine(text: string): string {
  return harmless(text).replace(/[\n\t]/g, " ");
}

/** What was picked up, for people. The text is indented: what stands at the margin is ours, and no text can look like another message. */
function shownDrop(picked: Exclude<PickedUp, { type: "unreadable" }>): string {
  const { id, from } = picked;
  const head = `id:   ${id}\nfrom: ${shownKey(from)}\n`;
  if (picked.type === "receipt") {
    return `${head}receipt for ${picked.messages.join(", ")}\n\n`;
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

/** What a relay said to a drop, for people. */
export function shownReport({ url, state, reason, heldUntil }: DeliveryReport): string {
  const until = heldUntil === undefined ? "" : ` until ${shownTime(heldUntil)}`;
  const why = reason === "" || state === "known" ? "" : `: ${harmlessLine(reason)}`;
  return `${url} ${state}${until}${why}\n`;
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
    terminal.stderr.write(
      `deaddrop: drop ${picked.id} cannot be opened: ${picked.why}; "deaddrop ack ${picked.id}" removes it\n`,
    );
  }
  return false;
}
