// Whether a stranger can tell, by the first publication of a wrap at a relay, that its recipient has acknowledged it there (NIP-DD, "The same answer").
//
//   npm run bench:first-arrival -- [--quick] [--trials 10000] [--content-bytes 615]
//
// Two relays of ours, A and B, with default settings. In each trial a stranger drops a wrap on A alone; a coin decides whether the recipient acknowledges it, on
// both, as clients do; then the stranger publishes it on B for the first time, and notes the answer and how long it took. Trials go in batches: all that
// is acknowledged in one is answered before its publications begin, and those are in random order, one at a time over a connection that does nothing else.
//
// The best guess from the bytes, and the best from the time with one threshold, are found in the first half of the trials and tried on the second. Half of
// them right is what the coin alone gives.

import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { acknowledgement, giftWrap, person } from "./harness/events.ts";
import { machine } from "./harness/machine.ts";
import { startRelay } from "./harness/relay.ts";
import { frame, Wire } from "./harness/wire.ts";

const FULL_TRIALS = 10_000;
const QUICK_TRIALS = 400;
const BATCH = 100;
const RECIPIENTS = 200;
// Each from an address of its own, so that no rate limit is met.
const CONNECTIONS = 64;

type Trial = {
  readonly isAcknowledged: boolean;
  /** What was answered, without the id. */
  readonly answer: string;
  readonly micros: number;
};

/** One event in flight at a time. */
class Publishing {
  readonly #wire: Wire;
  #heard: (text: string, at: number) => void = () => {};

  private constructor(wire: Wire) {
    this.#wire = wire;
    wire.onMessage = (buffer, start, end) => {
      const at = performance.now();
      const text = buffer.toString("utf8", start, end);
      // A connection that said nothing for a second is challenged, whatever it is going to say.
      if (!text.startsWith('["AUTH"')) this.#heard(text, at);
    };
  }

  static async connect(url: string, number: number): Promise<Publishing> {
    const address = `10.0.${number >> 8}.${number & 0xff}`;
    return new Publishing(await Wire.connect(url, undefined, address));
  }

  async publish(bytes: Buffer): Promise<{ answer: string; micros: number }> {
    const heard = new Promise<{ answer: string; micros: number }>((resolve) => {
      this.#heard = (answer, at) => resolve({ answer, micros: (at - began) * 1_000 });
    });
    const began = performance.now();
    this.#wire.send(bytes);
    return heard;
  }

  close(): Promise<void> {
    return this.#wire.close();
  }
}

type Event = { readonly id: string };

function framed(event: Event): Buffer {
  return frame(JSON.stringify(["EVENT", event]));
}

/** Publishes all of them, one at a time on each connection. Throws when one is refused. */
async function publishAll(over: readonly Publishing[], events: readonly Event[]): Promise<void> {
  const left = [...events];
  await Promise.all(
    over.map(async (connection) => {
      for (let event = left.pop(); event !== undefined; event = left.pop()) {
        const { answer } = await connection.publish(framed(event));
        if (!answer.includes(",true,")) throw new Error(answer);
      }
    }),
  );
}

function shuffled<Each>(all: readonly Each[]): Each[] {
  const order = [...all];
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [order[at], order[other]] = [order[other] as Each, order[at] as Each];
  }
  return order;
}

type Guess = (trial: Trial) => boolean;

/** How many of the trials a guess gets right, as a share. */
function share(trials: readonly Trial[], guess: Guess): number {
  const right = trials.filter((trial) => guess(trial) === trial.isAcknowledged);
  return right.length / trials.length;
}

/** For each answer what it more often meant. */
function guessFromBytes(trials: readonly Trial[]): Guess {
  const balance = new Map<string, number>();
  for (const { answer, isAcknowledged } of trials) {
    balance.set(answer, (balance.get(answer) ?? 0) + (isAcknowledged ? 1 : -1));
  }
  return ({ answer }) => (balance.get(answer) ?? 0) > 0;
}

