import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { decode, npubEncode, type NSec, nsecEncode } from "nostr-tools/nip19";
import { verifyEvent } from "nostr-tools/pure";
import { onTestFinished } from "vitest";
import { WebSocketServer } from "ws";

import { Client } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import { temporaryFolder } from "../support/relay.ts";

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;
const TYPIST = new URL("./typist.py", import.meta.url).pathname;
const TERMINAL_SECONDS = 30;
const KIND_RELAY_LIST = 10_050;

/** Where nobody listens: no command here may come to ask the relays of the world. */
export const NOWHERE = "ws://127.0.0.1:1";

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string };

/** A command that goes on until it is told to stop. */
type Running = {
  /** Resolves once it has printed all of these; rejects when it ends before. */
  prints(...texts: readonly string[]): Promise<void>;
  /** Interrupts it as Ctrl-C does, and answers how it ended. */
  interrupt(): Promise<Ran>;
};

type Scene = {
  readonly env?: Readonly<Record<string, string>>;
  /** What comes through a pipe; the default is nothing. */
  readonly input?: string;
  /** Nobody reads what it prints. */
  readonly unread?: boolean;
};

/** Somebody at a command line of their own: a home that nobody else uses. */
export type Seat = {
  readonly home: string;
  /** Runs `deaddrop` to its end. */
  readonly runs: (args: readonly string[], scene?: Scene) => Promise<Ran>;
  readonly starts: (args: readonly string[]) => Running;
  /** The same on a terminal; standard output is none. `terminal` is what it showed. */
  readonly runsOnTerminal: (args: readonly string[]) => Promise<Shown>;
};

type Shown = { readonly terminal: string; readonly stdout: string; readonly code: number };

/** A seat with a key in its home. */
export type Keyholder = Seat & Person & { readonly npub: string; readonly nsec: string };

type Settings = {
  /** Where relay lists are published and looked up. */
  readonly discovery?: string;
  /** One's own relays, named by $DEADDROP_RELAYS. */
  readonly relays?: readonly { readonly url: string }[];
};

/** An empty home. */
export function seat({ discovery = NOWHERE, relays }: Settings = {}): Seat {
  const folder = temporaryFolder();
  const home = join(folder, "home");
  const env: Record<string, string> = {
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
    DEADDROP_HOME: home,
    DEADDROP_DISCOVERY: discovery,
    ...(relays !== undefined && { DEADDROP_RELAYS: relays.map(({ url }) => url).join(",") }),
  };
  return {
    home,
    runs: (args, scene = {}) =>
      begin(args, folder, { ...scene, env: { ...env, ...scene.env } }).ended,
    starts: (args) => begin(args, folder, { env }),
    runsOnTerminal: (args) => onTerminal(args, env),
  };
}

/** A home with a key: a new one, or one that somebody else has at home too. */
export function keyholder(settings: Settings = {}, { secret, key }: Person = person()): Keyholder {
  const own = seat(settings);
  const nsec = nsecEncode(secret);
  mkdirSync(own.home, { mode: 0o700 });
  writeFileSync(join(own.home, "key"), `${nsec}\n`, { mode: 0o600 });
  return { ...own, secret, key, npub: npubEncode(key), nsec };
}

/** What stands on each line, which has to be JSON. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The ids of what a relay holds for somebody, by its own word. */
export async function boxOf(owner: Person, { url }: { readonly url: string }): Promise<string[]> {
  const client = await Client.connect(url);
  await client.authenticate(owner);
  const ids = await client.pickup();
  client.end();
  return ids;
}

/** A relay that keeps everybody's newest kind 10050 list and nothing else, as those do where lists are looked up. */
export async function directory(): Promise<{
  readonly url: string;
  readonly lists: ReadonlyMap<string, NostrEvent>;
}> {
  const lists = new Map<string, NostrEvent>();
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  server.on("connection", (socket) => {
    const say = (...message: readonly unknown[]): void => socket.send(JSON.stringify(message));
    socket.on("message", (text: Buffer) => {
      const [verb, ...rest] = JSON.parse(text.toString()) as [string, ...unknown[]];
      if (verb === "EVENT") {
        const event = rest[0] as NostrEvent;
        const mayStay = event.kind === KIND_RELAY_LIST && verifyEvent(event);
        if (mayStay) lists.set(event.pubkey, event);
        say("OK", event.id, mayStay, mayStay ? "" : "blocked: relay lists only");
      } else if (verb === "REQ") {
        const [id, filter] = rest as [string, { readonly authors?: readonly string[] }];
        for (const author of filter.authors ?? []) {
          if (lists.has(author)) say("EVENT", id, lists.get(author));
        }
        say("EOSE", id);
      }
    });
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, lists };
}

/** An address where nobody listens now and a relay may later. */
export async function freeAddress(): Promise<string> {
  for (;;) {
    // Below the ports that systems give away by themselves, so that nobody comes to have it meanwhile.
    const address = { host: "127.0.0.1", port: 20_000 + Math.floor(Math.random() * 10_000) };
    const server = createServer().listen(address);
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return `${address.host}:${address.port}`;
  }
}

/** Why there is no terminal to be had here; undefined: there is. */
export function terminalMissing(): string | undefined {
  const { status } = spawnSync("python3", ["-c", "import fcntl, pty, termios"]);
  return status === 0 ? undefined : "no python3 with its module pty";
}

/** How the secret of a key file would show. */
export function secretsIn(file: string): string[] {
  const nsec = readFileSync(file, "utf8").trim();
  const decoded = decode(nsec as NSec);
  return [nsec, Buffer.from(decoded.data).toString("hex")];
}

function begin(
  args: readonly string[],
  cwd: string,
  { env, input = "", unread = false }: Scene,
): Running & { readonly ended: Promise<Ran> } {
  const child = spawn(process.execPath, [MAIN, ...args], { env, cwd, stdio: "pipe" });
  const closed = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await closed;
  });
  // It may end without having read all of it.
  child.stdin.on("error", () => {}).end(input);
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  if (unread) child.stdout.destroy();
  const ended = closed.then(() => ({ code: child.exitCode, out, err }));
  return {
    ended,
    prints: (...texts) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (texts.every((text) => out.includes(text))) resolve();
        };
        child.stdout.on("data", look);
        void ended.then((ran) => reject(new Error(`it ended: ${JSON.stringify(ran)}`)));
        look();
      }),
    interrupt() {
      child.kill("SIGINT");
      return ended;
    },
  };
}

async function onTerminal(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Shown> {
  const command = [process.execPath, MAIN, ...args];
  const typist = spawn("python3", [TYPIST], { stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(typist, "close");
  onTestFinished(async () => {
    typist.kill("SIGKILL");
    await closed;
  });
  typist.stdin.end(JSON.stringify({ command, env, steps: [], seconds: TERMINAL_SECONDS }));
  let told = "";
  typist.stdout.setEncoding("utf8").on("data", (text: string) => (told += text));
  await closed;
  return JSON.parse(told) as Shown;
}
