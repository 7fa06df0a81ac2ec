// What a drop costs, in things that can be counted: unlike times, they are the same on every machine. The bounds have some air; what breaks them is a
// change of kind, such as one more random key for each drop, or one more message for each event.

import { readFileSync } from "node:fs";
import { MessageChannel } from "node:worker_threads";

import { describe, expect, it, onTestFinished, vi } from "vitest";

import type { Drop } from "../../src/nostr/drop.ts";
import type { OpenedStore } from "../../src/store/lmdb.ts";
import { UNHEARD } from "../../src/store/incidents.ts";
import { remoteStore } from "../../src/store/remote.ts";
import { shareStore } from "../../src/store/shared.ts";
import type { Store } from "../../src/store/store.ts";
import { openBelieving } from "../support/clock.ts";
import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { startRelay, temporaryFolder } from "../support/relay.ts";
import { aDrop, DAY, hex, LIMITS, NOW } from "../store/contract.ts";

const BATCH = 64;
const isLinux = process.platform === "linux";

/** What the process handed to the system to write, and how often. Linux counts it. */
function written(pid: number | "self" = "self"): { bytes: number; calls: number } {
  const counters = readFileSync(`/proc/${pid}/io`, "latin1");
  const of = (name: string): number => Number(new RegExp(`${name}: (\\d+)`).exec(counters)?.[1]);
  return { bytes: of("wchar"), calls: of("syscw") };
}

async function openStore(folder = temporaryFolder()): Promise<OpenedStore> {
  // A transaction ends after some milliseconds: a machine that stalls would make two of one, and count twice.
  const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now());
  onTestFinished(() => clock.mockRestore());
  const opened = await openBelieving(
    {
      folder,
      retentionSeconds: 30 * DAY,
      diskReserveBytes: 0,
      limits: { ...LIMITS, boxDrops: 10_000, boxBytes: 10 ** 9 },
    },
    NOW,
  );
  onTestFinished(() => opened.store.close());
  return opened;
}

/** Drops of 1.2 KB for many recipients, their times spread as NIP-59 asks. */
function drops(count: number): Drop[] {
  return Array.from({ length: count }, (_, number) =>
    aDrop({
      recipient: hex(`recipient ${number % 1_000}`),
      created_at: NOW - ((number * 7_919) % (2 * DAY)),
      content: "x".repeat(900),
    }),
  );
}

async function putInBatches(store: Store, all: readonly Drop[]): Promise<void> {
  for (let at = 0; at < all.length; at += BATCH) {
    await Promise.all(all.slice(at, at + BATCH).map((drop) => store.put(drop, NOW)));
  }
}

describe("a drop of 1.2 KB", () => {
  it.runIf(isLinux)(
    "costs under 3,500 bytes written, 64 to a commit, among many that are held",
    async () => {
      const { store } = await openStore();
      await putInBatches(store, drops(20 * BATCH));
      const measured = drops(100 * BATCH);
      const before = written();
      await putInBatches(store, measured);
      const { bytes } = written();
      expect((bytes - before.bytes) / measured.length).toBeLessThan(3_500);
    },
  );

  it.runIf(isLinux)("takes under 2,000 bytes of the file", async () => {
    const { store } = await openStore();
    await putInBatches(store, drops(100 * BATCH));
    const before = store.totals();
    await putInBatches(store, drops(100 * BATCH));
    const { fileBytes, freeBytes } = store.totals();
    const taken = fileBytes - freeBytes - (before.fileBytes - before.freeBytes);
    expect(taken / (100 * BATCH)).toBeLessThan(2_000);
  });
});

describe("a box of 100 drops", () => {
  it.runIf(isLinux)("leaves in one write", async () => {
    const relay = await startRelay();
    const bob = person();
    const sender = await Client.connect(relay.url);
    for (let drop = 0; drop < 100; drop += 1) await sender.publish(giftWrap({ to: bob }));
    const client = await Client.connect(relay.url);
    await client.authenticate(bob);
    const before = written(relay.pid);
    client.say("REQ", "box", {});
    await client.hearUntil("EOSE");
    // The drops and EOSE; and a wake-up or two between threads.
    expect(written(relay.pid).calls - before.calls).toBeLessThan(8);
  });
});

describe("an event loop that shares a store", () => {
  it("asks for all drops of one turn in one message, and is answered in one", async () => {
    const folder = temporaryFolder();
    const { store, shared } = await openStore(folder);
    const { port1, port2 } = new MessageChannel();
    const messages = { asked: 0, answered: 0 };
    port1.on("message", () => (messages.asked += 1));
    port2.on("message", ({ answers }: { answers?: unknown[] }) => {
      if (answers !== undefined) messages.answered += 1;
    });
    const stop = shareStore(store, port1);
    const remote = remoteStore(port2, folder, shared, UNHEARD);
    onTestFinished(async () => {
      await remote.close();
      stop();
    });
    await Promise.all(drops(BATCH).map((drop) => remote.put(drop, NOW)));
    expect(messages).toEqual({ asked: 1, answered: 1 });
  });
});
