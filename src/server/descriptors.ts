// File descriptors: each connection takes one. A relay that has none left can neither accept a connection nor tell it so, nor start a thread.

import type { Config } from "../config/schema.ts";
import type { Log } from "../relay/observer.ts";
import { limitOf } from "../store/openable.ts";
import { verifiersEach } from "./threads.ts";

// Node, the store, listening sockets, the log: 27 measured; and connections that nobody counts, which are refused, scrape metrics or ask nothing.
const RESERVED = 64;
// A thread takes up to 7.
const RESERVED_A_THREAD = 8;
// Fewer connections than this are no service.
const LEAST_CONNECTIONS = 16;

/**
 * How many connections there may be: `limits.connections`, or what the limit of this process leaves room for, with a warning. Throws when that is too
 * little. Where the system does not tell, all are taken to fit.
 */
export function connectionsThatFit(config: Config, log: Log): number {
  const { connections } = config.limits;
  const { workers } = config;
  const threads = workers * verifiersEach(config) + (workers > 1 ? workers : 0);
  const reserved = RESERVED + threads * RESERVED_A_THREAD;
  const descriptors = limitOf("Max open files");
  const fitting = descriptors - reserved;
  if (fitting >= connections) return connections;
  const wanted = connections + reserved;
  if (fitting < Math.min(connections, LEAST_CONNECTIONS)) {
    throw new Error(
      `this process may open ${descriptors} files, too few to start; limits.connections (${connections}) needs ${wanted}: "ulimit -n ${wanted}", LimitNOFILE=${wanted} in systemd, or ulimits.nofile in Docker`,
    );
  }
  log.warn(
    { descriptors, reserved, connections: fitting, wanted },
    "limits.connections is more than this process may open files: it takes fewer; raise the limit (ulimit -n, LimitNOFILE, ulimits.nofile)",
  );
  return fitting;
}
