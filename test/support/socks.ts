import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

import { onTestFinished } from "vitest";

import type { AtEnd } from "./relay.ts";

/** What a client asked a proxy for. */
export type Asked = {
  /** As the client spelled it. */
  readonly host: string;
  readonly port: number;
  /** The name and password that the client gave. */
  readonly user: string;
  /** The proxy's own port on the connection it made for it; undefined: it made none. */
  readonly from: number | undefined;
};

export type SocksProxy = { readonly address: string; readonly asked: readonly Asked[] };

const GENERAL_FAILURE = 1;
const HOST_UNREACHABLE = 4;

/**
 * A SOCKS5 proxy (RFC 1928) on the loopback that wants a name and a password (RFC 1929), as Tor does with IsolateSOCKSAuth. It knows names that no resolver
 * does: `route` answers the port on the loopback that a host stands for; undefined: there is no such host.
 */
export async function socksProxy(
  route: (host: string, port: number) => number | undefined,
  atEnd: AtEnd = onTestFinished,
): Promise<SocksProxy> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    keep(client);
    void serve(client).catch(() => client.destroy());
  });
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const serve = async (client: Socket): Promise<void> => {
    const [, methods = 0] = await bytes(client, 2);
    await bytes(client, methods);
    client.write(Buffer.from([5, 2]));
    const [, nameLength = 0] = await bytes(client, 2);
    const name = await bytes(client, nameLength);
    const [passwordLength = 0] = await bytes(client, 1);
    const password = await bytes(client, passwordLength);
    const user = `${name.toString()}:${password.toString()}`;
    client.write(Buffer.from([1, 0]));
    const [, , , type = 0] = await bytes(client, 4);
    const host = await hostOf(client, type);
    const port = (await bytes(client, 2)).readUInt16BE();
    const to = route(host, port);
    if (to === undefined) {
      asked.push({ host, port, user, from: undefined });
      client.end(reply(HOST_UNREACHABLE));
      return;
    }
    const target = connect(to, "127.0.0.1");
    keep(target);
    await once(target, "connect").catch(() => client.end(reply(GENERAL_FAILURE)));
    asked.push({ host, port, user, from: target.localPort });
    client.write(reply(0));
    client.pipe(target).pipe(client);
    client.on("close", () => target.destroy());
    target.on("close", () => client.destroy());
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

const IPV4 = 1;
const NAME = 3;

async function hostOf(client: Socket, type: number): Promise<string> {
  if (type === IPV4) return [...(await bytes(client, 4))].join(".");
  if (type !== NAME) throw new Error(`no host of type ${type} is understood here`);
  const [length = 0] = await bytes(client, 1);
  return (await bytes(client, length)).toString();
}

function reply(code: number): Buffer {
  return Buffer.from([5, code, 0, IPV4, 0, 0, 0, 0, 0, 0]);
}

async function bytes(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const read = socket.read(count) as Buffer | null;
    if (count === 0) return Buffer.alloc(0);
    if (read !== null) return read;
    if (socket.readableEnded) throw new Error("it ended");
    await once(socket, "readable");
  }
}
