import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { delivered } from "../support/delivered.ts";
import { documented } from "../support/documented.ts";
import {
  acknowledgement,
  deletion,
  directMessage,
  ephemeralWrap,
  giftWrap,
  signed,
  vanishing,
} from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { knownAs, type RelayProcess, sharedRelay, startRelay } from "../support/relay.ts";

const DAY = 24 * 60 * 60;
const hex = "ab".repeat(32);
const relay = sharedRelay({ env: { DEADDROP_SWEEP_SECONDS: "1h" } });

const ok = ({ id }: NostrEvent): Message => ["OK", id, true, ""];
const duplicate = ({ id }: NostrEvent): Message => [
  "OK",
  id,
  true,
  "duplicate: already have this event",
];

/** Somebody with an empty box, and a connection that has proved it and publishes as well. */
async function newcomer(at: RelayProcess = relay()): Promise<{ bob: Person; client: Client }> {
  const bob = person();
  return { bob, client: await (await Client.connect(at.url)).authenticate(bob) };
}

/** Has drops held for somebody. */
async function hold(client: Client, ...drops: NostrEvent[]): Promise<void> {
  for (const drop of drops) expect(await client.publish(drop)).toEqual(ok(drop));
}

/** Asks for what is held until nothing is. */
async function untilGone(client: Client): Promise<void> {
  while ((await client.pickup()).length > 0);
}

