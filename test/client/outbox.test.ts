import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { memoryOutbox, type OutboxRecord, type OutboxStore } from "../../src/client/client.ts";
import { fileOutbox } from "../../src/client/node.ts";
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
      const [one, two, three] = [record("1"), record("2"), record("3")];
      for (const each of [one, two, three]) await store.put(each);
      const changed = { ...two, relays: [] };
      await store.put(changed);
      await store.remove("3");
      await store.remove("4");
      const loaded = await store.load();
      expect(loaded.sort((a, b) => a.id.localeCompare(b.id))).toEqual([one, changed]);
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

  it("loads what it can read, and leaves the rest where it is", async () => {
    const folder = temporaryFolder();
    const store = fileOutbox(folder);
    await store.put(record("1"));
    writeFileSync(join(folder, "torn.json"), '{"id":"to');
    writeFileSync(join(folder, "other.json"), "[]");
    writeFileSync(join(folder, "half.part"), "{}");
    expect((await store.load()).map(({ id }) => id)).toEqual(["1"]);
    expect(readdirSync(folder)).toHaveLength(4);
  });
});

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
