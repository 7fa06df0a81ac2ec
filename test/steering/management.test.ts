// What an admin can do while the relay runs (NIP-86): it holds at once, wherever a client is connected, and after a restart.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { npubEncode } from "nostr-tools/nip19";
import { beforeAll, describe, expect, it } from "vitest";

import { ask, heldFor, post, taken, HELD, KNOWN } from "../http/support.ts";
import { Client } from "../support/client.ts";
import { directMessage, giftWrap } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import {
  failToStart,
  type RelayProcess,
  sharedRelay,
  startRelay,
  temporaryFolder,
  type LogLine,
} from "../support/relay.ts";
import { CONNECTIONS, done, information, LOOPS, manage, state } from "./support.ts";

const RESTRICTED = "restricted: this relay does not hold drops for that recipient";
const BLOCKED = "blocked: this relay takes no messages of that author";

/** The headers of a client behind a proxy. */
function from(address: string): Record<string, string> {
  return { "x-forwarded-for": address };
}

/** What several connections, so many that every event loop has some, are answered to a drop each. */
async function answersTo(
  senders: readonly Client[],
  drop: () => NostrEvent,
): Promise<Set<unknown>> {
  const answers = await Promise.all(senders.map((sender) => sender.publish(drop())));
  return new Set(answers.map(([, , accepted, reason]) => (accepted === true ? "held" : reason)));
}

