// Whose turn it is to have the event loop for longer work: looking through boxes, and sending what is in them.
//
// - An address has one turn in each pass of the event loop, `TURN_MS` of work, whatever the number of its requests; then everybody else is looked after, and it
//   rests for as long as it worked. So no address has more than half of an event loop, and a message of anybody else waits for one turn at most.
// - Work is charged when it is done, to the tokens for asking; a request of an address in debt waits until that is paid. So what an address was admitted for
//   earlier does not count: in the long run it has the time that its tokens pay for.
// - Where asking has no limit, addresses only make way for each other.

import { peerOf } from "../policy/address.ts";
import type { Rates } from "./rates.ts";

const TURN_MS = 4;
// What each request may do without being charged for more than the one token it was admitted with.
const FREE_MS = 0.2;
// Looking again whether somebody may work costs something for each that waits.
const PEERS_A_MILLISECOND = 100;

type Peer = {
  readonly address: string;
  /** What it worked in the pass of that number. Milliseconds, as all times here. */
  worked: number;
  pass: number;
  restsUntil: number;
  readonly waiting: (() => void)[];
};

export class Turns {
  readonly #rates: Rates;
  // Who works or waits, those who had their turn last behind.
  readonly #peers = new Map<string, Peer>();
  #pass = 0;
  #isScheduled = false;

  constructor(rates: Rates) {
    this.#rates = rates;
  }

  /** The turns of one request of this address. */
  of(address: string): Turn {
    return new Turn(this, peerOf(address));
  }

  /** Whoever works or waits for this address. */
  peer(address: string): Peer {
    let peer = this.#peers.get(address);
    if (peer === undefined) {
      peer = { address, worked: 0, pass: this.#pass, restsUntil: 0, waiting: [] };
      this.#peers.set(address, peer);
    }
    return peer;
  }

  /** Whether it may begin to work without waiting. */
  mayWork(peer: Peer): boolean {
    return peer.waiting.length === 0 && this.worked(peer) < TURN_MS && this.#startsIn(peer) === 0;
  }

  /** How long it has worked in this pass. */
  worked(peer: Peer): number {
    return peer.pass === this.#pass ? peer.worked : 0;
  }

  /** It has worked so long, and is charged for so much of that. */
  charge(peer: Peer, ms: number, charged: number): void {
    this.#rates.chargeWork(peer.address, charged);
    peer.worked = this.worked(peer) + ms;
    peer.pass = this.#pass;
    if (peer.worked >= TURN_MS && this.#rates.areLimited) {
      peer.restsUntil = performance.now() + peer.worked;
    }
    // What is left of its turn is for its other requests.
    if (peer.worked < TURN_MS && this.#startsIn(peer) === 0) peer.waiting.shift()?.();
    this.#schedule(0);
  }

  /** Resolves when it is its turn. */
  turn(peer: Peer): Promise<void> {
    return new Promise((resolve) => {
      peer.waiting.push(resolve);
      this.#schedule(0);
    });
  }

  #startsIn({ address, restsUntil }: Peer): number {
    const rest = restsUntil - performance.now();
    return Math.max(0, rest, this.#rates.secondsInDebt(address) * 1_000);
  }

  #schedule(inMs: number): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (inMs === 0) setImmediate(() => this.#begin());
    else setTimeout(() => this.#begin(), inMs).unref();
  }

  // A pass: one of those who wait, and may work, does.
  #begin(): void {
    this.#isScheduled = false;
    this.#pass += 1;
    let soonest = Infinity;
    for (const peer of this.#peers.values()) {
      const startsIn = this.#startsIn(peer);
      if (peer.waiting.length === 0) {
        if (startsIn === 0) this.#peers.delete(peer.address);
        continue;
      }
      if (startsIn > 0) {
        soonest = Math.min(soonest, startsIn);
        continue;
      }
      this.#peers.delete(peer.address);
      this.#peers.set(peer.address, peer);
      peer.waiting.shift()?.();
      this.#schedule(0);
      return;
    }
    if (soonest < Infinity) {
      this.#schedule(Math.max(1, soonest, this.#peers.size / PEERS_A_MILLISECOND));
    }
  }
}

/** The turns of one request: `begin`, and from time to time `next` when it `isOver`; `pause` whenever it waits for something else, and at its end. */
export class Turn {
  readonly #turns: Turns;
  readonly #address: string;
  #peer: Peer;
  #free = FREE_MS;
  #since = 0;
  #isWorking = false;

  constructor(turns: Turns, address: string) {
    this.#turns = turns;
    this.#address = address;
    this.#peer = turns.peer(address);
  }

  /** Resolves when the request may work, at once while its address has its turn. */
  async begin(): Promise<void> {
    if (this.#isWorking) return;
    const peer = this.#turns.peer(this.#address);
    if (!this.#turns.mayWork(peer)) await this.#turns.turn(peer);
    this.#resume();
  }

  /** Whether it is time to make way. */
  get isOver(): boolean {
    return this.#turns.worked(this.#peer) + (performance.now() - this.#since) > TURN_MS;
  }

  /** Makes way, and resolves when the request may go on. */
  async next(): Promise<void> {
    this.pause();
    await this.#turns.turn(this.#turns.peer(this.#address));
    this.#resume();
  }

  /** The request does nothing for now. */
  pause(): void {
    if (!this.#isWorking) return;
    this.#isWorking = false;
    const ms = performance.now() - this.#since;
    const charged = Math.max(0, ms - this.#free);
    this.#free = Math.max(0, this.#free - ms);
    this.#turns.charge(this.#peer, ms, charged);
  }

  /** What this waits for is not its work. */
  async without<T>(waiting: Promise<T>): Promise<T> {
    this.pause();
    const result = await waiting;
    this.#resume();
    return result;
  }

  #resume(): void {
    this.#isWorking = true;
    this.#peer = this.#turns.peer(this.#address);
    this.#since = performance.now();
  }
}
