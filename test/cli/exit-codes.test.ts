// What each command's help says of its exit codes, and that it is so.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { COMMANDS } from "../../src/cli/commands.ts";
import { conformanceHelp } from "../../src/conformance/help.ts";
import { appears } from "../support/appears.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { startRelay, sharedRelay, temporaryFolder } from "../support/relay.ts";
import { atEnd, type Circumstances, start } from "./process.ts";
import { at, BRIEFLY, directory, keyholder, NOWHERE, seat, silent } from "./support.ts";

const COLUMNS = 80;
const HEX = "ab".repeat(32);

const relay = sharedRelay();
const nowhere = { url: NOWHERE };

type Scenes = Readonly<Record<string, () => Promise<number | null>>>;

/** The exit code of a command of somebody who has a key, and no relays yet. */
async function codeOf(
  args: readonly string[],
  circumstances?: Circumstances,
): Promise<number | null> {
  return (await keyholder().runs(args, circumstances)).code;
}

async function withoutKey(args: readonly string[]): Promise<number | null> {
  return (await seat().runs(args)).code;
}

/** The codes of a command that is told its relays: all there, one of two, none. */
function atRelays(args: readonly string[]): Scenes {
  return {
    0: () => codeOf([...args, ...at(relay())]),
    1: () => codeOf([...args, ...at(nowhere), ...BRIEFLY]),
    3: () => codeOf([...args, ...at(relay(), nowhere), ...BRIEFLY]),
  };
}

/** The code of a command that is interrupted while it waits for a relay. */
async function interruptedAt(args: readonly string[]): Promise<number | null> {
  const relay = await silent();
  const waiting = keyholder().starts([...args, ...at(relay)]);
  await relay.reached;
  return (await waiting.interrupt()).code;
}

async function opens(...lines: readonly string[]): Promise<number | null> {
  const bob = keyholder();
  const { out } = await bob.runs(["send", bob.npub, "hello", "--print"]);
  const input = lines.map((line) => line.replace("<drop>", out.trim())).join("\n");
  return (await bob.runs(["open"], { input })).code;
}

async function publishesAt(...discovery: readonly string[]): Promise<number | null> {
  const options = discovery.flatMap((url) => ["--discovery", url]);
  const bob = keyholder({ relays: [nowhere] });
  return (await bob.runs(["relays", "publish", ...options, ...BRIEFLY])).code;
}

/** Waits for the store's secret when it is interrupted. */
async function interruptedExport(): Promise<number | null> {
  const stopped = await startRelay({}, atEnd);
  await stopped.stop();
  const { data } = stopped;
  const [asked, told] = [
    join(temporaryFolder(atEnd), "asked"),
    join(temporaryFolder(atEnd), "told"),
  ];
  const wait = `touch ${asked}; until [ -e ${told} ]; do sleep 0.05; done; cat ${data}/secret`;
  const env = { DEADDROP_DATA: data, DEADDROP_STORE_SECRET: `command:${wait}` };
  const running = start(["export"], { env });
  await appears(asked);
  const ended = running.interrupt();
  writeFileSync(told, "");
  return (await ended).code;
}

async function imports(...lines: readonly string[]): Promise<number | null> {
  const env = { DEADDROP_DATA: join(temporaryFolder(atEnd), "data") };
  return codeOf(["import"], { env, input: lines.join("\n") });
}

/** Waits for more when it is interrupted. */
async function interruptedImport(): Promise<number | null> {
  const data = temporaryFolder(atEnd);
  const env = { DEADDROP_DATA: data };
  const running = start(["import"], { env, input: `${wrap()}\n`, openInput: true });
  await appears(join(data, "data.mdb"));
  return (await running.interrupt()).code;
}

const wrap = (): string => JSON.stringify(giftWrap({ to: person() }));

