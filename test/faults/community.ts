// People who write to each other all day, over both doors, and what each of them must find: the load of the soak.

import { once } from "node:events";
import { Agent, request } from "node:http";
import { setTimeout as after } from "node:timers/promises";

import type { NostrEvent } from "nostr-tools";

import { NegentropyClient } from "../support/negentropy.ts";
import { type Person, person } from "../support/people.ts";
import { finalizeEvent } from "../support/sign.ts";
import { Phone } from "./phone.ts";
import type { Chance } from "./seeded.ts";

const HOUR = 60 * 60;
const DAY = 24 * HOUR;
/** What the relay has to be set to: with the two days of NIP-59 that is how long a drop lives at most. */
export const RETENTION_SECONDS = HOUR;
const RULE_SECONDS = 2 * DAY + RETENTION_SECONDS;
// Drops live for so long, so that all of them are gone after the next jump of the clock.
const LEAST_LIFE = 5 * 60;
const MOST_LIFE = 5 * HOUR;
// What is said of the edge of a drop's life is not judged: the relay and the test do not ask the clock in the same moment.
const EDGE_SECONDS = 5;

export type CommunitySettings = {
  readonly url: string;
  readonly http: string;
  readonly people: number;
  readonly chance: Chance;
  /** Unix seconds, by the relay's clock. */
  readonly now: () => number;
};

type Letter = {
  readonly event: NostrEvent;
  readonly to: Member;
  readonly expiry: number;
  /** When it is gone by acknowledgement: at once, or at the end of a grace. */
  gone: number;
};

type Member = {
  readonly who: Person;
  readonly inbox: Set<string>;
  phone: Phone | undefined;
};

/** How often what was done. */
export type Deeds = Record<string, number>;

