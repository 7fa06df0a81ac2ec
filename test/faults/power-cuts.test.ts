// What OK promises, when the power fails at any moment. What a relay writes is recorded, and the folder made anew as a disk may show it after a cut there.

import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";

import type { NostrEvent } from "nostr-tools";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";

import { askToConfirm } from "../../src/server/confirmation.ts";
import { before, DROPS } from "../store/format-2.ts";
import { now } from "../support/client.ts";
import { preloadable } from "../support/preload.ts";
import { OVERTAKING, startRelay, temporaryFolder } from "../support/relay.ts";
import { budget, record, SEED } from "./budget.ts";
import { CutDisk, survival } from "./cut-disk.ts";
import { lookByRelay, StoreLooker, wrongs } from "./cut-looks.ts";
import { type Expected, RecordedMail } from "./recorded-mail.ts";
import { recordedStore, recording, unrecorded } from "./recorded-command.ts";
import { type Log, readLog, recordsUpTo } from "./recorded-writes.ts";
import { Chance } from "./seeded.ts";

const LIBRARY = preloadable("recorded-writes", import.meta.url);

const RUNS = budget({ short: 1, long: 10 });
const CUTS_A_RECORD = budget({ short: 1, long: 20 });
const CUTS_A_RUN = budget({ short: 60, long: 150 });
// On a busy machine.
const TIMEOUT_MS = budget({ short: 180_000, long: 7_200_000 });
// Of them, which are looked at through a relay. The others are through the store's functions.
const RELAY_SHARE = 0.1;
const ANSWERS_A_LIFE = 250;
// Long enough that the relay sweeps now and then.
const LIFE_MS = 1_500;
const LIVES = 3;
const MOST_FOUND = 10;

// Without waiting for a disk, where the system has one in memory.
const FAST = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

type Moment = "start" | "life" | "sweep" | "stop";

/** A relay's lives in one folder, recorded. */
type Recording = {
  readonly log: Log;
  readonly mail: RecordedMail;
  /** Between how many records and how many which of it happened. */
  readonly spans: readonly {
    readonly moment: Moment;
    readonly from: number;
    readonly to: number;
  }[];
};

async function recorded(chance: Chance): Promise<Recording> {
  const [root, logs] = [temporaryFolder(), temporaryFolder()];
  const file = join(logs, "log");
  const data = join(root, "data");
  const mail = new RecordedMail(file, chance);
  const env = {
    ...OVERTAKING,
    // Who names another build says how many.
    ...(process.env["DEADDROP_TEST_BIN"] === undefined && {
      DEADDROP_WORKERS: chance.of(["1", "1", "2"]),
    }),
    ...recording(LIBRARY ?? "", file, root),
    RECORDED_FLUSH_MICROSECONDS: chance.of(["0", "3000"]),
    DEADDROP_SWEEP_SECONDS: "1s",
    DEADDROP_LIMITS_DISK_RESERVE_BYTES: "0",
  };
  const marks: [Moment, number][] = [];
  const mark = (moment: Moment): void => {
    marks.push([moment, existsSync(file) ? statSync(file).size : 0]);
  };
  for (let life = 1; life <= LIVES; life += 1) {
    mark("start");
    const relay = await startRelay({ data, env });
    mark("life");
    // So that what is past is deleted.
    askToConfirm(data, now());
    await mail.storm(relay.url, ANSWERS_A_LIFE, LIFE_MS);
    mark("sweep");
    await sweptAlone(file);
    mark("stop");
    expect(await relay.stop()).toBe(0);
  }
  const log = readLog(file);
  expect(unrecorded(log, root)).toEqual([]);
  const ends = [...marks.slice(1).map(([, bytes]) => bytes), statSync(file).size];
  const spans = marks.map(([moment, bytes], at) => ({
    moment,
    from: recordsUpTo(log, bytes),
    to: recordsUpTo(log, ends[at]!),
  }));
  return { log, mail, spans };
}

/** A start that converts a store, recorded, and the number of records by which the store to convert was there. */
async function recordedConversion(): Promise<{ readonly log: Log; readonly from: number }> {
  const { root, data, log: file, from } = recordedStore(LIBRARY ?? "", before());
  const relay = await startRelay({
    data,
    env: { ...recording(LIBRARY ?? "", file, root), DEADDROP_LIMITS_DISK_RESERVE_BYTES: "0" },
  });
  expect(await relay.stop()).toBe(0);
  const log = readLog(file);
  expect(unrecorded(log, root)).toEqual([]);
  return { log, from };
}

/** Resolves when more was written, though nobody asks for anything: it is what a sweep does. */
async function sweptAlone(log: string): Promise<void> {
  const before = statSync(log).size;
  for (let last = before; ;) {
    await after(50);
    const { size } = statSync(log);
    if (size > before && size === last) return;
    last = size;
  }
}

type Cut = { readonly at: number; readonly moment: Moment };

/** As many moments, in their order: more in what is short, and many right after something was said. */
function cutsOf({ log, spans }: Recording, chance: Chance): Cut[] {
  const said = [...new Set(log.answers.values())];
  const cuts = Array.from({ length: CUTS_A_RUN }, (): Cut => {
    if (chance.is(0.3)) return { at: chance.of(said) + 1, moment: "life" };
    const moment = chance.of<Moment>(["start", "start", "life", "life", "sweep", "stop"]);
    const those = spans.filter((span) => span.moment === moment);
    // The first start is another thing than all others.
    const { from, to } = moment === "start" && chance.is(0.5) ? those[0]! : chance.of(those);
    return { at: chance.between(from, to), moment };
  });
  return cuts.sort((one, other) => one.at - other.at);
}

// Of what is known, so many are published again: all would take longer than all the rest.
const MOST_AGAIN = 60;

