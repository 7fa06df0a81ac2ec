// This relay as a process of its own, the way an operator runs it, on a free port of the loopback interface.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

import type { Running } from "../peers/server.ts";

const CHECKOUT = resolve(import.meta.dirname, "../..");
/** As `npm start` and the container run it. */
const NODE_OPTIONS = ["--max-semi-space-size=8"];

/** The limits that one machine sending everything runs into; whatever else is at its default. */
export const UNHURRIED = {
  DEADDROP_LIMITS_DROPS_PER_SECOND: "0",
  DEADDROP_LIMITS_BYTES_PER_SECOND: "0",
  DEADDROP_LIMITS_REQUESTS_PER_SECOND: "0",
  DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "100000",
};

export type Settings = Readonly<Record<string, string>>;

/** A relay that does not stop by then is killed: what it does on SIGTERM is not what is measured. */
const STOP_MS = 20_000;

/** How a relay is run. */
export type How = {
  /** Under which Node, and on which processors. */
  readonly node?: string;
  readonly processors?: string;
  /** With the limits that strangers meet, and not `UNHURRIED`. */
  readonly isHurried?: boolean;
  /** Another checkout whose `dist/` is run. */
  readonly checkout?: string;
};

// Those limits that an earlier build has: it takes no setting that it does not know.
function unhurried(built: string): Settings {
  const example = execFileSync(process.execPath, [built, "config", "--example"], {
    encoding: "utf8",
  });
  const known = example.replaceAll(/[A-Z]/g, "_$&").toUpperCase();
  return Object.fromEntries(
    Object.entries(UNHURRIED).filter(([name]) =>
      known.includes(`${name.replace("DEADDROP_LIMITS_", "")}:`),
    ),
  );
}

/** Resolves when it listens. `url` has the port it took. */
export async function startRelay(
  folder: string,
  settings: Settings = {},
  how: How = {},
): Promise<Running> {
  const built = join(how.checkout ?? CHECKOUT, "dist/main.js");
  if (!existsSync(built)) throw new Error(`${built} is missing: npm run build`);
  const node = how.node ?? process.execPath;
  const command = how.processors === undefined ? node : "taskset";
  const args = how.processors === undefined ? [] : ["-c", how.processors, node];
  const child = spawn(command, [...args, ...NODE_OPTIONS, built, "serve"], {
    env: {
      PATH: process.env["PATH"],
      ...(process.env["DEADDROP_UWS"] && { DEADDROP_UWS: process.env["DEADDROP_UWS"] }),
      ...(!how.isHurried && (how.checkout === undefined ? UNHURRIED : unhurried(built))),
      DEADDROP_LISTEN: "127.0.0.1:0",
      DEADDROP_DATA: folder,
      ...settings,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const atExit = (): boolean => child.kill("SIGKILL");
  process.once("exit", atExit);
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const entry = JSON.parse(line) as { url?: string; level: number };
      if (entry.url !== undefined) resolve(`${entry.url}/`);
      else if (entry.level >= 40) process.stderr.write(`${line}\n`);
    });
    void exited.then(([code]) => reject(new Error(`the relay exited with ${code}`)));
  });
  if (child.pid === undefined) throw new Error("no process");
  return {
    url,
    pid: child.pid,
    async stop() {
      process.off("exit", atExit);
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
      await exited;
      clearTimeout(late);
    },
  };
}
