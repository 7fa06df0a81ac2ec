// Puts the relay together: the place that names the implementations.

import type { Logger } from "pino";

import type { Config } from "../config/schema.ts";
import { type Endpoint, join } from "../config/values.ts";
import { Metrics } from "../http/metrics.ts";
import { Sweeper } from "../relay/sweep.ts";
import { openLmdbStore } from "../store/lmdb.ts";
import { isFull } from "../store/shared-state.ts";
import { Steering } from "../steering/steering.ts";
import { Tally } from "../steering/tally.ts";
import { verifierLoaders } from "../verify/loaders.ts";
import { chooseVerifier, type Verifier } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import { type EventLoopSettings, type OnFailure, startEventLoop } from "./event-loop.ts";
import { startEventLoops } from "./event-loops.ts";
import { connectionsThatFit } from "./descriptors.ts";
import { die } from "./die.ts";
import { reportIncidents } from "./incidents.ts";
import { warnOfOtherNames } from "./own-urls.ts";
import { systemRuntime } from "./runtime.ts";
import { verifiersEach } from "./threads.ts";
import { Upkeep } from "./upkeep.ts";

export type RunningRelay = {
  /** Where clients connect, with the port that was really taken. */
  readonly url: string;
  readonly metricsUrl: string | undefined;
  /** What is in force, and how it is changed. */
  readonly steering: Pick<Steering, "reload" | "overruled">;
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

async function assemble(
  configured: Config,
  log: Logger,
  onFailure: OnFailure,
): Promise<RunningRelay> {
  const { limits, workers } = configured;
  const fitting = limitedByDescriptors(configured, log);
  const verifier = await pickVerifier(configured, log);
  const metrics = new Metrics();
  const observer = new Tally(metrics);
  const storeLimits = { ...limits, authorDeletesWraps: configured.authorDeletesWraps };
  const lost = (cause: Error): void => die(log, { err: cause }, "the store is lost");
  const opened = await openLmdbStore(
    {
      folder: configured.data,
      secret: configured.storeSecret,
      retentionSeconds: configured.retention,
      diskReserveBytes: limits.diskReserveBytes,
      limits: storeLimits,
      incidents: reportIncidents({ log, observer, lost }),
    },
    systemRuntime,
  );
  const { store, rule, shared } = opened;
  onFailure(() => store.close());
  const steering = new Steering(
    {
      folder: configured.data,
      log,
      now: () => systemRuntime.now(),
      removeBox: (recipient) => opened.removeBox(recipient, systemRuntime.now()),
      stats,
    },
    configured,
  );
  const config = steering.config;
  const upkeep = new Upkeep(opened, { folder: config.data, log });
  onFailure(() => upkeep.close());
  const sweeper = new Sweeper(
    { store, runtime: systemRuntime, observer, log },
    config.sweepSeconds,
  );
  onFailure(() => sweeper.close());

  const verifiers = verifiersEach(config);
  const settings: EventLoopSettings = {
    config: fitting(config),
    port: config.listen.port,
    channel: undefined,
    rule,
    shared,
    verifier: verifier.name,
    verifiers,
  };
  const steer = steering.ask.bind(steering);
  const parts = { store, observer, log, lost, steer };
  const eventLoop =
    workers === 1
      ? await startEventLoop(parts, settings, onFailure)
      : await startEventLoops(
          workers,
          { ...parts, lost: (error) => die(log, { err: error }, "an event loop was lost") },
          settings,
        );
  if (workers > 1) onFailure(() => eventLoop.stop());
  steering.begin(async (changed) => {
    const fit = fitting(changed);
    log.level = changed.log;
    const { boxDrops, boxBytes, earlyTombstones, earlyTombstonesInAll } = changed.limits;
    Object.assign(storeLimits, { boxDrops, boxBytes, earlyTombstones, earlyTombstonesInAll });
    await eventLoop.apply(fit);
  });
  const isClockBelieved = (): boolean => opened.clock.doubt === undefined;
  metrics.watch({
    verifier,
    version: VERSION,
    totals: () => store.totals(),
    connections: () => eventLoop.connections,
    isClockBelieved,
    isDiskFull: () => isFull(shared),
  });
  const startedAt = systemRuntime.now();
  const begun = systemRuntime.monotonic();
  function stats(): object {
    const { drops: held, tombstones, fileBytes, freeBytes } = store.totals();
    return {
      version: VERSION,
      startedAt,
      uptimeSeconds: Math.floor(systemRuntime.monotonic() - begun),
      held,
      tombstones,
      fileBytes,
      freeBytes,
      connections: eventLoop.connections,
      isClockBelieved: isClockBelieved(),
      isDiskFull: isFull(shared),
      counts: observer.counts,
    };
  }
  const scrape = config.metrics === "" ? undefined : await serveMetrics(metrics, config.metrics);
  const url = `ws://${join({ host: config.listen.host, port: eventLoop.port })}`;
  warnOfOtherNames(config, eventLoop.port, log);
  log.info(
    {
      url,
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
    url,
    metricsUrl: scrape?.url,
    steering,
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

// Gives a configuration as many connections as there are descriptors for. Both throw when those are too few.
function limitedByDescriptors(first: Config, log: Logger): (config: Config) => Config {
  let wanted = first.limits.connections;
  let connections = connectionsThatFit(first, log);
  return (config) => {
    // What does not fit is warned of once.
    if (config.limits.connections !== wanted) {
      connections = connectionsThatFit(config, log);
      wanted = config.limits.connections;
    }
    return { ...config, limits: { ...config.limits, connections } };
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
