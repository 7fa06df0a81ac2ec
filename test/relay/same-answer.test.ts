// Whoever holds an event, or knows a key, must not learn from any answer whether the recipient was here. So answers are compared as they stand on the wire.

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import {
  acknowledgement,
  deletion,
  directMessage,
  giftWrap,
  vanishing,
} from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { OVERTAKING, sharedRelay, startRelay, temporaryFolder } from "../support/relay.ts";

const relay = sharedRelay({ env: OVERTAKING });

const DUPLICATE = '["OK","<id>",true,"duplicate: already have this event"]';

/** What becomes of a drop, each told with the publications that bring it about. */
const FATES: Record<string, (drop: NostrEvent, bob: Person) => NostrEvent[]> = {
  "is held": (drop) => [drop],
  "was acknowledged": (drop, bob) => [drop, acknowledgement(bob, [drop])],
  "was acknowledged twice": (drop, bob) => [
    drop,
    acknowledgement(bob, [drop]),
    acknowledgement(bob, [drop]),
  ],
  "was acknowledged with a grace period": (drop, bob) => [
    drop,
    acknowledgement(bob, [drop], now() + 3_600),
  ],
  "was acknowledged in its grace period": (drop, bob) => [
    drop,
    acknowledgement(bob, [drop], now() + 3_600),
    acknowledgement(bob, [drop]),
  ],
  "was acknowledged before it came, and came": (drop, bob) => [acknowledgement(bob, [drop]), drop],
  "was acknowledged with a grace before it came, and came": (drop, bob) => [
    acknowledgement(bob, [drop], now() + 3_600),
    drop,
  ],
  "was deleted by its recipient": (drop, bob) => [drop, deletion(bob, [drop])],
  "was deleted by its recipient before it came, and came": (drop, bob) => [
    deletion(bob, [drop]),
    drop,
  ],
  "was deleted by its recipient's request to vanish": (drop, bob) => [drop, vanishing(bob)],
};

/** What somebody who holds the event may send. */
const COPIES: Record<string, (drop: NostrEvent) => string> = {
  "the event": (drop) => JSON.stringify(["EVENT", drop]),
  "the event with a wrong signature": (drop) =>
    JSON.stringify(["EVENT", { ...drop, sig: otherDigit(drop.sig) }]),
  "the event with a signature of zeros": (drop) =>
    JSON.stringify(["EVENT", { ...drop, sig: "0".repeat(128) }]),
  "the event with other white space and order": ({ sig, id, ...rest }) =>
    ` [ "EVENT", ${JSON.stringify({ sig, ...rest, id }, null, 1)} ] `,
};

/** What is refused, held or not. */
const FORGERIES: Record<string, (drop: NostrEvent) => unknown> = {
  "another content under its id": (drop) => ({ ...drop, content: "forged" }),
  "another id": (drop) => ({ ...drop, id: otherDigit(drop.id) }),
  "no signature": (drop) => ({ ...drop, sig: undefined }),
  "another recipient": (drop) => ({ ...drop, tags: [["p", drop.pubkey]] }),
};

/** What a recipient can have said of a drop before it comes. */
const SAID_BEFORE: Record<string, (drop: NostrEvent, bob: Person) => NostrEvent> = {
  acknowledged: (drop, bob) => acknowledgement(bob, [drop]),
  "acknowledged with a grace": (drop, bob) => acknowledgement(bob, [drop], now() + 3_600),
  deleted: (drop, bob) => deletion(bob, [drop]),
};

