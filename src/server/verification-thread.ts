// One verification thread: names the implementations and examines batches of raw messages.

import { parentPort, workerData } from "node:worker_threads";

import { admission, type AdmissionSettings } from "../policy/admission.ts";
import { examiner } from "../relay/examine.ts";
import { openKnownDrops } from "../store/known-drops.ts";
import type { SharedState } from "../store/shared-state.ts";
import { serveBatches } from "../verify/batches.ts";
import { verifierLoaders } from "../verify/loaders.ts";
import { chooseVerifier, type VerifierName } from "../verify/verifier.ts";
import { nowOrSwept } from "./runtime.ts";

/** What can change while the thread runs. */
export type VerificationSettings = {
  readonly admission: AdmissionSettings;
  readonly maxAcknowledgementIds: number;
};

export type VerificationData = VerificationSettings & {
  readonly folder: string;
  readonly shared: Pick<SharedState, "recentIds" | "lastSweep" | "secret">;
  readonly verifier: VerifierName;
};

const data = workerData as VerificationData;
if (parentPort === null) throw new Error("verification-thread.ts runs as a worker thread only");

const verifier = await chooseVerifier([verifierLoaders[data.verifier]], (reason) => {
  throw new Error(reason);
});
const known = openKnownDrops(data.folder, data.shared);
const { rule } = data.admission;
const judging = judgingBy(data);
const examine = examiner({
  verifier,
  known,
  rule,
  get policies() {
    return judging.policies;
  },
  get maxAcknowledgementIds() {
    return judging.maxAcknowledgementIds;
  },
  // Of a clock that was set back: whether what had expired is still known would tell whether it was acknowledged.
  runtime: { now: () => nowOrSwept(data.shared) },
});

serveBatches(
  parentPort,
  examine,
  () => known.close(),
  (news: VerificationSettings) => Object.assign(judging, judgingBy(news)),
);

function judgingBy({ admission: admitted, maxAcknowledgementIds }: VerificationSettings) {
  return { policies: admission(admitted), maxAcknowledgementIds };
}
