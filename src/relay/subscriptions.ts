import type { Reason } from "../nostr/reason.ts";
import { UNREADABLE } from "./answer.ts";
import type { ConnectionHost } from "./host.ts";
import { reportFailure } from "./observer.ts";
import type { Outbox } from "./outbox.ts";
import { sayClosed } from "./replies.ts";
import type { Subscription } from "./subscription.ts";

/**
 * The open subscriptions of one connection, by their id. Of several one at a time is scanned for: they share the socket, and each holds a list of what it
 * found while it waits for the reader.
 */
export class Subscriptions {
  readonly #host: ConnectionHost;
  readonly #outbox: Outbox;
  readonly #address: string;
  readonly #open = new Map<string, Subscription>();
  // What waits for its scan, while another one is scanned for.
  #unscanned: [id: string, Subscription][] | undefined;

  constructor(host: ConnectionHost, outbox: Outbox, address: string) {
    this.#host = host;
    this.#outbox = outbox;
    this.#address = address;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Listens for it from now on, and sends what is held when its turn has come. */
  open(id: string, subscription: Subscription): void {
    this.#open.set(id, subscription);
    this.#host.live.add(subscription);
    if (this.#unscanned === undefined) void this.#scan(id, subscription);
    else this.#unscanned.push([id, subscription]);
  }

  close(id: string): void {
    const subscription = this.#open.get(id);
    if (subscription === undefined) return;
    this.#open.delete(id);
    this.#host.live.remove(subscription);
    const waiting = this.#unscanned?.findIndex(([, other]) => other === subscription) ?? -1;
    if (waiting >= 0) this.#unscanned?.splice(waiting, 1);
    subscription.close();
  }

  /** Ends one and tells the client so: a REQ that is refused ends the one it was to replace. */
  refuse(id: string, reason: Reason): void {
    this.close(id);
    sayClosed(this.#outbox, id, reason);
  }

  closeAll(): void {
    for (const id of this.#open.keys()) this.close(id);
  }

  async #scan(id: string, subscription: Subscription): Promise<void> {
    this.#unscanned = [];
    let next: [string, Subscription] | undefined = [id, subscription];
    for (; next !== undefined; next = this.#unscanned.shift()) {
      await this.#sendHeld(...next);
      if (this.#unscanned.length > 0) await this.#host.rates.endTurn(this.#address);
    }
    this.#unscanned = undefined;
  }

  async #sendHeld(id: string, subscription: Subscription): Promise<void> {
    const { observer, log } = this.#host;
    try {
      observer.count("drop picked up", await subscription.send(await subscription.find()));
    } catch (error) {
      reportFailure(log, error);
      if (this.#open.get(id) === subscription) this.refuse(id, UNREADABLE);
    }
  }
}
