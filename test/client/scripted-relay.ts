// Relays without a network: a small relay (the one that the conformance suite is tried on) behind a WebSocket class and a `fetch` of memory. Between the
// two stands a conduct, which a test changes at will: how the relay refuses, falls silent, breaks off and lies. What it did to harm is written down.

import type { DeadDropOptions } from "../../src/client/client.ts";
import { hasOwnId } from "../../src/client/genuine.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { ACKNOWLEDGEMENT } from "../../src/nostr/kinds.ts";
import { ownUrl } from "../../src/nostr/own-url.ts";
import { verifierLoaders } from "../../src/verify/loaders.ts";
import { chooseVerifier } from "../../src/verify/verifier.ts";
import { type SmallConnection, SmallRelay } from "../conformance/small-relay.ts";
import type { Person } from "../support/people.ts";

const verifier = await chooseVerifier(Object.values(verifierLoaders), () => {});

// A browser waits so long for the other side of a closing handshake before it says `close`.
const CLOSING_TIMEOUT_MS = 60_000;
const STATES = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const;

export type Conduct = {
  /** Connections are refused, and this is what the error says; "" for one that says nothing, as in browsers. */
  readonly refuses?: string;
  /** It neither hears nor says anything; sockets stay open. */
  readonly isSilent?: true;
  /** It cuts the connection: instead of answering AUTH, after the first event of a page, after EOSE. */
  readonly cutsAt?: "AUTH" | "EVENT" | "EOSE";
  /** OK false to every AUTH. */
  readonly refusesAuth?: string;
  /** CLOSED to every REQ and COUNT; also what is no string. */
  readonly closes?: unknown;
  readonly withholdsEose?: true;
  /** Frames before the answer to a REQ. */
  readonly injects?: (subscription: string) => readonly string[];
  /** What is sent instead of an event, stored or live. */
  readonly tells?: (event: NostrEvent) => readonly unknown[];
  /** OK false to every acknowledgement. */
  readonly refusesAcknowledgement?: string;
  /** What its HTTP server answers. */
  readonly document?: () => Response | Promise<Response>;
};

/** Something that a client is right to call a failure. */
export type Harm = {
  /** Unix seconds, with fractions. */
  readonly at: number;
  /** The words that came with it, if any. */
  readonly words: string | undefined;
};

export type Heard = { readonly at: number; readonly message: readonly unknown[] };

export type ScriptedRelayOptions = {
  /** Without it, it is an ordinary relay: no `dead_drop` in its document and no hints in EOSE. */
  readonly isDeadDrop?: boolean;
  readonly pageDrops?: number;
  readonly boxDrops?: number;
  readonly latencySeconds?: number;
};

/** The socket of a client that is connected. */
type Link = {
  readonly receives: (text: string) => void;
  /** The relay is gone for it. */
  readonly ends: () => void;
  connection?: SmallConnection;
  /** An AUTH was refused here, and none accepted since: what follows comes of it. */
  isRefused: boolean;
  readonly authentications: Set<unknown>;
};

export class ScriptedRelay {
  readonly url: string;
  /** What clients said. */
  readonly heard: Heard[] = [];
  readonly harms: Harm[] = [];
  /** What it said only because it had refused something before. */
  readonly secondary = new Set<string>();
  /** The ids in acknowledgements that it accepted. */
  readonly acknowledged = new Set<string>();
  readonly latencySeconds: number;
  readonly #small: SmallRelay;
  readonly #isDeadDrop: boolean;
  readonly #links = new Set<Link>();
  readonly #acknowledgements = new Map<string, NostrEvent>();
  #conduct: Conduct = {};
  #clockOffset = 0;
  /** What stands in place of the small relay's CLOSED after a refused AUTH. */
  #afterRefusal = "restricted: authenticate first #secondary#";

