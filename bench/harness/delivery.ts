// Drops at a steady pace, to recipients that listen: what several scenarios measure, each in its own way.

import { type Person, person, stranger } from "./events.ts";
import { connections } from "./files.ts";
import { connectAll, giftWraps, percentile, type Prepared } from "./load.ts";
import { cpuMs } from "./process.ts";
import type { Column, Run, Sample, Subject } from "./scenario.ts";
import { type Session, signInAll, subscribeAll } from "./session.ts";
import type { Wire } from "./wire.ts";

const SENDERS = 8;
const FULL = { warmUp: 1_000, measured: 5_000 };
const QUICK = { warmUp: 100, measured: 400 };
/** How long after the last drop was sent the last may arrive. */
const LATE_MS = 10_000;
const TICK_MS = 1;
const ID_DIGITS = 64;
const OK_HEAD = '["OK","'.length;
const VERB_AT = 2;
const O = "O".charCodeAt(0);
const E = "E".charCodeAt(0);
const V = "V".charCodeAt(0);
const ID = Buffer.from('"id":"');

export const DELIVERY_COLUMNS: readonly Column[] = [
  { key: "p50Ms", head: "OK to recipient, p50, ms", digits: 2, better: "lower" },
  { key: "p99Ms", head: "p99, ms", digits: 2, better: "lower" },
  { key: "serverMicros", head: "server CPU, µs per drop", digits: 1, better: "lower" },
  { key: "sentP50Ms", head: "sent to recipient, p50, ms", digits: 2, better: "lower" },
  { key: "sentP99Ms", head: "p99, ms", digits: 2, better: "lower" },
  { key: "okP50Ms", head: "sent to OK, p50, ms", digits: 2, better: "context" },
  { key: "subscribers", head: "subscribers", digits: 0, better: "context" },
  { key: "lost", head: "not delivered", digits: 0, better: "context" },
  { key: "generatorMicros", head: "generator CPU, µs per drop", digits: 1, better: "context" },
];

export type Delivering = { readonly subscribers: number; readonly perSecond: number };

/** Starts the relay, has so many recipients subscribe, and offers drops for them at a steady pace. */
export async function measureDelivery(
  subject: Subject,
  run: Run,
  { subscribers: wanted, perSecond }: Delivering,
): Promise<Sample> {
  const subscribers = connections(wanted);
  const { warmUp, measured } = run.quick ? QUICK : FULL;
  const people = recipients(subscribers);
  const events = giftWraps(warmUp + measured, () => anyOf(people));
  const relay = await subject.start(run.folder());
  const sessions = await signInAll(subject, relay.url, people);
  await subscribeAll(sessions);
  const senders = await connectAll(relay.url, SENDERS);
  await deliver(senders, sessions, events.slice(0, warmUp), perSecond);

  const serverBefore = cpuMs(relay.pid);
  const generatorBefore = process.cpuUsage();
  const { sentAt, okAt, arrivedAt } = await deliver(
    senders,
    sessions,
    events.slice(warmUp),
    perSecond,
  );
  const server = cpuMs(relay.pid) - serverBefore;
  const { user, system } = process.cpuUsage(generatorBefore);

  const fromOk = between(okAt, arrivedAt);
  const fromSent = between(sentAt, arrivedAt);
  await Promise.all([...senders, ...sessions.map(({ wire }) => wire)].map((wire) => wire.close()));
  await relay.stop();
  return {
    p50Ms: percentile(fromOk, 0.5),
    p99Ms: percentile(fromOk, 0.99),
    serverMicros: (server * 1_000) / measured,
    sentP50Ms: percentile(fromSent, 0.5),
    sentP99Ms: percentile(fromSent, 0.99),
    okP50Ms: percentile(between(sentAt, okAt), 0.5),
    subscribers,
    lost: measured - fromSent.length,
    generatorMicros: (user + system) / measured,
  };
}

// The same people in all measurements: each has its own relay with nothing in it.
const people: Person[] = [];

function recipients(count: number): readonly Person[] {
  while (people.length < count) people.push(person());
  return people.slice(0, count);
}

function anyOf(people: readonly Person[]): string {
  return people[Math.floor(Math.random() * people.length)]?.pubkey ?? stranger();
}

/** When each event was sent, was answered and arrived, in ms; NaN for what did not happen. */
type Times = Readonly<Record<"sentAt" | "okAt" | "arrivedAt", Float64Array>>;

function deliver(
  senders: readonly Wire[],
  sessions: readonly Session[],
  events: readonly Prepared[],
  perSecond: number,
): Promise<Times> {
  const places = new Map(events.map(({ id }, at) => [id, at]));
  const times = (): Float64Array => new Float64Array(events.length).fill(Number.NaN);
  const [sentAt, okAt, arrivedAt] = [times(), times(), times()];
  const { promise, resolve, reject } = Promise.withResolvers<Times>();
  let open = 2 * events.length;
  const note = (times: Float64Array, id: string): void => {
    const place = places.get(id);
    if (place === undefined || !Number.isNaN(times[place])) return;
    times[place] = performance.now();
    open -= 1;
    if (open === 0) end();
  };
  for (const wire of senders) {
    wire.onMessage = (buffer, start, end) => {
      if (buffer[start + VERB_AT] !== O) return;
      const at = start + OK_HEAD;
      if (buffer.toString("latin1", at + ID_DIGITS + 2, at + ID_DIGITS + 6) !== "true")
        reject(new Error(`a drop was refused: ${buffer.toString("utf8", start, end)}`));
      note(okAt, buffer.toString("latin1", at, at + ID_DIGITS));
    };
  }
  for (const { wire } of sessions) {
    wire.onMessage = (buffer, start) => {
      if (buffer[start + VERB_AT] !== E || buffer[start + VERB_AT + 1] !== V) return;
      const at = buffer.indexOf(ID, start) + ID.length;
      note(arrivedAt, buffer.toString("latin1", at, at + ID_DIGITS));
    };
  }
  let next = 0;
  let late: NodeJS.Timeout | undefined;
  const began = performance.now();
  const ticks = setInterval(() => {
    const due = Math.min(events.length, ((performance.now() - began) * perSecond) / 1_000);
    for (; next < due; next += 1) {
      const event = events[next];
      if (event === undefined) break;
      sentAt[next] = performance.now();
      senders[next % senders.length]?.send(event.frame);
    }
    if (next < events.length) return;
    clearInterval(ticks);
    late = setTimeout(end, LATE_MS);
  }, TICK_MS);
  function end(): void {
    clearInterval(ticks);
    clearTimeout(late);
    resolve({ sentAt, okAt, arrivedAt });
  }
  return promise.finally(() => {
    clearInterval(ticks);
    clearTimeout(late);
  });
}

/** The differences in ascending order, of those events to which both happened. */
function between(from: Float64Array, to: Float64Array): Float64Array {
  return to
    .map((at, event) => at - (from[event] ?? Number.NaN))
    .filter((ms) => !Number.isNaN(ms))
    .sort();
}
