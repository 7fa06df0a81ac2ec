import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { decode, npubEncode, type NSec, nsecEncode } from "nostr-tools/nip19";
import { wrapEvent } from "nostr-tools/nip59";
import { verifyEvent } from "nostr-tools/pure";
import { expect } from "vitest";
import { WebSocketServer } from "ws";

import { Client, now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import {
  type RelayOptions,
  type RelayProcess,
  startRelay,
  temporaryFolder,
} from "../support/relay.ts";
import {
  atEnd,
  type Circumstances,
  onTerminal,
  type Ran,
  run,
  type Running,
  start,
} from "./process.ts";

const KIND_RELAY_LIST = 10_050;

/** How long to wait where nobody answers, and where somebody does. */
export const BRIEFLY = ["--timeout", "1s"];
export const PATIENTLY = ["--timeout", "2s"];

export type Place = { readonly url: string };

/** The options that name these relays. */
export function at(...relays: readonly Place[]): string[] {
  return relays.flatMap(({ url }) => ["--relay", url]);
}

/** Where nobody listens: no command here may come to ask the relays of the world. */
export const NOWHERE = "ws://127.0.0.1:1";

/** Somebody at a command line of their own: a home that nobody else uses. */
export type Seat = {
  readonly home: string;
  /** Runs `deaddrop` to its end. */
  readonly runs: (args: readonly string[], circumstances?: Circumstances) => Promise<Ran>;
  readonly starts: (args: readonly string[]) => Running;
  /** The same on a terminal, where somebody types; standard output is none. `terminal` is what it showed. */
  readonly runsOnTerminal: (
    args: readonly string[],
    steps?: Parameters<typeof onTerminal>[1],
  ) => ReturnType<typeof onTerminal>;
};

/** A seat with a key in its home. */
export type Keyholder = Seat & Person & { readonly npub: string; readonly nsec: string };

type Settings = {
  /** Where relay lists are published and looked up. */
  readonly discovery?: string;
  /** One's own relays, named by $DEADDROP_RELAYS. */
  readonly relays?: readonly Place[];
};

/** An empty home. */
export function seat({ discovery = NOWHERE, relays }: Settings = {}): Seat {
  const folder = temporaryFolder(atEnd);
  const home = join(folder, "home");
  const env: Record<string, string> = {
    HOME: folder,
    DEADDROP_HOME: home,
    DEADDROP_DISCOVERY: discovery,
    ...(relays !== undefined && { DEADDROP_RELAYS: relays.map(({ url }) => url).join(",") }),
  };
  return {
    home,
    runs: (args, circumstances = {}) =>
      run(args, { cwd: folder, ...circumstances, env: { ...env, ...circumstances.env } }),
    starts: (args) => start(args, { cwd: folder, env }),
    runsOnTerminal: (args, steps) => onTerminal(args, steps, env),
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

/** The folder of what belongs to a key. */
export function folderOf({ home, key }: Keyholder): string {
  return join(home, key);
}

/** Drops a text for somebody, or any message, as another client would; answers the drop. */
export async function drop(
  from: Person,
  to: Person,
  content: string,
  relays: readonly Place[],
  { tags = [], created_at = now() }: { tags?: string[][]; created_at?: number } = {},
): Promise<NostrEvent> {
  const message = { kind: 14, content, created_at, tags: [["p", to.key], ...tags] };
  const wrap = wrapEvent(message, from.secret, to.key);
  for (const { url } of relays) await publish(url, wrap);
  return wrap;
}

/** Publishes a drop that the relay has not seen. */
export async function publish(url: string, event: NostrEvent): Promise<void> {
  const client = await connect(url);
  expect(await client.publish(event)).toEqual(["OK", event.id, true, ""]);
  client.end();
}

/** What stands on each line, which has to be JSON. */
export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A client of a relay that says what the test says. */
export function connect(url: string): Promise<Client> {
  return Client.connect(url, {}, atEnd);
}

/** A relay, ended after the last test of the file. */
export function newRelay(options: RelayOptions = {}): Promise<RelayProcess> {
  return startRelay(options, atEnd);
}

/** The ids of what a relay holds for somebody, by its own word. */
export async function boxOf(owner: Person, { url }: Place): Promise<string[]> {
  const client = await connect(url);
  await client.authenticate(owner);
  const ids = await client.pickup();
  client.end();
  return ids;
}

/** Somebody who takes connections and never says a word. */
export async function silent(): Promise<Place & { readonly reached: Promise<unknown> }> {
  const server = createServer().listen(0, "127.0.0.1");
  const reached = once(server, "connection");
  await once(server, "listening");
  atEnd(() => void server.close());
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    atEnd(() => void socket.destroy());
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, reached };
}

/** The same relay once more, after it was stopped: its store and its port. */
export async function restarted({ url, data }: RelayProcess): Promise<RelayProcess> {
  return newRelay({ data, env: { DEADDROP_LISTEN: url.replace("ws://", "") } });
}

/** A relay that keeps everybody's newest kind 10050 list and nothing else, as those do where lists are looked up. */
export async function directory(): Promise<{
  readonly url: string;
  readonly lists: Map<string, NostrEvent>;
}> {
  const lists = new Map<string, NostrEvent>();
  // Its document (NIP-11) says nothing of a dead drop.
  const http = createHttpServer((_, response) => response.end("{}")).listen(0, "127.0.0.1");
  const server = new WebSocketServer({ server: http });
  await once(server, "listening");
  atEnd(() => {
    for (const socket of server.clients) socket.terminate();
    http.closeAllConnections();
    http.close();
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

/** How the secret of a key file would show. */
export function secretsIn(file: string): string[] {
  const nsec = readFileSync(file, "utf8").trim();
  const decoded = decode(nsec as NSec);
  return [nsec, Buffer.from(decoded.data).toString("hex")];
}