const SCENES: Readonly<Record<string, Scenes>> = {
  serve: {
    0: async () => (await startRelay({}, atEnd)).stop(),
    1: () => codeOf(["serve"], { env: { DEADDROP_DATA: "/dev/null" } }),
    2: () => codeOf(["serve"], { env: { DEADDROP_RETENTION: "30" } }),
  },
  config: { 0: () => codeOf(["config"]), 2: () => codeOf(["config", "forge"]) },
  info: {
    0: () => codeOf(["info", relay().url]),
    1: () => codeOf(["info", NOWHERE]),
    2: () => codeOf(["info", "nonsense"]),
  },
  admin: {
    async 0() {
      const admin = keyholder();
      const steered = await startRelay({ env: { DEADDROP_ADMINS: admin.npub } }, atEnd);
      return (await admin.runs(["admin", "stats", ...at(steered)])).code;
    },
    1: () => codeOf(["admin", "stats", ...at(relay())]),
    2: () => codeOf(["admin", "forge", ...at(relay())]),
  },
  clock: {
    0: () => codeOf(["clock", "confirm"], { env: { DEADDROP_DATA: relay().data } }),
    1: () => codeOf(["clock", "confirm"], { env: { DEADDROP_DATA: "/dev/null" } }),
    2: () => codeOf(["clock"]),
  },
  "verify-store": {
    async 0() {
      const stopped = await startRelay({}, atEnd);
      await stopped.stop();
      return codeOf(["verify-store"], { env: { DEADDROP_DATA: stopped.data } });
    },
    1: () => codeOf(["verify-store"], { env: { DEADDROP_DATA: relay().data } }),
    2: () => codeOf(["verify-store", "now"]),
  },
  stats: {
    0: () => codeOf(["stats"], { env: { DEADDROP_DATA: relay().data } }),
    1: () => codeOf(["stats"], { env: { DEADDROP_DATA: temporaryFolder(atEnd) } }),
    2: () => codeOf(["stats", "now"]),
  },
  compact: {
    async 0() {
      const stopped = await startRelay({}, atEnd);
      await stopped.stop();
      return codeOf(["compact"], { env: { DEADDROP_DATA: stopped.data } });
    },
    1: () => codeOf(["compact"], { env: { DEADDROP_DATA: relay().data } }),
    2: () => codeOf(["compact", "now"]),
  },
  export: {
    0: () => codeOf(["export"], { env: { DEADDROP_DATA: relay().data } }),
    1: () => codeOf(["export"], { env: { DEADDROP_DATA: temporaryFolder(atEnd) } }),
    2: () => codeOf(["export", "--after", "all"]),
    130: () => interruptedExport(),
  },
  import: {
    0: () => imports(wrap()),
    1: () => imports("nonsense"),
    2: () => codeOf(["import", "--resume"]),
    3: () => imports(wrap(), "nonsense"),
    130: () => interruptedImport(),
  },
  backup: {
    0: () => backsUp(relay().data, join(temporaryFolder(atEnd), "backup")),
    1: () => backsUp(temporaryFolder(atEnd), temporaryFolder(atEnd)),
    2: () => codeOf(["backup"]),
  },
  restore: {
    async 0() {
      const folder = temporaryFolder(atEnd);
      await backsUp(relay().data, folder);
      const env = { DEADDROP_DATA: join(temporaryFolder(atEnd), "data") };
      return codeOf(["restore", folder], { env });
    },
    1: () => codeOf(["restore", temporaryFolder(atEnd)], { env: { DEADDROP_DATA: relay().data } }),
    2: () => codeOf(["restore"]),
  },
  conformance: {
    0: () => codeOf(["conformance", relay().url, "--only", "information"]),
    1: async () => codeOf(["conformance", (await directory()).url, "--only", "basics/ok"]),
    2: () => codeOf(["conformance", NOWHERE]),
  },
  keys: {
    0: () => codeOf(["keys", "show"]),
    1: () => withoutKey(["keys", "show"]),
    2: () => codeOf(["keys", "forge"]),
  },
  send: {
    ...atRelays(["send", person().key, "hello"]),
    2: () => codeOf(["send"]),
    130: () => interruptedAt(["send", person().key, "hello"]),
  },
  pickup: {
    ...atRelays(["pickup"]),
    2: () => codeOf(["pickup"]),
    130: () => interruptedAt(["pickup"]),
  },
  watch: {
    async 0() {
      const bob = keyholder({ relays: [relay()] });
      await bob.runs(["send", bob.npub, "hello", ...at(relay())]);
      const watching = bob.starts(["watch"]);
      await watching.prints("hello");
      return (await watching.interrupt()).code;
    },
    1: () => withoutKey(["watch"]),
    2: () => codeOf(["watch"]),
  },
  ack: { ...atRelays(["ack", HEX]), 2: () => codeOf(["ack"]) },
  open: {
    0: () => opens("<drop>"),
    1: () => opens("nonsense", "nonsense"),
    2: () => codeOf(["open", "drops.ndjson"]),
    3: () => opens("nonsense", "<drop>"),
  },
  relays: {
    0: async () => (await keyholder({ relays: [relay()] }).runs(["relays"])).code,
    1: () => publishesAt(NOWHERE),
    2: () => codeOf(["relays", "forge"]),
    3: async () => publishesAt((await directory()).url, NOWHERE),
  },
  status: { ...atRelays(["status"]), 2: () => codeOf(["status"]) },
  completion: {
    0: () => codeOf(["completion", "bash"]),
    2: () => codeOf(["completion", "tcsh"]),
  },
};

const backsUp = (data: string, folder: string): Promise<number | null> =>
  codeOf(["backup", folder], { env: { DEADDROP_DATA: data } });

async function helpOf(...topic: readonly string[]): Promise<string> {
  const { code, out, err } = await seat().runs(["help", ...topic]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return out;
}

describe.concurrent("the help of", () => {
  it.each(Object.keys(COMMANDS))("%s says its exit codes", async (command) => {
    const [, told = ""] = /^Exit status: (.*?)\n\n/ms.exec(await helpOf(command)) ?? [];
    const codes = [...told.matchAll(/\b\d+\b/g)].map(([code]) => code);
    expect(codes.sort()).toEqual(Object.keys(SCENES[command] ?? {}).sort());
  });

  it.each(["help", ...Object.keys(COMMANDS)])("%s fits a terminal", async (topic) => {
    const lines = (await helpOf(topic)).split("\n");
    expect(lines.filter((line) => line.length > COLUMNS)).toEqual([]);
  });

  it("the suite alone fits a terminal", () => {
    const lines = conformanceHelp("deaddrop-conformance").split("\n");
    expect(lines.filter((line) => line.length > COLUMNS)).toEqual([]);
  });

  it("what is no command is refused", async () => {
    for (const args of [
      ["help", "forge"],
      ["forge", "--help"],
    ]) {
      const ran = await seat().runs(args);
      expect(ran).toMatchObject({ code: 2, out: "" });
      expect(ran.err).toContain("forge");
    }
  });
});

describe("the example of a configuration", () => {
  it("fits a terminal", async () => {
    const { out } = await seat().runs(["config", "--example"]);
    expect(out.split("\n").filter((line) => line.length > COLUMNS)).toEqual([]);
  });
});

describe.concurrent("the exit code", () => {
  const all = Object.entries(SCENES).flatMap(([command, scenes]) =>
    Object.entries(scenes).map(([code, scene]) => [command, Number(code), scene] as const),
  );

  it.each(all)("of %s is %i", async (_, code, scene) => {
    expect(await scene()).toBe(code);
  });
});
