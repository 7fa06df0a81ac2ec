// The sentences of the `Store` contract as tests, for any store.

import { createHash } from "node:crypto";

import { describe, expect, it, onTestFinished, vi } from "vitest";

import type { Drop, RetentionRule } from "../../src/nostr/drop.ts";
import { writeEvent } from "../../src/nostr/event.ts";
import type { StoreLimits } from "../../src/store/write-context.ts";
import {
  type Acknowledged,
  ANNOUNCED_AFTER_MS,
  type Header,
  type Held,
  type Store,
  type SweepCursor,
} from "../../src/store/store.ts";
import { inOrder } from "../support/events.ts";
import { temporaryFolder } from "../support/relay.ts";
import type { StoreSettings } from "./model.ts";

export const DAY = 24 * 60 * 60;
export const NOW = 1_800_000_000;

/** Opens the store that is kept in a folder: at first an empty one. */
export type OpenStore = (
  folder: string,
  settings: StoreSettings,
  now: number,
) => Promise<{ store: Store; rule: RetentionRule }>;

export const LIMITS: StoreLimits = {
  boxDrops: 100,
  boxBytes: 100_000,
  eventBytes: 65_536,
  earlyTombstones: 100,
  earlyTombstonesInAll: 10_000,
  authorDeletesWraps: false,
};

/** 64 hex digits, the same for the same text. */
export function hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

const ALICE = hex("alice");
export const BOB = hex("bob");
const CAROL = hex("carol");

let made = 0;

/** A gift wrap for Bob by a throw-away key, unless told otherwise. Its expiry is a month away. */
export function aDrop(change: Partial<Drop> & { readonly content?: string } = {}): Drop {
  const { content = "ciphertext", ...fields } = change;
  const number = made++;
  const drop = {
    id: hex(`drop ${number}`),
    recipient: BOB,
    author: hex(`throw-away key ${number}`),
    created_at: NOW,
    kind: 1059,
    // What a retention of 30 days gives it.
    expiry: (fields.created_at ?? NOW) + 32 * DAY,
    ...fields,
  };
  const { id, recipient, author: pubkey, created_at, kind } = drop;
  const tags = [["p", recipient]];
  if (fields.expiry !== undefined) tags.push(["expiration", String(fields.expiry)]);
  // Nobody checks it here.
  const sig = "0".repeat(128);
  return { json: writeEvent({ id, pubkey, created_at, kind, tags, content, sig }).json, ...drop };
}

