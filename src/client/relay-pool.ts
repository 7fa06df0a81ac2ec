import type { Fetch } from "./document.ts";
import type { Network } from "./options.ts";
import { isPrivateHost, refusalOfPrivate } from "./private-host.ts";
import { fetchRelayInformation, type RelayInformation, unknown } from "./relay-information.ts";
import { RelayConnection } from "./relay-connection.ts";
import type { Runtime } from "./runtime.ts";
import type { SocketSettings, WebSocketFactory } from "./socket.ts";
import type { Receiver } from "./unwrap.ts";

export type PoolParts = {
  readonly runtime: Runtime;
  readonly network: Network;
  /** Relays that one's own configuration names. */
  readonly trusted: readonly string[];
  /** One's keys, by the key that is addressed. */
  readonly receivers: ReadonlyMap<string, Receiver>;
  /** A relay that one picks up at is there, after whatever time. */
  readonly ready: (url: string) => void;
  readonly notice: ((url: string, text: string) => void) | undefined;
};

export type PoolSettings = {
  /** How many connections to each relay one's own keys are spread over, and as many again the receiving keys of each week. */
  readonly connections: number;
  readonly patienceSeconds: number;
  readonly retrySeconds: number;
};

/** Keys that one connection authenticates: the relay sees them together. */
export type KeyGroup = {
  readonly addresses: readonly string[];
  /** Whether they are receiving keys (NIP-RK), and not one's own. */
  readonly isReceiving: boolean;
};

export const MAX_RETRY_SECONDS = 60;
// What dead drops let one connection authenticate, and one filter name, by default.
const MAX_KEYS = 1_000;
// A message waits for what its relays ask of it, and for the slowest of them no longer than this.
const INFORMATION_SECONDS = 3;
const IDLE_SECONDS = 30;
const HEARTBEAT_SECONDS = 60;

/**
 * The connections of one client. A drop travels over connections that never authenticate with one's keys, and a pickup over others: over one and the same, a
 * relay would learn who sends. So there are up to two sockets to a relay that is used for both, or more where the keys are spread, and one otherwise.
 *
 * Nobody else decides what the client connects to within the network it is in: a relay that is not `trusted` is contacted for drops and look-ups alone, by the
 * `strangers`' network, and not at all when its host is a private one. All that others name passes through here: lists, hints, domains' relays.
 */
export class RelayPool {
  /** The keys, spread over connections. */
  readonly groups: readonly KeyGroup[];
  readonly patienceSeconds: number;
  readonly retrySeconds: number;
  readonly runtime: Runtime;
  readonly #parts: PoolParts;
  readonly #settings: SocketSettings;
  readonly #network: Network & { readonly webSocket: WebSocketFactory };
  readonly #trusted: Set<string>;
  readonly #connections = new Map<string, RelayConnection>();
  readonly #information = new Map<string, Promise<RelayInformation>>();
  #isClosed = false;

