// What becomes of a relay whose disk fails, as a table: it goes on and is whole, it ends with a sentence, or it does not start and says why. Whatever becomes of
// it, nothing that was answered OK is lost or comes back, and no box is ever shown without what is in it.
//
// Rows that need more than a fault and its outcome stand elsewhere: failures on two event loops, writes cut short and the last of the room
// (test/server/failing-writes), a disk that somebody else fills and empties (test/server/full-disk), files that are empty, foreign, cut, missing or taken away
// (test/server/start), damaged records, and files cut after every page (test/store/damaged).

import { spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  afterAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
  type TestContext,
} from "vitest";

import { systemRuntime } from "../../src/server/runtime.ts";
import { KEYS_A_FILE } from "../../src/store/key-files.ts";
import { openLmdbStore } from "../../src/store/lmdb.ts";
import { aDrop, DAY, hex } from "../store/contract.ts";
import { Client, now } from "../support/client.ts";
import { LIMITS } from "../support/clock.ts";
import { giftWrap } from "../support/events.ts";
import { fillDisk } from "../support/fill.ts";
import { person } from "../support/people.ts";
import { preloadable } from "../support/preload.ts";
import {
  fatal,
  failToStart,
  type RelayProcess,
  startRelay,
  temporaryFolder,
} from "../support/relay.ts";
import { copyStore } from "../support/store-copy.ts";
import { budget, record, SEED } from "./budget.ts";
import { StoreLooker } from "./cut-looks.ts";
import type { Answer } from "./cut-store.ts";
import { loopDeviceOf, makeExt4, needsExt4, onExt4 } from "./ext4.ts";
import { PromisedBox } from "./promised-box.ts";
import { Chance } from "./seeded.ts";

const LIBRARY = preloadable("failing-writes");

const HELD = 20;
const ACKNOWLEDGED = 10;
const WRITERS = 3;

/** A relay, and what its disk has to bear. */
type Stand = {
  readonly data: string;
  readonly relay: RelayProcess;
  /** The folder as the relay sees it, where it has a disk of its own. */
  readonly seen: string;
  /** Tells the library how to fail. */
  readonly fail: (how: string) => void;
};

type Load = {
  /** Answers of each writer until the fault ends. */
  readonly answers?: number;
  /** How long the drops are. */
  readonly bytes?: number;
};

type Row = Load & {
  readonly fault: string;
  /** Something that is done to the store of a relay that is not running. */
  readonly before?: (data: string) => Promise<void>;
  readonly bring: (stand: Stand) => void;
  /** Another file system. */
  readonly on?: "ext4";
};

/** It goes on, and takes everything again when the fault is over. */
type Whole = Row & {
  readonly mend?: (stand: Stand) => void;
  /** Whether something is refused meanwhile. */
  readonly refuses: boolean;
};

/** It ends with this cause in its log. */
type Ending = Row & { readonly cause: string };

const EIO = "EIO: i/o error";

const EROFS = "EROFS: read-only file system";

const ENDING: readonly Ending[] = [
  { fault: "fails to write", bring: ({ fail }) => fail("write 5"), cause: EIO },
  { fault: "fails to write once", bring: ({ fail }) => fail("write 5 1"), cause: EIO },
  { fault: "fails to flush once", bring: ({ fail }) => fail("sync 5 1"), cause: EIO },
  {
    fault: "fails to read the keys of drops",
    before: bury,
    bring: ({ fail }) => fail("read 5"),
    cause: "a key cannot be read: EIO: i/o error, read",
  },
  { fault: "takes no more writes", bring: ({ fail }) => fail("write 30"), cause: EROFS },
  {
    fault: "is an ext4 that found itself damaged, and takes no more writes",
    on: "ext4",
    bring: ({ relay }) =>
      writeFileSync(`/sys/fs/ext4/${loopDeviceOf(relay)}/trigger_fs_error`, "test"),
    cause: EROFS,
  },
];

