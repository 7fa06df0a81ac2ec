import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** A connection to the HTTP door, over which one drop at a time is posted, with an address of its own. */
export class Posting {
  readonly #url: URL;
  readonly #address: string;
  #socket: Socket | undefined;

  constructor(url: string, number: number) {
    this.#url = new URL(url);
    this.#address = `10.0.${number >> 8}.${number & 0xff}`;
  }

  /** Posts an event as JSON. Answers the status, the body, and the time between. */
  async ask(bytes: Buffer): Promise<{ answer: string; micros: number }> {
    const socket = await this.#connected();
    const head = `POST /drop HTTP/1.1\r\nHost: ${this.#url.host}\r\nX-Forwarded-For: ${this.#address}\r\nContent-Length: ${bytes.length}\r\n\r\n`;
    const request = Buffer.concat([Buffer.from(head), bytes]);
    const began = performance.now();
    socket.write(request);
    let heard = "";
    for (;;) {
      const [more] = (await once(socket, "data")) as [Buffer];
      const micros = (performance.now() - began) * 1_000;
      heard += more.toString();
      const [headers = "", body] = heard.split("\r\n\r\n", 2);
      const length = /content-length: (\d+)/i.exec(headers)?.[1];
      if (body === undefined || body.length < Number(length)) continue;
      return { answer: `${headers.slice(0, headers.indexOf("\r\n"))} ${body}`, micros };
    }
  }

  async close(): Promise<void> {
    this.#socket?.destroy();
  }

  // The door hangs up on who is idle.
  async #connected(): Promise<Socket> {
    const { hostname, port } = this.#url;
    if (this.#socket === undefined || this.#socket.destroyed || this.#socket.readableEnded) {
      this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
      await once(this.#socket, "connect");
    }
    return this.#socket;
  }
}