describe("an acknowledgement", () => {
  it("of ids that never came here is thanked for", async () => {
    const { bob, client } = await newcomer();
    const ack = acknowledgement(bob, [{ id: hex }, { id: "cd".repeat(32) }]);
    expect(await client.publish(ack)).toEqual(
      documented("an acknowledgement of ids that never came here", ok(ack)),
    );
  });

  it("of someone else's drop is thanked for, and deletes nothing", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const ack = acknowledgement(person(), [drop]);
    expect(await client.publish(ack)).toEqual(
      documented("an acknowledgement of someone else's drop", ok(ack)),
    );
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("by the author of a drop deletes nothing", async () => {
    const { bob, client } = await newcomer();
    const alice = person();
    const drop = directMessage({ from: alice, to: bob });
    await hold(client, drop);
    const ack = acknowledgement(alice, [drop]);
    expect(await client.publish(ack)).toEqual(ok(ack));
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("by the author of a drop that did not come yet lets it be held", async () => {
    const { bob, client } = await newcomer();
    const alice = person();
    const drop = directMessage({ from: alice, to: bob });
    const ack = acknowledgement(alice, [drop]);
    expect(await client.publish(ack)).toEqual(ok(ack));
    expect(await client.publish(drop)).toEqual(ok(drop));
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("of what was acknowledged is thanked for, the same one or another", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const ack = acknowledgement(bob, [drop]);
    const again = signed(bob, { kind: 20221, tags: [["e", drop.id]], content: "again" });
    for (const event of [ack, ack, again, deletion(bob, [drop])]) {
      expect(await client.publish(event)).toEqual(
        documented("an acknowledgement of what was acknowledged", ok(event)),
      );
    }
    expect(await client.publish(drop)).toEqual(duplicate(drop));
    expect(await client.pickup()).toEqual([]);
  });

  it("deletes the drops it names and no others", async () => {
    const { bob, client } = await newcomer();
    const drops = Array.from({ length: 5 }, () => giftWrap({ to: bob }));
    await hold(client, ...drops);
    const ack = acknowledgement(bob, [...drops.slice(0, 2), { id: hex }]);
    expect(await client.publish(ack)).toEqual(ok(ack));
    const left = drops.slice(2).map(({ id }) => id);
    expect((await client.pickup()).sort()).toEqual(left.sort());
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 3 }]);
  });

  it("without an `e` tag is refused", async () => {
    const { bob, client } = await newcomer();
    for (const tags of [[], [["a", hex]], [["E", hex]]]) {
      const ack = signed(bob, { kind: 20221, tags });
      expect(await client.publish(ack)).toEqual(
        documented("an acknowledgement without an `e` tag", [
          "OK",
          ack.id,
          false,
          "invalid: acknowledgement without an e tag",
        ]),
      );
    }
  });

  const MALFORMED = [["e"], ["e", ""], ["e", hex.toUpperCase()], ["e", hex.slice(1)]];

  it("with a malformed `e` tag is refused whole, and deletes nothing", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    for (const bad of MALFORMED) {
      const ack = signed(bob, { kind: 20221, tags: [["e", drop.id], bad] });
      expect(await client.publish(ack)).toEqual(
        documented("an acknowledgement with a malformed `e` tag", [
          "OK",
          ack.id,
          false,
          "invalid: an e tag must hold 64 lowercase hex digits",
        ]),
      );
    }
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("of kind 5 deletes the rest of what it names beside a malformed `e` tag", async () => {
    const { bob, client } = await newcomer();
    for (const bad of MALFORMED) {
      const drops = [giftWrap({ to: bob }), giftWrap({ to: bob })];
      for (const drop of drops) await hold(client, drop);
      const [first, last] = drops.map(({ id }) => ["e", id]);
      const request = signed(bob, { kind: 5, tags: [first ?? [], bad, last ?? []] });
      expect(await client.publish(request)).toEqual(
        documented("a deletion with a malformed `e` tag", ok(request)),
      );
      expect(await client.pickup()).toEqual([]);
    }
  });

  it.each([
    [20221, "grace", "an acknowledgement or deletion whose `grace` is no Unix time"],
    [5, "grace", "an acknowledgement or deletion whose `grace` is no Unix time"],
    [20221, "expiration", "an acknowledgement whose `expiration` is no Unix time"],
  ])(
    "of kind %i with a malformed `%s` is refused, and deletes nothing",
    async (kind, name, row) => {
      const { bob, client } = await newcomer();
      const drop = giftWrap({ to: bob });
      await hold(client, drop);
      for (const bad of [[name], [name, "soon"], [name, "-1"]]) {
        const ack = signed(bob, { kind, tags: [["e", drop.id], bad] });
        const reason = `invalid: malformed ${name} tag`;
        expect(await client.publish(ack)).toEqual(documented(row, ["OK", ack.id, false, reason]));
      }
      expect(await client.pickup()).toEqual([drop.id]);
    },
  );

  it("that is forged deletes nothing", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const ack = acknowledgement(bob, [drop]);
    const forged = [
      { ...ack, sig: "0".repeat(128) },
      { ...acknowledgement(person(), [drop]), pubkey: bob.key },
    ];
    for (const event of forged) expect((await client.publish(event))[2]).toBe(false);
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("works whenever it was signed: whoever keeps it may bring it", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const ack = signed(bob, { kind: 20221, tags: [["e", drop.id]], created_at: now() - 400 * DAY });
    const stranger = await Client.connect(relay().url);
    expect(await stranger.publish(ack)).toEqual(ok(ack));
    expect(await client.pickup()).toEqual([]);
  });

  it("is neither stored nor shown, to nobody", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    await client.request("live", { limit: 0 });
    const sender = await Client.connect(relay().url);
    for (const ack of [
      signed(bob, {
        kind: 20221,
        tags: [
          ["e", drop.id],
          ["p", bob.key],
        ],
      }),
      signed(bob, {
        kind: 5,
        tags: [
          ["e", drop.id],
          ["p", bob.key],
        ],
      }),
    ]) {
      expect(await sender.publish(ack)).toEqual(ok(ack));
    }
    await delivered(relay().url);
    // Anything that was passed on would be heard before these.
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 0 }]);
    expect(await client.pickup({ kinds: [5, 20221] })).toEqual([]);
  });
});

