// The relay: what becomes of a message, whoever carried it.

import type { Acknowledgement } from "../nostr/acknowledgement.ts";
import { misauthenticated } from "../nostr/auth.ts";
import { type HttpAuthExpectation, unauthorized } from "../nostr/http-auth.ts";
import type { Drop } from "../nostr/drop.ts";
import { type NostrEvent, peekId } from "../nostr/event.ts";
import type { Filter } from "../nostr/filter.ts";
import { isReason, type Prefix, type Reason } from "../nostr/reason.ts";
import { isAddressedHere } from "../nostr/vanish.ts";
import { peerOf } from "../policy/address.ts";
import type { Rate } from "../policy/rate.ts";
import type { AcknowledgeOutcome, PutOutcome, Store, VanishOutcome } from "../store/store.ts";
import type { Socket, SocketHandlers } from "../transport/transport.ts";
import { ANSWERS, type Answer, NOT_CHECKED, type Outcome, SLOW_DOWN } from "./answer.ts";
import { Connection, type ConnectionLimits } from "./connection.ts";
import { Reading, type ReadingRequest } from "./reading.ts";
import type { Examined } from "./examine.ts";
import { scope } from "./gate.ts";
import { LiveIndex } from "./live.ts";
import type { Log, Observer } from "./observer.ts";
import { Refusals } from "./refusals.ts";

export type Collaborators = {
  readonly store: Store;
  /** Parses, checks and verifies one raw message; undefined when that failed for no fault of the message. */
  readonly examine: (text: string) => Promise<Examined | undefined>;
  /** False when too much waits to be examined. */
  readonly mayExamine: () => boolean;
  readonly publishing: Rate;
  readonly asking: Rate;
  /** Hands a drop that is not stored to the other event loops, always: that it is sent must not tell whether anybody listens. */
  readonly passOn: (drop: Drop) => void;
  readonly observer: Observer;
  readonly log: Log;
  readonly clock: Clock;
  /** Answers so many random bytes as hex digits. */
  readonly randomHex: (bytes: number) => string;
};

export type Clock = {
  /** Unix seconds, whole. */
  now(): number;
  /** Seconds since whenever, never set back. */
  monotonic(): number;
};

export type RelaySettings = {
  /** Hosts under which AUTH and requests to vanish know this relay. */
  readonly hosts: ReadonlySet<string>;
  readonly limits: ConnectionLimits & {
    readonly pingSeconds: number;
    readonly deadSeconds: number;
    readonly connections: number;
    readonly connectionsPerAddress: number;
  };
};

const CHALLENGE_BYTES = 16;
const LIFE_CHECK_MS = 1_000;
const REFUSALS_MS = 60_000;
// An event costs a token; of the ids in an acknowledgement so many cost one more, because each may cost a write.
const IDS_A_TOKEN = 100;
// What a turn of scanning, four milliseconds, costs of the tokens to ask with: one address keeps no more than a few percent of the event loop for long.
const TOKENS_A_TURN = 5;
const GOING_AWAY = 1001;

/** What a request over HTTP asks of one box. */
export type BoxRequest = Omit<ReadingRequest, "filters"> & {
  readonly recipient: string;
  /** The most drops to answer; undefined: as many as the relay allows. */
  readonly limit: number | undefined;
};

export class Relay {
  readonly observer: Observer;
  readonly #parts: Collaborators;
  readonly #settings: RelaySettings;
  readonly #live = new LiveIndex();
  readonly #connections = new Set<Connection>();
  readonly #readings = new Set<Reading>();
  #requests = 0;
  readonly #perAddress = new Map<string, number>();
  readonly #refusals: Refusals;
  readonly #timers: NodeJS.Timeout[];
  readonly #unsubscribe: () => void;
  #isDraining = false;

