// Looks at what a power cut left, and judges it.

import { type ChildProcess, fork } from "node:child_process";

import type { NostrEvent } from "nostr-tools";

import { Client } from "../support/client.ts";
import type { Person } from "../support/people.ts";
import { startRelay } from "../support/relay.ts";
import type { Answer, Look, Seen } from "./cut-store.ts";
import type { Expected } from "./recorded-mail.ts";

/** Looks at stores with the functions of the store, in a process of its own: another one when it was ended by what it found. */
export class StoreLooker {
  #child: ChildProcess | undefined;
  #answered: (answer: Answer) => void = () => {};

  look(look: Look): Promise<Answer> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      this.#child ??= this.#start();
      this.#child.send(look);
    });
  }

  close(): void {
    this.#child?.kill("SIGKILL");
  }

  #start(): ChildProcess {
    const child = fork(new URL("cut-store.ts", import.meta.url).pathname);
    child.on("message", (answer: Answer) => this.#answered(answer));
    child.once("exit", (code, signal) => {
      this.#child = undefined;
      this.#answered({ refused: `the process that opened it ended with ${signal ?? code}` });
    });
    return child;
  }
}

/** The same through a relay that starts there. */
export async function lookByRelay(people: readonly Person[], look: Look): Promise<Answer> {
  const cleaning: (() => void | Promise<void>)[] = [];
  const atEnd = (clean: () => void | Promise<void>): void => void cleaning.push(clean);
  try {
    const env = { DEADDROP_LIMITS_DISK_RESERVE_BYTES: "0" };
    const relay = await startRelay({ data: look.folder, env }, atEnd);
    const client = await Client.connect(relay.url, {}, atEnd);
    await client.authenticate(...people);
    const first = await client.pickup();
    const outcomes = await publishAll(client, look.again);
    const last = await client.pickup();
    return { first, outcomes, last, spoiled: 0 };
  } catch (error) {
    return { refused: (error as Error).message };
  } finally {
    for (const clean of cleaning.toReversed()) await clean();
  }
}

/** Publishes all at once, and answers what became of each in the store's words. */
async function publishAll(client: Client, events: readonly NostrEvent[]): Promise<string[]> {
  for (const event of events) client.say("EVENT", event);
  const outcomes = new Map<unknown, string>();
  while (outcomes.size < events.length) {
    const [, id, accepted, reason] = await client.hear();
    const isKnown = accepted === true && reason === "duplicate: already have this event";
    outcomes.set(id, isKnown ? "known" : accepted === true ? "stored" : String(reason));
  }
  return events.map(({ id }) => outcomes.get(id) ?? "unanswered");
}

/** What is wrong with what was found; nothing if all is as it must be. */
export function wrongs(expected: Expected, again: readonly NostrEvent[], seen: Seen): string[] {
  const { held, gone, undecided } = expected;
  const found: string[] = [];
  if (seen.spoiled > 0) found.push(`${seen.spoiled} drops are listed and cannot be read`);
  for (const [when, served] of [
    ["at first", seen.first] as const,
    ["at last", seen.last] as const,
  ]) {
    const ids = new Set(served);
    if (ids.size < served.length) found.push(`${when} a drop is served twice`);
    for (const id of held) if (!ids.has(id)) found.push(`${when} ${id} is lost`);
    for (const id of ids) {
      if (gone.has(id)) found.push(`${when} ${id} is back`);
      else if (!held.has(id) && !undecided.has(id)) found.push(`${when} ${id} is of nobody`);
    }
  }
  const known = new Set(expected.known);
  for (const [at, event] of again.entries()) {
    const outcome = seen.outcomes[at] ?? "unanswered";
    const isRight = outcome === "known" || (outcome === "stored" && !known.has(event));
    if (!isRight) found.push(`${event.id} is published again and answered ${outcome}`);
  }
  return found;
}
