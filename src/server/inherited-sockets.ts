// Listening sockets that the relay is started with, by systemd or by whoever speaks as it does (sd_listen_fds(3)): they outlive a restart, so that who connects
// meanwhile waits for the next relay and is not refused.
//
// - A socket is for the address of `listen` that it listens at. Where it listens everywhere that is 0.0.0.0 or [::], whichever `listen` has.
// - One that is for none of them is a mistake, and so is one that the transport cannot listen on: who connected there would wait for ever.
// - Addresses of `listen` without one are listened at as ever.

import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { createServer, SocketAddress } from "node:net";

import { ConfigError } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { type Endpoint, join } from "../config/values.ts";
import { duplicated } from "./duplicated.ts";
import type { Listening } from "./listen-at.ts";

const FIRST_DESCRIPTOR = 3;
const EVERYWHERE = new Set(["0.0.0.0", "::"]);

/**
 * The descriptors that are meant for this process, and their variables out of the environment, so that what the relay runs does not take them for its own.
 */
export function takeDescriptors(environment: NodeJS.ProcessEnv, pid: number): number[] {
  const { LISTEN_PID: meant, LISTEN_FDS: count } = environment;
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"]) {
    delete environment[name];
  }
  if (meant !== String(pid) || !/^\d{1,4}$/.test(count ?? "")) return [];
  return Array.from({ length: Number(count) }, (_, index) => FIRST_DESCRIPTOR + index);
}

/** The addresses of `listen`, each with the descriptor of the socket that listens there if one of these does. Throws ConfigError. */
export async function withSockets(
  { listen, transport }: Pick<Config, "listen" | "transport">,
  descriptors: readonly number[],
): Promise<Listening[]> {
  const listening: Listening[] = [...listen];
  if (descriptors.length > 0 && transport !== "ws") {
    throw new ConfigError(
      "uWebSockets.js cannot listen on the sockets that the relay was started with: set transport to ws, or start it without (systemctl disable --now deaddrop.socket)",
    );
  }
  for (const descriptor of descriptors) {
    const socket = endpointOf(descriptor);
    if (socket === undefined) {
      throw new ConfigError(
        `descriptor ${descriptor}, which the relay was started with, is no socket that listens for TCP`,
      );
    }
    const index = await indexOf(socket, listening);
    const address = listening[index];
    if (address === undefined) {
      throw new ConfigError(
        `the relay was started with a socket that listens at ${join(socket)}, and listen (${listen.map((each) => join(each)).join(", ")}) does not name it`,
      );
    }
    listening[index] = { ...address, descriptor };
  }
  return listening;
}

// Nothing is taken from it: what is waiting is looked for in a later turn, and by then this server is gone. Its end of the socket is a copy.
function endpointOf(descriptor: number): Endpoint | undefined {
  const server = createServer();
  server.on("error", () => {});
  try {
    server.listen({ fd: duplicated(descriptor) });
    const address = server.address();
    if (address === null || typeof address === "string") return undefined;
    return { host: address.address, port: address.port };
  } catch {
    return undefined;
  } finally {
    server.close();
  }
}

// The same address rather than one that means everywhere as well.
async function indexOf(socket: Endpoint, addresses: readonly Listening[]): Promise<number> {
  const hosts: string[][] = [];
  for (const { host, port, descriptor } of addresses) {
    const isFree = port === socket.port && descriptor === undefined;
    hosts.push(isFree ? await addressesOf(host) : []);
  }
  const same = hosts.findIndex((all) => all.includes(socket.host));
  if (same >= 0 || !EVERYWHERE.has(socket.host)) return same;
  return hosts.findIndex((all) => all.some((host) => EVERYWHERE.has(host)));
}

// In their shortest form, as a socket has its own.
async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true }).catch((): LookupAddress[] => []);
  return found.map(({ address, family }) =>
    family === 6 ? new SocketAddress({ address, family: "ipv6" }).address : address,
  );
}