describe.each(LOOPS)("an admin of a relay with %s", (_, loops) => {
  const admin = person();
  const [configured, member] = [person(), person()];
  const relay = sharedRelay({
    env: {
      ...loops,
      DEADDROP_ADMINS: `${npubEncode(person().key)}, ${admin.key}`,
      DEADDROP_DENIED_RECIPIENTS: configured.key,
      DEADDROP_BLOCKED_NETWORKS: "198.51.100.0/24",
      DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
    },
  });
  let senders: readonly Client[] = [];
  beforeAll(async () => {
    const cleaning: (() => void)[] = [];
    senders = await Promise.all(
      Array.from({ length: CONNECTIONS }, () =>
        Client.connect(relay().url, {}, (clean) => cleaning.push(clean)),
      ),
    );
    return () => {
      for (const clean of cleaning) clean();
    };
  });

  const asked = (method: string, ...params: readonly unknown[]): Promise<unknown> =>
    done(relay(), admin, method, ...params);

  it("is told which methods there are, and each of them is one", async () => {
    const methods = (await asked("supportedmethods")) as string[];
    expect(methods).toEqual(expect.arrayContaining(["banpubkey", "blockip", "stats"]));
    expect(methods).not.toContain("supportedmethods");
    for (const method of methods) {
      const { body } = await manage(relay(), admin, method, 5, 5, 5);
      expect(body["error"]).not.toMatch(/no such method/);
    }
  });

  it("bans a key: no drops for it, no messages of kind 4 by it, on any connection", async () => {
    const [bob, carol] = [person(), person()];
    const [forBob, byBob] = [
      () => giftWrap({ to: bob }),
      () => directMessage({ from: bob, to: carol }),
    ];
    expect(await answersTo(senders, forBob)).toEqual(new Set(["held"]));
    expect(await answersTo(senders, byBob)).toEqual(new Set(["held"]));

    expect(await asked("banpubkey", bob.key, "sends spam")).toBe(true);
    expect(await answersTo(senders, forBob)).toEqual(new Set([RESTRICTED]));
    expect(await answersTo(senders, byBob)).toEqual(new Set([BLOCKED]));
    expect(await asked("listbannedpubkeys")).toContainEqual({
      pubkey: bob.key,
      reason: "sends spam",
      as: ["recipient", "author"],
    });
    // What is held is the recipient's all the same.
    expect(await heldFor(relay(), bob)).toHaveLength(CONNECTIONS);

    expect(await asked("unbanpubkey", bob.key)).toBe(true);
    expect(await answersTo(senders, forBob)).toEqual(new Set(["held"]));
    expect(await answersTo(senders, byBob)).toEqual(new Set(["held"]));
    expect(JSON.stringify(await asked("listbannedpubkeys"))).not.toContain(bob.key);
  });

  it("bans a key as a recipient, or as an author, alone", async () => {
    const [bob, carol] = [person(), person()];
    await asked("banrecipient", bob.key);
    await asked("banauthor", carol.key, "rude");
    const tried: [() => NostrEvent, string][] = [
      [() => giftWrap({ to: bob }), RESTRICTED],
      [() => directMessage({ from: bob, to: carol }), "held"],
      [() => directMessage({ from: carol, to: person() }), BLOCKED],
      [() => giftWrap({ to: carol }), "held"],
    ];
    for (const [drop, answer] of tried) {
      expect(await answersTo(senders, drop)).toEqual(new Set([answer]));
    }
    const banned = (await asked("listbannedpubkeys")) as object[];
    expect(banned).toContainEqual({ pubkey: bob.key, reason: "", as: ["recipient"] });
    expect(banned).toContainEqual({ pubkey: carol.key, reason: "rude", as: ["author"] });
    await asked("unbanrecipient", bob.key);
    await asked("unbanauthor", carol.key);
    for (const [drop] of tried) {
      expect(await answersTo(senders, drop)).toEqual(new Set(["held"]));
    }
  });

  it("lifts a ban by allowing the key, and takes that back by banning it", async () => {
    const bob = person();
    await asked("banpubkey", bob.key);
    await asked("allowpubkey", bob.key, "was a mistake");
    expect(await answersTo(senders, () => giftWrap({ to: bob }))).toEqual(new Set(["held"]));
    expect(await asked("listallowedpubkeys")).toContainEqual({
      pubkey: bob.key,
      reason: "was a mistake",
    });
    // Nobody else is shut out by it.
    expect(await answersTo(senders, () => giftWrap({ to: person() }))).toEqual(new Set(["held"]));
    await asked("banpubkey", bob.key);
    expect(JSON.stringify(await asked("listallowedpubkeys"))).not.toContain(bob.key);
    expect(await answersTo(senders, () => giftWrap({ to: bob }))).toEqual(new Set([RESTRICTED]));
  });

  it.each([
    ["unbanpubkey", () => configured.key, "deniedRecipients"],
    ["unbanrecipient", () => configured.key, "deniedRecipients"],
    ["allowpubkey", () => configured.key, "deniedRecipients"],
    ["unblockip", () => "198.51.100.0/24", "blockedNetworks"],
  ])("cannot take back with %s what the configuration says", async (method, subject, setting) => {
    const before = await state(relay(), admin);
    const { status, body } = await manage(relay(), admin, method, subject());
    expect({ status, body }).toEqual({
      status: 200,
      body: { error: `it stands in ${setting} of the configuration; take it out there` },
    });
    expect(await state(relay(), admin)).toEqual(before);
    expect(await asked("listbannedpubkeys")).toContainEqual({
      pubkey: configured.key,
      reason: "named in the configuration",
      as: ["recipient"],
    });
  });

  it("removes the box of a recipient who is banned, what it wrote to others not, and none of it comes back", async () => {
    const [bob, carol] = [person(), person()];
    const held = [giftWrap({ to: bob }), directMessage({ from: carol, to: bob })];
    const ofOthers = [directMessage({ from: bob, to: carol }), giftWrap({ to: carol })];
    for (const drop of [...held, ...ofOthers]) {
      expect(await post(relay(), "/drop", drop)).toEqual(taken(HELD, drop));
    }
    const { body } = await manage(relay(), admin, "removebox", bob.key);
    expect(body).toEqual({ error: "its drops are still taken; ban the recipient first" });
    expect(await heldFor(relay(), bob)).toHaveLength(2);

    await asked("banrecipient", bob.key);
    expect(await asked("removebox", bob.key, "a court wants it")).toBe(true);
    expect(await heldFor(relay(), bob)).toEqual([]);
    expect(await heldFor(relay(), carol)).toHaveLength(2);

    await asked("unbanrecipient", bob.key);
    for (const drop of held) {
      expect(await post(relay(), "/drop", drop)).toEqual(taken(KNOWN, drop));
    }
    expect(await heldFor(relay(), bob)).toEqual([]);
  });

  it("removes the box of a recipient whom the configuration denies", async () => {
    expect(await asked("removebox", configured.key)).toBe(true);
  });

  it("blocks an address: what is open from there ends, and nothing new begins", async () => {
    const [peer, neighbour] = ["203.0.113.7", "203.0.113.8"];
    const open = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => Client.connect(relay().url, from(peer))),
    );
    const other = await Client.connect(relay().url, from(neighbour));
    expect(await asked("blockip", peer, "scans")).toBe(true);
    const ends = await Promise.all(open.map(({ closed }) => closed));
    expect(new Set(ends.map(({ code }) => code))).toEqual(new Set([1006]));
    for (let tries = 0; tries < CONNECTIONS; tries += 1) {
      await expect(Client.connect(relay().url, from(peer))).rejects.toThrow("HTTP 429");
      const answer = await ask(relay().http, { headers: from(peer) });
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.text)).toEqual({
        accepted: false,
        reason: "blocked: nobody is let in from this address",
      });
    }
    const drop = giftWrap({ to: person() });
    expect(await other.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    expect(await asked("listblockedips")).toContainEqual({ ip: peer, reason: "scans" });

    expect(await asked("unblockip", peer)).toBe(true);
    for (let tries = 0; tries < CONNECTIONS; tries += 1)
      await Client.connect(relay().url, from(peer));
  });

  it("blocks a network, in whatever spelling, and does not pretend to unblock a part of it", async () => {
    const peer = from("2001:db8:1:2::3");
    await asked("blockip", "2001:DB8:1::5/48", "a farm");
    await expect(Client.connect(relay().url, peer)).rejects.toThrow("HTTP 429");
    const { body } = await manage(relay(), admin, "unblockip", "2001:db8:1:2::3");
    expect(body).toEqual({
      error: "it is in 2001:db8:1::/48, which is blocked as a whole; unblock that",
    });
    await asked("unblockip", "2001:db8:1:0::/48");
    await Client.connect(relay().url, peer);
  });

  it("cannot block the address it asks from", async () => {
    for (const network of ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0", "::ffff:127.0.0.1"]) {
      const { body } = await manage(relay(), admin, "blockip", network);
      expect(body).toEqual({
        error: "this request comes from there; nobody could take it back",
      });
    }
  });

  it("renames the relay, and gives it back the name that is configured", async () => {
    await asked("changerelayname", "Under the third bench");
    await asked("changerelaydescription", "For spies.");
    await asked("changerelayicon", "https://drop.example.com/bench.png");
    for (let tries = 0; tries < CONNECTIONS; tries += 1) {
      expect(await information(relay())).toMatchObject({
        name: "Under the third bench",
        description: "For spies.",
        icon: "https://drop.example.com/bench.png",
      });
    }
    for (const method of ["changerelayname", "changerelaydescription", "changerelayicon"]) {
      await asked(method, "");
    }
    const now = await information(relay());
    expect(now).toMatchObject({ name: "Dead Drop" });
    expect(now).not.toHaveProperty("icon");
  });

  it("is told how the relay is, in numbers that name nobody", async () => {
    await post(relay(), "/drop", giftWrap({ to: person() }));
    const stats = (await asked("stats")) as Record<string, unknown>;
    expect(stats).toMatchObject({
      version: expect.any(String),
      startedAt: expect.any(Number),
      uptimeSeconds: expect.any(Number),
      held: expect.any(Number),
      tombstones: expect.any(Number),
      connections: expect.any(Number),
      isClockBelieved: expect.any(Boolean),
      isDiskFull: false,
      decisions: { bannedRecipients: expect.any(Number), blockedNetworks: 0 },
    });
    expect(stats["held"]).toBeGreaterThan(0);
    expect(stats["counts"]).toHaveProperty(["drop stored"]);
  });

  it("leaves a line for each decision in the log, which names no key and no address", async () => {
    const bob = person();
    const reason = `spam by ${bob.key} and ${npubEncode(bob.key)} from 203.0.113.9:5 and 2001:db8::9`;
    await asked("banauthor", bob.key, reason);
    await asked("blockip", "203.0.113.9", reason);
    await asked("unblockip", "203.0.113.9");
    // The log is read beside the answers.
    await relay().wrote((log) => {
      const [first, , last] = steered(log);
      return first?.["method"] === "banauthor" && last?.["method"] === "unblockip";
    });
    expect(steered(relay().log)).toMatchObject([
      { method: "banauthor", reason: "spam by … and … from … and …", by: expect.any(String) },
      { method: "blockip", reason: "spam by … and … from … and …" },
      { method: "unblockip", reason: "" },
    ]);
    const log = JSON.stringify(relay().log);
    for (const name of [bob, admin].flatMap(({ key }) => [
      key,
      key.slice(0, 16),
      npubEncode(key),
    ])) {
      expect(log).not.toContain(name);
    }
    expect(log).not.toMatch(/203\.0\.113|2001:db8/);
  });

  it("serves members alone where the configuration names one, and takes further ones in", async () => {
    const closed = await startRelay({
      env: { ...loops, DEADDROP_ADMINS: admin.key, DEADDROP_ALLOWED_RECIPIENTS: member.key },
    });
    const bob = person();
    const answerTo = async (drop: NostrEvent): Promise<unknown> =>
      (await post(closed, "/drop", drop)).said.reason;
    expect(await answerTo(giftWrap({ to: bob }))).toBe(RESTRICTED);
    await done(closed, admin, "allowpubkey", bob.key);
    expect(await answerTo(giftWrap({ to: bob }))).toBe("");
    await done(closed, admin, "unallowpubkey", bob.key);
    expect(await answerTo(giftWrap({ to: bob }))).toBe(RESTRICTED);
    expect(await answerTo(giftWrap({ to: member }))).toBe("");
    const { body } = await manage(closed, admin, "unallowpubkey", member.key);
    expect(body["error"]).toMatch(/allowedRecipients of the configuration/);
    // A ban goes before an allowance.
    await done(closed, admin, "banrecipient", member.key);
    expect(await answerTo(giftWrap({ to: member }))).toBe(RESTRICTED);
  });
});

