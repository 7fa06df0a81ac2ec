import { fork } from "node:child_process";
import { once } from "node:events";

import type { Plan, Report } from "./attackers.ts";

const ATTACKERS = new URL("attackers.ts", import.meta.url);

export type Attacking = {
  /** Attacks, and resolves when it is over: all connections are gone then. */
  go(): Promise<Report>;
  /** Ends it at once, in whatever state it is. */
  stop(): void;
};

/** Starts attackers in a process of their own. Resolves when they are connected, and have made all that they will send. */
export async function prepareAttack(plan: Plan): Promise<Attacking> {
  const child = fork(ATTACKERS);
  const stop = (): void => {
    process.off("exit", stop);
    child.kill("SIGKILL");
  };
  process.once("exit", stop);
  const exited = once(child, "exit");
  const said = async (): Promise<unknown> => {
    const gone = exited.then(([code]) => {
      throw new Error(`the attackers exited with ${code}`);
    });
    const [message] = (await Promise.race([once(child, "message"), gone])) as [unknown];
    return message;
  };
  child.send(plan);
  await said();
  return {
    stop,
    async go() {
      child.send("go");
      const report = (await said()) as Report;
      await exited;
      process.off("exit", stop);
      return report;
    },
  };
}
