import type { Check } from "./check.ts";
import { acknowledgementChecks } from "./checks/acknowledgement.ts";
import { authChecks } from "./checks/auth.ts";
import { basicsChecks } from "./checks/basics.ts";
import { countChecks } from "./checks/count.ts";
import { deletionsChecks } from "./checks/deletions.ts";
import { dropsChecks } from "./checks/drops.ts";
import { expiryChecks } from "./checks/expiry.ts";
import { hintsChecks } from "./checks/hints.ts";
import { httpPickupChecks } from "./checks/http-pickup.ts";
import { httpPublishChecks } from "./checks/http-publish.ts";
import { informationChecks } from "./checks/information.ts";
import { negentropyChecks } from "./checks/negentropy.ts";
import { pickupChecks } from "./checks/pickup.ts";
import { powChecks } from "./checks/pow.ts";
import { sameAnswerChecks } from "./checks/same-answer.ts";
import { unobservableChecks } from "./checks/unobservable.ts";

/** Every check, in the order in which they run: what the later ones build on comes first. */
export const SUITE: readonly Check[] = [
  ...informationChecks,
  ...basicsChecks,
  ...authChecks,
  ...dropsChecks,
  ...expiryChecks,
  ...pickupChecks,
  ...countChecks,
  ...negentropyChecks,
  ...acknowledgementChecks,
  ...sameAnswerChecks,
  ...deletionsChecks,
  ...powChecks,
  ...hintsChecks,
  ...httpPublishChecks,
  ...httpPickupChecks,
  ...unobservableChecks,
];

/** The part of a check's id before the slash: its row in the summary. */
export function subjectOf({ id }: Check): string {
  return id.slice(0, id.indexOf("/"));
}

/**
 * The checks that a name stands for: an id ("expiry/formula"), a subject ("expiry"), an obligation of NIP-DD ("expiry-4") or a NIP ("nip-40", "nip-dd").
 */
export function checksNamed(name: string): readonly Check[] {
  const wanted = name.toLowerCase();
  return SUITE.filter(
    (check) =>
      check.id === wanted ||
      subjectOf(check) === wanted ||
      check.obligations.some((id) => id === wanted) ||
      `nip-${check.nip.toLowerCase()}` === wanted,
  );
}
