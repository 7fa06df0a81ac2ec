import type { DeadDrop, Delivery, SendOptions } from "../client/client.ts";
import { MAX_RUMOR_BYTES } from "../client/message-size.ts";
import { asPerson, asRelays } from "./arguments.ts";
import { withClient } from "./client.ts";
import { answeredOf, reportDelivery } from "./delivery-report.ts";
import { CliError, DONE, tell } from "./failure.ts";
import { findRelays } from "./find-relays.ts";
import { quoted } from "./key-file.ts";
import {
  MESSAGE,
  MESSAGE_EMPTY,
  messageFarTooLong,
  miningProgress,
  quorumTooLarge,
  RECIPIENT,
  RETRY_ALONE,
  SENDING_INTERRUPTED,
  UNSENT_INTERRUPTED,
  WRITE_YOUR_MESSAGE,
} from "./messages.ts";
import { openProfile, type Profile, type ProfileOptions } from "./profile.ts";
import { retryUnsent } from "./send-retry.ts";
import { progressLine, readAll, type Terminal } from "./terminal.ts";
import { TypedText } from "./typed-text.ts";
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

// Far more than fits, so that the library can say how much does.
const MAX_READ_BYTES = 1024 * 1024;

const STANDARD_INPUT = "-";

/**
 * `deaddrop send`. What has to be known beforehand is found out before anybody is asked for a text, and a text that was typed is not lost, whatever fails.
 * `interrupted` is called once there is one. Answers the exit code: 3 when fewer relays than the quorum hold the message, 1 when none does.
 */
export async function send(
  options: SendingOptions,
  terminal: Terminal,
  interrupted: () => AbortSignal,
): Promise<number> {
  // Before the key is asked for: a typing error here should not cost a passphrase.
  mustNotBeBoth(options);
  const to = options.retry ? undefined : asPerson(options.to, RECIPIENT);
  const relays = options.relay.length > 0 ? asRelays(options.relay) : undefined;
  const profile = await openProfile({ ...options, relay: [] }, terminal);
  return withClient(profile, options, async (client) => {
    if (to === undefined) return retryUnsent(client, profile, options, terminal);
    const way = await findWay(client, to, relays, options, terminal);
    const text = await readText(options, terminal);
    const signal = interrupted();
    const typed = typedText(to, text, profile, options, terminal);
    signal.addEventListener("abort", () => typed?.keep(), { once: true });
    try {
      const outgoing = { client, profile, way, text, typed, signal };
      const work = options.print ? printWrap : deliver;
      return await work(outgoing, options, terminal);
    } catch (error) {
      typed?.rescue();
      throw signal.aborted ? new CliError(SENDING_INTERRUPTED) : error;
    }
  });
}

/** Whom a message goes to, and where: relays that were named, or what was looked up. */
type Way = { readonly key: string } & Pick<SendOptions, "relays" | "lookup">;

type Outgoing = {
  readonly client: DeadDrop;
  readonly profile: Profile;
  readonly way: Way;
  readonly text: string;
  readonly typed: TypedText | undefined;
  readonly signal: AbortSignal;
};

async function findWay(
  client: DeadDrop,
  to: string,
  relays: readonly string[] | undefined,
  { print, quorum = 1 }: SendingOptions,
  terminal: Terminal,
): Promise<Way> {
  if (relays !== undefined) mustReach(quorum, relays);
  if (relays !== undefined || print) {
    const { key } = await client.findPerson(to);
    return { key, ...(relays !== undefined && { relays }) };
  }
  const { key, lookup } = await findRelays(client, to, terminal);
  mustReach(quorum, lookup.relays ?? []);
  return { key, lookup };
}

function mustReach(quorum: number, { length }: readonly string[]): void {
  if (quorum > length) throw new CliError(quorumTooLarge(quorum, length));
}

async function printWrap(
  { client, way, text, typed, signal }: Outgoing,
  { expiresInSeconds }: SendingOptions,
  { stdout }: Terminal,
): Promise<number> {
  const wrap = await client.wrap(way.key, text, {
    signal,
    ...(expiresInSeconds !== undefined && { expiresInSeconds }),
  });
  stdout.write(`${JSON.stringify(wrap)}\n`);
  typed?.safe();
  return DONE;
}

async function deliver(
  { client, profile, way, text, typed, signal }: Outgoing,
  options: SendingOptions,
  terminal: Terminal,
): Promise<number> {
  const { expiresInSeconds, quorum, rewrap } = options;
  const { key, ...where } = way;
  const { progress, done } = progressLine(terminal);
  let delivery: Delivery;
  try {
    delivery = await client.send(key, text, {
      ...where,
      rewrap,
      signal,
      ...(expiresInSeconds !== undefined && { expiresInSeconds }),
      ...(quorum !== undefined && { quorum }),
      mining: (tried) => progress(miningProgress(tried)),
      // Whatever ends this command, the same message can be gone on with.
      prepared: (made) => keepUnsent(profile, made),
      progress: (now) => progress(answeredOf(now)),
    });
    await delivery.settled();
  } finally {
    done();
  }
  await settleUnsent(profile, delivery);
  const isHeld = delivery.reports.some(({ state }) => state === "held" || state === "known");
  // What no relay holds, and none ever will, is not kept as a message: another relay may take the text.
  if (isHeld || delivery.mayArrive) typed?.safe();
  else typed?.rescue();
  const isUnsent = !delivery.isDelivered && delivery.mayArrive;
  if (signal.aborted && isUnsent) return tell(terminal.stderr, UNSENT_INTERRUPTED);
  return reportDelivery(delivery, options, terminal);
}

function mustNotBeBoth(options: SendingOptions): void {
  const { retry, to, relay, quorum, expiresInSeconds, rewrap, print } = options;
  const isMore = to !== undefined || relay.length > 0 || quorum !== undefined || rewrap || print;
  if (!retry || !(isMore || expiresInSeconds !== undefined)) return;
  throw new CliError(RETRY_ALONE);
}

async function readText(
  { text = STANDARD_INPUT }: SendingOptions,
  { stdin, stderr }: Terminal,
): Promise<string> {
  const isRead = text === STANDARD_INPUT;
  if (isRead && stdin.isTTY === true) stderr.write(`${WRITE_YOUR_MESSAGE}\n`);
  const tooLong = messageFarTooLong(MAX_READ_BYTES, MAX_RUMOR_BYTES);
  const source = { name: MESSAGE, maxBytes: MAX_READ_BYTES, tooLong };
  const message = isRead ? (await readAll(stdin, source)).replace(/\n$/, "") : text;
  if (message === "") throw new CliError(MESSAGE_EMPTY);
  return message;
}

// Undefined for a text that stood on the command line, and stands there still.
function typedText(
  to: string,
  text: string,
  { folder }: Profile,
  { text: given = STANDARD_INPUT, key }: SendingOptions,
  { stderr }: Terminal,
): TypedText | undefined {
  if (given !== STANDARD_INPUT) return undefined;
  const whose = key === undefined ? [] : ["--key", quoted(key)];
  const command = ["deaddrop", "send", quoted(to), ...whose, "-"].join(" ");
  return new TypedText({ folder, to, text, command, stderr });
}