const WHOLE: readonly Whole[] = [
  {
    fault: "has no room when it flushes",
    bring: ({ fail }) => fail("sync 28"),
    refuses: true,
  },
  {
    fault: "takes two seconds to flush",
    bring: ({ fail }) => fail("slow 2000"),
    answers: 1,
    refuses: false,
  },
  {
    fault: "lets no file become larger (RLIMIT_FSIZE)",
    bring: ({ relay, data }) => limitFiles(relay, String(statSync(join(data, "data.mdb")).size)),
    mend: ({ relay }) => limitFiles(relay, "unlimited"),
    // Until all that was there beforehand is used up.
    answers: 60,
    bytes: 45_000,
    refuses: true,
  },
  {
    fault: "is an ext4 that is full",
    on: "ext4",
    bring: ({ seen }) => fillDisk(join(seen, "somebody-elses")),
    mend: ({ seen }) => rmSync(join(seen, "somebody-elses")),
    refuses: true,
  },
];

function limitFiles({ pid }: RelayProcess, bytes: string): void {
  const { status } = spawnSync("prlimit", ["--pid", String(pid), `--fsize=${bytes}:`]);
  expect(status).toBe(0);
}

const outcomes: Record<string, number> = {};

function came(what: string): void {
  outcomes[what] = (outcomes[what] ?? 0) + 1;
}

/** A box with drops of which some are acknowledged, in an earlier life of the relay, so that its index is on the disk. */
async function filled(data: string, through: readonly string[] = []): Promise<PromisedBox> {
  const box = new PromisedBox();
  const relay = await startRelay({ data, through, env: NO_RESERVE });
  const client = await Client.connect(relay.url);
  const events = Array.from({ length: HELD + ACKNOWLEDGED }, () => giftWrap({ to: box.owner }));
  for (const event of events) await box.drop(client, event);
  await box.acknowledge(client, events.slice(HELD));
  expect(box.refused).toBe(0);
  expect(await relay.stop()).toBe(0);
  return box;
}

/** Made once, and copied for each who spoils it. */
let made: { readonly folder: string; readonly box: PromisedBox } | undefined;

async function copyOfFilled(data: string): Promise<PromisedBox> {
  if (made === undefined) {
    const folder = temporaryFolder((clean) => atEnd.push(clean));
    made = { box: await filled(folder), folder };
  }
  copyStore(made.folder, data);
  return made.box.copy();
}

/** So many drops for others follow that the keys of what is held are in a file that no relay keeps in memory. */
async function bury(folder: string): Promise<void> {
  const settings = { folder, retentionSeconds: 30 * DAY, diskReserveBytes: 0, limits: LIMITS };
  const { store } = await openLmdbStore(settings, systemRuntime);
  const created_at = now();
  for (let recipient = 0; recipient * LIMITS.boxDrops < KEYS_A_FILE; recipient += 1) {
    const box = { recipient: hex(`another ${recipient}`), created_at };
    const puts = Array.from({ length: LIMITS.boxDrops }, () => store.put(aDrop(box), created_at));
    await Promise.all(puts);
  }
  await store.close();
}

const NO_RESERVE = { DEADDROP_LIMITS_DISK_RESERVE_BYTES: "0", DEADDROP_SWEEP_SECONDS: "1s" };

type Failing = {
  readonly env: Record<string, string>;
  readonly fail: (how: string) => void;
  readonly mend: () => void;
};

function failing(folder: string): Failing {
  const trigger = join(temporaryFolder(), "fail");
  const preloaded = { LD_PRELOAD: LIBRARY ?? "", FAILING_WRITES: trigger, FAILING_FOLDER: folder };
  return {
    env: { ...NO_RESERVE, ...preloaded },
    fail: (how) => writeFileSync(trigger, how),
    mend: () => rmSync(trigger, { force: true }),
  };
}

/** As many write and look as long as the relay goes on, or until each writer has so many answers. */
async function load(
  box: PromisedBox,
  { url }: RelayProcess,
  { answers = 5, bytes = 1_500 }: Load,
): Promise<void> {
  let isOver = false;
  const connect = (): Promise<Client> => Client.connect(url);
  const reader = await connect();
  const watched = box.watch(reader, () => isOver).catch(() => {});
  const writers = await Promise.all(Array.from({ length: WRITERS }, connect));
  // Their connections end with the relay.
  await Promise.allSettled(writers.map((writer) => box.write(writer, answers, bytes)));
  isOver = true;
  await watched;
}

function needsLibrary({ skip }: Pick<TestContext, "skip">): void {
  if (LIBRARY === undefined && process.env["CI"] === undefined) {
    skip("failures need Linux and a C compiler");
  }
}

