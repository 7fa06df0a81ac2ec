import { setTimeout as sleep } from "node:timers/promises";

import { connections } from "./harness/files.ts";
import { type Person, person } from "./harness/events.ts";
import { memoryBytes } from "./harness/process.ts";
import type { Scenario } from "./harness/scenario.ts";
import { signInAll, subscribeAll } from "./harness/session.ts";

const MANY = 20_000;
const FEW = 2_000;
const QUICK = 1_000;
/** Opened before the first look at the memory: code is compiled and pools are made for the first ones. */
const EARLIER = 200;
/** Memory counts as settled when two looks at it, so far apart, differ by so little; and after so many it is what it is. */
const APART_MS = 500;
const SETTLED = 0.01;
const LOOKS = 40;
const KB = 1_000;

const node = process.env["DEADDROP_UWS_NODE"];
const hasUws = node !== undefined && process.env["DEADDROP_UWS"] !== undefined;
const UWS = { DEADDROP_TRANSPORT: "uws" };

export const scenario: Scenario = {
  name: "idle",
  title: "Memory of an idle connection: authenticated, with one REQ open",
  columns: [
    { key: "perConnectionKb", head: "kB per connection", digits: 2, better: "lower" },
    { key: "beforeMb", head: "before them, MB", digits: 1, better: "context" },
    { key: "afterMb", head: "with them, MB", digits: 1, better: "context" },
    { key: "connections", head: "connections", digits: 0, better: "context" },
  ],
  target: "≤ 12 KB on ws, ≤ 6 KB on uWebSockets.js, with 20,000 connections",
  points: (quick) =>
    (quick ? [QUICK] : [FEW, MANY]).map((x) => ({
      label: `${x.toLocaleString("en-US")} connections`,
      x,
    })),
  peerPoints: [QUICK, FEW],
  note:
    "RssAnon when it has settled, against what it was with the first 200; no garbage collection is forced." +
    (hasUws
      ? " uWebSockets.js runs under Node 20, for which it has a binary that this system can load."
      : " uWebSockets.js was not measured: DEADDROP_UWS and DEADDROP_UWS_NODE are not set, which .ci/tools prints."),
  peers: true,
  ...(hasUws && { variants: { "Dead Drop on uWebSockets.js": UWS } }),
  async measure(subject, run, { x }) {
    if (subject.isOurs && !hasUws) run.log("idle: uWebSockets.js is not set up, see .ci/tools");
    const idle = connections(x + EARLIER) - EARLIER;
    const isUws = subject.settings?.["DEADDROP_TRANSPORT"] === UWS.DEADDROP_TRANSPORT;
    const how = isUws && node !== undefined ? { node } : {};
    const relay = await subject.start(run.folder(), {}, how);

    const earlier = await signInAll(subject, relay.url, recipients(0, EARLIER));
    await subscribeAll(earlier);
    const before = await settledBytes(relay.pid);
    const sessions = await signInAll(subject, relay.url, recipients(EARLIER, EARLIER + idle));
    await subscribeAll(sessions);
    const after = await settledBytes(relay.pid);

    const lost = [...earlier, ...sessions].filter(({ wire }) => !wire.isOpen).length;
    if (lost > 0) throw new Error(`${lost} of ${idle + EARLIER} connections were closed`);
    await Promise.all([...earlier, ...sessions].map(({ wire }) => wire.close()));
    await relay.stop();
    return {
      perConnectionKb: (after - before) / idle / KB,
      beforeMb: before / KB ** 2,
      afterMb: after / KB ** 2,
      connections: idle,
    };
  },
};

const people: Person[] = [];

function recipients(from: number, to: number): readonly Person[] {
  while (people.length < to) people.push(person());
  return people.slice(from, to);
}

async function settledBytes(pid: number): Promise<number> {
  let before = memoryBytes(pid);
  for (let look = 0; look < LOOKS; look += 1) {
    await sleep(APART_MS);
    const bytes = memoryBytes(pid);
    if (Math.abs(bytes - before) <= SETTLED * bytes) return bytes;
    before = bytes;
  }
  return before;
}
