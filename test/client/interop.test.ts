// Foreign libraries on the other side: what NDK and nostr-tools send is picked up by ours, and what ours sends by them.

import {
  giftUnwrap,
  giftWrap,
  NDKEvent,
  NDKRelaySet,
  NDKSubscriptionCacheUsage,
} from "@nostr-dev-kit/ndk";
import * as nip17 from "nostr-tools/nip17";
import { SimplePool } from "nostr-tools/pool";
import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it, onTestFinished } from "vitest";

import { now } from "../support/client.ts";
import { signedIn } from "../support/ndk.ts";
import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { all, deadDrop, held, idsOf } from "./support.ts";

const relay = sharedRelay();

describe("NDK", () => {
  it("sends, and DeadDrop picks up and acknowledges", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const message = new NDKEvent(sender, {
      kind: 14,
      pubkey: alice.key,
      created_at: now(),
      tags: [["p", bob.key]],
      content: "from NDK",
    });
    const wrap = await giftWrap(message, sender.getUser({ pubkey: bob.key }));
    await wrap.publish(NDKRelaySet.fromRelayUrls([relay().url], sender));
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
    const subscription = recipient.subscribe(
      { "#p": [bob.key] },
      { cacheUsage: NDKSubscriptionCacheUsage.ONLY_RELAY },
    );
    const wrap = await new Promise<NDKEvent>((resolve) => subscription.once("event", resolve));
    const read = await giftUnwrap(wrap);
    expect([read.kind, read.pubkey, read.content]).toEqual([14, alice.key, "to NDK"]);
  });
});

describe("nostr-tools", () => {
  it("sends, and DeadDrop picks up", async () => {
    const [alice, bob] = [person(), person()];
    const wrap = nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "from nostr-tools");
    const pool = new SimplePool();
    onTestFinished(() => pool.destroy());
    await Promise.all(pool.publish([relay().url], wrap));
    expect(await all(deadDrop(bob, [relay()]).pickup())).toMatchObject([
      { type: "message", id: wrap.id, from: alice.key, message: { content: "from nostr-tools" } },
    ]);
  });

  it("picks up what DeadDrop sends", async () => {
    const [alice, bob] = [person(), person()];
    await deadDrop(alice, []).send(bob.key, "to nostr-tools", { relays: [relay().url] });
    const pool = new SimplePool();
    onTestFinished(() => pool.destroy());
    const wrap = await new Promise<Parameters<typeof nip17.unwrapEvent>[0]>((resolve) => {
      pool.subscribe(
        [relay().url],
        { kinds: [1059] },
        { onauth: async (template) => finalizeEvent(template, bob.secret), onevent: resolve },
      );
    });
    expect(nip17.unwrapEvent(wrap, bob.secret)).toMatchObject({
      pubkey: alice.key,
      content: "to nostr-tools",
    });
  });
});
