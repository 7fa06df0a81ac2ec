// What a command reads from and writes to. Results go to standard output; questions and progress go to standard error, so that a result can be piped on.

import type { Readable } from "node:stream";

import type { Stream } from "../conformance/progress-line.ts";
import { CliError, type Message } from "./failure.ts";
import {
  answerTooLong,
  INPUT_ENDED,
  inputTooLong,
  INTERRUPTED_MESSAGE,
  nobodyToAsk,
  notText,
} from "./messages.ts";

type Input = Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown };

export { progressLine } from "../conformance/progress-line.ts";

/** `process` is one. */
export type Terminal = {
  readonly stdin: Input;
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** A question that was answered wrongly so often is not asked again. */
export const MAX_TRIES = 3;
const MAX_ANSWER_BYTES = 4 * 1024;

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const CTRL_U = 0x15;
const SPACE = 0x20;
const BACKSPACES: readonly number[] = [0x08, 0x7f];

/** Whether somebody is there who sees a question and can answer it. */
export function canAsk({ stdin, stderr }: Terminal): boolean {
  return stdin.isTTY === true && stderr.isTTY === true;
}

/**
 * Asks and answers the line that is typed or pasted, without its end. A secret is not echoed. Throws a CliError: INTERRUPTED for Ctrl-C, FAILED when the
 * input ends, WRONG_USE where there is no terminal.
 */
export async function ask(
  terminal: Terminal,
  question: string,
  { secret }: { readonly secret: boolean },
): Promise<string> {
  const { stdin, stderr } = terminal;
  if (!canAsk(terminal)) throw new CliError(nobodyToAsk(question.trim()));
  // Before the question is seen, for what is typed at once is not to be echoed either.
  if (secret) stdin.setRawMode?.(true);
  try {
    stderr.write(question);
    return await readLine(stdin);
  } finally {
    if (secret) {
      stdin.setRawMode?.(false);
      stderr.write("\n");
    }
  }
}

// A raw terminal leaves editing to us; one that is not raw has done it already, and sends nothing but the line. Works on bytes, as no byte of a longer
// character looks like a control character in UTF-8.
function readLine(stdin: Input): Promise<string> {
  if (stdin.readableEnded) return Promise.reject(inputEnded());
  const line: number[] = [];
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      stdin.off("data", take).off("end", ended).off("error", failed).pause();
    };
    const failed = (error: Error): void => {
      stop();
      reject(error);
    };
    const ended = (): void => failed(inputEnded());
    const take = (chunk: Buffer): void => {
      for (const [index, byte] of chunk.entries()) {
        if (byte === NEWLINE || byte === RETURN) {
          stop();
          // Several lines may be pasted at once: what follows answers the next question.
          const isPair = byte === RETURN && chunk[index + 1] === NEWLINE;
          const rest = chunk.subarray(index + (isPair ? 2 : 1));
          if (rest.length > 0) stdin.unshift(rest);
          return resolve(Buffer.from(line).toString());
        }
        if (byte === CTRL_C) return failed(new CliError(INTERRUPTED_MESSAGE));
        if (byte === CTRL_D && line.length === 0) return ended();
        edit(line, byte);
      }
      if (line.length > MAX_ANSWER_BYTES) {
        failed(new CliError(answerTooLong(MAX_ANSWER_BYTES)));
      }
    };
    stdin.on("data", take).on("end", ended).on("error", failed).resume();
  });
}

function edit(line: number[], byte: number): void {
  if (BACKSPACES.includes(byte)) {
    while (isContinuation(line.at(-1))) line.pop();
    line.pop();
  } else if (byte === CTRL_U) {
    line.length = 0;
  } else if (byte >= SPACE || byte === TAB) {
    line.push(byte);
  }
}

// UTF-8: every byte of a character but its first is 10xxxxxx.
function isContinuation(byte = 0): boolean {
  return (byte & 0xc0) === 0x80;
}

function inputEnded(): CliError {
  return new CliError(INPUT_ENDED);
}

/** All there is to read, as text. Throws a CliError that says `name` when it is longer, or not UTF-8. */
export async function readAll(
  source: Readable,
  {
    name,
    maxBytes,
    tooLong = inputTooLong(name, maxBytes),
  }: { readonly name: string; readonly maxBytes: number; readonly tooLong?: Message },
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new CliError(tooLong);
    }
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new CliError(notText(name));
  }
}
