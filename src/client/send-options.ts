// What a caller may ask of a sending.

import type { Delivery } from "./delivery.ts";
import type { RelayLookup } from "./relay-list.ts";
import type { Signer } from "./signer.ts";

export type SendOptions = {
  /** The recipient's relays. Default: looked up in their kind 10050 list. */
  readonly relays?: readonly string[];
  /** Relays that may have that list beside the discovery relays, as the recipient's nprofile or domain names them. */
  readonly hints?: readonly string[];
  /** What `lookUpRelays` answered for the recipient, so that it is not asked again. The relays in it are a stranger's word, unlike those that are given. */
  readonly lookup?: RelayLookup;
  /** Who writes. Default: the first of one's keys. */
  readonly from?: Signer;
  /** The receiving key to address, where the recipient has one for the sender (NIP-RK). Default: the recipient's own key. */
  readonly address?: string;
  /** A wrap of its own for each relay: they cannot tell that it is the same message. */
  readonly rewrap?: boolean;
  /** The message may be forgotten after so many seconds; a random part longer, so that it does not tell when it was sent. */
  readonly expiresInSeconds?: number;
  /** So many relays must hold it. Default: more than half of them. */
  readonly quorum?: number;
  readonly signal?: AbortSignal;
  /** Called, and awaited, before any relay gets the message: to save what a crash would lose. */
  readonly prepared?: (delivery: Delivery) => Promise<void>;
  /** Told whenever a relay has answered. */
  readonly progress?: (delivery: Delivery) => void;
  /** Told now and then, while proof of work is mined, how many nonces were tried. */
  readonly mining?: (tried: number) => void;
};

export type ResumeOptions = Pick<SendOptions, "signal" | "progress">;

/** How a message is wrapped. */
export type WrapOptions = Pick<
  SendOptions,
  "from" | "address" | "expiresInSeconds" | "signal" | "mining"
> & {
  /** Leading zero bits that the id is to have (NIP-13). Default: 0. */
  readonly proofOfWork?: number;
};
