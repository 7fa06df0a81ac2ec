// A store that another thread has open. What is written, and what is in a box, is asked of that thread through a port; the drops themselves are read from
// the memory map, which all threads share.
//
// - An answer is posted before the announcement of what was committed with it, as the contract has it. Between two threads that is all: one may hear of a
//   drop while the other is still telling its sender OK.
// - A thread sees every removal that was answered before the turn it reads in.

import type { MessagePort } from "node:worker_threads";

import { packDrop } from "../nostr/drop.ts";
import {
  type Asked,
  type Question,
  type Told,
  unpackCommitted,
  unpackHeaders,
} from "./remote-messages.ts";
import type { SharedState } from "./shared-state.ts";
import type { AcknowledgeOutcome, Held, PutOutcome, Store, Swept, VanishOutcome } from "./store.ts";
import { type Incidents, isStoreError } from "./incidents.ts";
import { readDrops, readEvent } from "./tables.ts";
import { totalsOf } from "./totals.ts";
import { openView } from "./unlocked.ts";

type Waiting = {
  readonly done: (answer: never) => void;
  readonly failed: (error: Error) => void;
};

/** The store in `folder` as seen through `port`, at whose other end `shareStore` was called. */
export function remoteStore(
  port: MessagePort,
  folder: string,
  shared: Pick<SharedState, "newest" | "arrivals" | "secret">,
  { damaged, lost }: Pick<Incidents, "damaged" | "lost">,
): Store {
  const newest = new BigInt64Array(shared.newest);
  const view = openView(folder, shared.secret);
  const { root, tables } = view;
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
  // What is read from the map; what is asked of the other thread fails there.
  function reading<Found>(read: () => Found): Found {
    try {
      refresh();
      return read();
    } catch (error) {
      if (isStoreError(error)) lost(error);
      throw error;
    }
  }
  function announce(packed: readonly (number | string)[]): void {
    isFresh = false;
    for (const [listener, wants] of listeners) {
      const wanted: Held[] = [];
      for (const committed of unpackCommitted(packed)) {
        if (!wants(committed.recipient)) continue;
        const listed = { ...committed, idPrefix: committed.id };
        const [json] = reading(() => readDrops(tables, [listed], damaged));
        // Acknowledged since.
        if (json !== undefined) wanted.push({ ...committed, json });
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
    for (let at = 0; at < failures.length; at += 3) {
      const [number, name, message] = failures.slice(at, at + 3) as [number, string, string];
      take(number)?.failed(Object.assign(new Error(message), { name }));
    }
    isFresh = false;
    if (committed.length > 0) announce(committed);
  });

  return {
    put: (drop, now) => ask<PutOutcome>("put", now, ...packDrop(drop)),
    acknowledge: (acknowledged, now) => ask<AcknowledgeOutcome>("acknowledge", acknowledged, now),
    vanish: (vanishing, now) => ask<VanishOutcome>("vanish", vanishing, now),
    sweep: (of, now, from) => ask<Swept>("sweep", of, now, from),
    async list(recipient, window, max) {
      return unpackHeaders(recipient, await ask("list", recipient, window, max));
    },
    read: (headers) => reading(() => readDrops(tables, headers, damaged)),
    event: (listed) => reading(() => readEvent(tables, listed, damaged)),
    get watermark() {
      return Number(Atomics.load(newest, 0));
    },
    subscribe(listener, wants = () => true) {
      listeners.set(listener, wants);
      return () => listeners.delete(listener);
    },
    totals: () => reading(() => totalsOf(view, shared)),
    async close() {
      isClosed = true;
      flush();
      while (waiting.size > 0) await new Promise((resolve) => setImmediate(resolve));
      port.close();
      await view.close();
    },
  };
}
