// docs/METRICS.md against what a relay shows, and against the alerts of deploy/.

import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { RULES_FOR_ALERTS } from "../deploy/alerts.ts";
import { sharedRelay } from "../support/relay.ts";

const TEXT = readFileSync(new URL("../../docs/METRICS.md", import.meta.url), "utf8");

/** First cells of the tables. */
const named = (names: RegExp): string[] =>
  [...TEXT.matchAll(/^\| `([\w/]+)`/gm)].flatMap(([, name = ""]) =>
    names.test(name) ? [name] : [],
  );

describe("docs/METRICS.md", () => {
  const relay = sharedRelay({ env: { DEADDROP_METRICS: "127.0.0.1:0" } });
  const shown = async (): Promise<string> => (await fetch(relay().metrics ?? "")).text();

  it("has a row for each metric, and for nothing else", async () => {
    const names = [...(await shown()).matchAll(/^# TYPE (\w+)/gm)].map(([, name = ""]) => name);
    expect(names.length).toBeGreaterThan(40);
    expect(named(/^(?:deaddrop|process)_/).toSorted()).toEqual(names.toSorted());
  });

  it("names every label, and every value of one that has few", async () => {
    const pairs = [...(await shown()).matchAll(/(\w+)="(\w+)"/g)];
    const words = pairs.flatMap(([, label = "", value = ""]) =>
      // Numbers; what the library is called.
      label === "le" || label === "verifier" ? [label] : [label, value],
    );
    const missing = new Set(words.filter((word) => !TEXT.includes(`\`${word}\``)));
    missing.delete("le");
    expect([...missing]).toEqual([]);
  });

  it("has a row for each alert, in the same words as the rules", () => {
    const rows = [...TEXT.matchAll(/^\| `(DeadDrop\w+)` +\| (\w+)/gm)].map(
      ([, name = "", severity = ""]) => ({ name, severity }),
    );
    const rules = RULES_FOR_ALERTS.map(({ alert: name, labels: { severity } }) => ({
      name,
      severity,
    }));
    expect(rows).toEqual(rules);
  });
});
