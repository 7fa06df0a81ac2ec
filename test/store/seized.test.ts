// What a copy of the disk tells whoever takes it.

import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, describe, expect, it, onTestFinished } from "vitest";

import type { Drop } from "../../src/nostr/drop.ts";
import type { OpenedStore } from "../../src/store/lmdb.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";
import { openStoreFile } from "../support/store-file.ts";
import { aDrop, BOB, DAY, hex, LIMITS, NOW } from "./contract.ts";

const ALICE = hex("alice");
const KEY_BYTES = 16;
const KEYS_A_FILE = 32_768;
const SETTINGS = { retentionSeconds: 30 * DAY, diskReserveBytes: 0, limits: LIMITS };

async function open(
  folder: string,
  change: { secret?: string; recentDrops?: number } = {},
): Promise<OpenedStore> {
  const opened = await openBelieving({ folder, ...SETTINGS, ...change }, NOW);
  onTestFinished(() => opened.store.close());
  return opened;
}

/** The folder as somebody copies it who does not ask. */
function seize(folder: string): string {
  const copy = temporaryFolder();
  for (const name of readdirSync(folder)) {
    if (!name.endsWith(".sock")) cpSync(join(folder, name), join(copy, name), { recursive: true });
  }
  return copy;
}

function bytesOf(folder: string): Buffer {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
  return Buffer.concat(files.map((path) => readFileSync(path)));
}

/** What of a drop stands there in any form in which it could be searched for. */
function tracesOf({ id, recipient, author, json }: Drop, bytes: Buffer): string[] {
  const traces: [string, Buffer][] = [];
  for (const [name, digits] of Object.entries({ id, recipient, author })) {
    // Half of an id is kept, and half of a key would be enough.
    traces.push(
      [name, Buffer.from(digits.slice(0, 32), "hex")],
      [name, Buffer.from(digits, "hex").subarray(16)],
    );
    traces.push([`${name} in digits`, Buffer.from(digits.slice(0, 16))]);
  }
  for (let at = 0; at + 16 <= json.length; at += 16) {
    traces.push([`JSON at ${at}`, Buffer.from(json.slice(at, at + 16))]);
  }
  return traces.filter(([, trace]) => bytes.includes(trace)).map(([name]) => name);
}

function keyOf(folder: string, seq: number): Buffer {
  const file = readFileSync(
    join(folder, "keys", String(Math.floor(seq / KEYS_A_FILE)).padStart(8, "0")),
  );
  return file.subarray((seq % KEYS_A_FILE) * KEY_BYTES).subarray(0, KEY_BYTES);
}

/** Who has the secret too reads what can be read. */
async function readable(folder: string): Promise<string[]> {
  const file = openStoreFile(folder, true);
  const found = [...file.tables.drops.between(1, KEYS_A_FILE)].map(({ json }) => json);
  await file.close();
  return found;
}

function drops(): Drop[] {
  return [
    aDrop({ content: "for Bob's eyes only" }),
    aDrop({ kind: 4, author: ALICE, content: "from Alice, for Bob's eyes only" }),
    aDrop({ recipient: ALICE, created_at: NOW - DAY }),
  ];
}

