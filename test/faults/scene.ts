// A relay in which threads fail, with a box of which it is known what must be there.

import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { vi } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { acknowledgement } from "../support/events.ts";
import { person } from "../support/people.ts";
import { type AtEnd, type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";

const PRELOADED = new URL("../support/failing-threads.mjs", import.meta.url).href;
// A client does not wait for a batch that another one is in.
const SENDERS = 4;
const MOST_DROPS = 1_500;
// In flight at once, fewer than wait for an answer.
const MOST_REPEATED = 500;

export type Thread = "main" | "event loop" | "verification";
export type How = "exit" | "throw" | "memory" | "hang" | "start";

/** How often each failure was made to happen. */
export const happened: Record<string, number> = {};

/** Counts a failure that was made to happen. */
export function count(failure: string): void {
  happened[failure] = (happened[failure] ?? 0) + 1;
}

/** A relay with a box in which some drops are held, and some were acknowledged. */
export class Scene {
  readonly data: string;
  readonly bob = person();
  readonly held: NostrEvent[] = [];
  readonly gone: NostrEvent[] = [];
  readonly #author = person();
  #made = 0;
  readonly #atEnd: AtEnd;
  readonly #faults: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(atEnd: AtEnd, eventLoops: number, env: Readonly<Record<string, string>> = {}) {
    this.#atEnd = atEnd;
    this.data = temporaryFolder(atEnd);
    this.#faults = temporaryFolder(atEnd);
    this.#env = {
      // What runs out of memory does so soon.
      NODE_OPTIONS: `--import=${PRELOADED} --max-old-space-size=100`,
      TEST_FAULTS: this.#faults,
      DEADDROP_WORKERS: String(eventLoops),
      DEADDROP_VERIFIERS: String(eventLoops),
      DEADDROP_LOG: "info",
      ...env,
    };
  }

  start(): Promise<RelayProcess> {
    return startRelay({ data: this.data, env: this.#env }, this.#atEnd);
  }

  connect(relay: RelayProcess): Promise<Client> {
    return Client.connect(relay.url, {}, this.#atEnd);
  }

  /** Has a thread fail. */
  fail(thread: Thread, how: How): void {
    count(`${thread}: ${how}`);
    writeFileSync(join(this.#faults, `${thread} ${how}`), "");
  }

  /** Whether it has befallen a thread. */
  hasFailed(thread: Thread, how: How): boolean {
    return !existsSync(join(this.#faults, `${thread} ${how}`));
  }

  mend(thread: Thread, how: How): void {
    rmSync(join(this.#faults, `${thread} ${how}`));
  }

  async fill(relay: RelayProcess): Promise<void> {
    const client = await this.connect(relay);
    const drops = Array.from({ length: 12 }, () => this.#drop());
    for (const drop of drops) assert.deepEqual(await client.publish(drop), taken(drop));
    const gone = drops.splice(0, 5);
    const ack = acknowledgement(this.bob, gone);
    assert.deepEqual(await client.publish(ack), taken(ack));
    this.held.push(...drops);
    this.gone.push(...gone);
  }

  /** Sends drops, each until it is taken. Answers how often the relay said that it could not check one. */
  async send(relay: RelayProcess, count: number): Promise<number> {
    let unchecked = 0;
    let left = count;
    const sendSome = async (): Promise<void> => {
      const client = await this.connect(relay);
      while (left-- > 0) {
        const drop = this.#drop();
        while (!(await this.#isTaken(drop, client))) unchecked += 1;
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, sendSome));
    return unchecked;
  }

  /** Sends a drop, taken or not, on a connection of its own. */
  async sendOne(relay: RelayProcess): Promise<void> {
    const client = await this.connect(relay);
    await this.#isTaken(this.#drop(), client);
    client.end();
  }

  /** Sends drops until the relay ends, or its box is nearly full. */
  async sendToTheEnd(relay: RelayProcess): Promise<void> {
    try {
      await this.send(relay, MOST_DROPS);
    } catch (error) {
      const { message, code = "" } = error as NodeJS.ErrnoException;
      if (!message.startsWith("connection closed") && !code.startsWith("ECONN")) throw error;
    }
  }

  /** Resolves when drops that are being sent are taken. */
  async isTaking(): Promise<void> {
    const enough = this.held.length + SENDERS;
    await vi.waitFor(() => assert.ok(this.held.length >= enough), { timeout: 20_000, interval: 1 });
  }

  async #isTaken(drop: NostrEvent, client: Client): Promise<boolean> {
    const [, , accepted, message] = await client.publish(drop);
    if (accepted === true) this.held.push(drop);
    else assert.equal(message, "error: the event could not be checked, try again");
    return accepted === true;
  }

  #drop(): NostrEvent {
    const tags = [["p", this.bob.key]];
    const content = `ciphertext ${this.#made++}`;
    return finalizeEvent({ kind: 1059, created_at: now(), tags, content }, this.#author.secret);
  }

  /** That nothing was lost and nothing comes back, and that it still takes drops. */
  async isWhole(relay: RelayProcess): Promise<void> {
    const client = await (await this.connect(relay)).authenticate(this.bob);
    // What had no answer may be there.
    const isThere = new Set(await client.pickup());
    assert.deepEqual(
      this.held.filter(({ id }) => !isThere.has(id)),
      [],
    );
    assert.deepEqual(
      this.gone.filter(({ id }) => isThere.has(id)),
      [],
    );
    const known = [...this.held.slice(-MOST_REPEATED), ...this.gone];
    for (const drop of known) client.say("EVENT", drop);
    const answers = [];
    while (answers.length < known.length) answers.push(await client.hear());
    const duplicates = known.map((drop) => taken(drop, "duplicate: already have this event"));
    assert.deepEqual(new Set(answers), new Set(duplicates));
  }
}

function taken({ id }: { id: string }, message = ""): Message {
  return ["OK", id, true, message];
}