describe("an acknowledgement that comes before its drop", () => {
  it("has the drop answered like one that is held, once, and not held", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    const ack = acknowledgement(bob, [drop]);
    expect(await client.publish(ack)).toEqual(ok(ack));
    await client.request("live", { limit: 0 });
    expect(await client.publish(drop)).toEqual(
      documented("a drop that comes for the first time and was acknowledged before", ok(drop)),
    );
    await delivered(relay().url);
    // What was delivered live would be heard before this.
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 0 }]);
    expect(await client.publish(drop)).toEqual(
      documented("a drop that came before, held or acknowledged", duplicate(drop)),
    );
    expect(await client.pickup()).toEqual([]);
  });

  it("has it so with a grace as well", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    const ack = acknowledgement(bob, [drop], now() + DAY);
    expect(await client.publish(ack)).toEqual(ok(ack));
    expect(await client.publish(drop)).toEqual(ok(drop));
    expect(await client.publish(drop)).toEqual(duplicate(drop));
    expect(await client.pickup()).toEqual([]);
  });

  it.each([20221, 5])(
    "and is older than anything it could name, or from the future, has nothing remembered (kind %i)",
    async (kind) => {
      const { url } = await startRelay({ env: { DEADDROP_LIMITS_EARLY_TOMBSTONES: "1" } });
      const bob = person();
      const client = await (await Client.connect(url)).authenticate(bob);
      const oldest = 2 * DAY + 900 + 30 * DAY;
      for (const age of [oldest + 60, 400 * DAY, -960]) {
        const [held, late] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
        await hold(client, held);
        const tags = [
          ["e", held.id],
          ["e", late.id],
        ];
        const ack = signed(bob, { kind, tags, created_at: now() - age });
        expect(await client.publish(ack)).toEqual(
          documented("an acknowledgement that is too old to name drops that never came", ok(ack)),
        );
        expect(await client.pickup()).toEqual([]);
        expect(await client.publish(held)).toEqual(duplicate(held));
        await hold(client, late);
        await client.publish(acknowledgement(bob, [late]));
      }
      // There is room for one all the same, of an acknowledgement that is as old as it may be.
      const tags = [["e", hex]];
      const last = signed(bob, { kind, tags, created_at: now() - oldest + 60 });
      expect(await client.publish(last)).toEqual(ok(last));
      const tooMany = acknowledgement(bob, [giftWrap({ to: bob })]);
      expect((await client.publish(tooMany))[3]).toMatch(/^rate-limited: too many/);
    },
  );

  it("keeps out nobody else's drop", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await client.publish(acknowledgement(person(), [drop]));
    await hold(client, drop);
    expect(await client.pickup()).toEqual([drop.id]);
  });
});

describe("an acknowledgement with grace", () => {
  it("leaves the drop to be picked up until then, and not from then on", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const ack = acknowledgement(bob, [drop], now() + 2);
    expect(await client.publish(ack)).toEqual(ok(ack));
    expect(await client.pickup()).toEqual([drop.id]);
    await untilGone(client);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 0 }]);
    expect(await client.publish(drop)).toEqual(duplicate(drop));
    expect(await client.pickup()).toEqual([]);
  });

  it("is remembered at once: the drop is known before and after it is deleted in its grace", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    await client.publish(acknowledgement(bob, [drop], now() + DAY));
    expect(await client.publish(drop)).toEqual(duplicate(drop));
    expect(await client.pickup()).toEqual([drop.id]);
    await client.publish(acknowledgement(bob, [drop]));
    expect(await client.pickup()).toEqual([]);
    expect(await client.publish(drop)).toEqual(duplicate(drop));
    expect(await client.pickup()).toEqual([]);
  });

  it("does not prolong what expires before", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob, tags: [["expiration", String(now() + 3)]] });
    await hold(client, drop);
    await client.publish(acknowledgement(bob, [drop], now() + DAY));
    expect(await client.pickup()).toEqual([drop.id]);
    await untilGone(client);
    expect(await client.publish(drop)).toEqual(["OK", drop.id, false, "invalid: expired"]);
  });

  it("is not prolonged by a later one", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    await client.publish(acknowledgement(bob, [drop], now() + 2));
    await client.publish(acknowledgement(bob, [drop], now() + DAY));
    await untilGone(client);
    expect(await client.publish(drop)).toEqual(duplicate(drop));
  });

  it.each([
    ["in the past", () => [now() - 1]],
    ["several times, once in the past", () => [now() + DAY, now() - 1]],
  ])("deletes at once when its time is given %s", async (_, times) => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const tags = [["e", drop.id], ...times().map((time) => ["grace", String(time)])];
    const ack = signed(bob, { kind: 20221, tags });
    expect(await client.publish(ack)).toEqual(ok(ack));
    expect(await client.pickup()).toEqual([]);
  });

  it("may be of kind 5, and say it as clients did before in an `expiration` if it is not", async () => {
    const { bob, client } = await newcomer();
    for (const [kind, name] of [
      [5, "grace"],
      [20221, "expiration"],
    ] as const) {
      const drop = giftWrap({ to: bob });
      await hold(client, drop);
      const grace = async (at: number): Promise<void> => {
        const tags = [
          ["e", drop.id],
          [name, String(at)],
        ];
        const ack = signed(bob, { kind, tags });
        expect(await client.publish(ack)).toEqual(ok(ack));
      };
      await grace(now() + DAY);
      expect(await client.pickup()).toEqual([drop.id]);
      await grace(now() - 1);
      expect(await client.pickup()).toEqual([]);
    }
  });
});

