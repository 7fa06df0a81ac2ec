// What the commands keep in files, and what they say and do when that fails.

import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { beforeEach, describe, expect, it } from "vitest";

import { now } from "../support/client.ts";
import { acknowledgement } from "../support/events.ts";
import { person } from "../support/people.ts";
import { preloadable } from "../support/preload.ts";
import { sharedRelay, temporaryFolder } from "../support/relay.ts";
import { atEnd, commandLine, type Ran } from "./process.ts";
import {
  at,
  boxOf,
  BRIEFLY,
  drop,
  folderOf,
  type Keyholder,
  keyholder,
  NOWHERE,
  type Place,
  seat,
} from "./support.ts";

const LIBRARY = preloadable("recorded-files");
const HOURS_AGO = now() - 2 * 60 * 60;
const LEFT = ".deaddrop-0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f.part";
const BEING_WRITTEN = ".deaddrop-1f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f.part";

const relay = sharedRelay();
const nowhere: Place = { url: NOWHERE };

/** A message that waits to be sent, and the file that it waits in. */
async function withUnsent(holder: Keyholder): Promise<string> {
  await holder.runs(["send", person().key, "hello", ...at(nowhere), ...BRIEFLY]);
  const folder = join(folderOf(holder), "unsent");
  const [name = ""] = readdirSync(folder);
  return join(folder, name);
}

