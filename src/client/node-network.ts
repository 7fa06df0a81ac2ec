// How a client in Node connects: over `ws` and node:http, directly or through a SOCKS5 proxy.
//
// - Directly, what strangers name is connected to at public addresses alone. That is seen to when the name has been resolved and before the connection is made,
//   so that a name which resolves to something else the second time (DNS rebinding) gains nothing.
// - Through a proxy nothing leaves beside it: names are resolved by it, and every connection goes by it with a name and a password of its own, by which Tor keeps
//   connections on circuits apart (IsolateSOCKSAuth): else a relay could tell by the circuit that who drops is who picks up.

import { randomUUID } from "node:crypto";
import { type LookupAddress, lookup as systemLookup } from "node:dns";
import { once } from "node:events";
import { type ClientRequestArgs, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect as connectTcp, isIP, type LookupFunction } from "node:net";
import { type Duplex, Readable } from "node:stream";
import { type ConnectionOptions, connect as connectTls } from "node:tls";

import { SocksClient } from "socks";
import { WebSocket } from "ws";

import type { Fetch } from "./document.ts";
import type { Network } from "./options.ts";
import { isPrivateHost, refusal } from "./private-host.ts";
import type { WebSocketFactory } from "./socket.ts";

type Proxy = { readonly host: string; readonly port: number };
type Target = {
  readonly host: string;
  readonly port: number;
  readonly isSecure: boolean;
  /** Aborted when the connection is wanted no more. */
  readonly signal: AbortSignal;
};
/** As node:http wants it: answers the socket, or calls back with it later. */
type Connect = (
  target: Target,
  created: (error: Error | null, socket?: Duplex) => void,
) => Duplex | undefined;

// Some times what a drop can be, as far as the socket takes it apart.
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/**
 * Connects directly. Relays and domains that strangers name are refused where they resolve to no public address, and `.onion` names always, as no resolver is to be asked
 * for them (RFC 7686). `lookup` resolves names; default: the system's.
 */
export function nodeNetwork({
  lookup = systemLookup,
}: { readonly lookup?: LookupFunction } = {}): Network {
  const own = directly(refusingOnions(lookup));
  const strangers = directly(refusingOnions(refusingPrivate(lookup)));
  return {
    ...networkOver(own),
    // What is an address already is not looked up.
    strangers: networkOver((target, created) => {
      if (isIP(target.host) === 0 || !isPrivateHost(target.host)) return strangers(target, created);
      created(new Error(refusal(target.host, "is within a private network")));
      return undefined;
    }),
  };
}

/**
 * Connects through a SOCKS5 proxy, such as Tor's at `127.0.0.1:9050`, and in no other way; `.onion` relays too. Throws a TypeError that shows it when that is no host and port.
 */
export function throughSocks(proxy: string): Network {
  const network = networkOver(bySocks(proxy));
  // Also where other settings are spread before it.
  return { ...network, strangers: network };
}

function networkOver(connect: Connect): Required<Pick<Network, "webSocket" | "fetch">> {
  return { webSocket: webSocketOver(connect), fetch: fetchOver(connect) };
}

function webSocketOver(connect: Connect): WebSocketFactory {
  return class extends WebSocket {
    readonly #closing: AbortController;

    constructor(url: string) {
      const closing = new AbortController();
      const isSecure = new URL(url).protocol === "wss:";
      const createConnection = connecting(connect, isSecure, closing.signal);
      // Typed as net.connect, and called as node:http calls it.
      const options = { createConnection, maxPayload: MAX_MESSAGE_BYTES } as object;
      super(url, options);
      this.#closing = closing;
    }

    override close(): void {
      if (this.readyState === WebSocket.CONNECTING) this.#closing.abort();
      super.close();
    }
  };
}

