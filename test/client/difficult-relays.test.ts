// Single difficulties of a day, one a test, in virtual time: a person who signs slowly, relays that are no dead drops, refuse in words of their own or lie,
// boxes full of what cannot be read.

import { randomBytes } from "node:crypto";

import * as nip44 from "nostr-tools/nip44";
import { describe, expect, it, onTestFinished } from "vitest";

import {
  type Collection,
  type CollectionReport,
  type CollectOptions,
  DeadDrop,
  type DeadDropOptions,
  memoryOutbox,
  type PickedUp,
  secretSigner,
  type Signer,
} from "../../src/client/client.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { AUTHENTICATION } from "../../src/nostr/kinds.ts";
import { type Person, person } from "../support/people.ts";
import { finalizeEvent } from "../support/sign.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import { ALTERATIONS } from "./day-plan.ts";
import { networkOf, ScriptedRelay, type ScriptedRelayOptions } from "./scripted-relay.ts";
import { all, idsOf, randomFrom, statesOf, texts } from "./support.ts";

const NOW = 1_800_000_000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const PROMPT = 10 * MINUTE;
const PATIENCE = 10;

type Setting = {
  readonly time: VirtualTime;
  readonly relays: readonly ScriptedRelay[];
  readonly bob: Person;
  /** A client of Bob's. */
  readonly client: (options?: Partial<DeadDropOptions>) => DeadDrop;
  /** A gift wrap for Bob with this text: one message, however often it is wrapped. */
  readonly wrapped: (text: string, expiresInSeconds?: number) => Promise<NostrEvent>;
};

function setUp(...options: ScriptedRelayOptions[]): Setting {
  const time = VirtualTime.from(NOW);
  const relays = options.map((each, index) => new ScriptedRelay(`relay-${index}.example`, each));
  const network = networkOf(relays);
  const runtime = { now: time.now, random: randomFrom("difficult relays") };
  const [alice, bob] = [person(), person()];
  const client = (given: Partial<DeadDropOptions> = {}): DeadDrop => {
    const made = new DeadDrop({
      relays: relays.map(({ url }) => url),
      keys: [secretSigner(bob.secret)],
      patienceSeconds: PATIENCE,
      ...network,
      runtime,
      ...given,
    });
    onTestFinished(() => made.close());
    return made;
  };
  const sender = client({ relays: [], keys: [secretSigner(alice.secret)] });
  const wrapped: Setting["wrapped"] = (content, expiresInSeconds) => {
    const template = { kind: 14, created_at: NOW, tags: [["p", bob.key]], content };
    return sender.wrap(bob.key, template, {
      ...(expiresInSeconds !== undefined && { expiresInSeconds }),
    });
  };
  return { time, relays, bob, client, wrapped };
}

type Watched = { readonly picked: PickedUp[]; readonly collection: Collection };

function watch(client: DeadDrop, options: CollectOptions = {}): Watched {
  const collection = client.watch(options);
  const picked: PickedUp[] = [];
  void (async () => {
    for await (const each of collection) picked.push(each);
  })();
  return { picked, collection };
}

/** What somebody is asked to sign, and takes their time for. */
type Prompts = {
  readonly signer: Signer;
  readonly shown: { readonly from: number; until: number; readonly url: string | undefined }[];
  readonly mostAtOnce: () => number;
};

function slowSigner({ secret }: Person, time: VirtualTime, seconds: number): Prompts {
  const signer = secretSigner(secret);
  const shown: Prompts["shown"] = [];
  let open = 0;
  let most = 0;
  return {
    shown,
    mostAtOnce: () => most,
    signer: {
      ...signer,
      async sign(template) {
        if (template.kind !== AUTHENTICATION) return signer.sign(template);
        const url = template.tags.find(([name]) => name === "relay")?.[1];
        const prompt = { from: time.seconds, until: Infinity, url };
        shown.push(prompt);
        most = Math.max(most, ++open);
        await new Promise((resolve) => {
          setTimeout(resolve, seconds * 1_000);
        });
        open--;
        prompt.until = time.seconds;
        return signer.sign(template);
      },
    },
  };
}

