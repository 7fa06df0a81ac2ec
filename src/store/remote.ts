// A store that another thread has open. What is written, and what is in a box, is asked of that thread through a port; the drops themselves are read from
// the memory map, which all threads share.
//
// - What is asked in one turn of the event loop travels together, and so do the answers.
// - An answer is posted before the announcement of what was committed with it, as the contract has it. Between two threads that is all: one may hear of a
//   drop while the other is still telling its sender OK.
// - A thread sees every removal that was answered before the turn it reads in.

import type { MessagePort } from "node:worker_threads";

import { gather, spread, type SpreadDrop } from "../nostr/drop.ts";
import type { SharedState } from "./boxes.ts";
import { fileUse } from "./disk.ts";
import type {
  Acknowledged,
  AcknowledgeOutcome,
  Header,
  Held,
  PutOutcome,
  Store,
  SweepCursor,
  Swept,
  Totals,
  Vanishing,
  VanishOutcome,
  Window,
} from "./store.ts";
import { entries, openEnvironment, readDrop } from "./tables.ts";

type Asked = readonly [number, ...Question];

type Question =
  | readonly ["put", now: number, ...SpreadDrop]
  | readonly ["acknowledge", Acknowledged, now: number]
  | readonly ["vanish", Vanishing, now: number]
  | readonly ["list", recipient: string, Window, max: number]
  | readonly ["sweep", "drops" | "tombstones", now: number, SweepCursor | undefined];

type Told = {
  /** Number of the question, answer; and so on. */
  readonly answers?: readonly unknown[];
  /** Number of the question, message of the error; and so on. */
  readonly failures?: readonly (number | string)[];
  /** `seq` and fields of every drop committed, without the JSON; and so on. */
  readonly committed?: readonly (number | string)[];
};

const COMMITTED_FIELDS = 7;
const LISTED_FIELDS = 6;

/** Lets another thread use the store through the other end of `port`. Answers how to stop that. */
export function shareStore(store: Store, port: MessagePort): () => void {
  let answers: unknown[] = [];
  let failures: (number | string)[] = [];
  let isFlushing = false;

  function flush(): void {
    isFlushing = false;
    if (answers.length === 0 && failures.length === 0) return;
    port.postMessage({ answers, failures } satisfies Told);
    answers = [];
    failures = [];
  }
  function soon(): void {
    if (isFlushing) return;
    isFlushing = true;
    // After all promises that are resolved now were heard.
    process.nextTick(flush);
  }
  port.on("message", (asked: readonly Asked[]) => {
    for (const [number, ...question] of asked) {
      answerTo(store, question).then(
        (answer) => {
          answers.push(number, answer);
          soon();
        },
        (error: unknown) => {
          failures.push(number, error instanceof Error ? error.message : String(error));
          soon();
        },
      );
    }
  });
  const unsubscribe = store.subscribe((drops) => {
    flush();
    const committed: (number | string)[] = [];
    for (const { seq, id, recipient, author, created_at, kind, expiry } of drops) {
      committed.push(seq, id, recipient, author, created_at, kind, expiry);
    }
    port.postMessage({ committed } satisfies Told);
  });
  return () => {
    unsubscribe();
    port.close();
  };
}

async function answerTo(store: Store, question: Question): Promise<unknown> {
  switch (question[0]) {
    case "put": {
      const [, now, ...drop] = question;
      return store.put(gather(drop), now);
    }
    case "acknowledge":
      return store.acknowledge(question[1], question[2]);
    case "vanish":
      return store.vanish(question[1], question[2]);
    case "list": {
      const headers = await store.list(question[1], question[2], question[3]);
      return headers.flatMap(({ seq, idPrefix, created_at, kind, expiry, bytes }) => [
        seq,
        idPrefix,
        created_at,
        kind,
        expiry,
        bytes,
      ]);
    }
    case "sweep": {
      const [, of, now, from] = question;
      return store.sweep(of, now, from && Buffer.from(from));
    }
  }
}

type Waiting = {
  readonly done: (answer: never) => void;
  readonly failed: (error: Error) => void;
};

