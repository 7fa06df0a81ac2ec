import { spawnSync } from "node:child_process";
import { rmSync, statfsSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { fillDisk } from "../support/fill.ts";
import { person } from "../support/people.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { copyStore } from "../support/store-copy.ts";

const WORDS =
  "ready, but new drops are refused: the disk is full; pickups and acknowledgements go on\n";
const METRICS = { DEADDROP_METRICS: "127.0.0.1:0" };

const OK = (event: NostrEvent): unknown[] => ["OK", event.id, true, ""];
const FULL = (event: NostrEvent): unknown[] => ["OK", event.id, false, "error: storage full"];

async function readiness(relay: RelayProcess): Promise<{ status: number; said: string }> {
  const answer = await fetch(`${relay.http}/readyz`);
  return { status: answer.status, said: await answer.text() };
}

async function refusesForDisk(relay: RelayProcess): Promise<string | undefined> {
  const text = await (await fetch(relay.metrics ?? "")).text();
  return /^deaddrop_drops_refused_for_disk (\d)$/m.exec(text)?.[1];
}

const warnings = (relay: RelayProcess): unknown[] =>
  relay.log.filter(({ level, msg }) => level === 40 && msg.includes("limits.diskReserveBytes"));

describe("a relay whose reserve is more than the disk has free", () => {
  it("warns of it at the start, and says that it refuses drops, but is in service", async () => {
    const env = { ...METRICS, DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB" };
    const relay = await startRelay({ env });
    expect(warnings(relay)).toMatchObject([{ reserveBytes: 900_000 * 2 ** 30 }]);
    expect(await readiness(relay)).toEqual({ status: 200, said: WORDS });
    expect(await refusesForDisk(relay)).toBe("1");
  });
});

describe("a relay whose disk has room", () => {
  it("warns of nothing, and is ready", async () => {
    const env = { ...METRICS, DEADDROP_LIMITS_DISK_RESERVE_BYTES: "1MiB" };
    const relay = await startRelay({ env });
    expect(warnings(relay)).toEqual([]);
    expect(await readiness(relay)).toEqual({ status: 200, said: "ready\n" });
    expect(await refusesForDisk(relay)).toBe("0");
  });
});

// Runs what follows where this folder is a disk of its own, in memory; nobody else sees it.
function onSmallDisk(folder: string): string[] {
  const script = 'mount -t tmpfs -o size=32m tmpfs "$0" && exec "$@"';
  return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, folder];
}

function canMount(): boolean {
  const [command = "", ...args] = onSmallDisk(temporaryFolder());
  return spawnSync(command, [...args, "true"]).status === 0;
}

describe("a relay whose disk somebody else has filled to the last byte", () => {
  it("refuses drops, acknowledges what it holds for good, and takes drops again when there is room", async ({
    skip,
  }) => {
    if (process.env["CI"] === undefined && !canMount()) {
      skip("a small disk needs Linux, and leave to mount one in a namespace");
    }
    const bob = person();
    const data = temporaryFolder();
    const env = {
      ...METRICS,
      DEADDROP_LIMITS_DISK_RESERVE_BYTES: "0",
      DEADDROP_SWEEP_SECONDS: "1s",
    };
    const relay = await startRelay({ data, env, through: onSmallDisk(data) });
    // As the relay sees it.
    const disk = `/proc/${relay.pid}/root${data}`;
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    const drops = Array.from({ length: 400 }, () =>
      giftWrap({ to: bob, content: "x".repeat(2_000) }),
    );
    for (const drop of drops) expect(await client.publish(drop)).toEqual(OK(drop));

    const filler = join(disk, "somebody-elses");
    fillDisk(filler);
    expect(statfsSync(disk).bavail).toBe(0);
    while ((await readiness(relay)).said !== WORDS);
    expect(await refusesForDisk(relay)).toBe("1");
    const refused = giftWrap({ to: bob });
    expect(await client.publish(refused)).toEqual(FULL(refused));

    // One by one, each a commit of its own, while sweeps take off the disk what is acknowledged; then the rest at once.
    const [left, kept] = [drops.slice(0, 390), drops.slice(390)];
    for (const drop of left.slice(0, 200)) {
      const ack = acknowledgement(bob, [drop]);
      expect(await client.publish(ack)).toEqual(OK(ack));
    }
    const rest = acknowledgement(bob, left.slice(200));
    expect(await client.publish(rest)).toEqual(OK(rest));
    expect((await client.pickup({})).sort()).toEqual(kept.map(({ id }) => id).sort());

    // What is on the disk now is all that a crash would leave.
    const copy = temporaryFolder();
    copyStore(disk, copy);
    rmSync(filler);
    const late = giftWrap({ to: bob });
    while ((await client.publish(late))[2] !== true);
    while ((await readiness(relay)).said !== "ready\n");

    const after = await startRelay({ data: copy });
    const again = await (await Client.connect(after.url)).authenticate(bob);
    for (const drop of left) {
      expect((await again.publish(drop))[3]).toBe("duplicate: already have this event");
    }
    expect((await again.pickup({})).sort()).toEqual(kept.map(({ id }) => id).sort());
  });
});
