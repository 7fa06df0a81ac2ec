import { randomBytes } from "node:crypto";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import {
  acknowledgement,
  deletion,
  directMessage,
  ephemeralWrap,
  giftWrap,
  inOrder,
  signed,
  vanishing,
} from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay, startRelay, temporaryFolder } from "../support/relay.ts";
import {
  ask,
  count,
  done,
  dropsFor,
  HELD,
  hold,
  idsOf,
  KNOWN,
  pickup,
  post,
  refusal,
  taken,
  heldFor,
  recipientOf,
} from "./support.ts";

const relay = sharedRelay();

describe("POST /ack", () => {
  it.each<[string, (bob: Person, drops: readonly NostrEvent[]) => NostrEvent]>([
    ["an acknowledgement", acknowledgement],
    ["a deletion", deletion],
  ])(
    "takes %s, and its drops are gone from pickup, count, REQ and COUNT",
    async (_, acknowledge) => {
      const { bob, drops } = await recipientOf(relay(), 5);
      const client = await (await Client.connect(relay().url)).authenticate(bob);
      const ack = acknowledge(bob, drops.slice(1, 4));
      expect(await post(relay(), "/ack", ack)).toEqual(done(ack));

      const kept = [drops[0]!.id, drops[4]!.id];
      expect(await heldFor(relay(), bob)).toEqual(kept);
      expect(await count(relay(), bob)).toEqual({ count: 2 });
      expect(await client.pickup()).toEqual(kept);
      expect(await client.count({})).toEqual(["COUNT", "count", { count: 2 }]);
    },
  );

  it("answers in JSON that no cache keeps", async () => {
    const ack = acknowledgement(person(), [{ id: "ab".repeat(32) }]);
    const { status, headers, text } = await ask(`${relay().http}/ack`, {
      method: "POST",
      body: JSON.stringify(ack),
    });
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(JSON.parse(text)).toEqual({ id: ack.id, accepted: true, reason: "" });
  });

  it("lets nothing come back: a drop that is dropped again is known, and not held", async () => {
    const { bob, drops } = await recipientOf(relay(), 2);
    const [gone, kept] = drops;
    await post(relay(), "/ack", acknowledgement(bob, [gone!]));
    for (let again = 0; again < 2; again++) {
      expect(await post(relay(), "/drop", gone!)).toEqual(taken(KNOWN, gone!));
    }
    expect(await heldFor(relay(), bob)).toEqual([kept!.id]);
  });

  it("may come before the drop, which is answered as if it were held when it comes, and is not", async () => {
    const bob = person();
    const drop = giftWrap({ to: bob });
    const ack = acknowledgement(bob, [drop]);
    expect(await post(relay(), "/ack", ack)).toEqual(done(ack));
    expect(await post(relay(), "/drop", drop)).toEqual(taken(HELD, drop));
    expect(await heldFor(relay(), bob)).toEqual([]);
  });

  it("does nothing more when it comes again, from whomever", async () => {
    const { bob, drops } = await recipientOf(relay(), 3);
    const ack = acknowledgement(bob, drops.slice(0, 1));
    for (let again = 0; again < 3; again++) {
      expect(await post(relay(), "/ack", ack)).toEqual(done(ack));
    }
    expect(await heldFor(relay(), bob)).toEqual(idsOf(drops.slice(1)));
  });

  it("thanks a stranger, and deletes nothing of the recipient's", async () => {
    const { bob, drops } = await recipientOf(relay(), 2);
    for (const acknowledge of [acknowledgement, deletion]) {
      const ack = acknowledge(person(), drops);
      expect(await post(relay(), "/ack", ack)).toEqual(done(ack));
    }
    expect(await heldFor(relay(), bob)).toEqual(idsOf(drops));
  });

  it("asks for no authorization, since the signature is enough", async () => {
    const { bob, drops } = await recipientOf(relay(), 1);
    const headers = { authorization: "Nostr nonsense" };
    const ack = acknowledgement(bob, drops);
    expect(await post(relay(), "/ack", ack, headers)).toEqual(done(ack));
    expect(await heldFor(relay(), bob)).toEqual([]);
  });

  it("lets a direct message be deleted by its author, and a gift wrap not", async () => {
    const [alice, bob] = [person(), person()];
    const message = directMessage({ from: alice, to: bob });
    const wrap = signed(alice, { kind: 1059, tags: [["p", bob.key]] });
    await hold(relay(), [message, wrap]);
    const ack = deletion(alice, [message, wrap]);
    expect(await post(relay(), "/ack", ack)).toEqual(done(ack));
    expect(await heldFor(relay(), bob)).toEqual([wrap.id]);
  });

  it("is not shown to anybody", async () => {
    const { bob, drops } = await recipientOf(relay(), 1);
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("live", {});
    const tags = [
      ["e", drops[0]!.id],
      ["p", bob.key],
    ];
    await post(relay(), "/ack", signed(bob, { kind: 20221, tags }));
    await post(relay(), "/ack", signed(bob, { kind: 5, tags }));
    const drop = giftWrap({ to: bob });
    await hold(relay(), [drop]);
    expect(await client.hear()).toEqual(["EVENT", "live", drop]);
    expect(await heldFor(relay(), bob)).toEqual([drop.id]);
  });
});

