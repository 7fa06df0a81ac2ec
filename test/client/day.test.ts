// A day of watching at relays that refuse, restart, fall silent, set their clocks and lie: every message is brought once, every cause is told, and the watch
// goes on. The day is drawn from a seed and passes in some seconds.

import { beforeAll, describe, expect, it } from "vitest";

import {
  type AcknowledgementReport,
  type CollectionReport,
  DeadDrop,
  type PickedUp,
  secretSigner,
  type Signer,
} from "../../src/client/client.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { signed } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { finalizeEvent } from "../support/sign.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import {
  DAY,
  dayPlan,
  type DayPlan,
  FAULT_NAMES,
  type FaultWindow,
  wellTimes,
} from "./day-plan.ts";
import { type Harm, networkOf, ScriptedRelay } from "./scripted-relay.ts";
import { randomFrom } from "./support.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const BEGINNING = 1_800_000_000;
const RELAYS = 3;
const MESSAGES = 48;
/** Of these some are there before the watch begins. */
const EARLY_MESSAGES = 10;
/** A message is brought, and a relay read again, so long after the relay is well and has it. */
const PROMPT = 10 * MINUTE;
/** What was refused again and again is tried less and less often. */
const CALM_AFTER = 12 * HOUR;
/** So long after the relay did something a client may still find that it failed. */
const NOTICED = 2 * MINUTE;
const MAX_SOCKETS = 2;
const MAX_TIMERS = 20;
const MARK = /#\w+#/;

type Setting = { readonly seed: string; readonly liar: number; readonly ordinary?: number };

const DAYS: readonly Setting[] = [
  { seed: "day 1", liar: 2 },
  { seed: "day 2", liar: 0, ordinary: 1 },
  { seed: "day 3", liar: 1 },
];

type Message = {
  readonly text: string;
  /** Where and when, seconds of the day, a relay took a wrap of it. */
  readonly copies: { readonly relay: number; readonly at: number; readonly id: string }[];
};
type At<T> = T & { readonly at: number };
type Acknowledgement = {
  readonly id: string;
  reports: readonly AcknowledgementReport[] | undefined;
};

type Day = {
  readonly relays: readonly ScriptedRelay[];
  readonly plan: DayPlan;
  readonly messages: readonly Message[];
  readonly picked: readonly At<{ readonly each: PickedUp }>[];
  readonly reports: readonly At<CollectionReport>[];
  readonly finalReports: readonly CollectionReport[];
  readonly acknowledgements: readonly Acknowledgement[];
  /** The ids that each relay holds at the end. */
  readonly boxes: readonly ReadonlySet<string>[];
  readonly wasWatching: boolean;
  readonly endedWithSignal: boolean;
  readonly openSockets: readonly number[];
  readonly timers: number;
  readonly socketsAfterClose: number;
  readonly timersAfterClose: number;
};

/** Signs as fast as the machine can. */
function quickSigner({ secret }: Person): Signer {
  return {
    ...secretSigner(secret),
    async sign({ kind, created_at, tags, content }) {
      return finalizeEvent(
        { kind, created_at, tags: tags.map((tag) => [...tag]), content },
        secret,
      );
    },
  };
}

