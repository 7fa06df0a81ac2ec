// Retention, expiry and the sweep, through a relay process. What lies in the past is put there by the store under an earlier clock; the relay then
// starts on that folder today.

import type { NostrEvent } from "nostr-tools";
import { nip19, nip59 } from "nostr-tools";
import { getPublicKey, verifyEvent } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import { type Drop, expiryOf, type RetentionRule } from "../../src/nostr/drop.ts";

import type { Store } from "../../src/store/store.ts";
import { LIMITS, openBelieving, sweptLately } from "../support/clock.ts";
import { Client, now } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import vectors from "../vectors/nip17.json" with { type: "json" };

const HOUR = 60 * 60;
const DAY = 24 * HOUR;

/** What a store went through at an earlier time, under a retention. Everything that was past then is swept. */
async function formerly(
  folder: string,
  at: number,
  retentionSeconds: number,
  happened: (store: PastStore) => Promise<void> = async () => {},
): Promise<void> {
  const settings = { folder, retentionSeconds, diskReserveBytes: 0, limits: LIMITS };
  const { store, rule } = await openBelieving(settings, at);
  await happened(new PastStore(store, rule, at));
  for (const of of ["drops", "tombstones"] as const) await store.sweep(of, at);
  await store.close();
}

class PastStore {
  readonly #store: Store;
  readonly #rule: RetentionRule;
  readonly #at: number;

  constructor(store: Store, rule: RetentionRule, at: number) {
    this.#store = store;
    this.#rule = rule;
    this.#at = at;
  }

