// One event loop of the relay: its sockets, the relay behind them, and the threads that check signatures for it. Where there is one, it runs in the main
// thread, beside the store; where there are several, each runs in a thread of its own (worker.ts).

import { randomBytes } from "node:crypto";
import { BroadcastChannel } from "node:worker_threads";

import type { Config } from "../config.ts";
import { relayInformation } from "../http/information.ts";
import { refusal } from "../http/respond.ts";
import { routes } from "../http/routes.ts";
import { hostOf } from "../nostr/auth.ts";
import type { Drop, RetentionRule } from "../nostr/drop.ts";
import type { Reason } from "../nostr/reason.ts";
import { forwardedFor } from "../policy/address.ts";
import { admission, type AdmissionSettings } from "../policy/admission.ts";
import { Rate } from "../policy/rate.ts";
import { type PackedAnswer, unpack } from "../relay/examine.ts";
import type { Log, Observer } from "../relay/observer.ts";
import { type Clock, Relay } from "../relay/relay.ts";
import type { SharedState } from "../store/boxes.ts";
import type { Store } from "../store/store.ts";
import type { Listener, Transport } from "../transport/transport.ts";
import { wsTransport } from "../transport/ws.ts";
import { join } from "../values.ts";
import { Pool } from "../verify/pool.ts";
import type { VerifierName } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import type { VerificationData } from "../verification.ts";

export const clock: Clock = {
  now: () => Math.floor(Date.now() / 1_000),
  monotonic: () => performance.now() / 1_000,
};

const TOO_MANY: Reason = "rate-limited: too many connections";

// SIGTERM to exit takes at most their sum, and less than 5 s in all.
const ANSWERS_MS = 2_500;
const SOCKETS_MS = 1_000;

export type FrontParts = {
  readonly store: Store;
  readonly observer: Observer;
  readonly log: Log;
};

export type FrontSettings = {
  readonly config: Config;
  /** Where to listen, 0: any free port. */
  readonly port: number;
  /** The name of the channel to the other event loops that listen on the same port; undefined when there are none. */
  readonly channel: string | undefined;
  readonly rule: RetentionRule;
  readonly shared: SharedState;
  readonly verifier: VerifierName;
  readonly verifiers: number;
};

export type Front = {
  readonly port: number;
  readonly connections: number;
  /** Lets what was asked be answered, and closes every connection. */
  stop(): Promise<void>;
};

/** Has what was opened closed again, should the start fail. */
export type OnFailure = (close: () => Promise<void>) => void;

export async function startFront(
  { store, observer, log }: FrontParts,
  settings: FrontSettings,
  onFailure: OnFailure,
): Promise<Front> {
  const { config } = settings;
  const { limits } = config;
  const admissionSettings: AdmissionSettings = {
    tags: limits.tags,
    eventBytes: limits.eventBytes,
    proofOfWork: config.proofOfWork,
    retentionSeconds: config.retention,
    allowedRecipients: config.allowedRecipients,
    deniedRecipients: config.deniedRecipients,
  };
  const data: VerificationData = {
    folder: config.data,
    recentIds: settings.shared.recentIds,
    verifier: settings.verifier,
    rule: settings.rule,
    admission: admissionSettings,
    maxAcknowledgementIds: limits.acknowledgementIds,
  };
  const pool = await Pool.start<PackedAnswer>(
    {
      workers: settings.verifiers,
      module: threadModule("verification"),
      data,
      waiting: limits.verifying,
    },
    { workerLost: (error) => log.error({ err: error }, "a verification thread was lost") },
  );
  onFailure(() => pool.close());
  const others =
    settings.channel === undefined ? undefined : new BroadcastChannel(settings.channel);
  onFailure(async () => others?.close());
  const hosts = new Set<string>();
  const relay = new Relay(
    {
      store,
      async examine(text) {
        const packed = await pool.ask(text);
        return packed && unpack(packed);
      },
      mayExamine: () => pool.hasRoom,
      passOn: (drop) => others?.postMessage(drop),
      publishing: new Rate({ perSecond: limits.dropsPerSecond, burst: limits.dropsBurst }),
      asking: new Rate({ perSecond: limits.requestsPerSecond, burst: limits.requestsBurst }),
      observer,
      log,
      clock,
      randomHex: (bytes) => randomBytes(bytes).toString("hex"),
    },
    { hosts, limits },
  );
  onFailure(() => relay.close());

  others?.addEventListener("message", (message) => {
    relay.passedOn((message as unknown as { data: Drop }).data);
  });

  let stopping = false;
  const transport = await loadTransport(config.transport);
  const listener = await transport(
    {
      host: config.listen.host,
      port: settings.port,
      sharesPort: settings.channel !== undefined,
      maxMessageBytes: limits.messageBytes,
      maxBodyBytes: limits.messageBytes,
      handshakeSeconds: limits.handshakeSeconds,
      forwardedFor: forwardedFor(config.trustedProxies),
    },
    {
      admits: (address) => relay.admits(address),
      opened: (socket) => relay.connected(socket),
      began: (address) => (relay.began(address) ? undefined : refusal(429, TOO_MANY)),
      ended: (address) => relay.ended(address),
      request: routes(
        {
          information: relayInformation(config, admission(admissionSettings), VERSION),
          version: VERSION,
          isReady: () => !stopping && pool.isAlive,
          relay,
        },
        { maxBodyBytes: limits.messageBytes, maxWaitSeconds: limits.waitSeconds },
      ),
    },
  );
  onFailure(() => listener.close(0));
  for (const host of knownHosts(config, listener)) hosts.add(host);

  return {
    port: listener.port,
    get connections() {
      return relay.connections;
    },
    async stop() {
      stopping = true;
      await listener.stopListening();
      await relay.drain(ANSWERS_MS);
      await listener.close(SOCKETS_MS);
      others?.close();
      await relay.close();
      await pool.close();
    },
  };
}

/** Run from the sources in development and from what was built when installed: a thread's module has the same ending. */
export function threadModule(name: "worker" | "verification"): URL {
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new URL(`../${name}.${ending}`, import.meta.url);
}

async function loadTransport(name: Config["transport"]): Promise<Transport> {
  if (name === "ws") return wsTransport;
  const { uwsTransport } = await import("../transport/uws.ts");
  return uwsTransport;
}

/** The hosts by which AUTH may call this relay: the configured URLs, and without any what `listen` gives. */
function knownHosts(config: Config, { port }: Listener): string[] {
  const urls = [config.url, ...config.aliases].filter((url) => url !== "");
  if (config.url === "") {
    const { host } = config.listen;
    const isEverywhere = host === "0.0.0.0" || host === "::";
    const isHere = host === "localhost" || host === "::1" || host.startsWith("127.");
    urls.push(`ws://${join({ host, port })}`);
    if (isEverywhere || isHere) {
      urls.push(
        ...["127.0.0.1", "localhost", "::1"].map((name) => `ws://${join({ host: name, port })}`),
      );
    }
  }
  return urls.map((url) => hostOf(url)).filter((host) => host !== undefined);
}
