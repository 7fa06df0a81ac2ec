// POST /drop and EVENT are two doors to one room: whatever comes gets the same answer at either. Two relays with the same settings are asked the same in the
// same order, one over HTTP, the other over a WebSocket.

import { createHash } from "node:crypto";

import { schnorr } from "@noble/curves/secp256k1.js";
import * as fc from "fast-check";
import type { EventTemplate, NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { text as anyText } from "../support/arbitrary.ts";
import { Client, now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { type Answered, post, type Said } from "./support.ts";

const DAY = 24 * 60 * 60;
const RUNS = 80;
// Shrinking ends then, so that a failure is printed, with its seed, before the test runs out of time.
const ENOUGH_MS = 60_000;

const URL_OF_BOTH = "wss://relay.example";
const BOTH = {
  DEADDROP_URL: URL_OF_BOTH,
  // What is too large for a message closes a WebSocket, which is another matter.
  DEADDROP_LIMITS_MESSAGE_BYTES: "1MiB",
};
const DENIED = person();

type Settings = {
  readonly env: Readonly<Record<string, string>>;
  readonly eventBytes: number;
  readonly tags: number;
  readonly asksForWork: boolean;
  /** Every status that answers under these. */
  readonly statuses: readonly number[];
};

const SETTINGS: Readonly<Record<string, Settings>> = {
  "by default": {
    env: BOTH,
    eventBytes: 65_536,
    tags: 100,
    asksForWork: false,
    statuses: [200, 201, 202, 400, 403, 413],
  },
  "where little is allowed": {
    env: {
      ...BOTH,
      DEADDROP_PROOF_OF_WORK: "1",
      DEADDROP_DENIED_RECIPIENTS: DENIED.key,
      DEADDROP_AUTHOR_DELETES_WRAPS: "true",
      DEADDROP_RETENTION: "10d",
      DEADDROP_LIMITS_BOX_DROPS: "1",
      DEADDROP_LIMITS_EVENT_BYTES: "3000",
      DEADDROP_LIMITS_TAGS: "7",
      DEADDROP_LIMITS_ACKNOWLEDGEMENT_IDS: "3",
      DEADDROP_LIMITS_EARLY_TOMBSTONES: "1",
    },
    eventBytes: 3_000,
    tags: 7,
    asksForWork: true,
    statuses: [200, 201, 202, 400, 403, 413, 422, 429, 507],
  },
};

// --- what is drawn: an event, what is wrong with it, and how it is written

/** What stands in the p tags. */
const RECIPIENTS: Readonly<Record<string, (to: Person) => string[][]>> = {
  one: (to) => [["p", to.key]],
  "one with a hint": (to) => [["p", to.key, "wss://relay.example", "name"]],
  none: () => [],
  two: (to) => [
    ["p", to.key],
    ["p", to.key],
  ],
  "one in uppercase": (to) => [["p", to.key.toUpperCase()]],
  "one too short": (to) => [["p", to.key.slice(1)]],
  "one without a value": () => [["p"]],
  "one with an empty value": () => [["p", ""]],
  "one of another name": (to) => [["P", to.key]],
};

/** What is changed after the event was signed, or signed otherwise. */
const FLAWS: Readonly<Record<string, (event: NostrEvent, by: Person) => unknown>> = {
  "another signature": (event) => ({ ...event, sig: otherDigit(event.sig) }),
  "a signature of zeros": (event) => ({ ...event, sig: "0".repeat(128) }),
  "a signature in uppercase": (event) => ({ ...event, sig: event.sig.toUpperCase() }),
  "a signature of another": (event) => ({ ...event, sig: signed(event, person()).sig }),
  "another id": (event) => ({ ...event, id: otherDigit(event.id) }),
  "an id in uppercase": (event) => ({ ...event, id: `A${event.id.slice(1)}` }),
  "an id too short": (event) => ({ ...event, id: event.id.slice(1) }),
  "an id too long": (event) => ({ ...event, id: `${event.id}0` }),
  "an id with a quote": (event) => ({ ...event, id: `"${event.id.slice(1)}` }),
  "an id with a control character": (event) => ({ ...event, id: `\u0007${event.id.slice(1)}` }),
  "an id with half a character": (event) => ({ ...event, id: `\ud800${event.id.slice(1)}` }),
  "an id with a character of several bytes": (event) => ({ ...event, id: `é${event.id.slice(1)}` }),
  "another key": (event) => ({ ...event, pubkey: otherDigit(event.pubkey) }),
  "a key that is none": (event, by) => signed(event, by, { pubkey: "f".repeat(64) }),
  "another content": (event) => ({ ...event, content: `${event.content} ` }),
  "another time": (event) => ({ ...event, created_at: event.created_at - 1 }),
  "another kind": (event) => ({ ...event, kind: event.kind === 4 ? 1059 : 4 }),
  "another tag": (event) => ({ ...event, tags: [...event.tags, ["t", "x"]] }),
  "half a character": (event, by) => signed({ ...event, content: "x\ud800" }, by),
  "half a character in a tag": (event, by) => signed({ ...event, tags: [["t", "\udc00"]] }, by),
  "an id of what JSON makes of control characters": (event, by) =>
    signed({ ...event, content: "\u0001\u001f" }, by, { quote: JSON.stringify }),
  "a field that NIP-01 does not name": (event) => ({ ...event, ots: "x", relays: [{}] }),
  "a list around it": (event) => [event],
  "a message around it": (event) => ["EVENT", event],
  "a string around it": (event) => JSON.stringify(event),
  "another event in it": (event) => ({ event, ...event, content: event }),
  "tags nested deep": (event) => ({ ...event, tags: nested(500) }),
  "null in its place": () => null,
  "a number in its place": () => 1,
  "an empty object in its place": () => ({}),
};

/** How JSON is written. All of these mean the same. */
const WRITINGS: Readonly<Record<string, (value: unknown) => string>> = {
  plain: (value) => JSON.stringify(value),
  indented: (value) => JSON.stringify(value, null, "\t"),
  "between white space": (value) => ` \t\r\n${JSON.stringify(value)}\r\n\t `,
  "in reverse": (value) => JSON.stringify(isObject(value) ? reversed(value) : value),
  "with escapes": (value) =>
    JSON.stringify(value)
      .replace(/[^ -.0-~]/g, escaped)
      .replaceAll("/", String.raw`\/`),
  "with an escape in each name": (value) =>
    JSON.stringify(value).replace(/"([a-z])([a-z_]*)":/g, (_, first: string, rest: string) => {
      return `"${escaped(first)}${rest}":`;
    }),
  "with other numbers": (value) =>
    JSON.stringify(value).replace(/"(kind|created_at)":(\d+)(?=[,}])/g, '"$1":$2.00e+0'),
  "with fields given twice": (value) =>
    JSON.stringify(value).replace(/^\{(?=")/, '{"id":"x","kind":1,"sig":null,"tags":[["p"]],'),
};

type Plan = Value<typeof planArb>;
type Value<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Type> ? Type : never;

const HELD_KINDS = [4, 1059];
const CONSUMED_KINDS = [5, 62, 20221];

const FIELDS = ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"] as const;

// One of these now and then.
function seldom(...values: number[]): fc.Arbitrary<number | undefined> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom(...values) },
  );
}

// Of another type than belongs there, or only like the right one. What is undefined is left out.
const ODD_VALUES: readonly unknown[] = [
  undefined,
  null,
  true,
  0,
  5,
  -1,
  1.5,
  1e300,
  "",
  "5",
  [],
  {},
  [[]],
  [["p"], []],
  [[5]],
  ["p"],
  [["p", null]],
  { 0: ["p"], length: 1 },
];

const planArb = fc.record({
  kind: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...HELD_KINDS) },
    { weight: 2, arbitrary: fc.constant(21059) },
    { weight: 4, arbitrary: fc.constantFrom(...CONSUMED_KINDS) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 14, 1060, 10050, 22242, 27235, 65_535, 65_536) },
  ),
  // Few people, so that boxes fill and drops are acknowledged by whom they are for.
  by: fc.nat(1),
  to: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(1, 2) },
  ),
  // Seconds from now. -Infinity stands for the Unix time 0.
  created: fc.oneof(
    { weight: 16, arbitrary: fc.constant(0) },
    {
      weight: 4,
      arbitrary: fc.constantFrom(-60, -DAY, -11 * DAY, -13 * DAY, -31 * DAY, -33 * DAY),
    },
    { weight: 1, arbitrary: fc.constantFrom(14 * 60, 16 * 60, 1e9, -Infinity) },
  ),
  recipients: fc.oneof(
    { weight: 14, arbitrary: fc.constant("one") },
    { weight: 2, arbitrary: fc.constantFrom(...Object.keys(RECIPIENTS)) },
  ),
  // Numbers are seconds from now.
  expirations: fc.oneof(
    { weight: 10, arbitrary: fc.constant<(number | string)[]>([]) },
    {
      weight: 1,
      arbitrary: fc.array(
        fc.constantFrom<(number | string)[]>(
          -DAY,
          -10,
          60,
          3_600,
          40 * DAY,
          "",
          "0",
          "x",
          "-1",
          "1e9",
          " 5",
          "1.5",
        ),
        { maxLength: 2 },
      ),
    },
  ),
  // What its e tags name: events that came before, by number, or anything else.
  names: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.nat(5) },
      { weight: 1, arbitrary: fc.constantFrom("", "x", "A".repeat(64)) },
      { weight: 4, arbitrary: fc.nat(9).map((digit) => String(digit).repeat(64)) },
    ),
    { maxLength: 4 },
  ),
  relay: fc.constantFrom(undefined, "ALL_RELAYS", URL_OF_BOTH, "wss://other.example", ""),
  tags: fc.array(
    fc.oneof(
      fc.constant<string[][]>([["t", "x"]]),
      fc.constantFrom<string[][]>(
        [["-"]],
        [["k", "1059"]],
        [["k", "1"]],
        [[]],
        [["nonce", "1", "200"]],
        [["t"]],
      ),
      fc.array(fc.array(anyText, { minLength: 1, maxLength: 3 }), { maxLength: 2 }),
    ),
    { maxLength: 1 },
  ),
  // Whether there are as many tags as are allowed, or so many more.
  full: seldom(0, 1),
  // Whether the event is as large as is allowed, or so many bytes larger.
  large: seldom(0, 1, 1_000),
  work: fc.oneof(
    { weight: 6, arbitrary: fc.constant("committed") },
    { weight: 1, arbitrary: fc.constant("none") },
  ),
  content: anyText,
  flaw: fc.oneof(
    { weight: 10, arbitrary: fc.constant("none") },
    { weight: 2, arbitrary: fc.constantFrom(...Object.keys(FLAWS)) },
    {
      weight: 1,
      arbitrary: fc.record({
        field: fc.constantFrom(...FIELDS),
        value: fc.constantFrom(...ODD_VALUES),
      }),
    },
  ),
  writing: fc.oneof(
    { weight: 1, arbitrary: fc.constant("plain") },
    { weight: 1, arbitrary: fc.constantFrom(...Object.keys(WRITINGS)) },
  ),
  times: fc.integer({ min: 1, max: 2 }),
});

