import type { CollectionReport, DeadDrop } from "../client/client.ts";
import { acknowledge, untold } from "./acknowledge.ts";
import { causeOf } from "./cause.ts";
import { withClient } from "./client.ts";
import { DONE, type Message, tell } from "./failure.ts";
import {
  ASKING_RELAYS,
  isBack,
  notReachable,
  pickupProgress,
  WATCH_ENDED,
  watching,
  watchStopped,
} from "./messages.ts";
import { batchesOf, type PickupOptions, recipient } from "./pickup.ts";
import { printPicked } from "./print-picked.ts";
import { progressLine, type Terminal } from "./terminal.ts";

/**
 * `deaddrop watch`: prints what is held and what comes, until `signal` is aborted. Tells when a relay cannot be reached and when it is back. Answers the exit
 * code.
 */
export async function watch(
  options: PickupOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  return withClient(await recipient(options, terminal), options, async (client) => {
    const { stderr } = terminal;
    const line = progressLine(terminal);
    const say = (message: Message): void => {
      line.done();
      tell(stderr, message);
    };
    const failing = new AbortController();
    const relays = new WatchedRelays(signal, say);
    const acknowledgements = new Acknowledgements(client, options, terminal, failing);
    const collection = client.watch({
      signal: AbortSignal.any([signal, failing.signal]),
      progress: (report) => relays.changed(report),
    });
    let printed = 0;
    let isFirst = true;
    const gathered = (count: number): void => {
      const { length } = client.relays;
      if (isFirst) line.progress(pickupProgress(count, relays.read, length));
    };
    line.progress(ASKING_RELAYS);
    for await (const batch of batchesOf(collection, options, {
      heldAll: collection.caughtUp,
      gathered,
    })) {
      line.done();
      const ids: string[] = [];
      for (const picked of batch)
        if (await printPicked(picked, options, terminal)) ids.push(picked.id);
      printed += ids.length;
      if (options.ack && ids.length > 0) acknowledgements.add(ids);
      if (isFirst && !options.json && !signal.aborted) say(watching(client.relays));
      isFirst = false;
    }
    await acknowledgements.settled();
    // Ctrl-C is shown where it was typed, too.
    line.done();
    return tell(stderr, signal.aborted ? watchStopped(printed) : WATCH_ENDED);
  });
}

/** What is known of the relays of a watch: says when one is not there, and when it is back, once each. */
class WatchedRelays {
  readonly #signal: AbortSignal;
  readonly #say: (message: Message) => void;
  readonly #read = new Set<string>();
  readonly #down = new Set<string>();

  constructor(signal: AbortSignal, say: (message: Message) => void) {
    this.#signal = signal;
    this.#say = say;
  }

  /** How many have sent what they hold, or could not. */
  get read(): number {
    return this.#read.size;
  }

  changed({ url, state, reason }: CollectionReport): void {
    // What is given up in the end was not lost.
    if (state === "reading" || this.#signal.aborted) return;
    if (state === "failed" && !this.#down.has(url)) this.#say(notReachable(url, causeOf(reason)));
    if (state === "complete" && this.#down.has(url)) this.#say(isBack(url));
    if (state === "failed") this.#down.add(url);
    else this.#down.delete(url);
    this.#read.add(url);
  }
}

/** Acknowledges what a watch has printed, one call after the other, each for all that was printed meanwhile. What is printed next does not wait for relays. */
class Acknowledgements {
  readonly #client: DeadDrop;
  readonly #options: PickupOptions;
  readonly #terminal: Terminal;
  readonly #failing: AbortController;
  // By relay: what was told of it last.
  readonly #told = new Map<string, string>();
  #ids: string[] = [];
  #running: Promise<void> | undefined;
  #failure: Error | undefined;

  /** `failing`: aborted when an acknowledgement cannot be kept. */
  constructor(
    client: DeadDrop,
    options: PickupOptions,
    terminal: Terminal,
    failing: AbortController,
  ) {
    this.#client = client;
    this.#options = options;
    this.#terminal = terminal;
    this.#failing = failing;
  }

  add(ids: readonly string[]): void {
    this.#ids.push(...ids);
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** Resolves when all relays were told or could not be. Rejects with what went wrong. */
  async settled(): Promise<void> {
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #run(): Promise<void> {
    try {
      while (this.#ids.length > 0) {
        const ids = this.#ids.splice(0);
        const reports = await acknowledge(this.#client, ids, this.#options, this.#terminal);
        for (const report of reports) {
          const { url, state } = report;
          const message = untold(report, DONE);
          // A relay that is not there is told of once, not with each message.
          if (message !== undefined && this.#told.get(url) !== state) {
            tell(this.#terminal.stderr, message);
          }
          this.#told.set(url, state);
        }
      }
    } catch (error) {
      this.#failure = error as Error;
      this.#failing.abort();
    }
  }
}
