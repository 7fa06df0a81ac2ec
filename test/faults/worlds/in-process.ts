// A relay without sockets: the store in a folder, the relay, the HTTP door, and signature checks in this thread. Time is what it is set to.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";

import { loadConfig } from "../../../src/config/load.ts";
import { relayInformation } from "../../../src/http/information.ts";
import { routes } from "../../../src/http/routes.ts";
import { ownUrl } from "../../../src/nostr/own-url.ts";
import { admission } from "../../../src/policy/admission.ts";
import { RateLimiter } from "../../../src/policy/rate-limiter.ts";
import { examiner } from "../../../src/relay/examine.ts";
import { Relay } from "../../../src/relay/relay.ts";
import type { Runtime } from "../../../src/relay/runtime.ts";
import { openKnownDrops } from "../../../src/store/known-drops.ts";
import { openLmdbStore } from "../../../src/store/lmdb.ts";
import type {
  BodyHandlers,
  HttpRequest,
  HttpResponse,
  Socket,
  SocketHandlers,
} from "../../../src/transport/transport.ts";
import { verifierLoaders } from "../../../src/verify/loaders.ts";
import { chooseVerifier } from "../../../src/verify/verifier.ts";
import { VERSION } from "../../../src/version.ts";
import type { Message } from "../../support/client.ts";
import type { Answer, Door, Line, Stream } from "./door.ts";

/** Under which it is known. */
export const URL = "ws://127.0.0.1:7777";
const MEMORY = "/dev/shm";

type RelayInProcess = {
  readonly relay: Relay;
  readonly answer: (request: HttpRequest) => Promise<HttpResponse>;
  readonly now: () => number;
  readonly passes: (seconds: number) => void;
  readonly close: () => Promise<void>;
};

/** `failed` hears of what the relay takes for a fault of its own. */
export async function relayInProcess(failed: (details: object) => void): Promise<RelayInProcess> {
  // Durability is not what is looked at here.
  const folder = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "deaddrop-worlds-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  const config = loadConfig({}, "/dev/null");
  const { limits, retention } = config;
  let passed = 0;
  const began = Math.floor(Date.now() / 1_000);
  const runtime: Runtime = {
    now: () => began + passed,
    monotonic: () => passed,
    randomHex: (bytes) => (connected++).toString(16).padStart(2 * bytes, "0"),
  };
  let connected = 0;
  const opened = await openLmdbStore(
    {
      folder,
      retentionSeconds: retention,
      diskReserveBytes: 0,
      limits: { ...limits, authorDeletesWraps: false },
    },
    runtime,
  );
  const known = openKnownDrops(folder, opened.shared);
  const { rule } = opened;
  const anybody = { allowedRecipients: [], deniedRecipients: [], deniedAuthors: [] };
  const admitted = { tags: limits.tags, eventBytes: limits.eventBytes, proofOfWork: 0, rule };
  const policies = admission({ ...admitted, ...anybody });
  const informing = { config, policies, rule, version: VERSION };
  const examine = examiner({
    verifier: await chooseVerifier(Object.values(verifierLoaders), () => {}),
    known,
    policies,
    rule,
    maxAcknowledgementIds: limits.acknowledgementIds,
    runtime,
  });
  const unlimited = new RateLimiter({ perSecond: 0, burst: 1 });
  const url = ownUrl(URL);
  const relay = new Relay(
    {
      store: opened.store,
      // In the next turn, as from another thread.
      pool: { hasRoom: true, ask: async (text) => turn().then(() => examine([text])[0]) },
      passOn: () => {},
      publishing: unlimited,
      filling: unlimited,
      asking: unlimited,
      copying: unlimited,
      observer: { count: () => {}, measure: () => {} },
      log: {
        debug: () => {},
        info: () => {},
        warn: () => {},
        error: failed,
      },
      runtime,
    },
    { urls: url === undefined ? [] : [url], limits },
  );
  const answer = routes(
    {
      information: () => relayInformation(informing, runtime.now()),
      urls: () => [URL],
      version: VERSION,
      readiness: () => "ready",
      relay: relay.host,
    },
    { maxBodyBytes: limits.messageBytes, maxWaitSeconds: limits.waitSeconds, publicUrls: [URL] },
  );
  return {
    relay,
    answer,
    now: () => runtime.now(),
    passes: (seconds) => {
      passed += seconds;
    },
    async close() {
      relay.close();
      await opened.store.close();
      await known.close();
      process.off("exit", remove);
      remove();
    },
  };
}