describe("a deletion (kind 5)", () => {
  it("by the recipient deletes, remembers, and has no grace in its `expiration`", async () => {
    const { bob, client } = await newcomer();
    const drops = [giftWrap({ to: bob }), directMessage({ from: person(), to: bob })];
    await hold(client, ...drops);
    const tags = [...drops.map(({ id }) => ["e", id]), ["expiration", String(now() + DAY)]];
    const request = signed(bob, { kind: 5, tags });
    expect(await client.publish(request)).toEqual(ok(request));
    expect(await client.pickup()).toEqual([]);
    for (const drop of drops) expect(await client.publish(drop)).toEqual(duplicate(drop));
    expect(await client.pickup()).toEqual([]);
  });

  it("by the author of a kind 4 deletes it from the recipient's box", async () => {
    const { bob, client } = await newcomer();
    const alice = person();
    const [goes, stays] = [1, 2].map(() => directMessage({ from: alice, to: bob })) as [
      NostrEvent,
      NostrEvent,
    ];
    await hold(client, goes, stays);
    const request = deletion(alice, [goes]);
    expect(await client.publish(request)).toEqual(ok(request));
    expect(await client.publish(goes)).toEqual(duplicate(goes));
    expect(await client.pickup()).toEqual([stays.id]);
  });

  it("tells the author of a kind 4 nothing of whether the recipient acknowledged it", async () => {
    const { url } = await startRelay({ env: { DEADDROP_LIMITS_EARLY_TOMBSTONES: "1" } });
    const [alice, bob] = [person(), person()];
    const client = await Client.connect(url);
    const [held, gone] = [1, 2].map(() => directMessage({ from: alice, to: bob })) as [
      NostrEvent,
      NostrEvent,
    ];
    await client.publish(held);
    await client.publish(gone);
    await client.publish(acknowledgement(bob, [gone]));
    // What the author may acknowledge early is used up, so that a difference would show.
    await client.publish(deletion(alice, [giftWrap({ to: bob })]));
    const answers = [];
    for (const message of [held, gone]) {
      const [, , ...answer] = await client.publish(deletion(alice, [message]));
      answers.push(answer);
    }
    expect(answers[0]).toEqual(answers[1]);
  });

  it("by the author of a kind 4 that did not come yet lets it be held", async () => {
    const { bob, client } = await newcomer();
    const alice = person();
    const message = directMessage({ from: alice, to: bob });
    await client.publish(deletion(alice, [message]));
    await hold(client, message);
    expect(await client.pickup()).toEqual([message.id]);
  });

  it("by the key that signed a gift wrap deletes nothing, before it came or after", async () => {
    const { bob, client } = await newcomer();
    const author = person();
    const [early, late] = [1, 2].map((made) =>
      signed(author, { kind: 1059, tags: [["p", bob.key]], content: String(made) }),
    ) as [NostrEvent, NostrEvent];
    await client.publish(deletion(author, [early]));
    await hold(client, early, late);
    const request = deletion(author, [early, late]);
    expect(await client.publish(request)).toEqual(
      documented("a deletion by the key that signed a gift wrap", ok(request)),
    );
    expect((await client.pickup()).sort()).toEqual([early.id, late.id].sort());
  });

  it("by a stranger deletes nothing", async () => {
    const { bob, client } = await newcomer();
    const drops = [giftWrap({ to: bob }), directMessage({ from: person(), to: bob })];
    await hold(client, ...drops);
    const request = deletion(person(), drops);
    expect(await client.publish(request)).toEqual(
      documented("a deletion by a stranger", ok(request)),
    );
    expect((await client.pickup()).sort()).toEqual(drops.map(({ id }) => id).sort());
  });

  it("that says with `k` tags that it means other kinds deletes what it names all the same, and counts as early for none", async () => {
    const { bob, client } = await newcomer();
    const [held, late] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    await hold(client, held);
    const tags = [
      ["e", held.id],
      ["e", late.id],
      ["k", "1"],
      ["k", "30023"],
    ];
    const request = signed(bob, { kind: 5, tags });
    expect(await client.publish(request)).toEqual(
      documented("a deletion whose `k` tags name only kinds that are not held", ok(request)),
    );
    await hold(client, late);
    expect(await client.pickup()).toEqual([late.id]);
  });

  it.each([[["k"]], [["k", ""]], [["k", "14"]], [["k", "13"]]])(
    "with the `k` tag %j deletes gift wraps, those that come later too",
    async (tag) => {
      const { bob, client } = await newcomer();
      const [held, late] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
      await hold(client, held);
      await client.publish(signed(bob, { kind: 5, tags: [["e", held.id], ["e", late.id], tag] }));
      await client.publish(late);
      expect(await client.pickup()).toEqual([]);
    },
  );

  it("that says with a `k` tag that it means gift wraps deletes them", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    await client.publish(
      signed(bob, {
        kind: 5,
        tags: [
          ["e", drop.id],
          ["k", "1"],
          ["k", "1059"],
        ],
      }),
    );
    expect(await client.pickup()).toEqual([]);
  });

  it("without an `e` tag is thanked for: there is nothing else here that it could name", async () => {
    const { bob, client } = await newcomer();
    const request = signed(bob, { kind: 5, tags: [["a", `30023:${bob.key}:x`]] });
    expect(await client.publish(request)).toEqual(
      documented("a deletion without an `e` tag", ok(request)),
    );
  });
});