const PLAIN: Plan = {
  kind: 1059,
  by: 0,
  to: 0,
  created: 0,
  recipients: "one",
  expirations: [],
  names: [],
  relay: undefined,
  tags: [],
  full: undefined,
  large: undefined,
  work: "committed",
  content: "",
  flaw: "none",
  writing: "plain",
  times: 2,
};

// One of each kind of answer. They come first, so that none is left to chance.
const EXAMPLES: readonly Plan[] = [
  PLAIN,
  { ...PLAIN, kind: 4 },
  { ...PLAIN, kind: 21059 },
  { ...PLAIN, kind: 20221, names: [1, "0".repeat(64), "1".repeat(64)] },
  { ...PLAIN, kind: 1 },
  { ...PLAIN, large: 1 },
  { ...PLAIN, flaw: "another signature" },
  { ...PLAIN, work: "none" },
];

// --- what becomes of a plan

type World = {
  readonly people: readonly [Person, Person, Person];
  readonly before: readonly NostrEvent[];
  readonly settings: Settings;
};

function make(plan: Plan, world: World): { event: NostrEvent; text: string } {
  const { people, settings } = world;
  const by = people[plan.by] ?? DENIED;
  const work = settings.asksForWork ? plan.work : "none";
  let event = worked(work, templateOf(plan, world), by);
  if (plan.large !== undefined) {
    const missing = settings.eventBytes + plan.large - Buffer.byteLength(JSON.stringify(event));
    const content = event.content + "x".repeat(Math.max(0, missing));
    event = worked(work, { ...event, content }, by);
  }
  const value = flawed(plan.flaw, event, by);
  return { event, text: (WRITINGS[plan.writing] ?? JSON.stringify)(value) };
}

