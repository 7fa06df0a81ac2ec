// What is drawn of a world: small numbers that stand for people, events and seconds, so that they meet.

import * as fc from "fast-check";

export const RECIPIENTS = 3;
export const AUTHORS = 3;
export const STORED = 8;
export const WORDS = ["", "a", "A", "ä", "b"];

const FATES = [
  "held",
  "acknowledged",
  "early",
  "graced",
  "grace over",
  "deleted",
  "named by another",
] as const;
/** What becomes of a drop: whether, when and by whom it is acknowledged. */
export type Fate = (typeof FATES)[number];

export type DropPlan = {
  readonly kind: number;
  readonly to: number;
  readonly by: number;
  /** Seconds before now: few different ones, so that many drops share theirs. */
  readonly age: number;
  readonly e: number | undefined;
  readonly t: readonly string[];
  /** Whether it expires before anybody reads. */
  readonly isShort: boolean;
  readonly fate: Fate;
};

const FIELDS = ["ids", "authors", "kinds", "#p", "#e", "#t", "since", "until", "limit"] as const;

export type FilterPlan = {
  readonly fields: readonly (typeof FIELDS)[number][];
  readonly ids: readonly number[];
  readonly authors: readonly number[];
  readonly kinds: readonly number[];
  readonly p: readonly number[];
  readonly e: readonly number[];
  readonly t: readonly string[];
  readonly since: number;
  readonly until: number;
  readonly limit: number;
};

export type ReaderPlan = {
  readonly keys: readonly number[];
  /** Keys that are authenticated when the subscription is open already. */
  readonly later: readonly number[];
  readonly filters: readonly FilterPlan[];
  /** What the subscription is overwritten with before anything comes. */
  readonly instead: readonly FilterPlan[] | undefined;
  readonly isClosed: boolean;
  /** Which of the events the reader has, when it reconciles. */
  readonly has: readonly number[];
};

export type PickupPlan = {
  /** Undefined: nobody. */
  readonly by: number | undefined;
  readonly box: number;
  readonly limit: number | undefined;
  readonly isStream: boolean;
};

export type WorldPlan = {
  readonly stored: readonly DropPlan[];
  /** Whether the first recipient vanishes when all that is stored came. */
  readonly vanishes: boolean;
  readonly coming: readonly DropPlan[];
  /** Of those that were stored, which are published again. */
  readonly again: readonly number[];
  readonly readers: readonly ReaderPlan[];
  readonly pickups: readonly PickupPlan[];
};

const drop = (fate: fc.Arbitrary<Fate>): fc.Arbitrary<DropPlan> =>
  fc.record({
    kind: fc.constantFrom(4, 1059, 1059, 1059, 21059),
    to: fc.nat(RECIPIENTS - 1),
    by: fc.nat(AUTHORS - 1),
    age: fc.nat(3),
    e: fc.option(fc.nat(2), { nil: undefined }),
    t: fc.uniqueArray(fc.constantFrom(...WORDS), { maxLength: 2 }),
    isShort: rarely(),
    fate,
  });

function rarely(): fc.Arbitrary<boolean> {
  return fc.nat(7).map((number) => number === 7);
}

// Beyond those that there are: another world's, and nobody's.
const events = fc.uniqueArray(fc.nat(STORED + 5), { maxLength: 6 });
const people = fc.uniqueArray(fc.nat(RECIPIENTS + 1), { maxLength: 3 });

const filter: fc.Arbitrary<FilterPlan> = fc.record({
  fields: fc.uniqueArray(fc.constantFrom(...FIELDS), { maxLength: 4 }),
  ids: events,
  authors: events,
  kinds: fc.uniqueArray(fc.constantFrom(1, 4, 5, 1059, 20221, 21059), { maxLength: 3 }),
  p: people,
  e: fc.uniqueArray(fc.nat(2)),
  t: fc.uniqueArray(fc.constantFrom(...WORDS), { maxLength: 3 }),
  // Infinity stands for the Unix time 0: older than everything.
  since: fc.constantFrom(-1, 0, 1, 2, 3, 10, 12, Infinity),
  until: fc.constantFrom(-1, 0, 1, 2, 3, 10, 12, Infinity),
  limit: fc.constantFrom(0, 1, 2, 3, 5, 5_000, 1_000_000),
});

const filters = fc.array(filter, { minLength: 1, maxLength: 3 });
const keys = fc.uniqueArray(fc.nat(RECIPIENTS - 1), { maxLength: RECIPIENTS });

const reader: fc.Arbitrary<ReaderPlan> = fc.record({
  // Who shows no key waits half a second for each answer, so few do.
  keys: fc.oneof({ weight: 1, arbitrary: fc.constant([]) }, { weight: 15, arbitrary: keys }),
  later: fc.oneof(fc.constant([]), keys),
  filters,
  instead: fc.option(filters, { nil: undefined, freq: 5 }),
  isClosed: rarely(),
  has: events,
});

const pickup: fc.Arbitrary<PickupPlan> = fc.record({
  by: fc.option(fc.nat(RECIPIENTS - 1), { nil: undefined, freq: 8 }),
  box: fc.nat(RECIPIENTS),
  limit: fc.option(fc.constantFrom(1, 2, 3, 5_000), { nil: undefined }),
  isStream: fc.boolean(),
});

export const world: fc.Arbitrary<WorldPlan> = fc.record({
  stored: fc.array(drop(fc.constantFrom("held", ...FATES)), { maxLength: STORED }),
  vanishes: rarely(),
  coming: fc.array(drop(fc.constantFrom<Fate>("held", "held", "early")), { maxLength: 4 }),
  again: fc.uniqueArray(fc.nat(STORED - 1), { maxLength: 3 }),
  readers: fc.array(reader, { minLength: 1, maxLength: 3 }),
  pickups: fc.array(pickup, { maxLength: 3 }),
});