describe("a relay on which authors delete their gift wraps", () => {
  const lenient = sharedRelay({ env: { DEADDROP_AUTHOR_DELETES_WRAPS: "true" } });

  it("lets the key that signed a wrap delete it, and nobody else", async () => {
    const { bob, client } = await newcomer(lenient());
    const author = person();
    const drop = signed(author, { kind: 1059, tags: [["p", bob.key]] });
    await hold(client, drop);
    await client.publish(deletion(person(), [drop]));
    expect(await client.pickup()).toEqual([drop.id]);
    const request = deletion(author, [drop]);
    expect(await client.publish(request)).toEqual(ok(request));
    expect(await client.pickup()).toEqual([]);
    expect(await client.publish(drop)).toEqual(duplicate(drop));
  });
});

describe("a request to vanish (kind 62)", () => {
  it.each([
    ["by its URL", () => relay().url],
    ["by its host, with another scheme and path", () => `${relay().url.replace("ws", "wss")}/x`],
    ["as ALL_RELAYS", () => "ALL_RELAYS"],
  ])("that names this relay %s empties the box and remembers what was in it", async (_, name) => {
    const { bob, client } = await newcomer();
    const drops = [giftWrap({ to: bob }), directMessage({ from: person(), to: bob })];
    const foreign = giftWrap({ to: person() });
    await hold(client, ...drops, foreign);
    const request = vanishing(bob, name());
    expect(await client.publish(request)).toEqual(ok(request));
    expect(await client.pickup()).toEqual([]);
    for (const drop of drops) expect(await client.publish(drop)).toEqual(duplicate(drop));
    expect(await client.pickup()).toEqual([]);
    expect(await client.publish(foreign)).toEqual(duplicate(foreign));
  });

  it("deletes the kind 4 messages that its signer wrote, and not the others", async () => {
    const { bob, client } = await newcomer();
    const alice = person();
    const [hers, other] = [alice, person()].map((from) => directMessage({ from, to: bob })) as [
      NostrEvent,
      NostrEvent,
    ];
    await hold(client, hers, other);
    await client.publish(vanishing(alice));
    expect(await client.pickup()).toEqual([other.id]);
  });

  it("leaves drops that are newer than itself", async () => {
    const { bob, client } = await newcomer();
    const at = now() - 100;
    const [older, equal, newer] = [at - 1, at, at + 1].map((created_at) =>
      giftWrap({ to: bob, created_at }),
    ) as [NostrEvent, NostrEvent, NostrEvent];
    await hold(client, older, equal, newer);
    await client.publish(vanishing(bob, "ALL_RELAYS", { created_at: at }));
    expect(await client.pickup()).toEqual([newer.id]);
  });

  it("deletes nothing that came after it when it is replayed", async () => {
    const { bob, client } = await newcomer();
    await hold(client, giftWrap({ to: bob }));
    const request = vanishing(bob);
    await client.publish(request);
    const later = [
      giftWrap({ to: bob }),
      // NIP-59 lets a wrap look older than it is.
      giftWrap({ to: bob, created_at: now() - DAY }),
    ];
    await hold(client, ...later);
    const stranger = await Client.connect(relay().url);
    expect(await stranger.publish(request)).toEqual(ok(request));
    expect(await client.pickup()).toEqual(later.map(({ id }) => id));
  });

  it.each([
    ["another relay", [["relay", "wss://relay.example"]]],
    ["no relay", []],
    ["something that is no URL", [["relay"], ["relay", "all_relays"], ["r", "ALL_RELAYS"]]],
  ])("that names %s is refused, and deletes nothing", async (_, tags) => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const request = signed(bob, { kind: 62, tags });
    const reason = "invalid: this request to vanish names another relay";
    documented("a request to vanish that does not name this relay", [
      "OK",
      request.id,
      false,
      `${reason}<, this one is known as …>`,
    ]);
    const said = `${reason}${knownAs(relay())}`;
    expect(await client.publish(request)).toEqual(["OK", request.id, false, said]);
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("from the future is refused, and deletes nothing", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const request = vanishing(bob, "ALL_RELAYS", { created_at: now() + 16 * 60 });
    expect(await client.publish(request)).toEqual(
      documented("a request to vanish from more than 15 minutes in the future", [
        "OK",
        request.id,
        false,
        "invalid: created_at is too far in the future",
      ]),
    );
    expect(await client.pickup()).toEqual([drop.id]);
  });

  it("that is forged deletes nothing", async () => {
    const { bob, client } = await newcomer();
    const drop = giftWrap({ to: bob });
    await hold(client, drop);
    const request = { ...vanishing(bob), sig: "0".repeat(128) };
    expect(await client.publish(request)).toEqual([
      "OK",
      request.id,
      false,
      "invalid: signature is wrong",
    ]);
    expect(await client.pickup()).toEqual([drop.id]);
  });
});