function templateOf(plan: Plan, { people, before, settings }: World): EventTemplate {
  const { kind, expirations, names, relay, content } = plan;
  const time = now();
  const to = people[plan.to] ?? DENIED;
  const tags = [
    ...(RECIPIENTS[plan.recipients]?.(to) ?? []),
    ...expirations.map((at) => ["expiration", typeof at === "number" ? String(time + at) : at]),
    ...(CONSUMED_KINDS.includes(kind)
      ? names.map((name) => ["e", typeof name === "number" ? (before.at(-name)?.id ?? "") : name])
      : []),
    ...(relay !== undefined && kind === 62 ? [["relay", relay]] : []),
    ...plan.tags.flat(),
  ];
  if (plan.full !== undefined) {
    const nonce = plan.work === "committed" ? 1 : 0;
    while (tags.length + nonce < settings.tags + plan.full) tags.push(["t"]);
  }
  return { kind, created_at: Math.max(0, time + plan.created), tags, content };
}

// One bit of work, which is soon done. A nonce of one digit, so that the size stays what it is.
function worked(work: string, template: EventTemplate, by: Person): NostrEvent {
  const tags = template.tags.filter(([name, , target]) => name !== "nonce" || target !== "1");
  if (work !== "committed") return signed({ ...template, tags }, by);
  let event: NostrEvent | undefined;
  for (const digit of "0123456789abcdef") {
    event = signed({ ...template, tags: [...tags, ["nonce", digit, "1"]] }, by);
    if (/^[0-7]/.test(event.id)) break;
  }
  return event!;
}

