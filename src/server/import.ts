// Takes events from JSON lines into a store that no relay has open, as if each were published to one: the same policies, the same checks of ids and signatures,
// the same quotas; what was acknowledged here is known and does not come back. Acknowledgements and deletions among them are carried out. What is imported twice
// is known the second time.

import type { Config } from "../config/schema.ts";
import { ownUrl } from "../nostr/own-url.ts";
import type { Reason } from "../nostr/reason.ts";
import { isAddressedHere } from "../nostr/vanish.ts";
import { admission } from "../policy/admission.ts";
import { ANSWERS } from "../relay/answer.ts";
import { examiner } from "../relay/examine.ts";
import { type Examined, unpack } from "../relay/examined.ts";
import { openKnownDrops } from "../store/known-drops.ts";
import { type OpenedStore, openLmdbStore } from "../store/lmdb.ts";
import type { Store } from "../store/store.ts";
import { readDecisions } from "../steering/decisions.ts";
import { inForce } from "../steering/in-force.ts";
import { verifierLoaders } from "../verify/loaders.ts";
import { chooseVerifier } from "../verify/verifier.ts";
import type { ImportCounts, Imported } from "./import-counts.ts";
import { linesIn } from "./import-lines.ts";
import { verificationBy } from "./in-force.ts";
import { nowOrSwept, systemRuntime } from "./runtime.ts";

// Checked and written together.
const LINES_A_BATCH = 256;
const BYTES_A_BATCH = 4 * 2 ** 20;
// As JSON an event may take more in one program's spelling than in another's.
const LONGER = 2;
const LOOK_MS = 1_000;

const EPHEMERAL: Reason = "blocked: ephemeral events are passed on, never held";
const LONG_LINE: Reason = "invalid: a line is longer than a message may be";

export type ImportSettings = {
  /** From byte `start` on. */
  readonly source: AsyncIterable<Buffer>;
  readonly start: number;
  readonly counts: ImportCounts;
  /** Ends it early, at once where the source ends or fails then. */
  readonly stopping: AbortSignal;
  /** All up to this byte is done, and on disk. At least once a second, and at the end. */
  readonly reached: (bytes: number) => void;
};

/** Why it came to no end, undefined if it did. */
export type ImportEnd = "interrupted" | "storage full" | undefined;

/** Imports into the store of a configuration, and makes one if there is none. Rejects, with what to do, when it cannot be opened or written, or the source cannot be read. */
export async function importEvents(
  configured: Config,
  settings: ImportSettings,
): Promise<ImportEnd> {
  const config = inForce(configured, readDecisions(configured.data).decisions);
  const verifier = await chooseVerifier(Object.values(verifierLoaders), () => undefined);
  const { limits } = config;
  const opened = await openLmdbStore(
    {
      folder: config.data,
      secret: config.storeSecret,
      retentionSeconds: config.retention,
      diskReserveBytes: limits.diskReserveBytes,
      limits: { ...limits, authorDeletesWraps: config.authorDeletesWraps },
    },
    systemRuntime,
  );
  const { store, rule, shared } = opened;
  const known = openKnownDrops(config.data, shared);
  const now = (): number => nowOrSwept(shared);
  const { admission: admitted, maxAcknowledgementIds } = verificationBy(config, rule);
  const policies = admission(admitted);
  const examine = examiner({
    verifier,
    known,
    policies,
    rule,
    maxAcknowledgementIds,
    runtime: { now },
  });
  try {
    return await run(config, settings, opened, (lines) => {
      const texts = lines.map((line) => `["EVENT",${line}]`);
      return examine(texts).map((packed) => unpack(packed));
    });
  } finally {
    await known.close();
    await store.close();
  }
}

async function run(
  config: Config,
  { source, start, counts, stopping, reached }: ImportSettings,
  { store, look, shared }: OpenedStore,
  examine: (lines: readonly string[]) => Examined[],
): Promise<ImportEnd> {
  const now = (): number => nowOrSwept(shared);
  const urls = [config.url, ...config.aliases].flatMap((url) => ownUrl(url) ?? []);
  let lines: string[] = [];
  let bytes = 0;
  let lookedAt = -Infinity;
  const importAll = async (end: number): Promise<ImportEnd> => {
    const outcomes = await Promise.all(
      examine(lines).map((examined) => act(examined, store, urls, now())),
    );
    for (const outcome of outcomes) if (outcome !== STORAGE_FULL) counts.add(outcome);
    [lines, bytes] = [[], 0];
    // Of that batch some may be stored; they are known when it is imported again.
    if (outcomes.includes(STORAGE_FULL)) return "storage full";
    if (performance.now() - lookedAt > LOOK_MS) {
      await look();
      reached(end);
      lookedAt = performance.now();
    }
    return undefined;
  };
  let end = start;
  const lineSource = linesIn(source, LONGER * config.limits.messageBytes, start);
  try {
    for await (const line of lineSource) {
      end = line.end;
      if (line.text === undefined) counts.add({ refused: LONG_LINE });
      else if (line.text.trim() !== "") {
        lines.push(line.text);
        bytes += line.text.length;
      }
      if (lines.length < LINES_A_BATCH && bytes < BYTES_A_BATCH) continue;
      const ended = await importAll(end);
      if (ended !== undefined) return ended;
      if (stopping.aborted) break;
    }
  } catch (error) {
    // Whoever wants it to end takes the source away.
    if (!stopping.aborted) throw error;
  }
  const ended = await importAll(end);
  if (ended !== undefined) return ended;
  reached(end);
  return stopping.aborted ? "interrupted" : undefined;
}

const STORAGE_FULL = "storage full";

async function act(
  examined: Examined,
  store: Store,
  urls: Parameters<typeof isAddressedHere>[1],
  now: number,
): Promise<Imported | typeof STORAGE_FULL> {
  switch (examined.outcome) {
    case "refused":
      return { refused: examined.reason };
    case "known":
      return "known";
    case "ephemeral":
      return { refused: EPHEMERAL };
    case "drop": {
      const outcome = await store.put(examined.drop, now);
      if (outcome === "storage full") return STORAGE_FULL;
      return outcome === "stored" || outcome === "known" ? outcome : refusal(outcome);
    }
    case "acknowledgement": {
      const outcome = await store.acknowledge(examined.acknowledgement, now);
      if (outcome === "storage full") return STORAGE_FULL;
      return outcome === "done" ? "carried out" : refusal(outcome);
    }
    case "vanish": {
      const { event } = examined;
      if (!isAddressedHere(event, urls)) return refusal("not addressed here");
      const { id, pubkey: signer, created_at } = event;
      const outcome = await store.vanish({ id, signer, created_at }, now);
      return outcome === "storage full" ? STORAGE_FULL : "carried out";
    }
    case "auth":
      throw new Error("a line was examined as AUTH");
  }
}

function refusal(outcome: "box full" | "expired" | "too many early" | "not addressed here"): {
  readonly refused: Reason;
} {
  return { refused: ANSWERS[outcome].message as Reason };
}
