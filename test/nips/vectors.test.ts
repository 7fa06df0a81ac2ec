// The vectors of NIP-DD (nips/vectors), gone through with the relay's own parts and a clock that says what the vector says.

import { readFileSync } from "node:fs";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { schema } from "../../src/config/schema.ts";
import { relayInformation } from "../../src/http/information.ts";
import { admission } from "../../src/policy/admission.ts";
import { RateLimiter } from "../../src/policy/rate-limiter.ts";
import { examiner } from "../../src/relay/examine.ts";
import { Relay } from "../../src/relay/relay.ts";
import { scan } from "../../src/relay/scan.ts";
import { openKnownDrops } from "../../src/store/known-drops.ts";

import type { Store } from "../../src/store/store.ts";
import { plainVerifier } from "../../src/verify/plain.ts";
import { openBelieving } from "../support/clock.ts";
import { temporaryFolder } from "../support/relay.ts";

type Step =
  | { now: number; publish: NostrEvent; answer: [string, string, boolean, string] }
  | { now: number; box: string; holds: string[] }
  | { now: number; retention: number }
  | { now: number; advertises: { retention: number; former_retentions: object[] | null } };
type Case = { title: string; retention: number; steps: Step[] };

const LIMITS = {
  filters: 20,
  eventBytes: 65_536,
  filterValues: 1_000,
  subscriptions: 32,
  authKeys: 1_000,
  reconcile: 1,
  messageBytes: 1,
  limit: 5_000,
  outboxBytes: 2 ** 22,
  filterBytes: 2 ** 20,
  memoryPerAddress: 2 ** 25,
  memory: 2 ** 28,
  inbox: 256,
  inboxBytes: 2 ** 22,
  pingSeconds: 30,
  deadSeconds: 75,
  connections: 100,
  connectionsPerAddress: 100,
  boxDrops: 5_000,
  boxBytes: 2 ** 26,
  earlyTombstones: 10_000,
  earlyTombstonesInAll: 10_000,
  authorDeletesWraps: false,
};

const CONFIG = schema.parse({});

type Running = {
  relay: Relay;
  store: Store;
  /** Its `dead_drop` object now. */
  deadDrop(): object;
  stop(): Promise<void>;
};

async function start(
  folder: string,
  retentionSeconds: number,
  clock: { at: number },
): Promise<Running> {
  const settings = { folder, retentionSeconds, diskReserveBytes: 0, limits: LIMITS };
  const { store, rule, shared } = await openBelieving(settings, clock.at);
  const known = openKnownDrops(folder, shared);
  const policies = admission({
    tags: 100,
    eventBytes: 65_536,
    proofOfWork: 0,
    rule,
    allowedRecipients: [],
    deniedRecipients: [],
    deniedAuthors: [],
  });
  const verifier = plainVerifier();
  const runtime = { now: () => clock.at, monotonic: () => clock.at, randomHex: () => "00" };
  const parts = { verifier, known, policies, rule, maxAcknowledgementIds: 1_000, runtime };
  const examine = examiner(parts);
  const unlimited = new RateLimiter({ perSecond: 0, burst: 1 });
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const relay = new Relay(
    {
      store,
      pool: { hasRoom: true, ask: async (text) => examine([text])[0] },
      publishing: unlimited,
      asking: unlimited,
      copying: unlimited,
      filling: unlimited,
      passOn() {},
      observer: { count() {}, measure() {} },
      log: silent,
      runtime,
    },
    { urls: [{ host: "relay.example", path: "" }], limits: LIMITS },
  );
  return {
    relay,
    store,
    deadDrop() {
      const informing = { config: CONFIG, policies, rule, version: "" };
      return relayInformation(informing, clock.at).dead_drop;
    },
    async stop() {
      relay.close();
      await known.close();
      await store.close();
    },
  };
}

/** Of an object those members that another one has. */
function pick(object: object, named: object): object {
  return Object.fromEntries(Object.entries(object).filter(([name]) => Object.hasOwn(named, name)));
}

async function box(
  { store, relay }: { store: Store; relay: Relay },
  recipient: string,
  now: number,
): Promise<(string | undefined)[]> {
  const filters = [{ filter: { tags: new Map() }, recipients: new Set([recipient]) }];
  const { headers } = await scan(store, filters, {
    now: () => now,
    watermark: store.watermark,
    maxLimit: 5_000,
    isGivenUp: () => false,
    turn: relay.host.turns.of("127.0.0.1"),
  });
  return store.read(headers).map((json) => (JSON.parse(json ?? "{}") as { id?: string }).id);
}

/** What the relay says and holds at each step, and what the vector says about it. */
async function goThrough({ retention, steps }: Case): Promise<[seen: unknown[], told: unknown[]]> {
  const folder = temporaryFolder();
  const clock = { at: steps[0]?.now ?? 0 };
  const seen: unknown[] = [];
  const told: unknown[] = [];
  let running = await start(folder, retention, clock);
  for (const step of steps) {
    clock.at = step.now;
    if ("retention" in step) {
      await running.stop();
      running = await start(folder, step.retention, clock);
    } else if ("advertises" in step) {
      told.push(step.advertises);
      seen.push({ former_retentions: null, ...pick(running.deadDrop(), step.advertises) });
    } else if ("box" in step) {
      told.push(step.holds);
      seen.push(await box(running, step.box, step.now));
    } else {
      const text = JSON.stringify(["EVENT", step.publish]);
      const { id, accepted, message } = await running.relay.host.publisher.publish(
        text,
        "127.0.0.1",
      );
      const isPrefix = step.answer[3].endsWith(":");
      told.push(step.answer);
      seen.push(["OK", id, accepted, isPrefix ? `${message.split(":")[0]}:` : message]);
    }
  }
  await running.stop();
  return [seen, told];
}

for (const name of ["drops", "expiry", "acknowledgements"]) {
  const file = new URL(`../../nips/vectors/${name}.json`, import.meta.url);
  const cases = JSON.parse(readFileSync(file, "utf8")) as Case[];
  describe(`nips/vectors/${name}.json`, () => {
    it.each(cases)("$title", async (testCase) => {
      const [seen, told] = await goThrough(testCase);
      expect(seen).toEqual(told);
    });
  });
}
