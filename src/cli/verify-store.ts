import type { Config } from "../config/schema.ts";
import { repairStore as repair } from "../store/repair.ts";
import { verifyStore as verify } from "../store/verify.ts";
import { CliError, DONE } from "./failure.ts";
import {
  storeDoesNotFit,
  storeIsWhole,
  storeNotRead,
  storeNotRepaired,
  storeRepaired,
} from "./messages.ts";
import type { Terminal } from "./terminal.ts";

// The first ones say what happened.
const MOST_SHOWN = 20;

/**
 * `deaddrop verify-store`: whether everything in the store of this configuration fits together. Changes nothing. Throws a CliError when something does not,
 * or when the store cannot be opened, as while a relay has it.
 */
export async function verifyStore(
  { data, storeSecret }: Config,
  { stdout }: Terminal,
): Promise<number> {
  const verified = await verify(data, storeSecret).catch((error: unknown) => {
    throw new CliError(storeNotRead(data, (error as Error).message));
  });
  const { findings, ...counts } = verified;
  if (findings.length > 0) {
    const shown = findings
      .slice(0, MOST_SHOWN)
      .map(({ table, seq, what }) => `${table}${seq === undefined ? "" : ` ${seq}`}: ${what}`);
    throw new CliError(storeDoesNotFit(data, findings.length, shown));
  }
  stdout.write(`${storeIsWhole(counts)}\n`);
  return DONE;
}

/** `deaddrop verify-store --repair`: puts right what does not fit. Throws a CliError when that cannot be done; nothing has changed then. */
export async function repairStore(
  { data, storeSecret }: Config,
  { stdout }: Terminal,
): Promise<number> {
  const now = Math.floor(Date.now() / 1_000);
  const repaired = await repair(data, storeSecret, now).catch((error: unknown) => {
    throw new CliError(storeNotRepaired(data, (error as Error).message));
  });
  stdout.write(`${storeRepaired(repaired)}\n`);
  return DONE;
}
