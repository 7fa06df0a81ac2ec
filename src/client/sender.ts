import type { NostrEvent } from "../nostr/event.ts";
import { type Addressed, Delivery, mustBeSaved, type SavedDelivery } from "./delivery.ts";
import type { Links } from "./links.ts";
import { type Miner, type MiningOptions, signed } from "./mining.ts";
import { type EventTemplate, mustBeHex, type Signer } from "./signer.ts";
import {
  type Chance,
  expirationAfter,
  rumorOf,
  seal,
  type Unsigned,
  wholeSeconds,
  wrap,
} from "./wrap.ts";

export type SendOptions = {
  /** The recipient's relays. Default: looked up in their kind 10050 list. */
  readonly relays?: readonly string[];
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

export type SenderParts = {
  readonly links: Links;
  readonly chance: Chance;
  readonly miner: Miner;
  /** Aborted when the client is closed. */
  readonly closing: AbortSignal;
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

/** A message and who writes it to whom. */
export type Writing = {
  readonly recipient: string;
  readonly message: string | EventTemplate;
  readonly from: Signer;
};

type Sealed = {
  /** The id of the message. */
  readonly id: string;
  /** Makes a wrap: another one each time. */
  readonly wrap: () => Promise<Unsigned>;
};

/** Makes wraps of messages and brings them to relays. */
export class Sender {
  readonly #parts: SenderParts;
  readonly #maxBits: number;

  /** `maxProofOfWork`: the most leading zero bits that are mined. */
  constructor(parts: SenderParts, { maxProofOfWork }: { readonly maxProofOfWork: number }) {
    this.#parts = parts;
    this.#maxBits = maxProofOfWork;
  }

  /** A wrap alone. */
  async wrap(writing: Writing, options: WrapOptions): Promise<NostrEvent> {
    const sealed = await this.#seal(writing, options);
    const { signal, mining: progress, proofOfWork = 0 } = options;
    return this.#mine(await sealed.wrap(), proofOfWork, { signal, progress });
  }

  async send(
    writing: Writing,
    relays: readonly string[],
    sending: Omit<SendOptions, "from" | "relays">,
  ): Promise<Delivery> {
    const quorum = sending.quorum ?? Math.floor(relays.length / 2) + 1;
    if (!(Number.isInteger(quorum) && quorum >= 1 && quorum <= relays.length)) {
      throw new RangeError(`a quorum of ${quorum} is not to be had from ${relays.length} relays`);
    }
    const sealed = await this.#seal(writing, sending);
    const shared = sending.rewrap === true ? undefined : await sealed.wrap();
    const unsigned = new Map<string, Unsigned>();
    for (const url of relays) unsigned.set(url, shared ?? (await sealed.wrap()));

    const mining: MiningOptions = { signal: sending.signal, progress: sending.mining };
    const parcels = await this.#address(unsigned, mining);
    const mineAgain = async (url: string, bits: number): Promise<NostrEvent | undefined> => {
      const without = unsigned.get(url);
      return without && bits <= this.#maxBits ? this.#mine(without, bits, mining) : undefined;
    };
    return this.#deliver({ message: sealed.id, quorum, parcels }, sending, mineAgain);
  }

  async resume(saved: SavedDelivery, options: ResumeOptions): Promise<Delivery> {
    mustBeSaved(Object(saved) as SavedDelivery);
    // The key that signed the wraps was thrown away, so they are what they are.
    return this.#deliver(saved, options, async () => undefined);
  }

  async #seal(
    { recipient, message, from }: Writing,
    { address = recipient, expiresInSeconds }: Pick<SendOptions, "address" | "expiresInSeconds">,
  ): Promise<Sealed> {
    const { chance } = this.#parts;
    mustBeHex(recipient, "key");
    mustBeHex(address, "key");
    const rumor = rumorOf(from.key, recipient, message, chance);
    const sealed = await seal(rumor, from, recipient, chance).catch(tooLong);
    const seconds =
      expiresInSeconds === undefined
        ? undefined
        : wholeSeconds(expiresInSeconds, "expiresInSeconds");
    return {
      id: rumor.id,
      wrap() {
        // Another one for each wrap: the same would tell that it is the same message.
        const expiration = seconds === undefined ? undefined : expirationAfter(seconds, chance);
        return wrap(sealed, address, expiration, chance).catch(tooLong);
      },
    };
  }

  // Signs the wraps, with as much proof of work as their relays ask for.
  async #address(
    unsigned: ReadonlyMap<string, Unsigned>,
    mining: MiningOptions,
  ): Promise<Addressed[]> {
    const asked = await Promise.all(
      [...unsigned].map(async ([url, wrapped]) => {
        const { proofOfWork: bits, maxEventBytes } = await this.#parts.links.factsOf(url);
        return { url, wrapped, bits, maxEventBytes };
      }),
    );
    const addressed: Addressed[] = [];
    const mined = new Map<Unsigned, NostrEvent>();
    for (const { url, wrapped, bits, maxEventBytes = Infinity } of asked) {
      if (bits > this.#maxBits) {
        const why = `pow: the relay asks for ${bits} bits, at most ${this.#maxBits} are mined here`;
        addressed.push({ url, why });
        continue;
      }
      // One wrap for several relays has what the most demanding of them asks for.
      const together = asked.filter((other) => other.wrapped === wrapped);
      const all = together.map((other) => other.bits).filter((other) => other <= this.#maxBits);
      const event = mined.get(wrapped) ?? (await this.#mine(wrapped, Math.max(...all), mining));
      mined.set(wrapped, event);
      const bytes = new TextEncoder().encode(JSON.stringify(event)).length;
      // Relays end a connection over what is far too large, and say no word.
      addressed.push(
        bytes > maxEventBytes
          ? { url, why: `invalid: a drop of ${bytes} bytes, the relay takes ${maxEventBytes}` }
          : { url, wrap: event },
      );
    }
    return addressed;
  }

  #mine(wrapped: Unsigned, bits: number, mining: MiningOptions): Promise<NostrEvent> {
    const { miner, closing } = this.#parts;
    const signal =
      mining.signal === undefined ? closing : AbortSignal.any([mining.signal, closing]);
    return signed(wrapped, bits, miner, { ...mining, signal });
  }

  async #deliver(
    { message, quorum, parcels }: SavedDelivery,
    { signal, progress, prepared }: Pick<SendOptions, "signal" | "progress" | "prepared">,
    mineAgain: (url: string, bits: number) => Promise<NostrEvent | undefined>,
  ): Promise<Delivery> {
    const { links, chance } = this.#parts;
    const delivery = new Delivery(
      {
        linkTo: (url) => links.toDrop(url),
        factsOf: (url) => links.factsOf(url),
        mineAgain,
        chance,
      },
      parcels,
      { message, quorum, patienceSeconds: links.patienceSeconds, signal, progress },
    );
    await prepared?.(delivery);
    return delivery.retry();
  }
}

function tooLong(error: unknown): never {
  throw new RangeError(`the message cannot be encrypted: ${(error as Error).message}`, {
    cause: error,
  });
}
