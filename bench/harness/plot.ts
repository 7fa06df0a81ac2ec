// Line plots as SVG, readable on a light page and on a dark one: mid-tones on a white ground of their own.

export type PlotPoint = {
  readonly x: number;
  readonly y: number;
  /** Drawn as a thin upright line, from the least to the most that was measured. */
  readonly min: number;
  readonly max: number;
};

export type Series = { readonly name: string; readonly points: readonly PlotPoint[] };

/** One pair of axes. Its y axis starts at 0, so that a curve that looks flat is flat. */
export type Panel = {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly logX: boolean;
  readonly series: readonly Series[];
};

const WIDTH = 720;
const HEIGHT = 360;
const LEFT = 72;
const RIGHT = 48;
const BOTTOM = 52;
const TITLE_Y = 24;
const LEGEND_Y = 46;
const LEGEND_LINE = 18;
const CHARACTER = 6.6;
const TICKS = 5;
const INK = "#444";
const GRID = "#ddd";
const COLOURS = ["#0f6fc5", "#c8501e", "#2b8a3e", "#8547b5", "#b58900", "#888"];

/** Several panels stand below each other. */
export function plot(panels: readonly Panel[]): string {
  const height = HEIGHT * panels.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`,
    ` font-family="system-ui, sans-serif" font-size="12" fill="${INK}">\n`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>\n`,
    ...panels.map(
      (panel, at) => `<g transform="translate(0 ${HEIGHT * at})">\n${draw(panel)}</g>\n`,
    ),
    "</svg>\n",
  ].join("");
}

function draw({ title, x, y, logX, series }: Panel): string {
  const names = legend(series);
  const top = LEGEND_Y + LEGEND_LINE * names.lines;
  const bottom = HEIGHT - BOTTOM;
  const all = series.flatMap(({ points }) => points);
  const xs = all.map((point) => point.x);
  // No logarithm for nothing.
  const isLog = logX && Math.min(...xs) > 0;
  const toX = scale(xTicks(xs, isLog), isLog, LEFT, WIDTH - RIGHT);
  const ticks = evenTicks(0, Math.max(...all.map(({ max }) => max)));
  const toY = scale(ticks, false, bottom, top);
  const middle = (top + bottom) / 2;
  return [
    text(LEFT, TITLE_Y, title, `font-size="14" font-weight="600"`),
    names.svg,
    ...ticks.map((tick) => {
      const at = toY(tick);
      const line = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="${GRID}"/>\n`;
      return line + text(LEFT - 8, at + 4, number(tick), `text-anchor="end"`);
    }),
    ...xTicks(xs, isLog).map((tick) => {
      const at = toX(tick);
      const line = `<line x1="${at}" x2="${at}" y1="${bottom}" y2="${bottom + 5}" stroke="${INK}"/>\n`;
      return line + text(at, bottom + 20, number(tick), `text-anchor="middle"`);
    }),
    `<path d="M${LEFT} ${top}V${bottom}H${WIDTH - RIGHT}" fill="none" stroke="${INK}"/>\n`,
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x, `text-anchor="middle"`),
    text(16, middle, y, `text-anchor="middle" transform="rotate(-90 16 ${middle})"`),
    ...series.map(({ points }, at) => curve(points, colour(at), toX, toY)),
  ].join("");
}

type ToPixels = (value: number) => number;

function curve(points: readonly PlotPoint[], stroke: string, toX: ToPixels, toY: ToPixels): string {
  const sorted = points.toSorted((a, b) => a.x - b.x);
  const line = sorted.map(({ x, y }) => `${toX(x)},${toY(y)}`).join(" ");
  const spread = sorted.map(({ x, min, max }) => `M${toX(x)} ${toY(min)}V${toY(max)}`).join("");
  const dots = sorted.map(({ x, y }) => `<circle cx="${toX(x)}" cy="${toY(y)}" r="3"/>`).join("");
  return (
    `<polyline points="${line}" fill="none" stroke="${stroke}" stroke-width="2"/>\n` +
    `<path d="${spread}" stroke="${stroke}" fill="none"/>\n<g fill="${stroke}">${dots}</g>\n`
  );
}

function legend(series: readonly Series[]): { svg: string; lines: number } {
  let x = LEFT;
  let line = 0;
  let svg = "";
  for (const [at, { name }] of series.entries()) {
    const width = 40 + name.length * CHARACTER;
    if (x > LEFT && x + width > WIDTH - RIGHT) {
      x = LEFT;
      line += 1;
    }
    const y = LEGEND_Y + LEGEND_LINE * line;
    svg += `<path d="M${x} ${y - 4}h18" stroke="${colour(at)}" stroke-width="3"/>\n${text(x + 24, y, name)}`;
    x += width;
  }
  return { svg, lines: line + 1 };
}

const colour = (at: number): string => COLOURS[at % COLOURS.length] ?? INK;

/** Linear or logarithmic, from the first to the last tick. */
function scale(ticks: readonly number[], isLog: boolean, from: number, to: number): ToPixels {
  const value = (of: number): number => (isLog ? Math.log10(of) : of);
  const first = value(ticks[0] ?? 0);
  const length = value(ticks.at(-1) ?? 1) - first || 1;
  return (of) => Math.round((from + ((value(of) - first) / length) * (to - from)) * 10) / 10;
}

function xTicks(xs: readonly number[], isLog: boolean): readonly number[] {
  const least = Math.min(...xs);
  const most = Math.max(...xs);
  if (!isLog) return evenTicks(least, most);
  const first = Math.floor(Math.log10(least));
  const last = Math.max(Math.ceil(Math.log10(most)), first + 1);
  return Array.from({ length: last - first + 1 }, (_, at) => 10 ** (first + at));
}

/** Round numbers around a range: steps of 1, 2 or 5 times a power of ten. */
function evenTicks(least: number, most: number): readonly number[] {
  const rough = (most - least || most || 1) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(least / step);
  const last = Math.max(Math.ceil(most / step), first + 1);
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
}

function number(value: number): string {
  return value.toLocaleString("en-US", { maximumSignificantDigits: 6 });
}

function text(x: number, y: number, words: string, attributes = ""): string {
  const escaped = words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${x}" y="${y}" ${attributes}>${escaped}</text>\n`;
}
