import { setTimeout as sleep } from "node:timers/promises";

import { fill, owner } from "./harness/filled.ts";
import { connectAll, giftWraps, percentile, publish } from "./harness/load.ts";
import { cpuMs } from "./harness/process.ts";
import type { Run, Scenario, Subject } from "./harness/scenario.ts";
import { pickup, signInAll } from "./harness/session.ts";

const SMALL = 20;
const LARGE = 5_000;
const SMALL_BOXES = 200;
const QUICK_SMALL_BOXES = 50;
const WARM_UPS = 20;
const ROUNDS = 40;
const QUICK_ROUNDS = 4;
/** How long a peer, which is sent its drops, is given for that. */
const FILL_MS = 60_000;
const QUICK_FILL_MS = 1_500;
/** A peer that commits after its OK has done so by then. */
const COMMIT_MS = 500;
const SENDERS = 64;

export const scenario: Scenario = {
  name: "pickup",
  title: `Pickup: ${SMALL_BOXES} connections ask at once for a box of ${SMALL}, and one for a box of ${LARGE.toLocaleString("en-US")}; AUTH came before`,
  columns: [
    { key: "serverMicros", head: "server CPU, µs per event", digits: 2, better: "lower" },
    { key: "perSecond", head: "events/s", digits: 0, better: "higher" },
    { key: "boxP50Ms", head: "one box alone, p50, ms", digits: 2, better: "lower" },
    { key: "boxMaxMs", head: "most, ms", digits: 2, better: "lower" },
    { key: "firstMs", head: "first box of the relay's life, ms", digits: 2, better: "context" },
    { key: "events", head: "events in all boxes", digits: 0, better: "context" },
    { key: "generatorMicros", head: "generator CPU, µs per event", digits: 2, better: "context" },
  ],
  target: "CPU ≤ 7 µs per event; a box of 5,000 in under 100 ms",
  points: () => [
    { label: `boxes of ${SMALL}`, x: SMALL },
    { label: `a box of ${LARGE.toLocaleString("en-US")}`, x: LARGE },
  ],
  note: `From the REQ to EOSE; a relay that gives less at once is asked for the next page until it has nothing more. Peers were sent their drops for at \
most ${FILL_MS / 1_000} s: see the number of events. The CPU of a box of ${SMALL} includes its REQ, EOSE and CLOSE.`,
  peers: true,
  async measure(subject, run, { x: drops }) {
    const small = run.quick ? QUICK_SMALL_BOXES : SMALL_BOXES;
    const boxes = drops === SMALL ? small : 1;
    const folder = run.folder();
    if (subject.isOurs) await fill(folder, { held: 0, boxes: 0, owned: { boxes, drops } });
    const relay = await subject.start(folder);
    const owners = Array.from({ length: boxes }, (_, at) => owner(at));
    if (!subject.isOurs) {
      const pubkeys = owners.map(({ pubkey }) => pubkey);
      await send(subject, run, relay, pubkeys, boxes * drops);
    }

    const sessions = await signInAll(subject, relay.url, owners);
    const pickups = sessions.map((session) => pickup(session, subject));
    const all = async (): Promise<number> => {
      const events = await Promise.all(pickups.map((pickUp) => pickUp()));
      return events.reduce((sum, count) => sum + count, 0);
    };
    const [firstMs = 0] = await alone(pickups.slice(0, 1));
    let events = 0;
    for (let warmUp = 0; warmUp < WARM_UPS; warmUp += 1) events = await all();
    if (events === 0 || (subject.isOurs && events !== boxes * drops)) {
      throw new Error(`${events} of ${boxes * drops} drops came`);
    }

    const serverBefore = cpuMs(relay.pid);
    const generatorBefore = process.cpuUsage();
    const began = performance.now();
    const rounds = run.quick ? QUICK_ROUNDS : ROUNDS;
    let picked = 0;
    for (let round = 0; round < rounds; round += 1) picked += await all();
    const ms = performance.now() - began;
    const server = cpuMs(relay.pid) - serverBefore;
    const { user, system } = process.cpuUsage(generatorBefore);

    const singles = boxes > 1 ? pickups : Array.from({ length: rounds }).flatMap(() => pickups);
    const boxMs = await alone(singles);
    await Promise.all(sessions.map(({ wire }) => wire.close()));
    await relay.stop();
    return {
      serverMicros: (server * 1_000) / picked,
      perSecond: (picked / ms) * 1_000,
      boxP50Ms: percentile(boxMs, 0.5),
      boxMaxMs: boxMs.at(-1) ?? Number.NaN,
      firstMs,
      events,
      generatorMicros: (user + system) / picked,
    };
  },
};

/** One after the other: how long each took, in ascending order. */
async function alone(pickups: readonly (() => Promise<number>)[]): Promise<Float64Array> {
  const took = new Float64Array(pickups.length);
  for (const [at, pickUp] of pickups.entries()) {
    const began = performance.now();
    await pickUp();
    took[at] = performance.now() - began;
  }
  return took.sort();
}

async function send(
  subject: Subject,
  run: Run,
  { url, pid }: { url: string; pid: number },
  recipients: readonly string[],
  drops: number,
): Promise<void> {
  const events = giftWraps(drops, (at) => recipients[at % recipients.length] ?? "");
  const wires = await connectAll(url, SENDERS);
  const limitMs = run.quick ? QUICK_FILL_MS : FILL_MS;
  const { answered, refused, refusal } = await publish(wires, events, 1, pid, limitMs);
  if (refusal !== undefined) run.log(`${subject.name} refused ${refused} drops: ${refusal}`);
  if (answered < drops) run.log(`${subject.name} took ${answered} of ${drops} drops in time`);
  await Promise.all(wires.map((wire) => wire.close()));
  await sleep(COMMIT_MS);
}
