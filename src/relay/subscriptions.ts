import type { Reason } from "../nostr/reason.ts";
import { UNREADABLE } from "./answer.ts";
import type { ConnectionHost } from "./host.ts";
import { HEADER_BYTES, type Holding, TOO_MUCH } from "./holdings.ts";
import { countPickup, reportFailure } from "./observer.ts";
import type { Outbox } from "./outbox.ts";
import { sayClosed } from "./replies.ts";
import type { Subscription } from "./subscription.ts";

type Open = { readonly subscription: Subscription; readonly bytes: number };

// An entry of the live index.
const LISTENER_BYTES = 128;

/**
 * The open subscriptions of one connection, by their id. Of several one at a time is scanned for: they share the socket, and each holds a list of what it
 * found while it waits for the reader.
 */
export class Subscriptions {
  readonly #host: ConnectionHost;
  readonly #outbox: Outbox;
  readonly #holding: Holding;
  readonly #filterBytes: number;
  readonly #open = new Map<string, Open>();
  #bytes = 0;
  // What waits for its scan, while another one is scanned for.
  #unscanned: [id: string, Subscription][] | undefined;

  /** `filterBytes`: what the filters of all of them may take. */
  constructor(host: ConnectionHost, outbox: Outbox, holding: Holding, filterBytes: number) {
    this.#host = host;
    this.#outbox = outbox;
    this.#holding = holding;
    this.#filterBytes = filterBytes;
  }

  get size(): number {
    return this.#open.size;
  }

  /** Listens for it from now on, and sends what is held when its turn has come. Refuses one whose filters, of so many bytes, are more than can be kept. */
  open(id: string, subscription: Subscription, filterBytes: number): void {
    const bytes = filterBytes + LISTENER_BYTES * subscription.recipients.size;
    if (this.#bytes + bytes > this.#filterBytes || !this.#holding.take(bytes)) {
      this.refuse(id, TOO_MUCH);
      return;
    }
    this.#bytes += bytes;
    this.#open.set(id, { subscription, bytes });
    this.#host.live.add(subscription);
    if (this.#unscanned === undefined) void this.#scan(id, subscription);
    else this.#unscanned.push([id, subscription]);
  }

  close(id: string): void {
    const open = this.#open.get(id);
    if (open === undefined) return;
    const { subscription, bytes } = open;
    this.#open.delete(id);
    this.#bytes -= bytes;
    this.#holding.give(bytes);
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
    for (; next !== undefined; next = this.#unscanned.shift()) await this.#sendHeld(...next);
    this.#unscanned = undefined;
  }

  async #sendHeld(id: string, subscription: Subscription): Promise<void> {
    const { observer, log } = this.#host;
    const refuse = (reason: Reason): void => {
      if (this.#open.get(id)?.subscription === subscription) this.refuse(id, reason);
    };
    try {
      const found = await subscription.find();
      const bytes = HEADER_BYTES * found.headers.length;
      if (!this.#holding.take(bytes)) return refuse(TOO_MUCH);
      countPickup(observer, await subscription.send(found));
      this.#holding.give(bytes);
    } catch (error) {
      reportFailure(log, error);
      refuse(UNREADABLE);
    }
  }
}
