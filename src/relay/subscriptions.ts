import type { LiveIndex } from "./live.ts";
import type { Subscription } from "./subscription.ts";

/** Whose subscriptions they are. */
type Owner = {
  /** Looks for what is held and sends it, then EOSE. Never rejects. */
  sendHeld(id: string, subscription: Subscription): Promise<void>;
  /** Lets the event loop have its turn. */
  pause(): Promise<void>;
};

/**
 * The open subscriptions of one connection, by their id. Of several one at a time is scanned for: they share the socket, and each holds a list of what it
 * found while it waits for the reader.
 */
export class Subscriptions {
  readonly #live: LiveIndex;
  readonly #owner: Owner;
  readonly #open = new Map<string, Subscription>();
  // What waits for its scan, while another one is scanned for.
  #unscanned: [id: string, Subscription][] | undefined;

  constructor(live: LiveIndex, owner: Owner) {
    this.#live = live;
    this.#owner = owner;
  }

  get size(): number {
    return this.#open.size;
  }

  get(id: string): Subscription | undefined {
    return this.#open.get(id);
  }

  /** Listens for it from now on, and sends what is held when its turn has come. */
  open(id: string, subscription: Subscription): void {
    this.#open.set(id, subscription);
    this.#live.add(subscription);
    if (this.#unscanned === undefined) void this.#scanAll(id, subscription);
    else this.#unscanned.push([id, subscription]);
  }

  close(id: string): void {
    const subscription = this.#open.get(id);
    if (subscription === undefined) return;
    this.#open.delete(id);
    this.#live.remove(subscription);
    const waiting = this.#unscanned?.findIndex(([, other]) => other === subscription) ?? -1;
    if (waiting >= 0) this.#unscanned?.splice(waiting, 1);
    subscription.close();
  }

  closeAll(): void {
    for (const id of this.#open.keys()) this.close(id);
  }

  async #scanAll(id: string, subscription: Subscription): Promise<void> {
    this.#unscanned = [];
    let next: [string, Subscription] | undefined = [id, subscription];
    for (; next !== undefined; next = this.#unscanned.shift()) {
      await this.#owner.sendHeld(...next);
      if (this.#unscanned.length > 0) await this.#owner.pause();
    }
    this.#unscanned = undefined;
  }
}