export function storeContract(name: string, openStore: OpenStore): void {
  type Change = Partial<Omit<StoreSettings, "limits">> & { readonly limits?: Partial<StoreLimits> };

  async function open({ limits, ...change }: Change = {}, folder = temporaryFolder(), now = NOW) {
    const settings = { retentionSeconds: 30 * DAY, storageFull: false, ...change };
    const { store } = await openStore(
      folder,
      { ...settings, limits: { ...LIMITS, ...limits } },
      now,
    );
    onTestFinished(() => store.close());
    return { store, folder };
  }

  async function holding(...drops: readonly Drop[]): Promise<Store> {
    const { store } = await open();
    for (const drop of drops) expect(await store.put(drop, NOW)).toBe("stored");
    return store;
  }

  /** A store that holds one drop when its disk gets full. */
  async function full(): Promise<{ store: Store; drop: Drop }> {
    const { store, folder } = await open();
    const drop = aDrop();
    await store.put(drop, NOW);
    await store.close();
    const { store: reopened } = await open({ storageFull: true }, folder);
    return { store: reopened, drop };
  }

  describe(`the ${name} store`, () => {
    describe("holding", () => {
      it("lists a drop that was put to its recipient", async () => {
        const drop = aDrop({ created_at: NOW - 5, kind: 4, content: "ünïcödé" });
        const store = await holding(drop);
        const listed = {
          seq: store.watermark,
          recipient: BOB,
          idPrefix: drop.id.slice(0, 32),
          created_at: NOW - 5,
          kind: 4,
          expiry: NOW - 5 + 32 * DAY,
          bytes: Buffer.byteLength(drop.json),
        };
        expect(await store.list(BOB, {}, 10)).toEqual([listed]);
      });

      it("lists nothing to anybody else", async () => {
        const store = await holding(aDrop());
        expect(await store.list(ALICE, {}, 10)).toEqual([]);
      });

      it("reads the JSON that was put, in the order asked for", async () => {
        const [first, second] = [aDrop({ content: "ünïcödé" }), aDrop({ created_at: NOW - 1 })];
        const store = await holding(first, second);
        const [a, b] = await store.list(BOB, {}, 10);
        expect(store.read([b, a] as Header[])).toEqual([second.json, first.json]);
      });

      it("reads nothing where a drop was acknowledged after it was listed", async () => {
        const [gone, held] = [aDrop(), aDrop({ created_at: NOW - 1 })];
        const store = await holding(gone, held);
        const headers = await store.list(BOB, {}, 10);
        await store.acknowledge(by(BOB, gone), NOW);
        expect(store.read(headers)).toEqual([undefined, held.json]);
      });

      it("knows a drop that it holds, and holds it once", async () => {
        const drop = aDrop();
        const store = await holding(drop);
        expect(await store.put(drop, NOW)).toBe("known");
        expect(await held(store)).toEqual([drop.id]);
      });

      it("tells drops apart whose ids begin with the same ten bytes", async () => {
        const ids = ["a", "b"].map((text) => "0".repeat(20) + hex(text).slice(0, 44));
        const drops = ids.map((id) => aDrop({ id }));
        expect((await held(await holding(...drops))).sort()).toEqual(ids.sort());
      });
    });

    describe("listing", () => {
      it("begins with the newest, and among equals with the lowest id", async () => {
        const times = [NOW - 2, NOW, NOW - 1, NOW - 1, NOW - 1, NOW];
        const drops = times.map((created_at) => aDrop({ created_at }));
        const store = await holding(...drops);
        expect(await held(store)).toEqual(inOrder(drops).map(({ id }) => id));
      });

      it("includes both ends of since and until", async () => {
        const drops = [5, 4, 3, 2, 1].map((time) => aDrop({ created_at: time }));
        const store = await holding(...drops);
        const found = await store.list(BOB, { since: 2, until: 4 }, 10);
        expect(found.map(({ created_at }) => created_at)).toEqual([4, 3, 2]);
      });

      it("takes an until of zero at its word", async () => {
        const store = await holding(aDrop({ created_at: 1 }), aDrop({ created_at: 0 }));
        const found = await store.list(BOB, { until: 0 }, 10);
        expect(found.map(({ created_at }) => created_at)).toEqual([0]);
      });

      it("finds nothing where since is after until", async () => {
        const store = await holding(aDrop({ created_at: 5 }));
        expect(await store.list(BOB, { since: 6, until: 4 }, 10)).toEqual([]);
      });

      it("goes on after a drop, without a gap or a repetition", async () => {
        const drops = Array.from({ length: 7 }, (_, i) => aDrop({ created_at: NOW - (i % 3) }));
        const store = await holding(...drops);
        const whole = await store.list(BOB, {}, 10);
        const first = await store.list(BOB, {}, 3);
        const second = await store.list(BOB, { after: first.at(-1) }, 3);
        const third = await store.list(BOB, { after: second.at(-1) }, 3);
        expect([first.length, second.length, third.length]).toEqual([3, 3, 1]);
        expect([...first, ...second, ...third]).toEqual(whole);
      });

      it("goes on after a drop that has gone in the meantime", async () => {
        const drops = [NOW, NOW - 1, NOW - 2].map((created_at) => aDrop({ created_at }));
        const store = await holding(...drops);
        const [newest, middle, oldest] = await store.list(BOB, {}, 3);
        await store.acknowledge(by(BOB, drops[0]!, drops[1]!), NOW);
        expect(await store.list(BOB, { after: newest }, 3)).toEqual([oldest]);
        expect(await store.list(BOB, { after: middle }, 3)).toEqual([oldest]);
      });

      it("keeps to the window when it goes on after a drop outside of it", async () => {
        const drops = [9, 7, 5, 3].map((created_at) => aDrop({ created_at }));
        const store = await holding(...drops);
        const [nine] = await store.list(BOB, {}, 1);
        const found = await store.list(BOB, { until: 5, after: nine }, 10);
        expect(found.map(({ created_at }) => created_at)).toEqual([5, 3]);
      });
    });

    describe("quotas", () => {
      it("refuse one drop more than a box may hold", async () => {
        const { store } = await open({ limits: { boxDrops: 2 } });
        const drops = [aDrop(), aDrop(), aDrop()];
        const outcomes = [];
        for (const drop of drops) outcomes.push(await store.put(drop, NOW));
        expect(outcomes).toEqual(["stored", "stored", "box full"]);
        expect((await held(store)).sort()).toEqual([drops[0]!.id, drops[1]!.id].sort());
      });

      it("count bytes of UTF-8, and refuse one byte more than a box may hold", async () => {
        const drops = [aDrop({ content: "ü" }), aDrop({ content: "ü" }), aDrop({ content: "" })];
        const bytes = drops.map(({ json }) => Buffer.byteLength(json));
        const { store } = await open({ limits: { boxBytes: bytes[0]! + bytes[1]! } });
        expect(await store.put(drops[0]!, NOW)).toBe("stored");
        expect(await store.put(drops[1]!, NOW)).toBe("stored");
        await store.acknowledge(by(BOB, drops[1]!), NOW);
        const oneMore = aDrop({ content: "ü " });
        expect(Buffer.byteLength(oneMore.json)).toBe(bytes[1]! + 1);
        expect(await store.put(oneMore, NOW)).toBe("box full");
        expect(await store.put(drops[2]!, NOW)).toBe("stored");
      });

      it("are each box's own", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        await store.put(aDrop(), NOW);
        expect(await store.put(aDrop({ recipient: ALICE }), NOW)).toBe("stored");
      });

      it("are freed by acknowledging", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        const drop = aDrop();
        await store.put(drop, NOW);
        await store.acknowledge(by(BOB, drop), NOW);
        expect(await store.put(aDrop(), NOW)).toBe("stored");
      });

      it("are freed by what is past, before any sweep", async () => {
        const { store } = await open({ limits: { boxDrops: 2 } });
        const [past, still] = [aDrop({ expiry: NOW + 10 }), aDrop({ expiry: NOW + 20 })];
        for (const drop of [past, still]) await store.put(drop, NOW);
        expect(await store.put(aDrop(), NOW + 9)).toBe("box full");
        expect(await store.put(aDrop(), NOW + 10)).toBe("stored");
        expect(await held(store)).toContain(still.id);
      });

      it("are freed by the end of a grace, before any sweep", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        const drop = aDrop();
        await store.put(drop, NOW);
        await store.acknowledge({ ...by(BOB, drop), at: NOW + 10 }, NOW);
        expect(await store.put(aDrop(), NOW + 9)).toBe("box full");
        expect(await store.put(aDrop(), NOW + 10)).toBe("stored");
      });

      it("count what was held before the store was opened", async () => {
        const { store, folder } = await open({ limits: { boxDrops: 1 } });
        await store.put(aDrop(), NOW);
        await store.close();
        const again = await open({ limits: { boxDrops: 1 } }, folder);
        expect(await again.store.put(aDrop(), NOW)).toBe("box full");
      });

      it("do not keep a full box from knowing its drops, held or acknowledged", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        const [acknowledged, held] = [aDrop(), aDrop()];
        await store.put(acknowledged, NOW);
        await store.acknowledge(by(BOB, acknowledged), NOW);
        await store.put(held, NOW);
        expect(await store.put(acknowledged, NOW)).toBe("known");
        expect(await store.put(held, NOW)).toBe("known");
      });
    });

    describe("a full disk", () => {
      it("refuses new drops", async () => {
        const { store } = await full();
        expect(await store.put(aDrop(), NOW)).toBe("storage full");
      });

      it("takes nothing away", async () => {
        const { store, drop } = await full();
        await store.put(aDrop(), NOW);
        expect(await held(store)).toEqual([drop.id]);
        expect(await store.put(drop, NOW)).toBe("known");
      });

      it("still lets what is held be acknowledged, for good", async () => {
        const { store, drop } = await full();
        expect(await store.acknowledge(by(BOB, drop), NOW)).toBe("done");
        expect(await held(store)).toEqual([]);
        expect(await store.put(drop, NOW)).toBe("known");
      });

      it("refuses to remember drops that never came, and acknowledges the others all the same", async () => {
        const { store, drop } = await full();
        expect(await store.acknowledge(by(BOB, aDrop(), drop), NOW)).toBe("storage full");
        expect(await held(store)).toEqual([]);
      });
    });

    describe("acknowledging", () => {
      it("removes the drops and remembers them", async () => {
        const [one, two, other] = [aDrop(), aDrop(), aDrop()];
        const store = await holding(one, two, other);
        expect(await store.acknowledge(by(BOB, one, two), NOW)).toBe("done");
        expect(await held(store)).toEqual([other.id]);
        expect(await store.put(one, NOW)).toBe("known");
        expect(await store.put(two, NOW)).toBe("known");
        expect(await held(store)).toEqual([other.id]);
      });

      it("does nothing in anybody else's box", async () => {
        const drop = aDrop();
        const store = await holding(drop);
        expect(await store.acknowledge(by(ALICE, drop), NOW)).toBe("done");
        expect(await held(store)).toEqual([drop.id]);
      });

      it("does nothing when it is repeated", async () => {
        const [drop, later] = [aDrop(), aDrop()];
        const store = await holding(drop);
        await store.acknowledge(by(BOB, drop), NOW);
        await store.put(later, NOW);
        expect(await store.acknowledge(by(BOB, drop), NOW)).toBe("done");
        expect(await held(store)).toEqual([later.id]);
      });

      it("keeps a drop from being held that comes later", async () => {
        const drop = aDrop();
        const { store } = await open();
        expect(await store.acknowledge(by(BOB, drop), NOW)).toBe("done");
        await store.put(drop, NOW);
        expect(await held(store)).toEqual([]);
      });

      it("does not keep a drop for another recipient from being held", async () => {
        const drop = aDrop();
        const { store } = await open();
        await store.acknowledge(by(ALICE, drop), NOW);
        expect(await store.put(drop, NOW)).toBe("stored");
      });
    });

    describe("acknowledging with grace", () => {
      it("keeps the drop until then, and not longer", async () => {
        const drop = aDrop();
        const store = await holding(drop);
        await store.acknowledge({ ...by(BOB, drop), at: NOW + 60 }, NOW);
        const [listed] = await store.list(BOB, {}, 10);
        expect(listed?.expiry).toBe(NOW + 60);
        await sweepAll(store, "drops", NOW + 59);
        expect(await held(store)).toEqual([drop.id]);
        await sweepAll(store, "drops", NOW + 60);
        expect(await held(store)).toEqual([]);
      });

      it("knows the drop in its grace and after it", async () => {
        const drop = aDrop();
        const store = await holding(drop);
        await store.acknowledge({ ...by(BOB, drop), at: NOW + 60 }, NOW);
        expect(await store.put(drop, NOW + 59)).toBe("known");
        await sweepAll(store, "drops", NOW + 60);
        expect(await store.put(drop, drop.expiry - 1)).toBe("known");
      });

      it("knows the drop until its expiry, however often its grace was shortened", async () => {
        const drop = aDrop({ expiry: NOW + 100 });
        const store = await holding(drop);
        for (const at of [NOW + 60, NOW + 30, NOW]) {
          await store.acknowledge({ ...by(BOB, drop), at }, NOW);
        }
        await sweepAll(store, "tombstones", NOW + 99);
        expect(await store.put(drop, NOW + 99)).toBe("known");
      });

      it("never keeps a drop longer than its expiry", async () => {
        const drop = aDrop({ expiry: NOW + 60 });
        const store = await holding(drop);
        await store.acknowledge({ ...by(BOB, drop), at: NOW + 90 }, NOW);
        const [listed] = await store.list(BOB, {}, 10);
        expect(listed?.expiry).toBe(NOW + 60);
      });

      it("removes at once when the time is past", async () => {
        const drop = aDrop();
        const store = await holding(drop);
        await store.acknowledge({ ...by(BOB, drop), at: NOW }, NOW);
        expect(await held(store)).toEqual([]);
      });

      it("is shortened by a second acknowledgement, and not lengthened", async () => {
        const drop = aDrop();
        const store = await holding(drop);
        const expiryAfter = async (at: number): Promise<number | undefined> => {
          await store.acknowledge({ ...by(BOB, drop), at }, NOW);
          return (await store.list(BOB, {}, 10))[0]?.expiry;
        };
        expect(await expiryAfter(NOW + 60)).toBe(NOW + 60);
        expect(await expiryAfter(NOW + 90)).toBe(NOW + 60);
        expect(await expiryAfter(NOW + 30)).toBe(NOW + 30);
        await store.acknowledge(by(BOB, drop), NOW);
        expect(await held(store)).toEqual([]);
      });
    });

    describe("early acknowledgements", () => {
      it("are not remembered when it is said that they are not", async () => {
        const { store } = await open({ limits: { earlyTombstones: 0 } });
        const [held, late] = [aDrop(), aDrop()];
        await store.put(held, NOW);
        const acknowledged = { ...deletionBy(BOB, held, late), remembersUnseen: false as const };
        expect(await store.acknowledge(acknowledged, NOW)).toBe("done");
        expect(await store.put(held, NOW)).toBe("known");
        expect(await store.put(late, NOW)).toBe("stored");
      });

      it("are refused one past the limit", async () => {
        const { store } = await open({ limits: { earlyTombstones: 2 } });
        const [one, two, three] = [aDrop(), aDrop(), aDrop()];
        expect(await store.acknowledge(by(BOB, one, two), NOW)).toBe("done");
        expect(await store.acknowledge(by(BOB, three), NOW)).toBe("too many early");
        expect(await store.put(three, NOW)).toBe("stored");
      });

      it("past the limit leave what is held acknowledged all the same", async () => {
        const { store } = await open({ limits: { earlyTombstones: 0 } });
        const drop = aDrop();
        await store.put(drop, NOW);
        expect(await store.acknowledge(by(BOB, aDrop(), drop), NOW)).toBe("too many early");
        expect(await held(store)).toEqual([]);
        expect(await store.put(drop, NOW)).toBe("known");
      });

      it("are counted once for one id, and for each key apart", async () => {
        const { store } = await open({ limits: { earlyTombstones: 1 } });
        const drop = aDrop();
        expect(await store.acknowledge(by(BOB, drop), NOW)).toBe("done");
        expect(await store.acknowledge(by(BOB, drop), NOW)).toBe("done");
        expect(await store.acknowledge(by(ALICE, aDrop()), NOW)).toBe("done");
      });

      it("are refused past the limit of all keys together, also after a restart", async () => {
        const limits = { earlyTombstonesInAll: 3 };
        const { store, folder } = await open({ limits });
        for (const key of [ALICE, BOB, CAROL]) {
          expect(await store.acknowledge(by(key, aDrop()), NOW)).toBe("done");
        }
        expect(await store.acknowledge(by(hex("dave"), aDrop()), NOW)).toBe("too many early");
        await store.close();
        const { store: reopened } = await open({ limits }, folder);
        expect(await reopened.acknowledge(by(hex("dave"), aDrop()), NOW)).toBe("too many early");
      });

      it("make room for as many as were swept", async () => {
        const { store } = await open({
          retentionSeconds: DAY,
          limits: { earlyTombstonesInAll: 3 },
        });
        const later = NOW + DAY;
        const end = NOW + 3 * DAY + 15 * 60;
        await store.acknowledge(by(ALICE, aDrop()), NOW);
        await store.acknowledge(by(BOB, aDrop()), NOW);
        await store.acknowledge(by(BOB, aDrop()), later);
        await sweepAll(store, "tombstones", end);
        expect(await store.acknowledge(by(CAROL, aDrop(), aDrop()), end)).toBe("done");
        expect(await store.acknowledge(by(CAROL, aDrop()), end)).toBe("too many early");
      });

      it("take no room of others for what was held", async () => {
        const { store } = await open({ limits: { earlyTombstonesInAll: 1 } });
        const drops = [aDrop(), aDrop()];
        for (const drop of drops) await store.put(drop, NOW);
        expect(await store.acknowledge(by(BOB, ...drops), NOW)).toBe("done");
        expect(await store.acknowledge(by(ALICE, aDrop()), NOW)).toBe("done");
      });

      it("are remembered for retention, two days and fifteen minutes", async () => {
        const { store } = await open({ retentionSeconds: DAY, limits: { earlyTombstones: 1 } });
        await store.acknowledge(by(BOB, aDrop()), NOW);
        const end = NOW + DAY + 2 * DAY + 15 * 60;
        await sweepAll(store, "tombstones", end - 1);
        expect(await store.acknowledge(by(BOB, aDrop()), end - 1)).toBe("too many early");
        await sweepAll(store, "tombstones", end);
        expect(await store.acknowledge(by(BOB, aDrop()), end)).toBe("done");
      });
    });

    describe("the first arrival of a drop that was acknowledged before", () => {
      it("is answered as if the drop were held, and the drop is not; from then on it is known", async () => {
        const { store } = await open();
        const drop = aDrop();
        await store.acknowledge(by(BOB, drop), NOW);
        expect(await store.put(drop, NOW)).toBe("stored");
        expect(await held(store)).toEqual([]);
        expect(await store.put(drop, NOW)).toBe("known");
        expect(await held(store)).toEqual([]);
      });

      it("is answered so once, of several that are put in one breath", async () => {
        const { store } = await open();
        const drop = aDrop();
        await store.acknowledge(by(BOB, drop), NOW);
        const outcomes = await Promise.all([store.put(drop, NOW), store.put(drop, NOW)]);
        expect(outcomes).toEqual(["stored", "known"]);
      });

      it("is answered so whether a kind 5 or one with a grace acknowledged it", async () => {
        const { store } = await open();
        const [deleted, graced] = [aDrop(), aDrop()];
        await store.acknowledge(deletionBy(BOB, deleted), NOW);
        await store.acknowledge({ ...by(BOB, graced), at: NOW + 60 }, NOW);
        for (const drop of [deleted, graced]) {
          expect(await store.put(drop, NOW)).toBe("stored");
          expect(await store.put(drop, NOW)).toBe("known");
        }
        expect(await held(store)).toEqual([]);
      });

      it("is remembered over restarts, before and after", async () => {
        const { store, folder } = await open();
        const drop = aDrop();
        await store.acknowledge(by(BOB, drop), NOW);
        await store.close();
        const { store: second } = await open({}, folder);
        expect(await second.put(drop, NOW)).toBe("stored");
        await second.close();
        const { store: third } = await open({}, folder);
        expect(await third.put(drop, NOW)).toBe("known");
        expect(await held(third)).toEqual([]);
      });

      it("is not announced and not counted, and numbers what follows as if it had not been", async () => {
        const { store } = await open();
        const [drop, next] = [aDrop(), aDrop()];
        const feed = listen(store);
        await store.acknowledge(by(BOB, drop), NOW);
        await store.put(drop, NOW);
        expect(store.totals().drops).toBe(0);
        await store.put(next, NOW);
        const announced = await feed.until(next);
        expect(announced.map(({ id }) => id)).toEqual([next.id]);
        expect(announced.map(({ seq }) => seq)).toEqual([store.watermark]);
        expect(store.totals().drops).toBe(1);
      });

      it("takes no room in the box", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        const drop = aDrop();
        await store.acknowledge(by(BOB, drop), NOW);
        expect(await store.put(drop, NOW)).toBe("stored");
        expect(await store.put(aDrop(), NOW)).toBe("stored");
        expect(await store.put(aDrop(), NOW)).toBe("box full");
      });

      it("is refused by a full box like any other, and is still to come", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        const [drop, other] = [aDrop(), aDrop()];
        await store.acknowledge(by(BOB, drop), NOW);
        await store.put(other, NOW);
        expect(await store.put(drop, NOW)).toBe("box full");
        await store.acknowledge(by(BOB, other), NOW);
        expect(await store.put(drop, NOW)).toBe("stored");
        expect(await store.put(drop, NOW)).toBe("known");
        expect(await held(store)).toEqual([]);
      });

      it("is refused by a full disk like any other, and is still to come", async () => {
        const { store, folder } = await open();
        const drop = aDrop();
        await store.acknowledge(by(BOB, drop), NOW);
        await store.close();
        const { store: withoutRoom } = await open({ storageFull: true }, folder);
        expect(await withoutRoom.put(drop, NOW)).toBe("storage full");
        await withoutRoom.close();
        const { store: withRoom } = await open({}, folder);
        expect(await withRoom.put(drop, NOW)).toBe("stored");
        expect(await held(withRoom)).toEqual([]);
      });

      it("frees its place among the early ones, of its key and of all", async () => {
        for (const limits of [{ earlyTombstones: 1 }, { earlyTombstonesInAll: 1 }]) {
          const { store } = await open({ limits });
          const [drop, next] = [aDrop(), aDrop()];
          await store.acknowledge(by(BOB, drop), NOW);
          expect(await store.acknowledge(by(BOB, next), NOW)).toBe("too many early");
          await store.put(drop, NOW);
          expect(await store.acknowledge(by(BOB, next), NOW)).toBe("done");
          expect(await store.acknowledge(by(BOB, aDrop()), NOW)).toBe("too many early");
        }
      });

      it("has it remembered until its own expiry, and frees nothing a second time then", async () => {
        const { store } = await open({ limits: { earlyTombstones: 1 } });
        const drop = aDrop({ expiry: NOW + 60 });
        await store.acknowledge(by(BOB, drop), NOW);
        await store.put(drop, NOW);
        await store.acknowledge(by(BOB, aDrop()), NOW);
        await sweepAll(store, "tombstones", NOW + 59);
        expect(await store.put(drop, NOW + 59)).toBe("known");
        expect(await sweepAll(store, "tombstones", NOW + 60)).toBe(1);
        expect(await store.acknowledge(by(BOB, aDrop()), NOW + 60)).toBe("too many early");
      });

      it("leaves nothing behind once it is swept", async () => {
        const { store } = await open();
        const drop = aDrop();
        await store.acknowledge(by(BOB, drop), NOW);
        await store.put(drop, NOW);
        for (const time of [NOW, drop.expiry]) {
          await sweepAll(store, "drops", time);
          expect(store.totals().drops).toBe(0);
          expect(await held(store)).toEqual([]);
        }
      });

      it.each([
        ["lowered", 30 * DAY, DAY],
        ["raised", DAY, 30 * DAY],
      ])(
        "leads to nothing held as long as the drop is accepted after the retention was %s, before or after the acknowledgement",
        async (_, was, is) => {
          for (const restartsFirst of [true, false]) {
            const { store, folder } = await open({ retentionSeconds: was });
            // Of a sender whose clock is ahead.
            const created_at = NOW + 15 * 60;
            const drop = aDrop({ created_at, expiry: created_at + 2 * DAY + was });
            if (!restartsFirst) await store.acknowledge(by(BOB, drop), NOW);
            await store.close();
            const { store: changed } = await open({ retentionSeconds: is }, folder);
            if (restartsFirst) await changed.acknowledge(by(BOB, drop), NOW);
            const last = drop.expiry - 1;
            await sweepAll(changed, "tombstones", last);
            expect(await changed.put(drop, last)).toBe("stored");
            expect(await held(changed)).toEqual([]);
          }
        },
      );
    });

    describe("deletion by the author", () => {
      it("removes a direct message, and has it known", async () => {
        const drop = message();
        const store = await holding(drop);
        expect(await store.acknowledge(deletionBy(ALICE, drop), NOW)).toBe("done");
        expect(await held(store)).toEqual([]);
        expect(await store.put(drop, NOW)).toBe("known");
      });

      it("speaks only of what is held", async () => {
        const [direct, wrapped] = [message(), wrap()];
        const { store } = await open({ limits: { authorDeletesWraps: true } });
        await store.acknowledge(deletionBy(ALICE, direct, wrapped), NOW);
        expect(await store.put(direct, NOW)).toBe("stored");
        expect(await store.put(wrapped, NOW)).toBe("stored");
      });

      it("does nothing to what somebody else wrote", async () => {
        const drop = message();
        const store = await holding(drop);
        await store.acknowledge(deletionBy(CAROL, drop), NOW);
        expect(await held(store)).toEqual([drop.id]);
      });

      it("takes a kind 5: an acknowledgement by the author does nothing to a held drop", async () => {
        const drop = message();
        const store = await holding(drop);
        await store.acknowledge(by(ALICE, drop), NOW);
        expect(await held(store)).toEqual([drop.id]);
      });

      it("takes a kind 5: an acknowledgement by the author does nothing to a drop that comes later", async () => {
        const drop = message();
        const { store } = await open();
        await store.acknowledge(by(ALICE, drop), NOW);
        expect(await store.put(drop, NOW)).toBe("stored");
      });

      it("does nothing to a gift wrap, which belongs to its recipient", async () => {
        const [before, after] = [wrap(), wrap()];
        const store = await holding(before);
        await store.acknowledge(deletionBy(ALICE, before, after), NOW);
        expect(await store.put(after, NOW)).toBe("stored");
        expect((await held(store)).sort()).toEqual([before.id, after.id].sort());
      });

      it("removes a gift wrap where the operator allows it", async () => {
        const { store } = await open({ limits: { authorDeletesWraps: true } });
        const drop = wrap();
        await store.put(drop, NOW);
        await store.acknowledge(deletionBy(ALICE, drop), NOW);
        expect(await held(store)).toEqual([]);
        expect(await store.put(drop, NOW)).toBe("known");
      });

      it("does nothing to a gift wrap any more once the operator no longer allows it", async () => {
        const { store, folder } = await open({ limits: { authorDeletesWraps: true } });
        const drop = wrap();
        await store.put(drop, NOW);
        await store.close();
        const { store: stricter } = await open({}, folder);
        await stricter.acknowledge(deletionBy(ALICE, drop), NOW);
        expect(await held(stricter)).toEqual([drop.id]);
      });

      it("is as good as an acknowledgement when the recipient sends it", async () => {
        const drop = aDrop();
        const store = await holding(drop);
        await store.acknowledge(deletionBy(BOB, drop), NOW);
        expect(await held(store)).toEqual([]);
        expect(await store.put(drop, NOW)).toBe("known");
      });
    });

    describe("vanishing", () => {
      const request = { id: hex("request to vanish"), signer: BOB, created_at: NOW };

      it("removes the box up to its created_at, and has it known", async () => {
        const [old, just, later] = [NOW - DAY, NOW, NOW + 1].map((created_at) =>
          aDrop({ created_at }),
        ) as [Drop, Drop, Drop];
        const store = await holding(old, just, later);
        await store.vanish(request, NOW);
        expect(await held(store)).toEqual([later.id]);
        expect(await store.put(old, NOW)).toBe("known");
        expect(await store.put(just, NOW)).toBe("known");
      });

      it("removes the direct messages that the signer wrote", async () => {
        const drop = aDrop({ recipient: ALICE, author: BOB, kind: 4 });
        const store = await holding(drop, aDrop({ recipient: ALICE, author: CAROL, kind: 4 }));
        await store.vanish(request, NOW);
        expect(await held(store, ALICE)).not.toContain(drop.id);
        expect(await held(store, ALICE)).toHaveLength(1);
      });

      it("leaves other boxes alone", async () => {
        const store = await holding(aDrop({ recipient: ALICE }));
        await store.vanish(request, NOW);
        expect(await held(store, ALICE)).toHaveLength(1);
      });

      it("does nothing when it is replayed", async () => {
        const { store, folder } = await open();
        await store.vanish(request, NOW);
        const drop = aDrop({ created_at: NOW - 1 });
        await store.put(drop, NOW);
        await store.vanish(request, NOW + 1);
        expect(await held(store)).toEqual([drop.id]);
        await store.close();
        const { store: reopened } = await open({}, folder);
        await reopened.vanish(request, NOW + 2);
        expect(await held(reopened)).toEqual([drop.id]);
      });

      it("has nothing known that comes only after it, whatever its created_at", async () => {
        const { store } = await open();
        await store.vanish(request, NOW);
        const drop = aDrop({ created_at: NOW - 1 });
        expect(await store.put(drop, NOW)).toBe("stored");
        expect(await held(store)).toEqual([drop.id]);
        expect(await store.put(drop, NOW)).toBe("known");
      });

      it("removes everything past the limit of what is remembered, and is not remembered", async () => {
        for (const limits of [{ earlyTombstones: 0 }, { earlyTombstonesInAll: 0 }]) {
          const { store } = await open({ limits });
          for (const drop of [aDrop(), aDrop()]) {
            await store.put(drop, NOW);
            expect(await store.vanish(request, NOW)).toBe("storage full");
            expect(await held(store)).toEqual([]);
          }
        }
      });

      it("counts among what all keys together have remembered, until it is swept", async () => {
        const { store } = await open({
          retentionSeconds: DAY,
          limits: { earlyTombstonesInAll: 1 },
        });
        expect(await store.vanish(request, NOW)).toBe("done");
        expect(await store.vanish(request, NOW)).toBe("done");
        expect(await store.acknowledge(by(ALICE, aDrop()), NOW)).toBe("too many early");
        const end = NOW + 3 * DAY;
        await sweepAll(store, "tombstones", end);
        expect(await store.acknowledge(by(ALICE, aDrop()), end)).toBe("done");
      });

      it("removes drops that an earlier, longer retention still holds, however late it comes", async () => {
        const { store, folder } = await open({ retentionSeconds: 30 * DAY });
        const drop = aDrop({ expiry: NOW + 32 * DAY });
        await store.put(drop, NOW);
        await store.close();
        const { store: shorter } = await open({ retentionSeconds: DAY }, folder);
        const late = NOW + 10 * DAY;
        await shorter.vanish({ ...request, created_at: NOW + DAY }, late);
        expect(await held(shorter)).toEqual([]);
      });
    });

    describe("sweeping", () => {
      it("takes drops off the disk at their expiry, and not before", async () => {
        const [first, second] = [aDrop({ expiry: NOW + 10 }), aDrop({ expiry: NOW + 11 })];
        const store = await holding(first, second);
        expect(await sweepAll(store, "drops", NOW + 9)).toBe(0);
        expect(await sweepAll(store, "drops", NOW + 10)).toBe(1);
        expect(await held(store)).toEqual([second.id]);
        expect(store.totals().drops).toBe(1);
      });

      it("takes drops off the disk that expired weeks ago", async () => {
        const store = await holding(aDrop({ expiry: NOW + 10 }), aDrop());
        expect(await sweepAll(store, "drops", NOW + 29 * DAY)).toBe(1);
        expect(store.totals().drops).toBe(1);
      });

      it("goes through more than one piece holds, and misses none", async () => {
        const { store } = await open({
          limits: { boxDrops: 5_000, boxBytes: 10_000_000, earlyTombstones: 5_000 },
        });
        const drops = Array.from({ length: 2_500 }, (_, i) =>
          aDrop({ expiry: NOW + 1 + (i % 4) * DAY }),
        );
        await Promise.all(drops.map((drop) => store.put(drop, NOW)));
        expect(await sweepAll(store, "drops", NOW + 2 * DAY)).toBe(1_250);
        expect(store.totals().drops).toBe(1_250);
        await store.acknowledge(by(BOB, ...drops), NOW);
        const graves = store.totals().tombstones;
        expect(await sweepAll(store, "tombstones", NOW + 100 * DAY)).toBe(graves);
        expect(store.totals().tombstones).toBe(0);
      });

      it("keeps a tombstone until its drop's expiry, and not longer", async () => {
        const drop = aDrop({ expiry: NOW + 10 });
        const store = await holding(drop);
        await store.acknowledge(by(BOB, drop), NOW);
        expect(store.totals()).toMatchObject({ drops: 0, tombstones: 1 });
        expect(await sweepAll(store, "tombstones", NOW + 9)).toBe(0);
        expect(await store.put(drop, NOW + 9)).toBe("known");
        expect(await sweepAll(store, "tombstones", NOW + 10)).toBe(1);
        expect(store.totals().tombstones).toBe(0);
      });

      it("keeps the tombstone of a drop in its grace until the drop's own expiry", async () => {
        const drop = aDrop({ expiry: NOW + 100 });
        const store = await holding(drop);
        await store.acknowledge({ ...by(BOB, drop), at: NOW + 10 }, NOW);
        await sweepAll(store, "drops", NOW + 99);
        await sweepAll(store, "tombstones", NOW + 99);
        expect(store.totals()).toMatchObject({ drops: 0, tombstones: 1 });
        expect(await sweepAll(store, "tombstones", NOW + 100)).toBe(1);
      });
    });

    describe("the change feed", () => {
      it("announces each stored drop once, in the order of commits", async () => {
        const { store } = await open();
        const feed = listen(store);
        const [last, ...drops] = Array.from({ length: 51 }, () => aDrop()) as [Drop, ...Drop[]];
        await Promise.all([...drops, ...drops].map((drop) => store.put(drop, NOW)));
        await store.put(last, NOW);
        const announced = await feed.until(last);
        expect(announced.map(({ id }) => id)).toEqual([...drops, last].map(({ id }) => id));
        const seqs = announced.map(({ seq }) => seq);
        expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
      });

      it("announces a drop a while after its put resolved", async () => {
        const { store } = await open();
        const feed = listen(store);
        const passes = aClock();
        const [first, second] = [aDrop(), aDrop()];
        await store.put(first, NOW);
        await passes(ANNOUNCED_AFTER_MS - 1);
        await store.put(second, NOW);
        expect(feed.announced).toEqual([]);
        await passes(1);
        expect((await feed.until(first)).map(({ id }) => id)).toEqual([first.id]);
        await passes(ANNOUNCED_AFTER_MS - 1);
        expect((await feed.until(second)).map(({ id }) => id)).toEqual([first.id, second.id]);
      });

      it("does not announce what is acknowledged before that", async () => {
        const { store } = await open();
        const feed = listen(store);
        const passes = aClock();
        const [gone, kept] = [aDrop(), aDrop()];
        await store.put(gone, NOW);
        await store.put(kept, NOW);
        await store.acknowledge(by(BOB, gone), NOW);
        await passes(ANNOUNCED_AFTER_MS);
        expect((await feed.until(kept)).map(({ id }) => id)).toEqual([kept.id]);
      });

      it("is silent about drops that were not stored", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        const feed = listen(store);
        const [stored, acknowledged, last] = [aDrop(), aDrop(), aDrop({ recipient: ALICE })];
        await store.acknowledge(by(BOB, acknowledged), NOW);
        for (const drop of [stored, stored, acknowledged, aDrop(), last]) {
          await store.put(drop, NOW);
        }
        const announced = await feed.until(last);
        expect(announced.map(({ id }) => id)).toEqual([stored.id, last.id]);
      });

      it("lists all drops up to the watermark, and announces what comes later", async () => {
        const { store } = await open();
        const drops = Array.from({ length: 60 }, () => aDrop());
        const putting = Promise.all(drops.map((drop) => store.put(drop, NOW)));
        await store.put(aDrop({ recipient: ALICE }), NOW);
        const { watermark } = store;
        const feed = listen(store);
        const listed = await store.list(BOB, {}, 100);
        const last = aDrop({ recipient: ALICE });
        await putting;
        await store.put(last, NOW);
        const later = (await feed.until(last)).filter(({ seq }) => seq > watermark);
        const seen = [
          ...listed.filter(({ seq }) => seq <= watermark).map(({ idPrefix }) => idPrefix),
          ...later.map(({ id }) => id.slice(0, 32)),
        ];
        const expected = [...drops, last].map(({ id }) => id.slice(0, 32));
        expect(seen.sort()).toEqual(expected.sort());
      });

      it("has the newest drop that was put at the watermark", async () => {
        const { store } = await open();
        for (const created_at of [NOW, NOW + 1, NOW + 2]) {
          await store.put(aDrop({ created_at }), NOW);
          const [newest] = await store.list(BOB, {}, 1);
          expect(store.watermark).toBe(newest?.seq);
        }
      });

      it("lists what it announces, at that moment", async () => {
        const { store } = await open();
        const { promise, resolve } = Promise.withResolvers<Promise<Header[]>>();
        store.subscribe(() => resolve(store.list(BOB, {}, 10)));
        const drop = aDrop();
        await store.put(drop, NOW);
        const [listed] = await promise;
        expect(listed?.idPrefix).toBe(drop.id.slice(0, 32));
      });

      it("tells a listener only of drops for whom it wants them at that moment", async () => {
        const { store } = await open();
        const [alices, bobs, late] = [aDrop({ recipient: ALICE }), aDrop(), aDrop()];
        const wanted = new Set([ALICE]);
        const mine: Held[] = [];
        store.subscribe(
          (committed) => void mine.push(...committed),
          (recipient) => wanted.has(recipient),
        );
        const all = listen(store);
        for (const drop of [alices, bobs]) await store.put(drop, NOW);
        await all.until(bobs);
        wanted.add(BOB);
        await store.put(late, NOW);
        await all.until(late);
        expect(mine.map(({ id }) => id)).toEqual([alices.id, late.id]);
      });

      it("ends for who has enough, and goes on for the others", async () => {
        const { store } = await open();
        const mine: Held[] = [];
        const stop = store.subscribe((committed) => void mine.push(...committed));
        const theirs = listen(store);
        const [first, second] = [aDrop(), aDrop()];
        await store.put(first, NOW);
        await theirs.until(first);
        stop();
        await store.put(second, NOW);
        await theirs.until(second);
        expect(mine.map(({ id }) => id)).toEqual([first.id]);
      });
    });

    describe("order", () => {
      it("has writes take effect as they were asked for, awaited or not", async () => {
        const { store } = await open({ limits: { boxDrops: 1 } });
        const [one, two] = [aDrop(), aDrop()];
        const outcomes = await Promise.all([
          store.put(one, NOW),
          store.put(two, NOW),
          store.acknowledge(by(BOB, one), NOW),
          store.put(two, NOW),
          store.put(one, NOW),
        ]);
        expect(outcomes).toEqual(["stored", "box full", "done", "stored", "known"]);
        expect(await held(store)).toEqual([two.id]);
      });
    });

    describe("closing", () => {
      it("waits for everything that was asked for", async () => {
        const { store, folder } = await open();
        const [kept, gone] = [aDrop(), aDrop()];
        const unawaited = [
          store.put(kept, NOW),
          store.put(gone, NOW),
          store.acknowledge(by(BOB, gone), NOW),
        ];
        await store.close();
        expect(await Promise.all(unawaited)).toEqual(["stored", "stored", "done"]);
        const { store: reopened } = await open({}, folder);
        expect(await held(reopened)).toEqual([kept.id]);
        expect(await reopened.put(gone, NOW)).toBe("known");
      });

      it("refuses what is asked for afterwards", async () => {
        const { store } = await open();
        await store.close();
        await expect(store.put(aDrop(), NOW)).rejects.toThrow("closed");
      });

      it("loses nothing of what can be said of a drop", async () => {
        const { store, folder } = await open();
        const [first, second] = [aDrop(), aDrop({ kind: 4, created_at: NOW - 1 })];
        for (const drop of [first, second]) await store.put(drop, NOW);
        await store.acknowledge({ ...by(BOB, second), at: NOW + 60 }, NOW);
        const before = await store.list(BOB, {}, 10);
        await store.close();
        const { store: reopened } = await open({}, folder);
        expect(await reopened.list(BOB, {}, 10)).toEqual(before);
        expect(reopened.read(before)).toEqual([first.json, second.json]);
        expect(reopened.watermark).toBe(Math.max(...before.map(({ seq }) => seq)));
      });
    });
  });
}

