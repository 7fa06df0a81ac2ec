// What real client libraries do with the relay, nothing installed on their side: written, published, picked up with automatic AUTH, and read.

import type NDK from "@nostr-dev-kit/ndk";
import {
  giftUnwrap,
  giftWrap,
  NDKEvent,
  NDKRelaySet,
  NDKSubscriptionCacheUsage,
} from "@nostr-dev-kit/ndk";
import type { EventTemplate, Filter, NostrEvent, VerifiedEvent } from "nostr-tools";
import * as nip04 from "nostr-tools/nip04";
import * as nip17 from "nostr-tools/nip17";
import * as nip59 from "nostr-tools/nip59";
import { SimplePool } from "nostr-tools/pool";
import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it, onTestFinished } from "vitest";

import { now } from "../support/client.ts";
import { acknowledgement, deletion } from "../support/events.ts";
import { signedIn } from "../support/ndk.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";

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
    await publish(wraps);

    for (const recipient of [alice, bob, carol]) {
      const [wrap, ...others] = await pickUp(recipient, { kinds: [1059], "#p": [recipient.key] });
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
    await publish([nip59.wrapEvent(rumor, alice.secret, bob.key)]);
    const [wrap] = await pickUp(bob, {});
    expect(nip59.unwrapEvent(wrap as NostrEvent, bob.secret)).toMatchObject({
      ...rumor,
      pubkey: alice.key,
    });
  });

  it("delivers NIP-04 messages of kind 4", async () => {
    const [alice, bob] = [person(), person()];
    const content = nip04.encrypt(alice.secret, bob.key, "old but read");
    const template = { kind: 4, created_at: now(), tags: [["p", bob.key]], content };
    await publish([finalizeEvent(template, alice.secret)]);
    const [message] = await pickUp(bob, { kinds: [4], "#p": [bob.key] });
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
          oneose: () => void publish([wrap]).catch(reject),
        },
      );
    });
    expect(nip17.unwrapEvent(await heard, bob.secret).content).toBe("now");
  });

  it("authenticates by itself when the pool is told to, before it is asked to", async () => {
    const [alice, bob] = [person(), person()];
    await publish([nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "automatically")]);
    const pool = newPool();
    pool.automaticallyAuth = () => signer(bob);
    const [wrap] = await shownTo(pool, {}, async () => {
      throw new Error("the challenge that came first was not answered");
    });
    expect(nip17.unwrapEvent(wrap as NostrEvent, bob.secret).content).toBe("automatically");
  });

  it("counts what waits", async () => {
    const [alice, bob] = [person(), person()];
    await publish([nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "one")]);
    await publish([nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "two")]);
    const pool = newPool();
    const connection = await pool.ensureRelay(relay().url);
    // `count` does not wait for AUTH by itself: a subscription that has been answered shows that it is done.
    await shownTo(pool, { limit: 0 }, signer(bob));
    expect(await connection.count([{ "#p": [bob.key] }], {})).toBe(2);
  });

  it.each([
    ["a kind 5 deletion", deletion],
    ["a kind 20221 acknowledgement", acknowledgement],
  ])("is not shown again what its owner released with %s", async (_, release) => {
    const [alice, bob] = [person(), person()];
    const wrap = nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "read and burn");
    await publish([wrap]);
    const picked = await pickUp(bob, {});
    expect(picked.map(({ id }) => id)).toEqual([wrap.id]);

    await publish([release(bob, picked)]);
    expect(await pickUp(bob, {})).toEqual([]);
    await publish([wrap]);
    expect(await pickUp(bob, {})).toEqual([]);
  });

  it("shows nobody else's messages, whoever asks", async () => {
    const [alice, bob, eve] = [person(), person(), person()];
    const wrap = nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "not for Eve");
    await publish([wrap]);
    expect(await pickUp(eve, { ids: [wrap.id] })).toEqual([]);
    expect(await pickUp(eve, {})).toEqual([]);
  });
});

