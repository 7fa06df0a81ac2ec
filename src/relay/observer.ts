import type { Prefix } from "../nostr/reason.ts";
import { TOLD } from "../store/store.ts";

/** Why a connection is ended that did what no honest client does, or that the operator does not want. */
export type CutOff =
  | "does not read"
  | "does not slow down"
  | "has too much sent to it twice"
  | "is blocked";

/** What is counted. Names of events, never of people: nothing here can say who received what. */
export type Counted =
  | "drop stored"
  | "drop known"
  | "drop passed on"
  | "drop picked up"
  | "drop delivered live"
  | "acknowledgement"
  | "vanish"
  | "key authenticated"
  | "connection opened"
  | "connection refused"
  | `connection cut off: ${CutOff}`
  | "drop expired"
  | "tombstone expired"
  | "record damaged"
  | "commit failed"
  | "sweep"
  | `refused: ${Prefix}`;

/** Hears what the relay did, for metrics. */
export type Observer = { count(what: Counted, times?: number): void };

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
