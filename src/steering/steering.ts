// What is in force, and who may change it. Lives in the thread that has the store open, and owns the configuration that is in force and the operator's decisions.
//
// - Decisions and reloads take effect one after the other. Each is kept on disk first, then applied; it is answered when every thread works by it.
// - An authorization (NIP-98) is good for one request, also across a restart where it was for a decision.
// - A key or an address stands in no line of the log: it has the method and the reason, without what in it looks like either.

import { createHash } from "node:crypto";

import { inconsistencies } from "../config/consistency.ts";
import { ConfigError } from "../config/load.ts";
import { type Changes, changesTo } from "../config/run-time.ts";
import type { Config } from "../config/schema.ts";
import { HTTP_AUTH_WINDOW_SECONDS } from "../nostr/http-auth.ts";
import type { Reason } from "../nostr/reason.ts";
import { servedRecipients } from "../policy/admission.ts";
import { inNetworks } from "../policy/networks.ts";
import { type Log, reportFailure } from "../relay/observer.ts";
import { type Call, parseCall } from "./call.ts";
import { decide, type Outcome } from "./decide.ts";
import { type Decisions, keepDecisions, readDecisions } from "./decisions.ts";
import { inForce } from "./in-force.ts";
import { withoutNames } from "./without-names.ts";
import { UsedAuthorizations } from "./used-authorizations.ts";

/** A request whose authorization was checked but for its key, as an event loop hands it on. */
export type Asked = {
  /** Who signed the authorization. */
  readonly key: string;
  /** The authorization's own id and time. */
  readonly id: string;
  readonly created_at: number;
  /** Where it comes from. */
  readonly address: string;
  readonly body: string;
};

/** What is answered: what was asked for, why it was not done, or why it may not be asked. */
export type Answered =
  | { readonly result: unknown }
  | { readonly error: string }
  | { readonly refused: Reason };

export type SteeringParts = {
  /** The folder of the store. */
  readonly folder: string;
  readonly log: Log;
  /** Unix time, seconds. */
  readonly now: () => number;
  /** Removes all that is held for a recipient. Resolves when that is on disk. */
  readonly removeBox: (recipient: string) => Promise<void>;
  /** How the relay is. */
  readonly stats: () => object;
};

const NO_ADMIN: Reason = "restricted: this key may not steer the relay";
const USED: Reason =
  "auth-required: the authorization was used before; each is good for one request";
const TOO_MANY: Reason = "rate-limited: too many requests of admins in two minutes";
const OWN_ADDRESS = "this request comes from there; nobody could take it back";
const NOT_DENIED = "its drops are still taken; ban the recipient first";

