import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it, onTestFinished } from "vitest";

import type { OpenedStore } from "../../src/store/lmdb.ts";
import { openBelieving } from "../support/clock.ts";
import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { startRelay, temporaryFolder } from "../support/relay.ts";
import { DAY, LIMITS, NOW } from "./contract.ts";

/** Opens the store, and closes it after the test. */
async function open(folder: string): Promise<OpenedStore> {
  const settings = { folder, retentionSeconds: DAY, diskReserveBytes: 0, limits: LIMITS };
  const opened = await openBelieving(settings, NOW);
  onTestFinished(() => opened.store.close());
  return opened;
}

describe("the folder of a store", () => {
  it("is refused while another process has it open", async () => {
    const relay = await startRelay();
    await expect(open(relay.data)).rejects.toThrow("in use by another relay");
  });

  it("does not let a second relay start, and the first one goes on", async () => {
    const relay = await startRelay();
    await expect(startRelay({ data: relay.data })).rejects.toThrow("in use by another relay");
    const drop = giftWrap({ to: person() });
    const sender = await Client.connect(relay.url);
    expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);
  });

  it("opens after the process that had it open was killed", async () => {
    const relay = await startRelay();
    await relay.kill();
    const { store } = await open(relay.data);
    expect(store.totals().drops).toBe(0);
  });

  it("is refused while it is open in the same process, and opens once it was closed", async () => {
    const folder = temporaryFolder();
    const { store } = await open(folder);
    await expect(open(folder)).rejects.toThrow("in use by another relay");
    await store.close();
    await open(folder);
  });

  it("goes to one of two who ask for it at once", async () => {
    const folder = temporaryFolder();
    const asked = await Promise.allSettled([open(folder), open(folder)]);
    expect(asked.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("goes to one of two who ask for it at once after a kill", async () => {
    const relay = await startRelay();
    await relay.kill();
    const asked = await Promise.allSettled([open(relay.data), open(relay.data)]);
    expect(asked.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  it("is refused to a second one however long its path is", async () => {
    const folder = join(temporaryFolder(), "a".repeat(100));
    mkdirSync(folder);
    await open(folder);
    await expect(open(folder)).rejects.toThrow("in use by another relay");
  });
});
