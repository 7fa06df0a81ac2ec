// One relay under test: its URL, its NIP-11 document, and what the suite has left there.
//
// Whatever the relay accepted for a recipient of ours is remembered, so that at the end it can be acknowledged: a run leaves tombstones, never drops.
// What was acknowledged or has expired in the course of a check is forgotten again; to acknowledge it once more would only leave one more tombstone.

import type { NostrEvent } from "../nostr/event.ts";
import { tagValue } from "../nostr/event.ts";
import { ACKNOWLEDGEMENT, DELETION, HELD_KINDS } from "../nostr/kinds.ts";
import { Client } from "./client.ts";
import { Connection } from "./connection.ts";
import { askHttp } from "./http.ts";
import {
  type Advertised,
  type DeadDrop,
  deadDropIn,
  type Document,
  documentIn,
  informationRequest,
  objectIn,
} from "./information.ts";
import { MAX_MINED_BITS, nowSeconds, type Person, sign } from "./people.ts";
import { Transcript } from "./transcript.ts";

/** An accepted drop and the keys that can ask for its deletion. */
type Left = { readonly event: NostrEvent; readonly recipient: Person; readonly author: Person };

// A relay that has said nothing in so many checks will not begin to talk; the run must end all the same.
const SILENT_CHECKS = 3;
const LITTLE_PATIENCE_MS = 500;
const MAX_ID_BATCH = 100;

export class Session {
  readonly url: string;
  readonly #patienceMs: number;
  readonly #left = new Map<string, Left>();
  #document: Document | undefined;
  #whyNoDocument = "";
  #silentChecks = 0;
  /** Whether the relay greets with a challenge (NIP-42); undefined until a connection was watched. */
  greets: boolean | undefined;

  private constructor(url: string, patienceMs: number) {
    this.url = url;
    this.#patienceMs = patienceMs;
  }

  /** Asks the relay who it is. That it does not answer is for the checks to report. */
  static async begin(url: string, patienceMs: number): Promise<Session> {
    const session = new Session(url, patienceMs);
    try {
      const patience = AbortSignal.timeout(patienceMs);
      session.#document = documentIn(await askHttp(informationRequest(url), patience));
    } catch (error) {
      session.#whyNoDocument = (error as Error).message;
    }
    return session;
  }

  /** How long one answer may take. */
  get patienceMs(): number {
    const isMute = this.#silentChecks >= SILENT_CHECKS;
    return isMute ? Math.min(LITTLE_PATIENCE_MS, this.#patienceMs) : this.#patienceMs;
  }

  /** To be called after each check. */
  noteSilence(wasSilent: boolean): void {
    this.#silentChecks = wasSilent ? this.#silentChecks + 1 : 0;
  }

  get document(): Document | undefined {
    return this.#document;
  }

  get deadDrop(): DeadDrop {
    return deadDropIn(this.#document);
  }

  /** Leading zero bits that events need here (NIP-13). */
  get minPowDifficulty(): number {
    const bits = objectIn(this.#document?.["limitation"])?.["min_pow_difficulty"];
    return Number.isSafeInteger(bits) ? Math.max(0, bits as number) : 0;
  }

  /** How many bits to mine for an event of ours; undefined when that would take too long. */
  get minedBits(): number | undefined {
    const bits = this.minPowDifficulty;
    return bits <= MAX_MINED_BITS ? bits : undefined;
  }

  /** Why the document does not promise this, or undefined when it does. A relay without a document is measured by NIP-01 and its own deeds. */
  whyNot(feature: Advertised): string | undefined {
    if (feature === "dead_drop") {
      if (objectIn(this.#document?.["dead_drop"]) !== undefined) return undefined;
      const why =
        this.#document === undefined ? ` (no NIP-11 document: ${this.#whyNoDocument})` : "";
      return `dead_drop is not advertised${why}`;
    }
    if (feature === "http") {
      return this.deadDrop.http ? undefined : "no HTTP door is advertised in NIP-11";
    }
    const nips = this.#document?.["supported_nips"];
    if (!Array.isArray(nips) || nips.includes(feature)) return undefined;
    return `NIP-${String(feature).padStart(2, "0")} is not advertised`;
  }

  /** Remembers an accepted drop until it is acknowledged. */
  accepted(event: NostrEvent, people: ReadonlyMap<string, Person>): void {
    if (event.kind === ACKNOWLEDGEMENT || event.kind === DELETION) {
      for (const [name, id] of event.tags) {
        const isGone =
          name === "e" && id !== undefined && this.#left.get(id)?.recipient.key === event.pubkey;
        // With a grace the drop is still there, perhaps beyond the end of the run.
        if (isGone && tagValue(event, "expiration") === undefined) this.#left.delete(id);
      }
      return;
    }
    const recipient = people.get(tagValue(event, "p") ?? "");
    const author = people.get(event.pubkey);
    if (!HELD_KINDS.has(event.kind) || recipient === undefined || author === undefined) return;
    this.#left.set(event.id, { event, recipient, author });
  }

  /** Acknowledges what is left. Answers what was done, in words for the report. */
  async cleanUp(): Promise<string> {
    const now = nowSeconds();
    for (const [id, { event }] of this.#left) {
      if (event.tags.some(([name, at]) => name === "expiration" && Number(at) <= now)) {
        this.#left.delete(id);
      }
    }
    const left = [...this.#left.values()];
    if (left.length === 0) return "nothing was left on the relay";
    let refused = 0;
    try {
      const connection = await Connection.open(this.url, {
        name: "cleaner",
        transcript: new Transcript(),
        patienceMs: this.patienceMs,
      });
      const cleaner = new Client(connection, { url: this.url, accepted: () => {} });
      try {
        for (const request of this.#requests(left)) {
          if (!(await cleaner.publish(request)).accepted) refused++;
        }
      } finally {
        connection.end();
      }
    } catch (error) {
      return `drops that may be left on the relay: ${left.length} (${(error as Error).message})`;
    }
    if (refused > 0) {
      return `drops that may be left on the relay: ${left.length} (requests that were refused: ${refused})`;
    }
    this.#left.clear();
    const how = this.whyNot("dead_drop") === undefined ? "acknowledged" : "to be deleted (NIP-09)";
    return `drops left on the relay: ${left.length}, now ${how}`;
  }

  // Where there are no acknowledgements, NIP-09: by the recipient for a gift wrap, by the author for everything.
  *#requests(left: readonly Left[]): Iterable<NostrEvent> {
    const knowsDeadDrops = this.whyNot("dead_drop") === undefined;
    const bySigner = new Map<Person, NostrEvent[]>();
    for (const { event, recipient, author } of left) {
      for (const signer of knowsDeadDrops ? [recipient] : [recipient, author]) {
        const owned = bySigner.get(signer);
        if (owned === undefined) bySigner.set(signer, [event]);
        else owned.push(event);
      }
    }
    const batch = Math.max(1, Math.min(this.deadDrop.maxAcknowledgementIds, MAX_ID_BATCH));
    for (const [signer, owned] of bySigner) {
      for (let start = 0; start < owned.length; start += batch) {
        const events = owned.slice(start, start + batch);
        const tags = events.map(({ id }) => ["e", id]);
        const kinds = [...new Set(events.map(({ kind }) => kind))];
        const template = knowsDeadDrops
          ? { kind: ACKNOWLEDGEMENT, tags }
          : { kind: DELETION, tags: [...tags, ...kinds.map((kind) => ["k", String(kind)])] };
        yield sign(signer, template, this.minedBits);
      }
    }
  }
}
