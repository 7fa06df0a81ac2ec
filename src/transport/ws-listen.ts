// Node's HTTP server at one address: how it comes to listen, and whom its connections are for.

import type { Server } from "node:http";
import type { AddressInfo, Socket as NetSocket } from "node:net";

import { readProxyLine } from "./proxy-line.ts";
import type { ListenAt } from "./transport.ts";

// How many connections may wait in a socket that outlives this process: while nobody takes any, as many come as the relay had. The system may allow fewer.
const WAITING_CONNECTIONS = 4_096;

const PEER = Symbol("peer");

type Introduced = NetSocket & { [PEER]?: string };

/** The address of who is at the other end, or whom it named. An IPv4 peer of a socket that listens on IPv6 is still an IPv4 peer. */
export function peerAt(stream: NetSocket): string {
  const address = (stream as Introduced)[PEER] ?? stream.remoteAddress ?? "";
  return address.startsWith("::ffff:") && address.includes(".")
    ? address.slice("::ffff:".length)
    : address;
}

/** Has the server listen, and answers its port. Rejects when it cannot. */
export async function listen(
  server: Server,
  { host, port, descriptor }: ListenAt,
  sharesPort: boolean,
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    const listening = (): void => {
      server.off("error", reject);
      resolve();
    };
    server.once("error", reject);
    if (descriptor === undefined) {
      server.listen({ host, port, reusePort: sharesPort }, listening);
    } else {
      server.listen({ fd: descriptor }, WAITING_CONNECTIONS, listening);
    }
  });
  return (server.address() as AddressInfo).port;
}

// What breaks is closed, which is told.
function ignore(): void {}

/** Has each connection of the server begin with a line of the PROXY protocol. */
export function introduce(
  server: Server,
  introduced: NonNullable<ListenAt["introduced"]>,
  seconds: number,
): void {
  const [take] = server.listeners("connection");
  if (take === undefined) throw new Error("an HTTP server takes no connections");
  server.off("connection", take as (stream: NetSocket) => void);
  server.on("connection", (stream: Introduced) => {
    // It comes anew when an upgrade was ignored.
    if (stream[PEER] !== undefined) return void take.call(server, stream);
    stream.on("error", ignore);
    readProxyLine(stream, seconds, (source) => {
      const peer = introduced(source);
      if (peer === undefined) {
        stream.destroy();
        return;
      }
      stream[PEER] = peer;
      stream.off("error", ignore);
      take.call(server, stream);
      stream.resume();
    });
  });
}
