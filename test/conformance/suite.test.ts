import { describe, expect, it } from "vitest";

import { OBLIGATIONS } from "../../src/conformance/obligations.ts";
import { SUITE } from "../../src/conformance/suite.ts";
import { sweptLately } from "../support/clock.ts";
import { startRelay } from "../support/relay.ts";
import { checksThat, conformanceReport, conformanceText, failures } from "./report.ts";
import { smallRelay } from "./small-relay.ts";

const FULL_RUN_MS = 3 * 60_000;

/** What cannot be seen at a relay as it is installed. Whoever adds to this list says why in the check. */
const SKIPPED = [
  "acknowledgement/early-bound",
  "drops/full-box",
  "expiry/former-retentions",
  "pow/enough",
  "pow/too-little",
  "unobservable/anonymous-sender",
  "unobservable/dead-drops-alone",
  "unobservable/durable",
  "unobservable/early",
  "unobservable/everywhere",
  "unobservable/full-storage",
  "unobservable/least",
  "unobservable/receipt-later",
  "unobservable/receipt-of-receipt",
  "unobservable/receipt-wanted",
  "unobservable/recipient",
  "unobservable/retention",
  "unobservable/rounded-expiration",
];

describe.concurrent("the suite against this relay", () => {
  it(
    "finds no failure, skips what is listed, and leaves no drop behind",
    { timeout: FULL_RUN_MS },
    async ({ expect, onTestFinished }) => {
      const relay = await startRelay({}, onTestFinished);
      const report = await conformanceReport(relay.url);
      expect(failures(report)).toEqual([]);
      expect(checksThat("advised", report)).toEqual([]);
      expect(checksThat("skipped", report).sort()).toEqual(SKIPPED);
      expect(report.status).toBe(0);
      expect(report.summary.cleanUp).toMatch(/^drops left on the relay: \d+, now acknowledged$/);
      await relay.stop();
      await sweptLately(relay.data);
      // What expired in the run is forgotten but on disk until it is swept; that is done more often here than by default.
      const env = { DEADDROP_SWEEP_SECONDS: "1s", DEADDROP_METRICS: "127.0.0.1:0" };
      const { metrics = "" } = await startRelay({ data: relay.data, env }, onTestFinished);
      await expect
        .poll(async () => (await fetch(metrics)).text(), { timeout: 20_000 })
        .toMatch(/^deaddrop_drops_held 0$/m);
    },
  );

  it("fills a box that is small enough", async ({ onTestFinished }) => {
    const relay = await startRelay({ env: { DEADDROP_LIMITS_BOX_DROPS: "20" } }, onTestFinished);
    const report = await conformanceReport(relay.url, { only: ["drops/full-box"] });
    expect(checksThat("passed", report)).toEqual(["drops/full-box"]);
  });

  it("is patient with a relay that limits the rate", async ({ onTestFinished }) => {
    const env = { DEADDROP_LIMITS_DROPS_PER_SECOND: "20", DEADDROP_LIMITS_DROPS_BURST: "5" };
    const relay = await startRelay({ env }, onTestFinished);
    const report = await conformanceReport(relay.url, { only: ["acknowledgement"] });
    expect(failures(report)).toEqual([]);
    expect(checksThat("passed", report)).not.toEqual([]);
  });
});

describe.concurrent("deaddrop conformance", () => {
  it("prints a line for each check and a table at the end", async ({ onTestFinished }) => {
    const relay = await startRelay({}, onTestFinished);
    const { status, stdout, stderr } = await conformanceText(relay.url, { only: ["information"] });
    expect(status).toBe(0);
    expect(stdout).toContain("✓ information/document  serves a JSON document");
    expect(stdout).toMatch(/^ +passed +failed +advised +skipped$/m);
    expect(stdout).toMatch(/^information +7 +0 +0 +0$/m);
    expect(stderr).toBe("");
  });

  it("shows its progress on a terminal alone", async ({ onTestFinished }) => {
    const relay = await startRelay({}, onTestFinished);
    const { stderr } = await conformanceText(relay.url, { only: ["information"] }, true);
    expect(stderr).toContain("[7/7] information/restricted-writes");
  });

  it("takes a time limit of which an answer may take no whole milliseconds", async ({
    onTestFinished,
  }) => {
    const url = await smallRelay({}, onTestFinished);
    const report = await conformanceReport(url, { only: ["information"], timeoutSeconds: 10 });
    expect(failures(report)).toEqual([]);
  });

  it("lists as JSON what each check covers, with the sentences", async () => {
    const { stdout } = await conformanceText(undefined, { list: true, json: true });
    const lines = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(lines).toHaveLength(SUITE.length);
    expect(lines).toContainEqual({
      check: "expiry/malformed",
      title: "refuses with invalid: an expiration that is not a number",
      nip: "DD",
      sentence: OBLIGATIONS["expiry-2"],
      isAdvice: false,
      obligations: [{ id: "expiry-2", sentence: OBLIGATIONS["expiry-2"] }],
    });
  });

  it("advises what a relay only should do, and fails nothing for it", async ({
    onTestFinished,
  }) => {
    const url = await smallRelay({ faults: ["gives no hints"] }, onTestFinished);
    const { status, stdout } = await conformanceText(url, { only: ["hints"] });
    expect(stdout).toContain("! hints/sent  says finish");
    expect(stdout).toContain(`NIP-DD: “${OBLIGATIONS["pickup-8"]}”`);
    expect(stdout).toMatch(/^hints +2 +0 +1 +0$/m);
    expect(status).toBe(0);
  });

  it("lists its checks without a relay", async () => {
    const { status, stdout } = await conformanceText(undefined, { list: true, only: ["delete-6"] });
    expect(status).toBe(0);
    expect(stdout).toBe(
      "deletions/vanish-replayed  deletes nothing when a kind 62 is published again, however old the new drops are dated (NIP-DD delete-6)\n",
    );
  });

  it.each([
    ["no URL", undefined, {}],
    ["a URL that is none", "ws://", {}],
    ["a URL of another scheme", "https://relay.example.com", {}],
    ["a check that does not exist", "ws://127.0.0.1:1", { only: ["nothing"] }],
    ["a time limit of nothing", "ws://127.0.0.1:1", { timeoutSeconds: 0 }],
    ["a time limit that is no number", "ws://127.0.0.1:1", { timeoutSeconds: Number.NaN }],
  ])("ends with status 2 and says why for %s", async (_, url, options) => {
    const { status, stdout, stderr } = await conformanceText(url, options);
    expect(status).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^deaddrop: \S/);
  });
});
