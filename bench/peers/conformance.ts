// Runs the conformance suite against this relay and against the peers, and writes what it found to docs/CONFORMANCE.md.
//
//   npm run conformance:peers

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { OBLIGATIONS } from "../../src/conformance/obligations.ts";
import { SUITE } from "../../src/conformance/suite.ts";
import { VERSION } from "../../src/version.ts";
import { type Peer, peers } from "./peers.ts";
import { serve } from "./server.ts";

type Outcome = "passed" | "failed" | "advised" | "skipped";
type Line = {
  readonly check: string;
  readonly outcome: Outcome;
  readonly title: string;
  readonly nip: string;
  readonly reason?: string;
};
type Candidate = { readonly name: string; readonly version: string; readonly url: string };
type Report = Candidate & { readonly lines: readonly Line[] };

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const OURS = "deaddrop";
const ROOT = new URL("../../", import.meta.url).pathname;

/** This relay in the ways in which it runs. The second needs what `.ci/tools` installs and a build. */
const WAYS: readonly {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Record<string, string>;
}[] = [
  { name: OURS, command: [process.execPath, MAIN], env: {} },
  {
    name: `${OURS} on uWebSockets.js`,
    command: [join(ROOT, ".cache/uws/node_modules/node/bin/node"), join(ROOT, "dist/main.js")],
    env: { DEADDROP_TRANSPORT: "uws", DEADDROP_UWS: join(ROOT, ".cache/uws") },
  },
  {
    name: `${OURS} on two loops`,
    command: [process.execPath, MAIN],
    env: { DEADDROP_WORKERS: "2" },
  },
];

/** All checks, also those of NIPs the relay does not advertise: what it does counts, not what it says. */
async function examine(candidate: Candidate): Promise<Report> {
  const args = ["conformance", candidate.url, "--all", "--json", "--timeout", "15"];
  const suite = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const lines: Line[] = [];
  for await (const text of createInterface({ input: suite.stdout })) {
    const line = JSON.parse(text) as Partial<Line>;
    if (line.check !== undefined) lines.push(line as Line);
  }
  return { ...candidate, lines };
}