  constructor(host: string, options: ScriptedRelayOptions = {}) {
    this.url = `wss://${host}/`;
    this.latencySeconds = options.latencySeconds ?? 0.03;
    this.#isDeadDrop = options.isDeadDrop ?? true;
    this.#small = new SmallRelay({
      faults: this.#isDeadDrop ? [] : ["gives no hints"],
      now: () => Math.floor(Date.now() / 1_000) + this.#clockOffset,
      isGenuine: (event) => hasOwnId(event) && verifier.verify(event.sig, event.id, event.pubkey),
      ...(options.pageDrops !== undefined && { pageDrops: options.pageDrops }),
      ...(options.boxDrops !== undefined && { boxDrops: options.boxDrops }),
    });
    const own = ownUrl(this.url);
    if (own === undefined) throw new Error(`${this.url} is no URL of a relay`);
    this.#small.urls.push(own);
  }

  /** How many clients are connected, as far as it knows. */
  get connections(): number {
    return this.#links.size;
  }

  get conduct(): Conduct {
    return this.#conduct;
  }

  /** From now on. `afterRefusal` is what a request is told after an AUTH that was refused. */
  behaves(conduct: Conduct, afterRefusal = this.#afterRefusal): void {
    this.#conduct = conduct;
    this.#afterRefusal = afterRefusal;
  }

  /** Somebody sets its clock so many seconds ahead. */
  setsClock(offset: number): void {
    this.#clockOffset = offset;
  }

  /** Loses its sockets, and with them challenges and subscriptions. */
  restarts(): void {
    this.#harm();
    for (const link of this.#links) this.#cut(link);
  }

  /** Closes what is open with the reason of its conduct. */
  closesSubscriptions(): void {
    for (const link of this.#links) {
      for (const subscription of link.connection?.subscriptions() ?? []) {
        this.#close(link, subscription);
      }
    }
  }

  /** Takes an event from a sender whose connection nobody disturbs. */
  publish(event: NostrEvent): readonly [accepted: boolean, reason: string] {
    return this.#small.publish(event);
  }

  box(who: Person): readonly NostrEvent[] {
    return this.#small.box(who.key);
  }

  /** The messages of one verb. */
  said(verb: string): readonly Heard[] {
    return this.heard.filter(({ message }) => message[0] === verb);
  }

  /** The acknowledgements that came, whatever became of them. */
  get acknowledgements(): readonly { readonly at: number; readonly event: NostrEvent }[] {
    return this.said("EVENT")
      .map(({ at, message }) => ({ at, event: message[1] as NostrEvent }))
      .filter(({ event }) => event.kind === ACKNOWLEDGEMENT);
  }

  /** Answers a request for its NIP-11 document. */
  async answers(): Promise<Response> {
    const { document, refuses, isSilent } = this.#conduct;
    await passing(2 * this.latencySeconds);
    if (refuses !== undefined) throw new TypeError("fetch failed");
    if (isSilent) return new Promise(() => {});
    if (document !== undefined) return document();
    const { dead_drop, ...others } = this.#small.document();
    const body = this.#isDeadDrop ? { ...others, dead_drop } : others;
    const headers = { "content-type": "application/nostr+json" };
    return new Response(JSON.stringify(body), { headers });
  }

  /** A client connects. It waits in vain for a relay that is silent. */
  meets(link: Link): "open" | "silent" | { readonly refusal: string } {
    const { refuses, isSilent } = this.#conduct;
    if (isSilent) {
      this.#harm();
      return "silent";
    }
    if (refuses !== undefined) {
      this.#harm(refuses);
      return { refusal: refuses };
    }
    this.#links.add(link);
    link.connection = this.#small.connected((text) => this.#says(link, text));
    return "open";
  }

  leaves(link: Link): void {
    this.#links.delete(link);
    link.connection?.closed();
  }

  hears(link: Link, text: string): void {
    if (!this.#links.has(link)) return;
    const message = JSON.parse(text) as unknown[];
    const [verb, second] = message;
    this.heard.push({ at: Date.now() / 1_000, message });
    const conduct = this.#conduct;
    if (conduct.isSilent) return this.#harm();
    if (verb === "AUTH") {
      if (conduct.cutsAt === "AUTH") return this.#break(link);
      link.authentications.add((second as NostrEvent).id);
      if (conduct.refusesAuth !== undefined) {
        return this.#says(link, OK((second as NostrEvent).id, false, conduct.refusesAuth));
      }
    }
    if (verb === "REQ" || verb === "COUNT") {
      if ("closes" in conduct) return this.#close(link, second);
      const injected = conduct.injects?.(second as string) ?? [];
      if (injected.length > 0) this.#harm();
      for (const frame of injected) link.receives(frame);
    }
    if (verb === "EVENT" && (second as NostrEvent).kind === ACKNOWLEDGEMENT) {
      const event = second as NostrEvent;
      if (conduct.refusesAcknowledgement !== undefined) {
        return this.#says(link, OK(event.id, false, conduct.refusesAcknowledgement));
      }
      this.#acknowledgements.set(event.id, event);
    }
    link.connection?.heard(text);
  }

  #says(link: Link, text: string): void {
    if (!this.#links.has(link)) return;
    const message = JSON.parse(text) as unknown[];
    const conduct = this.#conduct;
    if (conduct.isSilent) return this.#harm();
    switch (message[0]) {
      case "EVENT":
        return this.#deliver(link, message[1], message[2] as NostrEvent);
      case "EOSE":
        if (conduct.withholdsEose) return this.#harm();
        if (conduct.cutsAt === "EVENT") return this.#break(link);
        link.receives(text);
        if (conduct.cutsAt === "EOSE") this.#break(link);
        return;
      case "OK":
        this.#settle(link, message as [string, string, boolean, string]);
        return link.receives(text);
      case "CLOSED":
        if (!link.isRefused) {
          this.#harm(message[2] as string);
          return link.receives(text);
        }
        this.secondary.add(this.#afterRefusal);
        return link.receives(JSON.stringify(["CLOSED", message[1], this.#afterRefusal]));
      default:
        return link.receives(text);
    }
  }

  #deliver(link: Link, subscription: unknown, event: NostrEvent): void {
    const { tells, cutsAt } = this.#conduct;
    const told = tells?.(event) ?? [event];
    if (tells !== undefined) this.#harm();
    for (const each of told) link.receives(JSON.stringify(["EVENT", subscription, each]));
    if (cutsAt === "EVENT") this.#break(link);
  }

  #settle(link: Link, [, id, isAccepted, reason]: [string, string, boolean, string]): void {
    if (link.authentications.has(id)) {
      link.isRefused = !isAccepted;
      if (!isAccepted) this.#harm(reason);
    }
    const acknowledgement = this.#acknowledgements.get(id);
    if (acknowledgement === undefined || !isAccepted) return;
    for (const [name, of = ""] of acknowledgement.tags) {
      if (name === "e") this.acknowledged.add(of);
    }
  }

  #close(link: Link, subscription: unknown): void {
    const reason = this.#conduct.closes;
    this.#harm(typeof reason === "string" ? reason : undefined);
    link.connection?.heard(JSON.stringify(["CLOSE", subscription]));
    link.receives(JSON.stringify(["CLOSED", subscription, reason]));
  }

  #break(link: Link): void {
    this.#harm();
    this.#cut(link);
  }

  #cut(link: Link): void {
    this.leaves(link);
    link.ends();
  }

  #harm(words?: string): void {
    this.harms.push({ at: Date.now() / 1_000, words: words === "" ? undefined : words });
  }
}

