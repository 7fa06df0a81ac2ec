// Puts the relay together and runs it: the place that names the implementations.

import pino, { type Logger } from "pino";

import { type Config, verifiersEach } from "../config.ts";
import { Metrics } from "../http/metrics.ts";
import { Sweeper } from "../relay/sweep.ts";
import { openLmdbStore } from "../store/lmdb.ts";
import { type Endpoint, join } from "../values.ts";
import { verifierLoaders } from "../verify/loaders.ts";
import { chooseVerifier, type Verifier } from "../verify/verifier.ts";
import { VERSION } from "../version.ts";
import { clock, type FrontSettings, type OnFailure, startFront } from "./front.ts";
import { startLoops } from "./loops.ts";

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

async function assemble(config: Config, log: Logger, onFailure: OnFailure): Promise<RunningRelay> {
  const { limits, workers } = config;
  const verifier = await pickVerifier(config, log);
  const { store, rule, shared } = await openLmdbStore(
    {
      folder: config.data,
      retentionSeconds: config.retention,
      diskReserveBytes: limits.diskReserveBytes,
      limits: { ...limits, authorDeletesWraps: config.authorDeletesWraps },
    },
    clock.now(),
  );
  onFailure(() => store.close());
  const metrics = new Metrics();
  const sweeper = new Sweeper({ store, clock, observer: metrics, log }, config.sweepSeconds);
  onFailure(() => sweeper.close());

  const verifiers = verifiersEach(config);
  const settings: FrontSettings = {
    config,
    port: config.listen.port,
    channel: undefined,
    rule,
    shared,
    verifier: verifier.name,
    verifiers,
  };
  const parts = { store, observer: metrics, log };
  const front =
    workers === 1
      ? await startFront(parts, settings, onFailure)
      : await startLoops(workers, { ...parts, lost: (error) => die(log, error) }, settings);
  if (workers > 1) onFailure(() => front.stop());
  metrics.watch({
    verifier,
    version: VERSION,
    totals: () => store.totals(),
    connections: () => front.connections,
  });
  const scrape = config.metrics === "" ? undefined : await serveMetrics(metrics, config.metrics);
  const url = `ws://${join({ host: config.listen.host, port: front.port })}`;
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
    async stop() {
      await front.stop();
      await scrape?.close();
      await sweeper.close();
      await store.close();
      log.info("stopped");
    },
  };
}

// Nothing that was answered OK is lost, and whoever supervises the process starts it again.
function die(log: Logger, error: Error): never {
  log.fatal({ err: error }, "an event loop was lost");
  process.exit(1);
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
