// What comes while somebody listens: pickups that wait for a drop, and boxes read as server-sent events.

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, ephemeralWrap, giftWrap, inOrder } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { OVERTAKING, sharedRelay, startRelay } from "../support/relay.ts";
import {
  ALL,
  askAs,
  boxOf,
  brought,
  count,
  dropsFor,
  EventStream,
  hold,
  idsOf,
  pickup,
  post,
  untilOpen,
  untilWaiting,
} from "./support.ts";

// A wait so long that a test which has to wait for its end fails.
const LONG = "600";
const METRICS = { DEADDROP_METRICS: "127.0.0.1:0", DEADDROP_LIMITS_WAIT_SECONDS: "10m" };
const relay = sharedRelay({ env: { ...METRICS, ...OVERTAKING } });

describe("a pickup that waits", () => {
  it("is answered at once when there is something", async () => {
    const bob = person();
    const drops = dropsFor(bob, 3);
    await hold(relay(), drops);
    const { events, headers } = await pickup(relay(), bob, `?wait=${LONG}`);
    expect(events).toEqual(inOrder(drops));
    expect(headers.get("dead-drop-finished")).toBe("true");
  });

  it("is answered with a drop that comes meanwhile, and not with one for another", async () => {
    const quiet = await startRelay({ env: METRICS });
    const bob = person();
    const waiting = pickup(quiet, bob, `?wait=${LONG}`);
    await untilWaiting(quiet, { connections: 1, proven: 1 });
    const drop = giftWrap({ to: bob });
    await hold(quiet, [giftWrap({ to: person() }), drop]);
    const { events, headers } = await waiting;
    expect(events).toEqual([drop]);
    expect(headers.get("dead-drop-count")).toBe("1");
    expect(headers.get("dead-drop-finished")).toBe("true");
    expect(headers.has("dead-drop-cursor")).toBe(true);
    await untilOpen(quiet, 0);
  });

  it("is answered with a drop that comes over a WebSocket", async () => {
    const quiet = await startRelay({ env: METRICS });
    const bob = person();
    const sender = await Client.connect(quiet.url);
    const waiting = pickup(quiet, bob, `?wait=${LONG}`);
    await untilWaiting(quiet, { connections: 2, proven: 1 });
    const drop = giftWrap({ to: bob });
    await sender.publish(drop);
    expect((await waiting).events).toEqual([drop]);
  });

  it("claims no drop that it does not send, however many come at once", async () => {
    const small = await startRelay({
      env: { ...METRICS, ...OVERTAKING, DEADDROP_LIMITS_LIMIT: "2" },
    });
    for (let round = 1; round <= 5; round++) {
      const bob = person();
      const sender = await Client.connect(small.url);
      const waiting = pickup(small, bob, `?wait=${LONG}`);
      await untilWaiting(small, { connections: round + 1, proven: round });
      for (const drop of dropsFor(bob, 50)) sender.say("EVENT", drop);
      const { events, headers } = await waiting;
      expect(events.length).toBeGreaterThan(0);
      expect(headers.get("dead-drop-count")).toBe(String(events.length));
    }
  });

  it("waits behind its cursor, whatever is before it", async () => {
    const quiet = await startRelay({ env: METRICS });
    const bob = person();
    const newer = giftWrap({ to: bob });
    await hold(quiet, [newer]);
    const { headers } = await pickup(quiet, bob);
    const cursor = headers.get("dead-drop-cursor");
    const waiting = pickup(quiet, bob, `?cursor=${cursor}&wait=${LONG}`);
    await untilWaiting(quiet, { connections: 1, proven: 2 });
    const older = giftWrap({ to: bob, created_at: newer.created_at - 60 });
    await hold(quiet, [giftWrap({ to: bob, created_at: newer.created_at + 60 }), older]);
    expect((await waiting).events).toEqual([older]);
  });

  it("is answered with nothing when nothing came in time", async () => {
    const quiet = await startRelay({ env: METRICS });
    const waiting = pickup(quiet, person(), "?wait=2");
    // It does wait, or this would never be seen.
    await untilWaiting(quiet, { connections: 1, proven: 1 });
    const { events, headers } = await waiting;
    expect(events).toEqual([]);
    expect(headers.get("dead-drop-count")).toBe("0");
    expect(headers.get("dead-drop-finished")).toBe("true");
    await untilOpen(quiet, 0);
  });

  it("is not answered with an ephemeral wrap, which nobody could be sure to get", async () => {
    const quiet = await startRelay({ env: METRICS });
    const bob = person();
    const waiting = pickup(quiet, bob, `?wait=${LONG}`);
    await untilWaiting(quiet, { connections: 1, proven: 1 });
    expect((await post(quiet, "/drop", ephemeralWrap({ to: bob }))).status).toBe(202);
    const drop = giftWrap({ to: bob });
    await hold(quiet, [drop]);
    expect((await waiting).events).toEqual([drop]);
  });

  it("brings what was not acknowledged when it is answered", async () => {
    const bob = person();
    for (let round = 0; round < 30; round++) {
      const [early, drop] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
      await post(relay(), "/ack", acknowledgement(bob, [early]));
      const waiting = pickup(relay(), bob, `?wait=${LONG}`);
      await Promise.all([post(relay(), "/drop", early), post(relay(), "/drop", drop)]);
      expect((await waiting).events).toEqual([drop]);
      await post(relay(), "/ack", acknowledgement(bob, [drop]));
    }
  });

  it("brings each of many readers what comes", async () => {
    const quiet = await startRelay({ env: METRICS });
    const bob = person();
    const waiting = Array.from({ length: 20 }, () => pickup(quiet, bob, `?wait=${LONG}`));
    await untilWaiting(quiet, { connections: 20, proven: 20 });
    const drop = giftWrap({ to: bob });
    await hold(quiet, [drop]);
    for (const answer of waiting) expect((await answer).events).toEqual([drop]);
  });

  it("says how many drops it brings, and behind its cursor come the others, when many come in one flight", async () => {
    const quiet = await startRelay({ env: METRICS });
    const bob = person();
    const sender = await Client.connect(quiet.url);
    for (let round = 0; round < 5; round++) {
      const waiting = pickup(quiet, bob, `?limit=2&wait=${LONG}`);
      await untilWaiting(quiet, { connections: 2, proven: 2 * round + 1 });
      const drops = inOrder(dropsFor(bob, 50));
      // The oldest come first, or some would come in front of what was already picked up.
      for (const drop of drops.toReversed()) sender.say("EVENT", drop);
      const { events, headers } = await waiting;
      expect(events.length).toBeGreaterThan(0);
      expect(headers.get("dead-drop-count")).toBe(String(events.length));
      for (const _ of drops) await sender.hear();
      const behind = await pickup(quiet, bob, `?cursor=${headers.get("dead-drop-cursor")}`);
      const last = drops.findIndex(({ id }) => id === events.at(-1)?.id);
      expect(behind.events).toEqual(drops.slice(last + 1));
      await sender.publish(acknowledgement(bob, drops));
    }
  });

  it("ends when its peer leaves", async () => {
    const quiet = await startRelay({ env: METRICS });
    const leaving = new AbortController();
    const waiting = pickup(quiet, person(), `?wait=${LONG}`, { signal: leaving.signal });
    await untilWaiting(quiet, { connections: 1, proven: 1 });
    leaving.abort();
    await expect(waiting).rejects.toThrow("aborted");
    await untilOpen(quiet, 0);
  });
});

