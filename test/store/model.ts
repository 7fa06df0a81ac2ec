// The `Store` interface once more, in the plainest words there are: lists that are searched from one end to the other. It is right when it reads
// like the contract in src/store/store.ts and DESIGN.md §3; the embedded store is right when it cannot be told from it.

import {
  CLOCK_SKEW_SECONDS,
  type Drop,
  farthestExpiry,
  latestExpiry,
  type RetentionRule,
} from "../../src/nostr/drop.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import type { StoreLimits } from "../../src/store/write-context.ts";
import {
  type Acknowledged,
  type AcknowledgeOutcome,
  ANNOUNCED_AFTER_MS,
  type DropIdentity,
  type Header,
  type Held,
  type Place,
  type PutOutcome,
  type Store,
  type Swept,
  type Totals,
  type Vanishing,
  type VanishOutcome,
  type Window,
} from "../../src/store/store.ts";

export type StoreSettings = {
  readonly retentionSeconds: number;
  readonly limits: StoreLimits;
  /** Whether the disk has no room left. */
  readonly storageFull: boolean;
};

/** `leaves`: the drop's expiry, or the end of its grace if that comes first. */
type Kept = { readonly drop: Held; leaves: number };

type Tombstone = {
  readonly owner: string;
  readonly id: string;
  readonly until: number;
  readonly early: boolean;
};

/** What outlives closing. */
type Disk = {
  kept: Kept[];
  tombstones: Tombstone[];
  rule: RetentionRule;
  swept: number;
};

const disks = new Map<string, Disk>();

export async function openModel(
  folder: string,
  settings: StoreSettings,
  now: number,
): Promise<{ store: Model; rule: RetentionRule }> {
  const disk = disks.get(folder) ?? { kept: [], tombstones: [], rule: [], swept: 0 };
  disks.set(folder, disk);
  disk.rule = ruleAfterStart(disk.rule, settings.retentionSeconds, now);
  return { store: new Model(disk, settings), rule: disk.rule };
}

// Every retention there ever was, each up to the newest event that could have come under it. Nothing is ever dropped from this list.
function ruleAfterStart(before: RetentionRule, seconds: number, now: number): RetentionRule {
  const current = before.at(-1);
  if (current?.seconds === seconds) return before;
  const past = before.slice(0, -1);
  const ended = current && { upTo: now + CLOCK_SKEW_SECONDS, seconds: current.seconds };
  return [...past, ...(ended ? [ended] : []), { upTo: Infinity, seconds }];
}

export class Model implements Store {
  readonly #disk: Disk;
  readonly #settings: StoreSettings;
  readonly #listeners = new Map<
    (committed: readonly Held[]) => void,
    (recipient: string) => boolean
  >();
  #seq: number;
  #closed = false;

  constructor(disk: Disk, settings: StoreSettings) {
    this.#disk = disk;
    this.#settings = settings;
    this.#seq = Math.max(0, ...disk.kept.map(({ drop }) => drop.seq));
  }

  known({ id, recipient }: DropIdentity): boolean {
    const isHeld = this.#disk.kept.some(({ drop }) => drop.id === id);
    return isHeld || this.#graveOf(recipient, id)?.early === false;
  }

