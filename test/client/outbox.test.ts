import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import {
  memoryOutbox,
  type OutboxRecord,
  type OutboxStore,
  type SeenRecord,
} from "../../src/client/client.ts";
import { fileOutbox, type LostRecord } from "../../src/client/node.ts";
import { Client, now } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { startRelay, temporaryFolder } from "../support/relay.ts";
import { all, deadDrop, held, idsOf, scriptedRelay, startAgain, statesOf } from "./support.ts";

function record(id: string, relays: readonly string[] = ["ws://one/"]): OutboxRecord {
  const event = acknowledgement(person(), [{ id: "0".repeat(64) }]);
  return { type: "acknowledgement", id, event, relays, messages: [], until: now() + 60 };
}

/** What every place for an outbox promises. The one in a browser is tried in browser.test.ts. */
function outboxContract(name: string, open: () => OutboxStore): void {
  describe(`an outbox in ${name}`, () => {
    it("gives back what was put, replaced by id, without what was removed", async () => {
      const store = open();
      expect(await store.load()).toEqual([]);
      const [one, two, three, four] = [receipt("1"), record("2"), record("3"), seen("4")];
      for (const each of [one, two, three, four]) await store.put(each);
      const changed = { ...record("2"), relays: [] };
      await store.put(changed);
      await store.remove("3");
      await store.remove("5");
      const loaded = await store.load();
      expect(loaded.sort((a, b) => a.id.localeCompare(b.id))).toEqual([one, changed, four]);
    });
  });
}

outboxContract("memory", memoryOutbox);
outboxContract("a folder", () => fileOutbox(join(temporaryFolder(), "a", "b")));

describe("an outbox in a folder", () => {
  it("is there for another process, and for nobody else to read", async () => {
    const folder = join(temporaryFolder(), "outbox");
    const kept = record("../x/1");
    await fileOutbox(folder).put(kept);
    expect(await fileOutbox(folder).load()).toEqual([kept]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(folder)) {
      expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
      expect(JSON.parse(readFileSync(join(folder, file), "utf8"))).toEqual(kept);
    }
  });

  it.each(Object.entries(damagedRecords()))(
    "tells of a damaged record by its file, sets it aside, and is held up by nothing: %s",
    async (_, text) => {
      const folder = temporaryFolder();
      const lost: LostRecord[] = [];
      const store = fileOutbox(folder, { lost: (record) => lost.push(record) });
      await store.put(record("1"));
      const path = join(folder, "2.json");
      writeFileSync(path, text);
      expect((await store.load()).map(({ id }) => id)).toEqual(["1"]);
      const keptAs = `${path}.damaged`;
      expect(lost).toEqual([{ path, why: expect.any(String) as string, keptAs }]);
      expect(readFileSync(keptAs, "utf8")).toBe(text);

      expect((await store.load()).map(({ id }) => id)).toEqual(["1"]);
      expect(lost).toHaveLength(1);
      expect(existsSync(keptAs)).toBe(true);
    },
  );

  it("tells of a record that cannot be read now, and leaves it where it is", async () => {
    const folder = temporaryFolder();
    const lost: LostRecord[] = [];
    const store = fileOutbox(folder, { lost: (record) => lost.push(record) });
    await store.put(record("1"));
    const path = join(folder, "2.json");
    mkdirSync(path);
    expect((await store.load()).map(({ id }) => id)).toEqual(["1"]);
    const why = expect.stringContaining("EISDIR") as string;
    expect(lost).toEqual([{ path, why, keptAs: undefined }]);
    expect(readdirSync(folder).sort()).toEqual(["1.json", "2.json"]);
  });

  it("warns of a damaged record where nobody asked to be told", async () => {
    const folder = temporaryFolder();
    const warned = once(process, "warning") as Promise<[Error]>;
    writeFileSync(join(folder, "torn.json"), '{"id":"to');
    expect(await fileOutbox(folder).load()).toEqual([]);
    expect((await warned)[0].message).toContain(join(folder, "torn.json"));
  });

  it("does not touch records of a type that it does not know", async () => {
    const folder = temporaryFolder();
    const lost: LostRecord[] = [];
    const file = join(folder, "later.json");
    writeFileSync(file, '{"id":"later","type":"of a later version"}');
    expect(await fileOutbox(folder, { lost: (record) => lost.push(record) }).load()).toEqual([]);
    expect(lost).toEqual([]);
    expect(readdirSync(folder)).toEqual(["later.json"]);
  });

  it("removes what killed processes left half written, once nobody can be at it any more", async () => {
    const folder = temporaryFolder();
    const left = ".deaddrop-0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f.part";
    const beingWritten = ".deaddrop-1f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f.part";
    const foreign = "film.part";
    for (const name of [left, beingWritten, foreign]) writeFileSync(join(folder, name), "{");
    for (const name of [left, foreign]) utimesSync(join(folder, name), now(), now() - 2 * 60 * 60);
    await fileOutbox(folder).load();
    expect(readdirSync(folder).sort()).toEqual([beingWritten, foreign].sort());
  });

  it("reads nothing, and makes nothing, where there is no folder", async () => {
    const folder = join(temporaryFolder(), "outbox");
    expect(await fileOutbox(folder).load()).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });
});

