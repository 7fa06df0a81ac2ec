import type { DeadDrop } from "../client/client.ts";
import { asPerson, asRelays } from "./arguments.ts";
import { withClient } from "./client.ts";
import { answeredOf, reportDelivery } from "./delivery-report.ts";
import { CliError, DONE } from "./failure.ts";
import {
  LOOKING_FOR_RELAYS,
  MESSAGE,
  MESSAGE_EMPTY,
  messageTooLong,
  miningProgress,
  RECIPIENT,
  RETRY_ALONE,
  WRITE_YOUR_MESSAGE,
} from "./messages.ts";
import { openProfile, type Profile, type ProfileOptions } from "./profile.ts";
import { retryUnsent } from "./send-retry.ts";
import { progressLine, readAll, type Terminal } from "./terminal.ts";
import { keepUnsent, settleUnsent } from "./unsent.ts";

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

/** `deaddrop send`. Answers the exit code: 3 when fewer relays than the quorum hold the message, 1 when none does. */
export async function send(options: SendingOptions, terminal: Terminal): Promise<number> {
  // Before the key is asked for: a typing error here should not cost a passphrase.
  mustNotBeBoth(options);
  const recipient = options.retry ? undefined : asPerson(options.to, RECIPIENT);
  const relays = options.relay.length > 0 ? asRelays(options.relay) : undefined;
  const profile = await openProfile({ ...options, relay: [] }, terminal);
  return withClient(profile, options, async (client) => {
    if (recipient === undefined) return retryUnsent(client, profile, options, terminal);
    const { key, hints } = await client.findPerson(recipient);
    const text = await textOf(options, terminal);
    if (options.print) return printWrap(client, key, text, options, terminal);
    return deliver({ client, profile, recipient: key, hints, relays, text }, options, terminal);
  });
}

async function printWrap(
  client: DeadDrop,
  recipient: string,
  text: string,
  { expiresInSeconds }: SendingOptions,
  { stdout }: Terminal,
): Promise<number> {
  const wrap = await client.wrap(recipient, text, {
    ...(expiresInSeconds !== undefined && { expiresInSeconds }),
  });
  stdout.write(`${JSON.stringify(wrap)}\n`);
  return DONE;
}

type Outgoing = {
  readonly client: DeadDrop;
  readonly profile: Profile;
  readonly recipient: string;
  readonly hints: readonly string[];
  readonly relays: readonly string[] | undefined;
  readonly text: string;
};

async function deliver(
  { client, profile, recipient, hints, relays, text }: Outgoing,
  options: SendingOptions,
  terminal: Terminal,
): Promise<number> {
  const { expiresInSeconds, quorum, rewrap } = options;
  const { progress, done } = progressLine(terminal.stderr);
  progress(LOOKING_FOR_RELAYS);
  const delivery = await client.send(recipient, text, {
    rewrap,
    hints,
    ...(relays !== undefined && { relays }),
    ...(expiresInSeconds !== undefined && { expiresInSeconds }),
    ...(quorum !== undefined && { quorum }),
    mining: (tried) => progress(miningProgress(tried)),
    // Whatever ends this command, the same message can be gone on with.
    prepared: (made) => keepUnsent(profile, made),
    progress: (now) => progress(answeredOf(now)),
  });
  await delivery.settled();
  done();
  await settleUnsent(profile, delivery);
  return reportDelivery(delivery, options, terminal);
}

function mustNotBeBoth(options: SendingOptions): void {
  const { retry, to, relay, quorum, expiresInSeconds, rewrap, print } = options;
  const isMore = to !== undefined || relay.length > 0 || quorum !== undefined || rewrap || print;
  if (!retry || !(isMore || expiresInSeconds !== undefined)) return;
  throw new CliError(RETRY_ALONE);
}

async function textOf(
  { text = "-" }: SendingOptions,
  { stdin, stderr }: Terminal,
): Promise<string> {
  if (text === "-" && stdin.isTTY === true) {
    stderr.write(`${WRITE_YOUR_MESSAGE}\n`);
  }
  const message =
    text === "-"
      ? (await readAll(stdin, { name: MESSAGE, maxBytes: MAX_MESSAGE_BYTES })).replace(/\n$/, "")
      : text;
  if (message === "") throw new CliError(MESSAGE_EMPTY);
  if (Buffer.byteLength(message) > MAX_MESSAGE_BYTES) {
    throw new CliError(messageTooLong(MAX_MESSAGE_BYTES));
  }
  return message;
}