  async drop(...events: readonly NostrEvent[]): Promise<void> {
    for (const event of events) {
      const { id, pubkey: author, created_at, kind } = event;
      const expiry = expiryOf(event, this.#rule) as number;
      const recipient = event.tags[0]?.[1] ?? "";
      const json = JSON.stringify(event);
      const drop: Drop = { id, recipient, author, created_at, kind, expiry, json };
      await insist("stored", this.#store.put(drop, this.#at));
    }
  }

  async acknowledge(by: Person, ...events: readonly NostrEvent[]): Promise<void> {
    const ids = events.map(({ id }) => id);
    const acknowledged = { signer: by.key, ids, deletion: false };
    await insist("done", this.#store.acknowledge(acknowledged, this.#at));
  }
}

async function insist(expected: string, outcome: Promise<string>): Promise<void> {
  if ((await outcome) !== expected) throw new Error(`${await outcome} instead of ${expected}`);
}

function relayWith(retention: string, data: string, env: object = {}): Promise<RelayProcess> {
  return startRelay({ data, env: { DEADDROP_RETENTION: retention, ...env } });
}

const OK = (event: NostrEvent): unknown[] => ["OK", event.id, true, ""];
const DUPLICATE = (event: NostrEvent): unknown[] => [
  "OK",
  event.id,
  true,
  "duplicate: already have this event",
];
const EXPIRED = (event: NostrEvent): unknown[] => ["OK", event.id, false, "invalid: expired"];

describe("retention, raised between restarts", () => {
  it("brings nothing back and loses nothing", async () => {
    const bob = person();
    const data = temporaryFolder();
    const aged = (age: number): NostrEvent => giftWrap({ to: bob, created_at: now() - age });
    const [acknowledged, held, expired] = [
      aged(3 * DAY - HOUR),
      aged(3 * DAY - HOUR),
      aged(3 * DAY + HOUR),
    ];

    const short = await relayWith("1d", data);
    const first = await Client.connect(short.url);
    expect(await first.publish(acknowledged)).toEqual(OK(acknowledged));
    expect(await first.publish(held)).toEqual(OK(held));
    expect(await first.publish(expired)).toEqual(EXPIRED(expired));
    const ack = acknowledgement(bob, [acknowledged]);
    expect(await first.publish(ack)).toEqual(OK(ack));
    await short.stop();

    for (const retention of ["30d", "30d", "60d"]) {
      const relay = await relayWith(retention, data);
      const client = await (await Client.connect(relay.url)).authenticate(bob);
      expect(await client.pickup()).toEqual([held.id]);
      expect(await client.publish(acknowledged)).toEqual(DUPLICATE(acknowledged));
      expect(await client.publish(held)).toEqual(DUPLICATE(held));
      expect(await client.publish(expired)).toEqual(EXPIRED(expired));
      expect(await client.pickup()).toEqual([held.id]);
      await relay.stop();
    }
  });

  it("does not let in what expired under the old one, however long ago it was raised", async () => {
    const bob = person();
    const data = temporaryFolder();
    const event = giftWrap({ to: bob, created_at: now() - 12 * DAY });
    await formerly(data, now() - 11 * DAY, DAY, async (store) => {
      await store.drop(event);
      await store.acknowledge(bob, event);
    });
    // The event's three days are over, and the sweep takes its tombstone.
    await formerly(data, now() - 8 * DAY, 30 * DAY);

    const relay = await relayWith("30d", data);
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    expect(await client.publish(event)).toEqual(EXPIRED(event));
    expect(await client.pickup()).toEqual([]);
  });

  it("lets an early acknowledgement stand", async () => {
    const bob = person();
    const data = temporaryFolder();
    const event = giftWrap({ to: bob, created_at: now() - 2 * DAY });
    await formerly(data, now() - 2 * DAY, DAY, (store) => store.acknowledge(bob, event));

    const relay = await relayWith("30d", data);
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    expect(await client.publish(event)).toEqual(OK(event));
    expect(await client.publish(event)).toEqual(DUPLICATE(event));
    expect(await client.pickup()).toEqual([]);
  });
});

describe("retention, lowered between restarts", () => {
  it("loses nothing that is held and brings nothing back", async () => {
    const bob = person();
    const data = temporaryFolder();
    const aged = (): NostrEvent => giftWrap({ to: bob, created_at: now() - 20 * DAY });
    const [acknowledged, held] = [aged(), aged()];

    const long = await relayWith("30d", data);
    const first = await Client.connect(long.url);
    expect(await first.publish(acknowledged)).toEqual(OK(acknowledged));
    expect(await first.publish(held)).toEqual(OK(held));
    const ack = acknowledgement(bob, [acknowledged]);
    expect(await first.publish(ack)).toEqual(OK(ack));
    await long.stop();

    for (const retention of ["1d", "0d", "30d"]) {
      const relay = await relayWith(retention, data);
      const client = await (await Client.connect(relay.url)).authenticate(bob);
      expect(await client.pickup()).toEqual([held.id]);
      expect(await client.publish(acknowledged)).toEqual(DUPLICATE(acknowledged));
      expect(await client.publish(held)).toEqual(DUPLICATE(held));
      expect(await client.pickup()).toEqual([held.id]);
      await relay.stop();
    }
  });

  it("applies to what is sent from then on", async () => {
    const data = temporaryFolder();
    await formerly(data, now() - 20 * DAY, 30 * DAY);
    await formerly(data, now() - 10 * DAY, DAY);
    const relay = await relayWith("1d", data);
    const client = await Client.connect(relay.url);
    const before = giftWrap({ to: person(), created_at: now() - 10 * DAY - HOUR });
    const since = giftWrap({ to: person(), created_at: now() - 10 * DAY + HOUR });
    expect(await client.publish(before)).toEqual(OK(before));
    expect(await client.publish(since)).toEqual(EXPIRED(since));
  });
});

describe("what is past", () => {
  it("is neither served nor counted, and leaves the disk", async () => {
    const bob = person();
    const data = temporaryFolder();
    const then = now() - 10 * DAY;
    const expiring = (): NostrEvent =>
      giftWrap({
        to: bob,
        created_at: then,
        tags: [["expiration", String(then + DAY)]],
      });
    const held = giftWrap({ to: bob, created_at: then });
    await formerly(data, then, 30 * DAY, async (store) => {
      const acknowledged = [expiring(), expiring()];
      await store.drop(expiring(), expiring(), expiring(), held, ...acknowledged);
      await store.acknowledge(bob, ...acknowledged);
    });

    await sweptLately(data);
    const relay = await relayWith("30d", data, { DEADDROP_METRICS: "127.0.0.1:0" });
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    expect(await client.pickup()).toEqual([held.id]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 1 }]);
    await metricsSay(relay, { deaddrop_drops_held: 1, deaddrop_tombstones: 0 });
  });

  it("is not served any more even while it is still on disk", async () => {
    const bob = person();
    const relay = await startRelay({
      env: { DEADDROP_METRICS: "127.0.0.1:0", DEADDROP_SWEEP_SECONDS: "1d" },
    });
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    const expiration = now() + 3;
    const drop = giftWrap({ to: bob, tags: [["expiration", String(expiration)]] });
    expect(await client.publish(drop)).toEqual(OK(drop));
    let served: string[];
    do served = await client.pickup();
    while (served.length > 0);
    expect(now()).toBeGreaterThanOrEqual(expiration);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 0 }]);
    expect(await client.publish(drop)).toEqual(EXPIRED(drop));
    await metricsSay(relay, { deaddrop_drops_held: 1 });
  });
});

/** Asks for the metrics until they say so; the test's own time limit is the end of its patience. */
async function metricsSay(relay: RelayProcess, expected: Record<string, number>): Promise<void> {
  const lines = Object.entries(expected).map(([name, value]) => `${name} ${value}`);
  for (;;) {
    const said = (await (await fetch(relay.metrics ?? "")).text()).split("\n");
    if (lines.every((line) => said.includes(line))) return;
  }
}

