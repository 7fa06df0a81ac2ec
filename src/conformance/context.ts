import type { NostrEvent } from "../nostr/event.ts";
import {
  ACKNOWLEDGEMENT,
  DELETION,
  DIRECT_MESSAGE,
  EPHEMERAL_GIFT_WRAP,
  GIFT_WRAP,
  VANISH,
} from "../nostr/kinds.ts";
import { Client } from "./client.ts";
import { Connection } from "./connection.ts";
import { type Door, httpDoor } from "./door.ts";
import { askHttp, type HttpAnswer, type HttpRequest } from "./http.ts";
import { createdAtFor, type DeadDrop, expiryOf, informationRequest } from "./information.ts";
import { makePerson, nowSeconds, type Person, sign, type Template } from "./people.ts";
import { pause } from "./rate-limit.ts";
import type { Session } from "./session.ts";
import { Transcript } from "./transcript.ts";
import { Failed, must, Skipped } from "./verdict.ts";

type Change = Partial<Omit<Template, "kind">>;
type Named = { readonly id: string };

const POLL_MS = 200;

/** One check under way: its people, its connections, what was said. Ended, everything it waits for fails. */
export class Context {
  readonly transcript = new Transcript();
  readonly timeoutMs: number;
  /** The relay's HTTP door. */
  readonly door: Door;
  readonly #session: Session;
  readonly #people = new Map<string, Person>();
  readonly #connections: Connection[] = [];
  readonly #ending = new AbortController();
  #sender: Promise<Client> | undefined;
  readonly #began = nowSeconds();
  #made = 0;

