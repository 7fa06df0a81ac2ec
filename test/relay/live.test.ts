import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { delivered } from "../support/delivered.ts";
import {
  acknowledgement,
  directMessage,
  ephemeralWrap,
  giftWrap,
  signed,
} from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { OVERTAKING, sharedRelay } from "../support/relay.ts";

const FINISH = ["finish"];

const relay = sharedRelay({ env: OVERTAKING });

describe("live delivery", () => {
  it("brings a drop to every device of its recipient that listens", async () => {
    const bob = person();
    const phone = await listener(relay().url, bob);
    const laptop = await listener(relay().url, bob);
    const sender = await Client.connect(relay().url);
    const drop = giftWrap({ to: bob });

    expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    expect(await phone.hear()).toEqual(["EVENT", "live", drop]);
    expect(await laptop.hear()).toEqual(["EVENT", "live", drop]);
  });

  it("brings a drop to its sender too, after the OK, when the sender is its recipient", async () => {
    const bob = person();
    const client = await listener(relay().url, bob);
    const drop = giftWrap({ to: bob });
    client.say("EVENT", drop);
    expect(await client.hear()).toEqual(["OK", drop.id, true, ""]);
    expect(await client.hear()).toEqual(["EVENT", "live", drop]);
  });

  it("does not bring a drop after its acknowledgement was answered", async () => {
    const bob = person();
    const client = await listener(relay().url, bob);
    for (let round = 0; round < 20; round += 1) {
      const drop = giftWrap({ to: bob });
      const ack = acknowledgement(bob, [drop]);
      client.say("EVENT", drop);
      client.say("EVENT", ack);
      await delivered(relay().url);
      client.say("COUNT", "after", {});
      const heard = await client.hearUntil("COUNT");
      const answered = heard.findIndex(([verb, id]) => verb === "OK" && id === ack.id);
      // The two are checked side by side, so either may be answered first.
      expect(answered).toBeGreaterThanOrEqual(0);
      expect(heard.slice(answered).map(([verb]) => verb)).not.toContain("EVENT");
    }
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 0 }]);
  });

  it("does not bring a drop to anyone but its recipient", async () => {
    const [bob, carol] = [person(), person()];
    const stranger = await listener(relay().url, carol);
    const drop = giftWrap({ to: bob });
    await stranger.request("by id", { ids: [drop.id] });

    const sender = await Client.connect(relay().url);
    await sender.publish(drop);
    await sender.publish(ephemeralWrap({ to: bob }));
    await delivered(relay().url);
    expect(await stranger.count({})).toEqual(["COUNT", "count", { count: 0 }]);
  });

  it("brings a drop once to each subscription of a connection that wants it", async () => {
    const [alice, bob] = [person(), person()];
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("all", {});
    await client.request("wraps", { kinds: [1059] });
    await client.request("messages", { kinds: [4] });
    await client.request("twice", { kinds: [4] }, { authors: [alice.key] });

    const sender = await Client.connect(relay().url);
    const wrap = giftWrap({ to: bob });
    const message = directMessage({ from: alice, to: bob });
    await sender.publish(wrap);
    await sender.publish(message);

    const heard = [];
    for (let index = 0; index < 5; index += 1) heard.push(await client.hear());
    expect(heard).toEqual([
      ["EVENT", "all", wrap],
      ["EVENT", "wraps", wrap],
      ["EVENT", "all", message],
      ["EVENT", "messages", message],
      ["EVENT", "twice", message],
    ]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 2 }]);
  });

  it("is not limited by `limit`, which bounds stored drops alone", async () => {
    const bob = person();
    const sender = await Client.connect(relay().url);
    await sender.publish(giftWrap({ to: bob }));
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    expect(await client.request("live", { limit: 0 })).toEqual({
      events: [],
      end: ["EOSE", "live", ["more"]],
    });
    for (const drop of [giftWrap({ to: bob }), giftWrap({ to: bob })]) {
      await sender.publish(drop);
      expect(await client.hear()).toEqual(["EVENT", "live", drop]);
    }
  });

  it("respects `since` and `until`, both included", async () => {
    const bob = person();
    const noon = now() - 3_600;
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("live", { since: noon, until: noon + 10 });

    const sender = await Client.connect(relay().url);
    const at = (created_at: number) => giftWrap({ to: bob, created_at });
    const drops = [at(noon - 1), at(noon), at(noon + 10), at(noon + 11)];
    for (const drop of drops) await sender.publish(drop);
    expect(await client.hear()).toEqual(["EVENT", "live", drops[1]]);
    expect(await client.hear()).toEqual(["EVENT", "live", drops[2]]);
    await delivered(relay().url);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 4 }]);
  });

  it("goes on for drops that were written long ago", async () => {
    const bob = person();
    const client = await listener(relay().url, bob);
    const old = giftWrap({ to: bob, created_at: now() - 20 * 24 * 3_600 });
    const sender = await Client.connect(relay().url);
    await sender.publish(old);
    expect(await client.hear()).toEqual(["EVENT", "live", old]);
  });

  it("passes an ephemeral wrap on and keeps nothing of it", async () => {
    const bob = person();
    const client = await listener(relay().url, bob);
    const sender = await Client.connect(relay().url);
    const wrap = ephemeralWrap({ to: bob });
    expect(await sender.publish(wrap)).toEqual(["OK", wrap.id, true, ""]);
    expect(await client.hear()).toEqual(["EVENT", "live", wrap]);
    expect(await client.pickup()).toEqual([]);
  });

  it("shows acknowledgements to nobody", async () => {
    const bob = person();
    const drop = giftWrap({ to: bob });
    const phone = await listener(relay().url, bob);
    await phone.request("acknowledgements", { kinds: [5, 62, 20221] });
    const sender = await Client.connect(relay().url);
    // Addressed to himself, so that it would be his to read.
    const tags = [
      ["e", drop.id],
      ["p", bob.key],
    ];
    await sender.publish(signed(bob, { kind: 20221, tags }));
    await sender.publish(signed(bob, { kind: 5, tags }));
    await delivered(relay().url);
    expect(await phone.count({})).toEqual(["COUNT", "count", { count: 0 }]);
    expect(await phone.pickup({ kinds: [5, 20221] })).toEqual([]);
  });
});

