import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";

import { COMPILED } from "../support/compiled.ts";
import type { Command, Line } from "./fixture.ts";

/** Starts a fixture with those settings; rejects with its reason when it does not come to listen. */
export type Serve = (settings?: Readonly<Record<string, unknown>>) => Promise<Fixture>;

/** Runs `program` (the fixture as `runtime` can read it, and a transport's name) with those settings and that environment beside our own. */
export async function startFixture(
  runtime: string,
  program: readonly string[],
  settings: Readonly<Record<string, unknown>> = {},
  environment: Readonly<Record<string, string>> = {},
): Promise<Fixture> {
  const child = spawn(runtime, [...program, JSON.stringify(settings)], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILED, ...environment },
  });
  const fixture = new Fixture(child);
  const first = await fixture.until(
    (line) => line.event === "listening" || line.event === "failed",
  );
  if (first.event === "failed") throw new Error(first.message);
  return fixture;
}

/** A running fixture: what it printed, and a way to wait for what it will. */
export class Fixture {
  readonly lines: Line[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #exited: Promise<void>;
  #waiting: (() => void)[] = [];
  #errors = "";
  #isOver = false;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stderr.on("data", (chunk: Buffer) => (this.#errors += chunk.toString("utf8")));
    createInterface({ input: child.stdout }).on("line", (text) => {
      this.lines.push(JSON.parse(text) as Line);
      this.#changed();
    });
    this.#exited = new Promise((resolve) => {
      child.once("close", () => {
        this.#isOver = true;
        this.#changed();
        resolve();
      });
    });
  }

  get port(): number {
    const line = this.lines.find((line) => line.event === "listening");
    return line?.event === "listening" ? line.port : 0;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  tell(command: Command): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** The first line, printed already or yet to come, that `matches`. */
  async until<L extends Line>(
    matches: ((line: Line) => line is L) | ((line: Line) => boolean),
  ): Promise<L> {
    for (;;) {
      const found = this.lines.find((line) => matches(line));
      if (found !== undefined) return found as L;
      if (this.#isOver) throw new Error(`the fixture ended: ${this.#errors}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The `count`th line of that event. */
  async event<E extends Line["event"]>(event: E, count = 1): Promise<Extract<Line, { event: E }>> {
    await this.until(() => this.of(event).length >= count);
    return this.of(event)[count - 1] as Extract<Line, { event: E }>;
  }

  of<E extends Line["event"]>(event: E): Extract<Line, { event: E }>[] {
    return this.lines.filter((line) => line.event === event) as Extract<Line, { event: E }>[];
  }

  /** Everything printed up to now: what is sure to come before the answer to a question. */
  async settled(): Promise<readonly Line[]> {
    const marks = this.of("mark").length;
    this.tell({ do: "mark" });
    await this.event("mark", marks + 1);
    return this.lines;
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}
