// A backup that is made while a relay works, and what comes of it.

import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { before, DROPS } from "../store/format-2.ts";
import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { atEnd, commandLine, type Ran, run } from "./process.ts";

const PATIENCE = { timeout: 60_000 };
const DUPLICATE = "duplicate: already have this event";

const backUp = (data: string, folder: string, env = {}): Promise<Ran> =>
  run(["backup", folder], { env: { DEADDROP_DATA: data, ...env } });
const restore = (data: string, folder: string, ...more: string[]): Promise<Ran> =>
  run(["restore", folder, ...more], { env: { DEADDROP_DATA: data } });

async function boxOf(relay: RelayProcess, bob: Person): Promise<Set<string>> {
  const client = await (await Client.connect(relay.url, {}, atEnd)).authenticate(bob);
  return new Set(await client.pickup());
}

/** A relay with two drops in Bob's box and one that he has acknowledged. */
async function filled(env: Readonly<Record<string, string>> = {}) {
  const relay = await startRelay({ env }, atEnd);
  const bob = person();
  const client = await Client.connect(relay.url, {}, atEnd);
  const [gone, ...held] = [giftWrap({ to: bob }), giftWrap({ to: bob }), giftWrap({ to: bob })];
  for (const drop of [gone, ...held]) await client.publish(drop);
  await client.publish(acknowledgement(bob, [gone]));
  return { relay, bob, client, gone, held };
}

