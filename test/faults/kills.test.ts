// What OK promises, when the process is killed in the middle of whatever it does.

import * as fc from "fast-check";
import type { NostrEvent } from "nostr-tools";
import { describe, expect, it, onTestFinished } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { startRelay } from "../support/relay.ts";
import { openStoreFile, type StoreFile } from "../support/store-file.ts";
import { uwsLauncher } from "../support/uws.ts";
import { budget, record, SEED } from "./budget.ts";
import { historyArb, type Transport } from "./history.ts";
import { happen, type Launchers, newTally } from "./lives.ts";

const KILLS = budget({ short: 40, long: 1_000 });
const MOST_LIVES = 8;
// For making a history shorter that went wrong. What goes wrong hardly ever is tried more than once.
const SHRINKING_MS = budget({ short: 60_000, long: 600_000 });
const TRIES = 2;
const MOST_MS = budget({ short: 400_000, long: 7_200_000 });

const uws = uwsLauncher();
const reason = typeof uws === "string" ? uws : undefined;
const but = reason === undefined ? "" : ` (but: ${reason})`;
const launchers: Launchers = { ws: undefined, uws: typeof uws === "string" ? undefined : uws };
const transports: Transport[] = reason === undefined ? ["ws", "uws"] : ["ws"];

describe("kill -9", () => {
  it.skipIf(reason !== undefined && process.env["CI"] === undefined)(
    `is tried on uWebSockets.js too${but}`,
    () => {
      expect(reason).toBeUndefined();
    },
  );

  it(
    `takes back nothing that was answered, at ${KILLS} moments under many clients`,
    async () => {
      const tally = newTally();
      const beganAt = performance.now();
      let wrongAt: number | undefined;
      const property = fc.asyncProperty(historyArb(transports, MOST_LIVES), async (history) => {
        if (wrongAt === undefined && tally.kills >= KILLS) return;
        const tries = wrongAt === undefined ? 1 : TRIES;
        for (let tried = 0; tried < tries; tried++) {
          if (performance.now() > (wrongAt ?? Infinity) + SHRINKING_MS) return;
          const wrongs = await happen(history, launchers, tally);
          if (wrongs.length === 0) continue;
          wrongAt ??= performance.now();
          throw new Error(wrongs.join("\n"));
        }
      });
      await fc.assert(property, { seed: SEED, numRuns: KILLS, includeErrorInReport: true });
      const seconds = Math.round((performance.now() - beganAt) / 1_000);
      record("kills", { ...tally, wrongs: 0, seconds });
      expect(tally.kills).toBeGreaterThanOrEqual(KILLS);
      expect(tally.certainlyHeld).toBeGreaterThan(0);
      expect(tally.certainlyGone).toBeGreaterThan(0);
    },
    MOST_MS,
  );
});

function isAcknowledged({ tables }: StoreFile, { key }: Person, id: string): boolean {
  return tables.tombstones.doesExist(tables.keys.owned(key, id));
}

describe("OK", () => {
  it("comes when the drop, or its acknowledgement, can be read from the file by any process", async () => {
    const relay = await startRelay();
    const bob = person();
    const file = openStoreFile(relay.data, true);
    onTestFinished(() => file.close());
    const isKnown = ({ id }: NostrEvent): boolean => {
      file.root.resetReadTxn();
      const drops = [...file.tables.drops.between(1, 100)];
      return drops.some(({ json }) => json.includes(id)) || isAcknowledged(file, bob, id);
    };

    const client = await Client.connect(relay.url);
    const events = Array.from({ length: 40 }, () => giftWrap({ to: bob }));
    for (const [number, event] of events.entries()) {
      expect(isKnown(event)).toBe(false);
      await client.publish(number % 2 === 0 ? event : acknowledgement(bob, [event]));
      expect(isKnown(event)).toBe(true);
    }
  });
});
