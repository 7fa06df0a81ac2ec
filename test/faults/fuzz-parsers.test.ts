// Every parser of what strangers and operators write, fuzzed by coverage (fuzz/loop.ts), each in a process of its own: nothing is thrown, nothing accepted that must
// not be, what is read and written is read the same again, other readings agree, and no input takes more than its share of steps.
//
//   npm run faults fuzz-parsers          as many inputs as before a release
//   npm run fuzz TARGET -- --runs N      one target

import { execFile } from "node:child_process";

import { matchFilter as matchOfNostrTools } from "nostr-tools";
import { validateEvent } from "nostr-tools/pure";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";

import { parseEvent } from "../../src/nostr/event.ts";
import { matchFilter, parseFilter } from "../../src/nostr/filter.ts";
import { parseMessage } from "../../src/nostr/message.ts";
import { isReason } from "../../src/nostr/reason.ts";
import { budget, record, SEED } from "./budget.ts";
import {
  EVENTS,
  EVENTS_OF_NOSTR_TOOLS,
  FILTERS,
  LIMITS,
  MATCHES_OF_NOSTR_TOOLS,
  MESSAGES,
} from "./fuzz/differences.ts";
import { isEvent, isFilter, isSubscriptionId } from "./fuzz/nip01.ts";
import { TARGETS } from "./fuzz/targets.ts";

/** Inputs of each target, in thousands: by what one costs, and how much there is to find. */
const THOUSANDS: Readonly<Record<string, number>> = {
  message: 200,
  event: 150,
  filter: 200,
  negentropy: 30,
  url: 200,
  "pickup-query": 100,
  "http-auth": 80,
  authorization: 36,
  door: 4,
  connection: 4,
  config: 4,
};
// A fifth of a million in all, or a hundred million.
const TIMES = budget({ short: 0.2, long: 100 });
const CORPUS = new URL("../../.cache/faults/corpus/", import.meta.url).pathname;

// Where a regular expression goes back more often than it may, V8 goes on with its linear engine, and says so: how long an input takes is found without a clock.
const MOST_BACKTRACKS = 100_000;
const FLAGS = [
  "--no-warnings",
  "--enable-experimental-regexp-engine-on-excessive-backtracks",
  `--regexp-backtracks-before-fallback=${MOST_BACKTRACKS}`,
  "--trace-experimental-regexp-engine",
];
const BACKTRACKED = /^Experimental execution.*$/m;

type Figures = { readonly inputs: number; readonly finding?: unknown } & Record<string, unknown>;

const figures: Figures[] = [];

describe("fuzzed by coverage", () => {
  it.each(Object.keys(TARGETS))(
    "nothing is found in %s",
    async (target) => {
      const printed = await fuzz(target);
      expect(BACKTRACKED.exec(printed)?.[0], "a regular expression that is not linear").toBe(
        undefined,
      );
      const found = JSON.parse(printed.trim().split("\n").at(-1) ?? "") as Figures;
      figures.push(found);
      expect(found.finding, `seed ${SEED}`).toBe(undefined);
    },
    budget({ short: 120_000, long: 7_200_000 }),
  );

  afterAll(() => {
    const inputs = figures.reduce((sum, each) => sum + each.inputs, 0);
    record("fuzz-parsers", { inputs, targets: figures });
  });
});

describe("a difference that is wanted", () => {
  it.each(EVENTS)("to NIP-01: an event that has $what is read as the table says", (row) => {
    expect(isEvent(row.example)).toBe(row.ours === "refuses");
    expect(!isReason(parseEvent(row.example))).toBe(row.ours === "accepts");
    expect(row.isMet(row.example)).toBe(true);
  });

  it.each(EVENTS_OF_NOSTR_TOOLS)("to nostr-tools: an event that has $what", (row) => {
    expect(validateEvent(row.example as never)).toBe(row.ours === "refuses");
    expect(!isReason(parseEvent(row.example))).toBe(row.ours === "accepts");
    expect(row.isMet(row.example)).toBe(true);
  });

  it.each(FILTERS)("to NIP-01: a filter that has $what", (row) => {
    expect(isFilter(row.example)).toBe(row.ours === "refuses");
    expect(!isReason(parseFilter(row.example, LIMITS.filterValues))).toBe(row.ours === "accepts");
    expect(row.isMet(row.example)).toBe(true);
  });

  it.each(MESSAGES)("to NIP-01: a message that has $what", (row) => {
    const [, id, ...filters] = row.example as unknown[];
    expect(isSubscriptionId(id) && filters.every(isFilter)).toBe(row.ours === "refuses");
    expect("reason" in parseMessage(JSON.stringify(row.example), LIMITS)).toBe(
      row.ours === "refuses",
    );
    expect(row.isMet(row.example)).toBe(true);
  });

  it.each(MATCHES_OF_NOSTR_TOOLS)("to nostr-tools: a filter that has $what", (row) => {
    const [given, candidate] = row.example as [object, object];
    const [filter, event] = [parseFilter(given, LIMITS.filterValues), parseEvent(candidate)];
    if (isReason(filter) || isReason(event)) throw new Error("an example that is not read");
    expect(matchFilter(filter, event)).toBe(row.ours === "accepts");
    expect(matchOfNostrTools(given as never, candidate as never)).toBe(row.ours === "refuses");
    expect(row.isMet(row.example)).toBe(true);
  });
});

/** What it prints: a line for each regular expression that went back too often, and last the figures. */
function fuzz(target: string): Promise<string> {
  const [instrument, main] = ["instrument", "main"].map(
    (module) => new URL(`fuzz/${module}.ts`, import.meta.url).pathname,
  );
  const runs = (THOUSANDS[target] ?? 1) * 1_000 * TIMES;
  const args = [...FLAGS, "--import", instrument, main, target, "--runs", runs, "--seed", SEED];
  const kept = budget({ short: [], long: ["--corpus", `${CORPUS}${target}.json`] });
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [...args, ...kept].map(String),
      (error, stdout, stderr) => {
        if (error === null || stdout !== "") resolve(stdout);
        else reject(new Error(stderr));
      },
    );
    onTestFinished(() => void child.kill());
  });
}