describe("deaddrop backup", PATIENCE, () => {
  it("in a storm, kill -9, restore: what was acknowledged before does not come back, and what was held is served", async () => {
    const relay = await startRelay({}, atEnd);
    const bob = person();
    const [answered, acknowledged]: [NostrEvent[], NostrEvent[]] = [[], []];
    const asked = new Set<string>();
    const state = { isOver: false };
    const storm = Array.from({ length: 6 }, async () => {
      const client = await Client.connect(relay.url, {}, atEnd);
      while (!state.isOver) {
        const drops = Array.from({ length: 4 }, () => giftWrap({ to: bob }));
        for (const drop of drops) {
          await client.publish(drop);
          answered.push(drop);
        }
        const some = drops.slice(2);
        for (const { id } of some) asked.add(id);
        await client.publish(acknowledgement(bob, some));
        acknowledged.push(...some);
      }
    });
    while (acknowledged.length < 60) await new Promise((resolve) => setImmediate(resolve));
    const [heldBefore, goneBefore] = [[...answered], [...acknowledged]];
    const folder = join(temporaryFolder(atEnd), "backup");
    const made = await backUp(relay.data, folder);
    expect(made).toMatchObject({ code: 0, err: "" });
    const held = heldBefore.filter(({ id }) => !asked.has(id));
    state.isOver = true;
    await Promise.all(storm);
    await relay.kill();

    const data = join(temporaryFolder(atEnd), "data");
    expect(await restore(data, folder)).toMatchObject({ code: 0, err: "" });
    const again = await startRelay({ data }, atEnd);
    const served = await boxOf(again, bob);
    expect(held.filter(({ id }) => !served.has(id))).toEqual([]);
    expect(goneBefore.filter(({ id }) => served.has(id))).toEqual([]);
    const client = await Client.connect(again.url, {}, atEnd);
    for (const drop of goneBefore) {
      expect(await client.publish(drop)).toEqual(["OK", drop.id, true, DUPLICATE]);
    }
    const later = giftWrap({ to: bob });
    expect(await client.publish(later)).toEqual(["OK", later.id, true, ""]);
    expect(await boxOf(again, bob)).toEqual(served.add(later.id));
    expect(held.length).toBeGreaterThan(0);
  });

  it("has the keys of what is held, and of nothing else", async () => {
    const { relay } = await filled();
    const folder = temporaryFolder(atEnd);
    const { code, out } = await backUp(relay.data, folder);
    expect({ code, out }).toEqual({
      code: 0,
      out: expect.stringMatching(
        /^2 held and 1 tombstones are in \S+, as of .*\.\nThe store's secret is in it/,
      ),
    });
    const names = readdirSync(join(folder, "keys"));
    const keys = names.flatMap((name) => keysIn(readFileSync(join(folder, "keys", name))));
    expect(keys).toHaveLength(2);
  });

  it("leaves the secret out that is kept elsewhere, and is of no use without it", async () => {
    const env = { SECRET: "ab".repeat(32), DEADDROP_STORE_SECRET: "env:SECRET" };
    const { relay, bob, held } = await filled(env);
    const folder = temporaryFolder(atEnd);
    const { out } = await backUp(relay.data, folder, env);
    expect(out).toContain("The store's secret is not in it");
    expect(readdirSync(folder)).not.toContain("secret");
    const data = join(temporaryFolder(atEnd), "data");
    for (const SECRET of ["", "cd".repeat(32)]) {
      const ran = await run(["restore", folder], { env: { ...env, SECRET, DEADDROP_DATA: data } });
      expect(ran).toMatchObject({ code: 1, out: "" });
      expect(ran.err).toMatch(/was not restored: .*secret/);
      expect(readdirSync(data)).toEqual([]);
    }
    const ran = await run(["restore", folder], { env: { ...env, DEADDROP_DATA: data } });
    expect(ran).toMatchObject({ code: 0, err: "" });
    const again = await startRelay({ data, env }, atEnd);
    expect(await boxOf(again, bob)).toEqual(new Set(held.map(({ id }) => id)));
  });

  it.each<[string, (data: string) => [data: string, folder: string], RegExp]>([
    ["there is no store", (data) => [temporaryFolder(atEnd), data], /there is no store in /],
    ["it is the folder of the store", (data) => [data, data], /lies in the store's own folder/],
    ["it lies in that", (data) => [data, join(data, "backup")], /lies in the store's own folder/],
    ["another store is there", (data) => [data, other()], /is not empty/],
    ["it is a file", (data) => [data, join(other(), "data.mdb")], /EEXIST|ENOTDIR/],
  ])("says so when %s, and changes nothing", async (_, where, why) => {
    const { relay } = await filled();
    const [data, folder] = where(relay.data);
    const before = namesIn(folder);
    const ran = await backUp(data, folder);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(why);
    expect(ran.err.split("\n")).toHaveLength(2);
    expect(namesIn(folder)).toEqual(before);
  });

  it("leaves nothing behind where there is no room for it", async () => {
    const { relay } = await filled();
    const folder = temporaryFolder(atEnd);
    const line = commandLine(["backup", folder]);
    const limited = ["-c", 'ulimit -f 64; trap "" XFSZ; exec "$@"', "sh", ...line.command];
    const env = { ...line.env, DEADDROP_DATA: relay.data };
    const err = await new Promise<string>((resolve) => {
      execFile("sh", limited, { env }, (_, __, stderr) => resolve(stderr));
    });
    expect(err).toMatch(/^deaddrop: the store in \S+ was not backed up: /);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("a store of an earlier format", PATIENCE, () => {
  it("is backed up as it is, for whoever wants to go back, and restored as one of today", async () => {
    const data = before(atEnd);
    const folder = join(temporaryFolder(atEnd), "backup");
    const made = await backUp(data, folder);
    expect(made).toMatchObject({ code: 0, err: "" });
    expect(made.out).toMatch(
      /^9 held and \d tombstones are in .*\nIt is in clear \(an earlier format\): /,
    );
    expect(readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()).toEqual([
      "backup.json",
      "data.mdb",
      "keys",
    ]);
    for (const command of ["stats", "export", "compact", "verify-store"]) {
      const { code, err } = await run([command], { env: { DEADDROP_DATA: data } });
      expect({ code, err }).toEqual({
        code: 1,
        err: expect.stringContaining("the next start of the relay converts it to 3"),
      });
    }
    const restored = join(temporaryFolder(atEnd), "data");
    expect(await restore(restored, folder)).toMatchObject({ code: 0, err: "" });
    const env = { DEADDROP_DATA: restored };
    expect(await run(["verify-store"], { env })).toMatchObject({ code: 0, err: "" });
    const { acknowledged, vanished, ...held } = DROPS;
    const { out } = await run(["export"], { env });
    expect(out.trimEnd().split("\n")).toEqual(Object.values(held).map(({ json }) => json));
    for (const { id } of [acknowledged, vanished]) expect(out).not.toContain(id);
    // And the old version's file is in the backup, unchanged by it.
    const again = temporaryFolder(atEnd);
    copyFileSync(join(folder, "data.mdb"), join(again, "data.mdb"));
    const relay = await startRelay({ data: again }, atEnd);
    expect(relay.log.map(({ msg }) => msg).join("\n")).toContain("was converted");
  });
});

describe("deaddrop restore", PATIENCE, () => {
  it("--tombstones-only holds nothing, takes what was held again, and knows what was acknowledged", async () => {
    const { relay, bob, gone, held } = await filled();
    const folder = temporaryFolder(atEnd);
    await backUp(relay.data, folder);
    const data = join(temporaryFolder(atEnd), "data");
    const ran = await restore(data, folder, "--tombstones-only");
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toMatch(/^1 tombstones of .* are in \S+\.\n2 held then were left out\.\n$/);
    const again = await startRelay({ data }, atEnd);
    expect(await boxOf(again, bob)).toEqual(new Set());
    const client = await Client.connect(again.url, {}, atEnd);
    expect(await client.publish(gone)).toEqual(["OK", gone.id, true, DUPLICATE]);
    for (const drop of held) expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    expect(await boxOf(again, bob)).toEqual(new Set(held.map(({ id }) => id)));
    await again.stop();
    const verified = await run(["verify-store"], { env: { DEADDROP_DATA: data } });
    expect(verified).toMatchObject({ code: 0, err: "" });
  });

  it.each<[string, (folder: string) => void, RegExp]>([
    [
      "it broke off",
      (folder) => rmSync(join(folder, "backup.json")),
      /there is no whole backup in .*backup\.json is missing/,
    ],
    [
      "what it says of itself is no JSON",
      (folder) => writeFileSync(join(folder, "backup.json"), "{"),
      /backup\.json is damaged/,
    ],
    ["a file is missing", (folder) => rmSync(join(folder, "data.mdb")), /data\.mdb is missing/],
    [
      "a byte is another one",
      (folder) => {
        const file = join(folder, "data.mdb");
        const bytes = readFileSync(file);
        bytes[bytes.length - 1]! ^= 1;
        writeFileSync(file, bytes);
      },
      /data\.mdb is not what was written/,
    ],
  ])("makes no store when %s", async (_, spoil, why) => {
    const { relay } = await filled();
    const folder = temporaryFolder(atEnd);
    await backUp(relay.data, folder);
    spoil(folder);
    const data = temporaryFolder(atEnd);
    const ran = await restore(data, folder);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(why);
    expect(readdirSync(data)).toEqual([]);
  });

  it("leaves a store alone that is there, open or not", async () => {
    const { relay, bob, held } = await filled();
    const folder = temporaryFolder(atEnd);
    await backUp(relay.data, folder);
    const refused = { code: 1, out: "" };
    expect(await restore(relay.data, folder)).toMatchObject(refused);
    await relay.stop();
    expect(await restore(relay.data, folder)).toMatchObject(refused);
    const again = await startRelay({ data: relay.data }, atEnd);
    expect(await boxOf(again, bob)).toEqual(new Set(held.map(({ id }) => id)));
  });
});

function keysIn(file: Buffer): Buffer[] {
  const keys = Array.from({ length: file.length / 16 }, (_, n) =>
    file.subarray(16 * n, 16 * (n + 1)),
  );
  return keys.filter((key) => !key.equals(Buffer.alloc(16)));
}

function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder).filter((name) => !name.endsWith(".sock"));
  } catch {
    return undefined;
  }
}

function other(): string {
  const folder = temporaryFolder(atEnd);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "data.mdb"), "");
  return folder;
}
