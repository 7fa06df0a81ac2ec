// Who runs a command: a key, the relays that belong to it, and a folder where the command line keeps what must outlive it.

import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type Network, secretSigner, type Signer } from "../client/client.ts";
import { relayUrls } from "../client/relay-url.ts";
import { asRelays } from "./arguments.ts";
import { CliError } from "./failure.ts";
import { homeFolder, loadSecret } from "./key-file.ts";
import { NO_RELAYS, savedRelaysDamaged } from "./messages.ts";
import { networkOf } from "./network.ts";
import type { Terminal } from "./terminal.ts";

export type ProfileOptions = {
  /** A key file. */
  readonly key: string | undefined;
  /** Relays to use this time. */
  readonly relay: readonly string[];
  readonly discovery: readonly string[];
  /** The host and port of a SOCKS proxy. */
  readonly socks: string | undefined;
  /** How long a relay may take to answer. */
  readonly timeoutSeconds: number | undefined;
};

export type Profile = {
  readonly signer: Signer;
  /** One's own relays, as given, else as the environment says, else as they were set. */
  readonly relays: readonly string[];
  readonly discovery: readonly string[];
  readonly network: Network;
  /** A folder for what belongs to this key. */
  readonly folder: string;
};

/** Relays where many people's kind 10050 lists are found. */
const DISCOVERY = ["wss://purplepag.es", "wss://relay.damus.io", "wss://nos.lol"];

/** Reads the key and finds what belongs to it. Throws a CliError that says what to do. */
export async function openProfile(options: ProfileOptions, terminal: Terminal): Promise<Profile> {
  const network = networkOf(options.socks, terminal);
  const { secret } = await loadSecret(terminal, options);
  const signer = secretSigner(secret);
  const folder = join(homeFolder(terminal.env), signer.key);
  return {
    signer,
    folder,
    network,
    relays: asRelays(
      firstOf(options.relay, fromEnvironment(terminal, "DEADDROP_RELAYS")) ??
        (await savedRelays(folder)),
    ),
    discovery: asRelays(
      firstOf(options.discovery, fromEnvironment(terminal, "DEADDROP_DISCOVERY")) ?? DISCOVERY,
    ),
  };
}

/** Throws when the profile has no relays of its own. */
export function mustHaveRelays({ relays }: Profile): void {
  if (relays.length > 0) return;
  throw new CliError(NO_RELAYS);
}

/** Keeps these as the profile's relays. */
export async function saveRelays(folder: string, relays: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const part = join(folder, "relays.part");
  await writeFile(part, `${JSON.stringify({ relays })}\n`, { mode: 0o600 });
  await rename(part, relaysFile(folder));
}

function firstOf(
  given: readonly string[],
  fromEnvironment: readonly string[] | undefined,
): readonly string[] | undefined {
  return given.length > 0 ? given : fromEnvironment;
}

function fromEnvironment({ env }: Terminal, name: string): string[] | undefined {
  return env[name]
    ?.split(",")
    .map((part) => part.trim())
    .filter(Boolean);
}

function relaysFile(folder: string): string {
  return join(folder, "relays.json");
}

async function savedRelays(folder: string): Promise<string[]> {
  const file = relaysFile(folder);
  if (!existsSync(file)) return [];
  try {
    const { relays } = JSON.parse(await readFile(file, "utf8")) as { relays: string[] };
    return relayUrls(relays);
  } catch (error) {
    throw new CliError(savedRelaysDamaged(file, (error as Error).message));
  }
}
