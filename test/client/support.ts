import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

import {
  type Collection,
  DeadDrop,
  type DeadDropOptions,
  type PickedUp,
  secretSigner,
} from "../../src/client/client.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import type { Person } from "../support/people.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

/** A client of this person, closed after the test. It waits for nobody for long. */
export function deadDrop(
  who: Person,
  relays: readonly { readonly url: string }[],
  options: Partial<DeadDropOptions> = {},
): DeadDrop {
  const client = new DeadDrop({
    relays: relays.map(({ url }) => url),
    keys: [secretSigner(who.secret)],
    webSocket: WebSocket,
    patienceSeconds: 5,
    retrySeconds: 0.05,
    ...options,
  });
  onTestFinished(() => client.close());
  return client;
}

/** Everything that a pickup brings. */
export async function all(collection: AsyncIterable<PickedUp>): Promise<PickedUp[]> {
  const picked: PickedUp[] = [];
  for await (const each of collection) picked.push(each);
  return picked;
}

/** The texts of the messages among it. */
export function texts(picked: readonly PickedUp[]): string[] {
  return picked.flatMap((each) => (each.type === "message" ? [each.message.content] : []));
}

export function idsOf(picked: readonly PickedUp[]): string[] {
  return picked.map(({ id }) => id);
}

/** The states of the relays, in the order of their URLs. */
export function statesOf(reports: Collection["reports"] | readonly { state: string }[]): string[] {
  return reports.map(({ state }) => state);
}

/** How many drops each relay holds for this person, as somebody else's client counts them. */
export async function held(
  who: Person,
  relays: readonly { readonly url: string }[],
): Promise<(number | string)[]> {
  const client = deadDrop(who, relays);
  const boxes = await client.status();
  client.close();
  return boxes.map(({ state, drops }) => (state === "complete" ? drops : state));
}

/** Starts a relay again where it was, with what it had. */
export function startAgain({ url, data }: RelayProcess): Promise<RelayProcess> {
  return startRelay({ data, env: { DEADDROP_LISTEN: new URL(url).host } });
}

type Said = readonly [string, ...unknown[]];

/** What a scripted relay does. `say` sends a message to the client that spoke. */
type Script = {
  readonly opened?: (say: (...message: unknown[]) => void) => void;
  readonly heard: (message: Said, say: (...message: unknown[]) => void) => void;
};

type Scripted = {
  readonly url: string;
  readonly heard: Said[];
  /** Breaks every connection. */
  readonly drop: () => void;
};

/** A relay that behaves as ours never would, to see what the client makes of it. `document` is what it says of itself: by default that it is a dead drop. */
export async function scriptedRelay(
  script: Script,
  document: object = { dead_drop: {} },
): Promise<Scripted> {
  const http = createServer((_, response) => response.end(JSON.stringify(document)));
  const server = new WebSocketServer({ server: http });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const heard: Said[] = [];
  server.on("connection", (socket) => {
    const say = (...message: unknown[]): void => socket.send(JSON.stringify(message));
    script.opened?.(say);
    socket.on("message", (text: Buffer) => {
      const message = JSON.parse(text.toString()) as Said;
      heard.push(message);
      script.heard(message, say);
    });
  });
  const drop = (): void => {
    for (const socket of server.clients) socket.terminate();
  };
  onTestFinished(() => {
    drop();
    server.close();
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  return { url: `ws://127.0.0.1:${port}/`, heard, drop };
}

/** A relay for public lists: keeps every event and shows it to everybody. */
export function publicRelay(): Promise<Scripted> {
  const events: NostrEvent[] = [];
  return scriptedRelay({
    heard([verb, first, ...rest], say) {
      if (verb === "EVENT") {
        events.push(first as NostrEvent);
        say("OK", (first as NostrEvent).id, true, "");
      } else if (verb === "REQ") {
        const { authors = [], kinds = [] } = rest[0] as { authors?: string[]; kinds?: number[] };
        for (const event of events) {
          if (authors.includes(event.pubkey) && kinds.includes(event.kind)) {
            say("EVENT", first, event);
          }
        }
        say("EOSE", first);
      }
    },
  });
}

/** Numbers that look random and are the same in each run. */
export function randomFrom(seed: string): () => number {
  let state = seed;
  return () => {
    state = createHash("sha256").update(state).digest("hex");
    return Number.parseInt(state.slice(0, 13), 16) / 2 ** 52;
  };
}

/** A WebSocket class that keeps what each of its sockets sent. */
export function recordingWebSocket(): { webSocket: typeof WebSocket; sockets: Said[][] } {
  const sockets: Said[][] = [];
  class Recording extends WebSocket {
    readonly #said: Said[] = [];

    constructor(url: string) {
      super(url);
      sockets.push(this.#said);
    }

    override send(text: string): void {
      this.#said.push(JSON.parse(text) as Said);
      super.send(text);
    }
  }
  return { webSocket: Recording as unknown as typeof WebSocket, sockets };
}
