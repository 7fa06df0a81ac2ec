/** One thing that happened on a connection, as the report shows it. */
export type Line = {
  /** Milliseconds since the check began. */
  readonly at: number;
  /** Who it happened to: "sender", "recipient", "stranger" … */
  readonly connection: string;
  readonly direction: "sent" | "heard" | "note";
  readonly text: string;
};

// What a relay can make us keep: the beginning shows the cause, the end shows what was seen last, so a flood loses its middle.
const MAX_FIRST_LINES = 150;
const MAX_LAST_LINES = 50;
const MAX_LINE_CHARS = 2_000;

/** What was said in one check, in order. However much a relay sends, it stays small. */
export class Transcript {
  readonly #first: Line[] = [];
  readonly #last: Line[] = [];
  readonly #started = performance.now();
  #leftOut = 0;

  add(connection: string, direction: Line["direction"], text: string): void {
    const at = Math.round(performance.now() - this.#started);
    const line = { at, connection, direction, text: shortened(text) };
    if (this.#first.length < MAX_FIRST_LINES) {
      this.#first.push(line);
      return;
    }
    this.#last.push(line);
    if (this.#last.length > MAX_LAST_LINES) {
      this.#last.shift();
      this.#leftOut++;
    }
  }

  get lines(): readonly Line[] {
    const { at = 0 } = this.#last[0] ?? {};
    const gap: Line[] =
      this.#leftOut === 0
        ? []
        : [{ at, connection: "", direction: "note", text: `${this.#leftOut} lines left out` }];
    return [...this.#first, ...gap, ...this.#last];
  }
}

function shortened(text: string): string {
  if (text.length <= MAX_LINE_CHARS) return text;
  return `${text.slice(0, MAX_LINE_CHARS)}… (${text.length} characters)`;
}