describe("a grace", () => {
  it("leaves the drops for other devices until it is over, and no longer", async () => {
    const { bob, drops } = await recipientOf(relay(), 3);
    const later = acknowledgement(bob, drops.slice(0, 1), now() + 3_600);
    const soon = acknowledgement(bob, drops.slice(1, 2), now() + 2);
    expect(await post(relay(), "/ack", later)).toEqual(done(later));
    expect(await post(relay(), "/ack", soon)).toEqual(done(soon));
    expect(await post(relay(), "/drop", drops[0]!)).toEqual(taken(KNOWN, drops[0]!));
    const kept = [drops[0]!.id, drops[2]!.id];
    let seen = await heldFor(relay(), bob);
    expect(seen).toEqual(expect.arrayContaining(kept));
    while (seen.includes(drops[1]!.id)) seen = await heldFor(relay(), bob);
    expect(seen).toEqual(kept);
    expect(await count(relay(), bob)).toEqual({ count: 2 });
    expect(await post(relay(), "/drop", drops[1]!)).toEqual(taken(KNOWN, drops[1]!));
    expect(await heldFor(relay(), bob)).toEqual(kept);
  });

  it("in the past is over at once", async () => {
    const { bob, drops } = await recipientOf(relay(), 2);
    const ack = acknowledgement(bob, drops.slice(0, 1), now() - 1);
    expect(await post(relay(), "/ack", ack)).toEqual(done(ack));
    expect(await heldFor(relay(), bob)).toEqual(idsOf(drops.slice(1)));
  });

  it("ends early when the drop is acknowledged without one", async () => {
    const { bob, drops } = await recipientOf(relay(), 1);
    await post(relay(), "/ack", acknowledgement(bob, drops, now() + 3_600));
    expect(await heldFor(relay(), bob)).toEqual(idsOf(drops));
    await post(relay(), "/ack", acknowledgement(bob, drops));
    expect(await heldFor(relay(), bob)).toEqual([]);
  });
});