/** Some of it, what is acknowledged before all. */
function someOf({ known, early, gone }: Expected, chance: Chance): NostrEvent[] {
  const rank = new Map(
    known.map((event) => [event, (gone.has(event.id) ? 0 : 1) + chance.between(0, 99) / 100]),
  );
  const first = known.toSorted((one, other) => (rank.get(one) ?? 0) - (rank.get(other) ?? 0));
  return [...early, ...first].slice(0, MOST_AGAIN);
}

type Figures = Record<Moment | "cuts" | "relays" | "records" | "answers" | "held" | "gone", number>;

const NONE: Figures = {
  cuts: 0,
  start: 0,
  life: 0,
  sweep: 0,
  stop: 0,
  relays: 0,
  records: 0,
  answers: 0,
  held: 0,
  gone: 0,
};

/** Cuts the power at many moments, and answers what was found that must not be. */
async function cutsOff(
  recording: Recording,
  seed: number,
  looker: StoreLooker,
  figures: Figures,
): Promise<string[]> {
  const { log, mail } = recording;
  const found: string[] = [];
  const disk = new CutDisk();
  for (const [number, { at, moment }] of cutsOf(recording, new Chance(seed)).entries()) {
    for (const each of log.records.slice(disk.records, at)) disk.take(each);
    const chance = new Chance(seed * CUTS_A_RUN + number);
    const left = mkdtempSync(join(FAST, "deaddrop-cut-"));
    onTestFinished(() => rmSync(left, { recursive: true, force: true }));
    disk.cut(left, survival(chance), chance);
    const expected = mail.expected(log, at, now());
    const again = someOf(expected, chance);
    const boxes = mail.people.map(({ key }) => key);
    const look = { folder: join(left, "data"), boxes, again };
    const isRelay = chance.is(RELAY_SHARE);
    const answer = await (isRelay ? lookByRelay(mail.people, look) : looker.look(look));
    const wrong = "refused" in answer ? [answer.refused] : wrongs(expected, again, answer);
    rmSync(left, { recursive: true });
    figures.cuts += 1;
    figures[moment] += 1;
    figures.relays += isRelay ? 1 : 0;
    figures.held += expected.held.size;
    figures.gone += expected.gone.size;
    if (wrong.length === 0) continue;
    const some = wrong.slice(0, 3).join("; ");
    found.push(`seed ${seed}, cut ${number} after record ${at} (${moment}): ${some}`);
    if (found.length === MOST_FOUND) break;
  }
  figures.records += log.records.length;
  figures.answers += log.answers.size;
  return found;
}

describe("a power cut", () => {
  beforeAll(() => {
    if (LIBRARY === undefined && process.env["CI"] !== undefined) {
      throw new Error("the writes cannot be recorded: it needs Linux and a C compiler");
    }
  });

  it(
    "takes back nothing that was answered OK, whenever it comes and whatever of the rest is on the disk",
    async ({ skip }) => {
      if (LIBRARY === undefined) skip("recording writes needs Linux and a C compiler");
      const begun = performance.now();
      const looker = new StoreLooker();
      onTestFinished(() => looker.close());
      const figures = { ...NONE };
      const found: string[] = [];
      for (let run = 0; run < RUNS && found.length === 0; run += 1) {
        const recording = await recorded(new Chance(SEED + run));
        expect(recording.mail.refusals).toEqual([]);
        found.push(...(await cutsOff(recording, SEED + run, looker, figures)));
      }
      const seconds = Math.round((performance.now() - begun) / 1_000);
      record("power-cuts", { runs: RUNS, ...figures, wrong: found.length, seconds });
      expect(found).toEqual([]);
      expect(figures.held).toBeGreaterThan(0);
      expect(figures.gone).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    "in the conversion of a store of an earlier format leaves what was held and what was known",
    async ({ skip }) => {
      if (LIBRARY === undefined) skip("recording writes needs Linux and a C compiler");
      const looker = new StoreLooker();
      onTestFinished(() => looker.close());
      const { log, from } = await recordedConversion();
      const events = Object.values(DROPS).map(({ json }) => JSON.parse(json) as NostrEvent);
      const gone = new Set([DROPS.acknowledged.id, DROPS.vanished.id]);
      const held = new Set(events.map(({ id }) => id).filter((id) => !gone.has(id)));
      const expected = { held, gone, known: events, early: [], undecided: new Set<string>() };
      const boxes = [...new Set(Object.values(DROPS).map(({ recipient }) => recipient))];
      const found: string[] = [];
      const disk = new CutDisk();
      for (const each of log.records.slice(0, from)) disk.take(each);
      // After each record, and so often anew.
      for (let at = from; at <= log.records.length && found.length < MOST_FOUND; at += 1) {
        for (let again = 0; again < CUTS_A_RECORD; again += 1) {
          const seed = SEED + at * CUTS_A_RECORD + again;
          const chance = new Chance(seed);
          const left = mkdtempSync(join(FAST, "deaddrop-cut-"));
          onTestFinished(() => rmSync(left, { recursive: true, force: true }));
          disk.cut(left, survival(chance), chance);
          const look = { folder: join(left, "data"), boxes, again: events, isForged: true };
          const answer = await looker.look(look);
          const wrong = "refused" in answer ? [answer.refused] : wrongs(expected, events, answer);
          rmSync(left, { recursive: true });
          if (wrong.length > 0) found.push(`seed ${seed}, after record ${at}: ${wrong[0]}`);
        }
        if (at < log.records.length) disk.take(log.records[at]!);
      }
      const cuts = (log.records.length - from + 1) * CUTS_A_RECORD;
      record("power-cuts-conversion", { records: log.records.length - from, cuts, found });
      expect(found).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