describe("publishing a drop for the first time", () => {
  const small = sharedRelay({ env: { DEADDROP_LIMITS_BOX_DROPS: "1" } });
  // uWebSockets.js is tried with one event loop, as in server/clock.test.ts.
  const several = process.env["DEADDROP_TRANSPORT"] === "uws" ? {} : { DEADDROP_WORKERS: "2" };
  const loops = sharedRelay({ env: several });

  for (const [said, sayBefore] of Object.entries(SAID_BEFORE)) {
    it(`is answered byte for byte as if nobody had ${said} it`, async () => {
      const bob = person();
      const [unheardOf, drop] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
      const client = await Client.connect(relay().url);
      await client.publish(sayBefore(drop, bob));
      const answers = [];
      for (const event of [unheardOf, drop]) {
        const answer = await rawAnswer(client, JSON.stringify(["EVENT", event]));
        answers.push(answer.replace(event.id, "<id>"));
      }
      expect(answers).toEqual(['["OK","<id>",true,""]', '["OK","<id>",true,""]']);
      const owner = await (await Client.connect(relay().url)).authenticate(bob);
      expect(await owner.pickup()).toEqual([unheardOf.id]);
    });

    it(`is checked as if nobody had ${said} it`, async () => {
      const client = await Client.connect(relay().url);
      const recipient = await Client.connect(relay().url);
      for (const forge of Object.values({ ...COPIES, ...FORGERIES })) {
        const bob = person();
        const [unheardOf, drop] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
        await recipient.publish(sayBefore(drop, bob));
        const answers = [];
        for (const event of [unheardOf, drop]) {
          const forged = forge(event);
          const text = typeof forged === "string" ? forged : JSON.stringify(["EVENT", forged]);
          const answer = await rawAnswer(client, text);
          answers.push(answer.replace(event.id.slice(0, -1), "<id>").replace(/<id>./, "<id>"));
        }
        expect(answers[1]).toBe(answers[0]);
      }
    });

    it(`is refused by a full box as if nobody had ${said} it, until there is room`, async () => {
      const bob = person();
      const [held, unheardOf, drop] = [1, 2, 3].map(() => giftWrap({ to: bob })) as [
        NostrEvent,
        NostrEvent,
        NostrEvent,
      ];
      const client = await Client.connect(small().url);
      await client.publish(sayBefore(drop, bob));
      await client.publish(held);
      for (const event of [unheardOf, drop]) {
        const refused = ["OK", event.id, false, "rate-limited: mailbox full"];
        expect(await client.publish(event)).toEqual(refused);
      }
      await client.publish(acknowledgement(bob, [held]));
      expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
      expect(await client.publish(unheardOf)).toEqual(["OK", unheardOf.id, true, ""]);
    });
  }

  it("is answered so by every event loop, and once", async () => {
    const bob = person();
    const drops = Array.from({ length: 20 }, () => giftWrap({ to: bob }));
    const clients = [];
    for (let count = 0; count < 6; count++) clients.push(await Client.connect(loops().url));
    await clients[0]?.publish(acknowledgement(bob, drops));
    for (const [index, drop] of drops.entries()) {
      const client = clients[index % clients.length];
      const next = clients[(index + 1) % clients.length];
      expect(await client?.publish(drop)).toEqual(["OK", drop.id, true, ""]);
      const answer = await next?.publish(drop);
      expect(answer).toEqual(["OK", drop.id, true, "duplicate: already have this event"]);
    }
  });
});

