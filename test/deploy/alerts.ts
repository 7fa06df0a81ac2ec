// What Prometheus makes of the figures that a relay showed, by the rules of deploy/: promtool evaluates them as the server does, on a time of its own.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { parse } from "yaml";

import { metricsOf } from "../http/support.ts";
import { type RelayProcess, temporaryFolder } from "../support/relay.ts";
import { programAt } from "./program.ts";

const FOLDER = new URL("../../deploy/prometheus/", import.meta.url).pathname;
const RULES = join(FOLDER, "deaddrop.rules.yml");

type Rule = { readonly alert: string; readonly labels: { readonly severity: string } };
type RuleFile = { readonly groups: readonly { readonly rules: readonly Rule[] }[] };

/** The alerts of deploy/. */
export const RULES_FOR_ALERTS: readonly Rule[] = (
  parse(readFileSync(RULES, "utf8")) as RuleFile
).groups.flatMap(({ rules }) => rules);

/** All figures of a relay at one moment, `up` among them. */
export type Scrape = ReadonlyMap<string, number>;

/** What Prometheus gets of a relay, be it gone. */
export async function scrape(relay: RelayProcess): Promise<Scrape> {
  try {
    return new Map([["up", 1], ...(await metricsOf(relay))]);
  } catch {
    return new Map([["up", 0]]);
  }
}

export const promtool = programAt("promtool");

/** Runs promtool, and answers how it ended and what it said. */
export function runPromtool(
  args: readonly string[],
  input?: string,
): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(promtool ?? "", args, { input, encoding: "utf8" });
  return { status, said: stdout + stderr };
}

/** In minutes from the first scrape on: longer than any alert waits. */
const LATER = 180;

/**
 * Looks whether an alert fires after relays showed this, a minute apart, and then went on as they did in the last of these minutes; or, without a name, whether
 * none does. Answers promtool's exit code, 0 if it is so, and what it said.
 */
export function evaluate(
  name: string | undefined,
  scrapes: readonly Scrape[],
  atMinute = LATER,
): ReturnType<typeof runPromtool> {
  const names = new Set(scrapes.flatMap((figures) => [...figures.keys()]));
  const firing = name === undefined ? "" : `alertname="${name}",`;
  const tests = [
    {
      interval: "1m",
      input_series: [...names].map((series) => ({
        series: labelled(series),
        values: valuesOf(series, scrapes),
      })),
      promql_expr_test: [
        {
          expr: `count by (alertname) (ALERTS{${firing}alertstate="firing"})`,
          eval_time: `${atMinute}m`,
          exp_samples: name === undefined ? [] : [{ labels: `{alertname="${name}"}`, value: 1 }],
        },
      ],
    },
  ];
  const file = join(temporaryFolder(), "test.yml");
  // YAML, which JSON is.
  writeFileSync(
    file,
    JSON.stringify({ rule_files: [RULES], evaluation_interval: "1m", tests }, undefined, 1),
  );
  return runPromtool(["test", "rules", file]);
}

function labelled(series: string): string {
  const from = 'job="deaddrop",instance="relay:9100"';
  return series.endsWith("}") ? `${series.slice(0, -1)},${from}}` : `${series}{${from}}`;
}

function valuesOf(series: string, scrapes: readonly Scrape[]): string {
  const values = scrapes.map((figures) => figures.get(series));
  const [before = 0, last] = [values.at(-2), values.at(-1)];
  const shown = values.map((value) => value ?? "_");
  if (last === undefined) return shown.join(" ");
  const isCounter = /_(?:total|bucket|count|sum)(?:\{|$)/.test(series);
  // A counter that is less than before began anew.
  const more = isCounter && scrapes.length > 1 ? Math.max(0, last - before) : 0;
  return `${shown.slice(0, -1).join(" ")} ${last}+${more}x${LATER + 10}`.trim();
}
