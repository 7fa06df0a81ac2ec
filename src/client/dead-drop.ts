import type { NostrEvent } from "../nostr/event.ts";
import type { Collection } from "./collection.ts";
import type { Delivery, SavedDelivery } from "./delivery.ts";
import type { WebSocketFactory } from "./line.ts";
import { Links, MAX_RETRY_SECONDS } from "./links.ts";
import {
  type AcknowledgeOptions,
  type BoxStatus,
  type CollectOptions,
  Mailbox,
} from "./mailbox.ts";
import { Memory } from "./memory.ts";
import { type Miner, workerMiner } from "./mining.ts";
import {
  type AcknowledgementReport,
  memoryOutbox,
  Outbox,
  type OutboxStore,
  type ReceiptRecord,
} from "./outbox.ts";
import { receiptAgain, type ReceiptOptions, receiptsFor, receiptTemplate } from "./receipts.ts";
import { lookUpRelays, relayList } from "./relay-list.ts";
import { relayUrls } from "./relay-url.ts";
import { type ResumeOptions, Sender, type SendOptions, type WrapOptions } from "./sender.ts";
import { type EventTemplate, mustBeHex, type Signer } from "./signer.ts";
import type { Chance, Receiver } from "./wrap.ts";

export type DeadDropOptions = {
  /** One's own relays: where others drop for one, and where acknowledgements go. */
  readonly relays: readonly string[];
  /** One's keys. The first signs what is sent. A `Receiver` is a key that was made for receiving (NIP-RK) and the identity behind it. */
  readonly keys: readonly (Signer | Receiver)[];
  /** Relays that are asked for other people's kind 10050 lists. */
  readonly discovery?: readonly string[];
  /** Where acknowledgements wait for relays that are down. Default: memory. */
  readonly outbox?: OutboxStore;
  /** Default: the global one, of browsers and of Node 22. On Node 20 the class of the package `ws`. */
  readonly webSocket?: WebSocketFactory;
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
  readonly chance?: Chance;
  /** Told what relays say to people, and which of one's keys they do not believe. */
  readonly notice?: (url: string, text: string) => void;
};

/** Nobody knows where somebody receives. */
export class NoRelaysError extends Error {
  override readonly name = "NoRelaysError";
}

const DEFAULT_CONNECTIONS = 1;
const DEFAULT_MAX_BITS = 24;
const DEFAULT_PATIENCE_SECONDS = 10;
const DEFAULT_RETRY_SECONDS = 1;

const systemChance: Chance = {
  now: () => Math.floor(Date.now() / 1_000),
  // It hides times, so it is drawn as keys are.
  random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
};

/**
 * Sends to people and picks up for people, over several relays. `close` it when it is needed no more: it holds sockets and timers.
 * The constructor throws a TypeError for what is no relay URL, a RangeError without a key, and an Error where there is no WebSocket.
 */
export class DeadDrop {
  readonly relays: readonly string[];
  readonly #author: Signer;
  readonly #identities: ReadonlyMap<string, Signer>;
  readonly #receivers: ReadonlyMap<string, Receiver>;
  readonly #discovery: readonly string[];
  readonly #receipts: ReceiptOptions | undefined;
  readonly #chance: Chance;
  readonly #links: Links;
  readonly #outbox: Outbox;
  readonly #memory = new Memory();
  readonly #closing = new AbortController();
  readonly #mailbox: Mailbox;
  readonly #sender: Sender;

