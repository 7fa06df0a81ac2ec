import type { MessagePort } from "node:worker_threads";

/**
 * A pool's thread, seen from inside: answers each batch of texts that comes through `port` with a batch of answers. Says that it is ready first, and runs
 * `closing` when the pool has no more to ask.
 */
export function serveBatches<Answer>(
  port: MessagePort,
  answer: (texts: readonly string[]) => Answer[],
  closing: () => Promise<void>,
): void {
  port.on("message", (texts: readonly string[] | undefined) => {
    if (texts !== undefined) {
      port.postMessage(answer(texts));
      return;
    }
    void closing().then(() => port.close());
  });
  port.postMessage("ready");
}