export class Community {
  readonly deeds: Deeds = {};
  /** What was answered or shown that must not be. */
  readonly wrongs: string[] = [];
  readonly #settings: CommunitySettings;
  readonly #members: readonly Member[];
  readonly #writer = person();
  readonly #letters = new Map<string, Letter>();
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 4, maxFreeSockets: 4 });
  #sender: Phone | undefined;
  #made = 0;

  constructor(settings: CommunitySettings) {
    this.#settings = settings;
    this.#members = Array.from({ length: settings.people }, () => ({
      who: person(),
      inbox: new Set<string>(),
      phone: undefined,
    }));
  }

  /** Connections that it has open. */
  get connections(): number {
    const phones = this.#members.filter(({ phone }) => phone !== undefined).length;
    return phones + (this.#sender === undefined ? 0 : 1);
  }

  /** Does things at this rate until `until`, in milliseconds of `performance.now`, then lets all of them end. */
  async live(perSecond: number, until: number): Promise<void> {
    const begun = performance.now();
    const doing = new Set<Promise<void>>();
    for (let done = 0; performance.now() < until; done += 1) {
      const due = begun + (done * 1_000) / perSecond;
      const early = due - performance.now();
      if (early > 0) await after(early);
      const deed = this.#doSomething()
        .catch((error: unknown) => this.#wrong(String(error)))
        .finally(() => doing.delete(deed));
      doing.add(deed);
      // Not more than so much at once, or what is slow is hidden by more of the same.
      if (doing.size > 64) await Promise.race(doing);
    }
    await Promise.all(doing);
  }

  /** What became past is forgotten, as the relay does. */
  forgetsPast(): void {
    const now = this.#settings.now();
    for (const [id, { expiry, to }] of this.#letters) {
      if (expiry > now - HOUR) continue;
      this.#letters.delete(id);
      to.inbox.delete(id);
    }
  }

  /** Everybody looks into their box: all that must be there is, and nothing else. */
  async looks(): Promise<void> {
    for (const member of this.#members) {
      const seen = new Set<string>();
      const { url, now } = this.#settings;
      const phone = await Phone.connect({ url, now, onDrop: ({ id }) => void seen.add(id) });
      const [verb] = await phone.listen(member.who);
      if (verb !== "EOSE") this.#wrong(`a pickup ended with ${verb}`);
      for (const id of seen) this.#shown(id);
      for (const { event, to, gone, expiry } of this.#letters.values()) {
        const isThere = Math.min(gone, expiry) > now() + EDGE_SECONDS;
        if (to === member && isThere && !seen.has(event.id)) this.#wrong(`${event.id} is lost`);
      }
      await phone.leave();
    }
    this.#did("look into a box");
  }

  /** Everybody hangs up. */
  async ends(): Promise<void> {
    await this.#sender?.leave();
    for (const { phone } of this.#members) await phone?.leave();
    this.#agent.destroy();
  }

  async #doSomething(): Promise<void> {
    const { chance } = this.#settings;
    const deeds: [weight: number, () => Promise<void>][] = [
      [50, () => this.#drop()],
      [14, () => this.#connect()],
      [12, () => this.#hangUp()],
      [14, () => this.#acknowledge()],
      [3, () => this.#acknowledgeEarly()],
      [4, () => this.#pickUpOverHttp()],
      [2, () => this.#reconcile()],
      [2, () => this.#repeat()],
      [1, () => this.#changeSender()],
    ];
    let at = chance.between(1, 102);
    for (const [weight, deed] of deeds) {
      at -= weight;
      if (at <= 0) {
        await deed();
        return;
      }
    }
  }

  #letter(): Letter {
    const { chance, now } = this.#settings;
    const to = chance.of(this.#members);
    const life = chance.between(LEAST_LIFE, MOST_LIFE);
    const isTagged = chance.is(0.5);
    const rule = now() - chance.between(0, DAY);
    // Either its tag ends its life, or the rule of the retention does.
    const created_at = isTagged ? rule : now() + life - RULE_SECONDS;
    const expiry = isTagged ? Math.min(now() + life, rule + RULE_SECONDS) : now() + life;
    const tags = [["p", to.who.key], ...(isTagged ? [["expiration", String(expiry)]] : [])];
    const length = chance.is(0.05) ? 20_000 : chance.between(200, 1_500);
    const content = String(this.#made++).padEnd(length, "x");
    const event = finalizeEvent({ kind: 1059, created_at, tags, content }, this.#writer.secret);
    return { event, to, expiry, gone: Infinity };
  }

  async #drop(): Promise<void> {
    const letter = this.#letter();
    const { id } = letter.event;
    const { chance } = this.#settings;
    this.#letters.set(id, letter);
    const isHttp = chance.is(0.2);
    const answer = isHttp
      ? await this.#post("/drop", letter.event)
      : await this.#publish(letter.event);
    this.#must(answer, isHttp ? 201 : true, "a drop");
    letter.to.inbox.add(id);
    this.#did(isHttp ? "drop over HTTP" : "drop");
  }

  // The same drop once more: whether it is held, or was acknowledged, is not told.
  async #repeat(): Promise<void> {
    const { now } = this.#settings;
    const known = [...this.#letters.values()].find(
      ({ event, to, expiry }) => to.inbox.has(event.id) && expiry > now() + EDGE_SECONDS,
    );
    if (known === undefined) return;
    const [verb, , isHeld, reason] = await (await this.#sending()).publish(known.event);
    const isRight = isHeld === true && reason === "duplicate: already have this event";
    if (verb === "OK" && !isRight) this.#wrong(`a repeated drop is answered ${String(reason)}`);
    this.#did("repeated drop");
  }

  async #connect(): Promise<void> {
    const { url, now, chance } = this.#settings;
    const member = chance.of(this.#members);
    const before = member.phone;
    member.phone = undefined;
    await before?.vanish();
    const phone = await Phone.connect({
      url,
      now,
      onDrop: ({ id }) => this.#shown(id),
    });
    const [verb] = await phone.listen(member.who);
    if (verb !== "EOSE") this.#wrong(`a pickup ended with ${verb}`);
    for (const id of ["a", "b"]) if (chance.is(0.3)) void phone.request(id, { kinds: [1059] });
    // Somebody else may have connected this member meanwhile.
    if (member.phone === undefined) member.phone = phone;
    else await phone.leave();
    this.#did("connection that listens");
  }

  async #hangUp(): Promise<void> {
    const { chance } = this.#settings;
    const member = chance.of(this.#members);
    const { phone } = member;
    member.phone = undefined;
    if (phone === undefined) return;
    if (chance.is(0.5)) await phone.leave();
    else await phone.vanish();
    this.#did("connection that ends");
  }

  // Early: just come; or late. Some with grace.
  async #acknowledge(): Promise<void> {
    const { chance, now } = this.#settings;
    const member = chance.of(this.#members);
    const inbox = [...member.inbox]
      .map((id) => this.#letters.get(id))
      .filter((letter) => letter !== undefined && letter.gone === Infinity) as Letter[];
    const some = chance.is(0.5) ? inbox.slice(-3) : inbox.slice(0, chance.between(1, 20));
    if (some.length === 0) return;
    const grace = chance.is(0.2) ? now() + chance.between(60, HOUR) : undefined;
    for (const letter of some) letter.gone = grace ?? now();
    const tags = some.map(({ event }) => ["e", event.id]);
    if (grace !== undefined) tags.push(["grace", String(grace)]);
    await this.#sendAcknowledgement(member, tags);
    this.#did("acknowledgement", some.length);
  }

  // It was picked up at another relay, and comes here later.
  async #acknowledgeEarly(): Promise<void> {
    const letter = { ...this.#letter(), gone: 0 };
    const { event, to } = letter;
    this.#letters.set(event.id, letter);
    await this.#sendAcknowledgement(to, [["e", event.id]]);
    this.#must(await this.#publish(event), true, "a drop that was acknowledged before");
    to.inbox.add(event.id);
    this.#did("drop that was acknowledged before");
  }

  async #sendAcknowledgement({ who, phone }: Member, tags: string[][]): Promise<void> {
    const { chance, now } = this.#settings;
    const template = { kind: 20221, created_at: now(), tags, content: "" };
    const event = finalizeEvent(template, who.secret);
    if (chance.is(0.3)) {
      this.#must(await this.#post("/ack", event), 200, "an acknowledgement");
      return;
    }
    // A phone may be hung up while it waits.
    const answer = await phone?.publish(event);
    const isAnswered = answer?.[0] === "OK";
    this.#must(isAnswered ? answer : await this.#publish(event), true, "an acknowledgement");
  }

  async #pickUpOverHttp(): Promise<void> {
    const { chance, http, now } = this.#settings;
    const { who } = chance.of(this.#members);
    const path = `/pickup/${who.key}`;
    const tags = [
      ["u", new URL(path, http).href],
      ["method", "GET"],
    ];
    const template = { kind: 27235, created_at: now(), tags, content: "" };
    const header = JSON.stringify(finalizeEvent(template, who.secret));
    const authorization = `Nostr ${Buffer.from(header).toString("base64")}`;
    const { status, text } = await this.#ask("GET", path, { authorization });
    if (status !== 200) this.#wrong(`a pickup over HTTP is answered ${status}: ${text}`);
    else
      for (const line of text.split("\n").slice(0, -1)) {
        this.#shown((JSON.parse(line) as NostrEvent).id);
      }
    this.#did("pickup over HTTP");
  }

  async #reconcile(): Promise<void> {
    const phone = this.#settings.chance.of(this.#members).phone;
    const begin = new NegentropyClient([]).begin();
    const answer = await phone?.ask("neg", "NEG-OPEN", "neg", {}, begin);
    if (answer === undefined || answer[0] === "closed") return;
    if (answer[0] !== "NEG-MSG") this.#wrong(`a reconciliation is answered ${answer.join(" ")}`);
    phone?.say("NEG-CLOSE", "neg");
    this.#did("reconciliation");
  }

  async #changeSender(): Promise<void> {
    const before = this.#sender;
    this.#sender = undefined;
    await before?.leave();
  }

  // Once more where the connection was hung up before the answer.
  async #publish(event: NostrEvent): Promise<readonly unknown[]> {
    for (;;) {
      const answer = await (await this.#sending()).publish(event);
      if (answer[0] !== "closed") return answer;
    }
  }

  async #sending(): Promise<Phone> {
    const { url, now } = this.#settings;
    if (this.#sender !== undefined) return this.#sender;
    const phone = await Phone.connect({ url, now });
    if (this.#sender === undefined) {
      this.#sender = phone;
      return phone;
    }
    // Another one was opened meanwhile, and may be gone again.
    await phone.leave();
    return this.#sending();
  }

  #shown(id: string): void {
    const letter = this.#letters.get(id);
    if (letter === undefined) return this.#wrong(`${id} is shown, and long past`);
    const until = Math.min(letter.expiry, letter.gone);
    if (until === letter.gone && letter.gone > 0 && letter.gone !== Infinity) {
      // What is acknowledged while it is on its way may still arrive.
      if (until + 10 * EDGE_SECONDS >= this.#settings.now()) return;
    }
    if (until < this.#settings.now() - EDGE_SECONDS) this.#wrong(`${id} is shown, and gone`);
  }

  #must(answer: readonly unknown[], expected: unknown, what: string): void {
    if (answer[2] !== expected) this.#wrong(`${what} is answered ${answer.join(" ")}`);
  }

  #did(what: string, times = 1): void {
    this.deeds[what] = (this.deeds[what] ?? 0) + times;
  }

  #wrong(what: string): void {
    if (this.wrongs.length < 20) this.wrongs.push(what);
  }

  async #post(path: string, event: NostrEvent): Promise<readonly unknown[]> {
    const { status, text } = await this.#ask("POST", path, {}, JSON.stringify(event));
    return ["HTTP", path, status, text];
  }

  async #ask(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
    body = "",
  ): Promise<{ status: number; text: string }> {
    const { http } = this.#settings;
    const asked = request(new URL(path, http), { method, headers, agent: this.#agent });
    asked.end(body);
    const [response] = (await once(asked, "response")) as [
      AsyncIterable<Buffer> & { statusCode: number },
    ];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    return { status: response.statusCode, text: Buffer.concat(chunks).toString("utf8") };
  }
}