  async put(drop: Drop, now: number): Promise<PutOutcome> {
    this.#assertOpen();
    if (drop.expiry <= this.#disk.swept) return "expired";
    if (this.known(drop)) return "known";
    if (this.#settings.storageFull) return "storage full";
    if (this.#isFullFor(drop)) {
      this.#remove(({ drop: held, leaves }) => held.recipient === drop.recipient && leaves <= now);
    }
    if (this.#isFullFor(drop)) return "box full";
    const grave = this.#graveOf(drop.recipient, drop.id);
    if (grave !== undefined) {
      // It was acknowledged before it came: now it has come.
      this.#disk.tombstones = this.#disk.tombstones.filter((other) => other !== grave);
      this.#disk.tombstones.push({ ...grave, until: drop.expiry, early: false });
      return "stored";
    }
    const held = { ...drop, seq: ++this.#seq };
    this.#disk.kept.push({ drop: held, leaves: drop.expiry });
    setTimeout(() => {
      // What left the box in the meantime is not announced any more.
      if (!this.#disk.kept.some(({ drop: other }) => other === held)) return;
      for (const [listener, wants] of this.#listeners) {
        if (wants(held.recipient)) listener([held]);
      }
    }, ANNOUNCED_AFTER_MS);
    return "stored";
  }

  async acknowledge(acknowledged: Acknowledged, now: number): Promise<AcknowledgeOutcome> {
    this.#assertOpen();
    const { signer, ids, deletion, at = now } = acknowledged;
    const unseen: string[] = [];
    for (const id of ids) {
      const kept = this.#disk.kept.find(({ drop }) => {
        if (drop.id !== id) return false;
        if (drop.recipient === signer) return true;
        return deletion && drop.author === signer && this.#authorMayDelete(drop.kind);
      });
      // An author's deletion is remembered like one that found nothing: the answer must not tell whether it did.
      if (kept?.drop.recipient !== signer) unseen.push(id);
      if (kept !== undefined) this.#bury(kept, at, now);
    }
    if (acknowledged.remembersUnseen === false) return "done";
    const until = farthestExpiry(Math.max(now, this.#disk.swept), this.#disk.rule);
    for (const id of unseen) {
      const outcome = this.#rememberEarly(signer, id, until);
      if (outcome !== "done") return outcome;
    }
    return "done";
  }

  async vanish({ id, signer, created_at }: Vanishing, now: number): Promise<VanishOutcome> {
    this.#assertOpen();
    const speaksOf = (drop: Drop): boolean =>
      drop.created_at <= created_at &&
      (drop.recipient === signer || (drop.author === signer && this.#authorMayDelete(drop.kind)));
    // A request so old that all it could speak of is past.
    const { rule, kept } = this.#disk;
    const until = Math.max(
      ...rule.map(({ upTo }) => latestExpiry(Math.min(upTo, created_at), rule)),
    );
    if (until <= now || this.#graveOf(signer, id) !== undefined) return "done";
    for (const each of kept.filter(({ drop }) => speaksOf(drop))) this.#bury(each, now, now);
    return this.#rememberEarly(signer, id, until) === "done" ? "done" : "storage full";
  }

  async list(recipient: string, window: Window, max: number): Promise<Header[]> {
    const { since = 0, until = Infinity, after } = window;
    return this.#disk.kept
      .map((kept) => headerOf(kept))
      .filter((header) => header.recipient === recipient)
      .filter(({ created_at }) => since <= created_at && created_at <= until)
      .filter((header) => after === undefined || order(after, header) < 0)
      .sort(order)
      .slice(0, max);
  }

  event({ seq }: Header): NostrEvent | undefined {
    const json = this.#disk.kept.find(({ drop }) => drop.seq === seq)?.drop.json;
    return json === undefined ? undefined : (JSON.parse(json) as NostrEvent);
  }

  read(headers: readonly Header[]): (string | undefined)[] {
    return headers.map(
      ({ seq }) => this.#disk.kept.find(({ drop }) => drop.seq === seq)?.drop.json,
    );
  }

  async sweep(of: "drops" | "tombstones", now: number): Promise<Swept> {
    this.#assertOpen();
    this.#disk.swept = Math.max(this.#disk.swept, now);
    if (of === "drops") return { removed: this.#remove(({ leaves }) => leaves <= now) };
    const before = this.#disk.tombstones.length;
    this.#disk.tombstones = this.#disk.tombstones.filter(({ until }) => until > now);
    return { removed: before - this.#disk.tombstones.length };
  }

  get watermark(): number {
    return this.#seq;
  }

  subscribe(
    listener: (committed: readonly Held[]) => void,
    wants: (recipient: string) => boolean = () => true,
  ): () => void {
    this.#listeners.set(listener, wants);
    return () => this.#listeners.delete(listener);
  }

  totals(): Totals {
    const { kept, tombstones } = this.#disk;
    return { drops: kept.length, tombstones: tombstones.length, fileBytes: 0, freeBytes: 0 };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error("the store is closed");
  }

  #authorMayDelete(kind: number): boolean {
    return kind === 4 || this.#settings.limits.authorDeletesWraps;
  }

  #isFullFor({ recipient, json }: Drop): boolean {
    const { boxDrops, boxBytes } = this.#settings.limits;
    const box = this.#disk.kept.filter(({ drop }) => drop.recipient === recipient);
    const bytes = box.reduce((sum, { drop }) => sum + Buffer.byteLength(drop.json), 0);
    return box.length + 1 > boxDrops || bytes + Buffer.byteLength(json) > boxBytes;
  }

  #remove(isGone: (kept: Kept) => boolean): number {
    const before = this.#disk.kept.length;
    this.#disk.kept = this.#disk.kept.filter((kept) => !isGone(kept));
    return before - this.#disk.kept.length;
  }

  #bury(kept: Kept, at: number, now: number): void {
    const { id, recipient, expiry } = kept.drop;
    if (this.#graveOf(recipient, id) === undefined) {
      this.#disk.tombstones.push({ owner: recipient, id, until: expiry, early: false });
    }
    if (at <= now) this.#remove((other) => other === kept);
    else kept.leaves = Math.min(kept.leaves, at);
  }

  #rememberEarly(owner: string, id: string, until: number): AcknowledgeOutcome {
    if (this.#graveOf(owner, id) !== undefined) return "done";
    const { earlyTombstones, earlyTombstonesInAll } = this.#settings.limits;
    const early = this.#disk.tombstones.filter((other) => other.early);
    const own = early.filter((other) => other.owner === owner);
    if (own.length >= earlyTombstones || early.length >= earlyTombstonesInAll) {
      return "too many early";
    }
    if (this.#settings.storageFull) return "storage full";
    this.#disk.tombstones.push({ owner, id, until, early: true });
    return "done";
  }

  #graveOf(owner: string, id: string): Tombstone | undefined {
    return this.#disk.tombstones.find((grave) => grave.owner === owner && grave.id === id);
  }
}

function headerOf({ drop, leaves }: Kept): Header {
  const { seq, recipient, created_at, kind } = drop;
  const idPrefix = drop.id.slice(0, 32);
  const bytes = Buffer.byteLength(drop.json);
  return { seq, recipient, idPrefix, created_at, kind, expiry: leaves, bytes };
}

// NIP-01: newest first, and of two of the same second the one with the lower id.
function order(a: Place, b: Place): number {
  if (a.created_at !== b.created_at) return a.created_at > b.created_at ? -1 : 1;
  if (a.idPrefix === b.idPrefix) return 0;
  return a.idPrefix < b.idPrefix ? -1 : 1;
}
