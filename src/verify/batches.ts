import type { MessagePort } from "node:worker_threads";

/**
 * A pool's thread, seen from inside: answers each batch of texts that comes through `port` with a batch of answers. Says that it is ready first, takes up
 * news with `hear` between two batches, and runs `closing` when the pool has no more to ask.
 */
export function serveBatches<Answer>(
  port: MessagePort,
  answer: (texts: readonly string[]) => Answer[],
  closing: () => Promise<void>,
  hear: (news: never) => void = () => {},
): void {
  port.on("message", (message: readonly string[] | { readonly news: object } | undefined) => {
    if (message !== undefined && "news" in message) {
      hear(message.news as never);
      port.postMessage([]);
      return;
    }
    if (message !== undefined) {
      port.postMessage(answer(message));
      return;
    }
    void closing().then(() => port.close());
  });
  port.postMessage("ready");
}