describe("a person who takes longer to sign than a relay is waited for", () => {
  it("picks up, at one relay after the other", async () => {
    const { time, relays, bob, client, wrapped } = setUp({}, {});
    relays[0]?.publish(await wrapped("at the first"));
    relays[1]?.publish(await wrapped("at the second"));
    const { signer, shown, mostAtOnce } = slowSigner(bob, time, 4.5 * PATIENCE);
    const pickup = client({ keys: [signer] }).pickup();
    const picked = await time.until(all(pickup), PROMPT);
    expect(texts(picked).sort()).toEqual(["at the first", "at the second"]);
    expect(statesOf(pickup.reports)).toEqual(["complete", "complete"]);
    expect(mostAtOnce()).toBe(1);
    expect(new Set(shown.map(({ url }) => url))).toEqual(new Set(relays.map(({ url }) => url)));
    expect(shown).toHaveLength(2);
  });

  it("is asked once at a time, although the relay breaks the connection meanwhile", async () => {
    const { time, relays, bob, client, wrapped } = setUp({});
    const [relay] = relays;
    relay?.publish(await wrapped("patience"));
    const { signer, shown, mostAtOnce } = slowSigner(bob, time, 45);
    const { picked, collection } = watch(client({ keys: [signer] }));
    await time.passes(20);
    expect(shown).toHaveLength(1);
    relay?.restarts();
    await time.passes(10);
    relay?.restarts();
    await time.passes(PROMPT);
    expect(texts(picked)).toEqual(["patience"]);
    expect(statesOf(collection.reports)).toEqual(["complete"]);
    expect(mostAtOnce()).toBe(1);
    // Once for what was lost, once for what is there.
    expect(shown).toHaveLength(2);
  });

  it("does not use up the time in which the relay has to answer", async () => {
    // It answers nearly as late as it may.
    const { time, relays, bob, client, wrapped } = setUp({ latencySeconds: 0.4 * PATIENCE });
    relays[0]?.publish(await wrapped("in the end"));
    const { signer, shown } = slowSigner(bob, time, 2 * PATIENCE);
    const pickup = client({ keys: [signer] }).pickup();
    expect(texts(await time.until(all(pickup), PROMPT))).toEqual(["in the end"]);
    expect(statesOf(pickup.reports)).toEqual(["complete"]);
    expect(shown).toHaveLength(1);
  });

  it("is not waited for by the relay for ever: one that does not answer the signature has failed", async () => {
    const { time, relays, bob, client } = setUp({});
    const { signer, shown } = slowSigner(bob, time, 3 * PATIENCE);
    const pickup = client({ keys: [signer] }).pickup();
    const picking = all(pickup);
    await time.passes(PATIENCE);
    relays[0]?.behaves({ isSilent: true });
    await time.until(picking, PROMPT);
    const [report] = pickup.reports;
    expect(report).toMatchObject({ state: "failed", reason: expect.stringMatching(/./) });
    expect(time.seconds).toBeGreaterThan((shown[0]?.until ?? 0) + 0.5 * PATIENCE);
  });
});

