// Prometheus' text format (version 0.0.4): https://prometheus.io/docs/instrumenting/exposition_formats/

/** Names and values of what tells the series of one metric apart. */
export type Labels = Readonly<Record<string, string>>;

type Sample = readonly [labels: Labels, value: number];

export const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** A counter or a gauge, with all its series. */
export function simple(
  type: "counter" | "gauge",
  name: string,
  help: string,
  samples: readonly Sample[],
): string {
  const lines = samples.map(([labels, value]) => line(name, labels, value));
  return `${head(type, name, help)}${lines.join("")}`;
}

/** A histogram: `times` counts what fell into each bucket, and what was past the last. */
export function histogram(
  name: string,
  help: string,
  bounds: readonly number[],
  { times, sum }: { readonly times: readonly number[]; readonly sum: number },
): string {
  let text = head("histogram", name, help);
  let upTo = 0;
  for (const [bucket, met] of times.entries()) {
    upTo += met;
    text += line(`${name}_bucket`, { le: String(bounds[bucket] ?? "+Inf") }, upTo);
  }
  return `${text}${line(`${name}_sum`, {}, sum)}${line(`${name}_count`, {}, upTo)}`;
}

function head(type: string, name: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
