// What becomes of a relay whose disk fails, as a table: it goes on and is whole, it ends with a sentence, or it does not start and says why. Whatever becomes of
// it, nothing that was answered OK is lost or comes back, and no box is ever shown without what is in it.
//
// Rows that need more than a fault and its outcome stand elsewhere: failures on two event loops, writes cut short and the last of the room
// (test/server/failing-writes), a disk that somebody else fills and empties (test/server/full-disk), files that are empty, foreign, cut, missing or taken away
// (test/server/start), damaged records, and files cut after every page (test/store/damaged).

import { spawnSync } from "node:child_process";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { afterAll, beforeEach, describe, expect, it, type TestContext } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { preloadable } from "../support/preload.ts";
import { failToStart, type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { record } from "./budget.ts";

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

type Row = {
  readonly fault: string;
  readonly bring: (stand: Stand) => void;
  /** Ends it. Where the relay is to go on it is called while it runs. */
  readonly mend?: (stand: Stand) => void;
  /** `whole`: it goes on, and takes everything again when the fault is over. Else the words of the sentence with which it ends. */
  readonly outcome: "whole" | { readonly ends: string };
  /** Another file system. */
  readonly on?: "ext4";
  /** Whether something is refused meanwhile. */
  readonly refuses?: true;
  /** Of each writer, until the fault ends; and how long their drops are. */
  readonly answers?: number;
  readonly bytes?: number;
};

const EIO = "EIO: i/o error";

const ROWS: readonly Row[] = [
  { fault: "fails to write", bring: ({ fail }) => fail("write 5"), outcome: { ends: EIO } },
  { fault: "fails to write once", bring: ({ fail }) => fail("write 5 1"), outcome: { ends: EIO } },
  { fault: "fails to flush once", bring: ({ fail }) => fail("sync 5 1"), outcome: { ends: EIO } },
  {
    fault: "is read-only from now on",
    bring: ({ fail }) => fail("write 30"),
    outcome: { ends: "EROFS: read-only file system" },
  },
  {
    fault: "has no room when it flushes",
    bring: ({ fail }) => fail("sync 28"),
    refuses: true,
    outcome: "whole",
  },
  {
    fault: "takes two seconds to flush",
    bring: ({ fail }) => fail("slow 2000"),
    answers: 1,
    outcome: "whole",
  },
  {
    fault: "lets no file become larger (RLIMIT_FSIZE)",
    bring: ({ relay, data }) => limitFiles(relay, String(statSync(join(data, "data.mdb")).size)),
    mend: ({ relay }) => limitFiles(relay, "unlimited"),
    // Until all that was there beforehand is used up.
    answers: 60,
    bytes: 45_000,
    refuses: true,
    outcome: "whole",
  },
  {
    fault: "is an ext4 that is full",
    on: "ext4",
    bring: ({ seen }) => fill(join(seen, "somebody-elses")),
    mend: ({ seen }) => rmSync(join(seen, "somebody-elses")),
    refuses: true,
    outcome: "whole",
  },
  {
    fault: "is an ext4 that found itself damaged, and takes no more writes",
    on: "ext4",
    bring: ({ relay }) => writeFileSync(`/sys/fs/ext4/${deviceOf(relay)}/trigger_fs_error`, "test"),
    outcome: { ends: "EROFS: read-only file system" },
  },
];

function limitFiles({ pid }: RelayProcess, bytes: string): void {
  const { status } = spawnSync("prlimit", ["--pid", String(pid), `--fsize=${bytes}:`]);
  expect(status).toBe(0);
}

/** Somebody else writes as much as the disk takes. */
function fill(path: string): void {
  const file = openSync(path, "w");
  for (const bytes of [2 ** 20, 2 ** 12, 1]) {
    expect(() => {
      for (;;) writeSync(file, Buffer.alloc(bytes));
    }).toThrow("ENOSPC");
  }
  closeSync(file);
}

// The last that was mounted, as the relay sees it.
function deviceOf({ pid }: RelayProcess): string {
  const mounted = readFileSync(`/proc/${pid}/mounts`, "utf8").trim().split("\n").at(-1);
  return /^\/dev\/(loop\d+) /.exec(mounted ?? "")?.[1] ?? "";
}

// Runs what follows where this folder is an ext4 of its own, in a file; nobody else sees it. It needs root.
function onExt4(image: string, folder: string, options = "errors=remount-ro"): string[] {
  const script = 'mount -o "loop,$2" "$0" "$1" && shift 2 && exec "$@"';
  return ["unshare", "--mount", "sh", "-c", script, image, folder, options];
}

function makeExt4(): string {
  const image = join(temporaryFolder(), "image");
  writeFileSync(image, "");
  truncateSync(image, 64 * 2 ** 20);
  spawnSync("mkfs.ext4", ["-q", "-F", image]);
  return image;
}

function canMountExt4(): boolean {
  const [command = "", ...args] = onExt4(makeExt4(), temporaryFolder());
  return spawnSync(command, [...args, "true"]).status === 0;
}

/** What one recipient was promised, and whether that is so. */
class Box {
  readonly owner: Person = person();
  readonly wrongs: string[] = [];
  refused = 0;
  readonly #held = new Set<string>();
  readonly #gone = new Map<string, NostrEvent>();

  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  async drop(client: Client, event: NostrEvent): Promise<void> {
    const [, id, accepted] = await client.publish(event);
    if (id === event.id && accepted === true) this.#held.add(event.id);
    else this.refused += 1;
  }

  async acknowledge(client: Client, events: readonly NostrEvent[]): Promise<void> {
    for (const { id } of events) this.#held.delete(id);
    const [, , accepted] = await client.publish(acknowledgement(this.owner, events));
    if (accepted === true) for (const event of events) this.#gone.set(event.id, event);
    else this.refused += 1;
  }

  /** Drops some, acknowledges some; what is answered OK is promised. */
  async write(client: Client, times: number, bytes: number): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      const event = giftWrap({ to: this.owner, content: "x".repeat(bytes) });
      await this.drop(client, event);
      if (time % 4 === 3 && this.#held.has(event.id)) await this.acknowledge(client, [event]);
    }
  }

  /** Picks up, again and again, until it is told to stop or cannot go on. */
  async watch(client: Client, isOver: () => boolean): Promise<void> {
    await client.authenticate(this.owner);
    while (!isOver()) await this.look(client);
  }

  async look(client: Client): Promise<void> {
    const must = [...this.#held];
    const mustNot = new Set(this.#gone.keys());
    const { events, end } = await client.request("box", {});
    // It may say that it cannot.
    if (end[0] !== "EOSE") return;
    client.say("CLOSE", "box");
    const ids = new Set(events.map(({ id }) => id));
    for (const id of must)
      if (this.#held.has(id) && !ids.has(id)) this.wrongs.push("a drop is not shown");
    for (const id of ids) if (mustNot.has(id)) this.wrongs.push("an acknowledged drop is shown");
  }

  /** Looks, sends what is acknowledged once more, and looks again. */
  async check(url: string): Promise<void> {
    const client = await (await Client.connect(url)).authenticate(this.owner);
    await this.look(client);
    for (const event of this.#gone.values()) {
      const [, , accepted, reason] = await client.publish(event);
      if (accepted !== true || reason !== "duplicate: already have this event") {
        this.wrongs.push(`an acknowledged drop is answered ${String(reason)}`);
      }
    }
    await this.look(client);
  }
}

const outcomes: Record<string, number> = {};

function came(what: string): void {
  outcomes[what] = (outcomes[what] ?? 0) + 1;
}

/** A box with drops of which some are acknowledged, in an earlier life of the relay, so that its index is on the disk. */
async function filled(data: string, through: readonly string[] = []): Promise<Box> {
  const box = new Box();
  const relay = await startRelay({ data, through, env: NO_RESERVE });
  const client = await Client.connect(relay.url);
  const events = Array.from({ length: HELD + ACKNOWLEDGED }, () => giftWrap({ to: box.owner }));
  for (const event of events) await box.drop(client, event);
  await box.acknowledge(client, events.slice(HELD));
  expect(box.refused).toBe(0);
  await relay.stop();
  return box;
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
  box: Box,
  { url }: RelayProcess,
  { answers = 5, bytes = 1_500 }: Row,
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

describe("a relay whose disk", () => {
  beforeEach(needsLibrary);
  afterAll(() => record("disks", { outcomes }));

  it.each(ROWS)("$fault", async (row) => {
    const { bring, mend, outcome, on } = row;
    const data = temporaryFolder();
    const through = on === "ext4" ? onExt4(makeExt4(), data) : [];
    const box = await filled(data, through);
    const { env, fail, mend: mendLibrary } = failing(data);
    const relay = await startRelay({ data, env, through });
    const seen = on === undefined ? data : `/proc/${relay.pid}/root${data}`;
    const stand = { data, relay, seen, fail };
    bring(stand);
    await load(box, relay, row);
    if (outcome === "whole") {
      expect(box.refused > 0).toBe(row.refuses === true);
      mendLibrary();
      mend?.(stand);
      const client = await Client.connect(relay.url);
      const drop = giftWrap({ to: box.owner });
      while ((await client.publish(drop))[2] !== true);
      await box.check(relay.url);
      expect(await relay.stop()).toBe(0);
    } else {
      expect(await relay.exited).toBe(1);
      expect(relay.log.at(-1)).toMatchObject({
        level: 60,
        msg: "the store is lost",
        err: { message: outcome.ends },
      });
      mendLibrary();
    }
    const again = await startRelay({ data, through, env: NO_RESERVE });
    await box.check(again.url);
    expect(box.wrongs).toEqual([]);
    expect(box.isEmpty).toBe(false);
    came(outcome === "whole" ? "whole" : "ends");
  });
});

describe("a start on a disk that", () => {
  beforeEach(needsLibrary);

  const STARTS = [
    { fault: "cannot be read", how: "read 5", first: undefined, says: "cannot be read: EIO" },
    { fault: "cannot be written", how: "write 5", says: "cannot be written: EIO" },
    { fault: "is read-only", how: "write 30", says: "cannot be written: EROFS" },
    { fault: "has no room", how: "write 28", says: "cannot be written: ENOSPC" },
    { fault: "cannot be flushed", how: "sync 5", says: "cannot be flushed: EIO" },
  ];
  it.each(STARTS)("$fault does not take place, and leaves all that is there", async (start) => {
    const data = temporaryFolder();
    const box = await filled(data);
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

  it("is mounted read-only does not take place, and says so", async ({ skip }) => {
    if (!canMountExt4()) skip("it needs root, and loop devices");
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
    await filled(data);
    const relay = await startRelay({ data, env: NO_RESERVE });
    const file = join(data, "data.mdb");
    const client = await Client.connect(relay.url);
    truncateSync(file, statSync(file).size / 2);
    const drop = giftWrap({ to: person() });
    const answer = await client.publish(drop).catch(() => ["OK", drop.id, false]);
    expect(answer.slice(0, 3)).toEqual(["OK", drop.id, false]);
    console.log(await relay.exited, relay.log.at(-1));
  });
});
