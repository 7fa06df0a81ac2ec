import { TOLD } from "../store/store.ts";
import type { AcknowledgeOutcome, VanishOutcome } from "../store/store.ts";
import type { RefusalClass } from "./refusal-class.ts";

/** Why a connection is ended that did what no honest client does, or that the operator does not want. */
export type CutOff =
  | "does not read"
  | "does not slow down"
  | "has too much sent to it twice"
  | "is blocked";

/** Why a connection, or a request over HTTP, was not let in. */
export type TurnedAway =
  | "too many in all"
  | "too many from its address"
  | "does not slow down"
  | "is blocked";

/** What is refused: a drop, or an event of which nobody knows yet what it is; or anything else that is asked. */
export type Refused = "drop" | "request";

/** What is counted. Names of events, never of people: nothing here can say who received what. */
export type Counted =
  | "drop stored"
  | "drop known"
  | "drop passed on"
  | `${Refused} refused: ${RefusalClass}`
  | "pickup"
  | "drop picked up"
  | "drop delivered live"
  | `acknowledgement: ${AcknowledgeOutcome | "failed"}`
  | `vanish: ${VanishOutcome | "failed"}`
  | "key authenticated"
  | "connection opened"
  | `connection refused: ${TurnedAway}`
  | `connection cut off: ${CutOff}`
  | "drop expired"
  | "tombstone expired"
  | "record damaged"
  | "commit failed"
  | "verification thread lost"
  | "sweep";

/** What is measured: seconds, but for `commit drops`, which is how many drops shared a commit. */
export type Measured = "verification" | "commit" | "commit drops" | "event loop delay";

/** Hears what the relay did, for metrics. */
export type Observer = {
  count(what: Counted, times?: number): void;
  measure(what: Measured, value: number): void;
};

/** A box was read, and so many drops of it were sent. */
export function countPickup(observer: Observer, drops: number): void {
  observer.count("pickup");
  observer.count("drop picked up", drops);
}

/** The operator's log. One line, no content, no recipient, no address. */
export type Log = {
  debug(details: object, message: string): void;
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

/** Something of ours broke: a bug, or the disk. */
export function reportFailure(log: Log, error: unknown): void {
  const { name } = error as Partial<Error>;
  // The store has said it once, and not for each who asked.
  if (name === TOLD.diskFull || name === TOLD.lost) return;
  log.error({ err: error }, "internal error");
}
