import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** What a reverse proxy does with the path below which it serves a relay. */
export type Passing = "strips" | "keeps";

export type Proxy = {
  /** Where it serves the relay, as a WebSocket's URL. */
  readonly url: string;
  /** Sends what comes to the relay behind this URL, from now on. */
  passTo(url: string): void;
};

/** A reverse proxy on the loopback that serves one relay below a path, and nothing beside it. */
export async function startProxy(
  base: string,
  passing: Passing,
  atEnd: (clean: () => void) => void,
): Promise<Proxy> {
  let port = "";
  const behind = ({ method, url = "", headers }: IncomingMessage): ReturnType<typeof request> => {
    const path = passing === "keeps" ? url : url.slice(base.length).replace(/^(?!\/)/, "/");
    return request({ host: "127.0.0.1", port, method, path, headers });
  };
  const isServed = ({ url = "" }: IncomingMessage): boolean =>
    url.startsWith(base) && /^(?:[/?]|$)/.test(url.slice(base.length));
  const server = createServer((asked, answer) => {
    if (!isServed(asked)) return void answer.writeHead(421).end();
    const passed = behind(asked);
    passed.on("response", (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  const sockets = new Set<Socket>();
  server.on("upgrade", (asked, client: Socket, begun: Buffer) => {
    if (!isServed(asked)) {
      client.destroy();
      return;
    }
    const passed = behind(asked);
    passed.on("upgrade", ({ rawHeaders }, relay: Socket, said: Buffer) => {
      const lines = ["HTTP/1.1 101 Switching Protocols"];
      for (let index = 0; index < rawHeaders.length; index += 2) {
        lines.push(`${rawHeaders[index]}: ${rawHeaders[index + 1]}`);
      }
      client.write(`${lines.join("\r\n")}\r\n\r\n`);
      for (const socket of [client, relay]) {
        sockets.add(socket);
        socket.on("error", () => {});
      }
      client.unshift(begun);
      relay.unshift(said);
      client.pipe(relay).pipe(client);
    });
    passed.on("error", () => client.destroy());
    passed.end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}${base}`,
    passTo(url) {
      ({ port } = new URL(url));
    },
  };
}