  constructor(parts: Collaborators, settings: RelaySettings) {
    this.#parts = parts;
    this.#settings = settings;
    this.observer = parts.observer;
    this.#refusals = new Refusals(parts.log);
    this.#unsubscribe = parts.store.subscribe(
      (committed) => {
        for (const drop of committed) {
          this.observer.count("drop delivered live", this.#live.deliver(drop, drop.seq));
        }
      },
      (recipient) => this.#live.isListenedFor(recipient),
    );
    const { pingSeconds, deadSeconds } = settings.limits;
    this.#timers = [
      setInterval(() => {
        for (const connection of this.#connections) connection.checkLife(pingSeconds, deadSeconds);
        for (const reading of this.#readings) reading.checkLife(pingSeconds, deadSeconds);
      }, LIFE_CHECK_MS),
      setInterval(() => this.#refusals.flush(), REFUSALS_MS),
    ];
  }

  /** Open connections, and requests over HTTP that are being answered. */
  get connections(): number {
    return this.#connections.size + this.#requests;
  }

  now(): number {
    return this.#parts.clock.now();
  }

  monotonic(): number {
    return this.#parts.clock.monotonic();
  }

  // --- connections

  /** Whether one more connection of this address may be opened. */
  admits(address: string): boolean {
    const { connections, connectionsPerAddress } = this.#settings.limits;
    const admitted =
      !this.#isDraining &&
      this.connections < connections &&
      (this.#perAddress.get(peerOf(address)) ?? 0) < connectionsPerAddress;
    if (!admitted) this.observer.count("connection refused");
    return admitted;
  }

  connected(socket: Socket): SocketHandlers {
    this.observer.count("connection opened");
    this.#remember(socket.address);
    const connection = new Connection(
      { socket, relay: this, store: this.#parts.store, live: this.#live },
      this.#settings.limits,
      this.#parts.randomHex(CHALLENGE_BYTES),
    );
    this.#connections.add(connection);
    return connection;
  }

  disconnected(connection: Connection): void {
    if (this.#connections.delete(connection)) this.#forget(connection.address);
  }

  /** Whether one more request over HTTP of this address may begin. It counts like a connection until it has `ended`. */
  began(address: string): boolean {
    if (!this.admits(address)) return false;
    this.#requests += 1;
    this.#remember(address);
    return true;
  }

  ended(address: string): void {
    this.#requests -= 1;
    this.#forget(address);
  }

  /** Has a box read over HTTP, through the gate of a REQ. */
  read({ recipient, limit, ...request }: BoxRequest): Reading | Reason {
    const filter: Filter = {
      tags: new Map([["p", new Set([recipient])]]),
      ...(limit !== undefined && { limit }),
    };
    const filters = scope([filter], request.keys);
    if (isReason(filters)) return filters;
    const reading = new Reading(
      { relay: this, store: this.#parts.store, live: this.#live },
      this.#settings.limits,
      { ...request, filters },
    );
    // A peer that left meanwhile has closed it already.
    if (!request.gone.aborted) this.#readings.add(reading);
    if (this.#isDraining) reading.stopWaiting();
    return reading;
  }

  finished(reading: Reading): void {
    this.#readings.delete(reading);
  }

  #remember(address: string): void {
    const peer = peerOf(address);
    this.#perAddress.set(peer, (this.#perAddress.get(peer) ?? 0) + 1);
  }

  #forget(address: string): void {
    const peer = peerOf(address);
    const left = (this.#perAddress.get(peer) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(peer, left);
    else this.#perAddress.delete(peer);
  }

  /** Whether this address may ask for something other than to publish. */
  mayAsk(address: string): boolean {
    return this.#parts.asking.take(address, this.monotonic());
  }

  chargeTurn(address: string): void {
    this.#parts.asking.charge(address, this.monotonic(), TOKENS_A_TURN);
  }

  // --- publish

  /** Takes a raw EVENT message from an address. Resolves when what the answer says is true for good. */
  async publish(text: string, address: string): Promise<Answer> {
    if (!this.#parts.publishing.take(address, this.monotonic())) {
      return this.#refuse(peekId(text), SLOW_DOWN);
    }
    const examined = await this.#examine(text);
    if ("accepted" in examined) return examined;
    if (examined.outcome === "refused") return this.#refuse(examined.id, examined.reason);
    try {
      return this.#answer(examined.id, await this.#act(examined, address));
    } catch (error) {
      this.failed(error);
      return this.#answer(examined.id, "failed");
    }
  }

  /** Delivers a drop that is not stored, from here or from another event loop. */
  passedOn(drop: Drop): void {
    this.#live.deliver(drop, undefined);
  }

  /** Takes the event of an Authorization header as JSON. Answers the key it proves, or why it proves none (NIP-98). */
  async authorize(
    event: string,
    expected: Pick<HttpAuthExpectation, "method" | "target">,
  ): Promise<{ key: string } | { reason: Reason }> {
    const examined = await this.#examine(`["AUTH",${event}]`);
    if ("accepted" in examined) return { reason: examined.message || NOT_CHECKED };
    if (examined.outcome !== "auth") {
      const reason = examined.outcome === "refused" ? examined.reason : NOT_CHECKED;
      return { reason: `auth-required: ${reason}` };
    }
    const { hosts } = this.#settings;
    const reason = unauthorized(examined.event, { ...expected, hosts, now: this.now() });
    if (reason !== undefined) return { reason };
    this.observer.count("key authenticated");
    return { key: examined.event.pubkey };
  }

  /** Takes a raw AUTH message. `key` is the key it proves, undefined when it proves none (NIP-42). */
  async authenticate(text: string, challenge: string): Promise<{ answer: Answer; key?: string }> {
    const examined = await this.#examine(text);
    if ("accepted" in examined) return { answer: examined };
    if (examined.outcome !== "auth") {
      const reason = examined.outcome === "refused" ? examined.reason : "invalid: not an AUTH";
      return { answer: this.#refuse(examined.id, reason) };
    }
    const { hosts } = this.#settings;
    const reason = misauthenticated(examined.event, { challenge, hosts, now: this.now() });
    if (reason !== undefined) return { answer: this.#refuse(examined.id, reason) };
    this.observer.count("key authenticated");
    return {
      answer: { id: examined.id, accepted: true, message: "" },
      key: examined.event.pubkey,
    };
  }

  refused(reason: Reason): void {
    this.#refusals.add(reason);
    this.observer.count(`refused: ${reason.slice(0, reason.indexOf(":")) as Prefix}`);
  }

  /** Something of ours broke: a bug, or the disk. */
  failed(error: unknown): void {
    this.#parts.log.error({ err: error }, "internal error");
  }

  // --- end

  /** Lets what was asked be answered, for at most `deadlineMs`, then closes every connection with 1001. Admits no new ones from here on. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    for (const reading of this.#readings) reading.stopWaiting();
    const timeUp = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
    const answered = Promise.all([...this.#connections].map((connection) => connection.answered()));
    await Promise.race([answered, timeUp]);
    for (const connection of this.#connections)
      connection.end(GOING_AWAY, "the relay is shutting down");
  }

  /** Stops everything that runs by itself. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#unsubscribe();
    this.#refusals.flush();
  }

  #act(
    examined: Exclude<Examined, { outcome: "refused" }>,
    address: string,
  ): Outcome | Promise<Outcome> {
    switch (examined.outcome) {
      case "drop":
        return this.#put(examined.drop);
      case "known":
        return "known";
      case "passing":
        // OK whoever listens, and before it is delivered: neither the answer nor its time tells whether the recipient is here.
        setImmediate(() => this.passedOn(examined.drop));
        this.#parts.passOn(examined.drop);
        this.observer.count("drop passed on");
        return "passed on";
      case "acknowledgement":
        return this.#acknowledge(examined.acknowledgement, address);
      case "vanish":
        return this.#vanish(examined.event);
      case "auth":
        throw new Error("an EVENT message was examined as AUTH");
    }
  }

  async #put(drop: Drop): Promise<PutOutcome | "expired"> {
    // It may have expired while it was examined.
    if (drop.expiry <= this.now()) return "expired";
    const outcome = await this.#parts.store.put(drop, this.now());
    if (outcome === "stored") this.observer.count("drop stored");
    return outcome;
  }

  async #acknowledge(
    acknowledgement: Acknowledgement,
    address: string,
  ): Promise<AcknowledgeOutcome> {
    const cost = Math.floor(acknowledgement.ids.length / IDS_A_TOKEN);
    this.#parts.publishing.charge(address, this.monotonic(), cost);
    const outcome = await this.#parts.store.acknowledge(acknowledgement, this.now());
    this.observer.count("acknowledgement");
    return outcome;
  }

  async #vanish(event: NostrEvent): Promise<VanishOutcome | "not addressed here"> {
    if (!isAddressedHere(event, this.#settings.hosts)) return "not addressed here";
    const { id, pubkey: signer, created_at } = event;
    const outcome = await this.#parts.store.vanish({ id, signer, created_at }, this.now());
    this.observer.count("vanish");
    return outcome;
  }

  #answer(id: string, outcome: Outcome): Answer {
    const { accepted, message } = ANSWERS[outcome];
    if (outcome === "known") this.observer.count("drop known");
    return accepted
      ? { id, accepted, message, outcome }
      : { ...this.#refuse(id, message), outcome };
  }

  #refuse(id: string | undefined, reason: Reason): Answer {
    this.refused(reason);
    return { id, accepted: false, message: reason };
  }

  // Resolves to the answer itself when it did not come to an examination.
  async #examine(text: string): Promise<Examined | Answer> {
    if (!this.#parts.mayExamine()) {
      return this.#refuse(peekId(text), "rate-limited: the relay is busy, try again");
    }
    const examined = await this.#parts.examine(text);
    return examined ?? this.#refuse(peekId(text), NOT_CHECKED);
  }
}