describe("NDK", () => {
  it("delivers a gift wrap it made, live and from the box, to a recipient who signs in", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const message = new NDKEvent(sender, {
      kind: 14,
      pubkey: alice.key,
      created_at: now(),
      tags: [["p", bob.key]],
      content: "from one kit to another",
    });
    const wrap = await giftWrap(message, sender.getUser({ pubkey: bob.key }));
    const listener = await signedIn(bob, relay().url);
    const live = nextEvent(listener, { kinds: [1059], "#p": [bob.key] });
    await live.ready;
    const on = await wrap.publish(NDKRelaySet.fromRelayUrls([relay().url], sender));
    expect([...on].map(({ url }) => url)).toEqual([`${relay().url}/`]);

    for (const picked of [
      await live.event,
      await nextEvent(await signedIn(bob, relay().url), {}).event,
    ]) {
      const read = await giftUnwrap(picked);
      expect([read.kind, read.pubkey, read.content]).toEqual([
        14,
        alice.key,
        "from one kit to another",
      ]);
    }
  });

  it("delivers a kind 4 message", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const recipient = sender.getUser({ pubkey: bob.key });
    const message = new NDKEvent(sender, {
      kind: 4,
      pubkey: alice.key,
      created_at: now(),
      tags: [["p", bob.key]],
      content: "legacy",
    });
    await message.encrypt(recipient, undefined, "nip04");
    expect(message.content).not.toContain("legacy");
    await message.publish(NDKRelaySet.fromRelayUrls([relay().url], sender));

    const ndk = await signedIn(bob, relay().url);
    const picked = await nextEvent(ndk, { kinds: [4], "#p": [bob.key] }).event;
    await picked.decrypt(ndk.getUser({ pubkey: alice.key }), undefined, "nip04");
    expect([picked.pubkey, picked.content]).toEqual([alice.key, "legacy"]);
  });

  it("reads what nostr-tools wrote", async () => {
    const [alice, bob] = [person(), person()];
    await publish([nip17.wrapEvent(alice.secret, { publicKey: bob.key }, "across libraries")]);
    const picked = await nextEvent(await signedIn(bob, relay().url), {}).event;
    const read = await giftUnwrap(picked);
    expect([read.pubkey, read.content]).toEqual([alice.key, "across libraries"]);
  });

  it("writes what nostr-tools reads", async () => {
    const [alice, bob] = [person(), person()];
    const sender = await signedIn(alice, relay().url);
    const message = new NDKEvent(sender, {
      kind: 14,
      pubkey: alice.key,
      created_at: now(),
      tags: [["p", bob.key]],
      content: "and back",
    });
    const wrap = await giftWrap(message, sender.getUser({ pubkey: bob.key }));
    await wrap.publish(NDKRelaySet.fromRelayUrls([relay().url], sender));
    const [picked] = await pickUp(bob, { kinds: [1059] });
    const read = nip17.unwrapEvent(picked as NostrEvent, bob.secret);
    expect([read.pubkey, read.content]).toEqual([alice.key, "and back"]);
  });
});

type Signer = (template: EventTemplate) => Promise<VerifiedEvent>;

function signer({ secret }: Person): Signer {
  return async (template) => finalizeEvent(template, secret);
}

function newPool(): SimplePool {
  const pool = new SimplePool();
  onTestFinished(() => pool.destroy());
  return pool;
}

/** Publishes as somebody who signs in to nothing. */
async function publish(events: readonly NostrEvent[]): Promise<void> {
  const pool = newPool();
  for (const event of events) await Promise.all(pool.publish([relay().url], event));
  pool.destroy();
}

/** Everything in the box that matches, asked for by a pool of its own. */
async function pickUp(who: Person, filter: Filter): Promise<NostrEvent[]> {
  const pool = newPool();
  const events = await shownTo(pool, filter, signer(who));
  pool.destroy();
  return events;
}

function shownTo(pool: SimplePool, filter: Filter, onauth: Signer): Promise<NostrEvent[]> {
  return new Promise((resolve, reject) => {
    const events: NostrEvent[] = [];
    pool.subscribe([relay().url], filter, {
      onauth,
      onevent: (event) => events.push(event),
      oneose: () => resolve(events),
      onclose: (closed) => reject(new Error(closed.map(({ reason }) => reason).join())),
    });
  });
}

/** Subscribes. `ready` when all that is held was shown, `event` the first that is shown. */
function nextEvent(
  ndk: NDK,
  filter: { kinds?: number[]; "#p"?: string[] },
): { ready: Promise<void>; event: Promise<NDKEvent> } {
  const subscription = ndk.subscribe(filter, {
    closeOnEose: false,
    cacheUsage: NDKSubscriptionCacheUsage.ONLY_RELAY,
  });
  return {
    ready: new Promise((resolve) => subscription.once("eose", () => resolve())),
    event: new Promise((resolve) => subscription.once("event", resolve)),
  };
}
