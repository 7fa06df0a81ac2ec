import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";

import type { Endpoint } from "../config/values.ts";
import type { Counted, Observer } from "../relay/observer.ts";
import type { Totals } from "../store/store.ts";
import type { Verifier } from "../verify/verifier.ts";

export type MetricsParts = {
  readonly verifier: Pick<Verifier, "name" | "detail">;
  readonly version: string;
  readonly totals: () => Totals;
  readonly connections: () => number;
  readonly isClockBelieved: () => boolean;
  readonly isDiskFull: () => boolean;
};

/**
 * Counters for Prometheus. They name no recipient and no address; still, on a quiet relay they move when somebody picks up, which is why they are served
 * on an address of their own and not to the public.
 */
export class Metrics implements Observer {
  readonly #registry = new Registry();
  readonly #events: Counter<"what">;

  constructor() {
    this.#events = new Counter({
      name: "deaddrop_events_total",
      help: "What the relay did, by outcome.",
      labelNames: ["what"],
      registers: [this.#registry],
    });
  }

  count(what: Counted, times = 1): void {
    if (times > 0) this.#events.inc({ what }, times);
  }

  /** Adds what is read at the moment it is asked for. */
  watch(parts: MetricsParts): void {
    const { verifier, version, totals, connections, isClockBelieved, isDiskFull } = parts;
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    new Gauge({
      name: "deaddrop_info",
      help: "1, with the version and what checks signatures.",
      labelNames: ["version", "verifier", "detail"],
      registers,
    }).set({ version, verifier: verifier.name, detail: verifier.detail }, 1);
    const gauges: [string, string, () => number][] = [
      ["deaddrop_drops_held", "Drops on disk.", () => totals().drops],
      ["deaddrop_tombstones", "Acknowledgements remembered.", () => totals().tombstones],
      ["deaddrop_store_file_bytes", "Size of the store's file.", () => totals().fileBytes],
      [
        "deaddrop_store_free_bytes",
        "Part of the file that is reused next.",
        () => totals().freeBytes,
      ],
      ["deaddrop_connections", "Open connections.", connections],
      [
        "deaddrop_clock_believed",
        "0 while nothing more is deleted for being past, because the clock may be wrong.",
        () => (isClockBelieved() ? 1 : 0),
      ],
      [
        "deaddrop_drops_refused_for_disk",
        "1 while new drops are refused because the disk is full.",
        () => (isDiskFull() ? 1 : 0),
      ],
    ];
    for (const [name, help, read] of gauges) this.#gauge(name, help, read);
  }

  /** Serves `/metrics`. Answers the port, and how to stop. */
  async serve({ host, port }: Endpoint): Promise<{ port: number; close: () => Promise<void> }> {
    const server = createServer((request, response) => {
      response.setHeader("x-content-type-options", "nosniff");
      if (request.method !== "GET" || request.url !== "/metrics") {
        response.writeHead(404).end();
        return;
      }
      this.#registry.metrics().then(
        (body) => {
          response.writeHead(200, { "content-type": this.#registry.contentType }).end(body);
        },
        // The store could not be read.
        () => response.writeHead(503).end(),
      );
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

  #gauge(name: string, help: string, read: () => number): Gauge {
    return new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }
}
