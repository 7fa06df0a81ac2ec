// The client and the relay in nips/reference, which another hand wrote from the text of the NIPs alone, as programs of their own.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

import { bytesToHex } from "nostr-tools/utils";

import { type Person, person } from "../support/people.ts";
import { type AtEnd, startRelay, temporaryFolder } from "../support/relay.ts";

export const CLIENT = new URL("../../nips/reference/client.py", import.meta.url).pathname;
const RELAY = new URL("../../nips/reference/relay.py", import.meta.url).pathname;
const INSTALLED = new URL("../../.cache/python/bin/python", import.meta.url).pathname;
/** The Python that has what the client needs. */
export const PYTHON = process.env["DEADDROP_PYTHON"] ?? INSTALLED;

/** Why the client cannot run here; undefined: it can. */
export const clientMissing = missing("aiohttp", "coincurve", "cryptography");

/** The relays that the client is tried with. */
export const RELAYS: readonly { name: string; absent: string | undefined; start: Start }[] = [
  { name: "deaddrop", absent: undefined, start: startRelay },
  {
    name: "relay.py",
    absent: existsSync(RELAY) ? missing("aiohttp", "bech32", "coincurve") : `no ${RELAY}`,
    start: startReference,
  },
];

type Start = (options: object, atEnd: AtEnd) => Promise<{ readonly url: string }>;

/** What a command of the client prints in one line; only what that command speaks of is there. */
export type Line = {
  readonly pubkey?: string;
  readonly ok?: boolean;
  readonly reason?: string;
  readonly error?: string;
  readonly epoch?: number | null;
  readonly drops?: number;
  readonly complete?: boolean;
  readonly drop?: string;
  readonly box?: string;
  readonly wrap?: object;
  readonly message?: unknown;
  readonly hidden?: string;
};

/** One device: a state file, and the commands that are run with it. */
export class Device {
  readonly key: string;
  readonly #options: readonly string[];

  /** A new one, whose state is removed after the test. */
  constructor({ key, secret }: Person = person()) {
    this.key = key;
    const state = join(temporaryFolder(), "state");
    this.#options = ["--state", state, "--secret", bytesToHex(secret)];
  }

  /** Runs a command, and answers what it printed. */
  run(
    command: readonly string[],
    { now, input }: { readonly now?: number; readonly input?: object } = {},
  ): Promise<readonly Line[]> {
    const dated = now === undefined ? [] : ["--now", `${now}`];
    return client([...this.#options, ...dated, ...command], input);
  }
}

async function client(args: readonly string[], input?: object): Promise<readonly Line[]> {
  const child = spawn(PYTHON, [CLIENT, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(input === undefined ? "" : JSON.stringify(input));
  const printed = await text(child.stdout);
  return printed.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Line]));
}

async function startReference(_: object, atEnd: AtEnd): Promise<{ readonly url: string }> {
  const data = join(temporaryFolder(atEnd), "drops.db");
  const args = [RELAY, "--listen", "127.0.0.1:0", "--data", data];
  const child = spawn(PYTHON, args, { stdio: ["ignore", "pipe", "inherit"] });
  atEnd(() => ended(child));
  for await (const line of createInterface({ input: child.stdout })) {
    const [, url] = /^listening on (.*)$/.exec(line) ?? [];
    if (url !== undefined) return { url };
  }
  throw new Error("relay.py ended");
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

function missing(...packages: readonly string[]): string | undefined {
  const { status } = spawnSync(PYTHON, ["-c", `import ${packages.join(", ")}`]);
  return status === 0 ? undefined : `no ${PYTHON} with ${packages.join(", ")}`;
}
