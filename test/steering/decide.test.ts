// What any sequence of decisions comes to, against a model that is simply right: of each key and network, what was said last.

import * as fc from "fast-check";
import { expect, it } from "vitest";

import { loadConfig } from "../../src/config/load.ts";
import { parseCall } from "../../src/steering/call.ts";
import { decide } from "../../src/steering/decide.ts";
import { type Decisions, keepDecisions, readDecisions } from "../../src/steering/decisions.ts";
import { inForce } from "../../src/steering/in-force.ts";
import { temporaryFolder } from "../support/relay.ts";

const KEYS = ["a", "b", "c"].map((digit) => digit.repeat(64));
const NETWORKS = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"];
const [CONFIGURED = ""] = KEYS;

type Role = "recipient" | "author" | "allowed";

// What each method says of a key in each of its roles.
const SAYS: Readonly<Record<string, Readonly<Partial<Record<Role, boolean>>>>> = {
  banpubkey: { recipient: true, author: true, allowed: false },
  unbanpubkey: { recipient: false, author: false },
  allowpubkey: { recipient: false, author: false, allowed: true },
  unallowpubkey: { allowed: false },
  banrecipient: { recipient: true, allowed: false },
  unbanrecipient: { recipient: false },
  banauthor: { author: true },
  unbanauthor: { author: false },
};

const SERVING = new RegExp(`^(unbanpubkey|allowpubkey|unbanrecipient) ${CONFIGURED}$`);

const call = fc.oneof(
  fc.tuple(fc.constantFrom(...Object.keys(SAYS)), fc.constantFrom(...KEYS)),
  fc.tuple(fc.constantFrom("blockip", "unblockip"), fc.constantFrom(...NETWORKS)),
);

it("any decisions leave each key and network as it was spoken of last, also when they are read again", () => {
  const config = loadConfig({ DEADDROP_DENIED_RECIPIENTS: CONFIGURED });
  const folder = temporaryFolder();
  const refused = new Set<string>();
  fc.assert(
    fc.property(fc.array(call, { maxLength: 30 }), (calls) => {
      let { decisions } = readDecisions(temporaryFolder(() => {}));
      const said = new Map<string, boolean>();
      for (const [method, subject] of calls) {
        const parsed = parseCall({ method, params: [subject, "why"] });
        if (typeof parsed === "string") throw new Error(parsed);
        const outcome = decide(parsed, { config, decisions });
        if (outcome === undefined || "error" in outcome) {
          refused.add(`${method} ${subject}`);
          continue;
        }
        decisions = outcome.decisions ?? decisions;
        for (const [role, holds] of Object.entries(SAYS[method] ?? {})) {
          said.set(`${role} ${subject}`, holds);
        }
        if (method.endsWith("ip")) said.set(`blocked ${subject}`, method === "blockip");
      }
      const holding = [...said].filter(([, holds]) => holds).map(([what]) => what);
      expect(named(decisions).toSorted()).toEqual(holding.toSorted());

      keepDecisions(folder, decisions, new Map());
      const kept = readDecisions(folder);
      expect(kept.decisions).toEqual(decisions);
      const force = inForce(config, kept.decisions);
      expect(force.deniedRecipients).toContain(CONFIGURED);
      expect(force.allowedRecipients).toEqual([]);
    }),
    { numRuns: 100 },
  );
  // The configuration denies this one, so it cannot be served by a decision.
  expect([...refused].filter((one) => !SERVING.test(one))).toEqual([]);
});

function of(role: string, list: ReadonlyMap<string, string>): string[] {
  return [...list.keys()].map((one) => `${role} ${one}`);
}

function named(decisions: Decisions): string[] {
  return [
    ...of("recipient", decisions.bannedRecipients),
    ...of("author", decisions.bannedAuthors),
    ...of("allowed", decisions.allowedRecipients),
    ...of("blocked", decisions.blockedNetworks),
  ];
}
