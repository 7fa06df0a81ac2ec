import type { NostrEvent } from "../nostr/event.ts";
import { AUTHENTICATION, GIFT_WRAP } from "../nostr/kinds.ts";
import type { Connection, Heard, Message } from "./connection.ts";
import { nowSeconds, type Person, sign, type Template } from "./people.ts";
import { unhurried } from "./rate-limit.ts";
import { Failed, must } from "./verdict.ts";

/** An `OK` (NIP-01). */
export type Answer = {
  readonly accepted: boolean;
  readonly reason: string;
  /** The message as it came. */
  readonly text: string;
  readonly milliseconds: number;
};

/** What a REQ got until EOSE or CLOSED. */
export type Requested = {
  readonly subscription: string;
  readonly events: readonly NostrEvent[];
  readonly ids: readonly string[];
  /** The reason of a CLOSED; undefined when it was an EOSE. */
  readonly closed: string | undefined;
  /** NIP-67's hints; undefined when there are none. */
  readonly hints: unknown;
  /** EOSE or CLOSED as it came. */
  readonly text: string;
};

export type Counted = {
  readonly count: number | undefined;
  readonly closed: string | undefined;
  readonly text: string;
};

export type Filter = Readonly<Record<string, unknown>>;

// The boxes of a check are small, and a relay that says "more" for ever must not keep it.
const MAX_PAGES = 100;

type ClientSettings = {
  readonly url: string;
  /** The most events that one filter is answered with (NIP-11); undefined when that is not said. */
  readonly maxLimit?: number | undefined;
  /** Told of every event the relay answered with OK true. */
  readonly accepted: (event: NostrEvent) => void;
};

/** The client's half of the protocol over one connection: it says things and understands the answers. It judges only their form. */
export class Client {
  readonly connection: Connection;
  readonly #settings: ClientSettings;
  #subscriptions = 0;

  constructor(connection: Connection, settings: ClientSettings) {
    this.connection = connection;
    this.#settings = settings;
  }

  /** The relay's challenge (NIP-42). It is asked for something that takes a key, if it has not sent one. */
  async challenge(): Promise<string> {
    if (this.challenges.length === 0) {
      const subscription = this.newSubscription();
      this.connection.say("REQ", subscription, { kinds: [GIFT_WRAP], limit: 0 });
      this.connection.say("CLOSE", subscription);
    }
    const heard = await this.connection.wait("an AUTH challenge", 0, ([verb]) => verb === "AUTH");
    const challenge = heard.message[1];
    must(typeof challenge === "string" && challenge !== "", "the challenge is no string");
    return challenge;
  }

