import { describe, expect, it } from "vitest";

import { run } from "../../src/conformance/runner.ts";
import { Session } from "../../src/conformance/session.ts";
import { SUITE } from "../../src/conformance/suite.ts";
import type { Fault } from "./fault.ts";
import { checksThat, conformanceReport } from "./report.ts";
import { smallRelay } from "./small-relay.ts";

const HTTP = SUITE.filter(({ needs }) => needs.includes("http")).map(({ id }) => id);

// Some checks wait for seconds until something has expired; in several parts they wait side by side.
const PARTS = Array.from({ length: 6 }, (_, part) => SUITE.filter((_, n) => n % 6 === part));

/** A broken promise, and the checks that are there to see it. */
const FAULTS: Record<Fault, readonly string[]> = {
  "shows drops to everybody": [
    "pickup/probes",
    "pickup/foreign-p",
    "pickup/author",
    "pickup/nip-59",
  ],
  "delivers live to everybody": ["pickup/live-foreign", "pickup/nip-17", "drops/ephemeral-live"],
  "shows drops to their author": ["pickup/author"],
  "challenges everybody": ["auth/unasked"],
  "challenges once": ["auth/again"],
  "refuses what overtakes AUTH": ["auth/overtaken"],
  "believes any AUTH": [
    "auth/wrong-kind",
    "auth/wrong-challenge",
    "auth/wrong-host",
    "auth/forged",
  ],
  "believes any host": ["auth/wrong-host"],
  "believes any challenge": ["auth/wrong-challenge", "auth/foreign-challenge"],
  "believes an old AUTH": ["auth/wrong-time"],
  "knows one key a connection": ["auth/several-keys", "pickup/no-p"],
  "reads without AUTH": ["pickup/unauthenticated", "count/unauthenticated", "pickup/nip-59"],
  "counts for everybody": ["count/probes", "count/foreign-p", "count/same-answer"],
  "ignores foreign keys in silence": ["pickup/foreign-p", "count/foreign-p"],
  "lets one filter spoil the rest": ["pickup/other-filters"],
  "tells full boxes from empty ones": ["pickup/box-answer", "count/same-answer"],
  "takes drops for two": ["drops/one-recipient"],
  "takes every kind": ["drops/other-kinds"],
  "wants AUTH from senders": ["drops/anyone"],
  "evicts the oldest": ["drops/held", "drops/full-box"],
  "stores kind 21059": ["drops/ephemeral-not-stored", "http/ephemeral"],
  "answers kind 21059 by presence": ["drops/ephemeral-answer", "http/ephemeral"],
  "keeps what has expired": [
    "expiry/tag-while-held",
    "expiry/retention-while-held",
    "expiry/nip-40-held",
  ],
  "uses the last expiration tag": ["expiry/earliest-while-held", "expiry/malformed"],
  "reads a malformed expiration as none": ["expiry/malformed"],
  "takes what has expired": ["expiry/formula", "expiry/on-arrival"],
  "takes the distant future": ["expiry/clock-skew"],
  "delivers live by created_at": ["expiry/old-is-new"],
  "forgets what was acknowledged": ["acknowledgement/republished", "same-answer/bytes"],
  "obeys anybody's acknowledgement": ["acknowledgement/foreign", "http/ack"],
  "ignores an early acknowledgement": ["acknowledgement/early", "deletions/early"],
  "ignores the grace": ["acknowledgement/grace", "acknowledgement/grace-over"],
  "extends the expiry by the grace": ["acknowledgement/grace-beyond-expiry"],
  "acknowledges at EOSE": ["pickup/no-acknowledgement", "drops/held"],
  "broadcasts acknowledgements": ["acknowledgement/consumed", "deletions/consumed"],
  "stores acknowledgements": ["acknowledgement/consumed"],
  "tells acknowledged from held": [
    "same-answer/bytes",
    "same-answer/ways",
    "same-answer/anyone",
    "http/ack",
  ],
  "accepts a malformed acknowledgement": ["acknowledgement/malformed"],
  "refuses an acknowledgement of nothing": ["acknowledgement/any-ids", "acknowledgement/early"],
  "ignores kind 5 by the recipient": [
    "deletions/recipient",
    "deletions/nip-09-recipient",
    "http/ack",
  ],
  "obeys kind 5 by the author of a wrap": ["deletions/author-of-wrap"],
  "ignores kind 5 by the author of a message": ["deletions/author-of-message", "deletions/nip-09"],
  "obeys kind 5 by a stranger": ["deletions/stranger", "deletions/nip-09"],
  "stores kind 5": ["deletions/consumed"],
  "vanishes again at a replay": ["deletions/vanish-replayed"],
  "vanishes for other relays": ["deletions/vanish-elsewhere"],
  "vanishes without tombstones": ["deletions/vanish", "deletions/nip-62-again"],
  "says finish always": ["hints/true", "hints/sent"],
  "gives no hints": ["hints/sent"],
  "serves no document": ["information/document"],
  "takes forged events": ["basics/forged", "acknowledgement/forged"],
  "knows one spelling of an id": ["drops/either-spelling"],
  "ignores CLOSE": ["basics/close"],
  "ignores limit": ["basics/limit"],
  "checks no work": ["pow/too-little"],
  "reconciles everybody's boxes": [
    "negentropy/foreign-p",
    "negentropy/probes",
    "pickup/negentropy",
  ],
  "reconciles without AUTH": ["negentropy/unauthenticated"],
  "reconciles from the start on for ever": ["negentropy/again"],
  "reconciles what was acknowledged": ["negentropy/acknowledged"],
  "refuses NEG-OPEN that overtakes AUTH": ["negentropy/overtaken"],
  "answers after NEG-CLOSE": ["negentropy/close"],
  "acknowledges what it reconciles": ["negentropy/own", "negentropy/no-acknowledgement"],
  "has no HTTP door": HTTP,
  "shows boxes over HTTP to everybody": ["http/gate", "http/box-answer", "http/authorization"],
  "shows boxes over HTTP to any key": ["http/gate", "http/box-answer"],
  "counts over HTTP for everybody": ["http/gate", "http/box-answer"],
  "believes an authorization for another request": ["http/authorization"],
  "tells full boxes from empty ones over HTTP": ["http/box-answer"],
  "deletes what is read over HTTP": ["http/reading", "http/answer"],
  "loses drops of one second between pages": ["http/pages"],
  "answers over HTTP otherwise than on the socket": ["http/answer", "http/refusal", "http/ack"],
  "answers every event over HTTP with 200": ["http/answer", "http/refusal", "http/ephemeral"],
  "takes drops at /ack": ["http/ack-alone"],
};

