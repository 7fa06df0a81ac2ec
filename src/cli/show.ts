// How things are shown on a terminal.

/** Unix seconds as people read them, in UTC. */
export function shownTime(seconds: number): string {
  const date = new Date(seconds * 1_000);
  // What a stranger wrote may be no date.
  return Number.isNaN(date.getTime())
    ? `${seconds}`
    : `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/**
 * Text of a stranger, without what would move the cursor, change colours or end the line for a program that reads on: control characters but line
 * feed and tab, and those that turn the direction of writing.
 */
export function harmless(text: string): string {
  return text.replace(/(?![\n\t])[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd");
}

/** The same for what has one line. */
export function harmlessLine(text: string): string {
  return harmless(text).replace(/[\n\t]/g, " ");
}
