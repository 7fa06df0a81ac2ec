// What was measured, as a table to read, as JSON to compute with, and as a plot.

import { median } from "./load.ts";
import type { Machine } from "./machine.ts";
import { type Panel, plot } from "./plot.ts";
import type { Column, Point, Sample, Scenario, Subject } from "./scenario.ts";

/** Every round of one subject at one point. */
export type Measured = {
  readonly subject: Subject;
  readonly point: Point;
  readonly samples: Sample[];
  /** Why a round gave no numbers. */
  failure?: string;
};

/** What a scenario gave. The first subject is what the others are held against. */
export type Outcome = { readonly scenario: Scenario; readonly measured: readonly Measured[] };

/** The circumstances of all that one run measured. */
export type Circumstances = {
  readonly date: string;
  readonly commit: { readonly hash: string; readonly isDirty: boolean };
  readonly machine: Machine;
  readonly rounds: number;
  readonly quick: boolean;
};

type Spread = { readonly median: number; readonly min: number; readonly max: number };

/** Over the rounds, without those that failed. */
function spread(samples: readonly Sample[], key: string): Spread | undefined {
  const values = samples.map((sample) => sample[key]).filter((value) => value !== undefined);
  if (values.length === 0) return undefined;
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

export function json(circumstances: Circumstances, outcomes: readonly Outcome[]): string {
  const scenarios = outcomes.map(({ scenario, measured }) => ({
    name: scenario.name,
    title: scenario.title,
    target: scenario.target,
    columns: scenario.columns,
    measured: measured.map(({ subject, point, samples, failure }) => ({
      subject: {
        name: subject.name,
        version: subject.version,
        isOurs: subject.isOurs,
        settings: subject.settings,
      },
      point,
      failure,
      summary: Object.fromEntries(scenario.columns.map(({ key }) => [key, spread(samples, key)])),
      samples,
    })),
  }));
  return `${JSON.stringify({ ...circumstances, scenarios }, null, 2)}\n`;
}

export function markdown(circumstances: Circumstances, outcomes: readonly Outcome[]): string {
  return [head(circumstances), ...outcomes.map(section)].join("\n");
}

function head({ date, commit, machine, rounds, quick }: Circumstances): string {
  const facts: readonly (readonly [string, string])[] = [
    ["measured", `${date}, commit ${commit.hash}${commit.isDirty ? " with changes" : ""}`],
    ["rounds", `${rounds}${quick ? ", quick: too short to quote" : ""}`],
    ["processor", `${machine.processor}, ${machine.cores} cores, governor ${machine.governor}`],
    ["memory", `${machine.memoryGiB} GiB`],
    ["system", machine.kernel],
    ["databases on", machine.filesystem],
    ["Node", machine.node],
    ["libsecp256k1", machine.libsecp256k1],
  ];
  return `${table(["", ""], [false, false], facts)}\n`;
}

function section({ scenario, measured }: Outcome): string {
  const parts = [`## ${scenario.name}`, `${scenario.title}.`];
  if (scenario.target !== undefined) parts.push(`Target: ${scenario.target}.`);
  parts.push(results(scenario, measured));
  const versus = comparison(scenario, measured);
  if (versus !== undefined) {
    parts.push("How many times better ours is (below 1: worse), by the medians:", versus);
  }
  if (scenario.note !== undefined) parts.push(scenario.note);
  return `${parts.join("\n\n")}\n`;
}

function results(scenario: Scenario, measured: readonly Measured[]): string {
  const { columns } = scenario;
  const firsts = rowHeads(measured);
  const leading = columns.find(({ better }) => better !== "context");
  const rounds = Math.max(...measured.map(({ samples }) => samples.length));
  const spreads = rounds > 1 && leading !== undefined;
  const heads = [...firsts.heads, ...columns.map((column) => column.head)];
  if (spreads) heads.push(`${leading.head}: least–most`);
  const rows = measured.map((one) => {
    const { samples, failure } = one;
    const before = firsts.cells(one);
    if (failure !== undefined) return [...before, `failed: ${oneLine(failure)}`];
    const cells = columns.map((column) => show(spread(samples, column.key)?.median, column));
    const range = leading && spread(samples, leading.key);
    if (spreads) cells.push(`${show(range?.min, leading)}–${show(range?.max, leading)}`);
    return [...before, ...cells];
  });
  return table(
    heads,
    heads.map((_, at) => at >= firsts.heads.length),
    rows,
  );
}

/** Ours, by the first subject's numbers, against each peer and against what it once was. */
function comparison(scenario: Scenario, measured: readonly Measured[]): string | undefined {
  const columns = scenario.columns.filter(({ better }) => better !== "context");
  const peers = measured.filter(
    ({ subject, failure }) => !isPresent(subject) && failure === undefined,
  );
  if (peers.length === 0) return undefined;
  const firsts = rowHeads(measured);
  const ours = measured.filter(({ subject }) => subject === measured[0]?.subject);
  const rows = peers.map((peer) => {
    const own = ours.find(({ point }) => point.label === peer.point.label);
    const ratios = columns.map(({ key, better }) => {
      const mine = spread(own?.samples ?? [], key)?.median;
      const theirs = spread(peer.samples, key)?.median;
      if (!mine || !theirs) return "–";
      const ratio = better === "higher" ? mine / theirs : theirs / mine;
      return `${ratio.toFixed(ratio < 10 ? 1 : 0)}×`;
    });
    return firsts.cells(peer).concat(ratios);
  });
  const heads = [...firsts.heads, ...columns.map(({ head }) => head)];
  return table(
    heads,
    heads.map((_, at) => at >= firsts.heads.length),
    rows,
  );
}

const isPresent = ({ isOurs, isEarlier }: Subject): boolean => isOurs && isEarlier !== true;

/** What tells the rows apart: the point, the relay, or both. */
function rowHeads(measured: readonly Measured[]): {
  readonly heads: readonly string[];
  cells(one: Measured): readonly string[];
} {
  const hasPoints = new Set(measured.map(({ point }) => point.label)).size > 1;
  const hasSubjects = !hasPoints || new Set(measured.map(({ subject }) => subject)).size > 1;
  return {
    heads: [...(hasPoints ? [""] : []), ...(hasSubjects ? ["relay"] : [])],
    cells: ({ point, subject }) => [
      ...(hasPoints ? [point.label] : []),
      ...(hasSubjects
        ? [isPresent(subject) ? subject.name : `${subject.name} ${subject.version}`]
        : []),
    ],
  };
}

/** The scenario's curves, or nothing when it has none or too few points of any were measured. */
export function svg({ scenario, measured }: Outcome): string | undefined {
  const { plot: wanted } = scenario;
  if (wanted === undefined) return undefined;
  const subjects = [...new Set(measured.map(({ subject }) => subject))];
  const panels: Panel[] = [];
  for (const key of wanted.y) {
    const column = scenario.columns.find((one) => one.key === key);
    if (column === undefined) throw new Error(`${scenario.name} plots ${key}, which is no column`);
    const series = subjects.map((subject) => ({
      name: subject.name,
      points: measured.flatMap(({ subject: of, point, samples, failure }) => {
        const values = of === subject && failure === undefined ? spread(samples, key) : undefined;
        return values === undefined ? [] : [{ x: point.x, y: values.median, ...values }];
      }),
    }));
    if (series.every(({ points }) => points.length < 2)) continue;
    const drawn = series.filter(({ points }) => points.length > 0);
    const { x, logX } = wanted;
    panels.push({ title: scenario.title, x, y: column.head, logX, series: drawn });
  }
  return panels.length === 0 ? undefined : plot(panels);
}

/** A number as the tables have it. */
export function show(value: number | undefined, { digits }: Column): string {
  if (value === undefined || !Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function oneLine(text: string): string {
  return text.replaceAll("|", "\\|").split("\n", 1)[0] ?? "";
}

function table(
  heads: readonly string[],
  isNumber: readonly boolean[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string =>
    `| ${heads.map((_, at) => cells[at] ?? "").join(" | ")} |`;
  return [line(heads), line(isNumber.map((is) => (is ? "---:" : "---"))), ...rows.map(line)].join(
    "\n",
  );
}
