import type { EventTemplate, NostrEvent } from "nostr-tools";
import { finalizeEvent } from "nostr-tools/pure";
import { onTestFinished } from "vitest";
import { WebSocket } from "ws";

import type { Person } from "./people.ts";

export type Message = readonly [string, ...unknown[]];

/** A client that says exactly what the test says, and keeps what it hears in order. */
export class Client {
  readonly socket: WebSocket;
  readonly #heard: Message[] = [];
  readonly #waiting: ((message: Message) => void)[] = [];
  readonly #url: string;
  readonly closed: Promise<{ code: number; reason: string }>;
  /** Every challenge that was sent here. They are kept apart from what `hear` answers. */
  readonly challenges: string[] = [];
  /** Resolves when the first one came. Rejects when the connection ends before. */
  readonly challengeSent: Promise<void>;

  private constructor(url: string, socket: WebSocket) {
    this.#url = url;
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    const challenged = Promise.withResolvers<void>();
    this.challengeSent = challenged.promise;
    this.challengeSent.catch(() => {});
    void this.closed.then(() => challenged.reject(new Error("closed before the challenge came")));
    socket.on("message", (text: Buffer) => {
      const message = JSON.parse(text.toString()) as Message;
      if (message[0] === "AUTH") {
        this.challenges.push(message[1] as string);
        challenged.resolve();
        return;
      }
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#heard.push(message);
      else waiting(message);
    });
    socket.on("error", () => {});
  }

  /** Connects, and says nothing. The connection is closed after the test, or whenever `atEnd` does it. */
  static async connect(
    url: string,
    headers: Record<string, string> = {},
    atEnd: (clean: () => void) => void = onTestFinished,
  ): Promise<Client> {
    const socket = new WebSocket(url, { headers, perMessageDeflate: false });
    const client = new Client(url, socket);
    atEnd(() => socket.terminate());
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
      socket.once("unexpected-response", (_, response) =>
        reject(new Error(`HTTP ${response.statusCode}`)),
      );
    });
    return client;
  }

  /** Connects and asks for something, so that the relay sends its challenge; takes the question back. */
  static async challenged(url: string): Promise<Client> {
    return (await Client.connect(url)).asked();
  }

  /** Has the relay send its challenge, if it has not. */
  async asked(): Promise<this> {
    if (this.challenges.length > 0) return this;
    this.say("REQ", "challenge", {});
    this.say("CLOSE", "challenge");
    await this.challengeSent;
    return this;
  }

  get challenge(): string {
    return this.challenges[0] ?? "";
  }

  say(...message: readonly unknown[]): void {
    this.socket.send(JSON.stringify(message));
  }

  sayRaw(text: string | Uint8Array): void {
    this.socket.send(text);
  }

  /** The next message, waited for if need be. Rejects when the connection ends first. */
  hear(): Promise<Message> {
    const heard = this.#heard.shift();
    if (heard !== undefined) return Promise.resolve(heard);
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      void this.closed.then(({ code }) => reject(new Error(`connection closed with ${code}`)));
    });
  }

  /** All messages up to and with the first one with this verb. */
  async hearUntil(verb: string): Promise<Message[]> {
    const heard: Message[] = [];
    do heard.push(await this.hear());
    while (heard.at(-1)?.[0] !== verb);
    return heard;
  }

  /** Publishes, and hears the OK. Nothing else may come in between. */
  async publish(event: NostrEvent): Promise<Message> {
    this.say("EVENT", event);
    return this.hear();
  }

  authEvent(person: Person, change: Partial<EventTemplate> = {}): NostrEvent {
    const template = {
      kind: 22242,
      created_at: now(),
      tags: [
        ["relay", this.#url],
        ["challenge", this.challenge],
      ],
      content: "",
      ...change,
    };
    return finalizeEvent(template, person.secret);
  }

  /** Authenticates, one after the other, and expects to be believed. */
  async authenticate(...people: Person[]): Promise<this> {
    await this.asked();
    for (const person of people) {
      const event = this.authEvent(person);
      this.say("AUTH", event);
      const answer = await this.hear();
      if (JSON.stringify(answer) !== JSON.stringify(["OK", event.id, true, ""])) {
        throw new Error(`not authenticated: ${JSON.stringify(answer)}`);
      }
    }
    return this;
  }

  /** The stored events of a REQ, and what EOSE or CLOSED said. The subscription stays open. */
  async request(id: string, ...filters: object[]): Promise<{ events: NostrEvent[]; end: Message }> {
    this.say("REQ", id, ...filters);
    const events: NostrEvent[] = [];
    for (;;) {
      const message = await this.hear();
      if (message[0] !== "EVENT" || message[1] !== id) return { events, end: message };
      events.push(message[2] as NostrEvent);
    }
  }

  /** The ids of what a REQ returns; fails unless it ends in EOSE. */
  async pickup(...filters: object[]): Promise<string[]> {
    const { events, end } = await this.request("pickup", ...(filters.length > 0 ? filters : [{}]));
    if (end[0] !== "EOSE") throw new Error(`no EOSE: ${JSON.stringify(end)}`);
    this.say("CLOSE", "pickup");
    return events.map(({ id }) => id);
  }

  async count(...filters: object[]): Promise<Message> {
    this.say("COUNT", "count", ...filters);
    return this.hear();
  }

  end(): void {
    this.socket.close();
  }
}

export function now(): number {
  return Math.floor(Date.now() / 1_000);
}