describe("a copy of the disk", () => {
  it.each([
    ["while all is recent", {}],
    ["when it was settled", { recentDrops: 1 }],
  ])("has no key, no id and no word of what is held, %s", async (_, change) => {
    const folder = temporaryFolder();
    const { store } = await open(folder, change);
    const held = drops();
    for (const drop of held) expect(await store.put(drop, NOW)).toBe("stored");
    const early = aDrop();
    await store.acknowledge({ signer: BOB, ids: [early.id], deletion: false }, NOW);
    await store.close();
    const bytes = bytesOf(folder);
    for (const drop of [...held, early]) expect(tracesOf(drop, bytes)).toEqual([]);
    expect((await readable(folder)).sort()).toEqual(held.map(({ json }) => json).sort());
  });

  describe.each([
    ["recent", {}],
    ["settled", { recentDrops: 1 }],
  ])("with the secret, taken after a look: what was %s", (_, change) => {
    let folder: string;
    let opened: OpenedStore;
    let gone: Drop;
    let left: Drop[];
    let before: string;

    beforeEach(async () => {
      folder = temporaryFolder();
      opened = await open(folder, change);
      const [first, ...rest] = [aDrop({ kind: 4, author: ALICE, expiry: NOW + 100 }), ...drops()];
      gone = first;
      left = rest;
      for (const drop of [gone, ...left]) await opened.store.put(drop, NOW);
      before = seize(folder);
    });

    it.each<[string, () => Promise<unknown>]>([
      [
        "was acknowledged",
        () => opened.store.acknowledge({ signer: BOB, ids: [gone.id], deletion: false }, NOW),
      ],
      [
        "its author took back",
        () => opened.store.acknowledge({ signer: ALICE, ids: [gone.id], deletion: true }, NOW),
      ],
      ["is past", () => opened.store.sweep("drops", NOW + 100)],
    ])("cannot be read by anybody, once it %s", async (_, leave) => {
      expect(await readable(before)).toContain(gone.json);
      await leave();
      await opened.look();
      const after = seize(folder);
      expect(await readable(after)).not.toContain(gone.json);
      expect(await readable(after)).toEqual(expect.arrayContaining(left.map(({ json }) => json)));
      // Nor with whatever lies in freed pages: what opened it is nowhere.
      expect(bytesOf(after).includes(keyOf(before, 1))).toBe(false);
      expect(keyOf(after, 2).equals(keyOf(before, 2))).toBe(true);
    });

    it("cannot be read by anybody, once all of a key vanished", async () => {
      await opened.store.vanish({ id: hex("request"), signer: BOB, created_at: NOW }, NOW);
      await opened.look();
      expect(await readable(seize(folder))).toEqual([left.at(-1)?.json]);
    });

    it("cannot be read after the next start, where a crash came before the look", async () => {
      await opened.store.acknowledge({ signer: BOB, ids: [gone.id], deletion: false }, NOW);
      const crashed = seize(folder);
      expect(bytesOf(crashed).includes(keyOf(before, 1))).toBe(true);
      const again = await open(crashed);
      await again.look();
      expect(bytesOf(seize(crashed)).includes(keyOf(before, 1))).toBe(false);
      expect(again.store.read(await again.store.list(BOB, {}, 10))).toHaveLength(2);
    });
  });

  it("has nothing to read of a drop that was acknowledged before it came", async () => {
    const folder = temporaryFolder();
    const opened = await open(folder);
    const drop = aDrop();
    await opened.store.acknowledge({ signer: BOB, ids: [drop.id], deletion: false }, NOW);
    expect(await opened.store.put(drop, NOW)).toBe("stored");
    await opened.store.sweep("drops", NOW);
    await opened.look();
    expect(await readable(seize(folder))).toEqual([]);
    expect(keyOf(folder, 1)).toEqual(Buffer.alloc(KEY_BYTES));
  });

  it("has no key twice for what a crash left and what came after it", async () => {
    const folder = temporaryFolder();
    const { store } = await open(folder);
    await store.put(aDrop(), NOW);
    const crashed = seize(folder);
    await open(crashed);
    expect(keyOf(crashed, 1).equals(keyOf(folder, 1))).toBe(true);
    for (const seq of [2, 3, 1_000, KEYS_A_FILE - 1]) {
      expect(keyOf(crashed, seq).equals(keyOf(folder, seq))).toBe(false);
    }
  });

  it("is not written to again and again when the keys to come are there from before", async () => {
    const folder = temporaryFolder();
    const keys = join(folder, "keys");
    const first = await open(folder);
    const drops = Array.from({ length: KEYS_A_FILE / 2 + 10 }, (_, n) =>
      aDrop({ recipient: hex(`person ${n % 1_000}`) }),
    );
    await Promise.all(drops.map((drop) => first.store.put(drop, NOW)));
    await first.look();
    await first.store.close();
    const before = readFileSync(join(keys, "00000001"));
    const opened = await open(folder);
    await opened.look();
    const [written, made] = [statSync(keys).mtimeMs, readFileSync(join(keys, "00000001"))];
    expect(made.equals(before)).toBe(false);
    await opened.look();
    expect(statSync(keys).mtimeMs).toBe(written);
    expect(readFileSync(join(keys, "00000001")).equals(made)).toBe(true);
  });

  it("loses a key that a crash left at once, however many numbers came before it", async () => {
    const folder = temporaryFolder();
    const opened = await open(folder);
    const many = Array.from({ length: KEYS_A_FILE + 92 }, () => aDrop({ expiry: NOW + 100 }));
    for (let at = 0; at < many.length; at += 90) {
      // A box holds a hundred.
      await Promise.all(many.slice(at, at + 90).map((drop) => opened.store.put(drop, NOW)));
      const ids = many.slice(at, at + 90).map(({ id }) => id);
      if (at + 90 < many.length) {
        await opened.store.acknowledge({ signer: BOB, ids, deletion: false }, NOW);
      }
    }
    for (let next: Buffer | undefined; ;) {
      ({ next } = await opened.store.sweep("drops", NOW, next));
      if (next === undefined) break;
    }
    await opened.look();
    expect(readdirSync(join(folder, "keys"))).toEqual(["00000001"]);
    const gone = many.at(-2)!;
    const key = Buffer.from(keyOf(folder, many.length - 1));
    await opened.store.acknowledge({ signer: BOB, ids: [gone.id], deletion: false }, NOW);
    const crashed = seize(folder);
    expect(bytesOf(crashed).includes(key)).toBe(true);
    const again = await open(crashed);
    await again.look();
    expect(bytesOf(seize(crashed)).includes(key)).toBe(false);
  }, 60_000);

  it("has no file of keys any more when all of its drops are gone", async () => {
    const folder = temporaryFolder();
    const opened = await open(folder);
    const many = Array.from({ length: KEYS_A_FILE + 10 }, (_, n) =>
      aDrop({ recipient: hex(`person ${n % 1_000}`), expiry: NOW + (n < KEYS_A_FILE ? 100 : 200) }),
    );
    const outcomes = await Promise.all(many.map((drop) => opened.store.put(drop, NOW)));
    expect(new Set(outcomes)).toEqual(new Set(["stored"]));
    await opened.look();
    expect(readdirSync(join(folder, "keys"))).toEqual(["00000000", "00000001"]);
    for (let next: Buffer | undefined; ;) {
      ({ next } = await opened.store.sweep("drops", NOW + 100, next));
      if (next === undefined) break;
    }
    await opened.look();
    expect(readdirSync(join(folder, "keys"))).toEqual(["00000001"]);
    expect(opened.store.totals().drops).toBe(10);
    const last = many.at(-1)!;
    expect(opened.store.read(await opened.store.list(last.recipient, {}, 1))).toEqual([last.json]);
  }, 60_000);
});

