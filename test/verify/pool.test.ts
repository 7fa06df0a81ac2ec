import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import { Pool } from "../../src/verify/pool.ts";
import { temporaryFolder } from "../support/relay.ts";
import type { Answered } from "./answering.ts";

// A promise that is never kept would else be waited for a minute.
const PATIENCE = { timeout: 15_000 };

describe("a pool", PATIENCE, () => {
  it("answers each text with its own answer, however many are asked at once", async () => {
    const { pool } = await start({ workers: 2 });
    const texts = Array.from({ length: 1_000 }, (_, number) => `text ${number}`);
    const answers = await Promise.all(texts.map((text) => pool.ask(text)));
    expect(answers.map((answer) => answer?.text)).toEqual(texts);
  });

  it("answers one thread's texts in the order of asking", async () => {
    const { pool } = await start({ workers: 1 });
    const order: string[] = [];
    const texts = Array.from({ length: 200 }, (_, number) => `text ${number}`);
    await Promise.all(
      texts.map((text) => pool.ask(text).then((answer) => order.push(answer?.text ?? ""))),
    );
    expect(order).toEqual(texts);
  });

  it("lets texts asked in one turn travel together, 32 at most", async () => {
    const { pool } = await start({ workers: 1 });
    const answers = await Promise.all(Array.from({ length: 75 }, () => pool.ask("text")));
    const batches = answers.map((answer) => answer?.batch);
    const expected = [32, 32, 11].flatMap((batch) => Array.from({ length: batch }, () => batch));
    expect(batches).toEqual(expected);
  });

  it("gives the next batch to the thread with the least to do", async () => {
    const { pool } = await start({ workers: 2 });
    const answers = await Promise.all(Array.from({ length: 64 }, () => pool.ask("text")));
    const threads = [answers[0], answers[32]].map((answer) => answer?.thread);
    expect(new Set(threads).size).toBe(2);
  });

  it("has room until as many texts wait as allowed, and again when they are answered", async () => {
    const { pool } = await start({ workers: 1, waiting: 2 });
    expect(pool.hasRoom).toBe(true);
    const first = pool.ask("first");
    expect(pool.hasRoom).toBe(true);
    const second = pool.ask("second");
    expect(pool.hasRoom).toBe(false);
    await Promise.all([first, second]);
    expect(pool.hasRoom).toBe(true);
  });

  it.each(["throw", "exit"])(
    "answers what a lost thread had with undefined, and puts another in its place: %s",
    async (order) => {
      const { pool, losses } = await start({ workers: 1, waiting: 100 });
      const lost = Array.from({ length: 32 }, (_, at) => pool.ask(at === 5 ? order : "text"));
      const behind = pool.ask("behind");
      const answers = await Promise.all([...lost, behind]);
      expect(answers).toEqual(Array.from({ length: 33 }, () => undefined));
      expect(losses).toHaveLength(1);
      expect(await askUntilAnswered(pool)).toMatchObject({ text: "still there?" });
      expect(pool.hasRoom).toBe(true);
      expect(losses).toHaveLength(1);
    },
  );

  it("has told every thread when it says so, and none before what was asked earlier", async () => {
    const { pool } = await start({ workers: 2 });
    const before = Array.from({ length: 40 }, () => pool.ask("before"));
    await pool.tell({ rule: 1 });
    const after = Array.from({ length: 64 }, () => pool.ask("after"));
    const heard = async (answers: typeof before): Promise<Set<unknown>> =>
      new Set((await Promise.all(answers)).map((answer) => JSON.stringify(answer?.heard)));
    expect(await heard(before)).toEqual(new Set([undefined]));
    expect(await heard(after)).toEqual(new Set(['{"rule":1}']));
    expect(pool.hasRoom).toBe(true);
  });

  it("tells a thread that takes the place of a lost one what it told the others last", async () => {
    const { pool } = await start({ workers: 1 });
    await pool.tell({ rule: 1 });
    const lost = pool.ask("throw");
    await pool.tell({ rule: 2 });
    expect(await lost).toBeUndefined();
    expect(await askUntilAnswered(pool)).toMatchObject({ heard: { rule: 2 } });
  });

  it("says why a thread was lost", async () => {
    const { pool, losses } = await start({ workers: 1 });
    await pool.ask("throw");
    expect(losses).toEqual([expect.objectContaining({ message: "told to" })]);
    await askUntilAnswered(pool);
    await pool.ask("exit");
    expect(losses[1]).toMatchObject({ message: "exit code 3" });
  });

  it("goes on with the other threads when one is lost", async () => {
    const { pool } = await start({ workers: 2 });
    const orders = Array.from({ length: 32 }, () => pool.ask("throw"));
    const others = Array.from({ length: 32 }, () => pool.ask("text"));
    expect(await Promise.all(orders)).toEqual(orders.map(() => undefined));
    expect((await Promise.all(others)).map((answer) => answer?.text)).toEqual(
      others.map(() => "text"),
    );
    expect(pool.isAlive).toBe(true);
  });

  it("is not alive when its last thread is lost and no other can start", async () => {
    const { pool, losses, folder, nextLoss } = await start({ workers: 1 });
    writeFileSync(join(folder, "throw"), "");
    const couldNotStart = nextLoss(2);
    await pool.ask("throw");
    await couldNotStart;
    expect(losses.map(({ message }) => message)).toEqual(["told to", "cannot start"]);
    expect(pool.isAlive).toBe(false);
    expect(await pool.ask("anyone?")).toBeUndefined();
    expect(pool.hasRoom).toBe(true);
  });

  it.each(["throw", "exit"])("does not start when a thread cannot: %s", async (obstacle) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, obstacle), "");
    const starting = Pool.start<Answered>(settings(folder, { workers: 2 }), {
      workerLost: () => {},
    });
    await expect(starting).rejects.toThrow(/cannot start|exit code 3/);
  });

  it("lets every thread close what it has open before it is closed", async () => {
    const { folder, close } = await start({ workers: 3 });
    await close();
    const diary = readFileSync(join(folder, "diary"), "utf8").trim().split("\n");
    const threads = (what: string): string[] =>
      diary
        .filter((line) => line.startsWith(what))
        .map((line) => line.slice(what.length))
        .sort();
    expect(threads("started")).toHaveLength(3);
    expect(threads("closed")).toEqual(threads("started"));
  });

  it("answers what was asked before it was closed", async () => {
    const { pool, close } = await start({ workers: 1 });
    const asked = Array.from({ length: 32 }, () => pool.ask("before"));
    await close();
    expect((await Promise.all(asked)).map((answer) => answer?.text)).toEqual(
      asked.map(() => "before"),
    );
  });

  it("leaves nobody waiting who asked in the turn in which it was closed", async () => {
    const { pool, close } = await start({ workers: 1 });
    const asked = pool.ask("at the last moment");
    await close();
    expect([undefined, "at the last moment"]).toContain((await asked)?.text);
  });

  it("leaves no thread behind when it is closed while one is being replaced", async () => {
    const script = new URL("closing.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [script, temporaryFolder()], { stdio: "inherit" });
    const ended = once(child, "exit");
    onTestFinished(async () => {
      child.kill("SIGKILL");
      await ended;
    });
    expect(await ended).toEqual([0, null]);
  });

  it("reports no thread as lost when it is closed", async () => {
    const { losses, close } = await start({ workers: 2 });
    await close();
    expect(losses).toEqual([]);
  });
});

type Settings = { readonly workers: number; readonly waiting?: number };

function settings(folder: string, { workers, waiting = 10_000 }: Settings) {
  const module = new URL("answering.ts", import.meta.url);
  return { workers, waiting, module, data: { folder } };
}

async function start(given: Settings) {
  const folder = temporaryFolder();
  const losses: Error[] = [];
  const waiting: (() => void)[] = [];
  const workerLost = (error: Error): void => {
    losses.push(error);
    for (const look of waiting) look();
  };
  const pool = await Pool.start<Answered>(settings(folder, given), { workerLost });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= pool.close());
  onTestFinished(close);
  /** Resolves when so many threads were lost in all. */
  const nextLoss = (count: number): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(() => {
        if (losses.length >= count) resolve();
      });
    });
  return { pool, losses, folder, nextLoss, close };
}

// Undefined is the answer until the new thread is there.
async function askUntilAnswered(pool: Pool<Answered>): Promise<Answered> {
  for (;;) {
    const answer = await pool.ask("still there?");
    if (answer !== undefined) return answer;
  }
}
