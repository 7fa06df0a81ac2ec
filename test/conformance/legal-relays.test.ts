import { describe, expect, it } from "vitest";

import { type Result, run } from "../../src/conformance/runner.ts";
import { Session } from "../../src/conformance/session.ts";
import { SUITE } from "../../src/conformance/suite.ts";
import { hasOwnId } from "../../src/client/genuine.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { verifierLoaders } from "../../src/verify/loaders.ts";
import { chooseVerifier } from "../../src/verify/verifier.ts";
import { LEGAL, UNTRIED } from "./legal-relays.ts";
import { conformanceReport } from "./report.ts";
import { smallRelay } from "./small-relay.ts";

// Some checks wait for seconds until something has expired; in several parts they wait side by side.
const MANY_PARTS = 4;
const PARTS = Array.from({ length: MANY_PARTS }, (_, part) =>
  SUITE.filter((_, n) => n % MANY_PARTS === part),
);
// What fits a larger box is seen with a smaller one as well, and sooner.
const BOX_DROPS = 30;
const FULL_RUN_MS = 3 * 60_000;
const verifier = await chooseVerifier(Object.values(verifierLoaders), () => {});

function isGenuine(event: NostrEvent): boolean {
  return hasOwnId(event) && verifier.verify(event.sig, event.id, event.pubkey);
}

// What no relay shows, and what a machine that is busy with other things is too slow for.
function isOutOfReach(result: Result): boolean {
  if (result.outcome !== "skipped") return false;
  return result.check.id.startsWith("unobservable/") || result.reason.startsWith("the relay took");
}

describe.concurrent("a relay that", { timeout: FULL_RUN_MS }, () => {
  it.for(Object.entries(LEGAL))(
    "%s: fails nothing",
    async ([, { rules, faults, advised = [], skipped = [], tried = [] }], { onTestFinished }) => {
      const options = { boxDrops: BOX_DROPS, isGenuine, ...rules, ...(faults && { faults }) };
      const url = await smallRelay(options, onTestFinished);
      const results = await Promise.all(
        PARTS.map(async (checks) => {
          return run(await Session.begin(url, 5_000), checks, { timeoutMs: 30_000, force: false });
        }),
      );
      const found = results.flat();
      const that = (outcome: string): string[] =>
        found
          .filter((result) => result.outcome === outcome && !isOutOfReach(result))
          .map(({ check }) => check.id);
      expect(found).toHaveLength(SUITE.length);
      const failed = found.filter(({ outcome }) => outcome === "failed");
      expect(
        failed.map((result) => [result.check.id, "reason" in result && result.reason]),
      ).toEqual([]);
      expect(that("advised").sort()).toEqual(advised.toSorted());
      const always = UNTRIED.filter((id) => !tried.includes(id));
      expect(that("skipped").sort()).toEqual([...always, ...skipped].sort());
    },
  );
});

describe.concurrent("a relay that is far away", () => {
  it("is not told that it holds no REQ, when AUTH cannot come within half a second", async ({
    onTestFinished,
  }) => {
    const url = await smallRelay({ awayMs: 300 }, onTestFinished);
    const { lines } = await conformanceReport(url, { only: ["auth/held"], timeoutSeconds: 30 });
    expect(lines).toMatchObject([
      {
        outcome: "skipped",
        reason: "the relay took longer to answer than it has to hold a request",
      },
    ]);
  });
});
