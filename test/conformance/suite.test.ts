import { describe, expect, it } from "vitest";

import { sweptLately } from "../support/clock.ts";
import { startRelay } from "../support/relay.ts";
import { checksThat, conformanceReport, conformanceText, failures } from "./report.ts";
import { smallRelay } from "./small-relay.ts";

const FULL_RUN_MS = 3 * 60_000;

/** What cannot be seen at a relay as it is installed. Whoever adds to this list says why in the check. */
const SKIPPED = [
  "drops/full-box",
  "pow/enough",
  "pow/too-little",
  "unobservable/again",
  "unobservable/anonymous-sender",
  "unobservable/blurred-expiration",
  "unobservable/durable",
  "unobservable/either-spelling",
  "unobservable/everywhere",
  "unobservable/full-storage",
  "unobservable/grace",
  "unobservable/logs",
  "unobservable/merged",
  "unobservable/metrics",
  "unobservable/no-since",
  "unobservable/quorum",
  "unobservable/receipt-later",
  "unobservable/receipt-of-receipt",
  "unobservable/receipt-wanted",
  "unobservable/reserve",
  "unobservable/retention",
  "unobservable/rounded-expiration",
  "unobservable/store-first",
];

describe.concurrent("the suite against this relay", () => {
  it(
    "finds no failure, skips what is listed, and leaves no drop behind",
    { timeout: FULL_RUN_MS },
    async ({ expect, onTestFinished }) => {
      const relay = await startRelay({}, onTestFinished);
      const report = await conformanceReport(relay.url);
      expect(failures(report)).toEqual([]);
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
  });
});

describe.concurrent("deaddrop conformance", () => {
  it("prints a line for each check and a table at the end", async ({ onTestFinished }) => {
    const relay = await startRelay({}, onTestFinished);
    const { status, stdout, stderr } = await conformanceText(relay.url, { only: ["information"] });
    expect(status).toBe(0);
    expect(stdout).toContain("✓ information/document  serves a JSON document");
    expect(stdout).toMatch(/^ +passed +failed +skipped$/m);
    expect(stdout).toMatch(/^information +6 +0 +0$/m);
    expect(stderr).toBe("");
  });

  it("shows its progress on a terminal alone", async ({ onTestFinished }) => {
    const relay = await startRelay({}, onTestFinished);
    const { stderr } = await conformanceText(relay.url, { only: ["information"] }, true);
    expect(stderr).toContain("[6/6] information/restricted-writes");
  });

  it("takes a time limit of which an answer may take no whole milliseconds", async ({
    onTestFinished,
  }) => {
    const url = await smallRelay({}, onTestFinished);
    const report = await conformanceReport(url, { only: ["information"], timeoutSeconds: 10 });
    expect(failures(report)).toEqual([]);
  });

  it("lists its checks without a relay", async () => {
    const { status, stdout } = await conformanceText(undefined, { list: true, only: ["expiry-2"] });
    expect(status).toBe(0);
    expect(stdout).toBe(
      "expiry/malformed  refuses with invalid: an expiration that is not a number (NIP-DD expiry-3)\n",
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
