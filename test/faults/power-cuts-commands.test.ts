// What a power cut leaves of a backup that is being made, and of a store that is being made smaller or repaired.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { repairStore } from "../../src/store/repair.ts";
import { restore } from "../../src/store/restore.ts";
import { Client, now } from "../support/client.ts";
import { acknowledgement } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { preloadable } from "../support/preload.ts";
import { startRelay } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";
import { openStoreFile } from "../support/store-file.ts";
import { budget, record, SEED } from "./budget.ts";
import { CutDisk, survival } from "./cut-disk.ts";
import { StoreLooker, wrongs } from "./cut-looks.ts";
import { recordedCommand, type RecordedCommand } from "./recorded-command.ts";
import type { Expected } from "./recorded-mail.ts";
import { Chance } from "./seeded.ts";

const LIBRARY = preloadable("recorded-writes", import.meta.url);

const DROPS = 60;
const CUTS = budget({ short: 60, long: 1_500 });
// On a busy machine.
const TIMEOUT_MS = budget({ short: 240_000, long: 7_200_000 });
const MOST_FOUND = 10;
// Without waiting for a disk, where the system has one in memory.
const FAST = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

function idsOf(events: readonly NostrEvent[]): Set<string> {
  return new Set(events.map(({ id }) => id));
}

type Filled = {
  readonly data: string;
  readonly bob: Person;
  readonly expected: Expected;
};

/** A store that holds some drops for Bob, and remembers others that he has acknowledged. */
async function filled(): Promise<Filled> {
  const relay = await startRelay();
  const [alice, bob] = [person(), person()];
  const client = await Client.connect(relay.url);
  const known: NostrEvent[] = Array.from({ length: DROPS }, (_, n) =>
    finalizeEvent(
      {
        kind: 1059,
        created_at: now(),
        tags: [["p", bob.key]],
        content: `ciphertext ${n} `.padEnd(1_500, "x"),
      },
      alice.secret,
    ),
  );
  for (const drop of known) await client.publish(drop);
  const [gone, held] = [known.slice(0, DROPS / 2), known.slice(DROPS / 2)];
  await client.publish(acknowledgement(bob, gone));
  expect(await relay.stop()).toBe(0);
  const expected = {
    held: idsOf(held),
    gone: idsOf(gone),
    known,
    early: [],
    undecided: new Set<string>(),
  };
  return { data: relay.data, bob, expected };
}

/** Cuts the power at as many moments of a command, the last one after its end, and answers what `judge` finds in what is left. */
async function cut(
  { log, from }: RecordedCommand,
  part: string,
  judge: (left: string, isOver: boolean) => Promise<string | undefined>,
): Promise<string[]> {
  const chance = new Chance(SEED);
  const moments = Array.from({ length: CUTS }, () => chance.between(from, log.records.length));
  const found: string[] = [];
  const disk = new CutDisk();
  for (const [number, at] of [...moments, log.records.length].sort((a, b) => a - b).entries()) {
    for (const each of log.records.slice(disk.records, at)) disk.take(each);
    const own = new Chance(SEED + number);
    const left = mkdtempSync(join(FAST, "deaddrop-cut-"));
    onTestFinished(() => rmSync(left, { recursive: true, force: true }));
    disk.cut(left, survival(own), own);
    const wrong = await judge(left, at === log.records.length);
    rmSync(left, { recursive: true });
    if (wrong !== undefined) found.push(`seed ${SEED}, after record ${at}: ${wrong}`);
    if (found.length === MOST_FOUND) break;
  }
  record(`power-cuts-${part}`, { records: log.records.length - from, cuts: CUTS + 1, found });
  return found;
}

/** Answers what is wrong with the store in a folder. */
function lookingAt({ bob, expected }: Filled): (folder: string) => Promise<string | undefined> {
  const looker = new StoreLooker();
  onTestFinished(() => looker.close());
  const { known } = expected;
  return async (folder) => {
    const answer = await looker.look({ folder, boxes: [bob.key], again: known });
    return "refused" in answer ? answer.refused : wrongs(expected, known, answer)[0];
  };
}

describe("a power cut", () => {
  beforeAll(() => {
    if (LIBRARY === undefined && process.env["CI"] !== undefined) {
      throw new Error("the writes cannot be recorded: it needs Linux and a C compiler");
    }
  });

  it(
    "in a backup leaves one that restore refuses, or that is whole; after its end it is whole",
    async ({ skip }) => {
      if (LIBRARY === undefined) skip("recording writes needs Linux and a C compiler");
      const store = await filled();
      const look = lookingAt(store);
      const recorded = await recordedCommand(LIBRARY ?? "", store.data, (root) => [
        "backup",
        join(root, "backup"),
      ]);
      const outcomes = { refused: 0, whole: 0 };
      const found = await cut(recorded, "backup", async (left, isOver) => {
        const data = join(left, "restored");
        try {
          await restore(join(left, "backup"), data, { secret: "", tombstonesOnly: false });
        } catch (error) {
          outcomes.refused += 1;
          const { message } = error as Error;
          const isSaid = /^there is no whole backup in .* is missing$/.test(message);
          return isSaid && !isOver && !existsSync(join(data, "data.mdb")) ? undefined : message;
        }
        outcomes.whole += 1;
        return look(data);
      });
      expect(found).toEqual([]);
      expect(outcomes.refused).toBeGreaterThan(0);
      expect(outcomes.whole).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    "while a store is made smaller leaves one that is whole",
    async ({ skip }) => {
      if (LIBRARY === undefined) skip("recording writes needs Linux and a C compiler");
      const store = await filled();
      const look = lookingAt(store);
      const recorded = await recordedCommand(LIBRARY ?? "", store.data, () => ["compact"]);
      const found = await cut(recorded, "compact", (left) => look(join(left, "data")));
      expect(found).toEqual([]);
    },
    TIMEOUT_MS,
  );

  it(
    "in a repair leaves a store that can be repaired",
    async ({ skip }) => {
      if (LIBRARY === undefined) skip("recording writes needs Linux and a C compiler");
      const store = await filled();
      // So that all of it is settled.
      expect(await (await startRelay({ data: store.data })).stop()).toBe(0);
      const file = openStoreFile(store.data);
      file.databases.boxes.clearSync();
      file.databases.expiries.clearSync();
      await file.close();
      const look = lookingAt(store);
      const recorded = await recordedCommand(LIBRARY ?? "", store.data, () => [
        "verify-store",
        "--repair",
      ]);
      const found = await cut(recorded, "repair", async (left, isOver) => {
        const data = join(left, "data");
        const { found: places } = await repairStore(data, "", now());
        if (isOver && places > 0) return `${places} places were not put right`;
        return look(data);
      });
      expect(found).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