/** The store in `folder` as seen through `port`, at whose other end `shareStore` was called. */
export function remoteStore(
  port: MessagePort,
  folder: string,
  shared: Pick<SharedState, "newest">,
): Store {
  const newest = new BigInt64Array(shared.newest);
  const { root, tables } = openEnvironment(folder, true);
  const listeners = new Map<(committed: readonly Held[]) => void, (recipient: string) => boolean>();
  const waiting = new Map<number, Waiting>();
  let asked: Asked[] = [];
  let questions = 0;
  let isFresh = false;
  let isClosed = false;

  function ask<Answer>(...question: Question): Promise<Answer> {
    if (isClosed) return Promise.reject(new Error("the store is closed"));
    if (asked.length === 0) setImmediate(flush);
    const number = questions++;
    asked.push([number, ...question]);
    return new Promise((done, failed) => waiting.set(number, { done, failed }));
  }
  function flush(): void {
    port.postMessage(asked);
    asked = [];
  }
  function take(number: number): Waiting | undefined {
    const one = waiting.get(number);
    waiting.delete(number);
    return one;
  }
  // Reads of one turn see one state, no older than the turn.
  function refresh(): void {
    if (isFresh) return;
    isFresh = true;
    root.resetReadTxn();
    process.nextTick(() => {
      isFresh = false;
    });
  }
  function announce(committed: readonly (number | string)[]): void {
    isFresh = false;
    for (const [listener, wants] of listeners) {
      const wanted: Held[] = [];
      for (let at = 0; at < committed.length; at += COMMITTED_FIELDS) {
        const [seq, id, recipient, author, created_at, kind, expiry] = committed.slice(
          at,
          at + COMMITTED_FIELDS,
        ) as [number, string, string, string, number, number, number];
        if (!wants(recipient)) continue;
        refresh();
        const json = readDrop(tables, seq);
        // Acknowledged since.
        if (json === undefined) continue;
        wanted.push({ seq, id, recipient, author, created_at, kind, expiry, json });
      }
      if (wanted.length > 0) listener(wanted);
    }
  }
  port.once("close", () => {
    isClosed = true;
    for (const { failed } of waiting.values()) failed(new Error("the store is gone"));
    waiting.clear();
  });
  port.on("message", ({ answers = [], failures = [], committed = [] }: Told) => {
    for (let at = 0; at < answers.length; at += 2) {
      take(answers[at] as number)?.done(answers[at + 1] as never);
    }
    for (let at = 0; at < failures.length; at += 2) {
      take(failures[at] as number)?.failed(new Error(String(failures[at + 1])));
    }
    isFresh = false;
    if (committed.length > 0) announce(committed);
  });

  return {
    put: (drop, now) => ask<PutOutcome>("put", now, ...spread(drop)),
    acknowledge: (acknowledged, now) => ask<AcknowledgeOutcome>("acknowledge", acknowledged, now),
    vanish: (vanishing, now) => ask<VanishOutcome>("vanish", vanishing, now),
    sweep: (of, now, from) => ask<Swept>("sweep", of, now, from),
    async list(recipient, window, max) {
      const listed = await ask<(number | string)[]>("list", recipient, window, max);
      const headers: Header[] = [];
      for (let at = 0; at < listed.length; at += LISTED_FIELDS) {
        const [seq, idPrefix, created_at, kind, expiry, bytes] = listed.slice(
          at,
          at + LISTED_FIELDS,
        ) as [number, string, number, number, number, number];
        headers.push({ seq, recipient, idPrefix, created_at, kind, expiry, bytes });
      }
      return headers;
    },
    read(headers) {
      refresh();
      return headers.map(({ seq }) => readDrop(tables, seq));
    },
    get watermark() {
      return Number(Atomics.load(newest, 0));
    },
    subscribe(listener, wants = () => true) {
      listeners.set(listener, wants);
      return () => listeners.delete(listener);
    },
    totals(): Totals {
      refresh();
      return {
        drops: entries(tables.drops) - entries(tables.discarded),
        tombstones: entries(tables.tombstones),
        ...fileUse({ root, tables }),
      };
    },
    async close() {
      isClosed = true;
      flush();
      while (waiting.size > 0) await new Promise((resolve) => setImmediate(resolve));
      port.close();
      await root.close();
    },
  };
}
