// One relay under test: its URL, and what its NIP-11 document says of it.

import type { NostrEvent } from "../nostr/event.ts";
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
import { Leftovers } from "./leftovers.ts";
import { MAX_MINED_BITS, type Person } from "./people.ts";

// A relay that has said nothing in so many checks will not begin to talk; the run must end all the same.
const SILENT_CHECKS = 3;
const LITTLE_PATIENCE_MS = 500;

export class Session {
  readonly url: string;
  readonly #patienceMs: number;
  readonly #leftovers = new Leftovers();
  #document: Document | undefined;
  #whyNoDocument = "";
  #silentChecks = 0;

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

  /** The most events that one filter is answered with (NIP-11); undefined when that is not said. */
  get maxLimit(): number | undefined {
    const limit = objectIn(this.#document?.["limitation"])?.["max_limit"];
    return Number.isSafeInteger(limit) ? (limit as number) : undefined;
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
    this.#leftovers.accepted(event, people);
  }

  /** Acknowledges what is left. Answers what was done, in words for the report. */
  cleanUp(): Promise<string> {
    return this.#leftovers.cleanUp(this);
  }
}