/** Brings a fault over a relay that holds something, and has clients go on writing and looking. */
async function loaded(
  row: Row,
  context: TestContext,
): Promise<{ stand: Stand; box: PromisedBox; mend: () => void; check: () => Promise<void> }> {
  if (row.on === "ext4") needsExt4(context);
  const data = temporaryFolder();
  const through = row.on === "ext4" ? onExt4(makeExt4(), data) : [];
  const box = await (row.on === "ext4" ? filled(data, through) : copyOfFilled(data));
  await row.before?.(data);
  const { env, fail, mend } = failing(data);
  const relay = await startRelay({ data, env, through });
  const seen = row.on === undefined ? data : `/proc/${relay.pid}/root${data}`;
  const stand = { data, relay, seen, fail };
  row.bring(stand);
  await load(box, relay, row);
  expect(box.wrongs).toEqual([]);
  const check = async (): Promise<void> => {
    const again = await startRelay({ data, through, env: NO_RESERVE });
    await box.check(again.url);
    expect(box.wrongs).toEqual([]);
    expect(box.size).toBeGreaterThan(0);
  };
  return { stand, box, mend, check };
}

describe("a relay whose disk", () => {
  beforeEach(needsLibrary);

  it.for(WHOLE)("$fault goes on", async (row, context) => {
    const { stand, box, mend, check } = await loaded(row, context);
    const { relay } = stand;
    expect(box.refused > 0).toBe(row.refuses);
    mend();
    row.mend?.(stand);
    const client = await Client.connect(relay.url);
    const drop = giftWrap({ to: person() });
    while ((await client.publish(drop))[2] !== true);
    await box.check(relay.url);
    expect(await relay.stop()).toBe(0);
    await check();
    came("whole");
  });

  it.for(ENDING)("$fault ends with the cause in its log", async (row, context) => {
    const { stand, mend, check } = await loaded(row, context);
    expect(await stand.relay.exited).toBe(1);
    expect(fatal(stand.relay.log)).toMatchObject({
      msg: "the store is lost",
      err: { message: row.cause },
    });
    mend();
    await check();
    came("ends");
  });
});

describe("a start on a disk that", () => {
  beforeEach(needsLibrary);

  const STARTS = [
    { fault: "cannot be read", how: "read 5", says: "cannot be read: EIO" },
    { fault: "cannot be written", how: "write 5", says: "cannot be written: EIO" },
    { fault: "is read-only", how: "write 30", says: "cannot be written: EROFS" },
    { fault: "has no room", how: "write 28", says: "cannot be written: ENOSPC" },
    { fault: "cannot be flushed", how: "sync 5", says: "cannot be flushed: EIO" },
  ];
  it.each(STARTS)("$fault does not take place, and leaves all that is there", async (start) => {
    const data = temporaryFolder();
    const box = await copyOfFilled(data);
    const { env, fail, mend } = failing(data);
    fail(start.how);
    const { code, said } = await failToStart(data, { env });
    expect(code).toBe(1);
    expect(said).toContain("deaddrop: the relay could not start: ");
    expect(said).toContain(start.says);
    mend();
    const relay = await startRelay({ data, env: NO_RESERVE });
    await box.check(relay.url);
    expect(box.wrongs).toEqual([]);
    came("refused");
  });

  it.each(STARTS.slice(1))("$fault, the first of all, leaves nothing behind", async (start) => {
    const data = temporaryFolder();
    const { env, fail, mend } = failing(data);
    fail(start.how);
    const { code, said } = await failToStart(data, { env });
    expect(code).toBe(1);
    const words = start.says.replace(/^.* /, "");
    expect(said).toContain(
      `the relay could not start: no new store can be written in ${data}: ${words}`,
    );
    expect(readdirSync(data)).toEqual([]);
    mend();
    await startRelay({ data, env: NO_RESERVE });
    came("refused");
  });

  it("is mounted read-only does not take place, and says so", async (context) => {
    needsExt4(context);
    const [data, image] = [temporaryFolder(), makeExt4()];
    const box = await filled(data, onExt4(image, data));
    const { code, said } = await failToStart(data, { through: onExt4(image, data, "ro") });
    expect(code).toBe(1);
    expect(said).toContain("the relay could not start: the store cannot be opened (EROFS");
    const relay = await startRelay({ data, through: onExt4(image, data), env: NO_RESERVE });
    await box.check(relay.url);
    expect(box.wrongs).toEqual([]);
    came("refused");
  });
});

