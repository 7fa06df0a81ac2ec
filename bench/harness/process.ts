import { readdirSync, readFileSync } from "node:fs";

/** What a process has used of the processors, over all its threads, in ms. Linux keeps it in ns. */
export function cpuMs(pid: number): number {
  return scheduledMs(pid, 0);
}

/** How long threads of a process could have run and got no processor, in ms: others had them. */
export function waitedMs(pid: number): number {
  return scheduledMs(pid, 1);
}

// schedstat: time on a processor, time waiting for one.
function scheduledMs(pid: number, field: 0 | 1): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1");
      ns += Number(stat.split(" ")[field]);
    } catch {
      // The thread ended meanwhile.
    }
  }
  return ns / 1e6;
}

/** What each thread has used so far, by name, in ms. */
export function threadsMs(pid: number): Map<string, number> {
  const threads = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, "latin1").trim();
    const ns = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ")[0];
    threads.set(`${name} ${thread}`, Number(ns) / 1e6);
  }
  return threads;
}

/** Memory of a process that is its own, in bytes: without files it has mapped, which the system can take back. */
export function memoryBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return 1_024 * Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]);
}
