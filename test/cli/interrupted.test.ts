import { EventEmitter } from "node:events";

import { describe, expect, it } from "vitest";

import { interrupted, wishes } from "../../src/cli/interrupted.ts";

class Process extends EventEmitter {
  readonly exits: number[] = [];

  exit(code: number): void {
    this.exits.push(code);
  }
}

describe("a command that is asked to end", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"])("hears of %s", (signal) => {
    const process = new Process();
    const stopping = interrupted(process, () => 0);
    expect(stopping.aborted).toBe(false);
    process.emit(signal);
    expect(stopping.aborted).toBe(true);
    expect(process.exits).toEqual([]);
  });

  it("takes what comes within a second for the same wish, whatever signal it is", () => {
    const process = new Process();
    let now = 5_000;
    interrupted(process, () => now);
    process.emit("SIGINT");
    now += 1_000;
    process.emit("SIGINT");
    process.emit("SIGTERM");
    expect(process.exits).toEqual([]);
  });

  it("ends at once when it is asked again later", () => {
    const process = new Process();
    let now = 5_000;
    interrupted(process, () => now);
    process.emit("SIGTERM");
    now += 1_001;
    process.emit("SIGINT");
    expect(process.exits).toEqual([1]);
  });
});

describe("a relay", () => {
  it("is asked to read its configuration again by each SIGHUP, and to end by the others", () => {
    const process = new Process();
    const { stopping, onReload } = wishes(process, false);
    let times = 0;
    onReload(() => {
      times += 1;
    });
    process.emit("SIGHUP");
    process.emit("SIGHUP");
    expect(times).toBe(2);
    expect(stopping.aborted).toBe(false);
    process.emit("SIGTERM");
    expect(stopping.aborted).toBe(true);
  });

  it("hears later, once, of SIGHUPs that came while it started", () => {
    const process = new Process();
    const { onReload } = wishes(process, false);
    process.emit("SIGHUP");
    process.emit("SIGHUP");
    let times = 0;
    onReload(() => {
      times += 1;
    });
    expect(times).toBe(1);
  });

  it("ends by a SIGHUP where it runs on a terminal, which is gone then", () => {
    const process = new Process();
    const { stopping } = wishes(process, true);
    process.emit("SIGHUP");
    expect(stopping.aborted).toBe(true);
  });
});
