// Puts the relay together and runs it: the place that names the implementations.

import { randomBytes } from "node:crypto";

import pino, { type Logger } from "pino";

import { type Config, workerCount } from "../config.ts";
import { type Endpoint, join } from "../values.ts";
import { Metrics } from "../http/metrics.ts";
import { relayInformation } from "../http/information.ts";
import { routes } from "../http/routes.ts";
import { hostOf } from "../nostr/auth.ts";
import { forwardedFor } from "../policy/address.ts";
import { admission, type AdmissionSettings } from "../policy/admission.ts";
import { Rate } from "../policy/rate.ts";
import { type PackedAnswer, unpack } from "../relay/examine.ts";
import { type Clock, Relay } from "../relay/relay.ts";
import { openLmdbStore } from "../store/lmdb.ts";
import type { Listener, Transport } from "../transport/transport.ts";
import { wsTransport } from "../transport/ws.ts";
import { verifierLoaders } from "../verify/loaders.ts";
import { Pool } from "../verify/pool.ts";
import { chooseVerifier, type Verifier } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import type { WorkerData } from "../worker.ts";

const clock: Clock = {
  now: () => Math.floor(Date.now() / 1_000),
  monotonic: () => performance.now() / 1_000,
};

// SIGTERM to exit takes at most their sum, and less than 5 s in all.
const ANSWERS_MS = 2_500;
const SOCKETS_MS = 1_000;

export type RunningRelay = {
  /** Where clients connect, with the port that was really taken. */
  readonly url: string;
  readonly metricsUrl: string | undefined;
  /** Answers what was asked, closes every connection, and resolves when all is on disk. */
  stop(): Promise<void>;
};

/** Starts a relay. Rejects with what is wrong when it cannot, and leaves nothing open then. */
export async function startRelay(config: Config, log: Logger): Promise<RunningRelay> {
  const opened: (() => Promise<void>)[] = [];
  try {
    return await assemble(config, log, (close) => opened.push(close));
  } catch (error) {
    for (const close of opened.toReversed()) await close();
    throw error;
  }
}

async function assemble(
  config: Config,
  log: Logger,
  onFailure: (close: () => Promise<void>) => void,
): Promise<RunningRelay> {
  const { limits } = config;
  const verifier = await pickVerifier(config, log);
  const { store, rule, recentIds } = await openLmdbStore(
    {
      folder: config.data,
      retentionSeconds: config.retention,
      diskReserveBytes: limits.diskReserveBytes,
      limits: { ...limits, authorDeletesWraps: config.authorDeletesWraps },
    },
    clock.now(),
  );
  onFailure(() => store.close());
  const admissionSettings: AdmissionSettings = {
    tags: limits.tags,
    eventBytes: limits.eventBytes,
    proofOfWork: config.proofOfWork,
    retentionSeconds: config.retention,
    allowedRecipients: config.allowedRecipients,
    deniedRecipients: config.deniedRecipients,
  };
  const data: WorkerData = {
    folder: config.data,
    recentIds,
    verifier: verifier.name,
    rule,
    admission: admissionSettings,
    maxAcknowledgementIds: limits.acknowledgementIds,
  };
  const workers = workerCount(config);
  const pool = await Pool.start<PackedAnswer>(
    { workers, module: workerModule(), data, waiting: limits.verifying },
    { workerLost: (error) => log.error({ err: error }, "a verification thread was lost") },
  );
  onFailure(() => pool.close());
  const metrics = new Metrics();
  const hosts = new Set<string>();
  const relay = new Relay(
    {
      store,
      examine: async (text) => {
        const packed = await pool.ask(text);
        return packed && unpack(packed);
      },
      mayExamine: () => pool.hasRoom,
      publishing: new Rate({ perSecond: limits.dropsPerSecond, burst: limits.dropsBurst }),
      asking: new Rate({ perSecond: limits.requestsPerSecond, burst: limits.requestsBurst }),
      observer: metrics,
      log,
      clock,
      randomHex: (bytes) => randomBytes(bytes).toString("hex"),
    },
    { hosts, limits, sweepSeconds: config.sweepSeconds },
  );
  onFailure(() => relay.close());
  metrics.watch({
    verifier,
    version: VERSION,
    totals: () => store.totals(),
    connections: () => relay.connections,
  });

  let stopping = false;
  const transport = await loadTransport(config.transport);
  const listener = await transport(
    {
      ...config.listen,
      maxMessageBytes: limits.messageBytes,
      maxBodyBytes: limits.messageBytes,
      handshakeSeconds: limits.handshakeSeconds,
      forwardedFor: forwardedFor(config.trustedProxies),
    },
    {
      admits: (address) => relay.admits(address),
      opened: (socket) => relay.connected(socket),
      request: routes({
        information: relayInformation(config, admission(admissionSettings), VERSION),
        isReady: () => !stopping && pool.isAlive,
        mayAsk: (address) => relay.mayAsk(address),
      }),
    },
  );
  onFailure(() => listener.close(0));
  for (const host of knownHosts(config, listener)) hosts.add(host);
  const scrape = config.metrics === "" ? undefined : await serveMetrics(metrics, config.metrics);
  const url = `ws://${join({ host: config.listen.host, port: listener.port })}`;
  log.info(
    {
      url,
      version: VERSION,
      data: config.data,
      transport: config.transport,
      verifier: verifier.name,
      verifierDetail: verifier.detail,
      workers,
      retentionSeconds: config.retention,
      held: store.totals().drops,
      metrics: scrape?.url,
    },
    "listening",
  );

  return {
    url,
    metricsUrl: scrape?.url,
    async stop() {
      stopping = true;
      await listener.stopListening();
      await relay.drain(ANSWERS_MS);
      await listener.close(SOCKETS_MS);
      await scrape?.close();
      await relay.close();
      await pool.close();
      await store.close();
      log.info("stopped");
    },
  };
}