describe("an event stream", () => {
  it("begins with a comment, before there is anything to say", async () => {
    const stream = await EventStream.open(relay(), person());
    expect(stream.headers.get("content-type")).toBe("text/event-stream");
    expect(stream.headers.get("cache-control")).toBe("no-store");
    expect(await stream.hearComment()).toMatch(/^:/);
    expect(await stream.hear()).toEqual(ALL);
  });

  it.each([
    ["Text/Event-Stream", "text/event-stream"],
    ["application/x-ndjson, text/event-stream;q=0.5", "text/event-stream"],
    ["text/event-stream;q=0", "application/x-ndjson"],
    ["text/event-stream-of-mine", "application/x-ndjson"],
    ["*/*", "application/x-ndjson"],
  ])("is answered or not to who accepts %s", async (accept, type) => {
    const bob = person();
    const asked = { method: "HEAD", headers: { accept } };
    const head = await askAs(bob, boxOf(relay(), bob), asked);
    expect(head.headers.get("content-type")).toBe(type);
  });

  it("brings what is held in the order of a pickup, says that this was all, and goes on with what comes", async () => {
    const bob = person();
    const held = dropsFor(bob, 40);
    await hold(relay(), held);
    const stream = await EventStream.open(relay(), bob);
    expect(await stream.hearMany(41)).toEqual([...inOrder(held).map(brought), ALL]);
    const coming = dropsFor(bob, 5);
    for (const drop of coming) {
      await hold(relay(), [giftWrap({ to: person() }), drop]);
      expect(await stream.hear()).toEqual(brought(drop));
    }
    expect((await pickup(relay(), bob)).events).toEqual(inOrder([...held, ...coming]));
  });

  it("brings ephemeral wraps while it is open, and none that came before", async () => {
    const bob = person();
    await post(relay(), "/drop", ephemeralWrap({ to: bob }));
    const stream = await EventStream.open(relay(), bob);
    expect(await stream.hear()).toEqual(ALL);
    const wrap = ephemeralWrap({ to: bob });
    const drop = giftWrap({ to: bob });
    await post(relay(), "/drop", ephemeralWrap({ to: person() }));
    await post(relay(), "/drop", wrap);
    expect(await stream.hear()).toEqual(brought(wrap));
    await hold(relay(), [drop]);
    expect(await stream.hear()).toEqual(brought(drop));
    expect(await count(relay(), bob)).toEqual({ count: 1 });
  });

  it("brings at most `limit` drops of what is held, says that there are more, and brings what comes", async () => {
    const bob = person();
    const held = dropsFor(bob, 5);
    await hold(relay(), held);
    const stream = await EventStream.open(relay(), bob, "?limit=2");
    const heard = await stream.hearMany(3);
    expect(heard).toEqual([
      ...inOrder(held).slice(0, 2).map(brought),
      { event: "stored", data: { finished: false } },
    ]);
    const drop = giftWrap({ to: bob });
    await hold(relay(), [drop]);
    expect(await stream.hear()).toEqual(brought(drop));
  });

  it("goes on behind a cursor, and brings what comes wherever that stands", async () => {
    const bob = person();
    const held = inOrder(dropsFor(bob, 5));
    await hold(relay(), held);
    const { headers } = await pickup(relay(), bob, "?limit=2");
    const cursor = headers.get("dead-drop-cursor");
    const stream = await EventStream.open(relay(), bob, `?cursor=${cursor}`);
    expect(await stream.hearMany(4)).toEqual([...held.slice(2).map(brought), ALL]);
    const drop = giftWrap({ to: bob });
    await hold(relay(), [drop]);
    expect(await stream.hear()).toEqual(brought(drop));
  });

  it("says nothing of drops that are acknowledged or known", async () => {
    const bob = person();
    const [held, early, last] = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
    ];
    await hold(relay(), [held]);
    const stream = await EventStream.open(relay(), bob);
    expect(await stream.hearMany(2)).toEqual([brought(held), ALL]);
    await post(relay(), "/drop", held);
    await post(relay(), "/ack", acknowledgement(bob, [held, early]));
    await post(relay(), "/drop", held);
    await post(relay(), "/drop", early);
    await hold(relay(), [last]);
    expect(await stream.hear()).toEqual(brought(last));
  });

  it("is one of several, of HTTP and WebSocket, and each brings everything", async () => {
    const bob = person();
    const streams = [
      await EventStream.open(relay(), bob),
      await EventStream.open(relay(), bob),
      await EventStream.open(relay(), bob),
    ];
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("live", {});
    for (const stream of streams) expect(await stream.hear()).toEqual(ALL);
    for (const drop of dropsFor(bob, 10)) {
      await hold(relay(), [drop]);
      for (const stream of streams) expect(await stream.hear()).toEqual(brought(drop));
      expect(await client.hear()).toEqual(["EVENT", "live", drop]);
    }
  });

  it("brings large drops whole, stored and live", async () => {
    const bob = person();
    const [held, coming] = [
      dropsFor(bob, 60, { bytes: 60_000 }),
      dropsFor(bob, 20, { bytes: 60_000 }),
    ];
    await hold(relay(), held);
    const stream = await EventStream.open(relay(), bob);
    expect(await stream.hearMany(61)).toEqual([...inOrder(held).map(brought), ALL]);
    for (const drop of coming) await hold(relay(), [drop]);
    expect(await stream.hearMany(20)).toEqual(coming.map(brought));
  });

  it("breathes while there is nothing to say", async () => {
    const env = { DEADDROP_LIMITS_PING_SECONDS: "1s", DEADDROP_LIMITS_DEAD_SECONDS: "2s" };
    const lively = await startRelay({ env });
    const bob = person();
    const stream = await EventStream.open(lively, bob);
    expect(await stream.hear()).toEqual(ALL);
    // More of them than would come before it was taken for dead.
    for (let heard = 0; heard < 4; heard++) expect(await stream.hearComment()).toMatch(/^:/);
    const drop = giftWrap({ to: bob });
    await hold(lively, [drop]);
    expect(await stream.hear()).toEqual(brought(drop));
  });

  it("ends when its peer leaves", async () => {
    const quiet = await startRelay({ env: METRICS });
    const streams = [await EventStream.open(quiet, person())];
    streams.push(await EventStream.open(quiet, person()));
    await untilOpen(quiet, 2);
    streams[0]?.leave();
    await untilOpen(quiet, 1);
    streams[1]?.leave();
    await untilOpen(quiet, 0);
    await expect(streams[1]?.hear()).rejects.toThrow("aborted");
  });
});

