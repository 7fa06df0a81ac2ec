// What a process has of its machine.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as after } from "node:timers/promises";

import { type AtEnd, temporaryFolder } from "./relay.ts";

/** How many files, sockets and pipes it has open, but for keys of drops, which are read and written over at any time. */
export function descriptors(pid: number): number {
  const folder = `/proc/${pid}/fd`;
  const open = readdirSync(folder).map((name) => targetOf(join(folder, name)));
  const ofKeys = open.filter((target) => target?.includes("/keys/") === true);
  const most = 2 * filesBeside(ofKeys[0]) + 2;
  if (ofKeys.length > most) throw new Error(`${ofKeys.length} files of keys are open`);
  return open.filter((target) => target !== undefined).length - ofKeys.length;
}

// Each may be open to be read by two threads, and two more to be written over just now.
function filesBeside(file = ""): number {
  return file === "" ? 0 : readdirSync(dirname(file)).length;
}

// Undefined for what was closed since it was counted.
function targetOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/** Memory that is backed by nothing else, bytes: without the store's file, which the kernel may drop. */
export function memoryBytes(pid: number): number {
  const [, kilobytes] =
    /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1_024;
}

const PRELOADED = new URL("./heap-on-signal.mjs", import.meta.url).href;

/** What the main thread of a process that Node runs keeps alive, for as long as the test runs. */
export class Heap {
  /** What Node is told, in NODE_OPTIONS. */
  readonly option = `--import=${PRELOADED}`;
  /** Variables of the process whose heap it is, beside that option. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;
  #signals = 0;

  constructor(atEnd?: AtEnd) {
    this.#file = join(temporaryFolder(atEnd), "heap");
    this.env = { TEST_HEAP: this.#file };
  }

  /** Bytes that are left when all garbage was collected: objects, and memory outside the heap that belongs to them. */
  async bytes(pid: number): Promise<number> {
    this.#signals += 1;
    process.kill(pid, "SIGUSR2");
    for (;;) {
      await after(2);
      const told = this.#told();
      if (told?.signals === this.#signals) return told.heapUsed + told.external;
    }
  }

  #told(): Told | undefined {
    try {
      return JSON.parse(readFileSync(this.#file, "utf8")) as Told;
    } catch {
      // Nobody told anything yet.
      return undefined;
    }
  }
}

type Told = { readonly signals: number; readonly heapUsed: number; readonly external: number };
