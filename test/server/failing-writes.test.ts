// What becomes of a relay whose disk fails in the middle of its work. The failures are made by a small library that is loaded into the relay.

import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { beforeEach, describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { preloadable } from "../support/preload.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";

const LIBRARY = preloadable("failing-writes");

/** Writes of the meta pages, at the end of the file, of those the large ones, of all others by half, and flushes; with the number of the error. */
type Failure = "meta 5" | "meta 28" | "grow 28" | "spare 28" | "short 28" | "sync 5";

const NOT_WRITTEN = "error: could not be written, try again";
const IO = "EIO: i/o error";
const NO_SPACE = "ENOSPC: no space left on device";
const CAUSES: Readonly<Record<Failure, string>> = {
  "meta 5": IO,
  "meta 28": NO_SPACE,
  "grow 28": "has no room for a commit",
  "spare 28": NO_SPACE,
  "short 28": IO,
  "sync 5": IO,
};

type Failing = {
  readonly relay: RelayProcess;
  readonly bob: Person;
  /** As Bob. */
  readonly client: Client;
  readonly held: NostrEvent;
  fail(how: Failure): void;
  mend(): void;
};

/** With `failure` the relay has no room of its own behind the last page, and gets none. */
async function start(env: Record<string, string> = {}, failure?: "spare 28"): Promise<Failing> {
  const data = temporaryFolder();
  const bob = person();
  const held = giftWrap({ to: bob });
  // In an earlier life, so that the index of what is held is on the disk and not in memory.
  const before = await startRelay({ data });
  const sender = await Client.connect(before.url);
  expect(await sender.publish(held)).toEqual(["OK", held.id, true, ""]);
  await before.stop();

  const trigger = join(temporaryFolder(), "fail");
  // What was there before is there until this is, whole.
  const fail = (how: Failure): void => {
    writeFileSync(`${trigger}.next`, how);
    renameSync(`${trigger}.next`, trigger);
  };
  if (failure !== undefined) {
    endAtLastPage(join(data, "data.mdb"));
    fail(failure);
  }
  const preloaded = { LD_PRELOAD: LIBRARY ?? "", FAILING_WRITES: trigger };
  const relay = await startRelay({ data, env: { ...env, ...preloaded } });
  const client = await (await Client.connect(relay.url)).authenticate(bob);
  return {
    relay,
    bob,
    client,
    held,
    fail,
    mend: () => rmSync(trigger),
  };
}

async function causeOfDeath({ relay }: Failing): Promise<unknown> {
  expect(await relay.exited).toBe(1);
  return relay.log.filter(({ level }) => Number(level) >= 50);
}

describe("a relay whose disk fails", () => {
  beforeEach(({ skip }) => {
    if (LIBRARY === undefined && process.env["CI"] === undefined)
      skip("failures need Linux and a C compiler");
  });

  it.each<Failure>(["meta 5", "meta 28", "sync 5"])(
    "says OK to nothing that is not on disk, and ends with the cause in its log (%s)",
    async (how) => {
      const failing = await start();
      failing.fail(how);
      const drop = giftWrap({ to: failing.bob });
      expect(await failing.client.publish(drop)).toEqual(["OK", drop.id, false, NOT_WRITTEN]);
      expect(await causeOfDeath(failing)).toMatchObject([
        { level: 60, msg: "the store is lost", err: { message: CAUSES[how] } },
      ]);
      failing.mend();

      const again = await startRelay({ data: failing.relay.data });
      const client = await (await Client.connect(again.url)).authenticate(failing.bob);
      expect(await client.pickup({})).toContain(failing.held.id);
    },
  );

  it.each(["1", "2"])(
    "never shows an empty box while it ends, on so many event loops: %s",
    async (loops) => {
      const failing = await start({ DEADDROP_WORKERS: loops });
      const { client, relay, bob, held } = failing;
      const readers = await Promise.all(
        Array.from({ length: 8 }, async () => (await Client.connect(relay.url)).authenticate(bob)),
      );
      failing.fail("meta 5");
      const asked = readers.map(async (reader) => {
        const found: string[][] = [];
        try {
          for (let n = 0; ; n += 1) {
            reader.say("REQ", `${n}`, {});
            const heard = await reader.hearUntil("EOSE");
            found.push(heard.slice(0, -1).map((message) => (message[2] as NostrEvent).id));
          }
        } catch {
          return found;
        }
      });
      client.say("EVENT", giftWrap({ to: bob }));
      expect(await relay.exited).toBe(1);
      const found = (await Promise.all(asked)).flat();
      expect(found.filter((ids) => !ids.includes(held.id))).toEqual([]);
    },
  );

  it("goes on when a write is cut short for the disk is full, and says so once a minute", async () => {
    const failing = await start();
    const { client, bob, relay, held } = failing;
    failing.fail("short 28");
    for (let n = 0; n < 3; n += 1) {
      const drop = giftWrap({ to: bob });
      expect(await client.publish(drop)).toEqual(["OK", drop.id, false, "error: storage full"]);
    }
    await goesOn(failing, "short 28");
    const ack = acknowledgement(bob, [held]);
    expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
    expect(await relay.stop()).toBe(0);
  });

  it("leaves the last of its room to nobody when there is none for a commit, and says so once a minute", async () => {
    const full = { DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB" };
    const failing = await start(full, "spare 28");
    const { client, bob, relay, held } = failing;
    failing.fail("grow 28");
    for (let n = 0; n < 3; n += 1) {
      const ack = acknowledgement(bob, [held]);
      expect(await client.publish(ack)).toEqual(["OK", ack.id, false, NOT_WRITTEN]);
    }
    // What is past was to be taken off the disk when it started.
    await goesOn(failing, "grow 28", ["sweep failed"]);
    const ack = acknowledgement(bob, [held]);
    expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
    expect(await relay.stop()).toBe(0);
  });
});

async function goesOn(
  failing: Failing,
  how: Failure,
  others: readonly string[] = [],
): Promise<void> {
  const { client, relay, held } = failing;
  expect(await client.pickup({})).toEqual([held.id]);
  const causes = relay.log.filter(({ level }) => Number(level) >= 50);
  const said = causes.map(({ msg }) => msg).filter((msg) => others.includes(msg));
  expect(said).toEqual(others);
  expect(causes.filter(({ msg }) => !others.includes(msg))).toMatchObject([
    {
      msg: expect.stringContaining("a commit failed"),
      err: { message: expect.stringContaining(CAUSES[how]) },
    },
  ]);
  failing.mend();
}

// Where LMDB's newest meta page says that the file ends.
function endAtLastPage(file: string): void {
  const bytes = readFileSync(file);
  const newer = bytes.readBigUInt64LE(152) > bytes.readBigUInt64LE(8_192 + 152) ? 0 : 8_192;
  truncateSync(file, (Number(bytes.readBigUInt64LE(newer + 144)) + 1) * 8_192);
}
