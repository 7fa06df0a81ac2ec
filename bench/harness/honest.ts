// Someone who drops a message now and then, well within every limit, and a recipient who listens: what others feel of what a relay is busy with.

import { setTimeout as sleep } from "node:timers/promises";

import { person } from "./events.ts";
import { connectAll, giftWraps, type Prepared } from "./load.ts";
import type { Subject } from "./scenario.ts";
import { signIn, subscribe } from "./session.ts";
import type { Wire } from "./wire.ts";

/** One drop each; as many a second as one address may send for ever. */
export const EVERY_MS = 50;
// With several event loops they are on all of them.
const SENDERS = 4;
const OK_HEAD = '["OK","'.length;
const ID_DIGITS = 64;
const ID = Buffer.from('"id":"');
const LOOK_MS = 20;

/** When a drop was sent, was answered and arrived, in ms. */
type Sent = { readonly at: number; okAt?: number; arrivedAt?: number; isRefused: boolean };

/** In ms, in ascending order. What never came counts as long as it was waited for. */
export type Felt = {
  readonly okMs: Float64Array;
  readonly arrivedMs: Float64Array;
  /** Drops that were refused or never answered, and those that never arrived. */
  readonly refused: number;
  readonly lost: number;
};

export class Honest {
  readonly #wires: readonly Wire[];
  readonly #events: readonly Prepared[];
  readonly #sent = new Map<string, Sent>();
  readonly #timer: NodeJS.Timeout;

  private constructor(wires: readonly Wire[], events: readonly Prepared[]) {
    this.#wires = wires;
    this.#events = events;
    this.#timer = setInterval(() => this.#drop(), EVERY_MS);
  }

  /** Starts dropping, from `address`, for `ms` at most. */
  static async start(subject: Subject, url: string, address: string, ms: number): Promise<Honest> {
    const recipient = person();
    const events = giftWraps(Math.ceil(ms / EVERY_MS), () => recipient.pubkey);
    const session = await signIn(subject, url, recipient, address);
    const senders = await connectAll(url, SENDERS, address);
    const honest = new Honest([...senders, session.wire], events);
    await subscribe(session);
    session.wire.onMessage = (buffer, start) => {
      const at = buffer.indexOf(ID, start) + ID.length;
      const sent = honest.#sent.get(buffer.toString("latin1", at, at + ID_DIGITS));
      if (sent !== undefined) sent.arrivedAt ??= performance.now();
    };
    for (const wire of senders) wire.onMessage = (buffer, start) => honest.#answered(buffer, start);
    return honest;
  }

  /** The drops sent since `from`, as `performance.now` tells it, once each had its answer or `patienceMs` passed. */
  async felt(from: number, patienceMs: number): Promise<Felt> {
    const drops = [...this.#sent.values()].filter(({ at }) => at >= from);
    const late = performance.now() + patienceMs;
    const isWaiting = (): boolean =>
      drops.some(({ okAt, arrivedAt }) => okAt === undefined || arrivedAt === undefined);
    while (isWaiting() && performance.now() < late && this.#wires.every(({ isOpen }) => isOpen)) {
      await sleep(LOOK_MS);
    }
    const now = performance.now();
    return {
      okMs: Float64Array.from(drops, ({ at, okAt = now }) => okAt - at).sort(),
      arrivedMs: Float64Array.from(drops, ({ at, arrivedAt = now }) => arrivedAt - at).sort(),
      refused: drops.filter(({ okAt, isRefused }) => isRefused || okAt === undefined).length,
      lost: drops.filter(({ arrivedAt }) => arrivedAt === undefined).length,
    };
  }

  /** No more drops. */
  stop(): void {
    clearInterval(this.#timer);
  }

  async close(): Promise<void> {
    this.stop();
    await Promise.all(this.#wires.map((wire) => wire.close()));
  }

  #drop(): void {
    const event = this.#events[this.#sent.size];
    if (event === undefined) return;
    const wire = this.#wires[this.#sent.size % SENDERS];
    this.#sent.set(event.id, { at: performance.now(), isRefused: false });
    wire?.send(event.frame);
  }

  #answered(buffer: Buffer, start: number): void {
    const at = start + OK_HEAD;
    const sent = this.#sent.get(buffer.toString("latin1", at, at + ID_DIGITS));
    if (sent === undefined) return;
    sent.okAt ??= performance.now();
    sent.isRefused ||= buffer.toString("latin1", at + ID_DIGITS + 2, at + ID_DIGITS + 6) !== "true";
  }
}
