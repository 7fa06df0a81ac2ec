// Puts the relay together: the place that names the implementations.

import type { Logger } from "pino";

import type { Config } from "../config/schema.ts";
import { directUrl, type Endpoint, join, joinListen } from "../config/values.ts";
import { Metrics } from "../http/metrics.ts";
import { Sweeper } from "../relay/sweep.ts";
import { openLmdbStore } from "../store/lmdb.ts";
import { isFull } from "../store/shared-state.ts";
import { verifierLoaders } from "../verify/loaders.ts";
import { chooseVerifier, type Verifier } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import { type EventLoopSettings, type OnFailure, startEventLoop } from "./event-loop.ts";
import { startEventLoops } from "./event-loops.ts";
import { connectionsThatFit } from "./descriptors.ts";
import { die } from "./die.ts";
import { reportIncidents } from "./incidents.ts";
import { takeDescriptors, withSockets } from "./inherited-sockets.ts";
import { warnOfOtherNames } from "./own-urls.ts";
import { systemRuntime } from "./runtime.ts";
import { verifiersEach } from "./threads.ts";
import { Upkeep } from "./upkeep.ts";

export type RunningRelay = {
  /** Answers what was asked, closes every connection, and resolves when all is on disk. */
  stop(): Promise<void>;
};

// What could not start may not close either.
const CLOSE_MS = 3_000;

/** Starts a relay. Rejects with what is wrong when it cannot, and leaves nothing open then. */
export async function startRelay(config: Config, log: Logger): Promise<RunningRelay> {
  const opened: (() => Promise<void>)[] = [];
  try {
    return await assemble(config, log, (close) => opened.push(close));
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function closeAll(opened: readonly (() => Promise<void>)[]): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_MS);
  });
  const closing = async (): Promise<void> => {
    for (const close of opened.toReversed()) await close();
  };
  await Promise.race([closing(), enough]);
  clearTimeout(timer);
}

async function assemble(config: Config, log: Logger, onFailure: OnFailure): Promise<RunningRelay> {
  const { limits, workers } = config;
  const addresses = await withSockets(config, takeDescriptors(process.env, process.pid));
  const connections = connectionsThatFit(config, log);
  const verifier = await pickVerifier(config, log);
  const metrics = new Metrics();
  const lost = (cause: Error): void => die(log, { err: cause }, "the store is lost");
  const opened = await openLmdbStore(
    {
      folder: config.data,
      secret: config.storeSecret,
      retentionSeconds: config.retention,
      diskReserveBytes: limits.diskReserveBytes,
      limits: { ...limits, authorDeletesWraps: config.authorDeletesWraps },
      incidents: reportIncidents({ log, observer: metrics, lost }),
    },
    systemRuntime,
  );
  const { store, rule, shared } = opened;
  onFailure(() => store.close());
  const upkeep = new Upkeep(opened, { folder: config.data, log });
  onFailure(() => upkeep.close());
  const sweeper = new Sweeper(
    { store, runtime: systemRuntime, observer: metrics, log },
    config.sweepSeconds,
  );
  onFailure(() => sweeper.close());

  const verifiers = verifiersEach(config);
  const settings: EventLoopSettings = {
    config: { ...config, limits: { ...limits, connections } },
    addresses,
    channel: undefined,
    rule,
    shared,
    verifier: verifier.name,
    verifiers,
  };
  const parts = { store, observer: metrics, log, lost };
  const eventLoop =
    workers === 1
      ? await startEventLoop(parts, settings, onFailure)
      : await startEventLoops(
          workers,
          { ...parts, lost: (error) => die(log, { err: error }, "an event loop was lost") },
          settings,
        );
  if (workers > 1) onFailure(() => eventLoop.stop());
  metrics.watch({
    verifier,
    version: VERSION,
    totals: () => store.totals(),
    connections: () => eventLoop.connections,
    isClockBelieved: () => opened.clock.doubt === undefined,
    isDiskFull: () => isFull(shared),
  });
  const scrape = config.metrics === "" ? undefined : await serveMetrics(metrics, config.metrics);
  const listen = eventLoop.addresses.map((address) => joinListen(address));
  warnOfOtherNames(config, eventLoop.addresses, log);
  log.info(
    {
      url: config.url || directUrl(eventLoop.addresses),
      aliases: config.aliases,
      listen,
      inherited: addresses.filter(({ descriptor }) => descriptor !== undefined).length,
      version: VERSION,
      data: config.data,
      transport: config.transport,
      verifier: verifier.name,
      verifierDetail: verifier.detail,
      workers,
      verifiers: verifiers * workers,
      retentionSeconds: config.retention,
      held: store.totals().drops,
      metrics: scrape?.url,
    },
    "listening",
  );

  return {
    async stop() {
      await eventLoop.stop();
      await scrape?.close();
      await sweeper.close();
      await upkeep.close();
      await store.close();
      log.info("stopped");
    },
  };
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
