import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import type { AtEnd } from "../support/relay.ts";

/** What a program can be told to do. */
export type Orders = {
  /** Makes a client for this person. */
  open: { url: string; secret: string };
  /** Sends a gift wrap. Answers its id. */
  send: { to: string; text: string };
  /** Sends a message of kind 4. Answers its id. */
  write: { to: string; text: string };
  /** Deletes drops by kind 5. */
  remove: { ids: readonly string[] };
  /** Subscribes; what is shown is kept under the name. */
  listen: { filters: readonly object[]; name: string };
  /** Answers how many there are. */
  count: { filter: object };
  /** Answers the ids that only the relay has (`need`) and those that only the client has (`have`). */
  reconcile: { filter: object; events: readonly { id: string; created_at: number }[] };
};

type Line =
  | { readonly ready: true }
  | { readonly number: number; readonly answer: unknown }
  | { readonly number: number; readonly refused: string }
  | { readonly name: string; readonly event: string }
  | { readonly name: string; readonly ended: string };

/** A program that uses a foreign library. One JSON line for an order, one for its answer, one for each event that is shown to it. */
export class Program {
  readonly #answers = new Map<number, (line: Line) => void>();
  readonly #shown = new Map<string, Set<string>>();
  readonly #wanted = new Set<() => void>();
  readonly #write: (line: string) => void;
  #number = 0;

  private constructor(write: (line: string) => void) {
    this.#write = write;
  }

  /** Resolves when the program takes orders. What it writes to stderr goes to `log`. */
  static start(
    { command, args, env }: { command: string; args: readonly string[]; env: object },
    log: (line: string) => unknown,
    atEnd: AtEnd,
  ): Promise<Program> {
    const child = spawn(command, args, {
      env: { PATH: process.env["PATH"], ...env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
    atEnd(async () => {
      child.kill("SIGKILL");
      await exited;
    });
    createInterface({ input: child.stderr }).on("line", log);
    const program = new Program((line) => child.stdin.write(`${line}\n`));
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      void exited.then((code) => reject(new Error(`the program ended with ${code}`)));
      createInterface({ input: child.stdout }).on("line", (text) => {
        const line = JSON.parse(text) as Line;
        if ("ready" in line) resolve(program);
        else program.#hear(line, log);
      });
    });
  }

  /** Rejects with what the library says when it could not. */
  order<O extends keyof Orders>(order: O, as: string, given: Orders[O]): Promise<unknown> {
    const number = (this.#number += 1);
    return new Promise((resolve, reject) => {
      this.#answers.set(number, (line) => {
        if ("answer" in line) resolve(line.answer);
        else if ("refused" in line) reject(new Error(line.refused));
      });
      this.#write(JSON.stringify({ number, order, as, ...given }));
    });
  }

  /** Whether an event was shown under this name. */
  hasShown(name: string, id: string): boolean {
    return this.#shown.get(name)?.has(id) ?? false;
  }

  /** Resolves when the event is shown under this name. */
  async shows(name: string, id: string): Promise<void> {
    while (!this.hasShown(name, id)) {
      await new Promise<void>((resolve) => this.#wanted.add(resolve));
    }
  }

  #hear(line: Exclude<Line, { ready: true }>, log: (line: string) => unknown): void {
    if ("number" in line) this.#answers.get(line.number)?.(line);
    else if ("ended" in line) log(`${line.name} ended: ${line.ended}`);
    else {
      const shown = this.#shown.get(line.name) ?? new Set();
      this.#shown.set(line.name, shown.add(line.event));
      for (const wake of this.#wanted) wake();
      this.#wanted.clear();
    }
  }
}