  /** An AUTH event for this connection; `change` makes it a wrong one. */
  async authEvent(
    person: Person,
    change: Partial<Template> & { relay?: string; challenge?: string } = {},
  ): Promise<NostrEvent> {
    const { relay = this.#settings.url, challenge, ...template } = change;
    const tags = [
      ["relay", relay],
      ["challenge", challenge ?? (await this.challenge())],
    ];
    return sign(person, { kind: AUTHENTICATION, created_at: nowSeconds(), tags, ...template });
  }

  /** Every challenge heard so far. */
  get challenges(): readonly string[] {
    const heard = this.connection.since(0).filter(({ message: [verb] }) => verb === "AUTH");
    return heard.map(({ message }) => String(message[1]));
  }

  /** Asks for the person's box, and answers whether the relay wants to see a key first. */
  async isAskedForKey(person: Person): Promise<boolean> {
    const { connection } = this;
    const subscription = this.newSubscription();
    const filter = { kinds: [GIFT_WRAP], "#p": [person.key], limit: 1 };
    connection.say("REQ", subscription, filter);
    const { message } = await connection.wait(
      `AUTH, EOSE or CLOSED for "${subscription}"`,
      0,
      ([verb, id]) =>
        verb === "AUTH" || ((verb === "EOSE" || verb === "CLOSED") && id === subscription),
    );
    connection.say("CLOSE", subscription);
    const [verb, , reason] = message;
    return verb === "AUTH" || (verb === "CLOSED" && String(reason).startsWith("auth-required:"));
  }

  async authenticateWith(event: NostrEvent): Promise<Answer> {
    return this.#answered(["AUTH", event], event.id);
  }

  /** Authenticates one after the other and fails unless every key is believed. */
  async authenticate(...people: readonly Person[]): Promise<this> {
    for (const person of people) {
      const event = await this.authEvent(person);
      const { accepted, reason } = await unhurried(() => this.authenticateWith(event), isHurried);
      must(accepted, `AUTH with the URL of this very connection was refused: ${reason}`);
    }
    return this;
  }

  /** Publishes and waits for the OK. A relay that says it has had too much is given time. */
  async publish(
    event: NostrEvent,
    { isPatient = true }: { isPatient?: boolean } = {},
  ): Promise<Answer> {
    const publish = async (): Promise<Answer> => {
      const answer = await this.#answered(["EVENT", event], event.id);
      if (answer.accepted) this.#settings.accepted(event);
      return answer;
    };
    return isPatient ? unhurried(publish, isHurried) : publish();
  }

  /** A REQ up to its EOSE or CLOSED. After EOSE the subscription is open. */
  async request(filters: readonly Filter[], name?: string): Promise<Requested> {
    const subscription = name ?? this.newSubscription();
    const { connection } = this;
    const { mark, end, closed } = await unhurried(async () => {
      const mark = connection.mark;
      connection.say("REQ", subscription, ...filters);
      const end = await connection.wait(
        `EOSE or CLOSED for "${subscription}"`,
        mark,
        ([verb, id]) => (verb === "EOSE" || verb === "CLOSED") && id === subscription,
      );
      return { mark, end, closed: closedReason(end) };
    }, isClosedHurriedly);
    const heard = connection.since(mark);
    const events = eventsIn(heard.slice(0, heard.indexOf(end)), subscription);
    const ids = events.map(({ id }) => id);
    return { subscription, events, ids, closed, hints: end.message[2], text: end.text };
  }

  /** The ids that a REQ returns, and those that follow where the relay says "more" (NIP-67). Fails when it refuses. */
  async pickup(...filters: readonly Filter[]): Promise<readonly string[]> {
    const asked = filters.length > 0 ? filters : [{}];
    const first = await this.#page(asked);
    if (!this.#isPart(first)) return first.ids;
    // How far back a page goes can be told of one filter alone.
    const boxes = [];
    for (const filter of asked) boxes.push(await this.#follow(filter));
    return asked.length === 1 ? boxes.flat() : [...new Set(boxes.flat())];
  }

  async #page(filters: readonly Filter[]): Promise<Requested> {
    const page = await this.request(filters);
    const { subscription, closed } = page;
    must(closed === undefined, `a REQ of ${JSON.stringify(filters)} was refused: ${closed}`);
    this.connection.say("CLOSE", subscription);
    return page;
  }

  async #follow(filter: Filter): Promise<readonly string[]> {
    const { limit = Infinity, until: last = Infinity } = filter as Readonly<Record<string, number>>;
    const got: string[] = [];
    let until = last;
    for (let pages = 1; ; pages++) {
      const page = await this.#page([until < Infinity ? { ...filter, until } : filter]);
      const fresh = page.ids.filter((id) => !got.includes(id));
      // What one page brings twice is for the check to see.
      got.push(...(pages === 1 ? page.ids : fresh));
      if (!this.#isPart(page) || got.length >= limit) {
        return pages === 1 ? got : got.slice(0, limit);
      }
      must(pages < MAX_PAGES, `there is more after ${pages} pages: ${page.text}`);
      const oldest = Math.min(...page.events.map(({ created_at }) => created_at));
      // A page that goes back no further is full of one second: what is left lies before it.
      until = oldest < until ? oldest : until - 1;
    }
  }

  // A relay without hints may cut what it sends at the limit that it advertises.
  #isPart({ hints, ids }: Requested): boolean {
    if (hints !== undefined) return Array.isArray(hints) && hints.includes("more");
    return this.#settings.maxLimit !== undefined && ids.length >= this.#settings.maxLimit;
  }

