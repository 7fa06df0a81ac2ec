// Puts the relay together: the place that names the implementations.

import type { Logger } from "pino";

import type { Config } from "../config/schema.ts";
import { directUrl, type Endpoint, join, joinListen } from "../config/values.ts";
import { Metrics } from "../http/metrics.ts";
import type { Watched } from "../http/watched.ts";
import { Tally } from "../relay/tally.ts";
import { Sweeper } from "../relay/sweep.ts";
import { DOUBTS } from "../store/belief.ts";
import { openLmdbStore } from "../store/lmdb.ts";
import { isFull } from "../store/shared-state.ts";
import { verifierLoaders } from "../verify/loaders.ts";
import { chooseVerifier, type Verifier } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import { CensusTaker } from "./census-taker.ts";
import { measureDelay } from "./event-loop-delay.ts";
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
  const observer = new Tally(config.metricsStep);
  const tallies = new Map<object, Float64Array>([[observer, observer.values]]);
  const lost = (cause: Error): void => die(log, { err: cause }, "the store is lost");
  const opened = await openLmdbStore(
    {
      folder: config.data,
      secret: config.storeSecret,
      retentionSeconds: config.retention,
      diskReserveBytes: limits.diskReserveBytes,
      limits: { ...limits, authorDeletesWraps: config.authorDeletesWraps },
      incidents: reportIncidents({ log, observer, lost }),
      committed(drops, seconds) {
        observer.measure("commit", seconds);
        observer.measure("commit drops", drops);
      },
    },
    systemRuntime,
  );
  const { store, rule, shared } = opened;
  onFailure(() => store.close());
  const upkeep = new Upkeep(opened, { folder: config.data, log });
  onFailure(() => upkeep.close());
  const sweeper = new Sweeper(
    { store, runtime: systemRuntime, observer, log },
    config.sweepSeconds,
  );
  onFailure(() => sweeper.close());
  const census = new CensusTaker(opened, config.metricsStep === 1);
  onFailure(() => census.close());
  const measuring = measureDelay(observer);

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
  const parts = { store, observer, log, lost };
  const eventLoop =
    workers === 1
      ? await startEventLoop(parts, settings, onFailure)
      : await startEventLoops(
          workers,
          {
            store,
            counted: (loop, tally) => tallies.set(loop, tally),
            lost: (error) => die(log, { err: error }, "an event loop was lost"),
          },
          settings,
        );
  if (workers > 1) onFailure(() => eventLoop.stop());
  const watched: Watched = {
    verifier,
    version: VERSION,
    totals: () => store.totals(),
    census: () => census.latest,
    expired: () => opened.expired(),
    sweepAge: () => sweeper.age,
    load: () => eventLoop.load,
    limits: { ...limits, connections },
    disk: () => opened.disk.free,
    isDiskFull: () => isFull(shared),
    doubt: () => opened.clock.doubt,
    doubts: DOUBTS,
    process: thisProcess,
  };
  const metrics = new Metrics(
    { tallies: () => tallies.values(), watched, now: () => systemRuntime.monotonic() },
    { step: config.metricsStep },
  );
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
      clearInterval(measuring);
      await census.close();
      await sweeper.close();
      await upkeep.close();
      await store.close();
      log.info("stopped");
    },
  };
}

const thisProcess: Watched["process"] = {
  startedAt: performance.timeOrigin / 1_000,
  cpuSeconds: () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
  memoryBytes: () => process.memoryUsage.rss(),
};

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
