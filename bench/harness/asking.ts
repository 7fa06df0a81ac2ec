import { randomInt } from "node:crypto";

import { auth, type Person } from "./events.ts";
import { frame, Wire } from "./wire.ts";

/** A connection over which one thing at a time is asked, each answered by one message. Each has an address of its own, so that no rate limit is met. */
export class Asking {
  readonly #wire: Wire;
  readonly #url: string;
  #heard: (text: string, at: number) => void = () => {};
  #challenged: (challenge: string) => void = () => {};

  private constructor(wire: Wire, url: string) {
    this.#wire = wire;
    this.#url = url;
    wire.onMessage = (buffer, start, end) => {
      const at = performance.now();
      const text = buffer.toString("utf8", start, end);
      // A connection that said nothing for a second is challenged, whatever it is going to say; and so is one that is refused.
      if (!text.startsWith('["AUTH"')) this.#heard(text, at);
      else this.#challenged((JSON.parse(text) as [string, string])[1]);
    };
  }

  static async connect(url: string, number: number): Promise<Asking> {
    const address = `10.0.${number >> 8}.${number & 0xff}`;
    return new Asking(await Wire.connect(url, undefined, address), url);
  }

  async ask(bytes: Buffer): Promise<{ answer: string; micros: number }> {
    const heard = new Promise<{ answer: string; micros: number }>((resolve) => {
      this.#heard = (answer, at) => resolve({ answer, micros: (at - began) * 1_000 });
    });
    const began = performance.now();
    this.#wire.send(bytes);
    return heard;
  }

  /** Proves a key. */
  async authenticate(who: Person): Promise<this> {
    const challenged = new Promise<string>((resolve) => {
      this.#challenged = resolve;
    });
    this.#wire.send(frame('["REQ","challenge",{}]'));
    this.#wire.send(frame('["CLOSE","challenge"]'));
    const event = auth(who, await challenged, this.#url);
    const { answer } = await this.ask(frame(JSON.stringify(["AUTH", event])));
    if (!answer.includes(",true,")) throw new Error(answer);
    return this;
  }

  close(): Promise<void> {
    return this.#wire.close();
  }
}

type Event = { readonly id: string };

export function framed(event: Event): Buffer {
  return frame(JSON.stringify(["EVENT", event]));
}

/** Publishes all of them, one at a time on each connection. Throws when one is refused. */
export async function publishAll(over: readonly Asking[], events: readonly Event[]): Promise<void> {
  const left = [...events];
  await Promise.all(
    over.map(async (connection) => {
      for (let event = left.pop(); event !== undefined; event = left.pop()) {
        const { answer } = await connection.ask(framed(event));
        if (!answer.includes(",true,")) throw new Error(answer);
      }
    }),
  );
}

export function shuffled<Each>(all: readonly Each[]): Each[] {
  const order = [...all];
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [order[at], order[other]] = [order[other] as Each, order[at] as Each];
  }
  return order;
}

/** One of them, by chance. */
export function anyOf<Each>(all: readonly Each[]): Each {
  return all[randomInt(all.length)] as Each;
}
