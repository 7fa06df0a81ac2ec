// Histories of a relay: its lives, what clients do in each, and how each ends. Made at random from a seed, and made shorter when one goes wrong.

import * as fc from "fast-check";

const HOUR = 60 * 60;
const DAY = 24 * HOUR;
// Longer than any drop lives.
const AGES = 33 * DAY;

const doorArb = fc.constantFrom("WebSocket" as const, "HTTP" as const);
const boxArb = fc.nat(5);
const whichArb = fc.nat(9_999);

const askingArb = {
  box: boxArb,
  count: fc.integer({ min: 1, max: 4 }),
  kind: fc.constantFrom(20221, 5),
  graceSeconds: fc.option(fc.constantFrom(1, HOUR, DAY), { freq: 3, nil: undefined }),
  door: doorArb,
};

const newDropArb = {
  box: boxArb,
  kind: fc.constantFrom(1059, 1059, 4),
  bytes: fc.integer({ min: 50, max: 1_500 }),
  age: fc.constantFrom(0, 0, 0, HOUR, 2 * DAY),
  lasts: fc.option(fc.constantFrom(2, HOUR, DAY), { freq: 4, nil: undefined }),
};

const stepArb = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ do: fc.constant("drop" as const), ...newDropArb, door: doorArb }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("drop again" as const),
      which: whichArb,
      door: doorArb,
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("acknowledge" as const), ...askingArb }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("acknowledge early" as const), ...askingArb }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("delete as author" as const),
      which: whichArb,
      door: doorArb,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("pick up" as const), box: boxArb, door: doorArb }),
  },
);
// Rare: much of a history is about what it would take away.
const vanishArb = fc.record({
  do: fc.constant("vanish" as const),
  box: boxArb,
  // The other door takes drops and acknowledgements alone.
  door: fc.constant("WebSocket" as const),
});
const anyStepArb = fc.oneof(
  { weight: 80, arbitrary: stepArb },
  { weight: 1, arbitrary: vanishArb },
);

/** What a client does, through which door. */
export type Step = Value<typeof anyStepArb>;

const MOST_STEPS = 250;
// After such a part of all answers that there would be, or a little more.
const answersArb = fc.integer({ min: 1, max: 100 }).map((part) => part / 100);

const endArb = fc.oneof(
  // Right on an OK.
  { weight: 3, arbitrary: fc.record({ at: fc.constant("an OK" as const), after: answersArb }) },
  {
    weight: 3,
    arbitrary: fc.record({
      at: fc.constant("a moment" as const),
      after: answersArb,
      laterMs: fc.nat(20),
    }),
  },
  // At so many changes of the store's file, before it does anything for clients.
  {
    weight: 2,
    arbitrary: fc.record({
      at: fc.constant("a start" as const),
      changes: fc.integer({ min: 1, max: 40 }),
    }),
  },
  // So long after SIGTERM.
  {
    weight: 2,
    arbitrary: fc.record({
      at: fc.constant("a drain" as const),
      after: answersArb,
      laterMs: fc.nat(30),
    }),
  },
);

/** When a life ends. */
export type End = Value<typeof endArb>;

export type Transport = "ws" | "uws";

function lifeArb(transports: readonly Transport[]) {
  return fc.record({
    // Of the relay's clock, before this life.
    passes: fc.oneof(
      { weight: 8, arbitrary: fc.constant(0) },
      { weight: 3, arbitrary: fc.constantFrom(HOUR, DAY) },
      { weight: 1, arbitrary: fc.constant(AGES) },
    ),
    transport: fc.constantFrom(...transports),
    eventLoops: fc.constantFrom(1, 2),
    // Drops in a generation of settling.ts; undefined: as many as there are in use, which no history comes to.
    generation: fc.option(fc.constantFrom(4, 32), { freq: 2, nil: undefined }),
    // Made shorter by leaving steps out: to try others in their place takes longer than it helps.
    steps: fc.array(fc.noShrink(anyStepArb), { maxLength: MOST_STEPS, size: "max" }),
    end: fc.noShrink(endArb),
  });
}

/** One life of a relay. */
export type Life = Value<ReturnType<typeof lifeArb>>;

/** Lives of a relay on one store, each of which ends with a kill. */
export function historyArb(
  transports: readonly Transport[],
  mostLives: number,
): fc.Arbitrary<Life[]> {
  const livesArb = fc.array(lifeArb(transports), {
    minLength: 1,
    maxLength: mostLives,
    size: "max",
  });
  return fc
    .noBias(livesArb)
    .map((lives) => Object.assign(lives, { [fc.toStringMethod]: () => `\n${inWords(lives)}\n` }));
}

// As somebody reads it who looks for what is wrong.
function inWords(history: readonly Life[]): string {
  const lives = history.map(({ steps, end, ...life }, index) => {
    const lines = steps.map((step) => `    ${JSON.stringify(step)}`);
    return [`  life ${index + 1}: ${JSON.stringify({ ...life, end })}`, ...lines].join("\n");
  });
  return lives.join("\n");
}

type Value<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Type> ? Type : never;