describe("event streams opened in a storm of drops", () => {
  it("bring each drop exactly once, before their `stored` or after it", async () => {
    const bob = person();
    const held = dropsFor(bob, 50);
    const coming = dropsFor(bob, 600);
    const last = giftWrap({ to: bob });
    await hold(relay(), held);

    const storm = hold(relay(), coming);
    const readers: Promise<Reading>[] = [];
    await Promise.race([storm, openAgainAndAgain(bob, last, readers)]);
    await storm;
    await hold(relay(), [last]);

    const all = idsOf([...held, ...coming, last]).toSorted();
    const readings = await Promise.all(readers);
    for (const { seen } of readings) expect(seen.toSorted()).toEqual(all);
    // Without these the storm was over before anything could go wrong.
    const across = readings.filter(
      ({ stored }) => stored > held.length && stored < held.length + coming.length,
    );
    expect(across.length).toBeGreaterThan(1);
  });
});

async function openAgainAndAgain(
  bob: Person,
  last: NostrEvent,
  readers: Promise<Reading>[],
): Promise<void> {
  while (readers.length < 40) {
    const stream = await EventStream.open(relay(), bob);
    readers.push(read(stream, last));
  }
}

type Reading = {
  /** The ids in the order in which they came. */
  readonly seen: readonly string[];
  /** How many came before it was said that this was all. */
  readonly stored: number;
};