describe("an acknowledgement", () => {
  it("is never sent to a relay whose document has no dead_drop: it is kept", async () => {
    const { time, relays, client, wrapped } = setUp({}, { isDeadDrop: false });
    const [deadDrop, ordinary] = relays;
    const drop = await wrapped("everywhere");
    for (const relay of relays) relay.publish(drop);
    const recipient = client();
    const picked = await time.until(all(recipient.pickup()), PROMPT);
    expect(texts(picked)).toEqual(["everywhere"]);
    const told = await time.until(recipient.acknowledge(idsOf(picked)), PROMPT);
    expect(statesOf(told)).toEqual(["done", "kept"]);
    watch(recipient);
    await time.passes(24 * HOUR);
    ordinary?.restarts();
    await time.passes(24 * HOUR);
    expect(ordinary?.acknowledgements).toEqual([]);
    expect(deadDrop?.acknowledged).toEqual(new Set([drop.id]));
  });

  it.each<[string, () => Response | Promise<Response>]>([
    ["is an error", () => new Response("gone", { status: 503 })],
    ["is no JSON", () => new Response("<html>")],
    ["does not come", () => new Promise(() => {})],
    ["cannot be fetched", () => Promise.reject(new TypeError("fetch failed"))],
  ])("is sent later to a relay whose document %s at first", async (_, document) => {
    const { time, relays, client, wrapped } = setUp({});
    const [relay] = relays;
    const drop = await wrapped("later");
    relay?.publish(drop);
    relay?.behaves({ document });
    const recipient = client();
    const picked = await time.until(all(recipient.pickup()), PROMPT);
    const told = await time.until(recipient.acknowledge(idsOf(picked)), PROMPT);
    expect(told).toMatchObject([{ state: "later", reason: expect.stringMatching(/./) }]);
    expect(relay?.acknowledgements).toEqual([]);
    relay?.behaves({});
    await time.passes(HOUR);
    expect(relay?.acknowledged).toEqual(new Set([drop.id]));
  });

  it("that is refused with words nobody knows is sent again until the drop expires, less and less often, and forgotten then", async () => {
    const { time, relays, client, wrapped } = setUp({});
    const [relay] = relays;
    const drop = await wrapped("six hours", 6 * HOUR);
    const expiration = Number(drop.tags.find(([name]) => name === "expiration")?.[1]);
    expect(expiration).toBeGreaterThanOrEqual(NOW + 6 * HOUR);
    relay?.publish(drop);
    relay?.behaves({ refusesAcknowledgement: "weird: no" });
    const outbox = memoryOutbox();
    const recipient = client({ outbox });
    const picked = await time.until(all(recipient.pickup()), PROMPT);
    const told = await time.until(recipient.acknowledge(idsOf(picked)), PROMPT);
    expect(told).toMatchObject([{ state: "later", reason: expect.stringContaining("weird: no") }]);

    await time.passes(expiration - time.now());
    const times = relay?.acknowledgements.map(({ at }) => at) ?? [];
    // Often enough to be of use, seldom enough to be borne.
    expect(times.length).toBeGreaterThanOrEqual(4);
    expect(times.length).toBeLessThanOrEqual(100);
    const half = NOW + (expiration - NOW) / 2;
    expect(times.some((at) => at > half)).toBe(true);
    const waits = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(waits.at(-1)).toBeGreaterThan(2 * (waits[0] ?? Infinity));
    const events = relay?.acknowledgements.map(({ event }) => event) ?? [];
    for (const { tags } of events) expect(tags).toContainEqual(["e", drop.id]);

    await time.passes(24 * HOUR);
    expect(relay?.acknowledgements.filter(({ at }) => at >= expiration)).toEqual([]);
    const types = (await outbox.load()).map(({ type }) => type);
    expect(types).not.toContain("acknowledgement");
  });

  it("that is refused with words nobody knows is done when the relay takes it", async () => {
    const { time, relays, client, wrapped } = setUp({});
    const [relay] = relays;
    const drop = await wrapped("in the end");
    relay?.publish(drop);
    relay?.behaves({ refusesAcknowledgement: "weird: no" });
    const recipient = client();
    const picked = await time.until(all(recipient.pickup()), PROMPT);
    await time.until(recipient.acknowledge(idsOf(picked)), PROMPT);
    await time.passes(2 * HOUR);
    relay?.behaves({});
    await time.passes(24 * HOUR);
    expect(relay?.acknowledged).toEqual(new Set([drop.id]));
    expect(await time.until(recipient.flush(), PROMPT)).toBe(0);
  });

  it("by another client with the same outbox is of every wrap of the message, and a third wrap is shown to no client of that outbox", async () => {
    const { time, relays, bob, client, wrapped } = setUp({}, {});
    const drops = [await wrapped("one message"), await wrapped("one message")];
    relays.forEach((relay, index) => relay.publish(drops[index] as NostrEvent));
    const outbox = memoryOutbox();
    const first = client({ outbox });
    const picked = await time.until(all(first.pickup()), PROMPT);
    expect(texts(picked)).toEqual(["one message"]);
    first.close();

    const second = client({ outbox });
    const told = await time.until(second.acknowledge(idsOf(picked)), PROMPT);
    expect(statesOf(told)).toEqual(["done", "done"]);
    second.close();
    const ids = new Set(drops.map(({ id }) => id));
    for (const relay of relays) {
      expect(relay.acknowledged).toEqual(ids);
      expect(relay.box(bob)).toEqual([]);
    }

    expect(relays[1]?.publish(await wrapped("one message"))).toEqual([true, ""]);
    const third = client({ outbox }).pickup();
    expect(await time.until(all(third), PROMPT)).toEqual([]);
    expect(statesOf(third.reports)).toEqual(["complete", "complete"]);
  });
});