describe.concurrent("a relay that breaks one promise", () => {
  it("passes as long as it breaks none", async ({ onTestFinished }) => {
    const results = await Promise.all(
      PARTS.map(async (checks) => {
        const url = await smallRelay({ minPow: 2 }, onTestFinished);
        return run(await Session.begin(url, 5_000), checks, { timeoutMs: 30_000, force: false });
      }),
    );
    const others = results.flat().filter(({ outcome, check: { id } }) => {
      return outcome !== (id.startsWith("unobservable/") ? "skipped" : "passed");
    });
    expect(results.flat()).toHaveLength(SUITE.length);
    expect(others).toEqual([]);
  });

  it.for(Object.entries(FAULTS) as [Fault, readonly string[]][])(
    "%s: is caught",
    async ([fault, only], { onTestFinished }) => {
      const url = await smallRelay({ faults: [fault], minPow: 2 }, onTestFinished);
      const report = await conformanceReport(url, { only });
      expect(checksThat("failed", report).sort()).toEqual(only.toSorted());
      expect(report.status).toBe(1);
      for (const { transcript = [] } of report.lines) expect(transcript).not.toEqual([]);
    },
  );
});

describe.concurrent("a relay that does not advertise dead_drop", () => {
  it("is checked for everything else, and for NIP-DD with --all", async ({ onTestFinished }) => {
    const url = await smallRelay({ faults: ["serves no document"] }, onTestFinished);
    const report = await conformanceReport(url);
    expect(checksThat("failed", report)).toEqual([
      "information/document",
      "information/cors",
      "information/fields",
    ]);
    const ofDeadDrops = SUITE.filter(({ needs }) => needs.includes("dead_drop")).map(
      ({ id }) => id,
    );
    expect(checksThat("skipped", report)).toEqual(expect.arrayContaining(ofDeadDrops));
    const named = await conformanceReport(url, { only: ["drops/held"] });
    expect(checksThat("passed", named)).toEqual(["drops/held"]);
  });
});

describe.concurrent("a relay that does not advertise an HTTP door", () => {
  it("is not asked over HTTP, unless by name", async ({ onTestFinished }) => {
    const url = await smallRelay({ faults: ["has no HTTP door"] }, onTestFinished);
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
  });
});