async function withOurs<Result>(
  { command: [program = "", ...args], env }: (typeof WAYS)[number],
  work: (url: string) => Promise<Result>,
): Promise<Result> {
  const data = mkdtempSync(join(tmpdir(), "deaddrop-"));
  const relay = spawn(program, [...args, "serve"], {
    env: {
      ...env,
      PATH: process.env["PATH"],
      DEADDROP_LISTEN: "127.0.0.1:0",
      DEADDROP_DATA: data,
      DEADDROP_LIMITS_DROPS_PER_SECOND: "0",
      DEADDROP_LIMITS_BYTES_PER_SECOND: "0",
      DEADDROP_LIMITS_REQUESTS_PER_SECOND: "0",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => relay.once("exit", resolve));
  try {
    for await (const text of createInterface({ input: relay.stdout })) {
      const { url } = JSON.parse(text) as { url?: string };
      if (url !== undefined) return await work(url);
    }
    throw new Error("the relay did not start");
  } finally {
    relay.kill("SIGTERM");
    await ended;
    rmSync(data, { recursive: true });
  }
}

/** The relay in Python that was written from the drafts alone, with HTTP; `.ci/tools` installs what it needs. */
const reference: Peer = {
  name: "reference",
  version: VERSION,
  build: async () => undefined,
  start: (folder: string) =>
    serve(folder, (port) => ({
      command: join(ROOT, ".cache/python/bin/python"),
      args: [
        join(ROOT, "nips/reference/door.py"),
        "--listen",
        `127.0.0.1:${port}`,
        "--url",
        `ws://127.0.0.1:${port}`,
        "--data",
        join(folder, "relay.db"),
      ],
      cwd: folder,
      env: {},
    })),
};

async function examinePeer(peer: Peer): Promise<Report> {
  await peer.build((text) => process.stderr.write(`${text}\n`));
  const folder = mkdtempSync(join(tmpdir(), "peer-"));
  const running = await peer.start(folder);
  try {
    return await examine({ name: peer.name, version: peer.version, url: running.url });
  } finally {
    await running.stop();
    rmSync(folder, { recursive: true });
  }
}

function count(lines: readonly Line[], outcome: Outcome): number {
  return lines.filter((line) => line.outcome === outcome).length;
}

const MARK: Readonly<Record<Outcome, string>> = {
  passed: "✓",
  failed: "✗",
  advised: "!",
  skipped: "–",
};

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function page(reports: readonly Report[]): string {
  const [ours] = reports;
  const heads = reports.map(({ name, version }) => `${name} ${version}`);
  const rule = row(["---", ...heads.map(() => ":---:")]);
  const totals = (["passed", "failed", "advised", "skipped"] as const).map((outcome) =>
    row([outcome, ...reports.map(({ lines }) => String(count(lines, outcome)))]),
  );
  const checks = (ours?.lines ?? []).map(({ check, nip, title }) =>
    row([
      `${check}: ${title.replaceAll("|", "\\|")} (NIP-${nip})`,
      ...reports.map(({ lines }) => {
        const line = lines.find((other) => other.check === check);
        return line === undefined ? "" : MARK[line.outcome];
      }),
    ]),
  );
  return [
    "# Conformance",
    "",
    `What \`deaddrop conformance <url> --all\` found on ${new Date().toISOString().slice(0, 10)}, by \`npm run conformance:peers\`. How each`,
    "peer is built and configured: [bench/peers/README.md](../bench/peers/README.md). The peers are general relays and do not",
    "claim NIP-DD; the table says what a private message meets there, not that they break a promise of theirs. A failed",
    "check may follow from another one: a relay that refuses the drops a check begins with fails it. So does",
    "nostr-rs-relay with most: it answers no AUTH with OK, as NIP-42 says it must, and the suite waits for that. The reference",
    "([nips/reference](../nips/reference/README.md), with its `door.py`) has no NIP-77, which `--all` asks of it too.",
    "",
    row(["", ...heads]),
    rule,
    ...totals,
    "",
    "✓ passed · ✗ failed · ! not as it SHOULD be · – skipped, with a reason: not to be observed from outside, or not configured",
    "",
    row(["check", ...heads]),
    rule,
    ...checks,
    "",
    "## Rules",
    "",
    "Every sentence of [NIP-DD](../nips/DD.md), [DH](../nips/DH.md) and [DR](../nips/DR.md) that binds somebody, the name that checks have for it, and the checks.",
    "",
    row(["rule", "sentence", "checks"]),
    row(["---", "---", "---"]),
    ...Object.entries(OBLIGATIONS).map(([id, sentence]) => {
      const covering = SUITE.filter(({ obligations }) => obligations.some((each) => each === id));
      return row([
        id,
        sentence.replaceAll("|", "\\|"),
        covering.map((check) => check.id).join(", "),
      ]);
    }),
    "",
  ].join("\n");
}

const reports: Report[] = [];
for (const way of WAYS) {
  const { name } = way;
  reports.push(await withOurs(way, (url) => examine({ name, version: VERSION, url })));
}
// Side by side: most of the time is spent waiting for answers that do not come.
reports.push(...(await Promise.all([reference, ...peers()].map(examinePeer))));
const file = new URL("../../docs/CONFORMANCE.md", import.meta.url);
writeFileSync(file, page(reports));
for (const { name, lines } of reports) {
  const [passed, failed, skipped] = (["passed", "failed", "skipped"] as const).map((outcome) =>
    count(lines, outcome),
  );
  console.log(`${name}: ${passed} passed, ${failed} failed, ${skipped} skipped`);
}
process.exitCode = count(reports[0]?.lines ?? [], "failed") === 0 ? 0 : 1;
