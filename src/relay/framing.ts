/** How what a subscription sends is put: as NIP-01's messages on a WebSocket, as lines or server-sent events in the body of an HTTP answer. */
export type Framing = {
  drop(json: string): string;
  /** What was held is sent; `more` when a limit left some of it out (NIP-67). Undefined: with that it is over, and what comes is not sent. */
  readonly end?: (hint: Hint) => string;
};

type Hint = "finish" | "more";

/** NIP-01: EVENT and EOSE. */
export class SocketFraming implements Framing {
  readonly #id: string;
  readonly #head: string;

  constructor(subscription: string) {
    this.#id = subscription;
    this.#head = `["EVENT",${JSON.stringify(subscription)},`;
  }

  drop(json: string): string {
    return `${this.#head}${json}]`;
  }

  end(hint: Hint): string {
    return `["EOSE",${JSON.stringify(this.#id)},["${hint}"]]`;
  }
}

/** Newline-delimited JSON: one event a line. That it is complete is told by the end of the body. */
export const LINES: Framing = { drop: (json) => `${json}\n` };

/** Server-sent events (HTML Living Standard, 9.2). A stored event has no line break, so it is one line of data. */
export const SERVER_SENT_EVENTS: Framing = {
  drop: (json) => `event: drop\ndata: ${json}\n\n`,
  end: (hint) => `event: stored\ndata: {"finished":${hint === "finish"}}\n\n`,
};

/** A comment, which keeps proxies from closing a silent stream. */
export const KEEP_ALIVE = ": \n\n";