function message(): Drop {
  return aDrop({ kind: 4, author: ALICE });
}

function wrap(): Drop {
  return aDrop({ author: ALICE });
}

function deletionBy(signer: string, ...drops: readonly Drop[]): Acknowledged {
  return { ...by(signer, ...drops), deletion: true };
}

function by(signer: string, ...drops: readonly Drop[]): Acknowledged {
  return { signer, ids: drops.map(({ id }) => id), deletion: false };
}

/** The ids of what is listed, found in the JSON. */
async function held(store: Store, recipient = BOB): Promise<string[]> {
  const headers = await store.list(recipient, {}, 10_000);
  return store.read(headers).map((json) => (JSON.parse(json ?? "{}") as Drop).id);
}

/** Stands until it is told how many milliseconds pass. */
function aClock(): (ms: number) => Promise<unknown> {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => vi.advanceTimersByTimeAsync(ms);
}

type Feed = {
  readonly announced: Held[];
  /** Everything announced up to this drop, waited for if need be. */
  until(drop: Drop): Promise<Held[]>;
};

function listen(store: Store): Feed {
  const announced: Held[] = [];
  let heard: (() => void) | undefined;
  store.subscribe((committed) => {
    announced.push(...committed);
    heard?.();
  });
  return {
    announced,
    until({ id }) {
      return new Promise((resolve) => {
        heard = () => {
          if (announced.some((drop) => drop.id === id)) resolve(announced);
        };
        heard();
      });
    },
  };
}

/** Sweeps to the end, and answers how much went. */
export async function sweepAll(
  store: Store,
  of: "drops" | "tombstones",
  now: number,
): Promise<number> {
  let removed = 0;
  let cursor: SweepCursor | undefined;
  do {
    const swept = await store.sweep(of, now, cursor);
    removed += swept.removed;
    cursor = swept.next;
  } while (cursor !== undefined);
  return removed;
}
