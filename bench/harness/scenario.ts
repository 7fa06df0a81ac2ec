import type { Running } from "../peers/server.ts";
import type { How, Settings } from "./relay.ts";

/** One number of a measurement. `lower`, `higher`: which is better; `context` numbers are neither. */
export type Column = {
  readonly key: string;
  readonly head: string;
  readonly digits: number;
  readonly better: "lower" | "higher" | "context";
};

/** What one round measured of one subject at one point of a curve: the columns' values by key. */
export type Sample = Readonly<Record<string, number>>;

/** A relay that is measured: this one under some settings, or a peer. */
export type Subject = {
  readonly name: string;
  readonly version: string;
  /** Whether it demands AUTH of readers, so that a scenario waits for the OK of it. */
  readonly answersAuth: boolean;
  /** Whether it knows the acknowledgement, holds 5,000 drops for one REQ, and what else only this relay promises. */
  readonly isOurs: boolean;
  /** Whether it is this relay as it once was, which it is held against like a peer. */
  readonly isEarlier?: boolean;
  /** The most events one REQ brings; further ones are asked for with `until`. */
  readonly pageLimit: number;
  /** What it runs with beside the defaults. */
  readonly settings?: Settings;
  build(log: (text: string) => void): Promise<void>;
  /** Starts it with its database in `folder`. `settings` and `how` mean something to this relay only. */
  start(folder: string, settings?: Settings, how?: How): Promise<Running>;
};

/** What a scenario is given. */
export type Run = {
  /** A run that takes seconds: smaller numbers, one round. */
  readonly quick: boolean;
  /** An empty folder that is removed when the run ends. */
  folder(): string;
  log(text: string): void;
};

/** A point of a curve: what is varied, and its value. One point with no name is no curve. */
export type Point = { readonly label: string; readonly x: number };

export type Scenario = {
  readonly name: string;
  /** What is measured, in a sentence a reader of RESULTS.md understands. */
  readonly title: string;
  readonly columns: readonly Column[];
  /** Targets in words, with the number: shown beside the table. */
  readonly target?: string;
  /** The points measured one after the other in each round; without them the scenario has one. `everywhere`: on all transports and with several event loops. */
  readonly points?: (quick: boolean, everywhere: boolean) => readonly Point[];
  /** Those of them at which peers are measured too, by x; without it all. */
  readonly peerPoints?: readonly number[];
  /** What is plotted over the points, by column key. */
  readonly plot?: { readonly x: string; readonly y: readonly string[]; readonly logX: boolean };
  /** Whether peers can do it too. */
  readonly peers: boolean;
  /** What a reader has to know to read the table rightly: shown below it. */
  readonly note?: string;
  /** Settings of ours beside the default that are measured as subjects of their own, by name. */
  readonly variants?: Readonly<Record<string, Settings>>;
  measure(subject: Subject, run: Run, point: Point): Promise<Sample>;
};