describe("a subscription", () => {
  it("is replaced by a REQ under the same id", async () => {
    const [alice, bob] = [person(), person()];
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("live", { kinds: [4] });
    await client.request("live", { kinds: [1059] });

    const sender = await Client.connect(relay().url);
    const wrap = giftWrap({ to: bob });
    await sender.publish(directMessage({ from: alice, to: bob }));
    await sender.publish(wrap);
    expect(await client.hear()).toEqual(["EVENT", "live", wrap]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 2 }]);
  });

  it("shows stored drops again when it is opened again", async () => {
    const bob = person();
    const sender = await Client.connect(relay().url);
    const drop = giftWrap({ to: bob });
    await sender.publish(drop);
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    const shown = { events: [drop], end: ["EOSE", "box", FINISH] };
    expect(await client.request("box", {})).toEqual(shown);
    expect(await client.request("box", {})).toEqual(shown);
  });

  it("ends with CLOSE, and the others go on", async () => {
    const bob = person();
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("one", {});
    await client.request("other", {});
    client.say("CLOSE", "one");
    // Answered after CLOSE was obeyed.
    await client.count({});

    const drop = giftWrap({ to: bob });
    await (await Client.connect(relay().url)).publish(drop);
    expect(await client.hear()).toEqual(["EVENT", "other", drop]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 1 }]);
  });

  it("is over once the relay has said CLOSED, even when it was a second REQ that could not be read", async () => {
    const bob = person();
    const client = await listener(relay().url, bob);
    const { end } = await client.request("live", { kinds: ["1059"] });
    expect(end).toEqual(["CLOSED", "live", "invalid: kinds must be whole numbers"]);

    await (await Client.connect(relay().url)).publish(giftWrap({ to: bob }));
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 1 }]);
  });

  it("is over once a second REQ under its id was refused as somebody else's box", async () => {
    const [bob, carol] = [person(), person()];
    const client = await listener(relay().url, bob);
    const { end } = await client.request("live", { "#p": [carol.key] });
    expect(end).toEqual(["CLOSED", "live", "restricted: that is not your box"]);

    await (await Client.connect(relay().url)).publish(giftWrap({ to: bob }));
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 1 }]);
  });

  it("spans all keys authenticated on the connection", async () => {
    const [work, home, other] = [person(), person(), person()];
    const sender = await Client.connect(relay().url);
    const stored = [
      giftWrap({ to: work, created_at: now() - 1 }),
      giftWrap({ to: home, created_at: now() - 2 }),
    ];
    for (const drop of stored) await sender.publish(drop);

    const client = await (await Client.connect(relay().url)).authenticate(work, home);
    expect(await client.request("both", {})).toEqual({
      events: stored,
      end: ["EOSE", "both", FINISH],
    });
    const one = await client.request("one", { "#p": [home.key] });
    expect(one.events).toEqual([stored[1]]);

    const [toOther, toWork, toHome] = [other, work, home].map((to) => giftWrap({ to }));
    for (const drop of [toOther, toWork, toHome]) if (drop) await sender.publish(drop);
    expect(await client.hear()).toEqual(["EVENT", "both", toWork]);
    expect(await client.hear()).toEqual(["EVENT", "both", toHome]);
    expect(await client.hear()).toEqual(["EVENT", "one", toHome]);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 4 }]);
  });
});

