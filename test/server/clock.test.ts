// Relays whose clocks are wrong, in all their threads, at the start and while they run.

import { spawnSync } from "node:child_process";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { ShiftedClock, sweptLately } from "../support/clock.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";

const HOUR = 60 * 60;
const DAY = 24 * HOUR;
const FAR = 33 * DAY;
const COUNT = 30;

const OPTIONS = { DEADDROP_SWEEP_SECONDS: "1s", DEADDROP_METRICS: "127.0.0.1:0" };

function relayOn(data: string, clock: ShiftedClock, env: object = {}): Promise<RelayProcess> {
  return startRelay({ data, env: { ...OPTIONS, ...clock.env, ...env } });
}

/** The folder of a relay that swept a moment ago. */
async function sweptFolder(): Promise<string> {
  const folder = temporaryFolder();
  await sweptLately(folder);
  return folder;
}

/** Drops for somebody: some that are held, and some that were acknowledged. */
async function boxOf(bob: Person, relay: RelayProcess) {
  const wraps = Array.from({ length: 2 * COUNT }, () => giftWrap({ to: bob }));
  const [held, acknowledged] = [wraps.slice(COUNT), wraps.slice(0, COUNT)];
  const client = await Client.connect(relay.url);
  for (const drop of wraps) expect(await client.publish(drop)).toEqual(OK(drop));
  const ack = acknowledgement(bob, acknowledged);
  expect(await client.publish(ack)).toEqual(OK(ack));
  return { held, acknowledged };
}

/** That nothing was lost, and nothing comes back. */
async function isWhole(
  relay: RelayProcess,
  bob: Person,
  { held, acknowledged }: { held: NostrEvent[]; acknowledged: NostrEvent[] },
): Promise<void> {
  const client = await (await Client.connect(relay.url)).authenticate(bob);
  for (const drop of acknowledged) {
    expect(await client.publish(drop)).toEqual([...OK(drop).slice(0, 3), DUPLICATE]);
  }
  expect((await client.pickup({})).sort()).toEqual(held.map(({ id }) => id).sort());
}

const OK = (event: NostrEvent): unknown[] => ["OK", event.id, true, ""];
const DUPLICATE = "duplicate: already have this event";

async function metric(relay: RelayProcess, name: string): Promise<number> {
  const text = await (await fetch(relay.metrics ?? "")).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length) ?? 0);
}

/** Asks for a metric until it is this; the test's own time limit is the end of its patience. */
async function metricIs(relay: RelayProcess, name: string, value: number): Promise<void> {
  while ((await metric(relay, name)) !== value);
}

/** Resolves when two more sweeps were done: one that begins from now on among them. */
async function sweepsTwice(relay: RelayProcess): Promise<void> {
  const name = "deaddrop_sweeps_total";
  const before = await metric(relay, name);
  while ((await metric(relay, name)) < before + 2);
}

const doubts = (relay: RelayProcess): unknown[] =>
  relay.log.flatMap(({ doubt, level }) => (level === 40 && doubt !== undefined ? [doubt] : []));

