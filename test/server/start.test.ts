// A start that cannot work ends with exit code 1 and a sentence that says why; and what a relay does when its store is taken from under it.

import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import { open } from "lmdb";
import { beforeAll, describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { fatal, failToStart, startRelay, temporaryFolder } from "../support/relay.ts";
import { copyStore } from "../support/store-copy.ts";

// Root may read everything and change every mode.
const IS_ROOT = process.getuid?.() === 0;
const AS_NOBODY = IS_ROOT
  ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "NODE_COMPILE_CACHE="]
  : [];

/** Runs what follows with a limit of the shell's. */
const limited = (limit: string): string[] => ["sh", "-c", `${limit} && exec "$@"`, "sh"];

describe("a start on a store that cannot be opened", () => {
  let store = "";
  const cleaning: (() => void | Promise<void>)[] = [];
  beforeAll(async () => {
    const relay = await startRelay({}, (clean) => cleaning.push(clean));
    store = relay.data;
    const client = await Client.connect(relay.url, {}, (clean) => cleaning.push(clean));
    for (let n = 0; n < 50; n += 1) await client.publish(giftWrap({ to: person() }));
    await relay.stop();
    return async () => {
      for (const clean of cleaning.toReversed()) await clean();
    };
  });

  function copy(): { data: string; file: string } {
    const data = temporaryFolder();
    const file = join(data, "data.mdb");
    copyStore(store, data);
    return { data, file };
  }

  const FLAWS: [string, (file: string) => void, string][] = [
    ["is empty", (file) => truncateSync(file, 0), "is empty where a store should be"],
    ["ends in its first page", (file) => truncateSync(file, 5_000), "is cut short"],
    ["ends in its second page", (file) => truncateSync(file, 12_000), "is cut short"],
    ["lacks what it holds", (file) => truncateSync(file, 60_000), "is cut short"],
    [
      "is full of zeros",
      (file) => writeFileSync(file, Buffer.alloc(100_000)),
      "is not the file of a store",
    ],
    [
      "is another file",
      (file) => writeFileSync(file, "# Read me\n".repeat(9_999)),
      "is not the file",
    ],
    [
      "has zeros behind its head",
      (file) => {
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.fill(0, 16_384));
      },
      "is damaged",
    ],
    [
      "has an impossible page size",
      (file) => {
        const bytes = readFileSync(file);
        bytes.writeUInt32LE(12_345, 48);
        writeFileSync(file, bytes);
      },
      "is damaged",
    ],
  ];
  it.each(FLAWS)("says so: one that %s", async (_, spoil, words) => {
    const { data, file } = copy();
    spoil(file);
    const bytes = readFileSync(file);
    const { code, said } = await failToStart(data);
    expect(code).toBe(1);
    expect(said).toContain(`deaddrop: the relay could not start: ${file} ${words}`);
    expect(said).toContain("move the folder away to start with an empty store");
    expect(said).not.toContain("backup");
    // Whoever can mend it still can.
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it.each([
    ["4 KiB pages", { pageSize: 4_096 }, "theirs"],
    ["pages like a store's", { pageSize: 8_192 }, "theirs"],
    ["all in one table", { pageSize: 8_192 }, null],
  ])("says so, and leaves it as it is: another program's LMDB file, %s", async (_, how, name) => {
    const data = temporaryFolder();
    const other = open({ path: data, noSubdir: false, ...how });
    await (name === null ? other : other.openDB({ name })).put("theirs", "too");
    await other.close();
    const file = join(data, "data.mdb");
    const bytes = readFileSync(file);
    const { code, said } = await failToStart(data);
    expect(code).toBe(1);
    expect(said).toContain(`${file} is not the file of a store`);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it("says so: one that is missing, until it is told to start empty", async () => {
    const { data, file } = copy();
    await (await startRelay({ data })).stop();
    rmSync(file);
    const { code, said } = await failToStart(data);
    expect(code).toBe(1);
    expect(said).toContain(`${file} is missing where a store was`);
    rmSync(join(data, "lock.mdb"));
    expect((await startRelay({ data })).log.at(-1)).toMatchObject({ held: 0 });
  });

  it.each(["data.mdb", "lock.mdb"])("says so: %s that is no file", async (name) => {
    const { data } = copy();
    rmSync(join(data, name), { force: true });
    mkdirSync(join(data, name));
    const { code, said } = await failToStart(data);
    expect(code).toBe(1);
    expect(said).toContain("the store cannot be opened (EISDIR");
  });

  it.each(["data.mdb", "lock.mdb"])("says so: %s that it may not read", async (name) => {
    const { data } = copy();
    writeFileSync(join(data, "lock.mdb"), "");
    for (const each of ["data.mdb", "lock.mdb"]) chmodSync(join(data, each), 0o666);
    chmodSync(data, 0o777);
    chmodSync(join(data, name), 0);
    const { code, said } = await failToStart(data, { through: AS_NOBODY });
    expect(code).toBe(1);
    expect(said).toContain("the store cannot be opened (EACCES");
  });

  it("says so: a memory of its retention that cannot be read", async () => {
    const { data, file } = copy();
    const bytes = readFileSync(file);
    for (let at = bytes.indexOf("[[null,"); at >= 0; at = bytes.indexOf("[[null,", at)) {
      bytes.write("{", at);
    }
    writeFileSync(file, bytes);
    const { code, said } = await failToStart(data);
    expect(code).toBe(1);
    expect(said).toContain('the store is damaged: its record "retention" cannot be read');
  });

  it("needs no more of the file than what is in use", async () => {
    const { data, file } = copy();
    const bytes = readFileSync(file);
    const newer = bytes.readBigUInt64LE(152) > bytes.readBigUInt64LE(8_192 + 152) ? 0 : 8_192;
    truncateSync(file, (Number(bytes.readBigUInt64LE(newer + 144)) + 1) * 8_192);
    const relay = await startRelay({ data });
    expect(relay.log.at(-1)).toMatchObject({ held: 50 });
  });
});

describe.runIf(process.platform === "linux")("a start within limits that are too low", () => {
  it("names the address space it needs", async () => {
    const { code, said } = await failToStart(temporaryFolder(), {
      through: limited("ulimit -v 60000000"),
    });
    expect(code).toBe(1);
    expect(said).toContain("the store needs 1024 GiB of address space");
  });

  it("says that files may not be as large as a new store", async () => {
    const data = temporaryFolder();
    const { code, said } = await failToStart(data, { through: limited("ulimit -f 16") });
    expect(code).toBe(1);
    expect(said).toContain(`no new store can be written in ${data}: EFBIG`);
    expect(readdirSync(data)).toEqual([]);
  });

  it.each([30, 60])("names the descriptors it needs, of which it has %i", async (descriptors) => {
    const { code, said } = await failToStart(temporaryFolder(), {
      through: limited(`ulimit -n ${descriptors}`),
      env: { DEADDROP_VERIFIERS: "4" },
    });
    expect(code).toBe(1);
    expect(said).toContain(`this process may open ${descriptors} files, too few to start`);
  });

  it("takes as many connections as there are descriptors for, and warns of it", async () => {
    const env = { DEADDROP_WORKERS: "1" };
    const relay = await startRelay({ env, through: limited("ulimit -n 100") });
    expect(relay.log).toContainEqual(
      expect.objectContaining({ level: 40, descriptors: 100, connections: 28 }),
    );
    const clients = await Promise.all(Array.from({ length: 28 }, () => Client.connect(relay.url)));
    await expect(Client.connect(relay.url)).rejects.toThrow(/^(?:HTTP (?:429|503)|socket hang up)/);
    const drop = giftWrap({ to: person() });
    expect(await clients[27]?.publish(drop)).toEqual(["OK", drop.id, true, ""]);
  });
});

async function withDrop(
  data: string,
): Promise<{ bob: Person; client: Client; relay: Awaited<ReturnType<typeof startRelay>> }> {
  const relay = await startRelay({ data });
  const bob = person();
  const client = await (await Client.connect(relay.url)).authenticate(bob);
  await client.publish(giftWrap({ to: bob }));
  return { bob, client, relay };
}

describe("a relay whose store is taken from under it", () => {
  const TAKEN: [string, (data: string) => void, string][] = [
    ["removed", (data) => rmSync(join(data, "data.mdb")), "was removed under the relay"],
    ["moved away with its folder", (data) => renameSync(data, `${data}.old`), "was removed"],
    [
      "replaced by a copy of itself",
      (data) => {
        cpSync(join(data, "data.mdb"), join(data, "copy"));
        renameSync(join(data, "copy"), join(data, "data.mdb"));
      },
      "was replaced by another file under the relay",
    ],
  ];

  it.each(TAKEN)("says OK to nothing more, and ends: %s", async (_, take, words) => {
    const data = join(temporaryFolder(), "store");
    const { bob, client, relay } = await withDrop(data);
    take(data);
    const drop = giftWrap({ to: bob });
    client.say("EVENT", drop);
    // Or it has noticed it before the drop came.
    const answer = await client.hear().catch(() => ["OK", drop.id, false]);
    expect(answer.slice(0, 3)).toEqual(["OK", drop.id, false]);
    expect(await relay.exited).toBe(1);
    expect(fatal(relay.log)).toMatchObject({
      msg: "the store is lost",
      err: { message: expect.stringContaining(words) },
    });
  });

  it("ends also when nobody asks it for anything", async () => {
    const data = join(temporaryFolder(), "store");
    const { relay } = await withDrop(data);
    rmSync(join(data, "data.mdb"));
    expect(await relay.exited).toBe(1);
  });
});

function mode(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

describe("a data folder that others can read", () => {
  it("is the relay's alone once that has started, with all that is in it", async () => {
    const data = temporaryFolder();
    const first = await startRelay({ data });
    await first.stop();
    chmodSync(data, 0o755);
    for (const name of readdirSync(data)) chmodSync(join(data, name), 0o644);

    const relay = await startRelay({ data });
    expect(mode(data)).toBe("700");
    const names = readdirSync(data);
    expect(names.length).toBeGreaterThan(2);
    expect(names.map((name) => [name, mode(join(data, name))])).toEqual(
      names.map((name) => [name, name === "keys" ? "700" : "600"]),
    );
    expect(relay.log.filter((line) => line["mode"] !== undefined)).toEqual([]);
  });

  it("keeps its mode when there is something else in it, and is warned of", async () => {
    const data = temporaryFolder();
    chmodSync(data, 0o755);
    writeFileSync(join(data, "somebody-elses"), "");
    const relay = await startRelay({ data });
    expect(mode(data)).toBe("755");
    expect(mode(join(data, "data.mdb"))).toBe("600");
    expect(relay.log).toContainEqual(
      expect.objectContaining({ level: 40, path: data, mode: "755" }),
    );
  });

  it.runIf(IS_ROOT)("is warned of where it belongs to somebody else", async () => {
    const data = temporaryFolder();
    chmodSync(data, 0o777);
    const relay = await startRelay({ data, through: AS_NOBODY });
    expect(relay.log).toContainEqual(
      expect.objectContaining({ level: 40, path: data, mode: "777" }),
    );
    const bob = person();
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    const drop = giftWrap({ to: bob });
    expect((await client.publish(drop))[2]).toBe(true);
    expect((await client.publish(acknowledgement(bob, [drop])))[2]).toBe(true);
  });
});