describe("a store's file that somebody cuts short under the relay", () => {
  it("lets it say OK to nothing more, and is no store to start on", async () => {
    const data = temporaryFolder();
    await copyOfFilled(data);
    const relay = await startRelay({ data, env: NO_RESERVE });
    const file = join(data, "data.mdb");
    const client = await Client.connect(relay.url);
    truncateSync(file, usedBytes(readFileSync(file)) / 2);
    const drop = giftWrap({ to: person() });
    client.say("EVENT", drop);
    const answer = await client.hear().catch(() => ["OK", drop.id, false]);
    expect(answer.slice(0, 3)).toEqual(["OK", drop.id, false]);
    // It is mapped: who reads what is missing before that is noticed is ended by the system.
    const wasKilled = (await relay.exited) === null;
    const said = JSON.stringify(fatal(relay.log));
    expect(wasKilled || said.includes("was cut short under the relay")).toBe(true);
    const next = await failToStart(data);
    expect(next.code).toBe(1);
    expect(next.said).toMatch(/data\.mdb is (?:cut short|damaged)/);
    came("ends, and is refused");
  });
});

/** How much of a store's file is in use, by the newest of its meta pages. */
function usedBytes(file: Buffer): number {
  const [first, second] = [file.readBigUInt64LE(152), file.readBigUInt64LE(PAGE_BYTES + 152)];
  const newer = first > second ? 0 : PAGE_BYTES;
  return (Number(file.readBigUInt64LE(newer + 144)) + 1) * PAGE_BYTES;
}

const PAGE_BYTES = 8_192;

describe("a bit that flips in a store's file", () => {
  const FLIPS = budget({ short: 80, long: 1_500 });

  // LMDB has no checksums: what is hit may be missed, and nobody is told. Clients hold it against the signature.
  it("has nothing shown that was never sent, and outside of the meta pages nothing that was acknowledged", async () => {
    const data = temporaryFolder();
    const box = await copyOfFilled(data);
    const bytes = readFileSync(join(data, "data.mdb"));
    const used = bytes.subarray(0, usedBytes(bytes));
    const chance = new Chance(SEED);
    const looker = new StoreLooker();
    onTestFinished(() => looker.close());
    const found: string[] = [];
    for (let flip = 0; flip < FLIPS; flip += 1) {
      const folder = mkdtempSync(join(tmpdir(), "deaddrop-flip-"));
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const at = chance.between(0, used.length - 1);
      const spoiled = Buffer.from(used);
      spoiled[at]! ^= 1 << chance.between(0, 7);
      copyStore(data, folder);
      writeFileSync(join(folder, "data.mdb"), spoiled);
      const answer = await looker.look({ folder, boxes: [box.owner.key], again: [] });
      rmSync(folder, { recursive: true });
      flipped[judged(answer, box)] += 1;
      if ("refused" in answer) continue;
      // One in the meta pages may make the older of them the newer.
      const mayBeEarlier = at < 2 * PAGE_BYTES;
      const states = new Set(answer.first.map((id) => box.stateOf(id)));
      if (states.has("never sent")) found.push(`byte ${at}: what was never sent is shown`);
      if (states.has("gone") && !mayBeEarlier) found.push(`byte ${at}: what is gone is shown`);
    }
    expect(found).toEqual([]);
    expect(flipped.whole).toBeGreaterThan(FLIPS / 2);
  });
});

function judged(answer: Answer, box: PromisedBox): keyof typeof flipped {
  if ("refused" in answer) return / SIG/.test(answer.refused) ? "ended by a signal" : "refused";
  if (answer.first.some((id) => box.stateOf(id) !== "held")) return "as it was earlier";
  return answer.first.length < box.size ? "some missing" : "whole";
}

const flipped = {
  whole: 0,
  "some missing": 0,
  "as it was earlier": 0,
  refused: 0,
  "ended by a signal": 0,
};

const atEnd: (() => void | Promise<void>)[] = [];

afterAll(async () => {
  for (const clean of atEnd) await clean();
});
afterAll(() => record("disks", { outcomes, flipped }));
