import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { afterAll, beforeAll, onTestFinished } from "vitest";

import { COMPILED } from "./compiled.ts";

export type RelayProcess = {
  /** Where it listens first. */
  readonly url: string;
  readonly http: string;
  /** Everywhere it listens, hosts and ports. */
  readonly addresses: readonly string[];
  readonly metrics: string | undefined;
  readonly data: string;
  readonly pid: number;
  /** What the relay wrote to its log so far. */
  readonly log: readonly LogLine[];
  /** Resolves once that is so of what it wrote. Rejects when it ends before. */
  wrote(isSo: (log: readonly LogLine[]) => boolean): Promise<void>;
  /** Asks it to end, and answers its exit code. */
  stop(): Promise<number | null>;
  /** Ends it in the middle of whatever it does. */
  kill(): Promise<void>;
  /** Resolves to the exit code when it has ended, whoever asked it to. */
  readonly exited: Promise<number | null>;
};

export type LogLine = Record<string, unknown> & { readonly msg: string };

const FOR_TESTS = {
  // Rates that a test on one address would run into.
  DEADDROP_LIMITS_DROPS_PER_SECOND: "0",
  DEADDROP_LIMITS_BYTES_PER_SECOND: "0",
  DEADDROP_LIMITS_REQUESTS_PER_SECOND: "0",
  DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "10000",
  DEADDROP_LIMITS_MEMORY_PER_ADDRESS: "256MiB",
  // What it shows is so, and now.
  DEADDROP_METRICS_STEP: "1",
  // Each costs a start a quarter more.
  DEADDROP_VERIFIERS: "1",
};

/** Setting for a storm of events: two threads check them, on any machine, so that they overtake one another. */
export const OVERTAKING = { DEADDROP_VERIFIERS: "2" };

export type RelayOptions = {
  /** Settings as environment variables; they win over the defaults for tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** A store to go on with; without it a new one is made and removed after the test. */
  readonly data?: string;
  /** A command that runs the one that follows it, in its own place. */
  readonly through?: readonly string[];
  /** Descriptors of listening sockets that it is started with, as systemd does it. */
  readonly sockets?: readonly number[];
  /** What runs the command; without it the sources under this Node do, or what DEADDROP_TEST_BIN names. */
  readonly launcher?: Launcher;
};

/** What runs `deaddrop`: a command with its first arguments, and variables that it needs. */
export type Launcher = {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

/** Has something done when what was started is needed no more. */
export type AtEnd = (clean: () => void | Promise<void>) => void;

/** A folder that is removed after the test. */
export function temporaryFolder(atEnd: AtEnd = onTestFinished): string {
  const folder = mkdtempSync(join(tmpdir(), "deaddrop-"));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What runs `deaddrop serve` on this folder, on a free port. */
export function relayCommand({
  data,
  env,
  through = [],
  sockets = [],
  launcher: launched = launcher(),
}: RelayOptions & { data: string }): {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
} {
  const activated = sockets.length > 0 ? ACTIVATE : [];
  const started = [...activated, ...through, launched.command, ...launched.args, "serve"];
  const [command, ...args] = started as [string, ...string[]];
  return {
    command,
    args,
    env: {
      PATH: process.env["PATH"],
      NODE_COMPILE_CACHE: COMPILED,
      ...launched.env,
      ...FOR_TESTS,
      ...(sockets.length > 0 && { LISTEN_FDS: String(sockets.length) }),
      DEADDROP_LISTEN: "127.0.0.1:0",
      DEADDROP_DATA: data,
      ...env,
    },
  };
}

// Tells the process, which none but itself can know before, that the sockets are meant for it (sd_listen_fds(3)).
const ACTIVATE = ["sh", "-c", 'export LISTEN_PID=$$; exec "$@"', "sh"];

/** Runs `deaddrop serve` as a process of its own, on a free port. It is ended after the test. */
export async function startRelay(
  options: RelayOptions = {},
  atEnd: AtEnd = onTestFinished,
): Promise<RelayProcess> {
  const data = options.data ?? temporaryFolder(atEnd);
  const { command, args, env } = relayCommand({ ...options, data });
  const { sockets = [] } = options;
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "inherit", ...sockets] });
  const output = child.stdout;
  if (output === null) throw new Error("the relay has no output");
  const lines = createInterface({ input: output });
  // Its last words were read then.
  const read = new Promise<void>((resolve) => lines.once("close", resolve));
  const exited = new Promise<number | null>((resolve) => {
    child.once("close", (code) => void read.then(() => resolve(code)));
  });
  atEnd(async () => {
    child.kill("SIGKILL");
    await exited;
  });
  const log: LogLine[] = [];
  const ended = (code: number | null): Error =>
    new Error(`the relay ended with ${code}: ${JSON.stringify(fatal(log) ?? log.at(-1))}`);
  const listening = new Promise<LogLine>((resolve, reject) => {
    lines.on("line", (text) => {
      const line = JSON.parse(text) as LogLine;
      log.push(line);
      if (line.msg === "listening") resolve(line);
    });
    void exited.then((code) => reject(ended(code)));
  });
  const { listen, metrics } = (await listening) as LogLine & {
    listen: readonly string[];
    metrics?: string;
  };
  const addresses = listen.map((address) => address.replace(/ .*/, ""));
  return {
    url: `ws://${addresses[0]}`,
    http: `http://${addresses[0]}`,
    addresses,
    metrics,
    data,
    pid: child.pid ?? 0,
    log,
    wrote(isSo) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (isSo(log)) resolve();
        };
        lines.on("line", look);
        void exited.then((code) => reject(ended(code)));
        look();
      });
    },
    stop() {
      child.kill("SIGTERM");
      return exited;
    },
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    exited,
  };
}

