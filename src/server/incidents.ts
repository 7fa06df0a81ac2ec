import type { Log, Observer } from "../relay/observer.ts";
import type { DamagedRecord, Incidents } from "../store/incidents.ts";

export type IncidentsParts = {
  readonly log: Log;
  readonly observer: Observer;
  /** The store is lost: ends the process, or says so to whoever does. */
  readonly lost: (cause: Error) => void;
};

const QUIET_MS = 60_000;
// Numbers of damaged drops that a line names at most.
const MAX_NAMED = 20;

/** Counts what goes wrong in the store and writes it into the log, a line for each kind in a minute. */
export function reportIncidents({ log, observer, lost }: IncidentsParts): Incidents {
  const full = gathered<Error>((causes) => {
    log.error(
      { err: causes.at(-1), times: causes.length },
      "a commit failed: the disk takes no more; what it was to write was refused",
    );
  });
  const damages = gathered<DamagedRecord>((records) => {
    const named = new Map<string, Set<number>>();
    for (const { table, seq } of records) {
      const numbers = named.get(table) ?? new Set<number>();
      if (seq !== undefined && numbers.size < MAX_NAMED) numbers.add(seq);
      named.set(table, numbers);
    }
    for (const [table, numbers] of named) {
      const details = { table, numbers: [...numbers] };
      log.error(details, "records of the store are damaged, and are skipped");
    }
  });
  return {
    diskFull(cause) {
      observer.count("commit failed");
      full(cause);
    },
    damaged(record) {
      observer.count("record damaged");
      damages(record);
    },
    lost,
    converted() {
      log.info(
        {},
        "the store was one of an earlier format and was converted; its file of before, in which recipients stood in clear, is overwritten and removed",
      );
    },
    exposed(what) {
      log.warn(
        what,
        "other users of this machine can get at the store, and this one may not change that: give it a folder of its own that belongs to the user that runs the relay, mode 700 for the folder and 600 for its files",
      );
    },
  };
}

// Hands over what it is given: what comes in one turn at once, and the next no sooner than a minute later.
function gathered<Thing>(write: (things: readonly Thing[]) => void): (thing: Thing) => void {
  const things: Thing[] = [];
  let wroteAt = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    timer = undefined;
    wroteAt = performance.now();
    write(things.splice(0));
  };
  return (thing) => {
    if (things.length < MAX_GATHERED) things.push(thing);
    timer ??= setTimeout(flush, Math.max(0, wroteAt + QUIET_MS - performance.now())).unref();
  };
}

const MAX_GATHERED = 10_000;
