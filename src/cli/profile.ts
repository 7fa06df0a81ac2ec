// Who runs a command: a key, the relays that belong to it, and a folder where the command line keeps what must outlive it.

import { dirname, join } from "node:path";

import { type Network, secretSigner, type Signer } from "../client/client.ts";
import { codeOf, readJson, removeLeftovers, replaceFile } from "../client/durable-file.ts";
import { isRelayUrl, relayUrls } from "../client/relay-url.ts";
import { asRelays } from "./arguments.ts";
import {
  asFailureOf,
  CliError,
  type ExitCode,
  type Message,
  saidBySystem,
  tell,
} from "./failure.ts";
import { homeFolder, loadSecret } from "./key-file.ts";
import { NO_RELAYS, relaysNotKept, savedRelaysDamaged, savedRelaysUnreadable } from "./messages.ts";
import { networkOf } from "./network.ts";
import { progressLine, type Terminal } from "./terminal.ts";

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
  /** Why `relays` are none although some were set; undefined: they are as they were set. */
  readonly relaysLost?: Message;
  /** A folder for what belongs to this key. */
  readonly folder: string;
  /** Tells whoever runs the command something that does not end it, past the progress line. Answers its exit code. */
  readonly notice: (message: Message) => ExitCode;
};

/** Relays where many people's kind 10050 lists are found. */
const DISCOVERY = ["wss://purplepag.es", "wss://relay.damus.io", "wss://nos.lol"];

/** Reads the key and finds what belongs to it. Throws a CliError that says what to do. */
export async function openProfile(options: ProfileOptions, terminal: Terminal): Promise<Profile> {
  const network = networkOf(options.socks, terminal);
  const { secret, file } = await loadSecret(terminal, options);
  const signer = secretSigner(secret);
  const folder = join(homeFolder(terminal.env), signer.key);
  if (file !== undefined) await removeLeftovers(dirname(file));
  await removeLeftovers(folder);
  const given = firstOf(options.relay, fromEnvironment(terminal, "DEADDROP_RELAYS"));
  const saved = given === undefined ? await savedRelays(folder) : [];
  return {
    signer,
    folder,
    network,
    notice(message) {
      progressLine(terminal).done();
      return tell(terminal.stderr, message);
    },
    ...("text" in saved ? { relays: [], relaysLost: saved } : { relays: asRelays(given ?? saved) }),
    discovery: asRelays(
      firstOf(options.discovery, fromEnvironment(terminal, "DEADDROP_DISCOVERY")) ?? DISCOVERY,
    ),
  };
}

/** Throws when the profile has no relays of its own. */
export function mustHaveRelays({ relays, relaysLost }: Profile): void {
  if (relays.length > 0) return;
  throw new CliError(relaysLost ?? NO_RELAYS);
}

/** Keeps these as the profile's relays. */
export async function saveRelays(folder: string, relays: readonly string[]): Promise<void> {
  try {
    await replaceFile(relaysFile(folder), `${JSON.stringify({ relays })}\n`);
  } catch (error) {
    throw asFailureOf(error, relaysNotKept);
  }
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

// Or why they cannot be known.
async function savedRelays(folder: string): Promise<readonly string[] | Message> {
  const file = relaysFile(folder);
  try {
    const { relays } = Object(await readJson(file)) as { readonly relays?: unknown };
    if (Array.isArray(relays) && relays.every(isRelayUrl)) return relayUrls(relays);
    return savedRelaysDamaged(file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    const why = saidBySystem(error);
    if (why === undefined) throw error;
    return savedRelaysUnreadable(why);
  }
}