async function run(
  { seed, liar, ordinary }: Setting,
  atEnd: (clean: () => void) => void,
): Promise<Day> {
  const random = randomFrom(seed);
  const time = VirtualTime.from(BEGINNING, atEnd);
  const relays = Array.from(
    { length: RELAYS },
    (_, index) =>
      new ScriptedRelay(`relay-${index}.example`, {
        isDeadDrop: index !== ordinary,
        latencySeconds: 0.01 + 0.04 * index,
        ...(index !== ordinary && { pageDrops: 4 }),
      }),
  );
  const network = networkOf(relays);
  const { webSocket } = network;
  const [alice, bob, carol] = [person(), person(), person()];

  const sender = new DeadDrop({
    relays: [],
    keys: [quickSigner(alice)],
    webSocket,
    runtime: { now: time.now, random: randomFrom(`${seed}, sender`) },
  });
  const longAgo = new DeadDrop({
    relays: [],
    keys: [quickSigner(alice)],
    webSocket,
    runtime: { now: () => BEGINNING - 4 * DAY, random: randomFrom(`${seed}, long ago`) },
  });
  const plan = dayPlan(
    random,
    { count: RELAYS, liar },
    {
      foreign: await sender.wrap(carol.key, "for Carol"),
      expired: await longAgo.wrap(bob.key, "expired", { expiresInSeconds: HOUR }),
      note: signed(alice, { kind: 1, content: "public" }),
    },
  );

  const schedule: { at: number; happens: () => void | Promise<void> }[] = [];
  const messages: Message[] = [];
  const publish = (message: Message, relay: number, event: NostrEvent): void => {
    const [isAccepted] = relays[relay]?.publish(event) ?? [];
    if (isAccepted) message.copies.push({ relay, at: time.seconds, id: event.id });
    // Its clock may be off. A sender goes on.
    else setTimeout(() => publish(message, relay, event), PROMPT * 1_000);
  };
  for (let index = 0; index < MESSAGES; index++) {
    const message: Message = { text: `message ${index}`, copies: [] };
    messages.push(message);
    const at = index < EARLY_MESSAGES ? 0 : random() * (DAY - HOUR);
    const honest = [...relays.keys()].filter((relay) => relay !== liar);
    const first = honest[Math.floor(random() * honest.length)] ?? 0;
    const others = [...relays.keys()].filter((relay) => relay !== first && random() < 0.4);
    const isRewrapped = random() < 0.3;
    schedule.push({
      at,
      async happens() {
        const tags = [["p", bob.key]];
        const template = { kind: 14, created_at: time.now(), tags, content: message.text };
        const wrapped = await sender.wrap(bob.key, template);
        publish(message, first, wrapped);
        for (const relay of others) {
          const event = isRewrapped ? await sender.wrap(bob.key, template) : wrapped;
          setTimeout(() => publish(message, relay, event), random() * 5 * MINUTE * 1_000);
        }
      },
    });
  }

  let clockOffset = 0;
  for (const { from, until, offset } of plan.clockJumps) {
    schedule.push({ at: from, happens: () => void (clockOffset = offset) });
    schedule.push({ at: until, happens: () => void (clockOffset = 0) });
    // Or nobody would see that it is wrong.
    schedule.push({ at: from + MINUTE, happens: () => relays[liar === 0 ? 1 : 0]?.restarts() });
  }
  for (const window of plan.windows) {
    const relay = relays[window.relay];
    if (relay === undefined) continue;
    const { fault, from, until } = window;
    schedule.push({ at: from, happens: () => begin(relay, fault) });
    const { restartsEverySeconds = Infinity } = fault;
    for (let at = from + restartsEverySeconds; at < until; at += restartsEverySeconds) {
      schedule.push({ at, happens: () => relay.restarts() });
    }
    schedule.push({
      at: until,
      happens() {
        relay.behaves({});
        relay.setsClock(0);
      },
    });
  }

  const recipient = new DeadDrop({
    relays: relays.map(({ url }) => url),
    keys: [quickSigner(bob)],
    ...network,
    runtime: { now: () => time.now() + clockOffset, random: randomFrom(`${seed}, recipient`) },
  });
  const stopping = new AbortController();
  const reports: At<CollectionReport>[] = [];
  const watch = recipient.watch({
    signal: stopping.signal,
    progress: (report) => reports.push({ ...report, at: time.seconds }),
  });
  const picked: At<{ each: PickedUp }>[] = [];
  const acknowledgements: Acknowledgement[] = [];
  const acknowledge = async (id: string): Promise<void> => {
    const acknowledgement: Acknowledgement = { id, reports: undefined };
    acknowledgements.push(acknowledgement);
    const options = random() < 0.2 ? { graceSeconds: 2 * HOUR } : {};
    acknowledgement.reports = await recipient.acknowledge([id], options);
  };
  let isOver = false;
  void (async () => {
    for await (const each of watch) {
      picked.push({ each, at: time.seconds });
      const wait = random() * 2 * HOUR;
      if (random() < 0.8) setTimeout(() => void acknowledge(each.id), wait * 1_000);
    }
    isOver = true;
  })();

  for (const { at, happens } of schedule.toSorted((a, b) => a.at - b.at)) {
    if (at > time.seconds) await time.passes(at - time.seconds);
    await happens();
  }
  await time.passes(DAY - time.seconds);
  await time.passes(CALM_AFTER);

  const wasWatching = !isOver;
  const openSockets = relays.map((relay) => network.openSockets(relay));
  const timers = time.timers;
  const finalReports = watch.reports;
  stopping.abort();
  await time.passes(1);
  const endedWithSignal = isOver;
  recipient.close();
  sender.close();
  longAgo.close();
  // Sockets take their time to close.
  await time.passes(2 * MINUTE);
  return {
    relays,
    plan,
    messages,
    picked,
    reports,
    finalReports,
    acknowledgements,
    boxes: relays.map((relay) => new Set(relay.box(bob).map(({ id }) => id))),
    wasWatching,
    endedWithSignal,
    openSockets,
    timers,
    socketsAfterClose: relays.reduce((sum, relay) => sum + network.openSockets(relay), 0),
    timersAfterClose: time.timers,
  };
}