function flawed(flaw: Plan["flaw"], event: NostrEvent, by: Person): unknown {
  if (typeof flaw === "object") return { ...event, [flaw.field]: flaw.value };
  return FLAWS[flaw]?.(event, by) ?? (flaw === "none" ? event : null);
}

// NIP-01: "the following characters in the content field must be escaped […] all other characters must be included verbatim".
const ESCAPES: Readonly<Record<string, string>> = {
  "\n": String.raw`\n`,
  '"': String.raw`\"`,
  "\\": String.raw`\\`,
  "\r": String.raw`\r`,
  "\t": String.raw`\t`,
  "\b": String.raw`\b`,
  "\f": String.raw`\f`,
};

function verbatim(text: string): string {
  return `"${text.replace(/[\n"\\\r\t\b\f]/g, (character) => ESCAPES[character] ?? "")}"`;
}

/** An event, its id computed by the letter of NIP-01 whatever is in it, unless told otherwise. */
function signed(
  { kind, created_at, tags, content }: EventTemplate,
  by: Person,
  { pubkey = by.key, quote = verbatim }: { pubkey?: string; quote?: (text: string) => string } = {},
): NostrEvent {
  const lists = tags.map((tag) => `[${tag.map((part) => quote(part)).join(",")}]`);
  const written = `[0,"${pubkey}",${created_at},${kind},[${lists.join(",")}],${quote(content)}]`;
  const hash = createHash("sha256").update(written).digest();
  const sig = Buffer.from(schnorr.sign(hash, by.secret)).toString("hex");
  return { id: hash.toString("hex"), pubkey, created_at, kind, tags, content, sig };
}

