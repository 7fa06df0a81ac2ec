// The client library, as the commands of senders and recipients use it.

import { join } from "node:path";

import { WebSocket } from "ws";

import { DeadDrop, NoRelaysError } from "../client/client.ts";
import { fileOutbox } from "../client/node.ts";
import { asFailureOf, CliError, FAILED, WRONG_USE } from "./failure.ts";
import { keptFor, type Profile, type ProfileOptions } from "./profile.ts";

/**
 * Does a command's work with a client of this profile, and closes it in the end, whatever becomes of the work. What the library throws for wrong use or an
 * unknown recipient becomes a CliError that says what to do.
 */
export async function withClient(
  profile: Profile,
  options: Pick<ProfileOptions, "timeoutSeconds">,
  work: (client: DeadDrop) => Promise<number>,
): Promise<number> {
  const client = clientOf(profile, options);
  try {
    return await work(client);
  } catch (error) {
    throw asFailure(error);
  } finally {
    client.close();
  }
}

function clientOf(
  { signer, relays, discovery, folder, notice }: Profile,
  { timeoutSeconds }: Pick<ProfileOptions, "timeoutSeconds">,
): DeadDrop {
  return new DeadDrop({
    keys: [signer],
    relays,
    discovery,
    outbox: fileOutbox(join(folder, "outbox"), {
      lost: ({ path, why, keptAs }) =>
        notice(
          `${path} cannot be used (${why}), so relays may not be told of an acknowledgement in it, and its messages may be printed again${keptFor({ keptAs })}`,
        ),
    }),
    webSocket: WebSocket,
    ...(timeoutSeconds !== undefined && { patienceSeconds: timeoutSeconds }),
  });
}

function asFailure(error: unknown): unknown {
  if (error instanceof NoRelaysError) {
    return new CliError(
      FAILED,
      `${error.message}; ask for them and give --relay, or name other relays to look with --discovery`,
    );
  }
  if (error instanceof RangeError) return new CliError(WRONG_USE, error.message);
  return asFailureOf(error, (why) => `what waits for your relays cannot be read or kept (${why})`);
}
