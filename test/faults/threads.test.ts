// What becomes of a relay one of whose threads dies, hangs or cannot start: it goes on, or it ends with exit code 1 and says why. Either way nothing is lost of what it
// answered, and nothing comes back. The failures are real, and happen in the middle of its work.

import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, describe, expect, it, vi } from "vitest";

import { preloadable } from "../support/preload.ts";
import { type RelayProcess, temporaryFolder } from "../support/relay.ts";
import { budget, record } from "./budget.ts";
import { count, happened, type How, Scene } from "./scene.ts";

const DROPS = 40;
const ROUNDS = budget({ short: 1, long: 25 });

afterAll(() => record("threads", { failures: happened }));

const said = ({ log }: RelayProcess, msg: string): object[] =>
  log.filter((line) => line.msg === msg);

describe.each([1, 2])("with event loops: %i", (eventLoops) => {
  describe.concurrent("a verification thread", () => {
    it.for<How>(["exit", "throw", "hang"])(
      "that fails is replaced, and what it had is refused with a reason to try again: %s",
      async (how, { onTestFinished }) => {
        for (let round = 0; round < ROUNDS; round++) {
          const scene = new Scene(onTestFinished, eventLoops);
          const relay = await scene.start();
          await scene.fill(relay);
          scene.fail("verification", how);
          expect(await scene.send(relay, DROPS)).toBeGreaterThan(0);
          // Its log is read when there is time.
          await vi.waitFor(() =>
            expect(said(relay, "a verification thread was lost")).toHaveLength(1),
          );
          await scene.isWhole(relay);
          expect(await relay.stop()).toBe(0);
        }
      },
    );

    it("that runs out of memory is replaced, or takes the process with it, and a start takes up everything", async ({
      onTestFinished,
    }) => {
      for (let round = 0; round < ROUNDS; round++) {
        const scene = new Scene(onTestFinished, eventLoops);
        const relay = await scene.start();
        await scene.fill(relay);
        scene.fail("verification", "memory");
        const sent = await scene.send(relay, DROPS).catch((error: unknown) => error as Error);
        // Which of the two is Node's choice.
        const isTaken = sent instanceof Error;
        expect(isTaken ? await relay.exited : undefined).not.toBe(0);
        expect(isTaken || sent > 0).toBe(true);
        const whole = isTaken ? await scene.start() : relay;
        await scene.isWhole(whole);
        const losses = (): number => said(relay, "a verification thread was lost").length;
        await vi.waitFor(() => expect(isTaken || losses() === 1).toBe(true));
        expect(await whole.stop()).toBe(0);
      }
    });

    it("that cannot be replaced is tried again, and the relay says that it is not ready meanwhile", async ({
      onTestFinished,
    }) => {
      const scene = new Scene(onTestFinished, eventLoops);
      const relay = await scene.start();
      await scene.fill(relay);
      const reader = await (await scene.connect(relay)).authenticate(scene.bob);
      scene.fail("verification", "start");
      // In each event loop.
      for (let loop = 0; loop < eventLoops; loop++) {
        const losses = said(relay, "a verification thread was lost").length;
        scene.fail("verification", "exit");
        await vi.waitFor(async () => {
          await scene.sendOne(relay);
          expect(said(relay, "a verification thread was lost").length).toBeGreaterThan(losses);
        }, 20_000);
      }
      await vi.waitFor(() => expect(readiness(relay)).resolves.toBe(503), 20_000);
      expect(new Set(await reader.pickup())).toEqual(new Set(scene.held.map(({ id }) => id)));

      scene.mend("verification", "start");
      // Asked often enough to reach each event loop.
      await vi.waitFor(async () => {
        for (let asked = 0; asked < 10; asked++) expect(await readiness(relay)).toBe(200);
      }, 20_000);
      await scene.send(relay, DROPS);
      await scene.isWhole(relay);
    });

    it("that cannot start keeps the relay from starting", async ({ onTestFinished }) => {
      const scene = new Scene(onTestFinished, eventLoops);
      scene.fail("verification", "start");
      await expect(scene.start()).rejects.toThrow(/the relay ended with 1: .*told not to start/);
    });
  });

  it("SIGTERM ends a relay one of whose verification threads hangs", async ({ onTestFinished }) => {
    const scene = new Scene(onTestFinished, eventLoops);
    const relay = await scene.start();
    await scene.fill(relay);
    scene.fail("verification", "hang");
    const sending = scene.sendToTheEnd(relay);
    await vi.waitFor(() => expect(scene.hasFailed("verification", "hang")).toBe(true), 20_000);
    expect([0, 1]).toContain(await relay.stop());
    await sending;
    await scene.isWhole(await scene.start());
  });
});

