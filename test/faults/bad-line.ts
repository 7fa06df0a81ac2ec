// A line between clients and a relay that goes bad: it goes dead without a word, or is cut in the middle of whatever is on it.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";

import { onTestFinished } from "vitest";

export class BadLine {
  readonly port: number;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #isDead = false;

  private constructor(server: Server) {
    this.port = (server.address() as AddressInfo).port;
    onTestFinished(() => {
      this.cut();
      server.close();
    });
  }

  /** Leads to this port. `carries`: how many bytes a connection carries, both ways together, before it is cut. */
  static async to(port: number, carries: () => number = () => Infinity): Promise<BadLine> {
    const server = createServer((client) =>
      line.#join(client, connect(port, "127.0.0.1"), carries()),
    );
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const line = new BadLine(server);
    return line;
  }

  /** Carries nothing any more, and ends nothing: to both sides the other one is there and silent. */
  goesDead(): void {
    this.#isDead = true;
    for (const pair of this.#pairs) for (const side of pair) side.pause();
  }

  /** Ends everything in the middle. */
  cut(): void {
    for (const pair of this.#pairs) for (const side of pair) side.resetAndDestroy();
  }

  #join(client: Socket, server: Socket, carries: number): void {
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    let left = carries;
    for (const [from, to] of [pair, [server, client] as const]) {
      from.setNoDelay(true);
      from.on("error", () => {});
      from.on("data", (bytes: Buffer) => {
        to.write(bytes.subarray(0, left));
        left -= bytes.length;
        if (left > 0) return;
        // What was written before leaves.
        for (const side of pair) side.destroySoon();
      });
      from.on("close", () => {
        this.#pairs.delete(pair);
        // Nobody hears of it on a line that is dead.
        if (!this.#isDead) to.destroy();
      });
    }
    if (this.#isDead) this.goesDead();
  }
}

/** Speaks TLS before the relay at this port, as a proxy of an operator does, and connects to it from these addresses. Answers its own port. */
export async function startTlsProxy(
  port: number,
  { key, cert }: { readonly key: string; readonly cert: string },
  address: () => string,
): Promise<number> {
  const open = new Set<Socket>();
  const server = createTlsServer({ key, cert }, (client) => {
    const behind = connect({ port, host: "127.0.0.1", localAddress: address() });
    for (const [from, to] of [
      [client, behind],
      [behind, client],
    ] as const) {
      open.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
