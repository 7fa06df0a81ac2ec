import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { openStoreFile } from "../support/store-file.ts";

async function counted(relay: RelayProcess, name: string): Promise<number> {
  const text = await (await fetch(relay.metrics ?? "")).text();
  const line = text.split("\n").find((each) => each.startsWith(`${name} `));
  return Number(line?.split(" ").at(-1) ?? 0);
}

describe("a relay that holds a damaged drop", () => {
  it.each(["1", "2"])(
    "shows the others, counts it, and names it in its log by its number alone, on so many event loops: %s",
    async (loops) => {
      const first = await startRelay();
      const bob = person();
      const sender = await Client.connect(first.url);
      const drops = [1, 2, 3].map(() => giftWrap({ to: bob, content: "c".repeat(500) }));
      for (const drop of drops) await sender.publish(drop);
      await first.stop();
      // So that what is in the box is on the disk.
      await (await startRelay({ data: first.data })).stop();
      const file = openStoreFile(first.data);
      file.overwrite(2, `{"id":"${drops[1]?.id}","content":"a secret`);
      await file.close();

      const env = { DEADDROP_METRICS: "127.0.0.1:0", DEADDROP_WORKERS: loops };
      const relay = await startRelay({ data: first.data, env });
      const client = await (await Client.connect(relay.url)).authenticate(bob);
      const left = drops.flatMap(({ id }, at) => (at === 1 ? [] : [id])).sort();
      expect((await client.pickup({})).sort()).toEqual(left);
      expect((await client.pickup({ authors: drops.map(({ pubkey }) => pubkey) })).sort()).toEqual(
        left,
      );
      while ((await counted(relay, "deaddrop_damaged_records_total")) < 2);
      expect(await relay.stop()).toBe(0);

      const said = relay.log.find(({ msg }) => msg.startsWith("records of the store are damaged"));
      expect(said).toMatchObject({ level: 50, table: "drops", numbers: [2] });
      const log = JSON.stringify(relay.log);
      for (const piece of [...drops.map(({ id }) => id), "secret", bob.key]) {
        expect(log).not.toContain(piece);
      }
    },
  );
});
