// One library in the run: its program, its people, and what was seen of it.

import type { Person } from "../support/people.ts";
import type { Library, Scenario } from "./libraries.ts";
import type { Program } from "./program.ts";
import type { Tap } from "./tap.ts";

/** `works`, or what happened instead. */
export type Seen = ReadonlyMap<Scenario, string>;

export const WORKS = "works";

/** For what should happen; only what is broken takes so long. */
const PATIENCE_MS = 60_000;

/** What its program is asked through, and what came of it. */
export type Part = {
  readonly library: Library;
  readonly program: Program;
  readonly seen: Map<Scenario, string>;
  readonly people: Readonly<Record<Role, Person>>;
  readonly taps: Readonly<Record<Role, Tap>>;
};

/** Alice sends, Bob receives, and talks on another device of his; Carol comes after the first restart; Dora's box is large. */
export const ROLES = ["alice", "bob", "bobTalking", "carol", "dora"] as const;
export type Role = (typeof ROLES)[number];

/** Makes a client for this person. */
export async function open({ program, people, taps }: Part, role: Role): Promise<void> {
  const secret = Buffer.from(people[role].secret).toString("hex");
  await within(program.order("open", role, { url: taps[role].url, secret }), "opens");
}

/** Tries it, unless the library has no such function, and notes what came of it. */
export async function observe(
  { library, seen }: Part,
  scenario: Scenario,
  act: () => Promise<void>,
): Promise<void> {
  if (library.absent.includes(scenario)) return;
  await within(act(), scenario).then(
    () => note(seen, scenario, WORKS),
    (error: Error) => note(seen, scenario, error.message),
  );
}

/** What failed once has failed. */
export function note(seen: Map<Scenario, string>, scenario: Scenario, what: string): void {
  if (!seen.has(scenario) || seen.get(scenario) === WORKS) seen.set(scenario, what);
}

/** Rejects when it takes too long. */
export function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing happened`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
