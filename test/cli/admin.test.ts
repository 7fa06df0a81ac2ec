// `deaddrop admin`: steering a relay from the command line.

import { npubEncode } from "nostr-tools/nip19";
import { beforeAll, describe, expect, it } from "vitest";

import { person } from "../support/people.ts";
import { giftWrap } from "../support/events.ts";
import type { RelayProcess } from "../support/relay.ts";
import { at, connect, jsonLines, keyholder, newRelay, NOWHERE, seat } from "./support.ts";

const admin = keyholder();
let relay: RelayProcess;
beforeAll(async () => {
  relay = await newRelay({ env: { DEADDROP_ADMINS: admin.npub } });
});

describe("deaddrop admin", () => {
  it("bans whom it is told to, with the reason, and lists it", async () => {
    const bob = person();
    const args = ["admin", "banpubkey", npubEncode(bob.key), "sends", "spam", ...at(relay)];
    expect(await admin.runs(args)).toEqual({ code: 0, out: "true\n", err: "" });
    const drop = giftWrap({ to: bob });
    expect(await (await connect(relay.url)).publish(drop)).toEqual([
      "OK",
      drop.id,
      false,
      "restricted: this relay does not hold drops for that recipient",
    ]);
    const listed = await admin.runs(["admin", "listbannedpubkeys", ...at(relay)]);
    expect(listed).toMatchObject({ code: 0, err: "" });
    expect(listed.out).toContain(`- pubkey: ${bob.key}\n  reason: sends spam\n`);
    const asJson = await admin.runs(["admin", "listbannedpubkeys", "--json", ...at(relay)]);
    expect(jsonLines(asJson.out)).toEqual([
      [{ pubkey: bob.key, reason: "sends spam", as: ["recipient", "author"] }],
    ]);
  });

  it("steers the relay of its configuration, by the words behind the method", async () => {
    const env = { DEADDROP_LISTEN: new URL(relay.url).host };
    const run = (...words: string[]) => admin.runs(["admin", ...words], { env });
    expect(await run("changerelayname", "Third", "bench")).toMatchObject({ code: 0 });
    expect(await run("blockip", "203.0.113.5/24")).toMatchObject({ code: 0, out: "true\n" });
    expect((await run("listblockedips", "--json")).out).toBe(
      '[{"ip":"203.0.113.0/24","reason":""}]\n',
    );
    const stats = await run("stats", "--json");
    expect(jsonLines(stats.out)).toMatchObject([{ decisions: { blockedNetworks: 1 } }]);
    const info = await seat().runs(["info", relay.url]);
    expect(info.out).toContain("name: Third bench\n");
    expect(await run("changerelayname", "")).toMatchObject({ code: 0 });
  });

  it("says what the relay says when it does not do it, and fails", async () => {
    const mallory = keyholder();
    expect(await mallory.runs(["admin", "stats", ...at(relay)])).toEqual({
      code: 1,
      out: "",
      err: "deaddrop: the relay has not done it: restricted: this key may not steer the relay\n",
    });
    const removed = await admin.runs(["admin", "removebox", person().key, ...at(relay)]);
    expect(removed).toMatchObject({ code: 1, out: "" });
    expect(removed.err).toMatch(/its drops are still taken; ban the recipient first/);
  });

  it("says so where nobody may steer a relay, and where none is", async () => {
    const other = await newRelay();
    const ran = await admin.runs(["admin", "stats", ...at(other)]);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(/cannot be steered so\n {2}.*configuration: admins/);
    const nowhere = await admin.runs(["admin", "stats", ...at({ url: NOWHERE })]);
    expect(nowhere).toMatchObject({ code: 1, out: "" });
    expect(nowhere.err).toMatch(/no relay answers at .*nothing listens there/);
  });

  it.each([
    ["no method", [], /needs a method such as banpubkey/],
    ["an unknown method", ["banevent", "ab"], /needs a method such as banpubkey/],
    ["no key", ["banpubkey"], /give "deaddrop admin banpubkey <key> \[<reason>\]"/],
    ["a key that is none", ["banpubkey", "bob"], /"bob" is no public key; give npub1…/],
    ["no text", ["changerelayname"], /give "deaddrop admin changerelayname <text>"/],
    ["a word too many", ["stats", "now"], /give "deaddrop admin stats"/],
    ["two relays", ["stats", ...at({ url: NOWHERE }, { url: NOWHERE })], /one relay at a time/],
    ["no URL", ["stats", "--relay", "drop"], /is no URL/],
  ])("is used wrongly with %s, and says how to use it", async (_, words, why) => {
    const ran = await admin.runs(["admin", ...words]);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toMatch(why);
  });
});
