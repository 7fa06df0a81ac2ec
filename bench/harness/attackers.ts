// A process of attackers, so that what they cost is not paid by the clock of those who wait beside them. `attack.ts` starts it and says what it is to do:
//
//   plan → "ready" → "go" → report

import { once } from "node:events";

import { type AttackName, ATTACKS, type Field } from "./attacks.ts";
import type { Wire } from "./wire.ts";

export type Plan = {
  readonly attack: AttackName;
  readonly url: string;
  /** Each is an attacker of its own. */
  readonly addresses: readonly string[];
  /** How long those attack that need not wait for an answer, and how long those wait that do. */
  readonly attackMs: number;
  readonly limitMs: number;
};

export type Report = {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** What all attackers used of the processors. */
  readonly cpuMs: number;
  readonly connections: number;
  /** Connections that the relay ended. */
  readonly ended: number;
};

/** Attacks that end when everything they sent was answered. */
const ANSWERED: ReadonlySet<AttackName> = new Set(["counts", "searches", "filters"]);

async function attack({ attack, url, addresses, attackMs, limitMs }: Plan): Promise<void> {
  let overAt = performance.now() + limitMs;
  const wires: Wire[] = [];
  const fields = addresses.map((address): Field => ({
    url,
    address,
    attackMs,
    isOver: () => performance.now() > overAt,
    note: (wire) => wires.push(wire),
  }));
  const attackers = await Promise.all(fields.map((field) => ATTACKS[attack](field)));
  process.send?.("ready");
  await once(process, "message");
  const sum = (of: (wire: Wire) => number): number =>
    wires.reduce((all, wire) => all + of(wire), 0);
  const sent = sum(({ sentBytes }) => sentBytes);
  const received = sum(({ receivedBytes }) => receivedBytes);
  const before = process.cpuUsage();
  const ms = ANSWERED.has(attack) ? limitMs : attackMs;
  overAt = performance.now() + ms;
  const { promise: late, resolve } = Promise.withResolvers<void>();
  // One that waits for a relay which takes nothing any more has nothing to wait for.
  setTimeout(resolve, ms);
  await Promise.race([Promise.all(attackers.map((attack) => attack())), late]);
  const { user, system } = process.cpuUsage(before);
  const report: Report = {
    sentBytes: sum(({ sentBytes }) => sentBytes) - sent,
    receivedBytes: sum(({ receivedBytes }) => receivedBytes) - received,
    cpuMs: (user + system) / 1_000,
    connections: wires.length,
    ended: wires.filter(({ isOpen }) => !isOpen).length,
  };
  process.send?.(report, () => process.exit());
}

process.once("disconnect", () => process.exit());
const [plan] = (await once(process, "message")) as [Plan];
await attack(plan);
