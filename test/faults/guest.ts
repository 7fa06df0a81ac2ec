// A client that comes through both doors of a relay: WebSocket and HTTP.

import type { NostrEvent } from "nostr-tools";

import { ask, boxOf, inHeader, post } from "../http/support.ts";
import { Client, type Message } from "../support/client.ts";
import type { Person } from "../support/people.ts";
import type { AtEnd, RelayProcess } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";
import type { Step } from "./history.ts";
import type { Said } from "./ledger.ts";

type Door = Step["door"];
/** The time of a relay, seconds. */
type Now = () => number;

export class Guest {
  readonly client: Client;
  /** What it waits for, in words. */
  waitsFor = "";
  readonly #relay: RelayProcess;
  readonly #now: Now;
  #pickups = 0;
  readonly #keys = new Set<string>();
  readonly #waiting = new Map<string, (said: Said) => void>();

  private constructor(client: Client, relay: RelayProcess, now: Now) {
    this.client = client;
    this.#relay = relay;
    this.#now = now;
  }

  static async come(relay: RelayProcess, now: Now, atEnd: AtEnd): Promise<Guest> {
    return new Guest(await Client.connect(relay.url, {}, atEnd), relay, now);
  }

  /** Sends an event and answers what was said to it. Several may be sent at once, each once. */
  async send(event: NostrEvent, door: Door): Promise<Said> {
    return this.#until(`the answer to a kind ${event.kind} (${door})`, this.#send(event, door));
  }

  async #send(event: NostrEvent, door: Door): Promise<Said> {
    if (door === "HTTP") return this.#post(event);
    const { promise, resolve } = Promise.withResolvers<Said>();
    this.#waiting.set(event.id, resolve);
    this.client.say("EVENT", event);
    const [verb, id, accepted, reason] = await this.#hearAnswer();
    const waiting = this.#waiting.get(String(id));
    if (verb !== "OK" || waiting === undefined)
      throw new Error(`unexpected: ${verb} ${String(id)}`);
    waiting({ id, accepted, reason });
    return promise;
  }

  /** The ids of what is in a box. */
  async pickup(owner: Person, door: Door): Promise<string[]> {
    return this.#until(`a pickup (${door})`, this.#pickup(owner, door));
  }

  async #pickup(owner: Person, door: Door): Promise<string[]> {
    if (door === "HTTP") return this.#get(owner);
    await this.authenticate([owner]);
    const id = `pickup ${++this.#pickups}`;
    const brought: string[] = [];
    this.client.say("REQ", id, { "#p": [owner.key] });
    for (;;) {
      const [verb, of, found] = await this.client.hear();
      if (verb === "EVENT" && of === id) brought.push((found as NostrEvent).id);
      if (verb === "EVENT") continue;
      if (verb !== "EOSE" || of !== id) throw new Error(`no EOSE: ${verb} ${String(of)}`);
      this.client.say("CLOSE", id);
      return brought;
    }
  }

  async #until<Answer>(what: string, answer: Promise<Answer>): Promise<Answer> {
    this.waitsFor = what;
    try {
      return await answer;
    } finally {
      this.waitsFor = "";
    }
  }

  // What comes live between the end of a pickup and its CLOSE is passed over.
  async #hearAnswer(): Promise<Message> {
    for (;;) {
      const message = await this.client.hear();
      if (message[0] !== "EVENT") return message;
    }
  }

  async authenticate(owners: readonly Person[]): Promise<void> {
    await this.client.asked();
    for (const owner of owners) {
      if (this.#keys.has(owner.key)) continue;
      this.client.say("AUTH", this.client.authEvent(owner, { created_at: this.#now() }));
      const [verb, , accepted, reason] = await this.#hearAnswer();
      if (verb !== "OK" || accepted !== true)
        throw new Error(`not authenticated: ${String(reason)}`);
      this.#keys.add(owner.key);
    }
  }

  async #post(event: NostrEvent): Promise<Said> {
    const isDrop = event.kind === 4 || event.kind === 1059;
    const { status, said } = await post(this.#relay, isDrop ? "/drop" : "/ack", event);
    const isTaken = status === 200 || status === 201;
    if (isTaken !== said.accepted) throw new Error(`HTTP ${status}: ${said.reason}`);
    // A refusal names no event.
    return { id: said.id ?? event.id, accepted: said.accepted, reason: said.reason };
  }

  async #get(owner: Person): Promise<string[]> {
    const url = boxOf(this.#relay, owner);
    const tags = [
      ["u", url],
      ["method", "GET"],
    ];
    const template = { kind: 27235, created_at: this.#now(), tags, content: "" };
    const authorization = inHeader(finalizeEvent(template, owner.secret));
    const { status, text } = await ask(url, { headers: { authorization } });
    if (status !== 200) throw new Error(`HTTP ${status}: ${text}`);
    const lines = text.split("\n");
    // What a relay that is killed leaves of an answer.
    if (lines.pop() !== "") throw new Error("the last line is cut off");
    return lines.map((line) => (JSON.parse(line) as NostrEvent).id);
  }
}