describe("a relay that broke the connection at AUTH", () => {
  it("is read to its end when it is well again, and not said to have refused anything", async () => {
    const { time, relays, client, wrapped } = setUp({});
    const [relay] = relays;
    relay?.publish(await wrapped("behind it"));
    const wrong: object[] = [];
    for (const seconds of [1, 5, 20]) {
      relay?.behaves({ cutsAt: "AUTH" });
      const recipient = client();
      const reports: CollectionReport[] = [];
      const { picked } = watch(recipient, { progress: (report) => reports.push(report) });
      await time.passes(seconds);
      relay?.behaves({});
      const before = reports.length;
      await time.passes(2 * MINUTE);
      const since = reports.slice(before);
      const read = since.slice(since.findIndex(({ state }) => state === "reading"));
      const isRead = statesOf(read).join() === "reading,complete";
      if (!isRead || texts(picked).join() !== "behind it") wrong.push({ seconds, since });
      recipient.close();
    }
    expect(wrong).toEqual([]);
  });
});

describe("a relay that refuses AUTH", () => {
  it("is reported with its answer to AUTH, not with what it says to the request afterwards", async () => {
    const { time, relays, client } = setUp({});
    relays[0]?.behaves({ refusesAuth: "error: no room for keys" }, "restricted: whoever you are");
    const pickup = client().pickup();
    await time.until(all(pickup), PROMPT);
    expect(pickup.reports).toMatchObject([
      { state: "failed", reason: expect.stringContaining("error: no room for keys") },
    ]);
  });

  it("is so, too, when it challenges only at the second request", async () => {
    const { time, relays, client } = setUp({});
    const [relay] = relays;
    relay?.behaves({ closes: "auth-required: who are you?" });
    const { collection } = watch(client());
    // Now the first request has been answered, and the next has not been made.
    while (relay?.harms.length === 0) await time.passes(0.01);
    relay?.behaves({}, "restricted: whoever you are");
    relay?.setsClock(HOUR);
    while (relay?.said("AUTH").length === 0) await time.passes(0.01);
    await time.passes(1);
    expect(collection.reports).toMatchObject([
      { state: "failed", reason: expect.stringContaining("created_at is more than 10 minutes") },
    ]);
  });
});

// The id covers all but the signature: with a false one it is still the same drop, whoever brings it.
const { signature, ...OF_THE_ID } = ALTERATIONS;

