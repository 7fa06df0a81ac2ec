import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import {
  type DeadDrop,
  type Delivery,
  NoRelaysError,
  type SavedDelivery,
} from "../client/client.ts";
import { CliError, DONE, FAILED, PARTLY, WRONG_USE } from "./failure.ts";
import {
  asKey,
  asRelays,
  clientOf,
  openProfile,
  type Profile,
  type ProfileOptions,
} from "./profile.ts";
import { shownReport } from "./show.ts";
import { progressLine, readAll, type Terminal } from "./terminal.ts";

export type SendingOptions = ProfileOptions & {
  readonly to: string | undefined;
  /** The message; undefined or "-": standard input. */
  readonly text: string | undefined;
  readonly expiresInSeconds: number | undefined;
  readonly quorum: number | undefined;
  readonly rewrap: boolean;
  /** Print the gift wrap, and send nothing. */
  readonly print: boolean;
  /** Go on with what did not reach enough relays before. */
  readonly retry: boolean;
  readonly json: boolean;
};

// More does not fit into two layers of NIP-44 and a drop of the usual 64 KiB.
const MAX_MESSAGE_BYTES = 48 * 1024;

/** `deaddrop send`. Answers the exit code: 3 when fewer relays than the quorum hold the message, 1 when none does. */
export async function send(options: SendingOptions, terminal: Terminal): Promise<number> {
  // Before the key is asked for: a typing error here should not cost a passphrase.
  const recipient = options.retry ? undefined : asKey(options.to, "the recipient");
  const relays = options.relay.length > 0 ? asRelays(options.relay) : undefined;
  const profile = await openProfile({ ...options, relay: [] }, terminal);
  const client = clientOf(profile, options);
  try {
    if (recipient === undefined) return await retryAll(client, profile, options, terminal);
    const text = await textOf(options, terminal);
    const { expiresInSeconds, quorum, rewrap } = options;
    if (options.print) {
      const wrap = await client.wrap(recipient, text, {
        ...(expiresInSeconds !== undefined && { expiresInSeconds }),
      });
      terminal.stdout.write(`${JSON.stringify(wrap)}\n`);
      return DONE;
    }
    const { progress, done } = progressLine(terminal.stderr);
    progress("looking for the relays");
    const delivery = await client.send(recipient, text, {
      rewrap,
      ...(relays !== undefined && { relays }),
      ...(expiresInSeconds !== undefined && { expiresInSeconds }),
      ...(quorum !== undefined && { quorum }),
      mining: (tried) => progress(`proof of work: ${tried.toLocaleString("en")} tried`),
      progress: (now) => progress(answeredOf(now)),
    });
    await delivery.settled();
    done();
    await keepUnsent(profile, delivery);
    return told(delivery, options, terminal);
  } catch (error) {
    throw asFailure(error);
  } finally {
    client.close();
  }
}

async function retryAll(
  client: DeadDrop,
  profile: Profile,
  options: SendingOptions,
  terminal: Terminal,
): Promise<number> {
  const folder = unsentFolder(profile);
  const names = await readdir(folder).catch(() => []);
  const { progress, done } = progressLine(terminal.stderr);
  const codes: number[] = [];
  for (const name of names.filter((name) => name.endsWith(".json")).sort()) {
    const saved = JSON.parse(await readFile(join(folder, name), "utf8")) as SavedDelivery;
    const delivery = await client.resume(saved, { progress: (now) => progress(answeredOf(now)) });
    await delivery.settled();
    done();
    await keepUnsent(profile, delivery);
    codes.push(told(delivery, options, terminal));
  }
  if (codes.length === 0 && !options.json) terminal.stderr.write("nothing is waiting to be sent\n");
  if (codes.every((code) => code === DONE)) return DONE;
  return codes.every((code) => code === FAILED) ? FAILED : PARTLY;
}

async function textOf(
  { text = "-" }: SendingOptions,
  { stdin, stderr }: Terminal,
): Promise<string> {
  if (text !== "-") return text;
  if (stdin.isTTY === true) stderr.write("Write your message; Ctrl-D on an empty line sends it.\n");
  const read = await readAll(stdin, { name: "the message", maxBytes: MAX_MESSAGE_BYTES });
  const message = read.replace(/\n$/, "");
  if (message === "") throw new CliError(WRONG_USE, "the message is empty; nothing was sent");
  return message;
}

function answeredOf({ reports }: Delivery): string {
  const answered = reports.filter(({ state }) => state !== "waiting").length;
  return `${answered} of ${reports.length} relays answered`;
}

function told(delivery: Delivery, { json }: SendingOptions, { stdout, stderr }: Terminal): number {
  const { message, isDelivered, quorum, reports } = delivery;
  if (json) {
    const relays = reports.map(({ heldUntil = null, ...report }) => ({ ...report, heldUntil }));
    stdout.write(`${JSON.stringify({ message, delivered: isDelivered, quorum, relays })}\n`);
  } else {
    for (const report of reports) stdout.write(shownReport(report));
  }
  if (isDelivered) return DONE;
  const holding = reports.filter(({ state }) => state === "held" || state === "known").length;
  stderr.write(
    `deaddrop: ${holding} of ${reports.length} relays hold the message, ${quorum} are wanted; go on with "deaddrop send --retry"\n`,
  );
  return holding > 0 ? PARTLY : FAILED;
}

// What did not reach its quorum is kept as it is: to send the text once more would make a second message of it.
async function keepUnsent(profile: Profile, delivery: Delivery): Promise<void> {
  const folder = unsentFolder(profile);
  const file = join(folder, `${delivery.message}.json`);
  if (delivery.isDelivered) {
    await rm(file, { force: true });
    return;
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(`${file}.part`, JSON.stringify(delivery.save()), { mode: 0o600 });
  await rename(`${file}.part`, file);
}

function unsentFolder({ folder }: Profile): string {
  return join(folder, "unsent");
}

/** What the library throws for wrong use or an unknown recipient, as something to be told; anything else as it is. */
export function asFailure(error: unknown): unknown {
  if (error instanceof NoRelaysError) {
    return new CliError(
      FAILED,
      `${error.message}; ask for them and give --relay, or name other relays to look with --discovery`,
    );
  }
  if (error instanceof RangeError) return new CliError(WRONG_USE, error.message);
  return error;
}
