import type { Client } from "../client.ts";
import type { Context } from "../context.ts";
import type { Person } from "../people.ts";
import { pause } from "../rate-limit.ts";
import { must, Skipped } from "../verdict.ts";

type Refusable = { readonly closed: string | undefined };

// The half second of NIP-DD, less what the timer of a busy relay may be early.
const HELD_MS = 450;
// A client that is slow to answer a challenge, and leaves the other half for the way there.
const ANSWERED_MS = 250;
const MAX_ATTEMPTS = 4;

/**
 * What a relay answers to a request without a key whose AUTH comes a quarter of a second later. Fails when the relay refuses it before half a second is over. The
 * clock is that of the suite and counts the way there and back as well, so that however slow that way or this machine is, no relay is blamed that held the request.
 * A refusal after that time may be right, since AUTH may have come too late: then it is tried again, and in the end nothing is said.
 */
export async function answerToLateAuth<Answer extends Refusable>(
  context: Context,
  person: Person,
  ask: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  for (let attempts = 1; attempts <= MAX_ATTEMPTS; attempts++) {
    const client = await context.open("client");
    const started = performance.now();
    const asked = ask(client).then((answer) => ({
      answer,
      milliseconds: performance.now() - started,
    }));
    // Together, as either may be in vain.
    const [{ answer, milliseconds }, { accepted, reason }] = await Promise.all([
      asked,
      authenticateLate(client, person),
    ]);
    must(accepted, `AUTH was refused: ${reason}`);
    if (answer.closed === undefined) return answer;
    const isOver = milliseconds >= HELD_MS && answer.closed.startsWith("auth-required:");
    must(isOver, `it was refused after ${Math.round(milliseconds)} ms: ${answer.closed}`);
    client.connection.end();
  }
  throw new Skipped("the relay took longer to answer than it has to hold a request");
}

/** Answers the challenge that a request is followed by. */
async function authenticateLate(
  client: Client,
  person: Person,
): ReturnType<Client["authenticateWith"]> {
  const challenged = client.connection.wait("an AUTH challenge", 0, ([verb]) => verb === "AUTH");
  const signed = challenged.then(() => client.authEvent(person));
  const [event] = await Promise.all([signed, pause(ANSWERED_MS)]);
  return client.authenticateWith(event);
}
