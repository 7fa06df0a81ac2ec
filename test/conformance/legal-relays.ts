import { SUITE } from "../../src/conformance/suite.ts";
import type { Fault } from "./fault.ts";
import { NIPS, type SmallRules } from "./small-rules.ts";

const DAY = 24 * 60 * 60;
const now = Math.floor(Date.now() / 1_000);

/** A relay that does what NIP-DD lets it do, and what the suite says of it: never that it failed. */
export type Legal = {
  readonly rules?: Partial<SmallRules>;
  /** A SHOULD that it does not follow. */
  readonly faults?: readonly Fault[];
  readonly advised?: readonly string[];
  /** What cannot be tried with it, beside `UNTRIED`. */
  readonly skipped?: readonly string[];
  /** What can be tried with it and not with most. */
  readonly tried?: readonly string[];
};

/** What a relay has to choose before it can be tried. */
export const UNTRIED = ["pow/enough", "pow/too-little", "expiry/former-retentions"];

const TRIED = ["expiry/former-retentions"];
const FEATURES = [45, 67, 77, "http"] as const;

export const LEGAL: Record<string, Legal> = {
  "does all that it may": {
    rules: { minPow: 2 },
    tried: ["pow/enough", "pow/too-little"],
  },
  "says more and sends a box in pages": { rules: { pageDrops: 2 } },
  "has a limit lower than a box": { rules: { pageDrops: 3, maxLimit: 3 } },
  "holds a drop for a minute": { rules: { retention: 60 } },
  "holds a drop for a day": { rules: { retention: DAY } },
  "takes one id in an acknowledgement": {
    rules: { maxAcknowledgementIds: 1 },
    skipped: ["acknowledgement/whole"],
  },
  "remembers three unseen ids": { rules: { maxEarlyAcknowledgements: 3 } },
  "holds gift wraps alone": {
    rules: { kinds: [1059] },
    skipped: [
      "deletions/author-of-message",
      "deletions/nip-09",
      "deletions/vanish-written",
      "pickup/author",
    ],
  },
  "has boxes for five drops": {
    rules: { boxDrops: 5 },
    skipped: ["hints/paging", "http/pages"],
  },
  "held drops for less long before": {
    rules: { formerRetentions: [{ until: now - DAY, retention: 10 * DAY }] },
    tried: TRIED,
  },
  "held drops for longer before": {
    rules: { retention: 10 * DAY, formerRetentions: [{ until: now - DAY, retention: 30 * DAY }] },
    tried: TRIED,
  },
  "says thank you": { rules: { welcome: "thank you" } },
  "holds a request for two seconds": { rules: { heldMs: 2_000 } },
  "challenges who says nothing for a second": { rules: { challengesSilence: true } },
  "answers a request for nothing without a key": { rules: { answersStrangers: true } },
  "has no HTTP door, COUNT, hints or reconciliation": {
    rules: { hasDoor: false, nips: NIPS.filter((nip) => ![45, 67, 77].includes(nip)) },
    faults: ["gives no hints"],
    skipped: SUITE.filter(({ needs }) => FEATURES.some((feature) => needs.includes(feature))).map(
      ({ id }) => id,
    ),
  },
  "does nothing that it only should": {
    rules: { restrictsWrites: false, authorDeletesWraps: true },
    faults: [
      "gives no hints",
      "refuses what overtakes AUTH",
      "refuses NEG-OPEN that overtakes AUTH",
      "challenges once",
      "takes every kind",
    ],
    skipped: ["deletions/author-of-wrap"],
    advised: [
      "auth/again",
      "auth/held",
      "auth/overtaken",
      "drops/other-kinds",
      "hints/sent",
      "information/restricted-writes",
      "negentropy/held",
      "negentropy/overtaken",
    ],
  },
};