  /** Throws when there is no WebSocket. */
  constructor(parts: PoolParts, settings: PoolSettings) {
    this.#parts = parts;
    this.#network = { ...parts.network, webSocket: parts.network.webSocket ?? globalWebSocket() };
    this.#trusted = new Set(parts.trusted);
    this.patienceSeconds = settings.patienceSeconds;
    this.retrySeconds = settings.retrySeconds;
    this.runtime = parts.runtime;
    this.#settings = {
      patienceSeconds: settings.patienceSeconds,
      retrySeconds: settings.retrySeconds,
      maxRetrySeconds: MAX_RETRY_SECONDS,
      idleSeconds: IDLE_SECONDS,
      heartbeatSeconds: HEARTBEAT_SECONDS,
    };
    // NIP-RK: on one connection with a receiving key one's own would tell whose it is, and those of two weeks would go on as each other.
    const receivers = [...parts.receivers.values()];
    const own = receivers.filter(({ address, identity }) => address.key === identity.key);
    const made = receivers.filter(({ address, identity }) => address.key !== identity.key);
    this.groups = [
      ...groupsOf(own, settings.connections, false),
      ...[...new Set(made.map(({ epoch }) => epoch))].flatMap((week) =>
        groupsOf(
          made.filter(({ epoch }) => epoch === week),
          settings.connections,
          true,
        ),
      ),
    ];
  }

  /** From now on these are relays that one has named oneself. */
  trust(urls: Iterable<string>): void {
    for (const url of urls) this.#trusted.add(url);
  }

  isTrusted(url: string): boolean {
    return this.#trusted.has(url);
  }

  /** Why a relay is not contacted, in words; undefined when it may be. */
  refusalOf(url: string): string | undefined {
    const { hostname } = new URL(url);
    const isRefused = !this.isTrusted(url) && isPrivateHost(hostname);
    return isRefused ? refusalOfPrivate(hostname) : undefined;
  }

  /** For drops, and whatever else does not say who one is. Throws for a relay that is refused. */
  forDrops(url: string): RelayConnection {
    const refusal = this.refusalOf(url);
    if (refusal !== undefined) throw new Error(refusal);
    if (this.isTrusted(url)) return this.#connection(`drops ${url}`, url, []);
    const { webSocket, strangers } = this.#network;
    return this.#connection(`strangers ${url}`, url, [], strangers?.webSocket ?? webSocket);
  }

  /** For what one of one's keys picks up and acknowledges; also one that was among them once, as a receiving key of a past week. */
  forPickup(url: string, key: string): RelayConnection {
    const index = this.groups.findIndex(({ addresses }) => addresses.includes(key));
    const name = index < 0 ? `key ${key}` : `keys ${index}`;
    return this.#connection(`${name} ${url}`, url, this.groups[index]?.addresses ?? []);
  }

  /** For what everybody may know to be one's own. */
  forPublic(url: string): RelayConnection {
    return this.#connection(`public ${url}`, url, []);
  }

  /** Fetches what strangers name; undefined: the global one does. */
  get strangersFetch(): Fetch | undefined {
    const { fetch, strangers } = this.#network;
    return strangers?.fetch ?? fetch;
  }

  /** What a relay says of itself, asked for once. */
  async informationOf(url: string): Promise<RelayInformation> {
    const refusal = this.refusalOf(url);
    if (refusal !== undefined) return unknown(refusal);
    const known = this.#information.get(url);
    if (known !== undefined) return known;
    const asked = fetchRelayInformation(url, {
      patienceSeconds: Math.min(this.patienceSeconds, INFORMATION_SECONDS),
      fetch: this.isTrusted(url) ? this.#network.fetch : this.strangersFetch,
    }).then((information) => {
      // Whoever was away is asked again.
      if (information.deadDrop === "unknown") this.#information.delete(url);
      return information;
    });
    this.#information.set(url, asked);
    return asked;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
  }

  #connection(
    name: string,
    url: string,
    keys: readonly string[],
    webSocket = this.#network.webSocket,
  ): RelayConnection {
    const known = this.#connections.get(name);
    if (known !== undefined) return known;
    const { runtime, notice, receivers, ready } = this.#parts;
    const signers = keys.flatMap((key) => receivers.get(key)?.address ?? []);
    const connection = new RelayConnection(
      url,
      {
        webSocket,
        runtime,
        signers,
        ready: () => {
          if (signers.length > 0) ready(url);
        },
        ...(notice !== undefined && { notice: (text) => notice(url, text) }),
      },
      this.#settings,
    );
    if (this.#isClosed) connection.close();
    else this.#connections.set(name, connection);
    return connection;
  }
}

function globalWebSocket(): WebSocketFactory {
  const { WebSocket } = globalThis as { WebSocket?: WebSocketFactory };
  if (WebSocket !== undefined) return WebSocket;
  throw new Error("there is no WebSocket here; give one, such as the class of the package ws");
}

function groupsOf(
  receivers: readonly Receiver[],
  atLeast: number,
  isReceiving: boolean,
): KeyGroup[] {
  const wanted = Math.max(atLeast, Math.ceil(receivers.length / MAX_KEYS));
  const count = Math.min(wanted, receivers.length);
  const groups = Array.from({ length: count }, () => ({ addresses: [] as string[], isReceiving }));
  for (const [index, { address }] of receivers.entries()) {
    groups[index % count]?.addresses.push(address.key);
  }
  return groups;
}
