// Has a history happen to a real relay, life after life on one store, with many clients at once, and kills it (SIGKILL) where the history says.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { createInterface } from "node:readline";

import { onTestFinished } from "vitest";

import { verifyStore } from "../../src/store/verify.ts";
import { type Message, now } from "../support/client.ts";
import { ShiftedClock, sweptLately } from "../support/clock.ts";
import {
  type AtEnd,
  type Launcher,
  relayCommand,
  type RelayOptions,
  type RelayProcess,
  startRelay,
  temporaryFolder,
} from "../support/relay.ts";
import { Guest } from "./guest.ts";
import type { End, Life, Step, Transport } from "./history.ts";
import { Ledger, type Send } from "./ledger.ts";

const WRITERS = 20;
// Messages in flight on one connection when everything is sent again: less than its inbox holds.
const IN_FLIGHT = 100;
const PATIENCE_MS = 60_000;
const REPLACED = new URL("../support/replaced-source.mjs", import.meta.url).href;
// Drops that a start settles in one transaction, so that there are many of them to be killed in.
const SETTLED_AT_ONCE = 20;

/** What runs a relay on each transport; undefined: what every test does. */
export type Launchers = Readonly<Record<Transport, Launcher | undefined>>;

/** What happened in histories. */
export type Tally = {
  /** Histories that were lived to their end. */
  histories: number;
  kills: number;
  readonly killsAt: Record<End["at"], number>;
  /** Kills of relays with small generations, which settle all the time. */
  killsInSettling: number;
  /** By transport and number of event loops. */
  readonly killsOn: Record<string, number>;
  drops: number;
  acknowledgements: number;
  pickups: number;
  /** Drops of which it was certain in the end that they are held, or gone. */
  certainlyHeld: number;
  certainlyGone: number;
};

/** An empty one. */
export function newTally(): Tally {
  return {
    histories: 0,
    kills: 0,
    killsAt: { "an OK": 0, "a moment": 0, "a start": 0, "a drain": 0 },
    killsInSettling: 0,
    killsOn: {},
    drops: 0,
    acknowledgements: 0,
    pickups: 0,
    certainlyHeld: 0,
    certainlyGone: 0,
  };
}

/** Has a history happen. Answers what is wrong with the relay. */
export async function happen(
  history: readonly Life[],
  launchers: Launchers,
  tally: Tally,
): Promise<readonly string[]> {
  const cleaning: (() => void | Promise<void>)[] = [];
  const clean = async (): Promise<void> => {
    for (const each of cleaning.splice(0).toReversed()) await each();
  };
  // Should the test run out of time.
  onTestFinished(clean);
  try {
    const lives = new Lives(launchers, tally, (each) => cleaning.push(each));
    return await lives.live(history);
  } finally {
    await clean();
  }
}

class Lives {
  readonly #launchers: Launchers;
  readonly #tally: Tally;
  readonly #atEnd: AtEnd;
  readonly #data: string;
  readonly #clock: ShiftedClock;
  readonly #ledger: Ledger;
  #ahead = 0;
  #visitors: Guest[] = [];
  readonly #now = (): number => now() + this.#ahead;

  constructor(launchers: Launchers, tally: Tally, atEnd: AtEnd) {
    this.#launchers = launchers;
    this.#tally = tally;
    this.#atEnd = atEnd;
    this.#data = temporaryFolder(atEnd);
    this.#clock = new ShiftedClock(0, atEnd);
    this.#ledger = new Ledger(this.#now);
  }

