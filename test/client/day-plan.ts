// What goes wrong in a day, drawn from a seed: for each relay a series of faults with quiet times between, and when the client's own clock is wrong.

import type { NostrEvent } from "../../src/nostr/event.ts";
import { WELL_FORMED } from "../support/events.ts";
import type { Conduct } from "./scripted-relay.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** Nothing goes wrong any more from then on. */
const CALM_FROM = 23 * HOUR;

/** How a relay goes wrong. */
export type Fault = {
  readonly name: string;
  readonly conduct: Conduct;
  /** What is there cannot be read meanwhile, and the client must say why: with these words where there are any. */
  readonly isUnreadable: boolean;
  readonly words?: string;
  /** How it begins: the sockets are lost, the subscriptions are closed, or nobody sees it yet. */
  readonly begins: "restart" | "closed" | "unseen";
  readonly clockOffset?: number;
  /** It restarts again and again. */
  readonly restartsEverySeconds?: number;
};

export type FaultWindow = {
  readonly relay: number;
  /** Seconds since the day began. */
  readonly from: number;
  readonly until: number;
  readonly fault: Fault;
};

export type ClockJump = { readonly from: number; readonly until: number; readonly offset: number };

export type DayPlan = {
  readonly windows: readonly FaultWindow[];
  readonly clockJumps: readonly ClockJump[];
};

/** What a relay may send that nobody should get. */
export type Material = {
  /** A drop for somebody else. */
  readonly foreign: NostrEvent;
  /** A drop of long ago that has expired. */
  readonly expired: NostrEvent;
  /** A public note. */
  readonly note: NostrEvent;
};

/** A fault with a mark in its words that no other has, so that a report can be told from that of another. */
type Cause = (mark: string) => Fault;

/** Everything here is its own: ids and signatures are right no more. */
export const ALTERATIONS: Readonly<Record<string, (event: NostrEvent) => NostrEvent>> = {
  content: (event) => ({ ...event, content: `${event.content.slice(0, -8)}AAAAAAA=` }),
  tags: (event) => ({ ...event, tags: [...event.tags, ["expiration", "1"]] }),
  created_at: (event) => ({ ...event, created_at: event.created_at + 1 }),
  signature: (event) => ({ ...event, sig: "0".repeat(127).concat("1") }),
  pubkey: (event) => ({ ...event, pubkey: event.tags[0]?.[1] ?? "" }),
};

const refused = (name: string, words: string | undefined): Cause => {
  return (mark) => {
    const said = words === undefined ? "" : `${words} ${mark}`;
    return {
      name,
      conduct: { refuses: said },
      isUnreadable: true,
      begins: "restart",
      ...(said !== "" && { words: said }),
    };
  };
};

const closed = (reason: unknown): Cause => {
  return (mark) => {
    const isWord = typeof reason === "string" && reason !== "";
    const said = isWord ? `${reason} ${mark}` : reason;
    return {
      name: `CLOSED ${JSON.stringify(reason)}`,
      conduct: { closes: said },
      isUnreadable: true,
      begins: "closed",
      ...(isWord && { words: said as string }),
    };
  };
};

const authRefused = (reason: string): Cause => {
  return (mark) => {
    const words = `${reason} ${mark}`;
    const conduct = { refusesAuth: words };
    return {
      name: `AUTH refused: ${reason}`,
      conduct,
      isUnreadable: true,
      begins: "restart",
      words,
    };
  };
};

const unreadable = (
  name: string,
  conduct: Conduct,
  begins: Fault["begins"],
  others: Partial<Fault> = {},
): Cause => {
  return () => ({ name, conduct, isUnreadable: true, begins, ...others });
};

const readable = (
  name: string,
  conduct: Conduct,
  begins: Fault["begins"] = "restart",
  others: Partial<Fault> = {},
): Cause => {
  return () => ({ name, conduct, isUnreadable: false, begins, ...others });
};

const acknowledgementsRefused = (reason: string): Cause =>
  readable(
    `acknowledgements refused ${JSON.stringify(reason)}`,
    { refusesAcknowledgement: reason },
    "unseen",
  );

const CLOCK_WORDS = "invalid: created_at is more than 10 minutes from now";

