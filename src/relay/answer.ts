// What became of an event, in the words of the protocol. Every outcome turns into words here and nowhere else; the relay's own names are added by who knows them.

import { ALREADY_HAVE, type Reason } from "../nostr/reason.ts";
import type { AcknowledgeOutcome, PutOutcome } from "../store/store.ts";

/** What the other side is told of one EVENT or AUTH: the parts of NIP-01's OK. Without an id there is nothing to say OK to. */
export type Answer = {
  readonly id: string | undefined;
  readonly accepted: boolean;
  readonly message: Reason | "";
  /** What it came to; undefined when it was refused before it was acted on. HTTP has a status for each. */
  readonly outcome?: Outcome;
};

/** What is said of a box that the store could not show. */
export const UNREADABLE: Reason = "error: the box could not be read";
export const SLOW_DOWN: Reason = "rate-limited: slow down";
export const BUSY: Reason = "rate-limited: the relay is busy, try again";
export const NOT_CHECKED: Reason = "error: the event could not be checked, try again";

export type Outcome =
  | PutOutcome
  | AcknowledgeOutcome
  | "passed on"
  | "expired"
  | "not addressed here"
  | "failed";

type Said =
  | { readonly accepted: true; readonly message: Reason | "" }
  | { readonly accepted: false; readonly message: Reason };

export const ANSWERS: Readonly<Record<Outcome, Said>> = {
  stored: { accepted: true, message: "" },
  known: { accepted: true, message: ALREADY_HAVE },
  "passed on": { accepted: true, message: "" },
  "box full": { accepted: false, message: "rate-limited: mailbox full" },
  "storage full": { accepted: false, message: "error: storage full" },
  done: { accepted: true, message: "" },
  "too many early": {
    accepted: false,
    message: "rate-limited: too many acknowledgements of drops that never came here",
  },
  expired: { accepted: false, message: "invalid: expired" },
  "not addressed here": {
    accepted: false,
    message: "invalid: this request to vanish names another relay",
  },
  failed: { accepted: false, message: "error: could not be written, try again" },
};
