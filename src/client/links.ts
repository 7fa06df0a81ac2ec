import { relayFacts, type RelayFacts, UNKNOWN } from "./information.ts";
import type { LineSettings, WebSocketFactory } from "./line.ts";
import { Link } from "./link.ts";
import type { Chance, Receiver } from "./wrap.ts";

export type LinksParts = {
  readonly chance: Chance;
  /** Undefined: the global one. */
  readonly webSocket: WebSocketFactory | undefined;
  /** One's keys, by the key that is addressed. */
  readonly receivers: ReadonlyMap<string, Receiver>;
  /** A relay that one picks up at is there, after whatever time. */
  readonly ready: (url: string) => void;
  readonly notice: ((url: string, text: string) => void) | undefined;
};

export type LinksSettings = {
  /** How many connections to each relay one's own keys are spread over, and as many again the receiving keys. */
  readonly connections: number;
  readonly patienceSeconds: number;
  readonly retrySeconds: number;
};

export const MAX_RETRY_SECONDS = 60;
// What dead drops let one connection authenticate, and one filter name, by default.
const MAX_KEYS = 1_000;
// A message waits for what its relays ask of it, and for the slowest of them no longer than this.
const FACTS_SECONDS = 3;
const IDLE_SECONDS = 30;
const HEARTBEAT_SECONDS = 60;

/**
 * The connections of one client. A drop travels over connections that never authenticate with one's keys, and a pickup over others: over one and the same, a
 * relay would learn who sends. So there are up to two sockets to a relay that is used for both, or more where the keys are spread, and one otherwise.
 */
export class Links {
  /** The keys, spread over connections: those of one group are seen together. */
  readonly groups: readonly (readonly string[])[];
  readonly patienceSeconds: number;
  readonly retrySeconds: number;
  readonly #parts: LinksParts;
  readonly #settings: LineSettings;
  readonly #webSocket: WebSocketFactory;
  readonly #links = new Map<string, Link>();
  readonly #facts = new Map<string, Promise<RelayFacts>>();
  #isClosed = false;

  /** Throws when there is no WebSocket. */
  constructor(parts: LinksParts, settings: LinksSettings) {
    this.#parts = parts;
    this.#webSocket = parts.webSocket ?? globalWebSocket();
    this.patienceSeconds = settings.patienceSeconds;
    this.retrySeconds = settings.retrySeconds;
    this.#settings = {
      patienceSeconds: settings.patienceSeconds,
      retrySeconds: settings.retrySeconds,
      maxRetrySeconds: MAX_RETRY_SECONDS,
      idleSeconds: IDLE_SECONDS,
      heartbeatSeconds: HEARTBEAT_SECONDS,
    };
    // NIP-RK: on one connection with a receiving key, one's own would tell whose it is.
    const receivers = [...parts.receivers.values()];
    const own = receivers.filter(({ address, identity }) => address.key === identity.key);
    const made = receivers.filter(({ address, identity }) => address.key !== identity.key);
    this.groups = [own, made].flatMap((some) =>
      spread(
        some.map(({ address }) => address.key),
        settings.connections,
      ),
    );
  }

  /** For drops, and whatever else does not say who one is. */
  toDrop(url: string): Link {
    return this.#link(`drops ${url}`, url, []);
  }

  /** For what one of one's keys picks up and acknowledges; also one that was among them once, as a receiving key of a past week. */
  toPickUp(url: string, key: string): Link {
    const index = this.groups.findIndex((keys) => keys.includes(key));
    const name = index < 0 ? `key ${key}` : `keys ${index}`;
    return this.#link(`${name} ${url}`, url, this.groups[index] ?? []);
  }

  /** For what everybody may know to be one's own. */
  inPublic(url: string): Link {
    return this.#link(`public ${url}`, url, []);
  }

  /** What a relay says of itself, asked for once. */
  factsOf(url: string): Promise<RelayFacts> {
    const known = this.#facts.get(url);
    if (known !== undefined) return known;
    const asked = relayFacts(url, Math.min(this.patienceSeconds, FACTS_SECONDS)).then((facts) => {
      // Whoever was away is asked again.
      if (facts === UNKNOWN) this.#facts.delete(url);
      return facts;
    });
    this.#facts.set(url, asked);
    return asked;
  }

  close(): void {
    this.#isClosed = true;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #link(name: string, url: string, keys: readonly string[]): Link {
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const { chance, notice, receivers, ready } = this.#parts;
    const signers = keys.flatMap((key) => receivers.get(key)?.address ?? []);
    const link = new Link(
      url,
      {
        webSocket: this.#webSocket,
        chance,
        signers,
        ready: () => {
          if (signers.length > 0) ready(url);
        },
        ...(notice !== undefined && { notice: (text) => notice(url, text) }),
      },
      this.#settings,
    );
    if (this.#isClosed) link.close();
    else this.#links.set(name, link);
    return link;
  }
}

function globalWebSocket(): WebSocketFactory {
  const { WebSocket } = globalThis as { WebSocket?: WebSocketFactory };
  if (WebSocket !== undefined) return WebSocket;
  throw new Error("there is no WebSocket here; give one, such as the class of the package ws");
}

function spread(keys: readonly string[], atLeast: number): string[][] {
  const wanted = Math.max(atLeast, Math.ceil(keys.length / MAX_KEYS));
  const groups: string[][] = Array.from({ length: Math.min(wanted, keys.length) }, () => []);
  for (const [index, key] of keys.entries()) groups[index % groups.length]?.push(key);
  return groups;
}