describe.concurrent("a file that must outlive the command", () => {
  beforeEach(({ skip }) => {
    if (LIBRARY === undefined && process.env["CI"] === undefined)
      skip("what goes to disk is seen on Linux, with a C compiler");
  });

  it.each<[string, string[], (bob: Keyholder) => string]>([
    ["a key", ["keys", "new", "--key", "made"], ({ home }) => join(dirname(home), "made")],
    [
      "a key where there are no hard links",
      ["keys", "new", "--key", "made"],
      ({ home }) => join(dirname(home), "made"),
    ],
    [
      "one's relays",
      ["relays", "set", NOWHERE, ...BRIEFLY],
      (bob) => join(folderOf(bob), "relays.json"),
    ],
    [
      "a message that is not sent yet",
      ["send", person().key, "hello", "--relay", NOWHERE, ...BRIEFLY],
      (bob) => join(folderOf(bob), "unsent"),
    ],
    [
      "an acknowledgement",
      ["ack", "ab".repeat(32), "--relay", NOWHERE, ...BRIEFLY],
      (bob) => join(folderOf(bob), "outbox"),
    ],
  ])(
    "is on disk before it has its name, and then so is the name: %s",
    async (what, args, where) => {
      const bob = keyholder();
      const record = join(temporaryFolder(atEnd), "record");
      const env = {
        LD_PRELOAD: LIBRARY ?? "",
        RECORDED_FILES: record,
        ...(what.includes("no hard links") && { NO_HARD_LINKS: "yes" }),
      };
      await bob.runs(args, { env });
      const steps = readFileSync(record, "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(" "));
      const [, from = "", to = ""] =
        steps.find(([step, , to]) => step === "name" && isIn(to)) ?? [];
      expect(existsSync(to)).toBe(true);
      const own = steps.filter((step) => step.includes(from) || step[1] === dirname(to));
      expect(own.slice(0, 3)).toEqual([
        ["sync", from],
        ["name", from, to],
        ["sync", dirname(to)],
      ]);

      function isIn(path = ""): boolean {
        return path === where(bob) || dirname(path) === where(bob);
      }
    },
  );
});

describe.concurrent("a damaged file", () => {
  it.each([["pickup"], ["status"], ["watch"]])(
    "of the outbox is named once by %s, set aside, and stops nothing",
    async (verb) => {
      const bob = keyholder({ relays: [relay()] });
      const { id } = await drop(person(), bob, "hello", [relay()]);
      const outbox = join(folderOf(bob), "outbox");
      const event = acknowledgement(bob, [{ id }]);
      const good = { type: "acknowledgement", id: event.id, event, messages: [] };
      mkdirSync(outbox, { recursive: true });
      const kept = { ...good, relays: [`${relay().url}/`], until: now() + 1_000 };
      writeFileSync(join(outbox, `${event.id}.json`), JSON.stringify(kept));
      const path = join(outbox, "0000.json");
      writeFileSync(path, JSON.stringify({ ...kept, id: "0000", event: {} }));

      const ran = await runsToEnd(bob, verb);
      expect(ran.code).toBe(0);
      const [named, ...others] = ran.err.split(/^(?=deaddrop: )/m);
      expect(named).toMatch(/^deaddrop: .*\n( {2}.*\n){2}$/);
      expect(named).toContain(`${path} cannot be used`);
      expect(others.join("")).not.toContain(path);
      expect(ran.err).toContain(`${path}.damaged`);
      expect(ran.out).not.toContain("hello");
      expect(existsSync(`${path}.damaged`)).toBe(true);
      const again = await runsToEnd(bob, verb);
      expect(again).toEqual({ code: 0, out: again.out, err: others.join("") });
      expect(await boxOf(bob, relay())).toEqual([]);
    },
  );

  it.each([
    ["{"],
    ["null"],
    ["{}"],
    ['{"message":"x","quorum":1,"targets":[]}'],
    [`{"message":"${"0".repeat(64)}","quorum":1,"targets":[{"url":"nowhere"}]}`],
  ])("of a message that waits is named by send --retry once, and set aside: %s", async (text) => {
    const alice = keyholder();
    const path = await withUnsent(alice);
    writeFileSync(path, text);
    const ran = await alice.runs(["send", "--retry"]);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(/^deaddrop: .* is damaged, .*; send it again\n {2}.*\n$/);
    expect(ran.err).toContain(`${path} is damaged`);
    expect(readFileSync(`${path}.damaged`, "utf8")).toBe(text);
    const nothing = { code: 0, err: "deaddrop: nothing is waiting to be sent\n" };
    expect(await alice.runs(["send", "--retry"])).toMatchObject(nothing);
  });

  it.each([["{"], ["[]"], ['{"relays":"wss://one.example"}'], ['{"relays":["one"]}']])(
    "of one's relays is named by what needs them, and by nothing else: %s",
    async (text) => {
      const bob = keyholder();
      const path = join(folderOf(bob), "relays.json");
      mkdirSync(dirname(path));
      writeFileSync(path, text);
      for (const args of [["pickup"], ["status"], ["relays"], ["ack", "ab".repeat(32)]]) {
        const ran = await bob.runs(args);
        expect(ran).toMatchObject({ code: 1, out: "" });
        expect(ran.err).toMatch(/^deaddrop: .* is damaged\n {2}.*relays set wss:.*\n$/);
        expect(ran.err).toContain(path);
      }
      const sent = await bob.runs(["send", bob.key, "to myself", ...at(relay())]);
      expect(sent).toMatchObject({ code: 0, err: "" });
      expect(await bob.runs(["pickup", ...at(relay())])).toMatchObject({ code: 0, err: "" });
      await bob.runs(["relays", "set", relay().url, "--discovery", NOWHERE, ...BRIEFLY]);
      expect(await bob.runs(["status"])).toMatchObject({ code: 0, err: "" });
    },
  );
});

async function runsToEnd(bob: Keyholder, verb: string): Promise<Ran> {
  if (verb !== "watch") return bob.runs([verb]);
  const running = bob.starts([verb]);
  const text = `watched ${Math.random()}`;
  await drop(person(), bob, text, [relay()]);
  await running.prints(text);
  await bob.runs(["pickup", "--ack"]);
  return running.interrupt();
}

describe.concurrent("what a killed command has left half written", () => {
  it("is removed from all folders of its own, once nobody can be at it any more", async () => {
    const bob = keyholder({ relays: [relay()] });
    const key = join(temporaryFolder(atEnd), "key");
    const folders = [
      bob.home,
      folderOf(bob),
      join(folderOf(bob), "outbox"),
      join(folderOf(bob), "unsent"),
      dirname(key),
    ];
    for (const folder of folders) {
      mkdirSync(folder, { recursive: true });
      for (const name of [LEFT, BEING_WRITTEN, "film.part"]) writeFileSync(join(folder, name), "{");
      for (const name of [LEFT, "film.part"]) utimesSync(join(folder, name), HOURS_AGO, HOURS_AGO);
    }
    await bob.runs(["pickup"]);
    await bob.runs(["send", bob.key, "hello", ...at(relay())]);
    await bob.runs(["keys", "new", "--key", key]);
    for (const folder of folders) {
      const parts = readdirSync(folder).filter((name) => name.endsWith(".part"));
      expect({ folder, parts: parts.sort() }).toEqual({
        folder,
        parts: [BEING_WRITTEN, "film.part"],
      });
    }
  });
});

/** Runs a command that may write no byte to any file, as where a disk is full. */
function runsOnFullDisk({ home }: Pick<Keyholder, "home">, args: readonly string[]): Ran {
  const { command, env } = commandLine(args);
  const { status, stdout, stderr } = spawnSync(
    "sh",
    ["-c", 'ulimit -f 0; exec "$@"', "sh", ...command],
    { env: { ...env, DEADDROP_HOME: home, DEADDROP_DISCOVERY: NOWHERE }, encoding: "utf8" },
  );
  return { code: status, out: stdout, err: stderr };
}

describe("on a full disk", () => {
  const SENTENCE = /^deaddrop: .*EFBIG.*\n {2}make room, .*\n$/;

  it("send sends nothing, and says so", async () => {
    const alice = keyholder();
    const bob = person();
    const ran = runsOnFullDisk(alice, ["send", bob.key, "hello", ...at(relay())]);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(SENTENCE);
    expect(ran.err).toContain("it was not sent");
    expect(await boxOf(bob, relay())).toEqual([]);
    expect(readdirSync(join(folderOf(alice), "unsent"))).toEqual([]);
  });

  it("send --retry says what the relays said, and what was not written down", async () => {
    const alice = keyholder();
    const path = await withUnsent(alice);
    const before = readFileSync(path, "utf8");
    const ran = runsOnFullDisk(alice, ["send", "--retry", ...BRIEFLY]);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain(`${NOWHERE}/ unreachable`);
    expect(ran.err).toMatch(
      /^deaddrop: .*EFBIG.*\n {2}.*\ndeaddrop: 0 of 1 relays hold the message/,
    );
    expect(readFileSync(path, "utf8")).toBe(before);
  });

  it.each([
    ["pickup --ack", "hello"],
    ["ack", ""],
  ])("%s tells no relay what it cannot keep, and says so", async (line, printed) => {
    const bob = keyholder();
    const { id } = await drop(person(), bob, "hello", [relay()]);
    const words = line === "ack" ? ["ack", id] : line.split(" ");
    const ran = runsOnFullDisk(bob, [...words, ...at(relay())]);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(SENTENCE);
    expect(ran.err).toContain("no relay was told");
    expect(ran.out).toContain(printed);
    expect(await boxOf(bob, relay())).toEqual([id]);
  });

  it("watch --ack ends, and says why", async () => {
    const bob = keyholder();
    const { id } = await drop(person(), bob, "hello", [relay()]);
    const ran = runsOnFullDisk(bob, ["watch", "--ack", ...at(relay())]);
    expect(ran.code).toBe(1);
    expect(ran.out).toContain("hello");
    const [, ...said] = ran.err.split(/^(?=deaddrop: )/m);
    expect(said.join("")).toMatch(SENTENCE);
    expect(await boxOf(bob, relay())).toEqual([id]);
  });

  it("relays set keeps none, publishes none, and says so", () => {
    const bob = keyholder();
    const ran = runsOnFullDisk(bob, ["relays", "set", relay().url]);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(SENTENCE);
    expect(ran.err).toContain("your relays were not kept");
    expect(readdirSync(folderOf(bob))).toEqual([]);
  });

  it.each([["pickup"], ["status"]])("%s goes on, as it keeps nothing", (verb) => {
    const ran = runsOnFullDisk(keyholder(), [verb, "--json", ...at(relay())]);
    expect(ran).toMatchObject({ code: 0, err: "" });
  });
});

/** Runs a command whose output goes where the shell sends it. */
function redirected(
  { home }: Pick<Keyholder, "home">,
  args: readonly string[],
  where: "> /dev/full" | "2> /dev/full",
): Ran {
  const { command, env } = commandLine(args);
  const { status, stdout, stderr } = spawnSync(
    "sh",
    ["-c", `exec "$@" ${where}`, "sh", ...command],
    { env: { ...env, DEADDROP_HOME: home }, encoding: "utf8" },
  );
  return { code: status, out: stdout, err: stderr };
}

describe("what cannot be written to", () => {
  const SENTENCE = /^deaddrop: cannot write to standard output: ENOSPC[^\n]*\n$/;

  it.each([
    [["help"]],
    [["keys", "new"]],
    [["config", "--example"]],
    [["completion", "bash"]],
    [["conformance", "--list"]],
  ])("standard output: one sentence and exit code 1, %j", (args) => {
    const ran = redirected(seat(), args, "> /dev/full");
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(SENTENCE);
  });

  it("standard output, while a pickup acknowledges: nothing is acknowledged", async () => {
    const bob = keyholder();
    const { id } = await drop(person(), bob, "hello", [relay()]);
    const ran = redirected(bob, ["pickup", "--ack", ...at(relay())], "> /dev/full");
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(SENTENCE);
    expect(await boxOf(bob, relay())).toEqual([id]);
  });

  it("standard error: the command does what it does", async () => {
    const bob = keyholder();
    await drop(person(), bob, "hello", [relay()]);
    const args = ["pickup", ...at(relay(), nowhere), ...BRIEFLY];
    const ran = redirected(bob, args, "2> /dev/full");
    expect(ran.out).toContain("hello");
    expect(ran.code).toBe(3);
  });
});