  constructor(options: DeadDropOptions) {
    this.relays = relayUrls(options.relays);
    this.#discovery = relayUrls(options.discovery ?? []);
    this.#receipts = options.receipts;
    const chance = (this.#chance = options.chance ?? systemChance);
    const receivers = options.keys.map((key) =>
      "address" in key ? key : { address: key, identity: key },
    );
    const [first] = receivers;
    if (first === undefined) throw new RangeError("keys: at least one is needed");
    this.#author = first.identity;
    this.#identities = new Map(receivers.map(({ identity }) => [identity.key, identity]));
    this.#receivers = new Map(receivers.map((receiver) => [receiver.address.key, receiver]));

    this.#links = new Links(
      {
        chance,
        webSocket: options.webSocket,
        receivers: this.#receivers,
        // A relay that was away has not heard what was acknowledged meanwhile. What fails now is tried again later.
        ready: (url) => void this.#outbox.flush(url).catch(() => {}),
        notice: options.notice,
      },
      {
        connections: options.connections ?? DEFAULT_CONNECTIONS,
        patienceSeconds: options.patienceSeconds ?? DEFAULT_PATIENCE_SECONDS,
        retrySeconds: options.retrySeconds ?? DEFAULT_RETRY_SECONDS,
      },
    );
    this.#outbox = new Outbox({
      store: options.outbox ?? memoryOutbox(),
      chance,
      linkTo: (url, key) => this.#links.toPickUp(url, key),
      sendReceipt: (record) => this.#sendReceipt(record),
      retrySeconds: MAX_RETRY_SECONDS / 2,
    });
    this.#mailbox = new Mailbox({
      relays: this.relays,
      receivers: this.#receivers,
      links: this.#links,
      outbox: this.#outbox,
      memory: this.#memory,
      chance,
    });
    this.#sender = new Sender(
      {
        links: this.#links,
        chance,
        miner: options.miner ?? workerMiner,
        closing: this.#closing.signal,
      },
      { maxProofOfWork: options.maxProofOfWork ?? DEFAULT_MAX_BITS },
    );
  }

  /**
   * Sends a message, a text (NIP-17) or any event to be wrapped (NIP-59), to a recipient's key. Resolves when a quorum of relays holds it, or when
   * all have answered and it does not: `isDelivered` says which; relays that have not answered are waited for in the background. Rejects with
   * NoRelaysError when nobody knows where the recipient receives, with a RangeError for wrong options or a message that is too long.
   */
  async send(
    recipient: string,
    message: string | EventTemplate,
    options: SendOptions = {},
  ): Promise<Delivery> {
    mustBeHex(recipient, "key");
    const given = options.relays && relayUrls(options.relays);
    const relays = given ?? (await this.lookUpRelays(recipient)) ?? [];
    if (relays.length === 0) {
      throw new NoRelaysError(
        given === undefined
          ? "the recipient has published no relays to receive at (kind 10050), or not where it was looked for"
          : "no relays were given",
      );
    }
    const writing = { recipient, message, from: options.from ?? this.#author };
    return this.#sender.send(writing, relays, options);
  }

  /** The gift wrap of a message alone, for who brings it to the recipient or a relay in another way. Rejects like `send`. */
  wrap(
    recipient: string,
    message: string | EventTemplate,
    options: WrapOptions = {},
  ): Promise<NostrEvent> {
    const writing = { recipient, message, from: options.from ?? this.#author };
    return this.#sender.wrap(writing, options);
  }

  /** Goes on with a delivery that was saved: the same wraps, so that a relay that has one knows it. Resolves like `send`; for what is no saved delivery rejects with a TypeError. */
  resume(saved: SavedDelivery, options: ResumeOptions = {}): Promise<Delivery> {
    return this.#sender.resume(saved, options);
  }

  /**
   * Everything that was not acknowledged, from all relays, each message once. Ends when every relay has sent all it holds or was given up;
   * `reports` says how each fared.
   */
  pickup(options: CollectOptions = {}): Collection {
    return this.#mailbox.collect(options, false);
  }

  /** The same, and then whatever comes, until it is stopped by the signal or by leaving the loop. Relays that are not there are tried again. */
  watch(options: CollectOptions = {}): Collection {
    return this.#mailbox.collect(options, true);
  }

  /**
   * Says that these drops, by their ids, are safely stored: the relays delete them, and no pickup of this client brings them again. Tells all of
   * one's relays, also those that did not have them. Resolves when each has answered or could not be reached: then the outbox tells it
   * later. Rejects when the outbox cannot keep it, and with a RangeError for what is no id or no key of one's own.
   */
  async acknowledge(
    ids: readonly string[],
    options: AcknowledgeOptions = {},
  ): Promise<AcknowledgementReport[]> {
    const { reports, records } = await this.#mailbox.acknowledge(ids, options);
    if (this.#receipts === undefined) return reports;
    for (const record of records) {
      const identity = this.#receivers.get(record.event.pubkey)?.identity.key ?? "";
      const due = receiptsFor(record, identity, this.#memory, this.#receipts, this.#chance);
      for (const receipt of due) await this.#outbox.keepReceipt(receipt);
    }
    return reports;
  }

  /** Tells relays what could not be told them before. Resolves when it was tried, to how much is left to be told; rejects when the outbox cannot be read. */
  async flush(): Promise<number> {
    await this.#outbox.flush();
    return this.#outbox.waiting;
  }

  /** What each of one's relays holds. Reads the boxes to their end. */
  status(): Promise<BoxStatus[]> {
    return Promise.all(this.relays.map((url) => this.#mailbox.status(url)));
  }

  /** The relays where somebody receives, by the kind 10050 list that the discovery relays have; undefined when they have none. */
  lookUpRelays(person: string): Promise<string[] | undefined> {
    const links = this.#discovery.map((url) => this.#links.toDrop(url));
    return lookUpRelays(person, links, this.#links.patienceSeconds);
  }

  /** Publishes one's own list (NIP-17) to the discovery relays and one's own. Answers which took it, or why not: a dead drop itself keeps nothing public. */
  async publishRelays(): Promise<{ readonly url: string; readonly refusal: string | undefined }[]> {
    const list = await this.#author.sign(relayList(this.relays, this.#chance));
    const urls = [...new Set([...this.#discovery, ...this.relays])];
    return Promise.all(
      urls.map(async (url) => {
        const answer = await this.#links.inPublic(url).publish(list);
        if ("unreachable" in answer) return { url, refusal: answer.unreachable };
        return { url, refusal: answer.accepted ? undefined : answer.reason };
      }),
    );
  }

  /** Closes every connection. What was not told stays in the outbox. */
  close(): void {
    this.#closing.abort(new Error("the client is closed"));
    this.#outbox.close();
    this.#links.close();
  }

  // One relay that holds it is enough; what was tried before is tried again, and not made anew.
  async #sendReceipt(record: ReceiptRecord): Promise<ReceiptRecord | undefined> {
    const from = this.#identities.get(record.from);
    const template = receiptTemplate(record, this.#chance);
    if (from === undefined) return receiptAgain(record, undefined, this.#chance);
    try {
      const delivery =
        record.delivery === undefined
          ? await this.send(record.to, template, { from, quorum: 1 })
          : await this.resume(record.delivery);
      if (delivery.isDelivered) return undefined;
      return receiptAgain(record, delivery.save(), this.#chance);
    } catch {
      return receiptAgain(record, record.delivery, this.#chance);
    }
  }
}
