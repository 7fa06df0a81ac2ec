// The relay: puts together what becomes of messages and requests, whoever carried them, and stands for it towards the transport and the HTTP door.
//
// - A connection gets its messages from its socket and finds here what answers them; a request over HTTP finds the same.
// - What the store commits goes to whoever listens, from the constructor to `close`.
// - `drain` first, then `close`; after that nothing runs by itself.

import type { Drop } from "../nostr/drop.ts";
import type { OwnUrl } from "../nostr/own-url.ts";
import type { RateLimiter } from "../policy/rate-limiter.ts";
import type { Store } from "../store/store.ts";
import type { Socket, SocketHandlers } from "../transport/transport.ts";
import { Authenticator } from "./authenticate.ts";
import { Connection, type ConnectionLimits } from "./connection.ts";
import { Connections, type ConnectionsLimits } from "./connections.ts";
import { Examination, type ExaminationPool } from "./examination.ts";
import { Holdings, type HoldingsLimits } from "./holdings.ts";
import type { ConnectionHost } from "./host.ts";
import { LiveIndex } from "./live.ts";
import type { Log, Observer } from "./observer.ts";
import { Publisher } from "./publish.ts";
import { Rates } from "./rates.ts";
import { Refusals } from "./refusals.ts";
import type { Runtime } from "./runtime.ts";
import { Turns } from "./turns.ts";

export type RelayParts = {
  readonly store: Store;
  readonly pool: ExaminationPool;
  readonly publishing: RateLimiter;
  readonly filling: RateLimiter;
  readonly asking: RateLimiter;
  readonly copying: RateLimiter;
  /** Hands an ephemeral drop to the other event loops. */
  readonly passOn: (drop: Drop) => void;
  readonly observer: Observer;
  readonly log: Log;
  readonly runtime: Runtime;
};

export type RelaySettings = {
  /** Under which AUTH, authorizations and requests to vanish know this relay. */
  readonly urls: readonly OwnUrl[];
  readonly limits: ConnectionLimits & ConnectionsLimits & HoldingsLimits;
};

const CHALLENGE_BYTES = 16;
const REFUSALS_MS = 60_000;

export class Relay {
  /** What connections and requests find here. */
  readonly host: ConnectionHost;
  readonly #limits: ConnectionLimits;
  readonly #timer: NodeJS.Timeout;
  readonly #unfollow: () => void;

  constructor(parts: RelayParts, { urls, limits }: RelaySettings) {
    const { store, pool, passOn, observer, log, runtime } = parts;
    const live = new LiveIndex();
    const rates = new Rates(parts);
    const refusals = new Refusals(parts);
    const examination = new Examination(pool, refusals);
    const common = { examination, refusals, observer, log, runtime, urls };
    const publisher = new Publisher({ ...common, store, live, rates, passOn });
    const authenticator = new Authenticator(common);
    const connections = new Connections({ observer, runtime, rates, refusals }, limits);
    const turns = new Turns(rates);
    const holdings = new Holdings(limits);
    const asked = { publisher, authenticator, connections, rates, turns, holdings, refusals };
    this.host = { ...asked, store, live, observer, log, runtime, limits };
    this.#limits = limits;
    this.#unfollow = live.follow(store, observer);
    this.#timer = setInterval(() => refusals.flush(), REFUSALS_MS);
  }

  connected(socket: Socket): SocketHandlers {
    const challenge = this.host.runtime.randomHex(CHALLENGE_BYTES);
    const connection = new Connection(socket, this.host, this.#limits, challenge);
    this.host.connections.opened(connection);
    return connection;
  }

  /** Lets what was asked be answered, for at most `deadlineMs`, then closes every connection, and each that opens later. */
  drain(deadlineMs: number): Promise<void> {
    return this.host.connections.drain(deadlineMs);
  }

  /** Stops everything that runs by itself. */
  close(): void {
    clearInterval(this.#timer);
    this.host.connections.close();
    this.#unfollow();
    this.host.refusals.flush();
  }
}
