// What each library did, all of them side by side against one relay that is restarted twice.

import { once } from "node:events";

import { Client } from "../support/client.ts";
import { person, type Person } from "../support/people.ts";
import { type AtEnd, type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import type { Library, Scenario } from "./libraries.ts";
import { note, observe, type Part, type Role, ROLES, type Seen } from "./part.ts";
import { Program } from "./program.ts";
import { comesBack, fill, listens, receives, reconciles, sends, wasUnasked } from "./scenarios.ts";
import { Tap } from "./tap.ts";

/** How old the connections are when the relay goes: as old as one when it is first pinged. */
const SETTLED_SECONDS = 7;

/** Runs the programs of all libraries. */
export async function run(
  libraries: readonly Library[],
  log: string[],
  atEnd: AtEnd,
): Promise<ReadonlyMap<Library, Seen>> {
  const dora = person();
  const parts = await Promise.all(libraries.map((library) => begin(library, dora, log, atEnd)));
  const aliases = parts.flatMap(({ taps }) => ROLES.map((role) => taps[role].url)).join();
  const data = temporaryFolder(atEnd);
  const start = async (): Promise<RelayProcess> => {
    const relay = await startRelay(
      {
        data,
        env: {
          DEADDROP_ALIASES: aliases,
          DEADDROP_LIMITS_PING_SECONDS: String(SETTLED_SECONDS),
        },
      },
      atEnd,
    );
    for (const { taps } of parts) for (const role of ROLES) taps[role].lead(relay.url);
    return relay;
  };
  const hold = (): void => {
    for (const { taps } of parts) for (const role of ROLES) taps[role].hold();
  };

  let relay = await start();
  // One after the other: a connection that says nothing for a second is asked who it is, and a busy machine is not to be the cause.
  for (const part of parts) await sends(part);
  await Promise.all(parts.map((part) => receives(part, relay.url, atEnd)));
  const witness = await Client.connect(relay.url, {}, atEnd);
  const settled = once(witness.socket, "ping");
  const box = await fill(dora, relay.url, atEnd);
  await together(parts, "reconcile", (part) => reconciles(part, box));
  // A connection that was lost as soon as it was there is another matter, to welshman for one.
  await settled;

  for (const part of parts) wasUnasked(part);

  hold();
  await relay.stop();
  relay = await start();
  await together(parts, "restart", (part) => comesBack(part, "restart", "bob", relay.url, atEnd));

  await Promise.all(parts.map((part) => listens(part, "carol")));
  for (const { taps } of parts) taps.carol.refuseOnce();
  hold();
  await relay.kill();
  relay = await start();
  await together(parts, "crash", (part) => comesBack(part, "crash", "carol", relay.url, atEnd));
  return new Map(parts.map(({ library, seen }) => [library, seen]));
}

async function begin(library: Library, dora: Person, log: string[], atEnd: AtEnd): Promise<Part> {
  const taps = await Promise.all(ROLES.map(async (role) => [role, await Tap.open(atEnd)] as const));
  const bob = person();
  const named = (line: string): unknown => log.push(`${library.name}: ${line}`);
  return {
    library,
    program: await Program.start(library.start, named, atEnd),
    seen: new Map(),
    people: { alice: person(), bob, bobTalking: bob, carol: person(), dora },
    taps: Object.fromEntries(taps) as Record<Role, Tap>,
  };
}

// What is known to fail has the time that all others took.
async function together(
  parts: readonly Part[],
  scenario: Scenario,
  act: (part: Part) => Promise<void>,
): Promise<void> {
  const able = parts.filter(({ library }) => !library.absent.includes(scenario));
  const acts = able.map((part) => ({ part, done: observe(part, scenario, () => act(part)) }));
  const hopeful = acts.filter(({ part }) => part.library.faults[scenario] === undefined);
  await Promise.all(hopeful.map(({ done }) => done));
  for (const { seen } of able) {
    if (!seen.has(scenario)) note(seen, scenario, "was not done when all others were");
  }
}
