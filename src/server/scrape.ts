// What Prometheus is shown, and what is measured for that alone: none of it where nobody asks for metrics.

import type { Config } from "../config/schema.ts";
import { join } from "../config/values.ts";
import { Metrics } from "../http/metrics.ts";
import type { Watched } from "../http/watched.ts";
import type { Observer } from "../relay/observer.ts";
import type { OpenedStore } from "../store/lmdb.ts";
import { CensusTaker } from "./census-taker.ts";
import { measureDelay } from "./event-loop-delay.ts";
import { systemRuntime } from "./runtime.ts";
import type { OnFailure } from "./event-loop.ts";

export type ScrapeParts = {
  readonly opened: Pick<OpenedStore, "census">;
  readonly observer: Observer;
  /** What each thread counted so far. */
  readonly tallies: () => Iterable<Float64Array>;
  readonly watched: Omit<Watched, "census" | "process">;
};

export type Scrape = { readonly url: string; close(): Promise<void> };

/** Serves metrics at the address of the configuration. Answers where, undefined if it names none. */
export async function serveMetrics(
  { metrics: address, metricsStep: step }: Pick<Config, "metrics" | "metricsStep">,
  { opened, observer, tallies, watched }: ScrapeParts,
  onFailure: OnFailure,
): Promise<Scrape | undefined> {
  if (address === "") return undefined;
  const census = new CensusTaker(opened, step === 1);
  onFailure(() => census.close());
  const metrics = new Metrics(
    {
      tallies,
      watched: { ...watched, census: () => census.latest, process: thisProcess },
      now: () => systemRuntime.monotonic(),
    },
    { step },
  );
  const server = await metrics.serve(address);
  const measuring = measureDelay(observer);
  return {
    url: `http://${join({ host: address.host, port: server.port })}/metrics`,
    async close() {
      clearInterval(measuring);
      await server.close();
      await census.close();
    },
  };
}

const thisProcess: Watched["process"] = {
  startedAt: performance.timeOrigin / 1_000,
  cpuSeconds: () => process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
  memoryBytes: () => process.memoryUsage.rss(),
};
