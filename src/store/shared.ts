import type { MessagePort } from "node:worker_threads";

import { unpackDrop } from "../nostr/drop.ts";
import {
  type Asked,
  packCommitted,
  packHeaders,
  type Question,
  type Told,
} from "./remote-messages.ts";
import type { Store } from "./store.ts";

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
          const { name, message } = error instanceof Error ? error : new Error(String(error));
          failures.push(number, name, message);
          soon();
        },
      );
    }
  });
  const unsubscribe = store.subscribe((drops) => {
    flush();
    port.postMessage({ committed: packCommitted(drops) } satisfies Told);
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
      return store.put(unpackDrop(drop), now);
    }
    case "acknowledge":
      return store.acknowledge(question[1], question[2]);
    case "vanish":
      return store.vanish(question[1], question[2]);
    case "list":
      return packHeaders(await store.list(question[1], question[2], question[3]));
    case "sweep": {
      const [, of, now, from] = question;
      return store.sweep(of, now, from && Buffer.from(from));
    }
  }
}
