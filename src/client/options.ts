// How a client is set up.

import type { Fetch } from "./document.ts";
import type { Miner } from "./mining.ts";
import type { OutboxStore } from "./outbox-store.ts";
import type { ReceiptOptions } from "./receipts.ts";
import type { Runtime } from "./runtime.ts";
import type { Signer } from "./signer.ts";
import { oneAtATime } from "./signing-queue.ts";
import type { WebSocketFactory } from "./socket.ts";
import type { Receiver } from "./unwrap.ts";

/** How relays are connected to. */
export type Network = {
  /** Default: the global one, of browsers and of Node 22. On Node 20 the class of the package `ws`. */
  readonly webSocket?: WebSocketFactory;
  /** What fetches documents of relays (NIP-11) and domains (NIP-05). Default: the global one. */
  readonly fetch?: Fetch;
  /** The same, for what other people name: a recipient's list, an nprofile, a domain. Default: the same. */
  readonly strangers?: Pick<Network, "webSocket" | "fetch">;
};

export type DeadDropOptions = Network & {
  /** One's own relays: where others drop for one, and where acknowledgements go. */
  readonly relays: readonly string[];
  /** One's keys. The first signs what is sent. A `Receiver` is a key that was made for receiving (NIP-RK) and the identity behind it. */
  readonly keys: readonly (Signer | Receiver)[];
  /** Relays that are asked for other people's kind 10050 lists. */
  readonly discovery?: readonly string[];
  /** Where acknowledgements wait for relays that are down. Default: memory. */
  readonly outbox?: OutboxStore;
  /**
   * How many connections to each relay the keys are spread over, so that it does not see them all together; receiving keys are never on one with one's
   * own. Default: 1.
   */
  readonly connections?: number;
  /** The most leading zero bits that are mined. Default: 24, some minutes at most. */
  readonly maxProofOfWork?: number;
  /** Tell senders that their messages were acknowledged: off unless given. The relays see one more drop. */
  readonly receipts?: ReceiptOptions;
  /** How long a relay may take to answer, seconds. Default: 10. */
  readonly patienceSeconds?: number;
  /** A relay that is not there is tried again after so many seconds, then less and less often. Default: 1. */
  readonly retrySeconds?: number;
  /** Default: a worker. */
  readonly miner?: Miner;
  /** Default: the system's clock and random numbers. */
  readonly runtime?: Runtime;
  /** Told what relays say to people, and which of one's keys they do not believe. */
  readonly notice?: (url: string, text: string) => void;
};

export const DEFAULT_CONNECTIONS = 1;
export const DEFAULT_MAX_PROOF_OF_WORK = 24;
export const DEFAULT_PATIENCE_SECONDS = 10;
export const DEFAULT_RETRY_SECONDS = 1;

/** One's keys by the key that is addressed: one's own are addressed themselves. */
export function receiversOf(keys: DeadDropOptions["keys"]): ReadonlyMap<string, Receiver> {
  const receivers = keys.map((given): Receiver => {
    const { address, identity, ...rest } =
      "address" in given ? given : { address: given, identity: given };
    return { ...rest, address: oneAtATime(address), identity: oneAtATime(identity) };
  });
  return new Map(receivers.map((receiver) => [receiver.address.key, receiver]));
}