  /** Opens a subscription and fails when the relay refuses. Answers its id. */
  async subscribe(...filters: readonly Filter[]): Promise<string> {
    const { subscription, closed } = await this.request(filters);
    must(closed === undefined, `a REQ of ${JSON.stringify(filters)} was refused: ${closed}`);
    return subscription;
  }

  /** Waits for the event on a subscription. */
  async delivered(subscription: string, { id }: { readonly id: string }, mark = 0): Promise<void> {
    await this.connection.wait(
      `the live event ${id.slice(0, 8)} on "${subscription}"`,
      mark,
      (message) => message[0] === "EVENT" && message[1] === subscription && idIn(message) === id,
    );
  }

  /** Whether the event was ever sent here since the mark, on whatever subscription. */
  saw({ id }: { readonly id: string }, mark = 0): boolean {
    return this.connection
      .since(mark)
      .some(({ message }) => message[0] === "EVENT" && idIn(message) === id);
  }

  /**
   * Fails when the event was sent here, after a last question whose answer can only come behind it. Call it when the event has reached whoever may
   * have it.
   */
  async neverSaw(event: { readonly id: string }, why: string, mark = 0): Promise<void> {
    const { subscription, closed } = await this.request([{ kinds: [1], limit: 1 }]);
    if (closed === undefined) this.connection.say("CLOSE", subscription);
    must(!this.saw(event, mark), why);
  }

  /** A COUNT and its answer (NIP-45). */
  async count(filters: readonly Filter[], name = this.newSubscription()): Promise<Counted> {
    const { connection } = this;
    return unhurried(async () => {
      const mark = connection.mark;
      connection.say("COUNT", name, ...filters);
      const end = await connection.wait(
        `the answer to COUNT "${name}"`,
        mark,
        ([verb, id]) => (verb === "COUNT" || verb === "CLOSED") && id === name,
      );
      const closed = closedReason(end);
      if (closed !== undefined) return { count: undefined, closed, text: end.text };
      const { count } = Object(end.message[2]) as { count?: unknown };
      must(Number.isSafeInteger(count), `COUNT was answered with ${end.text}`);
      return { count: count as number, closed, text: end.text };
    }, isClosedHurriedly);
  }

  /** A subscription id that this connection has not used. */
  newSubscription(): string {
    return `s${++this.#subscriptions}`;
  }

  async #answered(message: readonly [string, NostrEvent], id: string): Promise<Answer> {
    const { connection } = this;
    const mark = connection.mark;
    const started = performance.now();
    connection.say(...message);
    const heard = await connection.wait(
      `OK for ${message[0]} ${id.slice(0, 8)}`,
      mark,
      ([verb, answered]) => verb === "OK" && answered === id,
    );
    const milliseconds = performance.now() - started;
    const [, , accepted, reason] = heard.message;
    must(
      typeof accepted === "boolean" && typeof reason === "string",
      `OK takes true or false and then a string, not ${heard.text}`,
    );
    return { accepted, reason, text: heard.text, milliseconds };
  }
}

function isHurried({ accepted, reason }: Answer): boolean {
  return !accepted && reason.startsWith("rate-limited:");
}

function isClosedHurriedly({ closed }: { readonly closed: string | undefined }): boolean {
  return closed?.startsWith("rate-limited:") === true;
}

function closedReason({ message, text }: Heard): string | undefined {
  if (message[0] !== "CLOSED") return undefined;
  if (typeof message[2] === "string") return message[2];
  throw new Failed(`CLOSED takes a string as its reason, not ${text}`);
}

function eventsIn(heard: readonly Heard[], subscription: string): NostrEvent[] {
  const events: NostrEvent[] = [];
  for (const { message, text } of heard) {
    if (message[0] !== "EVENT" || message[1] !== subscription) continue;
    must(idIn(message) !== undefined, `EVENT takes a subscription id and an event, not ${text}`);
    events.push(message[2] as NostrEvent);
  }
  return events;
}

function idIn(message: Message): string | undefined {
  const { id } = Object(message[2]) as { id?: unknown };
  return typeof id === "string" ? id : undefined;
}