function otherDigit(hex: string): string {
  return hex.startsWith("0") ? `1${hex.slice(1)}` : `0${hex.slice(1)}`;
}

function escaped(character: string): string {
  return String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function reversed(value: object): object {
  return Object.fromEntries(Object.entries(value).toReversed());
}

function nested(depth: number): unknown {
  let value: unknown = "p";
  for (let level = 0; level < depth; level++) value = [value];
  return value;
}

// --- the two doors

/** Publishes what may be no event, and answers what was said: in an OK, or in a NOTICE where there is no id to say OK to. */
async function publish(client: Client, text: string): Promise<Said> {
  client.sayRaw(`["EVENT",${text}]`);
  const [verb, ...said] = await client.hear();
  if (verb === "NOTICE") return { accepted: false, reason: said[0] as string };
  const [id, accepted, reason] = said as [string, boolean, string];
  return { id, accepted, reason };
}

/** The status that belongs to what was said of an event of this kind. */
function statusOf({ accepted, reason }: Said, kind: number): number {
  if (accepted && reason === "") {
    if (kind === 21059) return 202;
    return HELD_KINDS.includes(kind) ? 201 : 200;
  }
  const status = STATUSES.find(([pattern]) => pattern.test(reason))?.[1];
  if (status === undefined) throw new Error(`no status for ${reason}`);
  return status;
}

const STATUSES: readonly (readonly [pattern: RegExp, status: number])[] = [
  [/^duplicate: /, 200],
  [/^invalid: event of \d+ bytes, the limit is \d+$/, 413],
  [/^invalid: /, 400],
  [/^(blocked|restricted): /, 403],
  [/^pow: /, 422],
  [/^rate-limited: mailbox full$/, 507],
  // A request to vanish that was carried out, and is not remembered.
  [/^error: storage full$/, 507],
  [/^rate-limited: /, 429],
];

describe.each(Object.entries(SETTINGS))("%s", (_, settings) => {
  const overHttp = sharedRelay({ env: settings.env });
  const overSocket = sharedRelay({ env: settings.env });

  it(
    "an event gets the same answer over HTTP as over a WebSocket, with the status that belongs to it",
    async () => {
      const statuses = new Set<number>();
      const property = fc.asyncProperty(
        fc.array(planArb, { minLength: 1, maxLength: 8, size: "max" }),
        async (plans) => {
          const client = await Client.connect(overSocket().url);
          const people = [person(), person(), DENIED] as const;
          const before: NostrEvent[] = [];
          const http: Answered[] = [];
          const socket: Answered[] = [];
          for (const plan of plans) {
            const { event, text } = make(plan, { people, before, settings });
            before.push(event);
            for (let time = 0; time < plan.times; time++) {
              http.push(await post(overHttp(), "/drop", text));
              const said = await publish(client, text);
              socket.push({ said, status: statusOf(said, plan.kind) });
            }
          }
          client.end();
          expect(http).toEqual(socket);
          for (const { status } of http) statuses.add(status);
        },
      );
      await fc.assert(property, {
        numRuns: RUNS,
        examples: [[[...EXAMPLES]]],
        interruptAfterTimeLimit: ENOUGH_MS,
      });
      // Every kind of answer was among them, or the property says little.
      expect(statuses).toEqual(new Set(settings.statuses));
    },
    2 * ENOUGH_MS,
  );
});
