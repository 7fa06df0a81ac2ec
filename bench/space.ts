import { statSync } from "node:fs";
import { join } from "node:path";

import { owner } from "./harness/filled.ts";
import { connectAll, giftWraps, type Prepared, publish } from "./harness/load.ts";
import type { Run, Scenario, Subject } from "./harness/scenario.ts";
import { prepareAcknowledgement } from "./harness/session.ts";

const DROPS = 100_000;
const QUICK_DROPS = 5_000;
const BOX_DROPS = 5_000;
const IDS = 1_000;
const SENDERS = 64;
/** Events signed at a time: all of them would fill the memory. */
const AT_ONCE = 10_000;
const BLOCK_BYTES = 512;

export const scenario: Scenario = {
  name: "space",
  title: "Disk: drops, all of them acknowledged, and as many again",
  columns: [
    { key: "perDrop", head: "bytes on disk per drop", digits: 0, better: "lower" },
    { key: "eventBytes", head: "bytes of an event", digits: 0, better: "context" },
    { key: "acknowledgedGrowth", head: "growth by acknowledging, %", digits: 1, better: "lower" },
    { key: "refillGrowth", head: "growth by as many again, %", digits: 1, better: "lower" },
    { key: "fileMb", head: "file in the end, MB", digits: 1, better: "context" },
    { key: "drops", head: "drops", digits: 0, better: "context" },
  ],
  target: "≤ 2,000 bytes per drop of 1.2 KB, and space reused after acknowledgement",
  note: "The blocks of the store's file, looked at with the relay stopped. Tombstones of what was acknowledged stay.",
  peers: false,
  async measure(subject, run) {
    const drops = run.quick ? QUICK_DROPS : DROPS;
    const folder = run.folder();
    const owners = Array.from({ length: drops / BOX_DROPS }, (_, at) => owner(at));
    const boxes = owners.map(({ pubkey }) => pubkey);
    const empty = await bytesAfter(subject, folder, async () => {});

    const idsOf = owners.map((): string[] => []);
    let eventBytes = 0;
    const fillUp = (note?: (event: Prepared, number: number) => void) =>
      bytesAfter(subject, folder, (url, pid) =>
        inPortions(drops, async (from, count) => {
          const to = (number: number): string => boxes[(from + number) % boxes.length] ?? "";
          const events = giftWraps(count, to);
          eventBytes = events[0]?.frame.length ?? 0;
          for (const [at, event] of events.entries()) note?.(event, from + at);
          await send(run, url, pid, events);
        }),
      );
    const full = await fillUp(({ id }, number) => idsOf[number % boxes.length]?.push(id));
    const acknowledged = await bytesAfter(subject, folder, (url, pid) =>
      send(
        run,
        url,
        pid,
        owners.flatMap((who, at) => {
          const ids = idsOf[at] ?? [];
          return Array.from({ length: Math.ceil(ids.length / IDS) }, (_, part) =>
            prepareAcknowledgement(who, ids.slice(part * IDS, (part + 1) * IDS)),
          );
        }),
      ),
    );
    const refilled = await fillUp();
    return {
      perDrop: (full - empty) / drops,
      eventBytes: eventBytes - FRAME_BYTES,
      acknowledgedGrowth: (acknowledged / full - 1) * 100,
      refillGrowth: (refilled / acknowledged - 1) * 100,
      fileMb: refilled / 1e6,
      drops,
    };
  },
};

/** What a frame has beside the event: head and mask, and `["EVENT",` with its bracket. */
const FRAME_BYTES = 8 + '["EVENT",]'.length;

/** The size of the store's file after the relay ran and did `work`. */
async function bytesAfter(
  subject: Subject,
  folder: string,
  work: (url: string, pid: number) => Promise<void>,
): Promise<number> {
  const relay = await subject.start(folder);
  await work(relay.url, relay.pid);
  await relay.stop();
  return statSync(join(folder, "data.mdb")).blocks * BLOCK_BYTES;
}

async function inPortions(
  all: number,
  work: (from: number, count: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < all; from += AT_ONCE) await work(from, Math.min(AT_ONCE, all - from));
}

async function send(
  run: Run,
  url: string,
  pid: number,
  events: readonly Prepared[],
): Promise<void> {
  const wires = await connectAll(url, SENDERS);
  const { refusal, refused } = await publish(wires, events, 1, pid);
  if (refusal !== undefined) {
    run.log(`space: ${refused} of ${events.length} refused`);
    throw new Error(refusal);
  }
  await Promise.all(wires.map((wire) => wire.close()));
}