function begin(
  relay: ScriptedRelay,
  { conduct, begins, clockOffset = 0 }: FaultWindow["fault"],
): void {
  relay.behaves(conduct);
  relay.setsClock(clockOffset);
  if (begins === "restart") relay.restarts();
  if (begins === "closed") relay.closesSubscriptions();
}

/** Whether this is what a report says of it. */
function isTold(reason: string, words: string | undefined): boolean {
  return words === undefined ? reason !== "" && !MARK.test(reason) : reason.includes(words);
}

function textOf(each: PickedUp): string {
  return each.type === "message" ? each.message.content : `${each.type} ${JSON.stringify(each)}`;
}

const plans: DayPlan[] = [];

describe.each(DAYS)("a watch of $seed, with a liar at $liar", (setting) => {
  let day: Day;
  beforeAll(async () => {
    const cleaning: (() => void)[] = [];
    day = await run(setting, (clean) => cleaning.push(clean));
    for (const clean of cleaning.toReversed()) clean();
    plans.push(day.plan);
  });

  const reportsOf = (relay: number): readonly At<CollectionReport>[] =>
    day.reports.filter(({ url }) => url === day.relays[relay]?.url);

  it("brings every message once, and nothing else", () => {
    const brought = day.picked.map(({ each }) => textOf(each)).sort();
    expect(brought).toEqual(day.messages.map(({ text }) => text).sort());
  });

  it("brings each within ten minutes after an honest relay that has it is well", () => {
    const times = day.relays.map((_, relay) => wellTimes(day.plan, relay, DAY + CALM_AFTER));
    const late = day.messages.flatMap(({ text, copies }) => {
      const due = copies
        .filter(({ relay }) => relay !== setting.liar)
        .flatMap(({ relay, at }) =>
          (times[relay] ?? []).map(({ from, until }) => [Math.max(from, at) + PROMPT, until]),
        )
        .flatMap(([due = 0, until = 0]) => (due <= until ? [due] : []));
      const before = Math.min(...due);
      const at = day.picked.find(({ each }) => textOf(each) === text)?.at ?? Infinity;
      return at <= before ? [] : [{ text, before, at, copies }];
    });
    expect(late).toEqual([]);
  });

  it("tells why a relay cannot be read, in the words that came first", () => {
    const untold = day.plan.windows.flatMap(({ relay, from, until, fault }) => {
      const { name, isUnreadable, words } = fault;
      const isHarmed = day.relays[relay]?.harms.some(
        ({ at }) => at - BEGINNING >= from && at - BEGINNING < until - NOTICED,
      );
      if (!isUnreadable || isHarmed !== true || until - from < 5 * MINUTE) return [];
      const told = reportsOf(relay).filter(
        ({ at, state }) => state === "failed" && at >= from && at <= until + MINUTE,
      );
      if (told.some(({ reason }) => isTold(reason, words))) return [];
      return [{ relay, from, until, name, words, told: told.map(({ reason }) => reason) }];
    });
    expect(untold).toEqual([]);
  });

  it("never says that a relay failed for what it did not do", () => {
    expect(day.reports.length).toBeGreaterThan(RELAYS);
    const wrong = day.relays.flatMap(({ harms }, relay) =>
      reportsOf(relay).filter(({ at, state, reason }) => {
        if (state !== "failed") return false;
        const before = (harm: Harm): boolean => {
          const age = at - (harm.at - BEGINNING);
          return age >= 0 && age <= NOTICED;
        };
        return !harms.some((harm) => before(harm) && isTold(reason, harm.words));
      }),
    );
    expect(wrong).toEqual([]);
  });

  it("says that a relay is read to its end again when it is well", () => {
    const wrong = day.relays.flatMap((_, relay) =>
      wellTimes(day.plan, relay, DAY + CALM_AFTER).flatMap(({ from, until }) => {
        if (until - from < PROMPT) return [];
        return [from + PROMPT, until].flatMap((time) => {
          const last = reportsOf(relay).findLast(
            ({ at, state }) => at < time && state !== "reading",
          );
          return last?.state === "complete" ? [] : [{ relay, from, time, last }];
        });
      }),
    );
    expect(wrong).toEqual([]);
    expect(day.finalReports.map(({ state }) => state)).toEqual([
      "complete",
      "complete",
      "complete",
    ]);
  });

  it("tells of changes alone", () => {
    expect(day.reports.length).toBeGreaterThan(RELAYS);
    const repeated = day.relays.flatMap((_, relay) => {
      const reports = reportsOf(relay);
      return reports.filter(({ state, reason }, index) => {
        const before = reports[index - 1];
        return before?.state === state && before.reason === reason;
      });
    });
    expect(repeated).toEqual([]);
  });

  it("has every dead drop told of every acknowledgement, and no other relay", () => {
    const ids = day.acknowledgements.map(({ id }) => id);
    expect(ids.length).toBeGreaterThan(MESSAGES / 2);
    const untold = day.relays.flatMap((relay, index) =>
      index === setting.ordinary
        ? relay.acknowledgements.map(({ event }) => `an ordinary relay got ${event.id}`)
        : ids.filter((id) => !relay.acknowledged.has(id)).map((id) => `${relay.url} lacks ${id}`),
    );
    expect(untold).toEqual([]);
  });

  it("says that an acknowledgement is done only where it is, and why it is not", () => {
    const wrong = day.acknowledgements.flatMap(({ id, reports }) => {
      if (reports === undefined) return [`${id} never settled`];
      if (reports.length !== RELAYS) return [`${id}: ${reports.length} reports`];
      return reports.flatMap(({ url, state, reason }) => {
        const relay = day.relays.find((relay) => relay.url === url);
        const isKept = url === day.relays[setting.ordinary ?? -1]?.url;
        if (state === "done") return relay?.acknowledged.has(id) ? [] : [`${id} not at ${url}`];
        const expected = isKept ? ["kept", "later"] : ["later"];
        return expected.includes(state) && reason !== "" ? [] : [`${id}: ${state} ${reason}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  it("leaves no copy of an acknowledged message in an honest dead drop", () => {
    const acknowledged = new Set(day.acknowledgements.map(({ id }) => id));
    const texts = day.picked.flatMap(({ each }) =>
      acknowledged.has(each.id) ? [textOf(each)] : [],
    );
    const left = day.boxes.flatMap((ids, relay) =>
      relay === setting.ordinary || relay === setting.liar
        ? []
        : day.messages
            .filter(
              ({ text, copies }) => texts.includes(text) && copies.some(({ id }) => ids.has(id)),
            )
            .map(({ text }) => `${text} at relay ${relay}`),
    );
    expect(left).toEqual([]);
  });

  it("goes on until it is stopped, and leaves nothing behind", () => {
    expect(day.wasWatching).toBe(true);
    for (const open of day.openSockets) expect(open).toBeLessThanOrEqual(MAX_SOCKETS);
    expect(day.timers).toBeLessThanOrEqual(MAX_TIMERS);
    expect(day.endedWithSignal).toBe(true);
    expect(day.socketsAfterClose).toBe(0);
    expect(day.timersAfterClose).toBe(0);
  });
});

describe("these days", () => {
  it("have every kind of fault, at more than one relay", () => {
    const relaysOf = new Map<string, Set<number>>();
    for (const { relay, fault } of plans.flatMap(({ windows }) => windows)) {
      relaysOf.set(fault.name, (relaysOf.get(fault.name) ?? new Set()).add(relay));
    }
    const rare = [...FAULT_NAMES].filter((name) => (relaysOf.get(name)?.size ?? 0) < 2);
    expect(rare).toEqual([]);
  });
});
