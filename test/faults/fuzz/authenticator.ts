import { admission } from "../../../src/policy/admission.ts";
import { Authenticator } from "../../../src/relay/authenticate.ts";
import { Examination, type ExaminationPool } from "../../../src/relay/examination.ts";
import { examiner } from "../../../src/relay/examine.ts";
import { Refusals } from "../../../src/relay/refusals.ts";
import type { Runtime } from "../../../src/relay/runtime.ts";
import { verifierLoaders } from "../../../src/verify/loaders.ts";
import { chooseVerifier } from "../../../src/verify/verifier.ts";
import type { OwnUrl } from "../../../src/nostr/own-url.ts";

const DAY = 86_400;

/** The relay's own, its signature checks in this thread, at one moment for ever. */
export async function inProcessAuthenticator(
  urls: readonly OwnUrl[],
  now: number,
): Promise<Authenticator> {
  const verifier = await chooseVerifier(Object.values(verifierLoaders), () => {});
  const rule = [{ upTo: Infinity, seconds: 30 * DAY }];
  const runtime: Runtime = { now: () => now, monotonic: () => 0, randomHex: () => "" };
  const limits = { tags: 100, eventBytes: 65_536, proofOfWork: 0 };
  const examine = examiner({
    verifier,
    known: { look: () => ({ isKnown: false, names: "" }), refresh: () => {} },
    policies: admission({
      ...limits,
      rule,
      allowedRecipients: [],
      deniedRecipients: [],
      deniedAuthors: [],
    }),
    rule,
    maxAcknowledgementIds: 1_000,
    runtime,
  });
  const pool: ExaminationPool = { hasRoom: true, ask: async (text) => examine([text])[0] };
  const observer = { count: () => {}, measure: () => {} };
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const refusals = new Refusals({ log, observer });
  const examination = new Examination(pool, refusals);
  return new Authenticator({ examination, refusals, observer, runtime, urls });
}
