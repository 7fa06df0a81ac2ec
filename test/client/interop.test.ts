// Foreign libraries on the other side: what NDK and nostr-tools send is picked up by ours, and what ours sends by them.

import type { NostrEvent } from "nostr-tools";
import * as nip17 from "nostr-tools/nip17";
import { describe, expect, it } from "vitest";

import { nextEvent, publishAt, readBy, signedIn, wrapBy } from "../support/ndk.ts";
import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { newPool, publish, signer } from "../support/simple-pool.ts";
import { all, deadDrop, held, idsOf } from "./support.ts";

const relay = sharedRelay();

describe("NDK", () => {
  it("sends, and DeadDrop picks up and acknowledges", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const wrap = await wrapBy(sender, { from: alice, to: bob, content: "from NDK" });
    await publishAt(relay().url, sender, wrap);
    const recipient = deadDrop(bob, [relay()]);
    const picked = await all(recipient.pickup());
    expect(picked).toMatchObject([
      { type: "message", id: wrap.id, from: alice.key, message: { kind: 14, content: "from NDK" } },
    ]);
    await recipient.acknowledge(idsOf(picked));
    expect(await held(bob, [relay()])).toEqual([0]);
  });

  it("picks up what DeadDrop sends", async () => {
    const [alice, bob] = [person(), person()];
    await deadDrop(alice, []).send(bob.key, "to NDK", {
      relays: [relay().url],
      expiresInSeconds: 3_600,
    });
    const recipient = await signedIn(bob, relay().url);
    const wrap = await nextEvent(recipient, { "#p": [bob.key] }).event;
    expect(await readBy(wrap)).toEqual([14, alice.key, "to NDK"]);
  });
});

describe("nostr-tools", () => {
  it("sends, and DeadDrop picks up", async () => {
    const [alice, bob] = [person(), person()];
    const wrap = nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "from nostr-tools");
    await publish(relay().url, [wrap]);
    expect(await all(deadDrop(bob, [relay()]).pickup())).toMatchObject([
      { type: "message", id: wrap.id, from: alice.key, message: { content: "from nostr-tools" } },
    ]);
  });

  it("picks up what DeadDrop sends", async () => {
    const [alice, bob] = [person(), person()];
    await deadDrop(alice, []).send(bob.key, "to nostr-tools", { relays: [relay().url] });
    const wrap = await new Promise<NostrEvent>((resolve) => {
      const asked = { onauth: signer(bob), onevent: resolve };
      newPool().subscribe([relay().url], { kinds: [1059] }, asked);
    });
    expect(nip17.unwrapEvent(wrap, bob.secret)).toMatchObject({
      pubkey: alice.key,
      content: "to nostr-tools",
    });
  });
});
