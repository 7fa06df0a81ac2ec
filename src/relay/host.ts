import type { Store } from "../store/store.ts";
import type { Authenticator } from "./authenticate.ts";
import type { Connections } from "./connections.ts";
import type { Holdings } from "./holdings.ts";
import type { LiveIndex } from "./live.ts";
import type { Log, Observer } from "./observer.ts";
import type { Publisher } from "./publish.ts";
import type { Rates } from "./rates.ts";
import type { Refusals } from "./refusals.ts";
import type { Runtime } from "./runtime.ts";
import type { SubscriptionLimits } from "./subscription.ts";
import type { Turns } from "./turns.ts";

/** What a connection, or a pickup over HTTP, finds at the relay it belongs to. */
export type ConnectionHost = {
  readonly publisher: Publisher;
  readonly authenticator: Authenticator;
  readonly store: Store;
  readonly live: LiveIndex;
  readonly connections: Connections;
  readonly rates: Rates;
  readonly turns: Turns;
  readonly holdings: Holdings;
  readonly refusals: Refusals;
  readonly observer: Observer;
  readonly log: Log;
  readonly runtime: Runtime;
  readonly limits: SubscriptionLimits;
};