  async live(history: readonly Life[]): Promise<readonly string[]> {
    const ledger = this.#ledger;
    // So that what is past is swept from the first life on.
    await sweptLately(this.#data);
    for (const life of history) {
      ledger.life += 1;
      this.#clock.passes(life.passes);
      this.#ahead += life.passes;
      await this.#patiently(this.#liveOnce(life));
      this.#count(life);
      if (ledger.wrongs.length > 0) return ledger.wrongs;
    }
    ledger.life += 1;
    await this.#patiently(this.#liveLast(history.at(-1)!));
    this.#tally.histories += 1;
    this.#tally.drops += ledger.all.length;
    this.#tally.acknowledgements += ledger.acknowledgements;
    this.#tally.certainlyHeld += ledger.certain.held;
    this.#tally.certainlyGone += ledger.certain.gone;
    return ledger.wrongs;
  }

  async #liveLast(life: Life): Promise<void> {
    const relay = await startRelay(this.#options(life), this.#atEnd);
    const guests = await this.#guests(relay);
    await this.#check(guests);
    // Once more, when all was sent again.
    await this.#check(guests);
    if ((await relay.stop()) !== 0) this.#ledger.wrong("it did not end as it was asked to");
    const { findings } = await verifyStore(this.#data, "");
    for (const found of findings) this.#ledger.wrong(`it does not fit: ${JSON.stringify(found)}`);
  }

  // That it does not start, or that a client waits for ever, is wrong too.
  async #patiently(living: Promise<void>): Promise<void> {
    const lived = living.catch((error: unknown) => this.#ledger.wrong(String(error)));
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        const doing = this.#visitors.map((guest) => guest.waitsFor).filter((what) => what !== "");
        this.#ledger.wrong(`it has not gone on for long: ${doing.join(", ") || "nobody waits"}`);
        resolve();
      }, PATIENCE_MS);
    });
    await Promise.race([lived, enough]);
    clearTimeout(timer);
  }

  #count({ end, transport, eventLoops, generation }: Life): void {
    const tally = this.#tally;
    tally.kills += 1;
    tally.killsAt[end.at] += 1;
    if (generation !== undefined) tally.killsInSettling += 1;
    const on = `${transport}, ${eventLoops}`;
    tally.killsOn[on] = (tally.killsOn[on] ?? 0) + 1;
  }

  async #liveOnce(life: Life): Promise<void> {
    const options = this.#options(life);
    if (life.end.at === "a start") return killInStart(options, life.end.changes, this.#atEnd);
    const relay = await startRelay(options, this.#atEnd);
    const guests = await this.#guests(relay);
    await this.#check(guests);
    if (this.#ledger.wrongs.length > 0) return relay.kill();
    await this.#watch(relay);
    await new Storm(relay, life.end, this.#ledger, this.#tally).rage(life.steps, guests);
  }

  /** Compares what is shown with what was promised, through both doors; then sends everything again that was ever sent. */
  async #check(guests: readonly Guest[]): Promise<void> {
    const ledger = this.#ledger;
    for (const [index, box] of ledger.boxes.entries()) {
      const guest = guests[index % guests.length]!;
      for (const door of ["WebSocket", "HTTP"] as const) {
        const judge = ledger.pickup(index);
        judge(await guest.pickup(box, door));
      }
    }
    await ledger.repeat(async (of, ask) => {
      let taken = 0;
      const some = async (guest: Guest): Promise<void> => {
        while (taken < of.length) {
          const flight = of.slice(taken, (taken += IN_FLIGHT));
          await Promise.all(
            flight.map((one) => ask(one, (event) => guest.send(event, "WebSocket"))),
          );
        }
      };
      await Promise.all(guests.map(some));
    });
  }

  /** Hears everything that comes live from now on. */
  async #watch(relay: RelayProcess): Promise<void> {
    const ledger = this.#ledger;
    const watcher = await Guest.come(relay, this.#now, this.#atEnd);
    await watcher.authenticate(ledger.boxes);
    const { client } = watcher;
    const judge = ledger.live();
    client.socket.on("message", (text: Buffer) => {
      const message = JSON.parse(text.toString()) as Message;
      if (message[0] === "EVENT") judge((message[2] as { id: string }).id);
    });
    client.say("REQ", "live", { limit: 0 });
    await client.hearUntil("EOSE");
  }

  async #guests(relay: RelayProcess): Promise<Guest[]> {
    const come = (): Promise<Guest> => Guest.come(relay, this.#now, this.#atEnd);
    this.#visitors = await Promise.all(Array.from({ length: WRITERS }, come));
    return this.#visitors;
  }

  #options({ transport, eventLoops, generation }: Life): RelayOptions & { data: string } {
    const replaced = [["store/settle", "AT_ONCE = 10_000", `AT_ONCE = ${SETTLED_AT_ONCE}`]];
    if (generation !== undefined) {
      replaced.push(["store/settling", "GENERATION = 65_536", `GENERATION = ${generation}`]);
    }
    const launcher = this.#launchers[transport];
    return {
      data: this.#data,
      ...(launcher && { launcher }),
      env: {
        ...this.#clock.env,
        NODE_OPTIONS: `${this.#clock.env["NODE_OPTIONS"]} --import=${REPLACED}`,
        TEST_REPLACED: JSON.stringify(replaced),
        DEADDROP_TRANSPORT: transport,
        DEADDROP_WORKERS: String(eventLoops),
        DEADDROP_VERIFIERS: "2",
        DEADDROP_SWEEP_SECONDS: "1s",
      },
    };
  }
}

