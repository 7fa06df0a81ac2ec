// One event loop of the relay: its sockets, the relay behind them, and the threads that check signatures for it. Where there is one, it runs in the main
// thread, beside the store; where there are several, each runs in a thread of its own (event-loop-thread.ts).

import { BroadcastChannel } from "node:worker_threads";

import type { Config } from "../config/schema.ts";
import type { ListenAddress } from "../config/values.ts";
import type { Readiness } from "../http/about.ts";
import { relayInformation } from "../http/information.ts";
import { refusal } from "../http/respond.ts";
import { routes } from "../http/routes.ts";
import type { Drop, RetentionRule } from "../nostr/drop.ts";
import type { OwnUrl } from "../nostr/own-url.ts";
import type { Reason } from "../nostr/reason.ts";
import { RateLimiter } from "../policy/rate-limiter.ts";
import type { PackedExamined } from "../relay/examined.ts";
import type { Log, Observer } from "../relay/observer.ts";
import { Relay } from "../relay/relay.ts";
import { type Answered, type Asked } from "../steering/steering.ts";
import { management } from "../steering/management.ts";
import { isFull, type SharedState } from "../store/shared-state.ts";
import { type Store, TOLD } from "../store/store.ts";
import type { Socket, SocketHandlers, Transport } from "../transport/transport.ts";
import { wsTransport } from "../transport/ws.ts";
import { Pool } from "../verify/pool.ts";
import type { VerifierName } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import { followed } from "./followed.ts";
import { InForce } from "./in-force.ts";
import { listenAt, type Listening } from "./listen-at.ts";
import { ownUrls } from "./own-urls.ts";
import { nowOrSwept, systemRuntime } from "./runtime.ts";
import { threadModule } from "./threads.ts";
import type { VerificationData } from "./verification-thread.ts";

const TOO_MANY: Reason = "rate-limited: too many connections";
const BLOCKED: Reason = "blocked: nobody is let in from this address";

// SIGTERM to exit takes at most their sum, and less than 5 s in all.
const ANSWERS_MS = 2_500;
const SOCKETS_MS = 1_000;

export type EventLoopParts = {
  readonly store: Store;
  readonly observer: Observer;
  readonly log: Log;
  /** The store cannot be read any more. */
  readonly lost: (cause: Error) => void;
  /** Hands a request of NIP-86 to the thread that has the store open. */
  readonly steer: (asked: Asked) => Promise<Answered>;
};

export type EventLoopSettings = {
  readonly config: Config;
  /** Where to listen. */
  readonly addresses: readonly Listening[];
  /** The name of the channel to the other event loops that listen on the same ports; undefined when there are none. */
  readonly channel: string | undefined;
  readonly rule: RetentionRule;
  readonly shared: SharedState;
  readonly verifier: VerifierName;
  /** Threads that check signatures. */
  readonly verifiers: number;
};

/** How much of what is limited is in use, of one event loop or of several. */
export type EventLoopLoad = {
  readonly connections: number;
  /** Events that wait for their examination. */
  readonly verifying: number;
  readonly verifiers: number;
  /** What strangers have it keep in memory. */
  readonly memoryBytes: number;
  /** Connections and requests to which no more is sent until they have read what was. */
  readonly slowReaders: number;
};

export type EventLoop = {
  /** Where it listens, with the ports that were really taken. */
  readonly addresses: readonly ListenAddress[];
  /** What it has at this moment. */
  readonly load: EventLoopLoad;
  /** Has another configuration in force, which differs in what can change at run time. Resolves when nothing is done by the old one any more. */
  apply(config: Config): Promise<void>;
  /** Lets what was asked be answered, and closes every connection. */
  stop(): Promise<void>;
};

/** Has what was opened closed again, should the start fail. */
export type OnFailure = (close: () => Promise<void>) => void;