describe("what was acknowledged", () => {
  it("stays gone after a restart", async () => {
    const data = temporaryFolder();
    const bob = person();
    const drops = inOrder(dropsFor(bob, 20));
    const early = giftWrap({ to: bob });
    const first = await startRelay({ data });
    await hold(first, drops);
    await post(first, "/ack", acknowledgement(bob, [...drops.slice(0, 10), early]));
    expect(await first.stop()).toBe(0);

    const second = await startRelay({ data });
    expect(await heldFor(second, bob)).toEqual(idsOf(drops.slice(10)));
    expect(await post(second, "/drop", early)).toEqual(taken(HELD, early));
    for (const drop of [...drops, early]) {
      expect(await post(second, "/drop", drop)).toEqual(taken(KNOWN, drop));
    }
    expect(await heldFor(second, bob)).toEqual(idsOf(drops.slice(10)));
  });

  it("stays gone when the process is killed as soon as it has answered", async () => {
    const data = temporaryFolder();
    const bob = person();
    const drops = dropsFor(bob, 120);
    const first = await startRelay({ data });
    await hold(first, drops);
    const gone = new Set<string>();
    await Promise.allSettled(
      drops.map(async (drop) => {
        const { status } = await post(first, "/ack", acknowledgement(bob, [drop]));
        if (status === 200) gone.add(drop.id);
        if (gone.size === 40) await first.kill();
      }),
    );
    expect(gone.size).toBeGreaterThanOrEqual(40);

    const second = await startRelay({ data });
    expect((await heldFor(second, bob)).filter((id) => gone.has(id))).toEqual([]);
    for (const drop of drops.filter(({ id }) => gone.has(id))) {
      expect(await post(second, "/drop", drop)).toEqual(taken(KNOWN, drop));
    }
  });
});

describe("POST /ack refuses", () => {
  const NEITHER = "invalid: an acknowledgement is an event of kind 20221 or 5";

  it.each<[string, (bob: Person) => NostrEvent]>([
    ["a gift wrap", (bob) => giftWrap({ to: bob })],
    ["a direct message", (bob) => directMessage({ from: person(), to: bob })],
    ["an ephemeral wrap", (bob) => ephemeralWrap({ to: bob })],
    ["a request to vanish", (bob) => vanishing(bob)],
    ["a note", (bob) => signed(bob, { kind: 1 })],
    ["an AUTH", (bob) => signed(bob, { kind: 22242 })],
    ["an authorization", (bob) => signed(bob, { kind: 27235 })],
  ])("%s with 400, and does nothing with it", async (_, make) => {
    const { bob, drops } = await recipientOf(relay(), 1);
    const event = make(bob);
    const said = { id: event.id, ...refusal(NEITHER) };
    expect(await post(relay(), "/ack", event)).toEqual({ status: 400, said });
    expect(await heldFor(relay(), bob)).toEqual(idsOf(drops));
  });

  it.each(["null", "5", '"x"', "[]", "{}", '{"kind":"20221"}', '{"kind":20221.5}', '{"kind":[5]}'])(
    "what is no event with 400: %s",
    async (body) => {
      const { status, said } = await post(relay(), "/ack", body);
      expect({ status, said }).toEqual({ status: 400, said: refusal(NEITHER) });
    },
  );

  it.each(["", "{", "nonsense"])("what is no JSON with 400: %j", async (body) => {
    const { status, said } = await post(relay(), "/ack", body);
    expect(status).toBe(400);
    expect(said).toEqual(refusal("invalid: the body is not JSON"));
  });

  it.each<[string, string, (bob: Person, drop: NostrEvent) => NostrEvent]>([
    [
      "an acknowledgement without an `e` tag",
      "invalid: acknowledgement without an e tag",
      (bob) => acknowledgement(bob, []),
    ],
    [
      "an acknowledgement with a malformed `e` tag",
      "invalid: an e tag must hold 64 lowercase hex digits",
      (bob, drop) => acknowledgement(bob, [drop, { id: drop.id.slice(1) }]),
    ],
    [
      "an acknowledgement or deletion whose `grace` is no Unix time",
      "invalid: malformed grace tag",
      (bob, drop) => acknowledgement(bob, [drop], Number.NaN),
    ],
    [
      "an acknowledgement or deletion of more than 1,000 ids",
      "invalid: 1001 ids in one acknowledgement, the limit is 1000",
      (bob, drop) => acknowledgement(bob, [drop, ...manyIds(1_000)]),
    ],
    [
      "an event with a wrong signature",
      "invalid: signature is wrong",
      (bob, drop) => ({ ...acknowledgement(bob, [drop]), sig: "0".repeat(128) }),
    ],
    [
      "an event with a wrong id",
      "invalid: id is not the hash of the event",
      (bob, drop) => ({
        ...acknowledgement(bob, [{ id: "ab".repeat(32) }]),
        tags: [["e", drop.id]],
      }),
    ],
    [
      "an event with a wrong id",
      "invalid: id is not the hash of the event",
      (bob, drop) => ({ ...acknowledgement(person(), [drop]), pubkey: bob.key }),
    ],
  ])("%s with 400 and “%s”, and deletes nothing", async (sends, reason, make) => {
    const { bob, drops } = await recipientOf(relay(), 1);
    const event = make(bob, drops[0]!);
    documented(sends, ["OK", event.id, false, reason]);
    const said = { id: event.id, accepted: false, reason };
    expect(await post(relay(), "/ack", event)).toEqual({ status: 400, said });
    expect(await heldFor(relay(), bob)).toEqual(idsOf(drops));
  });

  it("not a deletion for a malformed `e` tag among its good ones", async () => {
    const { bob, drops } = await recipientOf(relay(), 2);
    const request = deletion(bob, [drops[0]!, { id: "" }, drops[1]!]);
    documented("a deletion with a malformed `e` tag", ["OK", request.id, true, ""]);
    expect(await post(relay(), "/ack", request)).toEqual(done(request));
    expect(await heldFor(relay(), bob)).toEqual([]);
  });

  it("one id too many that never came with 429, and takes those of drops that are held", async () => {
    const small = await startRelay({ env: { DEADDROP_LIMITS_EARLY_TOMBSTONES: "3" } });
    const bob = person();
    const drop = giftWrap({ to: bob });
    await hold(small, [drop]);
    const ack = acknowledgement(bob, [drop, ...manyIds(4)]);
    const sends = "an acknowledgement of one more id that never came (here of 3)";
    const reason = "rate-limited: too many acknowledgements of drops that never came here";
    documented(sends, ["OK", ack.id, false, reason]);
    const said = { id: ack.id, accepted: false, reason };
    expect(await post(small, "/ack", ack)).toEqual({ status: 429, said });
    expect(await heldFor(small, bob)).toEqual([]);
  });

  it("a body of more than 128 KiB with 413", async () => {
    const { bob, drops } = await recipientOf(relay(), 1);
    const ack = JSON.stringify(acknowledgement(bob, drops)).padEnd(128 * 1_024 + 1);
    const { status } = await post(relay(), "/ack", ack);
    expect(status).toBe(413);
    expect(await heldFor(relay(), bob)).toEqual(idsOf(drops));
    const most = acknowledgement(bob, [...drops, ...manyIds(999)]);
    expect(await post(relay(), "/ack", most)).toEqual(done(most));
    expect(await heldFor(relay(), bob)).toEqual([]);
  });
});