export class Steering {
  readonly #parts: SteeringParts;
  readonly #used: UsedAuthorizations;
  #configured: Config;
  #decisions: Decisions;
  #apply: (config: Config) => Promise<void> = async () => {};
  #start: () => void = () => {};
  // What is asked before there is anything to apply it to waits.
  #queue: Promise<unknown> = new Promise<void>((resolve) => {
    this.#start = resolve;
  });

  /** Reads what was decided before. Throws, with what to do, when that cannot be read. */
  constructor(parts: SteeringParts, configured: Config) {
    this.#parts = parts;
    this.#configured = configured;
    const { decisions, used } = readDecisions(parts.folder);
    this.#decisions = decisions;
    this.#used = new UsedAuthorizations(used);
  }

  /** What is in force now. */
  get config(): Config {
    return inForce(this.#configured, this.#decisions);
  }

  /** Changes are told from now on to `apply`, which resolves when everything works by them, and rejects, having changed nothing, when it cannot. */
  begin(apply: (config: Config) => Promise<void>): void {
    this.#apply = apply;
    this.#start();
  }

  /** Does what an admin asks for. Resolves when it is true everywhere, and after a restart. */
  async ask(asked: Asked): Promise<Answered> {
    try {
      return await this.#ask(asked);
    } catch (error) {
      reportFailure(this.#parts.log, error);
      return { error: "it could not be done; the log of the relay says why" };
    }
  }

  /** Takes up another configuration, as far as that goes without a restart. Rejects with a ConfigError when it does not fit what is in force, which stays then. */
  reload(wanted: Config): Promise<Changes> {
    return this.#inTurn(async () => {
      const changes = changesTo(this.#configured, wanted);
      const broken = inconsistencies(changes.config);
      if (broken.length > 0) {
        throw new ConfigError(`${broken.join("\n")}, until the relay is started again`);
      }
      await this.#apply(inForce(changes.config, this.#decisions));
      this.#configured = changes.config;
      return changes;
    });
  }

  /** Of `settings`, dotted names, those that a decision gives another value than the configuration. */
  overruled(settings: readonly string[]): string[] {
    return settings.filter(
      (name) =>
        (name === "name" || name === "description" || name === "icon") &&
        this.#decisions[name] !== undefined,
    );
  }

  async #ask(asked: Asked): Promise<Answered> {
    const { key, id, created_at, body } = asked;
    if (!this.#configured.admins.includes(key)) return { refused: NO_ADMIN };
    const use = this.#used.use(id, created_at + HTTP_AUTH_WINDOW_SECONDS, this.#parts.now());
    if (use === "used") return { refused: USED };
    if (use === "too many") return { refused: TOO_MANY };
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      return { error: "the body is not JSON" };
    }
    const call = parseCall(value);
    return typeof call === "string"
      ? { error: call }
      : this.#inTurn(() => this.#answer(call, asked));
  }

  async #answer(call: Call, asked: Asked): Promise<Answered> {
    const { method, subject } = call;
    if (method === "stats") return { result: { ...this.#parts.stats(), ...this.#counted() } };
    if (method === "removebox") {
      if (servedRecipients(this.config)(subject)) return { error: NOT_DENIED };
      const unkept = this.#keep(this.#decisions);
      if (unkept !== undefined) return unkept;
      await this.#parts.removeBox(subject);
      this.#audit(call, asked);
      return { result: true };
    }
    if (method === "blockip" && inNetworks([subject])(asked.address)) return { error: OWN_ADDRESS };
    const known = { config: this.#configured, decisions: this.#decisions };
    const outcome: Outcome = decide(call, known) ?? { error: "there is no such method" };
    if ("error" in outcome || outcome.decisions === undefined) return outcome;
    const unkept = this.#keep(outcome.decisions);
    if (unkept !== undefined) return unkept;
    this.#decisions = outcome.decisions;
    await this.#apply(this.config);
    this.#audit(call, asked);
    return { result: outcome.result };
  }

  #keep(decisions: Decisions): { error: string } | undefined {
    const { folder, log } = this.#parts;
    try {
      keepDecisions(folder, decisions, this.#used.all);
      return undefined;
    } catch (error) {
      log.error({ err: error }, "a decision could not be written, and is not in force");
      return { error: "the decision could not be written, and is not in force; is the disk full?" };
    }
  }

  #counted(): object {
    const { bannedRecipients, bannedAuthors, allowedRecipients, blockedNetworks } = this.#decisions;
    return {
      decisions: {
        bannedRecipients: bannedRecipients.size,
        bannedAuthors: bannedAuthors.size,
        allowedRecipients: allowedRecipients.size,
        blockedNetworks: blockedNetworks.size,
      },
    };
  }

  #audit({ method, reason }: Call, { key }: Asked): void {
    const by = createHash("sha256").update(key).digest("hex").slice(0, 8);
    this.#parts.log.info({ method, reason: withoutNames(reason), by }, "steered");
  }

  #inTurn<Done>(work: () => Promise<Done>): Promise<Done> {
    const done = this.#queue.then(work);
    this.#queue = done.catch(() => {});
    return done;
  }
}
