import { conformance, type ConformanceOptions } from "../../src/conformance/command.ts";

/** Has something done when a test is over. Tests run side by side here, so each hands over its own `onTestFinished`. */
export type AtEnd = (clean: () => void) => void;

/** A line of `--json`. */
export type Line = {
  readonly check: string;
  readonly outcome: "passed" | "failed" | "advised" | "skipped";
  readonly reason?: string;
  readonly note?: string;
  readonly transcript?: readonly { readonly direction: string; readonly text: string }[];
};

export type Report = {
  readonly status: number;
  readonly lines: readonly Line[];
  readonly summary: { readonly cleanUp: string };
  readonly stderr: string;
};

/** Runs the suite as the command does, and reads what `--json` prints. */
export async function conformanceReport(
  url: string,
  options: Partial<ConformanceOptions> = {},
): Promise<Report> {
  const { status, stdout, stderr } = await conformanceText(url, { json: true, ...options });
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line & Report["summary"]);
  const summary = lines.pop() ?? { cleanUp: "" };
  return { status, lines, summary, stderr };
}

export async function conformanceText(
  url: string | undefined,
  options: Partial<ConformanceOptions> = {},
  isTTY = false,
  printed?: (text: string) => void,
): Promise<{ status: number; stdout: string; stderr: string }> {
  const written = { stdout: "", stderr: "" };
  const status = await conformance(
    {
      program: "deaddrop",
      url,
      json: false,
      only: [],
      all: false,
      list: false,
      timeoutSeconds: undefined,
      ...options,
    },
    {
      stdout: {
        isTTY,
        write(text) {
          written.stdout += text;
          printed?.(text);
        },
      },
      stderr: { isTTY, write: (text) => (written.stderr += text) },
      env: {},
    },
  );
  return { status, ...written };
}

/** The ids of the checks with this outcome. */
export function checksThat(outcome: Line["outcome"], { lines }: Report): string[] {
  return lines.filter((line) => line.outcome === outcome).map(({ check }) => check);
}

/** The failures with their reasons, for a test to show. */
export function failures({ lines }: Report): string[] {
  return lines
    .filter(({ outcome }) => outcome === "failed")
    .map(({ check, reason }) => `${check}: ${reason}`);
}