function OK(...answer: [id: string, isAccepted: boolean, reason: string]): string {
  return JSON.stringify(["OK", ...answer]);
}

function passing(seconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, seconds * 1_000);
  });
}

type Listener = (event: never) => void;

export type Network = {
  /**
   * Has the members that libraries use of the one of browsers, and its order of events. Messages that arrive together are told of in one turn, as `ws` does
   * it: no promise is settled in between.
   */
  readonly webSocket: NonNullable<DeadDropOptions["webSocket"]>;
  readonly fetch: typeof fetch;
  /** Sockets to a relay that a client made and that are not closed. */
  readonly openSockets: (relay: ScriptedRelay) => number;
  /** How often a client tried to connect. */
  readonly attempts: (relay: ScriptedRelay) => number;
};

/** A network of these relays. */
export function networkOf(relays: readonly ScriptedRelay[]): Network {
  const sockets = new Map<ScriptedRelay, Set<object>>(relays.map((relay) => [relay, new Set()]));
  const attempts = new Map<ScriptedRelay, number>();
  const at = (url: string): ScriptedRelay | undefined =>
    relays.find((relay) => new URL(relay.url).host === new URL(url).host);

  class MemorySocket {
    static readonly CONNECTING = STATES.CONNECTING;
    static readonly OPEN = STATES.OPEN;
    static readonly CLOSING = STATES.CLOSING;
    static readonly CLOSED = STATES.CLOSED;
    readonly url: string;
    readyState: number = STATES.CONNECTING;
    onopen: Listener | null = null;
    onmessage: Listener | null = null;
    onerror: Listener | null = null;
    onclose: Listener | null = null;
    readonly #relay: ScriptedRelay | undefined;
    readonly #listeners = new Map<string, Set<Listener>>();
    readonly #link: Link = {
      receives: (text) => this.#later(() => this.#receive(text)),
      ends: () => this.#later(() => this.#ended()),
      isRefused: false,
      authentications: new Set(),
    };

    constructor(url: string) {
      this.url = url;
      this.#relay = at(url);
      if (this.#relay !== undefined) {
        sockets.get(this.#relay)?.add(this);
        attempts.set(this.#relay, (attempts.get(this.#relay) ?? 0) + 1);
      }
      this.#later(() => this.#connect());
    }

    addEventListener(type: string, listener: Listener): void {
      const listeners = this.#listeners.get(type) ?? new Set();
      this.#listeners.set(type, listeners.add(listener));
    }

    removeEventListener(type: string, listener: Listener): void {
      this.#listeners.get(type)?.delete(listener);
    }

    send(text: string): void {
      if (this.readyState === STATES.CONNECTING) {
        throw new DOMException("Still in CONNECTING state", "InvalidStateError");
      }
      if (this.readyState === STATES.OPEN) {
        this.#later(() => this.#relay?.hears(this.#link, text));
      }
    }

    close(): void {
      if (this.readyState >= STATES.CLOSING) return;
      if (this.readyState === STATES.CONNECTING) {
        this.readyState = STATES.CLOSING;
        this.#later(() => this.#failed("closed before the connection was established"));
        return;
      }
      this.readyState = STATES.CLOSING;
      const isAnswered = this.#relay?.conduct.isSilent !== true;
      setTimeout(
        () => {
          this.#relay?.leaves(this.#link);
          this.#ended();
        },
        isAnswered ? this.#latencyMs : CLOSING_TIMEOUT_MS,
      );
    }

    get #latencyMs(): number {
      return (this.#relay?.latencySeconds ?? 0) * 1_000;
    }

    #later(what: () => void): void {
      setTimeout(what, this.#latencyMs);
    }

    #connect(): void {
      if (this.readyState !== STATES.CONNECTING) return;
      if (this.#relay === undefined) return this.#failed(`getaddrinfo ENOTFOUND ${this.url}`);
      const met = this.#relay.meets(this.#link);
      if (met === "silent") return;
      if (typeof met === "object") return this.#failed(met.refusal);
      this.readyState = STATES.OPEN;
      this.#dispatch("open", {});
    }

    #receive(text: string): void {
      if (this.readyState === STATES.OPEN) this.#dispatch("message", { data: text });
    }

    #failed(message: string): void {
      this.#dispatch("error", message === "" ? {} : { message });
      this.#ended();
    }

    #ended(): void {
      if (this.readyState === STATES.CLOSED) return;
      this.readyState = STATES.CLOSED;
      if (this.#relay !== undefined) sockets.get(this.#relay)?.delete(this);
      this.#dispatch("close", { code: 1006, reason: "", wasClean: false });
    }

    #dispatch(type: "open" | "message" | "error" | "close", members: object): void {
      const event = { type, target: this, ...members } as never;
      this[`on${type}`]?.(event);
      for (const listener of this.#listeners.get(type) ?? []) listener(event);
    }
  }

  const fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = input instanceof Request ? input.url : String(input);
    const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
    signal?.throwIfAborted();
    const answer = at(url)?.answers() ?? Promise.reject(new TypeError("fetch failed"));
    if (signal === undefined) return answer;
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      answer.then(resolve, reject);
    });
  };
  return {
    webSocket: MemorySocket,
    fetch,
    openSockets: (relay) => sockets.get(relay)?.size ?? 0,
    attempts: (relay) => attempts.get(relay) ?? 0,
  };
}
