import { describe, expect, it } from "vitest";

import { run } from "../../src/conformance/runner.ts";
import { Session } from "../../src/conformance/session.ts";
import { SUITE } from "../../src/conformance/suite.ts";
import { COMBINATIONS, FAULTS, RULES_OF } from "./broken-relays.ts";
import type { Fault } from "./fault.ts";
import { checksThat, conformanceReport } from "./report.ts";
import { smallRelay } from "./small-relay.ts";

// One answer may take a sixth of it: enough for a relay that holds a request for half a second, and not much to wait for one that holds it for ever.
const LIMIT_SECONDS = 15;

/** Checks that no relay can fail, and why. */
const UNBROKEN = {
  "same-answer/time": "it reports and does not judge: what it measures is the network as well",
};

const HTTP = SUITE.filter(({ needs }) => needs.includes("http")).map(({ id }) => id);

/** Which of these checks find something, whether the run fails for it, and which have nothing to show. */
async function findings(
  url: string,
  only: readonly string[],
): Promise<{ found: string[]; status: number; unshown: string[] }> {
  const report = await conformanceReport(url, { only, timeoutSeconds: LIMIT_SECONDS });
  const found = [...checksThat("failed", report), ...checksThat("advised", report)].sort();
  const unshown = report.lines.filter(({ transcript }) => transcript?.length === 0);
  return { found, status: report.status, unshown: unshown.map(({ check }) => check) };
}

/** That all of them do, and that a broken MUST fails the run. */
function all(only: readonly string[]): Awaited<ReturnType<typeof findings>> {
  const isAdvice = SUITE.filter(({ id }) => only.includes(id)).every((check) => check.isAdvice);
  return { found: only.toSorted(), status: isAdvice ? 0 : 1, unshown: [] };
}

describe.concurrent("a relay that breaks one promise", () => {
  it.for(Object.entries(FAULTS) as [Fault, readonly string[]][])(
    "%s: is caught",
    async ([fault, only], { onTestFinished }) => {
      const rules = { minPow: 2, ...RULES_OF[fault] };
      const url = await smallRelay({ faults: [fault], ...rules }, onTestFinished);
      expect(await findings(url, only)).toEqual(all(only));
    },
  );

  it.for(Object.entries(COMBINATIONS))(
    "%s: is caught",
    async ([, { faults, rules, caught }], { onTestFinished }) => {
      const url = await smallRelay({ faults, ...rules }, onTestFinished);
      expect(await findings(url, caught)).toEqual(all(caught));
    },
  );
});

describe.concurrent("a relay that does not advertise dead_drop", () => {
  it("is checked for everything else, and for NIP-DD with --all", async ({ onTestFinished }) => {
    const url = await smallRelay({ faults: ["serves no document"] }, onTestFinished);
    const report = await conformanceReport(url);
    expect(checksThat("failed", report)).toEqual(["information/cors", "information/fields"]);
    expect(checksThat("advised", report)).toEqual(["information/document"]);
    const ofDeadDrops = SUITE.filter(({ needs }) => needs.includes("dead_drop")).map(
      ({ id }) => id,
    );
    expect(checksThat("skipped", report)).toEqual(expect.arrayContaining(ofDeadDrops));
    const named = await conformanceReport(url, { only: ["drops/held"] });
    expect(checksThat("passed", named)).toEqual(["drops/held"]);
  });
});

describe("the broken relays", () => {
  it("break every promise that a check is there to see, but for those listed", () => {
    const broken = new Set([
      ...Object.values(FAULTS).flat(),
      ...Object.values(COMBINATIONS).flatMap(({ caught }) => caught),
    ]);
    const unbroken = SUITE.map(({ id }) => id).filter((id) => !broken.has(id));
    const observable = unbroken.filter((id) => !id.startsWith("unobservable/"));
    expect(observable.sort()).toEqual(Object.keys(UNBROKEN).sort());
  });
});

describe.concurrent("a relay that believes AUTH as it should and shows wraps to anyone", () => {
  it("is told so once, and what depends on it is skipped", async ({ onTestFinished }) => {
    const rules = { isDeadDrop: false, nips: [1, 42] };
    const url = await smallRelay({ faults: ["reads without AUTH"], ...rules }, onTestFinished);
    const checks = SUITE.filter(({ id }) => id.startsWith("auth/"));
    const session = await Session.begin(url, 5_000);
    const results = await run(session, checks, { timeoutMs: 10_000, force: false });
    const reasons = results.flatMap((result) =>
      "reason" in result && result.check.nip !== "DD"
        ? [[result.check.id, result.outcome, result.reason]]
        : [],
    );
    const why = "the relay shows wraps to anyone, with AUTH or without";
    expect(reasons).toEqual([
      ["auth/anyone", "advised", "the relay shows wraps to anyone"],
      ["auth/wrong-challenge", "skipped", why],
      ["auth/foreign-challenge", "skipped", why],
      ["auth/wrong-host", "skipped", why],
      ["auth/wrong-port", "skipped", why],
      ["auth/wrong-kind", "skipped", why],
      ["auth/wrong-time", "skipped", why],
      ["auth/forged", "skipped", why],
    ]);
  });
});

describe.concurrent("a relay that does not advertise an HTTP door", () => {
  it("is not asked over HTTP, unless by name", async ({ onTestFinished }) => {
    const url = await smallRelay({ hasDoor: false }, onTestFinished);
    const session = await Session.begin(url, 5_000);
    const checks = SUITE.filter(({ id }) => id.startsWith("http/"));
    const results = await run(session, checks, { timeoutMs: 10_000, force: false });
    expect(results.map(({ check }) => check.id)).toEqual(HTTP);
    for (const result of results) {
      expect(result).toMatchObject({
        outcome: "skipped",
        reason: "no HTTP door is advertised in NIP-11",
      });
    }
    expect(await findings(url, HTTP)).toEqual(all(HTTP));
  });
});