/** Hears a stream up to this drop. */
async function read(stream: EventStream, last: NostrEvent): Promise<Reading> {
  const seen: string[] = [];
  let stored = -1;
  while (seen.at(-1) !== last.id) {
    const heard = await stream.hear();
    if (heard === undefined) throw new Error("the stream ended");
    if (heard.event === "stored") stored = seen.length;
    else seen.push((heard.data as NostrEvent).id);
  }
  return { seen, stored };
}

describe("a relay that stops", () => {
  it("ends waiting pickups and event streams in good order, and exits with 0", async () => {
    const ending = await startRelay({ env: METRICS });
    const bob = person();
    const drop = giftWrap({ to: bob });
    await hold(ending, [drop]);
    const streams = [
      await EventStream.open(ending, bob),
      await EventStream.open(ending, person()),
      await EventStream.open(ending, person()),
    ];
    const waiting = [
      pickup(ending, person(), `?wait=${LONG}`),
      pickup(ending, person(), `?wait=${LONG}`),
    ];
    await untilWaiting(ending, { connections: 5, proven: 5 });
    expect(await streams[0]?.hear()).toEqual(brought(drop));
    for (const stream of streams) expect(await stream.hear()).toEqual(ALL);
    expect(await ending.stop()).toBe(0);

    for (const answer of waiting) {
      const { events, headers } = await answer;
      expect(events).toEqual([]);
      expect(headers.get("dead-drop-finished")).toBe("true");
    }
    for (const stream of streams) expect(await stream.hear()).toBeUndefined();
  });

  it("refuses new pickups, or does not hear them", async () => {
    const ending = await startRelay({ env: METRICS });
    const bob = person();
    const stream = await EventStream.open(ending, bob);
    expect(await stream.hear()).toEqual(ALL);
    process.kill(ending.pid, "SIGTERM");
    expect(await stream.hear()).toBeUndefined();
    await expect(pickup(ending, bob)).rejects.toThrow(/fetch failed|HTTP 503/);
    expect(await ending.exited).toBe(0);
  });
});
