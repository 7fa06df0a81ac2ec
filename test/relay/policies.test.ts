import { npubEncode } from "nostr-tools/nip19";
import type { EventTemplate, NostrEvent } from "nostr-tools";
import { getEventHash } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import {
  acknowledgement,
  deletion,
  directMessage,
  ephemeralWrap,
  giftWrap,
  signed,
} from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";

describe("a relay that asks for eight bits of work", () => {
  const relay = sharedRelay({ env: { DEADDROP_PROOF_OF_WORK: "8" } });
  const bob = person();

  /** A gift wrap whose id begins with exactly so many zero bits. */
  function mined(bits: number, ...target: string[]): NostrEvent {
    const author = person();
    for (let nonce = 0; ; nonce += 1) {
      const tags = [["p", bob.key]];
      if (target.length > 0) tags.push(["nonce", String(nonce), ...target]);
      const wrap: EventTemplate & { kind: number } = {
        kind: 1059,
        created_at: now(),
        tags,
        content: String(nonce),
      };
      const id = getEventHash({ ...wrap, pubkey: author.key });
      const first = Number.parseInt(id.slice(0, 4), 16);
      if (Math.clz32(first) - 16 === bits) return signed(author, wrap);
    }
  }

  it("holds a drop with eight bits that commits to eight", async () => {
    const client = await Client.connect(relay().url);
    const drop = mined(8, "8");
    expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
  });

  it.each([
    [3, "8"],
    [7, "8"],
    [0, "20"],
  ])("refuses one with %d bits that commits to %s, and says what is missing", async (bits, to) => {
    const client = await Client.connect(relay().url);
    const drop = mined(bits, to);
    const reason = `pow: difficulty ${bits} is less than 8`;
    expect(await client.publish(drop)).toEqual(["OK", drop.id, false, reason]);
  });

  it("refuses one with too little work", async () => {
    const client = await Client.connect(relay().url);
    const drop = mined(7, "8");
    expect(await client.publish(drop)).toEqual(
      documented("a drop with less work than the relay asks for (here 8 bits)", [
        "OK",
        drop.id,
        false,
        "pow: difficulty 7 is less than 8",
      ]),
    );
    const good = mined(9, "9");
    expect(await client.publish(good)).toEqual(["OK", good.id, true, ""]);
  });

  it.each([[["7"]], [[""]], [["-8"]], [["8.5"]], [["many"]], [[]]])(
    "refuses one that had luck and commits to %j",
    async (target) => {
      const client = await Client.connect(relay().url);
      const drop = mined(8, ...target);
      expect(await client.publish(drop)).toEqual(
        documented("a drop with enough work that its `nonce` tag does not commit to", [
          "OK",
          drop.id,
          false,
          "pow: the nonce tag must commit to a target of 8",
        ]),
      );
    },
  );

  it("asks for it for an ephemeral wrap as well", async () => {
    const client = await Client.connect(relay().url);
    // Of 256 wraps 255 have too little.
    const reason = /^pow: (difficulty|the nonce tag)/;
    expect((await client.publish(ephemeralWrap({ to: bob })))[3]).toMatch(reason);
  });

  it("does not ask for it for an acknowledgement", async () => {
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    const drop = mined(8, "8");
    await client.publish(drop);
    for (const event of [acknowledgement(bob, [drop]), deletion(bob, [drop])]) {
      expect(await client.publish(event)).toEqual(["OK", event.id, true, ""]);
    }
    expect(await client.pickup({ ids: [drop.id] })).toEqual([]);
  });
});

describe("a relay that serves some recipients", () => {
  const [alice, bob, mallory] = [person(), person(), person()];
  const relay = sharedRelay({
    env: {
      DEADDROP_ALLOWED_RECIPIENTS: `${alice.key}, ${npubEncode(bob.key)}, ${mallory.key}`,
      DEADDROP_DENIED_RECIPIENTS: mallory.key,
    },
  });
  const NOT_SERVED = "restricted: this relay does not hold drops for that recipient";

  it.each([
    ["by its hex key", alice],
    ["by its npub", bob],
  ])("holds drops for a recipient who is allowed %s", async (_, to) => {
    const client = await Client.connect(relay().url);
    const drop = giftWrap({ to });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
  });

  it("refuses drops for others, and goes on", async () => {
    const client = await Client.connect(relay().url);
    for (const drop of [giftWrap({ to: person() }), ephemeralWrap({ to: person() })]) {
      expect(await client.publish(drop)).toEqual(
        documented("a drop for a recipient who is not allowed", ["OK", drop.id, false, NOT_SERVED]),
      );
    }
    const drop = giftWrap({ to: alice });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
  });

  it("refuses drops for one who is denied, also when allowed", async () => {
    const client = await Client.connect(relay().url);
    const drop = giftWrap({ to: mallory });
    expect(await client.publish(drop)).toEqual(
      documented("a drop for a recipient who is denied", ["OK", drop.id, false, NOT_SERVED]),
    );
  });
});

describe("a relay that denies one author", () => {
  const mallory: Person = person();
  const relay = sharedRelay({ env: { DEADDROP_DENIED_AUTHORS: npubEncode(mallory.key) } });

  it("refuses messages of kind 4 by them, and of nobody else", async () => {
    const client = await Client.connect(relay().url);
    const [denied, held] = [mallory, person()].map((from) => directMessage({ from, to: person() }));
    expect(await client.publish(denied!)).toEqual(
      documented("a message of kind 4 by an author who is denied", [
        "OK",
        denied!.id,
        false,
        "blocked: this relay takes no messages of that author",
      ]),
    );
    expect(await client.publish(held!)).toEqual(["OK", held!.id, true, ""]);
  });

  it("holds drops for them, and what they acknowledge goes", async () => {
    const client = await Client.connect(relay().url);
    const drop = giftWrap({ to: mallory });
    expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    const ack = acknowledgement(mallory, [drop]);
    expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
  });
});

describe("a relay that blocks a network", () => {
  const relay = sharedRelay({
    env: {
      DEADDROP_BLOCKED_NETWORKS: "203.0.113.0/24",
      DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
    },
  });

  it("lets nobody in from there, and everybody else", async () => {
    const blocked = Client.connect(relay().url, { "x-forwarded-for": "203.0.113.200" });
    const status = await blocked.then(
      () => "HTTP 101" as const,
      (error: Error) => error.message as `HTTP ${number}`,
    );
    expect(documented("a connection of an address that is blocked", status)).toBe("HTTP 429");
    await Client.connect(relay().url, { "x-forwarded-for": "203.0.114.1" });
  });
});

describe("a relay that denies one recipient", () => {
  const mallory: Person = person();
  const relay = sharedRelay({ env: { DEADDROP_DENIED_RECIPIENTS: npubEncode(mallory.key) } });

  it("holds drops for everybody else", async () => {
    const client = await Client.connect(relay().url);
    const [denied, held] = [giftWrap({ to: mallory }), giftWrap({ to: person() })];
    expect((await client.publish(denied))[2]).toBe(false);
    expect(await client.publish(held)).toEqual(["OK", held.id, true, ""]);
  });
});
