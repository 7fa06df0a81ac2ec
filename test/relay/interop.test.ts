// What real client libraries do with the relay, nothing installed on their side: written, published, picked up with automatic AUTH, and read.

import type { NostrEvent } from "nostr-tools";
import * as nip04 from "nostr-tools/nip04";
import * as nip17 from "nostr-tools/nip17";
import * as nip59 from "nostr-tools/nip59";
import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import { now } from "../support/client.ts";
import { acknowledgement, deletion } from "../support/events.ts";
import { messageBy, nextEvent, publishAt, readBy, signedIn, wrapBy } from "../support/ndk.ts";
import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { newPool, pickUp, publish, shownTo, signer } from "../support/simple-pool.ts";

const relay = sharedRelay();

describe("nostr-tools", () => {
  it("delivers NIP-17 messages through SimplePool, to each recipient and the sender's own copy", async () => {
    const [alice, bob, carol] = [person(), person(), person()];
    const wraps = nip17.wrapManyEvents(
      alice.secret,
      [{ publicKey: bob.key }, { publicKey: carol.key }],
      "the fox is in the barn 🦊",
      "barn",
    );
    await publish(relay().url, wraps);

    for (const recipient of [alice, bob, carol]) {
      const [wrap, ...others] = await pickUp(relay().url, recipient, {
        kinds: [1059],
        "#p": [recipient.key],
      });
      expect(others).toEqual([]);
      const message = nip17.unwrapEvent(wrap as NostrEvent, recipient.secret);
      expect(message).toMatchObject({
        kind: 14,
        pubkey: alice.key,
        content: "the fox is in the barn 🦊",
      });
      expect(message.tags).toContainEqual(["subject", "barn"]);
    }
  });

  it("delivers any rumor wrapped by NIP-59", async () => {
    const [alice, bob] = [person(), person()];
    const rumor = { kind: 7, content: "🔥", tags: [["e", "0".repeat(64)]], created_at: now() };
    await publish(relay().url, [nip59.wrapEvent(rumor, alice.secret, bob.key)]);
    const [wrap] = await pickUp(relay().url, bob, {});
    expect(nip59.unwrapEvent(wrap as NostrEvent, bob.secret)).toMatchObject({
      ...rumor,
      pubkey: alice.key,
    });
  });

  it("delivers NIP-04 messages of kind 4", async () => {
    const [alice, bob] = [person(), person()];
    const content = nip04.encrypt(alice.secret, bob.key, "old but read");
    const template = { kind: 4, created_at: now(), tags: [["p", bob.key]], content };
    await publish(relay().url, [finalizeEvent(template, alice.secret)]);
    const [message] = await pickUp(relay().url, bob, { kinds: [4], "#p": [bob.key] });
    expect(nip04.decrypt(bob.secret, alice.key, message?.content ?? "")).toBe("old but read");
  });

  it("hears live what comes while it is subscribed", async () => {
    const [alice, bob] = [person(), person()];
    const wrap = nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "now");
    const pool = newPool();
    const heard = new Promise<NostrEvent>((resolve, reject) => {
      pool.subscribe(
        [relay().url],
        { kinds: [1059], "#p": [bob.key] },
        {
          onauth: signer(bob),
          onevent: resolve,
          oneose: () => void publish(relay().url, [wrap]).catch(reject),
        },
      );
    });
    expect(nip17.unwrapEvent(await heard, bob.secret).content).toBe("now");
  });

  it("authenticates by itself when the pool is told to, before it is asked to", async () => {
    const [alice, bob] = [person(), person()];
    await publish(relay().url, [
      nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "automatically"),
    ]);
    const pool = newPool();
    pool.automaticallyAuth = () => signer(bob);
    const [wrap] = await shownTo(pool, relay().url, {}, async () => {
      throw new Error("the challenge that came first was not answered");
    });
    expect(nip17.unwrapEvent(wrap as NostrEvent, bob.secret).content).toBe("automatically");
  });

  it("counts what waits", async () => {
    const [alice, bob] = [person(), person()];
    await publish(relay().url, [nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "one")]);
    await publish(relay().url, [nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "two")]);
    const pool = newPool();
    const connection = await pool.ensureRelay(relay().url);
    // `count` does not wait for AUTH by itself: a subscription that has been answered shows that it is done.
    await shownTo(pool, relay().url, { limit: 0 }, signer(bob));
    expect(await connection.count([{ "#p": [bob.key] }], {})).toBe(2);
  });

  it.each([
    ["a kind 5 deletion", deletion],
    ["a kind 20221 acknowledgement", acknowledgement],
  ])("is not shown again what its owner released with %s", async (_, release) => {
    const [alice, bob] = [person(), person()];
    const wrap = nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "read and burn");
    await publish(relay().url, [wrap]);
    const picked = await pickUp(relay().url, bob, {});
    expect(picked.map(({ id }) => id)).toEqual([wrap.id]);

    await publish(relay().url, [release(bob, picked)]);
    expect(await pickUp(relay().url, bob, {})).toEqual([]);
    await publish(relay().url, [wrap]);
    expect(await pickUp(relay().url, bob, {})).toEqual([]);
  });

  it("shows nobody else's messages, whoever asks", async () => {
    const [alice, bob, eve] = [person(), person(), person()];
    const wrap = nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "not for Eve");
    await publish(relay().url, [wrap]);
    expect(await pickUp(relay().url, eve, { ids: [wrap.id] })).toEqual([]);
    expect(await pickUp(relay().url, eve, {})).toEqual([]);
  });
});

describe("NDK", () => {
  it("delivers a gift wrap it made, live and from the box, to a recipient who signs in", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const wrap = await wrapBy(sender, { from: alice, to: bob, content: "from one kit to another" });
    const listener = await signedIn(bob, relay().url);
    const live = nextEvent(listener, { kinds: [1059], "#p": [bob.key] });
    await live.ready;
    expect(await publishAt(relay().url, sender, wrap)).toEqual([`${relay().url}/`]);

    for (const picked of [
      await live.event,
      await nextEvent(await signedIn(bob, relay().url), {}).event,
    ]) {
      expect(await readBy(picked)).toEqual([14, alice.key, "from one kit to another"]);
    }
  });

  it("delivers a kind 4 message", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const recipient = sender.getUser({ pubkey: bob.key });
    const message = messageBy(sender, { from: alice, to: bob, content: "legacy", kind: 4 });
    await message.encrypt(recipient, undefined, "nip04");
    expect(message.content).not.toContain("legacy");
    await publishAt(relay().url, sender, message);

    const ndk = await signedIn(bob, relay().url);
    const picked = await nextEvent(ndk, { kinds: [4], "#p": [bob.key] }).event;
    await picked.decrypt(ndk.getUser({ pubkey: alice.key }), undefined, "nip04");
    expect([picked.pubkey, picked.content]).toEqual([alice.key, "legacy"]);
  });

  it("reads what nostr-tools wrote", async () => {
    const [alice, bob] = [person(), person()];
    await publish(relay().url, [
      nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "across libraries"),
    ]);
    const picked = await nextEvent(await signedIn(bob, relay().url), {}).event;
    expect(await readBy(picked)).toEqual([14, alice.key, "across libraries"]);
  });

  it("writes what nostr-tools reads", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const wrap = await wrapBy(sender, { from: alice, to: bob, content: "and back" });
    await publishAt(relay().url, sender, wrap);
    const [picked] = await pickUp(relay().url, bob, { kinds: [1059] });
    const read = nip17.unwrapEvent(picked as NostrEvent, bob.secret);
    expect([read.pubkey, read.content]).toEqual([alice.key, "and back"]);
  });
});