/** What many clients do at once, and how it ends. */
class Storm {
  readonly #relay: RelayProcess;
  readonly #end: Exclude<End, { at: "a start" }>;
  readonly #ledger: Ledger;
  readonly #tally: Tally;
  #answersLeft = Infinity;
  // From then on it is no fault of the relay that nothing is answered.
  #isEnding = false;
  #hasEnded: Promise<unknown> | undefined;

  constructor(
    relay: RelayProcess,
    end: Exclude<End, { at: "a start" }>,
    ledger: Ledger,
    tally: Tally,
  ) {
    this.#relay = relay;
    this.#end = end;
    this.#ledger = ledger;
    this.#tally = tally;
  }

  /** Resolves when the relay is dead. Each client does its part of the steps, one after the other. */
  async rage(steps: readonly Step[], guests: readonly Guest[]): Promise<void> {
    this.#answersLeft = Math.max(1, Math.round(steps.length * this.#end.after));
    const parts = guests.map((guest, index) =>
      this.#act(
        guest,
        steps.filter((_, step) => step % guests.length === index),
      ),
    );
    await Promise.all(parts);
    // There may be fewer answers than it was to wait for.
    this.#endIt();
    await this.#hasEnded;
  }

  async #act(guest: Guest, steps: readonly Step[]): Promise<void> {
    try {
      for (const step of steps) {
        if (this.#isEnding) return;
        await this.#take(step, guest);
      }
    } catch (error) {
      if (!this.#isEnding) this.#ledger.wrong(`a client was turned away: ${String(error)}`);
    }
  }

  async #take(step: Step, guest: Guest): Promise<void> {
    const ledger = this.#ledger;
    const send: Send = async (event) => {
      const said = await guest.send(event, step.door);
      if (this.#isEnding && said.accepted === false && isNoAnswer(said.reason)) {
        throw new Error("it is about to end");
      }
      if (--this.#answersLeft === 0) this.#endIt();
      return said;
    };
    switch (step.do) {
      case "drop":
        return ledger.drop(ledger.create(step), send);
      case "drop again": {
        const known = ledger.repeatable(step.which);
        return known && ledger.drop(known, send);
      }
      case "acknowledge":
        return ledger.acknowledge(step, send);
      case "acknowledge early":
        return ledger.acknowledgeEarly(step, send);
      case "delete as author":
        return ledger.deleteAsAuthor(step.which, send);
      case "vanish":
        return ledger.vanish(step.box, send);
      case "pick up": {
        const judge = ledger.pickup(step.box);
        judge(await guest.pickup(ledger.box(step.box), step.door));
        this.#tally.pickups += 1;
        return;
      }
    }
  }

  #endIt(): void {
    this.#hasEnded ??= this.#kill();
  }

  async #kill(): Promise<void> {
    const end = this.#end;
    if (end.at === "a drain") {
      this.#isEnding = true;
      process.kill(this.#relay.pid, "SIGTERM");
    }
    if (end.at !== "an OK") await new Promise((resolve) => setTimeout(resolve, end.laterMs));
    this.#isEnding = true;
    await this.#relay.kill();
  }
}

// What a relay says of what it did not come to do.
function isNoAnswer(reason: unknown): boolean {
  return String(reason).startsWith("error: ");
}

/** Starts a relay and kills it when its store's file has changed so often, or when it listens. */
async function killInStart(
  options: RelayOptions & { data: string },
  changes: number,
  atEnd: AtEnd,
): Promise<void> {
  const { command, args, env } = relayCommand(options);
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  atEnd(() => void child.kill("SIGKILL"));
  const ended = once(child, "close");
  let seen = 0;
  const watcher = watch(options.data, () => {
    seen += 1;
    if (seen === changes) child.kill("SIGKILL");
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (line.includes('"msg":"listening"')) child.kill("SIGKILL");
  });
  await ended;
  watcher.close();
}