export async function inProcess(): Promise<Door> {
  const { relay, answer, now, passes, close } = await relayInProcess((details) => {
    console.error(details);
  });
  // Each from an address of its own.
  let asked = 0;
  return {
    url: URL,
    http: URL.replace("ws", "http"),
    now,
    passes,
    connect: async () => new MemoryLine(relay, addressOf(asked++)),
    async get(target, authorization) {
      const { request, leave } = requestOf(target, authorization, "*/*", addressOf(asked++));
      const answered = await answer(request);
      const text = await wholeBody(answered);
      leave();
      return answerOf(answered, text);
    },
    async stream(target, authorization) {
      const accept = "text/event-stream";
      const { request, leave } = requestOf(target, authorization, accept, addressOf(asked++));
      return streamOf(await answer(request), leave);
    },
    close,
  };
}

function addressOf(number: number): string {
  return `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}

class MemoryLine implements Line {
  readonly #handlers: SocketHandlers;
  readonly #heard: Message[] = [];
  #waiting: ((message: Message) => void) | undefined;
  #isAsked = false;
  readonly #challenge = Promise.withResolvers<string>();

  constructor(relay: Relay, address: string) {
    const socket: Socket = {
      address,
      bufferedBytes: 0,
      send: (text) => this.#take(JSON.parse(text) as Message),
      cork: (work) => work(),
      ping: () => {},
      close: () => {},
      terminate: () => {},
    };
    this.#handlers = relay.connected(socket);
  }

  say(...message: readonly unknown[]): void {
    this.#handlers.received(JSON.stringify(message));
  }

  hear(): Promise<Message> {
    const heard = this.#heard.shift();
    if (heard !== undefined) return Promise.resolve(heard);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  async challenged(): Promise<string> {
    if (!this.#isAsked) {
      this.say("REQ", "challenge", {});
      this.say("CLOSE", "challenge");
    }
    this.#isAsked = true;
    return this.#challenge.promise;
  }

  end(): void {
    this.#handlers.closed();
  }

  #take(message: Message): void {
    if (message[0] === "AUTH") return this.#challenge.resolve(message[1] as string);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#heard.push(message);
    else waiting(message);
  }
}

function requestOf(
  target: string,
  authorization: string | undefined,
  accept: string,
  address: string,
): { request: HttpRequest; leave: () => void } {
  const gone = new AbortController();
  const [path = "", query = ""] = target.split("?");
  const request: HttpRequest = {
    method: "GET",
    path,
    query,
    headers: { accept, ...(authorization !== undefined && { authorization }) },
    address,
    body: new Uint8Array(0),
    gone: gone.signal,
  };
  return { request, leave: () => gone.abort() };
}

export function wholeBody({ body }: HttpResponse): Promise<string> {
  if (typeof body === "string") return Promise.resolve(body);
  return new Promise((resolve, reject) => {
    let text = "";
    body({
      bufferedBytes: 0,
      send: (piece) => {
        text += piece;
      },
      cork: (work) => work(),
      end: () => resolve(text),
      terminate: () => reject(new Error("the answer was broken off")),
    });
  });
}

function answerOf({ status, headers }: HttpResponse, text: string): Answer {
  const isFinished = headers["dead-drop-finished"] === "true";
  return { status, text, cursor: headers["dead-drop-cursor"], isFinished };
}

function streamOf({ status, body }: HttpResponse, leave: () => void): Stream {
  let text = typeof body === "string" ? body : "";
  let handlers: BodyHandlers | undefined;
  if (typeof body !== "string") {
    handlers = body({
      bufferedBytes: 0,
      send: (piece) => {
        text += piece;
      },
      cork: (work) => work(),
      end: () => {},
      terminate: () => {},
    });
  }
  return {
    status,
    text: () => text,
    end() {
      leave();
      handlers?.closed();
    },
  };
}