describe("what was decided", () => {
  const admin = person();
  const env = { DEADDROP_ADMINS: admin.key };

  async function decideSome(relay: RelayProcess, bob: Person): Promise<void> {
    await done(relay, admin, "banpubkey", bob.key, "spam");
    await done(relay, admin, "allowpubkey", person().key);
    await done(relay, admin, "blockip", "203.0.113.0/24", "scans");
    await done(relay, admin, "changerelayname", "Third bench");
  }

  it.each(LOOPS)("holds after the relay was killed and started again: %s", async (_, loops) => {
    const relay = await startRelay({ env: { ...env, ...loops } });
    const bob = person();
    await decideSome(relay, bob);
    const before = await state(relay, admin);
    await relay.kill();
    const again = await startRelay({ data: relay.data, env: { ...env, ...loops } });
    expect(await state(again, admin)).toEqual(before);
    const { said } = await post(again, "/drop", giftWrap({ to: bob }));
    expect(said.reason).toBe(RESTRICTED);
  });

  it("is nobody else's to read", async () => {
    const relay = await startRelay({ env });
    await decideSome(relay, person());
    await relay.stop();
    const { mode } = statSync(join(relay.data, "decisions.json"));
    expect(mode & 0o077).toBe(0);
    // And the folder is still the relay's own.
    const again = await startRelay({ data: relay.data, env });
    expect(again.log.filter(({ msg }) => /open to|others/.test(msg))).toEqual([]);
  });

  describe("and is damaged", () => {
    let kept = "";
    beforeAll(async () => {
      const cleaning: (() => void | Promise<void>)[] = [];
      const relay = await startRelay({ env }, (clean) => cleaning.push(clean));
      await decideSome(relay, person());
      kept = readFileSync(join(relay.data, "decisions.json"), "utf8");
      for (const clean of cleaning.toReversed()) await clean();
    });

    it.each([
      ["is no JSON", () => "{"],
      ["is of another format", (text: string) => text.replace('"format": 1', '"format": 2')],
      ["names a key that is none", (text: string) => text.replace(/"pubkey": "../, "$&zz")],
      [
        "names a network that is none",
        (text: string) => text.replace("203.0.113.0", "203.0.113.1"),
      ],
      ["lacks a list", (text: string) => text.replace("bannedAuthors", "bannedArtists")],
      ["is empty", () => ""],
    ])("stops the start, with a sentence: the file %s", async (_, spoil) => {
      const data = temporaryFolder();
      const file = join(data, "decisions.json");
      expect(spoil(kept)).not.toBe(kept);
      writeFileSync(file, spoil(kept));
      const { code, said } = await failToStart(data, { env });
      expect(code).toBe(1);
      expect(said).toContain(`${file} is damaged; put it right, or move it away`);
    });
  });
});

/** The last three decisions in a log. */
function steered(log: readonly LogLine[]): LogLine[] {
  return log.filter(({ msg }) => msg === "steered").slice(-3);
}