function receipt(id: string): OutboxRecord {
  return {
    type: "receipt",
    id,
    from: "a".repeat(64),
    to: "b".repeat(64),
    messages: ["c".repeat(64)],
    at: now(),
    until: now() + 60,
    tries: 1,
    delivery: {
      message: "c".repeat(64),
      quorum: 1,
      targets: [
        { url: "ws://one/", why: "invalid: too large" },
        { url: "ws://two/", wrap: giftWrap({ to: person() }) },
        {
          url: "ws://three/",
          wrap: giftWrap({ to: person() }),
          had: { state: "held", reason: "", heldUntil: now() + 60 },
        },
      ],
    },
  };
}

function seen(id: string): SeenRecord {
  const drop = { created_at: now(), address: "d".repeat(64) };
  const message = { id: "a".repeat(64), from: "b".repeat(64), isReceipt: false };
  const drops = [
    { ...drop, id: "1".repeat(64), message },
    { ...drop, id: "2".repeat(64), expiration: now() + 60, why: "it is not for this key" },
  ];
  return { type: "seen", id, drops, until: now() + 60 };
}

function changed(record: OutboxRecord, change: object): string {
  return JSON.stringify({ ...record, ...change });
}

/** What is in no outbox of ours, by what is wrong with it. */
function damagedRecords(): Record<string, string> {
  const [good, told, looked] = [record("2"), receipt("2"), seen("2")];
  const [drop] = looked.drops;
  return {
    "an empty file": "",
    "half a record": JSON.stringify(good).slice(0, 80),
    "a list": "[]",
    nothing: "null",
    "no type": changed(good, { type: undefined }),
    "no event": changed(good, { event: undefined }),
    "half an event": changed(good, { event: { id: "0".repeat(64), tags: "none" } }),
    "no relays": changed(good, { relays: undefined }),
    "a relay that is none": changed(good, { relays: ["one"] }),
    "a number for a relay": changed(good, { relays: [1] }),
    "no messages": changed(good, { messages: {} }),
    "no end": changed(good, { until: "tomorrow" }),
    "a relay that is found, in another word": changed(told, {
      delivery: {
        message: "c".repeat(64),
        quorum: 1,
        targets: [{ url: "ws://one/", isFound: "no" }],
      },
    }),
    "no drops that were seen": changed(looked, { drops: "none" }),
    "a drop that was seen by nobody": changed(looked, { drops: [{ ...drop, address: 1 }] }),
    "a drop with half a message": changed(looked, { drops: [{ ...drop, message: {} }] }),
    "a receipt for nobody": changed(told, { to: "" }),
    "a receipt without a time": changed(told, { at: null }),
    "a receipt with half a delivery": changed(told, { delivery: { quorum: 1 } }),
    "a receipt with a delivery to nowhere": changed(told, {
      delivery: { message: "c".repeat(64), quorum: 1, targets: [{ url: "nowhere" }] },
    }),
  };
}