const causes = ({ foreign, expired, note }: Material): readonly Cause[] => [
  refused("connections refused", "connect ECONNREFUSED 192.0.2.1:443"),
  refused("connections refused without a word", undefined),
  refused("too many requests", "Unexpected server response: 429"),
  refused("bad gateway", "Unexpected server response: 502"),
  unreadable("silence on the open socket", { isSilent: true }, "unseen"),
  unreadable("silence from the beginning", { isSilent: true }, "restart"),
  unreadable("cut at AUTH", { cutsAt: "AUTH" }, "restart"),
  unreadable("cut in a page", { cutsAt: "EVENT" }, "restart"),
  readable("cut after EOSE", { cutsAt: "EOSE" }, "restart"),
  readable("restarts", {}, "restart", { restartsEverySeconds: 97 }),
  unreadable("no EOSE", { withholdsEose: true }, "restart"),
  ...[
    "error: could not read the box",
    "rate-limited: slow down",
    "restricted: members only",
    "auth-required: who are you?",
    "blocked: not you",
    "invalid: too many filters",
    "unsupported: no such thing",
    "pow: difficulty 28 needed",
    "shutting down",
    "",
    42,
    null,
    { reason: "error: no" },
  ].map(closed),
  ...[
    "invalid: created_at is too far from now",
    "restricted: not on the list",
    "error: database is locked",
    "rate-limited: too many sign in",
    "blocked: not you",
    "who?",
  ].map(authRefused),
  ...[-5 * HOUR, 3 * HOUR].map((clockOffset) =>
    unreadable("its clock is off", {}, "restart", { clockOffset, words: CLOCK_WORDS }),
  ),
  ...["weird: no", "error: busy", "rate-limited: later", "blocked: you", "invalid: kind", ""].map(
    acknowledgementsRefused,
  ),
  readable("no document", { document: () => new Response("gone", { status: 503 }) }),
  readable("a document that is none", { document: () => new Response("<html>") }),
  readable("notices", {
    injects: () => ['["NOTICE","maintenance at noon"]', '["NOTICE",7]', '["NOTICE"]'],
  }),
  readable("garbage", {
    injects: (subscription) => [
      "no JSON",
      "",
      "[",
      "{}",
      "null",
      "[]",
      '["EVENT"]',
      '["OK"]',
      '["OK",7,"yes",{}]',
      '["AUTH",null]',
      '["EOSE",7]',
      '["COUNT"]',
      JSON.stringify(["EVENT", subscription]),
      JSON.stringify(["EVENT", subscription, null]),
      JSON.stringify(["EVENT", subscription, { ...foreign, tags: "p" }]),
      JSON.stringify(["EVENT", subscription, { ...foreign, created_at: "now" }]),
      JSON.stringify(["EVENT", subscription, { ...foreign, id: 1 }]),
    ],
  }),
  readable("huge messages", {
    injects: (subscription) => [
      JSON.stringify(["EVENT", subscription, { ...foreign, content: "A".repeat(2 ** 20) }]),
      `["NOTICE","${"A".repeat(2 ** 20)}"]`,
    ],
  }),
  readable("events that nobody asked for", {
    injects: (subscription) => [
      JSON.stringify(["EVENT", subscription, note]),
      JSON.stringify(["EVENT", "another", foreign]),
      JSON.stringify(["EVENT", 7, foreign]),
    ],
  }),
  readable("others' drops", { tells: (event) => [foreign, event, foreign] }),
  readable("an expired drop", { tells: (event) => [expired, event] }),
  readable("every drop three times", { tells: (event) => [event, event, event] }),
  readable("a false copy before each drop", {
    tells: (event) => [...Object.values(ALTERATIONS).map((alter) => alter(event)), event],
  }),
];

/** What only one does that is no honest relay. */
const LIES: readonly Cause[] = [
  ...Object.entries(ALTERATIONS).map(([what, alter]) =>
    readable(`false ${what}`, { tells: (event) => [alter(event)] }),
  ),
  readable("drops withheld", { tells: () => [] }),
];

/** What goes wrong, by name; but for lies, which one relay tells alone. */
export const FAULT_NAMES: ReadonlySet<string> = new Set(
  causes({ foreign: WELL_FORMED, expired: WELL_FORMED, note: WELL_FORMED }).map(
    (cause) => cause("").name,
  ),
);

export type Relays = {
  readonly count: number;
  /** The one that lies. */
  readonly liar: number;
};

export function dayPlan(
  random: () => number,
  { count, liar }: Relays,
  material: Material,
): DayPlan {
  const between = (least: number, most: number): number => least + random() * (most - least);
  // Every cause has its turn before one comes again, at whichever relay.
  const deck = deckOf(causes(material), random);
  const lies = deckOf(LIES, random);
  const windows: FaultWindow[] = [];
  for (let relay = 0; relay < count; relay++) {
    for (let from = between(5, 40) * MINUTE; ;) {
      const length = random() < 0.8 ? between(4, 20) : between(30, 150);
      const until = from + length * MINUTE;
      if (until > CALM_FROM) break;
      const cause = relay === liar && random() < 0.4 ? lies() : deck();
      windows.push({ relay, from, until, fault: cause(`#${windows.length}#`) });
      from = until + between(4, 40) * MINUTE;
    }
  }
  const clockJumps = [7, 15].map((hour, index) => {
    const from = hour * HOUR + between(0, 3) * HOUR;
    const offset = (index === 0 ? 1 : -1) * between(2, 9) * HOUR;
    return { from, until: from + between(15, 40) * MINUTE, offset: Math.round(offset) };
  });
  return { windows, clockJumps };
}

/** Draws from a shuffled deck, and shuffles it again when it is used up. */
function deckOf<T>(cards: readonly T[], random: () => number): () => T {
  let left: T[] = [];
  return () => {
    if (left.length === 0) left = [...cards];
    const [card] = left.splice(Math.floor(random() * left.length), 1);
    return card as T;
  };
}

/** When a relay is there and well, and so is the client's clock: stretches of the time up to `end`. */
export function wellTimes(
  plan: DayPlan,
  relay: number,
  end: number,
): { from: number; until: number }[] {
  const bad = [...plan.windows.filter((window) => window.relay === relay), ...plan.clockJumps];
  const times: { from: number; until: number }[] = [];
  let from = 0;
  for (const window of bad.toSorted((a, b) => a.from - b.from)) {
    if (window.from > from) times.push({ from, until: window.from });
    from = Math.max(from, window.until);
  }
  return [...times, { from, until: end }];
}