describe("messages in one flight", () => {
  it("AUTH and REQ: the REQ waits until the key is believed", async () => {
    const [bob, carol] = [person(), person()];
    const drop = giftWrap({ to: bob });
    await (await Client.connect(relay().url)).publish(drop);

    const client = await Client.challenged(relay().url);
    const proof = client.authEvent(bob);
    const refused = client.authEvent(carol, { tags: [["challenge", "of another connection"]] });
    client.say("AUTH", refused);
    client.say("AUTH", proof);
    client.say("REQ", "inbox", { "#p": [bob.key] });

    const heard = await client.hearUntil("EOSE");
    const reason = "invalid: the challenge is not the one of this connection";
    expect(heard).toContainEqual(["OK", refused.id, false, reason]);
    expect(heard).toContainEqual(["OK", proof.id, true, ""]);
    expect(heard.slice(2)).toEqual([
      ["EVENT", "inbox", drop],
      ["EOSE", "inbox", FINISH],
    ]);
  });

  it("REQ, AUTH and REQ: the first waits for the key, too", async () => {
    const bob = person();
    const client = await Client.challenged(relay().url);
    const proof = client.authEvent(bob);
    client.say("REQ", "early", {});
    client.say("AUTH", proof);
    client.say("REQ", "late", {});
    expect(await client.hear()).toEqual(["OK", proof.id, true, ""]);
    expect(await client.hear()).toEqual(["EOSE", "early", FINISH]);
    expect(await client.hear()).toEqual(["EOSE", "late", FINISH]);
  });

  it("EVENT, acknowledgement, COUNT and REQ: what was acknowledged is not shown", async () => {
    const bob = person();
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    const drops = Array.from({ length: 20 }, () => giftWrap({ to: bob }));
    const kept = giftWrap({ to: bob });
    const ack = acknowledgement(bob, drops);

    for (const drop of drops) client.say("EVENT", drop);
    client.say("EVENT", ack);
    client.say("EVENT", kept);
    client.say("COUNT", "count", {});
    client.say("REQ", "inbox", {});

    const heard = await client.hearUntil("EOSE");
    const answered = heard.filter(([verb, , accepted]) => verb === "OK" && accepted === true);
    expect(new Set(answered.map(([, id]) => id))).toEqual(
      new Set([...drops, ack, kept].map(({ id }) => id)),
    );
    expect(heard.slice(answered.length)).toEqual([
      ["COUNT", "count", { count: 1 }],
      ["EVENT", "inbox", kept],
      ["EOSE", "inbox", FINISH],
    ]);
  });

  it("REQ, CLOSE and COUNT: nothing of the subscription is heard after the COUNT is answered", async () => {
    const bob = person();
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    const drops = Array.from({ length: 20 }, () => giftWrap({ to: bob }));
    for (const drop of drops) await client.publish(drop);

    client.say("REQ", "inbox", {});
    client.say("CLOSE", "inbox");
    client.say("COUNT", "count", {});
    await client.hearUntil("COUNT");
    const late = giftWrap({ to: bob });
    expect(await client.publish(late)).toEqual(["OK", late.id, true, ""]);
  });
});

/** A client with one open subscription, `live`, to everything for this person. */
async function listener(url: string, who: Person): Promise<Client> {
  const client = await (await Client.connect(url)).authenticate(who);
  const { end } = await client.request("live", {});
  expect(end).toEqual(["EOSE", "live", FINISH]);
  return client;
}