  constructor(session: Session, timeoutMs: number) {
    this.#session = session;
    this.timeoutMs = timeoutMs;
    this.door = httpDoor({
      url: session.url,
      ask: (request) => this.#ask(request),
      accepted: (event) => session.accepted(event, this.#people),
    });
  }

  // People.

  person(): Person {
    const person = makePerson();
    this.#people.set(person.key, person);
    return person;
  }

  /** A connection that has said nothing yet. */
  async open(name: string): Promise<Client> {
    const { url, patienceMs } = this.#session;
    const connection = await Connection.open(url, {
      name,
      transcript: this.transcript,
      patienceMs,
    });
    this.#connections.push(connection);
    if (this.#ending.signal.aborted) connection.end();
    return new Client(connection, {
      url,
      maxLimit: this.#session.maxLimit,
      accepted: (event) => this.#session.accepted(event, this.#people),
    });
  }

  /** A connection on which these people are authenticated, by the challenge that NIP-DD promises. */
  async as(name: string, ...people: readonly Person[]): Promise<Client> {
    const client = await this.open(name);
    return client.authenticate(...people);
  }

  /** A connection on which the person may read, on whatever relay: authenticated if the relay asks for it, on opening or when it is asked. */
  async reader(name: string, person: Person): Promise<Client> {
    const client = await this.open(name);
    return (await client.isAskedForKey(person)) ? client.authenticate(person) : client;
  }

  /** The connection on which this check publishes what has no connection of its own. It is never authenticated. */
  sender(): Promise<Client> {
    this.#sender ??= this.open("sender");
    return this.#sender;
  }

  // Events.

  /** A gift wrap, by a key of its own unless `from` is given. */
  wrap({
    to,
    from = this.person(),
    ...change
  }: { to: Person; from?: Person } & Change): NostrEvent {
    return this.#addressed(GIFT_WRAP, from, to, change);
  }

  message({ from, to, ...change }: { from: Person; to: Person } & Change): NostrEvent {
    return this.#addressed(DIRECT_MESSAGE, from, to, change);
  }

  ephemeral({ to, ...change }: { to: Person } & Change): NostrEvent {
    return this.#addressed(EPHEMERAL_GIFT_WRAP, this.person(), to, change);
  }

  /** A drop of each kind that the relay holds, a second apart when they are dated. */
  oneOfEach({ to, created_at, ...change }: { to: Person } & Change): NostrEvent[] {
    return [...this.deadDrop.kinds].map((kind, n) => {
      const dated = created_at === undefined ? {} : { created_at: created_at - n };
      return this.#addressed(kind, this.person(), to, { ...change, ...dated });
    });
  }

  /** Kind 20221; with a grace for each Unix time in `until`. */
  acknowledgement(
    by: Person,
    drops: readonly Named[],
    { until = [], ...change }: { until?: number | readonly number[] } & Change = {},
  ): NostrEvent {
    const tags = [...drops.map(({ id }) => ["e", id]), ...graces(until)];
    return this.sign(by, { kind: ACKNOWLEDGEMENT, tags, ...change });
  }

  /** As many acknowledgements as it takes for all of them, where the relay takes few ids in one. */
  acknowledgements(by: Person, drops: readonly Named[]): NostrEvent[] {
    return this.#batches(drops).map((batch) => this.acknowledgement(by, batch));
  }

  /** Kind 5; with a grace for each Unix time in `until`. */
  deletion(
    by: Person,
    drops: readonly NostrEvent[],
    { until = [], tags = [], ...change }: { until?: number | readonly number[] } & Change = {},
  ): NostrEvent {
    const kinds = [...new Set(drops.map(({ kind }) => String(kind)))];
    const named = [...drops.map(({ id }) => ["e", id]), ...kinds.map((kind) => ["k", kind])];
    return this.sign(by, {
      kind: DELETION,
      tags: [...named, ...graces(until), ...tags],
      ...change,
    });
  }

  /** As many of kind 5 as it takes for all of them. */
  deletions(by: Person, drops: readonly NostrEvent[]): NostrEvent[] {
    return this.#batches(drops).map((batch) => this.deletion(by, batch));
  }

  vanish(by: Person, relay: string, change: Change = {}): NostrEvent {
    return this.sign(by, { kind: VANISH, tags: [["relay", relay]], ...change });
  }

  /** Signed, with the proof of work that the relay asks for; `inLetter` is about the spelling of the id. */
  sign(by: Person, template: Template, inLetter = false): NostrEvent {
    const bits = this.#session.minedBits;
    if (bits === undefined) {
      throw new Skipped(`events need ${this.#session.minPowDifficulty} bits of work (NIP-13)`);
    }
    return sign(by, template, { bits, inLetter });
  }

  // Short cuts for what most checks begin with.

  /** Publishes what is accepted until a second that is near, and skips the check when the relay takes longer than that. */
  async dropBefore(second: number, ...events: readonly NostrEvent[]): Promise<void> {
    try {
      await this.drop(...events);
    } catch (error) {
      if (Date.now() < second * 1_000) throw error;
      throw new Skipped("the relay took longer to answer than what was sent was to be held");
    }
  }

  /** Publishes from a stranger's connection, and fails unless everything is accepted. Answers the last answer's text. */
  async drop(...events: readonly NostrEvent[]): Promise<string> {
    const sender = await this.sender();
    let text = "";
    for (const event of events) {
      const answer = await sender.publish(event);
      must(answer.accepted, `an event of kind ${event.kind} was refused: ${answer.reason}`);
      text = answer.text;
    }
    return text;
  }

  /** Publishes and fails unless it is refused, with this prefix if one is given. */
  async refused(what: string, event: NostrEvent, prefix?: string): Promise<void> {
    const sender = await this.sender();
    const { accepted, reason } = await sender.publish(event);
    must(!accepted, `${what} was accepted`);
    const isAsDemanded =
      prefix === undefined ? /^[a-z-]+: ?\S/.test(reason) : reason.startsWith(prefix);
    must(isAsDemanded, `${what} was refused with "${reason}", not with ${prefix ?? "a prefix"}`);
  }

  // The relay.

  get url(): string {
    return this.#session.url;
  }

  get document(): Session["document"] {
    return this.#session.document;
  }

  get deadDrop(): DeadDrop {
    return this.#session.deadDrop;
  }

  /** Whether the relay holds drops of this kind. */
  holds(kind: number): boolean {
    return this.deadDrop.kinds.has(kind);
  }

  /** Skips the check when the relay does not hold drops of this kind. */
  needsKind(kind: number): void {
    if (!this.holds(kind)) throw new Skipped(`the relay does not hold kind ${kind}`);
  }

  /** Skips the check when a box is too small for it. */
  needsRoom(drops: number): void {
    const { maxDrops } = this.deadDrop;
    if (maxDrops < drops)
      throw new Skipped(`takes a box of ${drops} drops; max_drops is ${maxDrops}`);
  }

  /** Skips the check when the relay takes fewer ids in an acknowledgement, or remembers fewer of drops it has not seen. */
  needsIds(ids: number, unseen = 0): void {
    const { maxAcknowledgementIds: most, maxEarlyAcknowledgements: mostUnseen } = this.deadDrop;
    if (most < ids) throw new Skipped(`takes ${ids} ids; max_acknowledgement_ids is ${most}`);
    if (mostUnseen < unseen) {
      throw new Skipped(`takes ${unseen} unseen ids; max_early_acknowledgements is ${mostUnseen}`);
    }
  }

  /** When an event of this `created_at` expires, without an expiration tag. */
  expiryOf(createdAt: number): number {
    return expiryOf(createdAt, this.deadDrop);
  }

  /** The `created_at` of an event that expires at this second. Skips the check when a change of the retention leaves none. */
  createdAtFor(expiry: number): number {
    const createdAt = createdAtFor(expiry, this.deadDrop);
    if (createdAt === undefined) throw new Skipped("former_retentions leave no event at its edge");
    return createdAt;
  }

  get minPowDifficulty(): number {
    return this.#session.minPowDifficulty;
  }

  /** Whether the relay promises NIP-45, so that a check of something else may count, too. */
  get counts(): boolean {
    return this.#session.whyNot(45) === undefined;
  }

  askInformation(): Promise<HttpAnswer> {
    return this.#ask(informationRequest(this.url));
  }

  // Time.

  /** Skips the check when its limit is too short for what it waits for. */
  needsSeconds(seconds: number): void {
    if (this.timeoutMs >= seconds * 1_000) return;
    throw new Skipped(`takes a time limit of ${seconds} s and more`);
  }

  /** Asks again and again until the clock shows `until`, a Unix time. */
  async untilSecond(until: number, ask?: () => Promise<void>): Promise<void> {
    while (Date.now() < until * 1_000) {
      if (this.#ending.signal.aborted) throw new Failed("out of time");
      await ask?.();
      await pause(Math.min(POLL_MS, Math.max(1, until * 1_000 - Date.now())));
    }
  }

  get heardAnything(): boolean {
    return this.transcript.lines.some(({ direction }) => direction === "heard");
  }

  end(): void {
    this.#ending.abort();
    for (const connection of this.#connections) connection.end();
  }

  async #ask(request: HttpRequest): Promise<HttpAnswer> {
    const { method = "GET", url, accept, authorization, body } = request;
    const say = (direction: "sent" | "heard", text: string): void =>
      this.transcript.add("http", direction, text);
    say("sent", `${method} ${url}${accept === undefined ? "" : ` as ${accept}`}`);
    if (authorization !== undefined) say("sent", `authorized by ${JSON.stringify(authorization)}`);
    if (body !== undefined) say("sent", body);
    const patience = AbortSignal.timeout(this.#session.patienceMs);
    const answer = await askHttp(request, AbortSignal.any([patience, this.#ending.signal]));
    const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join(" · ");
    say("heard", `${answer.status} · ${headers}`);
    say("heard", answer.body);
    return answer;
  }

  #addressed(kind: number, from: Person, to: Person, { tags = [], ...change }: Change): NostrEvent {
    if (kind !== EPHEMERAL_GIFT_WRAP) this.needsKind(kind);
    // Two events of one second must not be one event. And each has a second of its own, for "more" can be followed by the second alone (NIP-67).
    const made = this.#made++;
    const content = `conformance ${made} ${nowSeconds()}`;
    const fields = { created_at: this.#began - made, content, ...change };
    return this.sign(from, { kind, ...fields, tags: [["p", to.key], ...tags] });
  }

  #batches<Drop>(drops: readonly Drop[]): Drop[][] {
    const most = Math.max(1, this.deadDrop.maxAcknowledgementIds);
    return Array.from({ length: Math.ceil(drops.length / most) }, (_, n) =>
      drops.slice(n * most, (n + 1) * most),
    );
  }
}

function graces(until: number | readonly number[]): string[][] {
  return [until].flat().map((time) => ["grace", String(time)]);
}
