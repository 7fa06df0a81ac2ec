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

// A drop of the usual 64 KiB takes less, as NIP-44 pads and base64 lengthens twice: then the relay says so.
const MAX_MESSAGE_BYTES = 48 * 1024;
const ENDING = ".json";

/** `deaddrop send`. Answers the exit code: 3 when fewer relays than the quorum hold the message, 1 when none does. */
export async function send(options: SendingOptions, terminal: Terminal): Promise<number> {
  // Before the key is asked for: a typing error here should not cost a passphrase.
  mustNotBeBoth(options);
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
      // Whatever ends this command, the same message can be gone on with.
      prepared: (made) => keep(profile, made),
      progress: (now) => progress(answeredOf(now)),
    });
    await delivery.settled();
    done();
    await settle(profile, delivery);
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
  for (const name of names.filter((name) => name.endsWith(ENDING)).sort()) {
    const file = join(folder, name);
    let delivery: Delivery;
    try {
      const saved = JSON.parse(await readFile(file, "utf8")) as SavedDelivery;
      delivery = await client.resume(saved, { progress: (now) => progress(answeredOf(now)) });
    } catch (error) {
      const why = (error as Error).message;
      terminal.stderr.write(`deaddrop: ${file} cannot be gone on with (${why}); remove it\n`);
      codes.push(FAILED);
      continue;
    }
    await delivery.settled();
    done();
    await settle(profile, delivery);
    codes.push(told(delivery, options, terminal));
  }
  if (codes.length === 0 && !options.json) terminal.stderr.write("nothing is waiting to be sent\n");
  if (codes.every((code) => code === DONE)) return DONE;
  return codes.every((code) => code === FAILED) ? FAILED : PARTLY;
}

function mustNotBeBoth(options: SendingOptions): void {
  const { retry, to, relay, quorum, expiresInSeconds, rewrap, print } = options;
  const isMore = to !== undefined || relay.length > 0 || quorum !== undefined || rewrap || print;
  if (!retry || !(isMore || expiresInSeconds !== undefined)) return;
  throw new CliError(
    WRONG_USE,
    "--retry goes on with what was sent before, as it was; send a new message without it",
  );
}

async function textOf(
  { text = "-" }: SendingOptions,
  { stdin, stderr }: Terminal,
): Promise<string> {
  if (text === "-" && stdin.isTTY === true) {
    stderr.write("Write your message; Ctrl-D on an empty line sends it.\n");
  }
  const message =
    text === "-"
      ? (await readAll(stdin, { name: "the message", maxBytes: MAX_MESSAGE_BYTES })).replace(
          /\n$/,
          "",
        )
      : text;
  if (message === "") throw new CliError(WRONG_USE, "the message is empty; nothing was sent");
  if (Buffer.byteLength(message) > MAX_MESSAGE_BYTES) {
    throw new CliError(WRONG_USE, `the message is longer than ${MAX_MESSAGE_BYTES} bytes`);
  }
  return message;
}

function answeredOf({ reports }: Delivery): string {
  const answered = reports.filter(({ state }) => state !== "waiting").length;
  return `${answered} of ${reports.length} relays answered`;
}

function told(delivery: Delivery, { json }: SendingOptions, { stdout, stderr }: Terminal): number {
  const { message, isDelivered, mayArrive, quorum, reports } = delivery;
  if (json) {
    const relays = reports.map(({ heldUntil = null, ...report }) => ({ ...report, heldUntil }));
    stdout.write(`${JSON.stringify({ message, delivered: isDelivered, quorum, relays })}\n`);
  } else {
    for (const report of reports) stdout.write(shownReport(report));
  }
  if (isDelivered) return DONE;
  const holding = reports.filter(({ state }) => state === "held" || state === "known").length;
  const next = mayArrive
    ? 'go on with "deaddrop send --retry"'
    : "the others never will; change what they refuse, or name other relays with --relay";
  stderr.write(
    `deaddrop: ${holding} of ${reports.length} relays hold the message, ${quorum} are wanted; ${next}\n`,
  );
  return holding > 0 ? PARTLY : FAILED;
}

// What has not reached its quorum is kept as it is: to send the text once more would make a second message of it.
async function keep(profile: Profile, delivery: Delivery): Promise<void> {
  await mkdir(unsentFolder(profile), { recursive: true, mode: 0o700 });
  const file = unsentFile(profile, delivery);
  await writeFile(`${file}.part`, JSON.stringify(delivery.save()), { mode: 0o600 });
  await rename(`${file}.part`, file);
}

// What arrived needs no retry, and what cannot arrive has none.
async function settle(profile: Profile, delivery: Delivery): Promise<void> {
  if (!delivery.isDelivered && delivery.mayArrive) await keep(profile, delivery);
  else await rm(unsentFile(profile, delivery), { force: true });
}

function unsentFile(profile: Profile, { message }: Delivery): string {
  return join(unsentFolder(profile), `${message}${ENDING}`);
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
