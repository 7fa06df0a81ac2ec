import type { Reason } from "../nostr/reason.ts";
import type { ConnectionHost } from "./host.ts";
import { reportFailure } from "./observer.ts";
import type { Replies } from "./replies.ts";
import type { Subscription } from "./subscription.ts";

export type SubscriptionsParts = {
  readonly host: ConnectionHost;
  readonly replies: Replies;
  readonly address: string;
};

/** What is said of a box that the store could not show. */
export const UNREADABLE: Reason = "error: the box could not be read";

/**
 * The open subscriptions of one connection, by their id. Of several one at a time is scanned for: they share the socket, and each holds a list of what it
 * found while it waits for the reader.
 */
export class Subscriptions {
  readonly #parts: SubscriptionsParts;
  readonly #open = new Map<string, Subscription>();
  // What waits for its scan, while another one is scanned for.
  #unscanned: [id: string, Subscription][] | undefined;

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Listens for it from now on, and sends what is held when its turn has come. */
  open(id: string, subscription: Subscription): void {
    this.#open.set(id, subscription);
    this.#parts.host.live.add(subscription);
    if (this.#unscanned === undefined) void this.#scan(id, subscription);
    else this.#unscanned.push([id, subscription]);
  }

  close(id: string): void {
    const subscription = this.#open.get(id);
    if (subscription === undefined) return;
    this.#open.delete(id);
    this.#parts.host.live.remove(subscription);
    const waiting = this.#unscanned?.findIndex(([, other]) => other === subscription) ?? -1;
    if (waiting >= 0) this.#unscanned?.splice(waiting, 1);
    subscription.close();
  }

  /** Ends one and tells the client so: a REQ that is refused ends the one it was to replace. */
  refuse(id: string, reason: Reason): void {
    this.close(id);
    this.#parts.replies.closed(id, reason);
  }

  closeAll(): void {
    for (const id of this.#open.keys()) this.close(id);
  }

  async #scan(id: string, subscription: Subscription): Promise<void> {
    const { host, address } = this.#parts;
    this.#unscanned = [];
    let next: [string, Subscription] | undefined = [id, subscription];
    for (; next !== undefined; next = this.#unscanned.shift()) {
      await this.#sendHeld(...next);
      if (this.#unscanned.length > 0) await host.rates.endTurn(address);
    }
    this.#unscanned = undefined;
  }

  async #sendHeld(id: string, subscription: Subscription): Promise<void> {
    const { observer, log } = this.#parts.host;
    try {
      observer.count("drop picked up", await subscription.send(await subscription.find()));
    } catch (error) {
      reportFailure(log, error);
      if (this.#open.get(id) === subscription) this.refuse(id, UNREADABLE);
    }
  }
}
