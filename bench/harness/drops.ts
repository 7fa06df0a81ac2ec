// Drops sent to a relay that was just started: what several scenarios measure, each in its own way.

import { fill } from "./filled.ts";
import { stranger } from "./events.ts";
import { signatureMicros } from "./signature.ts";
import { connectAll, giftWraps, type Prepared, publish } from "./load.ts";
import type { How } from "./relay.ts";
import type { Column, Run, Sample, Subject } from "./scenario.ts";

const RECIPIENTS = 1_000;
const BOXES = 10_000;
const FULL = { warmUp: 30_000, measured: 30_000, warmUpMs: 6_000, measuredMs: 8_000 };
const QUICK = { warmUp: 1_000, measured: 3_000, warmUpMs: 500, measuredMs: 1_000 };

export const DROP_COLUMNS: readonly Column[] = [
  { key: "perSecond", head: "OK/s", digits: 0, better: "higher" },
  { key: "serverMicros", head: "server CPU, µs per event", digits: 1, better: "lower" },
  { key: "p50Ms", head: "p50, ms", digits: 2, better: "lower" },
  { key: "p99Ms", head: "p99, ms", digits: 2, better: "lower" },
  {
    key: "signatureMicros",
    head: "one signature check just then, µs",
    digits: 1,
    better: "context",
  },
  { key: "generatorMicros", head: "generator CPU, µs per event", digits: 1, better: "context" },
  { key: "answered", head: "events", digits: 0, better: "context" },
  { key: "refused", head: "refused", digits: 0, better: "context" },
];

export const DURABILITY = `An OK does not promise the same everywhere. Dead Drop and @nostr-relay/core send it after the drop was synced to disk. \
nostr-rs-relay sends it after a commit that is not synced, so a power cut can take the last drops. rnostr syncs, but commits every 100 ms and may send the \
OK before that; with 64 in flight it can therefore give no more than about 640 OK/s, which tells how long it takes and not how much it could do. A relay that \
needs longer than ${FULL.measuredMs / 1_000} s is measured on what it did by then: see the number of events.`;

export type Dropping = {
  readonly connections: number;
  /** Events without an answer, on each connection. */
  readonly inFlight: number;
  /** Drops that the store holds before; this relay only. */
  readonly held?: number;
  readonly how?: How;
};

const recipients = Array.from({ length: RECIPIENTS }, stranger);
let made: readonly Prepared[] = [];

/** The same events for all, each of which starts with a store that lacks them. */
function prepare(count: number): readonly Prepared[] {
  if (made.length < count)
    made = giftWraps(count, (number) => recipients[number % RECIPIENTS] ?? "");
  return made;
}

/** Starts the relay, warms it up and measures the drops that follow. Throws when it refuses one. */
export async function measureDrops(
  subject: Subject,
  run: Run,
  { connections, inFlight, held = 0, how = {} }: Dropping,
): Promise<Sample> {
  const { warmUp, measured, warmUpMs, measuredMs } = run.quick ? QUICK : FULL;
  const events = prepare(warmUp + measured);
  const folder = run.folder();
  if (held > 0) await fill(folder, { held, boxes: BOXES });
  const relay = await subject.start(folder, {}, how);
  try {
    const wires = await connectAll(relay.url, connections);
    await publish(wires, events.slice(0, warmUp), inFlight, relay.pid, warmUpMs);
    const rest = events.slice(warmUp, warmUp + measured);
    const { refusal, ...numbers } = await publish(wires, rest, inFlight, relay.pid, measuredMs);
    if (refusal !== undefined) throw new Error(`refused ${numbers.refused} drops: ${refusal}`);
    await Promise.all(wires.map((wire) => wire.close()));
    return { ...numbers, signatureMicros: signatureMicros() };
  } finally {
    await relay.stop();
  }
}