describe("the gift wraps printed in NIP-17", () => {
  const wraps: readonly NostrEvent[] = Object.values(vectors.wraps);

  it("verify", () => {
    expect(wraps.map((wrap) => verifyEvent({ ...wrap }))).toEqual([true, true]);
  });

  it("are refused as too old with the default retention", async () => {
    const relay = await startRelay();
    const client = await Client.connect(relay.url);
    for (const wrap of wraps) expect(await client.publish(wrap)).toEqual(EXPIRED(wrap));
  });

  it("are held with a retention that covers 2023, and unwrapped by those they are for", async () => {
    const relay = await startRelay({ env: { DEADDROP_RETENTION: "36500d" } });
    const sender = await Client.connect(relay.url);
    for (const wrap of wraps) expect(await sender.publish(wrap)).toEqual(OK(wrap));
    for (const who of ["receiver", "sender"] as const) {
      const secret = secretOf(vectors[who]);
      const client = await Client.connect(relay.url);
      await client.authenticate({ secret, key: getPublicKey(secret) });
      const { events } = await client.request("inbox", {});
      expect(events).toEqual([vectors.wraps[who]]);
      expect(nip59.unwrapEvent(vectors.wraps[who], secret).content).toBe(vectors.message);
    }
  });

  it("are refused when a digit of the signature is another one", async () => {
    const relay = await startRelay({ env: { DEADDROP_RETENTION: "36500d" } });
    const client = await Client.connect(relay.url);
    for (const wrap of wraps) {
      const sig = wrap.sig.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
      const wrong = ["OK", wrap.id, false, "invalid: signature is wrong"];
      expect(await client.publish({ ...wrap, sig })).toEqual(wrong);
    }
  });
});

function secretOf(nsec: string): Uint8Array {
  const decoded = nip19.decode(nsec);
  if (decoded.type !== "nsec") throw new Error("not a secret key");
  return decoded.data;
}

type Advertised = {
  readonly limitation: { readonly created_at_lower_limit: number };
  readonly retention: readonly { readonly time: number }[];
  readonly dead_drop: {
    readonly retention: number;
    readonly former_retentions?: readonly { readonly until: number; readonly retention: number }[];
  };
};

async function advertisedBy(relay: RelayProcess): Promise<Advertised> {
  const response = await fetch(relay.http, { headers: { accept: "application/nostr+json" } });
  return (await response.json()) as Advertised;
}

describe("a retention that was changed is advertised", () => {
  const SKEW = 15 * 60;

  it.each([
    // What holds for every event made now is the former one, until none can be dated back to it.
    ["raised an hour ago", HOUR, 1, 30, { retention: 1, oldest: 3 * DAY }],
    ["raised three days ago", 3 * DAY, 1, 30, { retention: 30, oldest: 3 * DAY }],
    ["raised four days ago", 4 * DAY, 1, 30, { retention: 30, oldest: 4 * DAY - SKEW }],
    ["lowered an hour ago", HOUR, 30, 1, { retention: 1, oldest: 32 * DAY }],
    ["lowered ten days ago", 10 * DAY, 30, 1, { retention: 1, oldest: 3 * DAY }],
  ])("as what holds now, and what still holds of before: %s", async (_, ago, was, is, told) => {
    const data = temporaryFolder();
    const changed = now() - ago;
    await formerly(data, changed - DAY, was * DAY);
    await formerly(data, changed, is * DAY);
    const relay = await relayWith(`${is}d`, data);

    const { limitation, retention, dead_drop } = await advertisedBy(relay);
    expect(dead_drop.retention).toBe(told.retention * DAY);
    expect(retention[0]?.time).toBe((told.retention + 2) * DAY);
    const stillHolds = changed + SKEW + (was + 2) * DAY > now();
    const former = [{ until: changed + SKEW, retention: was * DAY }];
    expect(dead_drop.former_retentions).toEqual(stillHolds ? former : undefined);
    // The clock goes on while the relay starts.
    expect(Math.abs(limitation.created_at_lower_limit - told.oldest)).toBeLessThan(60);

    const client = await Client.connect(relay.url);
    const oldest = now() - limitation.created_at_lower_limit;
    const dates = [oldest + 60, changed + SKEW, changed + SKEW + 1].filter(
      (at) => oldest < at && at < now() + SKEW,
    );
    for (const created_at of dates) {
      const drop = giftWrap({ to: person(), created_at });
      expect(await client.publish(drop)).toEqual(OK(drop));
    }
    const tooOld = giftWrap({ to: person(), created_at: oldest - 60 });
    expect(await client.publish(tooOld)).toEqual(EXPIRED(tooOld));
  });

  it("as it is, with nothing of before, when it never was another", async () => {
    const relay = await relayWith("30d", temporaryFolder());
    const { dead_drop } = await advertisedBy(relay);
    expect(dead_drop.retention).toBe(30 * DAY);
    expect(dead_drop).not.toHaveProperty("former_retentions");
  });
});
