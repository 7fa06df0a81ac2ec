import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import { directMessage, ephemeralWrap, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";

const DAY = 24 * 60 * 60;
const RETENTION = 30 * DAY;
const FUZZ = 2 * DAY;
const SKEW = 15 * 60;
/** For what is right only for a while: how long a test may take. */
const MARGIN = 60;

const relay = sharedRelay({ env: { DEADDROP_SWEEP_SECONDS: "1h" } });
const bob = person();

type Row = {
  readonly sends: string;
  readonly events: () => NostrEvent[];
  readonly reason: string;
};

const UNTIMELY: readonly Row[] = [
  {
    sends: "a drop whose `expiration` is past",
    events: () =>
      [now(), now() - 1, 0].map((at) => giftWrap({ to: bob, tags: [["expiration", String(at)]] })),
    reason: "invalid: expired",
  },
  {
    sends: "a drop older than the retention and NIP-59's two days",
    events: () => [
      giftWrap({ to: bob, created_at: now() - RETENTION - FUZZ }),
      giftWrap({ to: bob, created_at: 0 }),
      directMessage({ from: bob, to: bob, created_at: now() - RETENTION - FUZZ }),
      ephemeralWrap({ to: bob, created_at: now() - RETENTION - FUZZ }),
      // An expiration in the future makes it no younger.
      giftWrap({
        to: bob,
        created_at: now() - RETENTION - FUZZ,
        tags: [["expiration", String(now() + DAY)]],
      }),
    ],
    reason: "invalid: expired",
  },
  {
    sends: "a drop from more than 15 minutes in the future",
    events: () => [
      giftWrap({ to: bob, created_at: now() + SKEW + MARGIN }),
      giftWrap({ to: bob, created_at: Number.MAX_SAFE_INTEGER }),
      ephemeralWrap({ to: bob, created_at: now() + SKEW + MARGIN }),
    ],
    reason: "invalid: created_at is too far in the future",
  },
  {
    sends: "a drop with several `expiration` tags, the earliest past",
    events: () => {
      const [past, future] = [String(now() - 1), String(now() + DAY)];
      return [
        [past, future],
        [future, past],
        [future, past, future],
      ].map((times) => giftWrap({ to: bob, tags: times.map((time) => ["expiration", time]) }));
    },
    reason: "invalid: expired",
  },
  {
    sends: "a drop with an `expiration` that is no Unix time",
    events: () =>
      [
        [],
        [""],
        ["soon"],
        ["-1"],
        ["1e9"],
        [" 99999999999"],
        ["0x7fffffff"],
        [`${now() + DAY}.5`],
        ["9".repeat(16)],
      ].map((value) => giftWrap({ to: bob, tags: [["expiration", ...value]] })),
    reason: "invalid: malformed expiration tag",
  },
  {
    sends: "a drop with two `expiration` tags, one of them malformed",
    events: () => {
      const future = ["expiration", String(now() + DAY)];
      return [
        giftWrap({ to: bob, tags: [future, ["expiration", "soon"]] }),
        giftWrap({ to: bob, tags: [["expiration", "soon"], future] }),
      ];
    },
    reason: "invalid: malformed expiration tag",
  },
];

describe("an untimely drop", () => {
  it.each(UNTIMELY.map((row): [string, Row] => [row.sends, row]))(
    "is refused, and the connection goes on: %s",
    async (_, { sends, events, reason }) => {
      const client = await Client.connect(relay().url);
      for (const event of events()) {
        const refusal = documented(sends, ["OK", event.id, false, reason]);
        expect(await client.publish(event)).toEqual(refusal);
      }
      const drop = giftWrap({ to: bob });
      expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    },
  );
});

describe("a drop at the edge of its time", () => {
  const edges: [string, () => Partial<NostrEvent>][] = [
    ["just not too old", () => ({ created_at: now() - RETENTION - FUZZ + MARGIN })],
    ["15 minutes in the future", () => ({ created_at: now() + SKEW })],
    ["about to expire", () => ({ tags: [["expiration", String(now() + MARGIN)]] })],
    ["to expire long after the retention", () => ({ tags: [["expiration", "9".repeat(15)]] })],
    [
      "with several expirations, none of them past",
      () => ({
        tags: [
          ["expiration", String(now() + DAY)],
          ["expiration", String(now() + MARGIN)],
        ],
      }),
    ],
  ];

  it.each(edges)("is held and shown: %s", async (_, change) => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const drop = giftWrap({ to: carol, ...change() });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    expect(await client.pickup()).toEqual([drop.id]);
  });
});

describe("a drop whose time comes", () => {
  it("is neither counted nor shown from that second on, and refused when it comes again", async () => {
    const carol = person();
    const client = await (await Client.connect(relay().url)).authenticate(carol);
    const stays = giftWrap({ to: carol });
    const goes = giftWrap({ to: carol, tags: [["expiration", String(now() + 2)]] });
    for (const drop of [stays, goes]) {
      expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    }
    while ((await client.publish(goes))[2] === true);
    expect(await client.publish(goes)).toEqual(["OK", goes.id, false, "invalid: expired"]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 1 }]);
    expect(await client.pickup({})).toEqual([stays.id]);
    expect(await client.pickup({ ids: [goes.id] })).toEqual([]);
  });
});