describe.each(Object.entries(OF_THE_ID))(
  "a relay that is the first to send a drop, with false %s",
  (_, alter) => {
    it("does not keep a pickup from bringing the honest relay's copy", async () => {
      const { time, relays, client, wrapped } = setUp({}, { latencySeconds: 2 });
      const drop = await wrapped("the true one");
      for (const relay of relays) relay.publish(drop);
      relays[0]?.behaves({ tells: (event) => [alter(event)] });
      const picked = await time.until(all(client().pickup()), PROMPT);
      expect(picked).toMatchObject([
        {
          type: "message",
          id: drop.id,
          message: { content: "the true one" },
          relay: relays[1]?.url,
        },
      ]);
    });

    it("does not keep a watch from it, stored or live", async () => {
      const { time, relays, client, wrapped } = setUp({}, { latencySeconds: 2 });
      const [stored, live] = [await wrapped("stored"), await wrapped("live")];
      relays[0]?.behaves({ tells: (event) => [alter(event)] });
      for (const relay of relays) relay.publish(stored);
      const { picked } = watch(client());
      await time.passes(MINUTE);
      expect(picked).toMatchObject([{ type: "message", id: stored.id, relay: relays[1]?.url }]);
      for (const relay of relays) relay.publish(live);
      await time.passes(PROMPT);
      expect(texts(picked)).toEqual(["stored", "live"]);
      expect(idsOf(picked)).toEqual([stored.id, live.id]);
    });

    it("does not keep it from bringing its own true copy afterwards", async () => {
      const { time, relays, client, wrapped } = setUp({});
      const drop = await wrapped("the true one");
      relays[0]?.publish(drop);
      relays[0]?.behaves({ tells: (event) => [alter(event)] });
      const { picked } = watch(client());
      await time.passes(MINUTE);
      expect(picked).toEqual([]);
      relays[0]?.behaves({});
      relays[0]?.restarts();
      await time.passes(PROMPT);
      expect(picked).toMatchObject([{ type: "message", id: drop.id }]);
    });
  },
);

describe("a relay that is the first to send a drop, with a false signature", () => {
  it("has it brought once, by a watch and after it by a pickup", async () => {
    const { time, relays, client, wrapped } = setUp({}, { latencySeconds: 2 });
    const drop = await wrapped("once");
    for (const relay of relays) relay.publish(drop);
    relays[0]?.behaves({ tells: (event) => [signature?.(event)] });
    const recipient = client();
    const { picked } = watch(recipient);
    await time.passes(PROMPT);
    expect(picked).toMatchObject([{ type: "message", id: drop.id, message: { content: "once" } }]);
    expect(texts(await time.until(all(recipient.pickup()), PROMPT))).toEqual(["once"]);
  });
});

describe("a box of 2,000 drops that nobody can read", () => {
  it(
    "shows the one that can be read first, and troubles the signer with the others once",
    { timeout: 120_000 },
    async () => {
      const UNREADABLE = 2_000;
      const { time, relays, bob, client, wrapped } = setUp({ boxDrops: UNREADABLE + 1 });
      const [relay] = relays;
      // The oldest, so that it comes last from the relay.
      const readable = await wrapped("among them");
      relay?.publish(readable);
      const stranger = person();
      const key = randomBytes(32);
      const unreadable = new Set<string>();
      for (let index = 0; index < UNREADABLE; index++) {
        const tags = [["p", bob.key]];
        const template = { kind: 1059, created_at: readable.created_at + 1 + index, tags };
        const content = nip44.encrypt(`for nobody ${index}`, key);
        unreadable.add(content);
        const event = finalizeEvent({ ...template, content }, stranger.secret);
        expect(relay?.publish(event)).toEqual([true, ""]);
      }
      const signer = secretSigner(bob.secret);
      const asked: string[] = [];
      const keys: Signer[] = [
        {
          ...signer,
          decrypt(other, ciphertext) {
            asked.push(ciphertext);
            return signer.decrypt(other, ciphertext);
          },
        },
      ];
      const outbox = memoryOutbox();
      const first = client({ keys, outbox });
      const picked = await time.until(all(first.pickup()), HOUR);
      expect(picked).toHaveLength(UNREADABLE + 1);
      expect(picked[0]).toMatchObject({ type: "message", id: readable.id });
      expect(picked.slice(1).every(({ type }) => type === "unreadable")).toBe(true);
      const before = new Set(asked);
      expect([...unreadable].every((ciphertext) => before.has(ciphertext))).toBe(true);
      first.close();

      asked.length = 0;
      const again = await time.until(all(client({ keys, outbox }).pickup()), HOUR);
      expect(again[0]).toMatchObject({ type: "message", id: readable.id });
      expect(asked.filter((ciphertext) => unreadable.has(ciphertext))).toEqual([]);
    },
  );
});
