import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

import { WebSocket, WebSocketServer } from "ws";

import type { Message } from "../support/client.ts";
import type { AtEnd } from "../support/relay.ts";

/** What was said on the connections through a tap, and by whom. */
type Said = { readonly by: "client" | "relay"; readonly message: Message };

/**
 * Stands between the client of one person and the relay, under a URL that stays when the relay goes, and keeps what both say. While the relay is away a
 * connection waits at the tap, unless it is to be refused: a restart is as fast for a fast client as for a slow one.
 */
export class Tap {
  readonly url: string;
  readonly said: Said[] = [];
  readonly #waiting = new Set<() => void>();
  #relay: Promise<string>;
  #refuses = false;
  #arrived: (url: string) => void = () => {};

  private constructor(url: string) {
    this.url = url;
    this.#relay = this.#arrival();
  }

  /** Listens on a port of its own; connections wait until a relay is there. */
  static async open(atEnd: AtEnd): Promise<Tap> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const tap = new Tap(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const accepting = new WebSocketServer({ noServer: true });
    server.on("request", (asked, answer) => void tap.#forward(asked, answer));
    server.on("upgrade", (asked, stream: Duplex, head) => {
      stream.on("error", () => {});
      void tap.#connect(stream).then((relay) => {
        if (relay === undefined) return;
        accepting.handleUpgrade(asked, stream, head, (client) => tap.#join(client, relay));
      });
    });
    atEnd(() => {
      for (const client of accepting.clients) client.terminate();
      server.close();
    });
    return tap;
  }

  /** From now on connections wait for the relay. */
  hold(): void {
    this.#relay = this.#arrival();
  }

  /** The relay is there, at this URL. */
  lead(url: string): void {
    this.#arrived(url);
  }

  /** The next connection is refused. */
  refuseOnce(): void {
    this.#refuses = true;
  }

  /** How often this was said. */
  count(by: Said["by"], verb: string): number {
    return this.said.filter((said) => said.by === by && said.message[0] === verb).length;
  }

  /** Resolves when this was said. */
  async saw(by: Said["by"], verb: string): Promise<void> {
    while (this.count(by, verb) === 0) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #arrival(): Promise<string> {
    return new Promise((resolve) => (this.#arrived = resolve));
  }

  async #connect(stream: Duplex): Promise<WebSocket | undefined> {
    if (this.#refuses) {
      this.#refuses = false;
      stream.destroy();
      return undefined;
    }
    const relay = new WebSocket(await this.#relay, { perMessageDeflate: false });
    return new Promise((resolve) => {
      relay.once("open", () => resolve(relay));
      relay.once("error", () => {
        stream.destroy();
        resolve(undefined);
      });
    });
  }

  #join(client: WebSocket, relay: WebSocket): void {
    for (const [by, from, to] of [
      ["client", client, relay],
      ["relay", relay, client],
    ] as const) {
      from.on("error", () => {});
      from.on("message", (text: Buffer) => {
        to.send(text.toString());
        this.said.push({ by, message: parsed(text.toString()) });
        for (const wake of this.#waiting) wake();
        this.#waiting.clear();
      });
      from.on("close", (code, reason) => {
        // 1005: closed without a code; 1006: not closed, cut off.
        if (code === 1006) to.terminate();
        else if (code === 1005) to.close();
        else to.close(code, reason);
      });
    }
  }

  // NIP-11.
  async #forward(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { headers, url = "/" } = asked;
    const target = new URL(url, (await this.#relay).replace("ws", "http"));
    request(target, { headers }, (got) => {
      answer.writeHead(got.statusCode ?? 502, got.headers);
      got.pipe(answer);
    })
      .on("error", () => answer.destroy())
      .end();
  }
}

/** What is no JSON is kept as it is. */
function parsed(text: string): Message {
  try {
    return JSON.parse(text) as Message;
  } catch {
    return ["", text];
  }
}
