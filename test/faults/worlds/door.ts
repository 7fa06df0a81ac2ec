// How a world reaches a relay: over its sockets, or in the same process without them.

import type { Message } from "../../support/client.ts";

/** One WebSocket, or what stands for one. */
export type Line = {
  say(...message: readonly unknown[]): void;
  /** The next message that is no challenge. Rejects when the connection ends first. */
  hear(): Promise<Message>;
  /** Has the relay send its challenge, and answers it. */
  challenged(): Promise<string>;
  end(): void;
};

export type Answer = {
  readonly status: number;
  readonly text: string;
  /** Where to go on, and whether that was all. */
  readonly cursor: string | undefined;
  readonly isFinished: boolean;
};

/** A stream of server-sent events. */
export type Stream = {
  readonly status: number;
  /** What came so far. */
  readonly text: () => string;
  end(): void;
};

export type Door = {
  /** Under which the relay is known to AUTH, and to authorizations. */
  readonly url: string;
  readonly http: string;
  /** Unix seconds. */
  now(): number;
  /** Lets time pass; undefined where nobody can. */
  readonly passes: ((seconds: number) => void) | undefined;
  connect(): Promise<Line>;
  get(target: string, authorization: string | undefined): Promise<Answer>;
  stream(target: string, authorization: string): Promise<Stream>;
  close(): Promise<void>;
};