function fetchOver(connect: Connect): Fetch {
  return (url, { headers, signal, method = "GET", body }) =>
    new Promise((resolve, reject) => {
      const isSecure = new URL(url).protocol === "https:";
      const request = isSecure ? httpsRequest : httpRequest;
      const createConnection = connecting(connect, isSecure, signal);
      // Otherwise an agent's, and there is none.
      const defaultPort = isSecure ? 443 : 80;
      request(url, { method, headers, signal, createConnection, defaultPort })
        .on("error", reject)
        .on("response", (response) => {
          const { statusCode: status = 0 } = response;
          const body = Readable.toWeb(response) as unknown as Response["body"];
          resolve({ ok: status >= 200 && status < 300, status, type: "default", body });
        })
        .end(body);
    });
}

function connecting(
  connect: Connect,
  isSecure: boolean,
  signal: AbortSignal,
): NonNullable<ClientRequestArgs["createConnection"]> {
  return ({ host, port }, created) =>
    connect(
      { host: host ?? "", port: Number(port), isSecure, signal },
      created as Parameters<Connect>[1],
    );
}

function directly(lookup: LookupFunction): Connect {
  return ({ host, port, isSecure }) =>
    isSecure
      ? connectTls({ host, port, lookup, ...secureOptions(host) })
      : connectTcp({ host, port, lookup });
}

function bySocks(text: string): Connect {
  const url = `socks://${text.trim().replace(/^socks5h?:\/\//, "")}`;
  const { hostname, port, pathname, search, hash, username, password } = URL.canParse(url)
    ? new URL(url)
    : new URL("socks:");
  const isMore = `${pathname}${search}${hash}${username}${password}` !== "";
  if (hostname === "" || port === "" || isMore) {
    throw new TypeError(
      `"${text}" is no SOCKS proxy; give its host and port, such as 127.0.0.1:9050`,
    );
  }
  const proxy = {
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: Number(port),
    type: 5,
  } as const;
  return (target, created) => {
    socketBehind(proxy, target).then(
      (socket) => created(null, socket),
      ({ message }: Error) =>
        created(new Error(`through the SOCKS proxy at ${proxy.host}:${proxy.port}: ${message}`)),
    );
    return undefined;
  };
}

async function socketBehind(proxy: Proxy, target: Target): Promise<Duplex> {
  const { host, port, isSecure, signal } = target;
  const toProxy = connectTcp(proxy);
  // A proxy that does not answer would keep the process alive when nothing is wanted any more.
  signal.addEventListener("abort", () => toProxy.destroy(), { once: true });
  await once(toProxy, "connect", { signal });
  const { socket } = await SocksClient.createConnection({
    proxy: { ...proxy, type: 5, userId: randomUUID(), password: randomUUID() },
    command: "connect",
    destination: { host, port },
    existing_socket: toProxy,
  });
  return isSecure ? connectTls({ socket, ...secureOptions(host) }) : socket;
}

function secureOptions(host: string): ConnectionOptions {
  return { servername: isIP(host) === 0 ? host : "", ALPNProtocols: ["http/1.1"] };
}

function refusingOnions(lookup: LookupFunction): LookupFunction {
  return (name, options, found) => {
    if (!/\.onion\.?$/i.test(name)) return lookup(name, options, found);
    const why = refusal(name, "is reached through Tor alone: give its SOCKS proxy");
    // Not before there is anybody to hear of it.
    process.nextTick(() => found(new Error(why), []));
  };
}

function refusingPrivate(lookup: LookupFunction): LookupFunction {
  return (name, options, found) =>
    lookup(name, { ...options, all: true }, (error, addresses) => {
      const all = addresses as LookupAddress[];
      if (error !== null) return found(error, []);
      const open = all.filter(({ address }) => !isPrivateHost(address));
      const [first] = open;
      if (first === undefined) {
        const which = all.map(({ address }) => address).join(", ");
        found(new Error(refusal(name, `resolves to ${which}, within a private network`)), []);
      } else if (options.all === true) found(null, open);
      else found(null, first.address, first.family);
    });
}
