// Client libraries of others, unmodified, as programs of their own against the relay. What they do is written into docs/CLIENTS.md when
// DEADDROP_WRITE_CLIENTS is set; otherwise the page must say what was seen.

import { readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type Library, LIBRARIES, type Scenario, SCENARIOS } from "./libraries.ts";
import { type Seen, WORKS } from "./part.ts";
import { run } from "./run.ts";
import { written } from "./table.ts";

const PAGE = new URL("../../docs/CLIENTS.md", import.meta.url);
const installed = LIBRARIES.filter(({ isInstalled }) => isInstalled);
const isMissing = installed.length < LIBRARIES.length;

it.skipIf(process.env["CI"] === undefined)("has the libraries to try it with", () => {
  const missing = LIBRARIES.filter(({ isInstalled, isOptional }) => !isInstalled && !isOptional);
  expect(missing.map(({ name }) => name)).toEqual([]);
});

describe.skipIf(installed.length === 0)("to clients of others the relay", () => {
  const atEnd: (() => unknown)[] = [];
  const log: string[] = [];
  let seen: ReadonlyMap<Library, Seen> = new Map();

  beforeAll(async () => {
    seen = await run(installed, log, (clean) => atEnd.push(clean));
  }, 240_000);

  afterAll(async () => {
    for (const clean of atEnd.toReversed()) await clean();
  });

  for (const library of LIBRARIES) {
    const { name, isInstalled, absent, faults } = library;
    const but = isInstalled ? "" : " (not installed: .ci/foreign does that)";
    const scenarios = Object.keys(SCENARIOS) as Scenario[];
    const able = scenarios.filter((scenario) => !absent.includes(scenario));

    it.skipIf(!isInstalled).each(able)(`is what is known of ${name}: %s${but}`, (scenario) => {
      const what = seen.get(library)?.get(scenario);
      const said = log.filter((line) => line.startsWith(`${name}:`));
      const fails = faults[scenario] ?? [what, ...said].join("\n");
      expect(what === WORKS ? WORKS : fails).toBe(faults[scenario] ?? WORKS);
    });
  }

  it.skipIf(isMissing)("is what docs/CLIENTS.md says it is", () => {
    const now = written(readFileSync(PAGE, "utf8"), seen);
    if (process.env["DEADDROP_WRITE_CLIENTS"] !== undefined) writeFileSync(PAGE, now);
    expect(readFileSync(PAGE, "utf8")).toBe(now);
  });
});