describe("the secret of a store", () => {
  const SECRET = hex("a secret");

  it.each<[string, (folder: string) => string]>([
    [
      "a file",
      (folder) => {
        writeFileSync(join(folder, "kept-elsewhere"), `${SECRET}\n`);
        return `file:${join(folder, "kept-elsewhere")}`;
      },
    ],
    [
      "the environment",
      () => {
        process.env["A_SECRET"] = SECRET;
        onTestFinished(() => void delete process.env["A_SECRET"]);
        return "env:A_SECRET";
      },
    ],
    [
      "what a command prints",
      () => `command:echo ${SECRET.slice(0, 32)}$(echo ${SECRET.slice(32)})`,
    ],
  ])("may come from %s, and is not in the folder then", async (_, sourceIn) => {
    const folder = temporaryFolder();
    const secret = sourceIn(temporaryFolder());
    const { store } = await open(folder, { secret });
    const drop = aDrop();
    await store.put(drop, NOW);
    await store.close();
    expect(readdirSync(folder)).not.toContain("secret");
    expect(bytesOf(folder).includes(Buffer.from(SECRET, "hex"))).toBe(false);
    const { store: again } = await open(folder, { secret });
    expect(again.read(await again.list(BOB, {}, 10))).toEqual([drop.json]);
  });

  it.each([
    ["file:/nowhere/secret", "the store's secret cannot be read (ENOENT"],
    ["env:NOT_SET", "the store's secret is not 64 hex digits in env:NOT_SET"],
    ["command:exit 3", "the store's secret cannot be read (Command failed"],
    ["command:echo hunter2", "is not 64 hex digits in what its command prints"],
  ])("that cannot be had is told, and nothing is made: %s", async (secret, words) => {
    const folder = temporaryFolder();
    await expect(open(folder, { secret })).rejects.toThrow(words);
    expect(readdirSync(folder)).not.toContain("secret");
    // With the right one it is a new store as before.
    const { store } = await open(folder);
    expect(await store.put(aDrop(), NOW)).toBe("stored");
  });

  it("is not made anew where a store is", async () => {
    const folder = temporaryFolder();
    await (await open(folder)).store.close();
    rmSync(join(folder, "secret"));
    await expect(open(folder)).rejects.toThrow("the store's secret cannot be read (ENOENT");
    expect(readdirSync(folder)).not.toContain("secret");
  });

  it("is told from another one", async () => {
    const folder = temporaryFolder();
    await (await open(folder)).store.close();
    writeFileSync(join(folder, "secret"), SECRET);
    await expect(open(folder)).rejects.toThrow(`${folder} was written under another secret`);
  });
});

describe("a file of keys that is missing", () => {
  it.each<[string, (path: string) => void]>([
    ["altogether", (path) => rmSync(path)],
    ["in part", (path) => writeFileSync(path, readFileSync(path).subarray(0, 100))],
  ])("%s is no store to open, and nothing is changed", async (_, spoil) => {
    const folder = temporaryFolder();
    const { store } = await open(folder);
    await store.put(aDrop(), NOW);
    await store.close();
    const path = join(folder, "keys", "00000000");
    const whole = readFileSync(path);
    spoil(path);
    await expect(open(folder)).rejects.toThrow(`${path} is missing or cut short`);
    // Given back, all is there.
    writeFileSync(path, whole);
    const { store: again } = await open(folder);
    expect(again.read(await again.list(BOB, {}, 10))).toHaveLength(1);
  });
});