describe("an ephemeral wrap (kind 21059)", () => {
  it("is passed to its recipient who listens, to nobody else, and not stored", async () => {
    const { bob, client } = await newcomer();
    const { client: stranger } = await newcomer();
    await client.request("live", { kinds: [21059] });
    await stranger.request("live", {});
    const sender = await Client.connect(relay().url);
    const wrap = ephemeralWrap({ to: bob });
    expect(await sender.publish(wrap)).toEqual(ok(wrap));
    expect(await client.hear()).toEqual(["EVENT", "live", wrap]);
    expect(await client.pickup()).toEqual([]);
    await delivered(relay().url);
    expect(await stranger.count({})).toEqual(["COUNT", "count", { count: 0 }]);
  });

  it("gets the same answer when nobody listens, every time", async () => {
    const { bob, client } = await newcomer();
    const wrap = ephemeralWrap({ to: bob });
    for (let times = 0; times < 3; times += 1) {
      expect(await client.publish(wrap)).toEqual(
        documented("an ephemeral wrap (21059) for somebody who does not listen", ok(wrap)),
      );
    }
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 0 }]);
    expect(await client.pickup()).toEqual([]);
  });

  it("that is forged is passed to nobody", async () => {
    const { bob, client } = await newcomer();
    await client.request("live", {});
    const sender = await Client.connect(relay().url);
    const forged = { ...ephemeralWrap({ to: bob }), sig: "0".repeat(128) };
    expect((await sender.publish(forged))[2]).toBe(false);
    await delivered(relay().url);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 0 }]);
  });
});
