// Puts the relay together: the place that names the implementations.

import type { Logger } from "pino";

import type { Config } from "../config/schema.ts";
import { directUrl, joinListen } from "../config/values.ts";
import { Tallies, Tally } from "../relay/tally.ts";
import { Sweeper } from "../relay/sweep.ts";
import { DOUBTS } from "../store/belief.ts";
import { openLmdbStore } from "../store/lmdb.ts";
import { isFull } from "../store/shared-state.ts";
import { Steering } from "../steering/steering.ts";
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
import { serveMetrics } from "./scrape.ts";
import { verifiersEach } from "./threads.ts";
import { Upkeep } from "./upkeep.ts";

export type RunningRelay = {
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
  const addresses = await withSockets(configured, takeDescriptors(process.env, process.pid));
  const fitting = limitedByDescriptors(configured, log);
  const verifier = await pickVerifier(configured, log);
  const observer = new Tally(configured.metricsStep);
  const tallies = new Map<object, Float64Array>([[observer, observer.values]]);
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
      committed(drops, seconds) {
        observer.measure("commit", seconds);
        observer.measure("commit drops", drops);
      },
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
  let fitted = fitting(config);
  const settings: EventLoopSettings = {
    config: fitted,
    addresses,
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
          {
            store,
            counted: (loop, tally) => tallies.set(loop, tally),
            lost: (error) => die(log, { err: error }, "an event loop was lost"),
            steer,
          },
          settings,
        );
  if (workers > 1) onFailure(() => eventLoop.stop());
  steering.begin(async (changed) => {
    fitted = fitting(changed);
    log.level = changed.log;
    const { boxDrops, boxBytes, earlyTombstones, earlyTombstonesInAll } = changed.limits;
    Object.assign(storeLimits, { boxDrops, boxBytes, earlyTombstones, earlyTombstonesInAll });
    await eventLoop.apply(fitted);
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
      connections: eventLoop.load.connections,
      isClockBelieved: opened.clock.doubt === undefined,
      isDiskFull: isFull(shared),
      counts: new Tallies(tallies.values()).all,
    };
  }
  const scrape = await serveMetrics(
    config,
    {
      opened,
      observer,
      tallies: () => tallies.values(),
      watched: {
        verifier,
        version: VERSION,
        totals: () => store.totals(),
        expired: () => opened.expired(),
        sweepAge: () => sweeper.age,
        load: () => eventLoop.load,
        limits: () => fitted.limits,
        disk: () => opened.disk.free,
        isDiskFull: () => isFull(shared),
        doubt: () => opened.clock.doubt,
        doubts: DOUBTS,
      },
    },
    onFailure,
  );
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
