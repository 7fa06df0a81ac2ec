// A machine that is taken while, or after, a relay ran on it.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, directMessage, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

function filesOf(folder: string): Buffer {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
  return Buffer.concat(paths.map((path) => readFileSync(path)));
}

const KEYS = { bytes: 16, none: Buffer.alloc(16) };

function keyOf(folder: string, seq: number): Buffer {
  const file = readFileSync(join(folder, "keys", "00000000"));
  return file.subarray(seq * KEYS.bytes, (seq + 1) * KEYS.bytes);
}

// Everything by which somebody could be looked for: keys as they are and in digits, and what was written in clear in a message.
function clues(people: readonly Person[], text: string): Buffer[] {
  return [
    Buffer.from(text),
    Buffer.from('"content":"'),
    ...people.flatMap(({ key }) => [
      Buffer.from(key.slice(0, 16)),
      Buffer.from(key.slice(0, 32), "hex"),
    ]),
  ];
}

async function filled(relay: RelayProcess, bob: Person, alice: Person) {
  const client = await Client.connect(relay.url);
  const text = "ciphertext that nobody else has";
  const drops = Array.from({ length: 60 }, (_, n) =>
    n % 3 === 0
      ? directMessage({ from: alice, to: bob, content: text.repeat(n + 1) })
      : giftWrap({ to: bob, content: text.repeat(n + 1) }),
  );
  for (const drop of drops) expect((await client.publish(drop))[2]).toBe(true);
  return { client, drops, text };
}

describe.each(["1", "2"])(
  "what is on the disk of a relay with %s event loops",
  (DEADDROP_WORKERS) => {
    it("names nobody, and holds no word", async () => {
      const relay = await startRelay({ env: { DEADDROP_WORKERS } });
      const [bob, alice] = [person(), person()];
      const { client, drops, text } = await filled(relay, bob, alice);
      await client.publish(acknowledgement(bob, drops.slice(0, 20)));
      await relay.kill();
      const bytes = filesOf(relay.data);
      for (const clue of clues([bob, alice], text)) expect(bytes.includes(clue)).toBe(false);
      for (const { id } of drops)
        expect(bytes.includes(Buffer.from(id.slice(0, 32), "hex"))).toBe(false);
      // All of it is there.
      const again = await startRelay({ data: relay.data, env: { DEADDROP_WORKERS } });
      const reader = await (await Client.connect(again.url)).authenticate(bob);
      expect((await reader.pickup({})).sort()).toEqual(
        drops
          .slice(20)
          .map(({ id }) => id)
          .sort(),
      );
    });

    it("has no key any more to what was acknowledged, a moment later", async () => {
      const relay = await startRelay({ env: { DEADDROP_WORKERS } });
      const [bob, alice] = [person(), person()];
      const { client, drops } = await filled(relay, bob, alice);
      const key = Buffer.from(keyOf(relay.data, 1));
      expect(key.equals(KEYS.none)).toBe(false);
      await client.publish(acknowledgement(bob, drops.slice(0, 20)));
      while (filesOf(relay.data).includes(key)) await client.publish(giftWrap({ to: alice }));
      for (let seq = 1; seq <= 20; seq++) {
        expect(keyOf(relay.data, seq).equals(KEYS.none)).toBe(true);
      }
      expect(keyOf(relay.data, 21).equals(KEYS.none)).toBe(false);
    });

    it("is of no use without the secret, where that is kept elsewhere", async () => {
      const secret = "5e".repeat(32);
      const env = {
        DEADDROP_WORKERS,
        DEADDROP_STORE_SECRET: "env:KEPT_ELSEWHERE",
        KEPT_ELSEWHERE: secret,
      };
      const relay = await startRelay({ env });
      const [bob, alice] = [person(), person()];
      const { drops } = await filled(relay, bob, alice);
      expect(await relay.stop()).toBe(0);
      const bytes = filesOf(relay.data);
      expect(
        bytes.includes(Buffer.from(secret, "hex")) || bytes.includes(Buffer.from(secret)),
      ).toBe(false);
      await expect(startRelay({ data: relay.data })).rejects.toThrow(
        "the store's secret cannot be read",
      );
      const again = await startRelay({ data: relay.data, env });
      const reader = await (await Client.connect(again.url)).authenticate(bob);
      expect(await reader.pickup({})).toHaveLength(drops.length);
    });
  },
);
