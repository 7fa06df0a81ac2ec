import { peerOf } from "../policy/address.ts";
import type { CutOff, Observer, TurnedAway } from "./observer.ts";
import type { Rates } from "./rates.ts";
import type { Refusals } from "./refusals.ts";
import type { Runtime } from "./runtime.ts";

/** An open WebSocket, as far as its place among the others goes. */
export type OpenConnection = {
  readonly address: string;
  /** Pings when it is time to, and ends a connection that was silent for too long. Seconds. */
  checkLife(pingSeconds: number, deadSeconds: number): void;
  /** For so many seconds before `now`, monotonic, it was this relay that did not listen: they do not count as the peer's silence. */
  excuse(seconds: number, now: number): void;
  /** Resolves when everything that was asked has its answer. */
  answered(): Promise<void>;
  end(code: number, reason: string): void;
  /** Ends it at once. */
  cutOff(why: CutOff): void;
};

/** A pickup over HTTP that is being answered. */
export type OpenPickup = Pick<OpenConnection, "address" | "checkLife" | "excuse" | "cutOff"> & {
  /** Ends what would go on for ever. */
  stopWaiting(): void;
};

export type ConnectionsParts = {
  readonly observer: Observer;
  readonly runtime: Runtime;
  readonly rates: Rates;
  readonly refusals: Pick<Refusals, "turnedAway">;
};

export type ConnectionsLimits = {
  readonly pingSeconds: number;
  readonly deadSeconds: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
};

const LIFE_CHECK_SECONDS = 1;
// A check that is later than this had no turn: the process was frozen, or its event loop held.
const LATE_SECONDS = 1;
const SHUTTING_DOWN = [1001, "the relay is shutting down"] as const;

/** What is open: connections and HTTP requests, in all and for each address, from their beginning to their end. A request counts like a connection. */
export class Connections {
  readonly #observer: Observer;
  readonly #runtime: Runtime;
  readonly #rates: Rates;
  readonly #refusals: ConnectionsParts["refusals"];
  readonly #limits: ConnectionsLimits;
  readonly #connections = new Set<OpenConnection>();
  readonly #pickups = new Set<OpenPickup>();
  readonly #perAddress = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #requests = 0;
  #isDraining = false;
  #checkedAt: number;

  constructor(parts: ConnectionsParts, limits: ConnectionsLimits) {
    const { observer, runtime, rates, refusals } = parts;
    this.#observer = observer;
    this.#rates = rates;
    this.#refusals = refusals;
    this.#runtime = runtime;
    this.#limits = limits;
    this.#checkedAt = runtime.monotonic();
    this.#timer = setInterval(() => this.#checkLife(), LIFE_CHECK_SECONDS * 1_000);
  }

  get count(): number {
    return this.#connections.size + this.#requests;
  }

  /** Whether one more connection or request of this address may begin. */
  admits(address: string): boolean {
    const why = this.#refused(address);
    if (why !== undefined) this.#refusals.turnedAway(why);
    return why === undefined;
  }

  #refused(address: string): TurnedAway | undefined {
    const { connections, connectionsPerAddress } = this.#limits;
    if (this.#rates.isDeaf(address)) return "does not slow down";
    if (this.count >= connections) return "too many in all";
    const here = this.#perAddress.get(peerOf(address)) ?? 0;
    return here < connectionsPerAddress ? undefined : "too many from its address";
  }

  opened(connection: OpenConnection): void {
    this.#observer.count("connection opened");
    this.#connections.add(connection);
    this.#remember(connection.address);
    // Its handshake was under way before. Refusing that would tell a client that nobody is here; this one comes again.
    if (this.#isDraining) connection.end(...SHUTTING_DOWN);
  }

  closed(connection: OpenConnection): void {
    if (this.#connections.delete(connection)) this.#forget(connection.address);
  }

  /** Whether one more request over HTTP of this address may begin. If so, it counts until it has `ended`. */
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

  pickingUp(pickup: OpenPickup): void {
    this.#pickups.add(pickup);
    if (this.#isDraining) pickup.stopWaiting();
  }

  pickedUp(pickup: OpenPickup): void {
    this.#pickups.delete(pickup);
  }

  /** Lets what was asked be answered, for at most `deadlineMs`, then closes every connection with 1001, as from here on at once each that opens. */
  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    for (const pickup of this.#pickups) pickup.stopWaiting();
    const timeUp = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
    const answered = Promise.all([...this.#connections].map((connection) => connection.answered()));
    await Promise.race([answered, timeUp]);
    for (const connection of this.#connections) connection.end(...SHUTTING_DOWN);
  }

  /** Cuts off whatever is open from an address that is not let in any more. */
  cutOffFrom(isBlocked: (address: string) => boolean): void {
    for (const peers of [this.#connections, this.#pickups]) {
      for (const peer of peers) if (isBlocked(peer.address)) peer.cutOff("is blocked");
    }
  }

  /** Looks after nothing any more. */
  close(): void {
    clearInterval(this.#timer);
  }

  #checkLife(): void {
    const { pingSeconds, deadSeconds } = this.#limits;
    const now = this.#runtime.monotonic();
    const late = now - this.#checkedAt - LIFE_CHECK_SECONDS;
    this.#checkedAt = now;
    for (const peers of [this.#connections, this.#pickups]) {
      for (const peer of peers) {
        if (late > LATE_SECONDS) peer.excuse(late, now);
        peer.checkLife(pingSeconds, deadSeconds);
      }
    }
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
}
