// A client that many of are open at once: it asks, and is told what came of it, while drops come in between.

import type { NostrEvent } from "nostr-tools";
import { WebSocket } from "ws";

import type { Message } from "../support/client.ts";
import type { Person } from "../support/people.ts";
import { finalizeEvent } from "../support/sign.ts";

export type PhoneSettings = {
  readonly url: string;
  /** Unix seconds, by the relay's clock. */
  readonly now: () => number;
  readonly onDrop?: (drop: NostrEvent) => void;
  /** The address of this machine from which it connects. */
  readonly localAddress?: string;
};

export class Phone {
  readonly closed: Promise<void>;
  readonly #socket: WebSocket;
  readonly #settings: PhoneSettings;
  // Of several that asked the same the first is answered first.
  readonly #asked = new Map<string, ((answer: Message) => void)[]>();
  readonly #challenge = Promise.withResolvers<string>();

  private constructor(settings: PhoneSettings) {
    const { url, localAddress } = settings;
    this.#settings = settings;
    this.#socket = new WebSocket(url, {
      perMessageDeflate: false,
      ...(localAddress !== undefined && { localAddress }),
    });
    this.#socket.on("error", () => {});
    this.#socket.on("message", (text: Buffer) => this.#hear(JSON.parse(String(text)) as Message));
    this.closed = new Promise((resolve) => {
      this.#socket.once("close", () => {
        for (const answer of [...this.#asked.values()].flat()) answer(["closed"]);
        this.#asked.clear();
        resolve();
      });
    });
  }

  static async connect(settings: PhoneSettings): Promise<Phone> {
    const phone = new Phone(settings);
    await new Promise((resolve, reject) => {
      phone.#socket.once("open", resolve);
      phone.#socket.once("error", reject);
    });
    return phone;
  }

  /** Says it, and answers what was said of it; `["closed"]` where the connection ended first. */
  ask(name: string, ...message: readonly unknown[]): Promise<Message> {
    return new Promise((resolve) => {
      if (this.#socket.readyState !== WebSocket.OPEN) {
        resolve(["closed"]);
        return;
      }
      this.#asked.set(name, [...(this.#asked.get(name) ?? []), resolve]);
      this.#socket.send(JSON.stringify(message));
    });
  }

  say(...message: readonly unknown[]): void {
    this.#socket.send(JSON.stringify(message));
  }

  publish(event: NostrEvent): Promise<Message> {
    return this.ask(event.id, "EVENT", event);
  }

  request(id: string, ...filters: readonly object[]): Promise<Message> {
    return this.ask(id, "REQ", id, ...filters);
  }

  /** Proves its owner's key, and opens the box, in one flight. Answers what ended that. */
  async listen(owner: Person, id = "box"): Promise<Message> {
    const opened = this.request(id, {});
    const ended = this.closed.then(() => undefined);
    const challenge = await Promise.race([this.#challenge.promise, ended]);
    if (challenge === undefined) return ["closed"];
    const tags = [
      ["relay", this.#settings.url],
      ["challenge", challenge],
    ];
    const template = { kind: 22242, created_at: this.#settings.now(), tags, content: "" };
    const event = finalizeEvent(template, owner.secret);
    const [, , isBelieved, reason] = await this.ask(event.id, "AUTH", event);
    if (isBelieved !== true) return ["CLOSED", id, reason];
    const answer = await opened;
    // It was not held for long enough.
    return answer[0] === "CLOSED" ? this.request(id, {}) : answer;
  }

  async leave(): Promise<void> {
    this.#socket.close();
    await this.closed;
  }

  /** Without a word. */
  async vanish(): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }

  pause(): void {
    this.#socket.pause();
  }

  #hear(message: Message): void {
    const [verb, name] = message as [string, string];
    if (verb === "AUTH") return this.#challenge.resolve(name);
    if (verb === "EVENT") return this.#settings.onDrop?.(message[2] as NostrEvent);
    const asked = this.#asked.get(name) ?? [];
    asked.shift()?.(message);
    if (asked.length === 0) this.#asked.delete(name);
  }
}
