// A text that was typed for a message. When it cannot be sent it is kept in a file for whoever typed it, and the file goes when the same text reaches the same
// person, or waits for relays as a message.
//
// Before something fails it is not on disk: what is sent leaves no plain text behind. It is written without waiting, as a second Ctrl-C ends the process.

import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { tell } from "./failure.ts";
import { quoted } from "./key-file.ts";
import { textKept, textNotKept } from "./messages.ts";
import type { Terminal } from "./terminal.ts";

export type TypedTextParts = {
  /** Where the file would be: a folder of its author alone. */
  readonly folder: string;
  /** To whom it goes, as that was typed. */
  readonly to: string;
  readonly text: string;
  /** What sends the text of standard input to the same person. */
  readonly command: string;
  readonly stderr: Terminal["stderr"];
};

export class TypedText {
  readonly #parts: TypedTextParts;
  readonly #file: string;
  #isSafe = false;
  // Why it could not be kept; empty: it is in its file.
  #failure: string | undefined;

  constructor(parts: TypedTextParts) {
    this.#parts = parts;
    const { folder, to, text } = parts;
    // The same text to the same person has the same name.
    const name = createHash("sha256").update(`${to}\n${text}`).digest("hex").slice(0, 16);
    this.#file = join(folder, `text-${name}.txt`);
  }

  /** The text is not needed any more: it was sent, or is kept as a message. */
  safe(): void {
    this.#isSafe = true;
    rmSync(this.#file, { force: true });
  }

  /** Keeps the text, unless it is safe, and says nothing yet. */
  keep(): void {
    if (this.#isSafe || this.#failure !== undefined) return;
    try {
      mkdirSync(this.#parts.folder, { recursive: true, mode: 0o700 });
      rmSync(this.#file, { force: true });
      writeFileSync(this.#file, `${this.#parts.text}\n`, { mode: 0o600, flag: "wx", flush: true });
      this.#failure = "";
    } catch (error) {
      this.#failure = (error as Error).message;
    }
  }

  /** Keeps the text, unless it is safe, and says where it is and how to send it; where it cannot be kept, what it is. */
  rescue(): void {
    this.keep();
    if (this.#isSafe) return;
    const { command, stderr, text } = this.#parts;
    if (this.#failure === "") tell(stderr, textKept(this.#file, command, quoted(this.#file)));
    else {
      tell(stderr, textNotKept(this.#failure ?? ""));
      stderr.write(`${text}\n`);
    }
  }
}
