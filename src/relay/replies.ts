// What the relay says to one client beside events and EOSE: NIP-01's OK, CLOSED and NOTICE, NIP-42's AUTH, NIP-45's COUNT, NIP-77's NEG-MSG and
// NEG-ERR.

import type { Reason } from "../nostr/reason.ts";
import type { Answer } from "./answer.ts";
import type { Outbox } from "./outbox.ts";

/** OK; without an id there is nothing to say OK to. */
export function sayOk(outbox: Outbox, { id, accepted, message }: Answer): void {
  if (id === undefined) sayNotice(outbox, message);
  else say(outbox, ["OK", id, accepted, message]);
}

export function sayClosed(outbox: Outbox, subscription: string, reason: Reason): void {
  say(outbox, ["CLOSED", subscription, reason]);
}

export function sayCount(outbox: Outbox, subscription: string, count: number): void {
  say(outbox, ["COUNT", subscription, { count }]);
}

export function sayReconciled(outbox: Outbox, reconciliation: string, answer: Uint8Array): void {
  say(outbox, ["NEG-MSG", reconciliation, Buffer.from(answer).toString("hex")]);
}

export function sayNotReconciled(outbox: Outbox, reconciliation: string, reason: Reason): void {
  say(outbox, ["NEG-ERR", reconciliation, reason]);
}

export function sayChallenge(outbox: Outbox, challenge: string): void {
  say(outbox, ["AUTH", challenge]);
}

export function sayNotice(outbox: Outbox, message: string): void {
  say(outbox, ["NOTICE", message]);
}

function say(outbox: Outbox, message: readonly unknown[]): void {
  outbox.send(JSON.stringify(message));
}