describe("publishing a drop again", () => {
  for (const [fate, publications] of Object.entries(FATES)) {
    it(`is answered as a duplicate, byte for byte, when it ${fate}`, async () => {
      const bob = person();
      const drop = giftWrap({ to: bob });
      const client = await Client.connect(relay().url);
      for (const event of publications(drop, bob)) {
        expect((await client.publish(event))[2]).toBe(true);
      }
      const answers = [];
      for (const copy of Object.values(COPIES)) {
        answers.push((await rawAnswer(client, copy(drop))).replace(drop.id, "<id>"));
      }
      expect(answers).toEqual(Object.keys(COPIES).map(() => DUPLICATE));
    });
  }

  it("is answered the same way when its author deleted it, for a kind 4", async () => {
    const [alice, bob] = [person(), person()];
    const message = directMessage({ from: alice, to: bob });
    const client = await Client.connect(relay().url);
    await client.publish(message);
    await client.publish(deletion(alice, [message]));
    const answer = await rawAnswer(client, JSON.stringify(["EVENT", message]));
    expect(answer.replace(message.id, "<id>")).toBe(DUPLICATE);
  });

  it("is answered the same way after a restart, held and acknowledged", async () => {
    const data = temporaryFolder();
    const bob = person();
    const [held, acknowledged, early] = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
    ];
    const before = await startRelay({ data });
    const client = await Client.connect(before.url);
    for (const event of [held, acknowledged, acknowledgement(bob, [acknowledged, early]), early]) {
      await client.publish(event);
    }
    await before.stop();

    const after = await Client.connect((await startRelay({ data })).url);
    const answers = [];
    for (const drop of [held, acknowledged, early]) {
      for (const copy of Object.values(COPIES)) {
        answers.push((await rawAnswer(after, copy(drop))).replace(drop.id, "<id>"));
      }
    }
    expect(new Set(answers)).toEqual(new Set([DUPLICATE]));
  });

  it("is answered the same way when the box is full", async () => {
    const full = await startRelay({ env: { DEADDROP_LIMITS_BOX_DROPS: "1" } });
    const bob = person();
    const client = await Client.connect(full.url);
    const [acknowledged, held] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    for (const event of [acknowledged, acknowledgement(bob, [acknowledged]), held]) {
      await client.publish(event);
    }
    const refused = giftWrap({ to: bob });
    expect(await client.publish(refused)).toEqual([
      "OK",
      refused.id,
      false,
      "rate-limited: mailbox full",
    ]);
    for (const drop of [held, acknowledged]) {
      const answer = await rawAnswer(client, JSON.stringify(["EVENT", drop]));
      expect(answer.replace(drop.id, "<id>")).toBe(DUPLICATE);
    }
  });

  for (const [forgery, forge] of Object.entries(FORGERIES)) {
    it(`with ${forgery} is refused the same way, held, acknowledged or never seen`, async () => {
      const bob = person();
      const [held, acknowledged, unseen] = [
        giftWrap({ to: bob }),
        giftWrap({ to: bob }),
        giftWrap({ to: bob }),
      ];
      const client = await Client.connect(relay().url);
      for (const event of [held, acknowledged, acknowledgement(bob, [acknowledged])]) {
        await client.publish(event);
      }
      const answers = [];
      for (const drop of [held, acknowledged, unseen]) {
        const forged = forge(drop) as { id: string };
        const answer = await rawAnswer(client, JSON.stringify(["EVENT", forged]));
        answers.push(answer.replace(forged.id, "<id>"));
      }
      expect(answers[0]).toMatch(/^\["OK","<id>",false,"invalid: /);
      expect(new Set(answers).size).toBe(1);
    });
  }
});

describe("somebody else's box", () => {
  const QUESTIONS: Record<string, (owner: Person, drop: NostrEvent) => object[]> = {
    "the whole box": (owner) => [{ "#p": [owner.key] }],
    "its gift wraps": (owner) => [{ kinds: [1059], "#p": [owner.key] }],
    "the newest drop in it": (owner) => [{ "#p": [owner.key], limit: 1 }],
    "whether there is more": (owner) => [{ "#p": [owner.key], limit: 0 }],
    "a drop by its id": (_, drop) => [{ ids: [drop.id] }],
    "a drop by its id, and no more than none": (_, drop) => [{ ids: [drop.id], limit: 0 }],
    "a drop by its id and recipient": (owner, drop) => [{ ids: [drop.id], "#p": [owner.key] }],
    "drops by their author": (_, drop) => [{ authors: [drop.pubkey] }],
    "drops by their second": (_, drop) => [{ since: drop.created_at, until: drop.created_at }],
    "everything, in several filters": (owner, drop) => [
      {},
      { ids: [drop.id] },
      { "#p": [owner.key] },
    ],
  };

  for (const [question, ask] of Object.entries(QUESTIONS)) {
    it(`answers the same, full, empty or emptied: ${question}`, async () => {
      const url = relay().url;
      const [full, empty, emptied, eve] = [person(), person(), person(), person()];
      const sender = await Client.connect(url);
      const [held, unseen, gone] = [
        giftWrap({ to: full }),
        giftWrap({ to: empty }),
        giftWrap({ to: emptied }),
      ];
      for (const event of [held, gone, acknowledgement(emptied, [gone])]) {
        await sender.publish(event);
      }
      const nobody = await Client.challenged(url);
      const stranger = await (await Client.connect(url)).authenticate(eve);

      const told: string[] = [];
      for (const [owner, drop] of [
        [full, held],
        [empty, unseen],
        [emptied, gone],
      ] as const) {
        const filters = ask(owner, drop);
        const all = await Promise.all([rawAnswers(nobody, filters), rawAnswers(stranger, filters)]);
        told.push(all.join("\n"));
      }
      expect(told[0]).not.toContain("EVENT");
      expect(told[0]).toContain("auth-required: ");
      expect(new Set(told).size).toBe(1);
    });
  }

  it("answers the same to one who asks for it together with his own", async () => {
    const url = relay().url;
    const [full, empty, eve] = [person(), person(), person()];
    const sender = await Client.connect(url);
    await sender.publish(giftWrap({ to: full }));
    await sender.publish(giftWrap({ to: eve }));
    const stranger = await (await Client.connect(url)).authenticate(eve);
    const told = [];
    for (const owner of [full, empty]) {
      told.push(await rawAnswers(stranger, [{ "#p": [owner.key, eve.key] }]));
    }
    expect(told[0]).toContain("EVENT");
    expect(told[1]).toBe(told[0]);
  });

  it("takes a stranger's acknowledgement and deletion of what is there as of what is not", async () => {
    const [bob, eve] = [person(), person()];
    const [held, unseen] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const client = await Client.connect(relay().url);
    await client.publish(held);
    for (const release of [acknowledgement, deletion]) {
      const answers = [];
      for (const drop of [held, unseen]) {
        const event = release(eve, [drop]);
        const answer = await rawAnswer(client, JSON.stringify(["EVENT", event]));
        answers.push(answer.replace(event.id, "<id>"));
      }
      expect(answers).toEqual(['["OK","<id>",true,""]', '["OK","<id>",true,""]']);
    }
    const owner = await (await Client.connect(relay().url)).authenticate(bob);
    expect(await owner.pickup()).toEqual([held.id]);
  });

  it("answers a sender of an ephemeral wrap the same, whether its recipient listens or not", async () => {
    const [here, away] = [person(), person()];
    const listener = await (await Client.connect(relay().url)).authenticate(here);
    await listener.request("live", {});
    const sender = await Client.connect(relay().url);
    const answers = [];
    for (const to of [here, away]) {
      const wrap = giftWrap({ to, kind: 21059 });
      const answer = await rawAnswer(sender, JSON.stringify(["EVENT", wrap]));
      answers.push(answer.replace(wrap.id, "<id>"));
    }
    expect(answers).toEqual(['["OK","<id>",true,""]', '["OK","<id>",true,""]']);
    expect((await listener.hear())[0]).toBe("EVENT");
  });
});

/** The next frame the relay sends after this was said, as it stands on the wire. */
function rawAnswer(client: Client, text: string): Promise<string> {
  const heard = new Promise<string>((resolve) => {
    client.socket.once("message", (frame: Buffer) => resolve(frame.toString()));
  });
  client.sayRaw(text);
  return heard;
}

/** All that is said to a REQ and a COUNT with these filters, frame by frame. */
async function rawAnswers(client: Client, filters: readonly object[]): Promise<string> {
  const frames: string[] = [];
  const note = (frame: Buffer): void => void frames.push(frame.toString());
  client.socket.on("message", note);
  await client.request("box", ...filters);
  client.say("CLOSE", "box");
  await client.count(...filters);
  client.socket.off("message", note);
  return frames.join("\n");
}

/** The same digits but for the last. */
function otherDigit(hex: string): string {
  return hex.slice(0, -1) + (hex.endsWith("0") ? "1" : "0");
}