describe("acknowledgements in the outbox", () => {
  it("are on disk before any relay hears of them", async () => {
    const folder = temporaryFolder();
    const bob = person();
    const files: number[] = [];
    const relay = await scriptedRelay({
      heard([verb, event], say) {
        if (verb !== "EVENT") return;
        files.push(readdirSync(folder).filter((file) => file.endsWith(".json")).length);
        say("OK", (event as { id: string }).id, true, "");
      },
    });
    const client = deadDrop(bob, [relay], { outbox: fileOutbox(folder) });
    await client.acknowledge(["0".repeat(64)]);
    expect(files).toEqual([1]);
  });

  it("are not made when they cannot be kept", async () => {
    const relay = await startRelay();
    const bob = person();
    const wrap = giftWrap({ to: bob });
    await (await Client.connect(relay.url)).publish(wrap);
    const outbox = { ...memoryOutbox(), put: () => Promise.reject(new Error("disk full")) };
    await expect(deadDrop(bob, [relay], { outbox }).acknowledge([wrap.id])).rejects.toThrow(
      "disk full",
    );
    expect(await held(bob, [relay])).toEqual([1]);
  });

  it("are told, whatever the disk does once they are kept", async () => {
    const relay = await startRelay();
    const bob = person();
    const inner = memoryOutbox();
    let puts = 0;
    const outbox: OutboxStore = {
      ...inner,
      put: (each) => (puts++ === 0 ? inner.put(each) : Promise.reject(new Error("disk full"))),
    };
    const client = deadDrop(bob, [relay], { outbox });
    expect(statesOf(await client.acknowledge(["0".repeat(64)]))).toEqual(["done"]);
  });

  it("are told by a pickup that runs while the relay comes back", async () => {
    const relay = await startRelay();
    const bob = person();
    const wrap = giftWrap({ to: bob });
    await (await Client.connect(relay.url)).publish(wrap);
    await relay.kill();
    const client = deadDrop(bob, [relay], { patienceSeconds: 0.5 });
    expect(statesOf(await client.acknowledge([wrap.id]))).toEqual(["later"]);
    const again = await startAgain(relay);
    expect(await all(client.pickup())).toEqual([]);
    expect(await client.flush()).toBe(0);
    expect(await held(bob, [again])).toEqual([0]);
  });

  it("are given up at the expiry of their drops", async () => {
    const relay = await startRelay();
    const bob = person();
    // The drop expires in a minute; the client's clock is set there.
    let time = now();
    const runtime = { now: () => time, random: () => 0.5 };
    const wrap = giftWrap({ to: bob, tags: [["expiration", String(time + 60)]] });
    await (await Client.connect(relay.url)).publish(wrap);
    const outbox = memoryOutbox();
    const client = deadDrop(bob, [relay], { outbox, runtime, patienceSeconds: 1 });
    const picked = await all(client.pickup());
    await relay.kill();
    expect(statesOf(await client.acknowledge(idsOf(picked)))).toEqual(["later"]);
    const kept = async (): Promise<OutboxRecord[]> =>
      (await outbox.load()).filter(({ type }) => type === "acknowledgement");
    expect(await kept()).toMatchObject([{ until: time + 60 }]);
    time += 60;
    expect(await client.flush()).toBe(0);
    expect(await kept()).toEqual([]);
  });

  it("stay as long as their drops might live where nothing more is known", async () => {
    const bob = person();
    const outbox = memoryOutbox();
    const client = deadDrop(bob, [{ url: "ws://127.0.0.1:9" }], { outbox, patienceSeconds: 0.2 });
    await client.acknowledge(["0".repeat(64)]);
    const [kept] = await outbox.load();
    const days = ((kept?.until ?? 0) - now()) / 86_400;
    expect(Math.round(days)).toBe(32);
  });
});
