import type { Drop } from "../nostr/drop.ts";
import type { NostrEvent } from "../nostr/event.ts";
import { ANNOUNCED_AFTER_MS, type Store } from "../store/store.ts";
import type { Observer } from "./observer.ts";
import type { Subscription } from "./subscription.ts";

/** Who listens for whom. Delivery costs what the recipient's own subscriptions cost, however many others there are. */
export class LiveIndex {
  // Most have one; a set for each would be most of what an idle connection costs here.
  readonly #byRecipient = new Map<string, Subscription | Set<Subscription>>();

  add(subscription: Subscription): void {
    for (const recipient of subscription.recipients) {
      const listening = this.#byRecipient.get(recipient);
      if (listening === undefined) this.#byRecipient.set(recipient, subscription);
      else if (listening instanceof Set) listening.add(subscription);
      else this.#byRecipient.set(recipient, new Set([listening, subscription]));
    }
  }

  remove(subscription: Subscription): void {
    for (const recipient of subscription.recipients) {
      const listening = this.#byRecipient.get(recipient);
      if (listening === subscription) this.#byRecipient.delete(recipient);
      else if (listening instanceof Set && listening.delete(subscription) && listening.size === 0) {
        this.#byRecipient.delete(recipient);
      }
    }
  }

  /** Delivers what the store commits from now on. Answers how to stop. */
  follow(store: Store, observer: Observer): () => void {
    return store.subscribe(
      (committed) => {
        for (const drop of committed) {
          observer.count("drop delivered live", this.deliver(drop, drop.seq));
        }
      },
      (recipient) => this.#byRecipient.has(recipient),
    );
  }

  /** Hands on a drop that is stored nowhere: as much later as one that is, whoever listens. */
  passOn(drop: Drop): void {
    setTimeout(() => this.deliver(drop, undefined), ANNOUNCED_AFTER_MS);
  }

  /** Hands the drop to every subscription that listens for its recipient; `seq` is undefined for one that is only passed on. Answers how many took it. */
  deliver(drop: Drop, seq: number | undefined): number {
    const listening = this.#byRecipient.get(drop.recipient);
    if (listening === undefined) return 0;
    const subscriptions = listening instanceof Set ? listening : [listening];
    const event = eventOf(drop);
    let delivered = 0;
    for (const subscription of subscriptions) {
      if (subscription.take(drop, seq, event, delivered > 0)) delivered += 1;
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
