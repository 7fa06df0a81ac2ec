import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { giftWrap, signed } from "../support/events.ts";
import { person } from "../support/people.ts";
import { frame, RawSocket } from "../support/raw.ts";
import { sharedRelay } from "../support/relay.ts";

const relay = sharedRelay();
const small = sharedRelay({ env: { DEADDROP_LIMITS_INBOX: "4" } });

const AUTH_REQUIRED = "auth-required: drops are shown to their recipient only";
const FINISH = ["finish"];

describe("the challenge", () => {
  it("is never sent to a connection that only publishes", async () => {
    const sender = await Client.connect(relay().url);
    await sender.publish(giftWrap({ to: person() }));
    // One that says nothing is asked after a while. By then the sender would have been.
    const silent = await Client.connect(relay().url);
    await silent.challengeSent;
    await sender.publish(giftWrap({ to: person() }));
    sender.say("CLOSE", "nothing");
    expect((await sender.publish(giftWrap({ to: person() })))[2]).toBe(true);
    expect(sender.challenges).toEqual([]);
    expect(silent.challenges).toHaveLength(1);
  });

  it.each([
    ["REQ", {}],
    ["COUNT", { "#p": [person().key] }],
  ])("is sent with the first %s", async (verb, filter) => {
    const client = await Client.connect(relay().url);
    client.say(verb, "s", filter);
    await client.challengeSent;
    const bob = person();
    client.say("AUTH", client.authEvent(bob));
    expect((await client.hear())[2]).toBe(true);
  });

  it("is sent again, the same, before each request is refused for want of a key", async () => {
    const socket = await RawSocket.open(relay().url);
    for (const round of [1, 2]) {
      socket.write(frame(JSON.stringify(["REQ", `box ${round}`, {}])));
      await socket.hears(`["CLOSED","box ${round}","auth-required:`);
    }
    expect(verbsIn(socket.heard)).toEqual(["AUTH", "AUTH", "CLOSED", "AUTH", "CLOSED"]);
    expect(new Set(socket.heard.match(/\["AUTH","[^"]*"\]/g)).size).toBe(1);
  });

  it("is sent again before a request about another account's box is refused", async () => {
    const client = await (await Client.connect(relay().url)).authenticate(person());
    const carol = person();
    for (const verb of ["REQ", "COUNT"]) {
      const before = client.challenges.length;
      client.say(verb, "s", { "#p": [carol.key] });
      expect((await client.hear())[0]).toBe("CLOSED");
      expect(client.challenges).toHaveLength(before + 1);
    }
    await client.authenticate(carol);
    expect(await client.pickup({ "#p": [carol.key] })).toEqual([]);
  });
});

describe("a request for nothing that is held here", () => {
  const questions: [string, object[]][] = [
    ["other kinds", [{ kinds: [3, 10002], authors: [person().key] }]],
    ["other kinds of a box", [{ kinds: [1], "#p": [person().key] }]],
    ["empty lists", [{ ids: [] }, { kinds: [] }]],
  ];

  it.each(questions)("is answered without a key, and asks for none: %s", async (_, filters) => {
    const sender = await Client.connect(relay().url);
    await sender.publish(giftWrap({ to: person() }));
    expect(await sender.request("s", ...filters)).toEqual({
      events: [],
      end: ["EOSE", "s", FINISH],
    });
    expect(await sender.count(...filters)).toEqual(["COUNT", "count", { count: 0 }]);
    await sender.publish(giftWrap({ to: person() }));
    expect(sender.challenges).toEqual([]);
  });
});

describe("a request that comes before the key it needs", () => {
  it("is answered as soon as AUTH is", async () => {
    const bob = person();
    const drop = giftWrap({ to: bob });
    const client = await Client.challenged(relay().url);
    await client.publish(drop);
    client.say("REQ", "box", {});
    client.say("REQ", "box 2", { limit: 0 });
    const auth = client.authEvent(bob);
    client.say("AUTH", auth);
    expect(await client.hearUntil("EOSE")).toEqual([
      ["OK", auth.id, true, ""],
      ["EVENT", "box", drop],
      ["EOSE", "box", FINISH],
    ]);
    expect(await client.hear()).toEqual(["EOSE", "box 2", ["more"]]);
  });

  it("waits for all keys that come in one flight", async () => {
    const [bob, carol] = [person(), person()];
    const sender = await Client.connect(relay().url);
    for (const to of [bob, carol]) await sender.publish(giftWrap({ to }));
    const socket = await RawSocket.open(relay().url);
    socket.write(frame(JSON.stringify(["COUNT", "count", {}])));
    await socket.hears('"]');
    const [, challenge = ""] = /\["AUTH","([^"]*)"\]/.exec(socket.heard) ?? [];
    const tags = [
      ["relay", relay().url],
      ["challenge", challenge],
    ];
    const auths = [bob, carol].map((who) => ["AUTH", signed(who, { kind: 22242, tags })]);
    socket.write(Buffer.concat(auths.map((auth) => frame(JSON.stringify(auth)))));
    await socket.hears('["COUNT","count",{"count":2}]');
    expect(verbsIn(socket.heard)).toEqual(["AUTH", "OK", "OK", "COUNT"]);
  });

  it("is refused at once when the key is not believed", async () => {
    const client = await Client.challenged(relay().url);
    client.say("REQ", "box", {});
    const auth = client.authEvent(person(), { tags: [["challenge", "made up"]] });
    client.say("AUTH", auth);
    expect((await client.hear()).slice(0, 3)).toEqual(["OK", auth.id, false]);
    expect(await client.hear()).toEqual(["CLOSED", "box", AUTH_REQUIRED]);
  });

  it("is refused after a while when none comes, each in its turn", async () => {
    const client = await Client.connect(relay().url);
    const names = ["one", "two", "three"];
    for (const name of names) client.say("REQ", name, {});
    client.say("COUNT", "four", {});
    for (const name of [...names, "four"]) {
      expect(await client.hear()).toEqual(["CLOSED", name, AUTH_REQUIRED]);
    }
  });

  it("does not keep a drop waiting that comes after it", async () => {
    const client = await Client.connect(relay().url);
    client.say("REQ", "box", {});
    const drop = giftWrap({ to: person() });
    client.say("EVENT", drop);
    expect(await client.hear()).toEqual(["OK", drop.id, true, ""]);
    expect(await client.hear()).toEqual(["CLOSED", "box", AUTH_REQUIRED]);
  });

  it("is taken back by a CLOSE", async () => {
    const client = await Client.challenged(relay().url);
    client.say("REQ", "gone", {});
    client.say("REQ", "stays", {});
    client.say("CLOSE", "gone");
    const bob = person();
    const auth = client.authEvent(bob);
    client.say("AUTH", auth);
    expect(await client.hear()).toEqual(["OK", auth.id, true, ""]);
    expect(await client.hear()).toEqual(["EOSE", "stays", FINISH]);
    const drop = giftWrap({ to: bob });
    client.say("EVENT", drop);
    const heard = [await client.hear(), await client.hear()];
    expect(heard).toContainEqual(["OK", drop.id, true, ""]);
    expect(heard).toContainEqual(["EVENT", "stays", drop]);
  });

  it("counts among the messages that wait", async () => {
    const client = await Client.connect(small().url);
    for (const name of ["1", "2", "3", "4", "5"]) client.say("REQ", name, {});
    const busy = "rate-limited: too many messages are waiting for an answer";
    expect(await client.hear()).toEqual(["CLOSED", "5", busy]);
    // A CLOSE makes room.
    client.say("CLOSE", "1");
    client.say("REQ", "6", {});
    for (const name of ["2", "3", "4", "6"]) {
      expect(await client.hear()).toEqual(["CLOSED", name, AUTH_REQUIRED]);
    }
  });
});

function verbsIn(heard: string): string[] {
  return [...heard.matchAll(/\["([A-Z]+)"/g)].map(([, verb]) => verb ?? "");
}
