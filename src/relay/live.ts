import type { Drop } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import type { Subscription } from "./subscription.ts";

/** Who listens for whom. Delivery costs what the recipient's own subscriptions cost, however many others there are. */
export class LiveIndex {
  readonly #byRecipient = new Map<string, Set<Subscription>>();

  add(subscription: Subscription): void {
    for (const recipient of subscription.recipients) {
      const subscriptions = this.#byRecipient.get(recipient);
      if (subscriptions === undefined) {
        this.#byRecipient.set(recipient, new Set([subscription]));
      } else {
        subscriptions.add(subscription);
      }
    }
  }

  remove(subscription: Subscription): void {
    for (const recipient of subscription.recipients) {
      const subscriptions = this.#byRecipient.get(recipient);
      subscriptions?.delete(subscription);
      if (subscriptions?.size === 0) this.#byRecipient.delete(recipient);
    }
  }

  /** Hands the drop to every subscription that listens for its recipient; `seq` is undefined for one that is only passed on. Answers how many took it. */
  deliver(drop: Drop, seq: number | undefined): number {
    const subscriptions = this.#byRecipient.get(drop.recipient);
    if (subscriptions === undefined) return 0;
    const event = eventOf(drop);
    let delivered = 0;
    for (const subscription of subscriptions) {
      if (subscription.take(drop, seq, event)) delivered += 1;
    }
    return delivered;
  }
}

// The drop as filters see it. Its tags and content are parsed only for a filter that asks.
function eventOf(drop: Drop): NostrEvent {
  const { id, author, created_at, kind, json } = drop;
  let parsed: NostrEvent | undefined;
  const whole = (): NostrEvent => (parsed ??= JSON.parse(json) as NostrEvent);
  return {
    id,
    pubkey: author,
    created_at,
    kind,
    get tags() {
      return whole().tags;
    },
    get content() {
      return whole().content;
    },
    get sig() {
      return whole().sig;
    },
  };
}
