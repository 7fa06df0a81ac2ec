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
import { admission, type AdmissionSettings } from "../policy/admission.ts";
import { RateLimiter } from "../policy/rate-limiter.ts";
import type { PackedExamined } from "../relay/examined.ts";
import type { Log, Observer } from "../relay/observer.ts";
import { Relay } from "../relay/relay.ts";
import { isFull, type SharedState } from "../store/shared-state.ts";
import { type Store, TOLD } from "../store/store.ts";
import type { Socket, SocketHandlers, Transport } from "../transport/transport.ts";
import { wsTransport } from "../transport/ws.ts";
import { Pool } from "../verify/pool.ts";
import type { VerifierName } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import { followed } from "./followed.ts";
import { listenAt, type Listening } from "./listen-at.ts";
import { ownUrls } from "./own-urls.ts";
import { nowOrSwept, systemRuntime } from "./runtime.ts";
import { threadModule } from "./threads.ts";
import type { VerificationData } from "./verification-thread.ts";

// Sending a drop once more takes that much less time than answering a request may.
const COPIES_A_REQUEST = 20;

const TOO_MANY: Reason = "rate-limited: too many connections";

// SIGTERM to exit takes at most their sum, and less than 5 s in all.
const ANSWERS_MS = 2_500;
const SOCKETS_MS = 1_000;

export type EventLoopParts = {
  readonly store: Store;
  readonly observer: Observer;
  readonly log: Log;
  /** The store cannot be read any more. */
  readonly lost: (cause: Error) => void;
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
  /** Lets what was asked be answered, and closes every connection. */
  stop(): Promise<void>;
};

/** Has what was opened closed again, should the start fail. */
export type OnFailure = (close: () => Promise<void>) => void;

/** Starts one. Rejects when it cannot, after which `onFailure` knows what is open. */
export async function startEventLoop(
  { store, observer, log, lost }: EventLoopParts,
  settings: EventLoopSettings,
  onFailure: OnFailure,
): Promise<EventLoop> {
  const { config } = settings;
  const { limits } = config;
  const admitted = admissionOf(settings);
  const informing = {
    config,
    policies: admission(admitted),
    rule: settings.rule,
    version: VERSION,
  };
  const pool = await startPool(settings, admitted, { observer, log, lost });
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
      publishing: new RateLimiter({ perSecond: limits.dropsPerSecond, burst: limits.dropsBurst }),
      filling: new RateLimiter({ perSecond: limits.bytesPerSecond, burst: limits.bytesBurst }),
      asking: new RateLimiter({ perSecond: limits.requestsPerSecond, burst: limits.requestsBurst }),
      copying: new RateLimiter({
        perSecond: limits.requestsPerSecond * COPIES_A_REQUEST,
        burst: limits.requestsBurst,
      }),
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
  const listener = await transport(
    {
      addresses: settings.addresses.map((address) => listenAt(address, config, log)),
      sharesPorts: settings.channel !== undefined,
      maxMessageBytes: limits.messageBytes,
      maxBodyBytes: limits.messageBytes,
      handshakeSeconds: limits.handshakeSeconds,
    },
    {
      admits: (address) => connections.admits(address),
      opened: config.log === "debug" ? (socket) => followed(socket, connected, log) : connected,
      began: (address) => (connections.began(address) ? undefined : refusal(429, TOO_MANY)),
      ended: (address) => connections.ended(address),
      request: routes(
        {
          information: () => relayInformation(informing, nowOrSwept(settings.shared)),
          urls: () =>
            publicUrls.length > 0 ? publicUrls : urls.slice(0, 1).map(({ host }) => `ws://${host}`),
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

function admissionOf({ config, rule }: EventLoopSettings): AdmissionSettings {
  return {
    tags: config.limits.tags,
    eventBytes: config.limits.eventBytes,
    proofOfWork: config.proofOfWork,
    rule,
    allowedRecipients: config.allowedRecipients,
    deniedRecipients: config.deniedRecipients,
  };
}

function startPool(
  { config, shared, verifier, verifiers }: EventLoopSettings,
  admitted: AdmissionSettings,
  { observer, log, lost }: Pick<EventLoopParts, "observer" | "log" | "lost">,
): Promise<Pool<PackedExamined>> {
  const data: VerificationData = {
    folder: config.data,
    shared,
    verifier,
    admission: admitted,
    maxAcknowledgementIds: config.limits.acknowledgementIds,
  };
  return Pool.start(
    {
      workers: verifiers,
      module: threadModule("verification-thread"),
      data,
      waiting: config.limits.verifying,
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