/** Starts a relay that is not to start, and answers how it ended and what it said then. */
export function failToStart(
  data: string,
  options: Omit<RelayOptions, "data"> = {},
): Promise<{ readonly code: number | null; readonly said: string }> {
  const { command, args, env } = relayCommand({ ...options, data });
  const { sockets = [] } = options;
  const child = spawn(command, args, { env, stdio: ["ignore", "ignore", "pipe", ...sockets] });
  let said = "";
  child.stderr?.on("data", (text: Buffer) => (said += text.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, said })));
}

/** The line in which a relay says why it cannot go on. What was under way may say something after it. */
export function fatal(log: readonly LogLine[]): LogLine | undefined {
  return log.find(({ level }) => level === 60);
}

/** What a refusal of another relay's name ends with, at one that was told no URL. */
export function knownAs({ url }: RelayProcess): string {
  const { port } = new URL(url);
  const names = ["127.0.0.1", "localhost", "[::1]"].map((name) => `${name}:${port}`);
  return `, this one is known as ${names.join(", ")}`;
}

/** One relay for all tests of a file or a describe: started before the first of them, ended after the last. */
export function sharedRelay(options: RelayOptions = {}): () => RelayProcess {
  let relay: RelayProcess | undefined;
  const cleaning: (() => void | Promise<void>)[] = [];
  beforeAll(async () => {
    relay = await startRelay(options, (clean) => cleaning.push(clean));
  });
  afterAll(async () => {
    for (const clean of cleaning.toReversed()) await clean();
  });
  return () => {
    if (relay === undefined) throw new Error("the shared relay is there inside tests only");
    return relay;
  };
}

// The sources under this Node; or, where DEADDROP_TEST_BIN names it, what was built under whatever runs it (the uWebSockets.js half of the suite).
function launcher(): Launcher {
  const given = process.env["DEADDROP_TEST_BIN"];
  if (given !== undefined) {
    const [command = "", ...args] = given.split(" ");
    const passed = Object.entries(process.env).filter(
      ([name, value]) => /^DEADDROP_(UWS|TRANSPORT|WORKERS)$/.test(name) && value !== undefined,
    );
    return { command, args, env: Object.fromEntries(passed) as Record<string, string> };
  }
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  return { command: process.execPath, args: [main], env: {} };
}
