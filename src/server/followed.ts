// For who looks for a fault: what is said on one connection, told apart from others by a number. Neither keys nor ids nor contents nor addresses.

import { threadId } from "node:worker_threads";

import type { Log } from "../relay/observer.ts";
import { kindOf } from "../relay/refusals.ts";
import type { Socket, SocketHandlers } from "../transport/transport.ts";

let opened = 0;

/** Has `serve` serve the socket, and the log say what is heard and said there. */
export function followed(
  socket: Socket,
  serve: (socket: Socket) => SocketHandlers,
  log: Pick<Log, "debug">,
): SocketHandlers {
  // Event loops count for themselves.
  const name = { connection: ++opened, ...(threadId === 0 ? {} : { eventLoop: threadId }) };
  const tell = (details: object, message: string): void =>
    log.debug({ ...name, ...details }, message);
  tell({}, "connection opened");
  const handlers = serve({
    get address() {
      return socket.address;
    },
    get bufferedBytes() {
      return socket.bufferedBytes;
    },
    send(text) {
      tell(said(text), "said");
      socket.send(text);
    },
    cork: (work) => socket.cork(work),
    ping: () => socket.ping(),
    close(code, reason) {
      tell({ code, reason }, "closed by the relay");
      socket.close(code, reason);
    },
    terminate() {
      tell({}, "cut off by the relay");
      socket.terminate();
    },
  });
  return {
    received(text) {
      tell(text === undefined ? { verb: "binary" } : heard(text), "heard");
      handlers.received(text);
    },
    pinged: () => handlers.pinged(),
    ponged: () => handlers.ponged(),
    drained: () => handlers.drained(),
    closed() {
      tell({}, "connection closed");
      handlers.closed();
    },
  };
}

const VERBS = new Set(
  "AUTH CLOSE CLOSED COUNT EOSE EVENT NEG-CLOSE NEG-ERR NEG-MSG NEG-OPEN NOTICE OK REQ".split(" "),
);

// A stranger could put a name in the place of the verb.
function heard(text: string): { verb: string; chars: number } {
  const verb = /^\s*\[\s*"([A-Z-]+)"/.exec(text)?.[1] ?? "";
  return { verb: VERBS.has(verb) ? verb : "unknown", chars: text.length };
}

function said(text: string): object {
  const about = heard(text);
  if (
    about.verb !== "OK" &&
    about.verb !== "CLOSED" &&
    about.verb !== "NOTICE" &&
    about.verb !== "NEG-ERR"
  )
    return about;
  const message = JSON.parse(text) as readonly unknown[];
  const reason = kindOf(String(message.at(-1)));
  return {
    ...about,
    ...(about.verb === "OK" ? { accepted: message[2] } : {}),
    ...(reason === "" ? {} : { reason }),
  };
}
