import type { NostrEvent } from "../nostr/event.ts";
import { type AcknowledgeOptions, Acknowledger } from "./acknowledger.ts";
import { mustBeHex } from "./arguments.ts";
import { type BoxStatus, boxStatus } from "./box-status.ts";
import type { Collection } from "./collection.ts";
import type { Delivery } from "./delivery.ts";
import { workerMiner } from "./mining.ts";
import {
  type DeadDropOptions,
  DEFAULT_CONNECTIONS,
  DEFAULT_MAX_PROOF_OF_WORK,
  DEFAULT_PATIENCE_SECONDS,
  DEFAULT_RETRY_SECONDS,
  receiversOf,
} from "./options.ts";
import { findPerson } from "./nip05.ts";
import { type AcknowledgementReport, Outbox } from "./outbox.ts";
import { memoryOutbox } from "./outbox-store.ts";
import type { Person } from "./person.ts";
import { type CollectOptions, pickUp } from "./pickup.ts";
import { sendReceipt } from "./receipt-sender.ts";
import { type ReceiptOptions, receiptsFor } from "./receipts.ts";
import {
  lookUpRelays,
  NoRelaysError,
  relayList,
  type RelayLookup,
  relaysIn,
} from "./relay-list.ts";
import { MAX_RETRY_SECONDS, RelayPool } from "./relay-pool.ts";
import { relayUrls } from "./relay-url.ts";
import { type Runtime, systemRuntime } from "./runtime.ts";
import type { SavedDelivery } from "./saved-delivery.ts";
import { SeenDrops } from "./seen-drops.ts";
import type { ResumeOptions, SendOptions, WrapOptions } from "./send-options.ts";
import { Sender } from "./sender.ts";
import { type EventTemplate, type Signer, signedBy } from "./signer.ts";
import type { Receiver } from "./unwrap.ts";

/**
 * Sends to people and picks up for people, over several relays. `close` it when it is needed no more: it holds sockets and timers.
 * The constructor throws a TypeError for what is no relay URL, a RangeError without a key, and an Error where there is no WebSocket.
 */
export class DeadDrop {
  readonly relays: readonly string[];
  readonly #author: Signer;
  readonly #receivers: ReadonlyMap<string, Receiver>;
  readonly #discovery: readonly string[];
  readonly #receipts: ReceiptOptions | undefined;
  readonly #runtime: Runtime;
  readonly #pool: RelayPool;
  readonly #outbox: Outbox;
  readonly #seenDrops: SeenDrops;
  readonly #acknowledger: Acknowledger;
  readonly #sender: Sender;
  readonly #closing = new AbortController();