/** The threshold, and the side of it, that is right most often. */
function guessFromTime(trials: readonly Trial[]): { guess: Guess; threshold: number } {
  const byTime = trials.toSorted((a, b) => a.micros - b.micros);
  // All are said to be acknowledged; one after the other, from the quickest on, is said not to be.
  let right = byTime.filter(({ isAcknowledged }) => isAcknowledged).length;
  let best = { distance: -1, threshold: 0, isSlower: true };
  for (const { micros, isAcknowledged } of byTime) {
    right += isAcknowledged ? -1 : 1;
    const distance = Math.abs(right - trials.length / 2);
    if (distance <= best.distance) continue;
    best = { distance, threshold: micros, isSlower: right >= trials.length / 2 };
  }
  const { threshold, isSlower } = best;
  return { threshold, guess: ({ micros }) => micros > threshold === isSlower };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

function inWords(trials: readonly Trial[], isAcknowledged: boolean): string {
  const times = trials
    .filter((trial) => trial.isAcknowledged === isAcknowledged)
    .map(({ micros }) => micros)
    .toSorted((a, b) => a - b);
  const [p10, p50, p90] = [0.1, 0.5, 0.9].map((q) => quantile(times, q).toFixed(0));
  return `${times.length} trials, p10 ${p10} µs, median ${p50} µs, p90 ${p90} µs`;
}

function percent(part: number): string {
  return `${(100 * part).toFixed(2)} %`;
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    trials: { type: "string" },
    "content-bytes": { type: "string", default: "615" },
  },
});
const trials = Number(values.trials ?? (values.quick ? QUICK_TRIALS : FULL_TRIALS));
const contentBytes = Number(values["content-bytes"]);

const folders = ["a", "b"].map((name) => mkdtempSync(join(tmpdir(), `deaddrop-first-${name}-`)));
const settings = { DEADDROP_TRUSTED_PROXIES: "127.0.0.1" };
const relays = [];
for (const folder of folders) relays.push(await startRelay(folder, settings, { isHurried: true }));
const connected = (url: string, from: number): Promise<Publishing[]> =>
  Promise.all(
    Array.from({ length: CONNECTIONS }, (_, number) => Publishing.connect(url, from + number)),
  );
const [a, b] = relays;
if (a === undefined || b === undefined) throw new Error("two relays");
const [strangersAtA, strangersAtB, recipientsAtA, recipientsAtB] = [
  await connected(a.url, 0),
  await connected(b.url, 0),
  await connected(a.url, 1_000),
  await connected(b.url, 1_000),
];
const recipients = Array.from({ length: RECIPIENTS }, () => person());

const done: Trial[] = [];
while (done.length < trials) {
  const batch = Array.from({ length: Math.min(BATCH, trials - done.length) }, () => {
    const recipient = recipients[randomInt(RECIPIENTS)];
    if (recipient === undefined) throw new Error("no recipient");
    const wrap = giftWrap(recipient.pubkey, { contentBytes });
    return { recipient, wrap, bytes: framed(wrap), isAcknowledged: randomInt(2) === 1 };
  });
  await publishAll(
    strangersAtA,
    batch.map(({ wrap }) => wrap),
  );
  const acknowledgements = batch
    .filter(({ isAcknowledged }) => isAcknowledged)
    .map(({ recipient, wrap }) => acknowledgement(recipient, [wrap.id]));
  await publishAll(recipientsAtA, acknowledgements);
  await publishAll(recipientsAtB, acknowledgements);
  for (const { wrap, bytes, isAcknowledged } of shuffled(batch)) {
    const stranger = strangersAtB[randomInt(CONNECTIONS)];
    if (stranger === undefined) throw new Error("no stranger");
    const { answer, micros } = await stranger.publish(bytes);
    done.push({ isAcknowledged, answer: answer.replace(wrap.id, "<id>"), micros });
  }
  if (done.length % 1_000 === 0) process.stderr.write(`${done.length} trials\n`);
}
const all = [strangersAtA, strangersAtB, recipientsAtA, recipientsAtB].flat();
await Promise.all(all.map((connection) => connection.close()));
for (const relay of relays) await relay.stop();
for (const folder of folders) rmSync(folder, { recursive: true });

const [first, second] = [done.slice(0, done.length / 2), done.slice(done.length / 2)];
const bytes = guessFromBytes(first);
const { guess: time, threshold } = guessFromTime(first);
const spread = 1.96 * Math.sqrt(0.25 / second.length);
const answers = [...new Set(done.map(({ answer }) => answer))];
const { processor, cores, kernel, filesystem, node } = machine();
process.stdout.write(`\
${done.length} trials, wraps with ${contentBytes} random bytes of content; ${processor}, ${cores} cores, ${kernel}, ${filesystem}, Node ${node}
answers: ${answers.join(" and ")}
acknowledged before: ${inWords(done, true)}
not acknowledged:    ${inWords(done, false)}
best guess from the answer's bytes: right in ${percent(share(second, bytes))} of the second half
best guess from its time (threshold ${threshold.toFixed(0)} µs): right in ${percent(share(first, time))} of the first half, ${percent(share(second, time))} of the second
a coin is right in 50 % ± ${percent(spread)} of so many, 19 times in 20
`);
