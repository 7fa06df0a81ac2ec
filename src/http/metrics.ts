import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { Endpoint } from "../config/values.ts";
import type { Measured } from "../relay/observer.ts";
import { BUCKETS, Tallies } from "../relay/tally.ts";
import { CONTENT_TYPE, histogram, type Labels, simple } from "./exposition.ts";
import { Gauges } from "./gauges.ts";
import { COUNTERS, HISTOGRAMS, SERIES } from "./series.ts";
import { type Watched, watching } from "./watched.ts";

export type MetricsParts = {
  /** What each thread counted so far. */
  readonly tallies: () => Iterable<Float64Array>;
  readonly watched: Watched;
  /** Monotonic, seconds. */
  readonly now: () => number;
};

export type MetricsSettings = {
  /** Shown in steps of so many is what moves when somebody picks up (see tally.ts and gauges.ts). 1: nothing is. */
  readonly step: number;
};

/**
 * Figures for Prometheus. They name no recipient, no sender and no address; what moves when somebody picks up is shown in steps and late. Still they are served on an
 * address of their own and not to the public.
 */
export class Metrics {
  readonly #tallies: MetricsParts["tallies"];
  readonly #gauges: Gauges;

  constructor({ tallies, watched, now }: MetricsParts, { step }: MetricsSettings) {
    this.#tallies = tallies;
    this.#gauges = new Gauges(watching(watched), { step, now });
  }

  /** All of it in Prometheus' text format. Throws where the store cannot be read. */
  text(): string {
    const tallies = new Tallies(this.#tallies());
    let text = "";
    for (const [name, help] of Object.entries(COUNTERS)) {
      text += simple("counter", name, help, samplesOf(name, tallies));
    }
    for (const [what, [name, help]] of Object.entries(HISTOGRAMS)) {
      const measured = what as Measured;
      text += histogram(name, help, BUCKETS[measured], tallies.measured(measured));
    }
    return text + this.#gauges.text();
  }

  /** Serves `/metrics`. Answers the port, and how to stop. */
  async serve({ host, port }: Endpoint): Promise<{ port: number; close: () => Promise<void> }> {
    const server = createServer((request, response) => {
      response.setHeader("x-content-type-options", "nosniff");
      if (request.method !== "GET" || request.url !== "/metrics") {
        response.writeHead(404).end();
        return;
      }
      let text: string;
      try {
        text = this.text();
      } catch {
        // The store could not be read.
        response.writeHead(503).end();
        return;
      }
      response.writeHead(200, { "content-type": CONTENT_TYPE }).end(text);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
    return {
      port: (server.address() as AddressInfo).port,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  }
}

function samplesOf(name: string, tallies: Tallies): [Labels, number][] {
  return Object.entries(SERIES)
    .filter(([, [of]]) => of === name)
    .map(([what, [, labels]]) => [labels, tallies.counted(what as keyof typeof SERIES)]);
}