/** Starts one. Rejects when it cannot, after which `onFailure` knows what is open. */
export async function startEventLoop(
  { store, observer, log, lost, steer }: EventLoopParts,
  settings: EventLoopSettings,
  onFailure: OnFailure,
): Promise<EventLoop> {
  const { config } = settings;
  const inForce = new InForce(config, settings.rule);
  const { limits, rates } = inForce;
  const pool = await startPool(settings, inForce, { observer, log, lost });
  onFailure(() => pool.close());
  const others =
    settings.channel === undefined ? undefined : new BroadcastChannel(settings.channel);
  onFailure(async () => others?.close());
  const publicUrls = [config.url, ...config.aliases].filter((url) => url !== "");
  const urls: OwnUrl[] = [];
  const relay = new Relay(
    {
      store,
      pool,
      passOn: (drop) => others?.postMessage(drop),
      publishing: new RateLimiter(rates.publishing),
      filling: new RateLimiter(rates.filling),
      asking: new RateLimiter(rates.asking),
      copying: new RateLimiter(rates.copying),
      observer,
      log,
      runtime: systemRuntime,
    },
    { urls, limits },
  );
  onFailure(async () => relay.close());
  others?.addEventListener("message", (message) => {
    relay.host.live.passOn((message as unknown as { data: Drop }).data);
  });

  let isStopping = false;
  const readiness = (): Readiness => {
    if (isStopping || !pool.isAlive) return "not ready";
    return isFull(settings.shared) ? "disk full" : "ready";
  };
  const transport = await loadTransport(config.transport);
  const { connections } = relay.host;
  const connected = (socket: Socket): SocketHandlers => relay.connected(socket);
  const isLetIn = (address: string): boolean => {
    const isBlocked = inForce.isBlocked(address);
    if (isBlocked) relay.host.refusals.turnedAway("is blocked");
    return !isBlocked;
  };
  const listener = await transport(
    {
      addresses: settings.addresses.map((address) =>
        listenAt(address, () => inForce.trustedProxies, log),
      ),
      sharesPorts: settings.channel !== undefined,
      maxMessageBytes: limits.messageBytes,
      maxBodyBytes: limits.messageBytes,
      handshakeSeconds: limits.handshakeSeconds,
    },
    {
      admits: (address) => isLetIn(address) && connections.admits(address),
      opened: (socket) =>
        inForce.isFollowing ? followed(socket, connected, log) : connected(socket),
      began(address) {
        if (!isLetIn(address)) return refusal(403, BLOCKED);
        return connections.began(address) ? undefined : refusal(429, TOO_MANY);
      },
      ended: (address) => connections.ended(address),
      request: management(
        routes(
          {
            information: () => relayInformation(inForce.information, nowOrSwept(settings.shared)),
            urls: () =>
              publicUrls.length > 0
                ? publicUrls
                : urls.slice(0, 1).map(({ host }) => `ws://${host}`),
            version: VERSION,
            readiness,
            relay: relay.host,
          },
          {
            maxBodyBytes: limits.messageBytes,
            maxWaitSeconds: limits.waitSeconds,
            publicUrls,
          },
        ),
        { relay: relay.host, hasAdmins: () => inForce.hasAdmins, urls, ask: steer },
      ),
    },
  );
  onFailure(() => listener.close(0));
  const addresses = settings.addresses.map(({ host, from }, index) => ({
    host,
    port: listener.ports[index] ?? 0,
    from,
  }));
  urls.push(...ownUrls(config, addresses));

  return {
    addresses,
    get load() {
      const { bytes: memoryBytes, slowReaders } = relay.host.holdings;
      const { waiting: verifying, threads } = pool;
      return {
        connections: connections.count,
        verifying,
        verifiers: threads,
        memoryBytes,
        slowReaders,
      };
    },
    async apply(changed) {
      inForce.take(changed);
      connections.cutOffFrom(inForce.isBlocked);
      await pool.tell(inForce.verification);
    },
    async stop() {
      isStopping = true;
      await listener.stopListening();
      await relay.drain(ANSWERS_MS);
      await listener.close(SOCKETS_MS);
      others?.close();
      relay.close();
      await pool.close();
    },
  };
}

function startPool(
  { config, shared, verifier, verifiers }: EventLoopSettings,
  inForce: InForce,
  { observer, log, lost }: Pick<EventLoopParts, "observer" | "log" | "lost">,
): Promise<Pool<PackedExamined>> {
  const data: VerificationData = {
    folder: config.data,
    shared,
    verifier,
    ...inForce.verification,
  };
  return Pool.start(
    {
      workers: verifiers,
      module: threadModule("verification-thread"),
      data,
      get waiting() {
        return inForce.limits.verifying;
      },
    },
    {
      workerLost(error) {
        observer.count("verification thread lost");
        log.error({ err: error }, "a verification thread was lost");
        // The class does not survive the way between threads.
        if (error.name === TOLD.lost) lost(error);
      },
    },
  );
}

async function loadTransport(name: Config["transport"]): Promise<Transport> {
  if (name === "ws") return wsTransport;
  const { uwsTransport } = await import("../transport/uws.ts");
  return uwsTransport;
}