function manyIds(length: number): { id: string }[] {
  return Array.from({ length }, () => ({ id: randomBytes(32).toString("hex") }));
}

// A connection for each request: one that is kept may have been closed by the relay when a busy machine comes back to it (docs/HTTP.md).
const ALONE = { connection: "close" };

describe("what is picked up, acknowledged and dropped again by many at once", () => {
  it("is in the end what nobody acknowledged, each drop once", async () => {
    const bob = person();
    const drops = dropsFor(bob, 200);
    const gone = drops.filter((_, index) => index % 3 === 0);
    const seen: string[][] = [];
    await Promise.all(
      drops.map(async (drop, index) => {
        const answer = await post(relay(), "/drop", drop, ALONE);
        if (answer.status !== HELD) throw new Error(`dropped for the first time: ${answer.status}`);
        if (index % 3 === 0) await post(relay(), "/ack", acknowledgement(bob, [drop]), ALONE);
        if (index % 5 === 0)
          seen.push(idsOf((await pickup(relay(), bob, "", { headers: ALONE })).events));
        expect(await post(relay(), "/drop", drop, ALONE)).toEqual(taken(KNOWN, drop));
      }),
    );
    for (const ids of seen) expect(new Set(ids).size).toBe(ids.length);
    const kept = drops.filter((drop) => !gone.includes(drop));
    expect(await heldFor(relay(), bob)).toEqual(idsOf(inOrder(kept)));
  });
});