  constructor(options: DeadDropOptions) {
    this.relays = relayUrls(options.relays);
    this.#discovery = relayUrls(options.discovery ?? []);
    this.#receipts = options.receipts;
    const runtime = (this.#runtime = options.runtime ?? systemRuntime);
    const receivers = (this.#receivers = receiversOf(options.keys));
    const [first] = receivers.values();
    if (first === undefined) throw new RangeError("keys: at least one is needed");
    this.#author = first.identity;
    const pool = (this.#pool = new RelayPool(
      {
        runtime,
        network: options,
        trusted: [...this.relays, ...this.#discovery],
        receivers,
        // A relay that was away has not heard what was acknowledged meanwhile. What fails now is tried again later.
        ready: (url) => void this.#outbox.flush(url).catch(() => {}),
        notice: options.notice,
      },
      {
        connections: options.connections ?? DEFAULT_CONNECTIONS,
        patienceSeconds: options.patienceSeconds ?? DEFAULT_PATIENCE_SECONDS,
        retrySeconds: options.retrySeconds ?? DEFAULT_RETRY_SECONDS,
      },
    ));
    const identities = new Map(
      [...receivers.values()].map(({ identity }) => [identity.key, identity]),
    );
    const store = options.outbox ?? memoryOutbox();
    const seenDrops = (this.#seenDrops = new SeenDrops({ store, runtime }));
    const outbox = (this.#outbox = new Outbox({
      store,
      runtime,
      seenDrops,
      informationOf: (url) => pool.informationOf(url),
      connectionTo: (url, key) => pool.forPickup(url, key),
      sendReceipt: (record) =>
        sendReceipt(
          {
            identities,
            runtime,
            send: (to, message, sending) => this.send(to, message, sending),
            resume: (saved) => this.resume(saved),
          },
          record,
        ),
      retrySeconds: MAX_RETRY_SECONDS / 2,
    }));
    this.#acknowledger = new Acknowledger({
      relays: this.relays,
      receivers,
      pool,
      outbox,
      seenDrops,
      runtime,
    });
    this.#sender = new Sender(
      { pool, runtime, miner: options.miner ?? workerMiner, closing: this.#closing.signal },
      { maxProofOfWork: options.maxProofOfWork ?? DEFAULT_MAX_PROOF_OF_WORK },
    );
  }

  /**
   * Sends a message, a text (NIP-17) or any event to be wrapped (NIP-59), to a recipient's key. Resolves when a quorum of relays holds it, or when
   * all have answered and it does not: `isDelivered` says which; relays that have not answered are waited for in the background. Rejects with
   * NoRelaysError when nobody knows where the recipient receives; with a RangeError, before anything is signed or sent, for wrong options, a message that is
   * too long, and what no reader would take for an event; and as the signer does.
   */
  async send(
    recipient: string,
    message: string | EventTemplate,
    options: SendOptions = {},
  ): Promise<Delivery> {
    mustBeHex(recipient, "key");
    const given = options.relays && relayUrls(options.relays);
    if (given !== undefined) this.#pool.trust(given);
    if (given?.length === 0) throw new NoRelaysError("no relays were given");
    const relays =
      given ?? relaysIn(options.lookup ?? (await this.lookUpRelays(recipient, options)));
    const outgoing = { recipient, message, from: options.from ?? this.#author };
    return this.#sender.send(outgoing, relays, options);
  }

  /** The gift wrap of a message alone, for who brings it to the recipient or a relay in another way. Rejects like `send`. */
  wrap(
    recipient: string,
    message: string | EventTemplate,
    options: WrapOptions = {},
  ): Promise<NostrEvent> {
    const outgoing = { recipient, message, from: options.from ?? this.#author };
    return this.#sender.wrap(outgoing, options);
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
    return this.#pickUp(options, false);
  }

  /**
   * The same, and then whatever comes, until it is stopped: by the signal, by leaving the loop, or by `close`. Nothing that a relay says or does ends it: it is
   * told to `progress`, and the relay is tried again.
   */
  watch(options: CollectOptions = {}): Collection {
    return this.#pickUp(options, true);
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
    const { reports, records } = await this.#acknowledger.acknowledge(ids, options);
    if (this.#receipts === undefined) return reports;
    for (const record of records) {
      const identity = this.#receivers.get(record.event.pubkey)?.identity.key ?? "";
      const due = receiptsFor(record, identity, this.#seenDrops, this.#receipts, this.#runtime);
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
    return Promise.all(this.relays.map((url) => boxStatus(this.#pool, url)));
  }

  /**
   * Whom a text names: npub1…, nprofile1…, both behind nostr:, hex digits, or an address at a domain (NIP-05), which is asked. The hints are for `send` and
   * `lookUpRelays`. Rejects with a TypeError for what names nobody, and with a Nip05Error when the domain does not say.
   */
  async findPerson(text: string): Promise<Person> {
    const { patienceSeconds, strangersFetch: fetch } = this.#pool;
    return findPerson(text, { patienceSeconds, fetch });
  }

  /**
   * The relays where somebody receives (NIP-17), by the newest kind 10050 list that the discovery relays and those of the hints have, and which of them could
   * not be asked.
   */
  lookUpRelays(
    person: string,
    { hints = [] }: Pick<SendOptions, "hints"> = {},
  ): Promise<RelayLookup> {
    return lookUpRelays(this.#pool, person, this.#discovery, hints);
  }

  /**
   * Publishes one's own list (NIP-17) to the discovery relays and one's own. Answers which took it, or why not: a dead drop itself keeps nothing public. Rejects
   * with a RangeError for more relays than a list is read of, and as the signer does.
   */
  async publishRelays(): Promise<{ readonly url: string; readonly refusal: string | undefined }[]> {
    const list = await signedBy(this.#author, relayList(this.relays, this.#runtime));
    const urls = [...new Set([...this.#discovery, ...this.relays])];
    return Promise.all(
      urls.map(async (url) => {
        const result = await this.#pool.forPublic(url).publish(list);
        if ("unreachable" in result) return { url, refusal: result.unreachable };
        return { url, refusal: result.accepted ? undefined : result.reason };
      }),
    );
  }

  /** Closes every connection. What was not told stays in the outbox. */
  close(): void {
    this.#closing.abort(new Error("the client is closed"));
    this.#outbox.close();
    this.#pool.close();
  }

  #pickUp(options: CollectOptions, isLive: boolean): Collection {
    const parts = {
      relays: this.relays,
      pool: this.#pool,
      outbox: this.#outbox,
      receivers: this.#receivers,
      acknowledger: this.#acknowledger,
      seenDrops: this.#seenDrops,
      runtime: this.#runtime,
    };
    return pickUp(parts, options, isLive);
  }
}