/** `deaddrop serve`: runs until SIGTERM or SIGINT. Answers the exit code. */
export async function serve(config: Config): Promise<number> {
  const log = pino({ level: config.log, base: null });
  // A full disk makes lmdb reject promises that nobody holds. The writes they belong to were answered; the relay goes on.
  process.on("unhandledRejection", (error) => log.error({ err: error }, "internal error"));
  // Before anything is open: who asks it to end while it starts means it too.
  const asked = new Promise<void>((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
  let relay: RunningRelay;
  try {
    relay = await startRelay(config, log);
  } catch (error) {
    log.fatal({ err: error }, "the relay could not start");
    process.stderr.write(`deaddrop: the relay could not start: ${(error as Error).message}\n`);
    return 1;
  }
  await asked;
  log.info("stopping");
  await relay.stop();
  return 0;
}

async function pickVerifier(config: Config, log: Logger): Promise<Verifier> {
  const { verifier } = config;
  const loaders =
    verifier === "auto" ? Object.values(verifierLoaders) : [verifierLoaders[verifier]];
  return chooseVerifier(loaders, (reason) => log.warn({ reason }, "verifier not used"));
}

async function serveMetrics(
  metrics: Metrics,
  { host, port }: Endpoint,
): Promise<{ url: string; close: () => Promise<void> }> {
  const server = await metrics.serve({ host, port });
  return {
    url: `http://${join({ host, port: server.port })}/metrics`,
    close: () => server.close(),
  };
}

// Run from the sources in development and from what was built when installed: the worker lies beside, with the same ending.
function workerModule(): URL {
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new URL(`../worker.${ending}`, import.meta.url);
}

async function loadTransport(name: Config["transport"]): Promise<Transport> {
  if (name === "ws") return wsTransport;
  const { uwsTransport } = await import("../transport/uws.ts");
  return uwsTransport;
}

/** The hosts by which AUTH may call this relay: the configured URLs, and without any what `listen` gives. */
function knownHosts(config: Config, listener: Listener): string[] {
  const urls = [config.url, ...config.aliases].filter((url) => url !== "");
  if (config.url === "") {
    const { port } = listener;
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