describe.concurrent("an event loop of two", () => {
  it.for<How>(["exit", "throw", "memory", "hang"])(
    "that fails ends the process with exit code 1, and a start takes up everything: %s",
    async (how, { onTestFinished }) => {
      for (let round = 0; round < ROUNDS; round++) {
        const scene = new Scene(onTestFinished, 2);
        const relay = await scene.start();
        await scene.fill(relay);
        const sending = scene.sendToTheEnd(relay);
        await scene.isTaking();
        scene.fail("event loop", how);
        expect(await relay.exited).toBe(1);
        await sending;
        expect(said(relay, "an event loop was lost")).toHaveLength(1);
        await scene.isWhole(await scene.start());
      }
    },
  );

  it("that cannot start keeps the relay from starting", async ({ onTestFinished }) => {
    const scene = new Scene(onTestFinished, 2);
    scene.fail("event loop", "start");
    await expect(scene.start()).rejects.toThrow(/the relay ended with 1: .*told not to start/);
  });
});

describe.concurrent("the main thread", () => {
  it.for<[How, number]>([
    ["exit", 1],
    ["throw", 1],
    ["memory", 1],
    ["exit", 2],
    ["throw", 2],
    ["memory", 2],
  ])(
    "that fails ends the process, and a start takes up everything: %s, event loops: %i",
    async ([how, loops], { onTestFinished }) => {
      for (let round = 0; round < ROUNDS; round++) {
        const scene = new Scene(onTestFinished, loops);
        const relay = await scene.start();
        await scene.fill(relay);
        const sending = scene.sendToTheEnd(relay);
        await scene.isTaking();
        scene.fail("main", how);
        expect(await relay.exited).not.toBe(0);
        await sending;
        expect(said(relay, "internal error")).toHaveLength(how === "throw" ? 1 : 0);
        await scene.isWhole(await scene.start());
      }
    },
  );
});

const library = preloadable("crashing-secp256k1");
const real = realLibrary();
const why = [
  library === undefined ? "no C compiler" : "",
  real === undefined ? "no libsecp256k1" : "",
].filter((reason) => reason !== "");
const but = why.length > 0 ? ` (but: ${why.join(", ")})` : "";

describe.skipIf(why.length > 0 && process.env["CI"] === undefined)(
  `a library that crashes in the check of a signature${but}`,
  () => {
    it.for([1, 2])(
      "takes the process with it, and a start takes up everything, event loops: %i",
      async (eventLoops, { onTestFinished }) => {
        for (let round = 0; round < ROUNDS; round++) {
          const folder = temporaryFolder(onTestFinished);
          copyFileSync(library ?? "", join(folder, "libsecp256k1.so.8"));
          const crash = join(folder, "crash");
          const env = {
            LD_LIBRARY_PATH: folder,
            REAL_SECP256K1: real ?? "",
            CRASH_SECP256K1: crash,
            DEADDROP_VERIFIER: "native",
          };
          const scene = new Scene(onTestFinished, eventLoops, env);
          const relay = await scene.start();
          await scene.fill(relay);
          const sending = scene.sendToTheEnd(relay);
          await scene.isTaking();
          writeFileSync(crash, "");
          expect(await relay.exited).toBeNull();
          await sending;
          count("library: crash");
          rmSync(crash);
          await scene.isWhole(await scene.start());
        }
      },
    );
  },
);

async function readiness(relay: RelayProcess): Promise<number> {
  // A connection of its own, so that any event loop may get it.
  const { status } = await fetch(`${relay.http}/readyz`, { headers: { connection: "close" } });
  return status;
}

/** The libsecp256k1 of this machine that a relay would take. */
function realLibrary(): string | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const known = execFileSync("/sbin/ldconfig", ["-p"], { encoding: "utf8" });
    const files = [...known.matchAll(/libsecp256k1\.so\.\d+ .* => (\S+)/g)].map(([, file]) => file);
    return files.at(0);
  } catch {
    return undefined;
  }
}
