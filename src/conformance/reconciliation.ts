import { nip77 } from "nostr-tools";

import type { NostrEvent } from "../nostr/event.ts";
import type { Client, Filter } from "./client.ts";
import { unhurried } from "./rate-limit.ts";
import { Failed, must } from "./verdict.ts";

/** What a reconciliation (NIP-77) came to. */
export type Reconciled = {
  /** Ids that the client alone has, and that the relay alone has. */
  readonly have: readonly string[];
  readonly need: readonly string[];
  /** The reason of a NEG-ERR; undefined when the differences were found. */
  readonly refused: string | undefined;
};

/** A first message of who has nothing: it asks for all ids there are. */
export const ASKS_FOR_ALL = "6100000200";

// A few events are reconciled in two or three.
const MAX_ROUNDS = 50;

/** Reconciles these events with those of the relay that match, to the end. */
export function reconcile(
  client: Client,
  filter: Filter,
  events: readonly NostrEvent[] = [],
): Promise<Reconciled> {
  return unhurried(
    () => reconcileOnce(client, filter, events),
    ({ refused }) => refused?.startsWith("rate-limited:") === true,
  );
}

/** Says one message of a reconciliation, and answers what NEG-MSG has to it, or the reason of a NEG-ERR. */
export async function ask(
  { connection }: Client,
  verb: "NEG-OPEN" | "NEG-MSG",
  id: string,
  ...rest: readonly unknown[]
): Promise<{ readonly answer: string } | { readonly refused: string }> {
  const mark = connection.mark;
  connection.say(verb, id, ...rest);
  const { message, text } = await connection.wait(
    `the answer to ${verb} "${id}"`,
    mark,
    ([verb, answered]) => (verb === "NEG-MSG" || verb === "NEG-ERR") && answered === id,
  );
  const [answer, , said] = message;
  must(typeof said === "string", `${answer} takes a string, not ${text}`);
  return answer === "NEG-ERR" ? { refused: said } : { answer: said };
}

async function reconcileOnce(
  client: Client,
  filter: Filter,
  events: readonly NostrEvent[],
): Promise<Reconciled> {
  const storage = new nip77.NegentropyStorageVector();
  for (const { created_at, id } of events) storage.insert(created_at, id);
  storage.seal();
  const negentropy = new nip77.Negentropy(storage);
  const id = client.newSubscription();
  const [have, need] = [new Set<string>(), new Set<string>()];
  let said = await ask(client, "NEG-OPEN", id, filter, negentropy.initiate());
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if ("refused" in said) return { have: [], need: [], refused: said.refused };
    const next = nextOf(negentropy, said.answer, have, need);
    if (next === null) {
      client.connection.say("NEG-CLOSE", id);
      return { have: [...have], need: [...need], refused: undefined };
    }
    said = await ask(client, "NEG-MSG", id, next);
  }
  throw new Failed(`the reconciliation did not end in ${MAX_ROUNDS} rounds`);
}

function nextOf(
  negentropy: nip77.Negentropy,
  answer: string,
  have: Set<string>,
  need: Set<string>,
): string | null {
  try {
    return negentropy.reconcile(
      answer,
      (id) => void have.add(id),
      (id) => void need.add(id),
    );
  } catch (error) {
    throw new Failed(`NEG-MSG has no message of Negentropy: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
