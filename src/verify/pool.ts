import { Worker } from "node:worker_threads";

/** How a pool's threads are started, and how much it takes. */
export type PoolSettings = {
  readonly workers: number;
  /** The module a thread runs: it calls `serveBatches`. */
  readonly module: URL;
  /** What the module finds in `workerData`. */
  readonly data: unknown;
  /** Texts that may wait for their answer, all together. */
  readonly waiting: number;
};

export type PoolEvents = {
  /** A thread ended though nobody asked it to, or hung. What it had was answered with undefined, and another took its place. */
  readonly workerLost: (error: Error) => void;
};

// What is posted to a thread together. Handing over one text at a time costs the event loop 7–23 µs each, sixteen or more together 1–2 µs; with larger batches
// the first answers wait for the last, and the writer with them.
const BATCH = 32;

// When a thread cannot be started, it is tried again after this.
const REPLACE_AGAIN_MS = 1_000;

// A thread that owes an answer and gives none for so long hangs: a batch takes milliseconds. Counted in looks and not by a clock, so that a process that was
// frozen is not taken for one that hangs.
const LOOK_MS = 1_000;
const MOST_SILENT_LOOKS = 5;

type Waiting<Answer> = (answer: Answer | undefined) => void;

type Thread<Answer> = {
  readonly worker: Worker;
  /** Who waits for each text posted, in the order of posting. */
  readonly waiting: Waiting<Answer>[][];
  load: number;
  /** Looks since it answered anything. */
  silent: number;
};

/**
 * Threads that each turn a text into an answer. Texts asked for in one turn of the event loop travel together, to the thread with the least to do.
 */
export class Pool<Answer> {
  readonly #settings: PoolSettings;
  readonly #events: PoolEvents;
  readonly #threads: Thread<Answer>[] = [];
  readonly #starting = new Set<Promise<void>>();
  #texts: string[] = [];
  #waiting: Waiting<Answer>[] = [];
  #flushing = false;
  #inFlight = 0;
  #closed = false;
  // What threads that start from now on are told first.
  #told: { readonly news: object } | undefined;
  readonly #looking: NodeJS.Timeout;

  private constructor(settings: PoolSettings, events: PoolEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#looking = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Resolves when every thread is ready. Rejects with the reason when one cannot start, and leaves none running then. */
  static async start<Answer>(settings: PoolSettings, events: PoolEvents): Promise<Pool<Answer>> {
    const pool = new Pool<Answer>(settings, events);
    try {
      await Promise.all(Array.from({ length: settings.workers }, () => pool.#spawn()));
    } catch (error) {
      await pool.close();
      throw error;
    }
    return pool;
  }

  /** False when no thread runs and none could be started. */
  get isAlive(): boolean {
    return this.#threads.length > 0;
  }

  /** Threads that run. */
  get threads(): number {
    return this.#threads.length;
  }

  /** Texts that wait for their answer. */
  get waiting(): number {
    return this.#inFlight;
  }

  /** False when so much waits already that asking for more would only make everybody wait longer. */
  get hasRoom(): boolean {
    return this.#inFlight < this.#settings.waiting;
  }

  /** Resolves to the answer, or to undefined when the thread was lost or the pool is closed. */
  ask(text: string): Promise<Answer | undefined> {
    if (this.#closed) return Promise.resolve(undefined);
    this.#inFlight += 1;
    return new Promise((resolve) => {
      this.#texts.push(text);
      this.#waiting.push(resolve);
      if (this.#texts.length >= BATCH) this.#flush();
      else if (!this.#flushing) {
        this.#flushing = true;
        setImmediate(() => this.#flush());
      }
    });
  }

  /** Tells every thread something that is to hold for all texts asked from now on. Resolves when none works by what it was told before. */
  async tell(news: object): Promise<void> {
    // What was asked before is posted before.
    this.#flush();
    this.#told = { news };
    await Promise.all(this.#threads.map((thread) => this.#tell(thread, news)));
  }

  /** Answers what was asked, and resolves when every thread has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#flush();
    await Promise.allSettled(this.#starting);
    await Promise.all(
      this.#threads.map(({ worker }) => {
        const ended = new Promise((resolve) => worker.once("exit", resolve));
        // Not terminated: a thread closes what it has open.
        worker.postMessage(undefined);
        return ended;
      }),
    );
    clearInterval(this.#looking);
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#texts.length === 0) return;
    const thread = this.#leastLoaded();
    if (thread === undefined) {
      this.#inFlight -= this.#waiting.length;
      for (const resolve of this.#waiting) resolve(undefined);
      this.#texts = [];
      this.#waiting = [];
      return;
    }
    thread.load += this.#texts.length;
    thread.waiting.push(this.#waiting);
    thread.worker.postMessage(this.#texts);
    this.#texts = [];
    this.#waiting = [];
  }

  // News wait for their turn like texts, and are answered in theirs; with nothing when the thread is lost.
  #tell(thread: Thread<Answer>, news: object): Promise<unknown> {
    return new Promise((resolve) => {
      thread.load += 1;
      this.#inFlight += 1;
      thread.waiting.push([resolve]);
      thread.worker.postMessage({ news });
    });
  }

  #replace(): void {
    if (this.#closed) return;
    this.#spawn().catch((cause: unknown) => {
      this.#events.workerLost(cause instanceof Error ? cause : new Error(String(cause)));
      setTimeout(() => this.#replace(), REPLACE_AGAIN_MS).unref();
    });
  }

  #leastLoaded(): Thread<Answer> | undefined {
    let least = this.#threads[0];
    for (const thread of this.#threads) if (least && thread.load < least.load) least = thread;
    return least;
  }

  #spawn(): Promise<void> {
    const starting = this.#startThread();
    this.#starting.add(starting);
    return starting.finally(() => this.#starting.delete(starting));
  }

  #startThread(): Promise<void> {
    const { module, data } = this.#settings;
    const worker = new Worker(module, { workerData: data });
    const thread: Thread<Answer> = { worker, waiting: [], load: 0, silent: 0 };
    return new Promise((ready, failed) => {
      let error: Error | undefined;
      worker.on("error", (cause: Error) => {
        error = cause;
        failed(cause);
      });
      worker.once("exit", (code) => {
        const cause = error ?? new Error(`exit code ${code}`);
        failed(cause);
        this.#lost(thread, cause);
      });
      worker.once("message", () => {
        this.#threads.push(thread);
        worker.on("message", (answers: Answer[]) => this.#answered(thread, answers));
        if (this.#told !== undefined) void this.#tell(thread, this.#told.news);
        ready();
      });
    });
  }

  #answered(thread: Thread<Answer>, answers: (Answer | undefined)[]): void {
    thread.silent = 0;
    const waiting = thread.waiting.shift() ?? [];
    thread.load -= waiting.length;
    this.#inFlight -= waiting.length;
    for (const [index, resolve] of waiting.entries()) resolve(answers[index]);
  }

  #look(): void {
    for (const thread of this.#threads) if (thread.waiting.length > 0) thread.silent += 1;
    for (const thread of this.#threads.filter(({ silent }) => silent > MOST_SILENT_LOOKS)) {
      void thread.worker.terminate();
      this.#lost(thread, new Error("it hung"));
    }
  }

  #lost(thread: Thread<Answer>, error: Error): void {
    if (!this.#threads.includes(thread)) return;
    this.#threads.splice(this.#threads.indexOf(thread), 1);
    while (thread.waiting.length > 0) this.#answered(thread, []);
    if (this.#closed) return;
    this.#events.workerLost(error);
    this.#replace();
  }
}
