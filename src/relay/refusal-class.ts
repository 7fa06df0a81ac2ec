import type { Prefix, Reason } from "../nostr/reason.ts";
import { ANSWERS, BUSY } from "./answer.ts";

/** How refusals are told apart where they are counted: by their prefix, and those that say that something is full by what that is. */
export type RefusalClass = Prefix | "mailbox full" | "storage full" | "busy";

export const REFUSAL_CLASSES: readonly RefusalClass[] = [
  "invalid",
  "blocked",
  "pow",
  "rate-limited",
  "restricted",
  "duplicate",
  "error",
  "auth-required",
  "closed",
  "unsupported",
  "mailbox full",
  "storage full",
  "busy",
];

const FULL = new Map<Reason | "", RefusalClass>([
  [ANSWERS["box full"].message, "mailbox full"],
  [ANSWERS["storage full"].message, "storage full"],
  [BUSY, "busy"],
]);

export function classOf(reason: Reason): RefusalClass {
  return FULL.get(reason) ?? (reason.slice(0, reason.indexOf(":")) as Prefix);
}
