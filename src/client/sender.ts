// A message's way out: sealed, wrapped, mined to what its relays ask for, and handed to a delivery.

import type { NostrEvent } from "../nostr/event.ts";
import { Delivery } from "./delivery.ts";
import { type Miner, type MiningOptions, signed } from "./mining.ts";
import { isBlocked } from "./private-host.ts";
import type { RelayPool } from "./relay-pool.ts";
import type { Runtime } from "./runtime.ts";
import { type DeliveryTarget, isSavedDelivery, type SavedDelivery } from "./saved-delivery.ts";
import { type OutgoingMessage, sealMessage } from "./sealed-message.ts";
import type { ResumeOptions, SendOptions, WrapOptions } from "./send-options.ts";
import type { UnsignedWrap } from "./wrap.ts";

const MAX_ID_BITS = 256;

export type SenderParts = {
  readonly pool: RelayPool;
  readonly runtime: Runtime;
  readonly miner: Miner;
  /** Aborted when the client is closed. */
  readonly closing: AbortSignal;
};

export class Sender {
  readonly #parts: SenderParts;
  readonly #maxBits: number;

  /** `maxProofOfWork`: the most leading zero bits that are mined. */
  constructor(parts: SenderParts, { maxProofOfWork }: { readonly maxProofOfWork: number }) {
    this.#parts = parts;
    this.#maxBits = maxProofOfWork;
  }

  /** A wrap alone, that goes nowhere. */
  async wrap(outgoing: OutgoingMessage, options: WrapOptions): Promise<NostrEvent> {
    const { signal, mining: progress, proofOfWork = 0 } = options;
    if (!(Number.isInteger(proofOfWork) && proofOfWork >= 0 && proofOfWork <= MAX_ID_BITS)) {
      throw new RangeError(`proofOfWork: ${proofOfWork} is no number of bits of an id`);
    }
    const sealed = await sealMessage(outgoing, options, this.#parts.runtime);
    return this.#mine(await sealed.wrap(), proofOfWork, { signal, progress });
  }

  /** Resolves when a quorum of the relays holds the message, or when all have answered and it does not. Rejects with a RangeError for wrong options. */
  async send(
    outgoing: OutgoingMessage,
    relays: readonly string[],
    sending: Omit<SendOptions, "from" | "relays">,
  ): Promise<Delivery> {
    const quorum = sending.quorum ?? Math.floor(relays.length / 2) + 1;
    if (!(Number.isInteger(quorum) && quorum >= 1 && quorum <= relays.length)) {
      throw new RangeError(`a quorum of ${quorum} is not to be had from ${relays.length} relays`);
    }
    const sealed = await sealMessage(outgoing, sending, this.#parts.runtime);
    const shared = sending.rewrap === true ? undefined : await sealed.wrap();
    const unsigned = new Map<string, UnsignedWrap>();
    for (const url of relays) unsigned.set(url, shared ?? (await sealed.wrap()));

    const mining: MiningOptions = { signal: sending.signal, progress: sending.mining };
    const targets = await this.#targets(unsigned, mining);
    const mineAgain = async (url: string, bits: number): Promise<NostrEvent | undefined> => {
      const without = unsigned.get(url);
      return without && bits <= this.#maxBits ? this.#mine(without, bits, mining) : undefined;
    };
    return this.#deliver({ message: sealed.id, quorum, targets }, sending, mineAgain);
  }

  /** Goes on with a delivery that was saved. Rejects with a TypeError for what is none. */
  async resume(saved: SavedDelivery, options: ResumeOptions): Promise<Delivery> {
    if (!isSavedDelivery(saved)) throw new TypeError("that is no saved delivery");
    const named = saved.targets.filter(({ isFound = false }) => !isFound);
    this.#parts.pool.trust(named.map(({ url }) => url));
    // The key that signed the wraps was thrown away, so they are what they are.
    return this.#deliver(saved, options, async () => undefined);
  }

  // Signs the wraps, with as much proof of work as their relays ask for.
  async #targets(
    unsigned: ReadonlyMap<string, UnsignedWrap>,
    mining: MiningOptions,
  ): Promise<DeliveryTarget[]> {
    const { pool } = this.#parts;
    const asked = await Promise.all(
      [...unsigned].map(async ([url, wrapped]) => {
        const { proofOfWork: bits, maxEventBytes, why } = await pool.informationOf(url);
        return { url, isFound: !pool.isTrusted(url), wrapped, bits, maxEventBytes, why };
      }),
    );
    const targets: DeliveryTarget[] = [];
    const mined = new Map<UnsignedWrap, NostrEvent>();
    for (const { url, isFound, wrapped, bits, maxEventBytes = Infinity, why: unread } of asked) {
      if (isBlocked(unread)) {
        targets.push({ url, why: unread });
        continue;
      }
      if (bits > this.#maxBits) {
        const why = `pow: the relay asks for ${bits} bits, at most ${this.#maxBits} are mined here`;
        targets.push({ url, why });
        continue;
      }
      // One wrap for several relays has what the most demanding of them asks for.
      const together = asked.filter((other) => other.wrapped === wrapped);
      const all = together.map((other) => other.bits).filter((other) => other <= this.#maxBits);
      const event = mined.get(wrapped) ?? (await this.#mine(wrapped, Math.max(...all), mining));
      mined.set(wrapped, event);
      const bytes = new TextEncoder().encode(JSON.stringify(event)).length;
      // Relays end a connection over what is far too large, and say no word.
      targets.push(
        bytes > maxEventBytes
          ? { url, why: `invalid: a drop of ${bytes} bytes, the relay takes ${maxEventBytes}` }
          : { url, wrap: event, isFound },
      );
    }
    return targets;
  }

  #mine(wrapped: UnsignedWrap, bits: number, mining: MiningOptions): Promise<NostrEvent> {
    const { miner, closing } = this.#parts;
    const signal =
      mining.signal === undefined ? closing : AbortSignal.any([mining.signal, closing]);
    return signed(wrapped, bits, miner, { ...mining, signal });
  }

  async #deliver(
    { message, quorum, targets }: SavedDelivery,
    { signal, progress, prepared }: Pick<SendOptions, "signal" | "progress" | "prepared">,
    mineAgain: (url: string, bits: number) => Promise<NostrEvent | undefined>,
  ): Promise<Delivery> {
    const { pool, runtime } = this.#parts;
    const delivery = new Delivery(
      {
        connectionTo: (url) => pool.forDrops(url),
        informationOf: (url) => pool.informationOf(url),
        mineAgain,
        runtime,
      },
      targets,
      { message, quorum, patienceSeconds: pool.patienceSeconds, signal, progress },
    );
    await prepared?.(delivery);
    return delivery.retry();
  }
}