describe.each(["1", "2"])("a relay with event loops: %s", (workers) => {
  const env = process.env["DEADDROP_TRANSPORT"] === "uws" ? {} : { DEADDROP_WORKERS: workers };

  it("loses nothing and brings nothing back when its clock is far ahead at one start", async () => {
    const bob = person();
    const data = await sweptFolder();
    const before = await relayOn(data, new ShiftedClock(), env);
    const box = await boxOf(bob, before);
    await before.stop();

    const ahead = await relayOn(data, new ShiftedClock(FAR), env);
    await sweepsTwice(ahead);
    expect(await metric(ahead, "deaddrop_drops_held")).toBe(COUNT);
    expect(await metric(ahead, "deaddrop_tombstones")).toBe(COUNT);
    expect(await metric(ahead, "deaddrop_clock_believed")).toBe(0);
    const late = giftWrap({ to: bob });
    expect((await (await Client.connect(ahead.url)).publish(late))[3]).toBe("invalid: expired");
    expect(doubts(ahead)).toEqual(["ahead"]);
    await ahead.stop();

    const right = await relayOn(data, new ShiftedClock(), env);
    await isWhole(right, bob, box);
    expect(await metric(right, "deaddrop_clock_believed")).toBe(1);
  });

  it("loses nothing and brings nothing back when its clock is far ahead for a while", async () => {
    const bob = person();
    const clock = new ShiftedClock();
    const relay = await relayOn(await sweptFolder(), clock, env);
    const box = await boxOf(bob, relay);
    clock.isSet(FAR);
    await metricIs(relay, "deaddrop_clock_believed", 0);
    await sweepsTwice(relay);
    clock.isSet(0);
    await sweepsTwice(relay);
    await isWhole(relay, bob, box);
    expect(doubts(relay)).toEqual(["jumped"]);
    // Steady again for an hour.
    clock.passes(HOUR);
    await metricIs(relay, "deaddrop_clock_believed", 1);
    await sweepsTwice(relay);
    expect(await metric(relay, "deaddrop_drops_held")).toBe(COUNT);
    expect(await metric(relay, "deaddrop_tombstones")).toBe(COUNT);
  });

  it("takes nothing back that had expired before its clock was set back, and does not tell what became of it", async () => {
    const bob = person();
    const data = temporaryFolder();
    const then = now() - 20 * DAY;
    const wraps = Array.from({ length: 3 }, () =>
      giftWrap({ to: bob, created_at: then, tags: [["expiration", String(then + 10 * DAY)]] }),
    );
    const [held, acknowledged] = wraps;
    const before = await relayOn(data, new ShiftedClock(-20 * DAY), env);
    const client = await Client.connect(before.url);
    for (const drop of [held!, acknowledged!]) {
      expect(await client.publish(drop)).toEqual(OK(drop));
    }
    await client.publish(acknowledgement(bob, [acknowledged!]));
    await before.stop();

    const right = await relayOn(data, new ShiftedClock(), env);
    confirm(right);
    await metricIs(right, "deaddrop_drops_held", 0);
    await right.stop();

    const behind = await relayOn(data, new ShiftedClock(-20 * DAY), env);
    expect(await metric(behind, "deaddrop_clock_believed")).toBe(0);
    const sender = await Client.connect(behind.url);
    for (const drop of wraps) {
      expect(await sender.publish(drop)).toEqual(["OK", drop.id, false, "invalid: expired"]);
    }
  });
});

const MAIN = new URL("../../src/main.ts", import.meta.url).pathname;

/** What the operator does on the relay's machine. */
function confirm(relay: RelayProcess) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "clock", "confirm"], {
    env: { PATH: process.env["PATH"], DEADDROP_DATA: relay.data },
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

/** A folder with a drop that expired long ago, swept before that. */
async function oldFolder(): Promise<string> {
  const folder = temporaryFolder();
  const clock = new ShiftedClock(-FAR);
  const relay = await relayOn(folder, clock);
  const client = await Client.connect(relay.url);
  const expiring = ["expiration", String(now() - DAY)];
  const drop = giftWrap({ to: person(), created_at: now() - FAR, tags: [expiring] });
  expect(await client.publish(drop)).toEqual(OK(drop));
  await relay.stop();
  return folder;
}

describe("a relay that was switched off for long", () => {
  it("deletes what is past by itself once its clock has been steady for an hour", async () => {
    const clock = new ShiftedClock();
    const relay = await relayOn(await oldFolder(), clock);
    await sweepsTwice(relay);
    expect(await metric(relay, "deaddrop_drops_held")).toBe(1);
    clock.passes(HOUR);
    await metricIs(relay, "deaddrop_drops_held", 0);
    expect(await metric(relay, "deaddrop_clock_believed")).toBe(1);
  });

  it("deletes it when somebody says that the clock is right", async () => {
    const relay = await relayOn(await oldFolder(), new ShiftedClock());
    await sweepsTwice(relay);
    expect(await metric(relay, "deaddrop_drops_held")).toBe(1);
    expect(confirm(relay)).toMatch(/^It is 20.* UTC; what is past is deleted again\.\n$/);
    await metricIs(relay, "deaddrop_drops_held", 0);
  });
});

describe("a relay on a machine that slept", () => {
  it("waits until its clock has been steady for an hour, and goes on by itself", async () => {
    const clock = new ShiftedClock();
    const relay = await relayOn(await sweptFolder(), clock);
    expect(await metric(relay, "deaddrop_clock_believed")).toBe(1);
    // The monotonic clock slept too.
    clock.isSet(8 * HOUR);
    await metricIs(relay, "deaddrop_clock_believed", 0);
    clock.passes(HOUR);
    await metricIs(relay, "deaddrop_clock_believed", 1);
  });
});
