import { statSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { wrapEvent } from "nostr-tools/nip59";
import { describe, expect, it, vi } from "vitest";

import { now } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { sharedRelay } from "../support/relay.ts";
import { ptyMissing } from "./process.ts";
import {
  at,
  boxOf,
  directory,
  drop,
  freeAddress,
  jsonLines,
  type Keyholder,
  keyholder,
  newRelay,
  NOWHERE,
  publish,
  seat,
} from "./support.ts";

const ID = /^id: +([0-9a-f]{64})$/m;
const TEXT = "Unter der dritten Bank.\nПод третьей скамейкой. 三つ目のベンチの下 🪑";
const DAY_SECONDS = 24 * 60 * 60;

const relay = sharedRelay();
const other = sharedRelay();

/** Two people who receive at one relay, or at these. */
function pair(relays: readonly { readonly url: string }[] = [relay()]): [Keyholder, Keyholder] {
  return [keyholder({ relays }), keyholder({ relays })];
}

async function post(url: string, body: string): Promise<Response> {
  return fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
}

function day(time: number): string {
  return new Date(time * 1_000).toISOString().slice(0, 10);
}

describe.concurrent("a message", () => {
  it("goes from one key file to another, by the list that the recipient published, and is forgotten when it is acknowledged", async () => {
    const { url: discovery } = await directory();
    const [alice, bob] = [seat({ relays: [relay(), other()] }), seat({ discovery })];
    for (const { home, runs } of [alice, bob]) {
      const made = await runs(["keys", "new"]);
      expect(made).toMatchObject({ code: 0, err: "" });
      expect(statSync(join(home, "key")).mode & 0o777).toBe(0o600);
    }
    const npubOf = async ({ runs }: typeof alice): Promise<string> =>
      /^npub: (npub1\w+)$/m.exec((await runs(["keys", "show"])).out)?.[1] ?? "";
    const urls = [relay().url, other().url];
    expect(await bob.runs(["relays", "set", ...urls])).toMatchObject({ code: 0, err: "" });

    const sent = await alice.runs([
      "send",
      await npubOf(bob),
      "Under the third bench.",
      "--discovery",
      discovery,
    ]);
    expect(sent).toMatchObject({ code: 0, err: "" });
    for (const url of urls) {
      expect(sent.out).toMatch(
        new RegExp(`^${url}/ held until \\d{4}-\\d\\d-\\d\\d \\S+ UTC$`, "m"),
      );
    }

    const full = await bob.runs(["status"]);
    expect(full).toMatchObject({ code: 0, err: "" });
    for (const url of urls) {
      expect(full.out).toMatch(
        new RegExp(
          `^${url}/ holds 1 message, the oldest from about \\d{4}-.* UTC, the next one goes \\d{4}-.* UTC$`,
          "m",
        ),
      );
    }

    const picked = await bob.runs(["pickup"]);
    expect(picked).toMatchObject({ code: 0, err: "" });
    expect(picked.out.split("Under the third bench.")).toHaveLength(2);
    expect(picked.out).toContain(`from: ${await npubOf(alice)}\n`);
    const id = ID.exec(picked.out)?.[1] ?? "";
    // Reading deletes nothing.
    expect(await bob.runs(["pickup"])).toEqual(picked);

    const told = await bob.runs(["ack", id]);
    expect(told).toEqual({
      code: 0,
      out: `acknowledged 1 message at ${urls.map((url) => `${url}/`).join(" and ")}\n`,
      err: "",
    });
    const empty = await bob.runs(["status"]);
    expect(empty).toEqual({
      code: 0,
      out: urls.map((url) => `${url}/ holds nothing for you\n`).join(""),
      err: "",
    });
    expect(await bob.runs(["pickup"])).toEqual({
      code: 0,
      out: "",
      err: `deaddrop: no new messages at ${urls.map((url) => `${url}/`).join(" and ")}\n`,
    });
  });

  it("goes the same way for a program, in lines of JSON", async () => {
    const { url: discovery } = await directory();
    // Whom a list sends into their own network has to name these relays.
    const alice = seat({ discovery, relays: [relay(), other()] });
    const bob = seat({ discovery });
    const json = async ({ runs }: typeof alice, ...args: string[]): Promise<unknown[]> => {
      const ran = await runs([...args, "--json"]);
      expect({ args, ...ran }).toMatchObject({ code: 0, err: "" });
      return jsonLines(ran.out);
    };
    const [alices] = (await json(alice, "keys", "new")) as { hex: string }[];
    const [bobs] = (await json(bob, "keys", "new")) as { hex: string; npub: string }[];
    expect(bobs).toEqual({
      hex: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      npub: expect.stringMatching(/^npub1/) as string,
      file: join(bob.home, "key"),
      encrypted: false,
    });
    expect(await json(bob, "keys", "show")).toEqual([bobs]);

    const [one, two] = [`${relay().url}/`, `${other().url}/`];
    const set = await json(bob, "relays", "set", one, two);
    expect(set).toContainEqual({ url: `${discovery}/`, published: true, reason: "" });
    expect(set).toContainEqual({
      url: one,
      published: false,
      reason: expect.stringMatching(/^blocked: /) as string,
    });
    expect(await json(bob, "relays")).toEqual([{ relays: [one, two] }]);
    expect(await json(alice, "relays", "of", bobs?.hex ?? "")).toEqual([{ relays: [one, two] }]);

    const [sent] = (await json(alice, "send", bobs?.hex ?? "", TEXT)) as { message: string }[];
    expect(sent).toEqual({
      message: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      delivered: true,
      quorum: 2,
      relays: [one, two].map((url) => ({
        url,
        state: "held",
        reason: "",
        heldUntil: expect.any(Number) as number,
      })),
    });

    const full = await json(bob, "status");
    expect(full).toEqual(
      [one, two].map((url) => ({
        url,
        state: "complete",
        reason: "",
        drops: 1,
        oldest: expect.any(Number) as number,
        nextExpiry: expect.any(Number) as number,
      })),
    );

    const picked = (await json(bob, "pickup")) as { id: string }[];
    expect(picked).toEqual([
      {
        type: "message",
        id: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        message: sent?.message,
        from: alices?.hex,
        to: bobs?.hex,
        relay: expect.toSatisfy((url) => url === one || url === two) as string,
        kind: 14,
        created_at: expect.any(Number) as number,
        tags: [["p", bobs?.hex]],
        content: TEXT,
      },
    ]);

    expect(await json(bob, "ack", picked[0]?.id ?? "")).toEqual(
      [one, two].map((url) => ({ url, state: "done", reason: "" })),
    );
    const nothing = { state: "complete", reason: "", drops: 0, oldest: null, nextExpiry: null };
    expect(await json(bob, "status")).toEqual([
      { url: one, ...nothing },
      { url: two, ...nothing },
    ]);
    expect(await json(bob, "pickup")).toEqual([]);
  });

  it.each([
    ["one argument", "npub", [TEXT], "", TEXT],
    ["several arguments, as one line", "hex", ["Under", "the bench."], "", "Under the bench."],
    ["standard input", "npub", [], `${TEXT}\n`, TEXT],
    ["standard input, named by -", "hex", ["-"], `\n  ${TEXT}\n\n`, `\n  ${TEXT}\n`],
  ] as const)("is what comes as %s, to an %s", async (_, form, words, input, text) => {
    const [alice, bob] = pair();
    const to = form === "npub" ? bob.npub : bob.key;
    const sent = await alice.runs(["send", to, ...words, ...at(relay())], { input });
    expect(sent).toMatchObject({ code: 0, err: "" });
    const [picked] = jsonLines((await bob.runs(["pickup", "--json"])).out);
    expect(picked).toMatchObject({ content: text, from: alice.key });
  });

  it("is one for its recipient when each relay has a wrap of its own", async () => {
    const [alice, bob] = pair([relay(), other()]);
    const send = ["send", bob.npub, "once", "--rewrap", ...at(relay(), other())];
    expect(await alice.runs(send)).toMatchObject({ code: 0 });
    const [here, there] = [await boxOf(bob, relay()), await boxOf(bob, other())];
    expect([here, there]).toEqual([[expect.any(String)], [expect.any(String)]]);
    expect(here).not.toEqual(there);
    const { out } = await bob.runs(["pickup", "--ack", "--json"]);
    expect(jsonLines(out)).toEqual([expect.objectContaining({ content: "once" })]);
    expect(await boxOf(bob, relay())).toEqual([]);
    expect(await boxOf(bob, other())).toEqual([]);
  });

  it("is forgotten at the time it was given, and not before", async () => {
    const [alice, bob] = pair();
    const before = now();
    const send = ["send", bob.npub, "soon", "--expires", "7d", ...at(relay())];
    expect(await alice.runs(send)).toMatchObject({ code: 0 });
    const [box] = jsonLines((await bob.runs(["status", "--json"])).out);
    expect(box?.["nextExpiry"]).toBeGreaterThanOrEqual(before + 7 * DAY_SECONDS);
    expect(box?.["nextExpiry"]).toBeLessThan(before + 10 * DAY_SECONDS);
  });

  it("cannot be empty, whether it comes as an argument or not", async () => {
    const [alice, bob] = pair();
    for (const [words, input] of [
      [[], ""],
      [["-"], "\n"],
      [[""], ""],
    ] as const) {
      const ran = await alice.runs(["send", bob.npub, ...words, ...at(relay())], { input });
      expect({ words, ...ran }).toMatchObject({ code: 2, out: "" });
      expect(ran.err).toMatch(/^deaddrop: .*empty.*nothing was sent\n$/);
    }
    expect(await boxOf(bob, relay())).toEqual([]);
  });

  it("cannot be longer than fits, and how much does is said", async () => {
    const [alice, bob] = pair();
    const args = ["send", bob.npub, "--print"];
    const long = await alice.runs(args, { input: '"'.repeat(60_000) });
    expect(long).toMatchObject({ code: 2, out: "" });
    const [, fits = ""] =
      /60,000 bytes long, of which the first ([\d,]+) fit$/m.exec(long.err) ?? [];
    const input = '"'.repeat(Number(fits.replace(",", "")));
    const printed = await alice.runs(args, { input });
    expect(printed).toMatchObject({ code: 0, err: "" });
    const opened = await bob.runs(["open", "--json"], { input: printed.out });
    expect(jsonLines(opened.out)).toMatchObject([{ content: input }]);
  });

  it("says nothing to a terminal that a stranger wants it to say", async () => {
    const [mallory, bob] = pair();
    const hostile = "safe\u001b[2J\u009b31m\u0007\r\u202egnp.exe\u2066\u200f\u061c\ttab\nline";
    await drop(mallory, bob, hostile, [relay()], {
      tags: [["subject", "Re:\u001b]0;owned\u0007\u202e"]],
    });
    const { out } = await bob.runs(["pickup"]);
    expect(out).toContain("safe");
    expect(out).toContain("\ttab\n  line");
    expect(out.replaceAll(/[\n\t]/g, "")).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);

    // A program gets what was written, by escapes that a terminal shows as they are.
    const json = await bob.runs(["pickup", "--json"]);
    expect(jsonLines(json.out)).toEqual([expect.objectContaining({ content: hostile })]);
    // eslint-disable-next-line no-control-regex
    expect(json.out.trimEnd()).not.toMatch(/[\u0000-\u001f]/);
  });

  it("cannot put lines at its head that look as if they were not its own", async () => {
    const [mallory, bob] = pair();
    await drop(mallory, bob, "text", [relay()], {
      tags: [["subject", `hello\nfrom: ${bob.npub}`]],
    });
    const { out } = await bob.runs(["pickup"]);
    expect(out.match(/^from: .*$/gm)).toEqual([`from: ${mallory.npub}`]);
  });
});

describe.concurrent("deaddrop pickup", () => {
  it("lets every relay forget what was printed, with --ack, and nothing else", async () => {
    const [alice, bob] = pair([relay(), other()]);
    await alice.runs(["send", bob.npub, "one", ...at(relay(), other())]);
    await alice.runs(["send", bob.npub, "two", ...at(other())]);
    const picked = await bob.runs(["pickup", "--ack"]);
    const told = `${relay().url}/ and ${other().url}/`;
    expect(picked).toMatchObject({
      code: 0,
      err: `deaddrop: acknowledged 2 messages at ${told}\n`,
    });
    expect(picked.out).toContain("\n  one\n");
    expect(picked.out).toContain("\n  two\n");
    expect(await boxOf(bob, relay())).toEqual([]);
    expect(await boxOf(bob, other())).toEqual([]);
  });

  it("acknowledges nothing when nobody reads what it prints", async () => {
    const [alice, bob] = pair();
    const { id } = await drop(alice, bob, "unread", [relay()]);
    expect(await bob.runs(["pickup", "--ack"], { unread: true })).toMatchObject({ code: 0 });
    expect(await boxOf(bob, relay())).toEqual([id]);
  });

  it("tells of a drop that cannot be opened, and never acknowledges it by itself", async () => {
    const [alice, bob] = pair();
    const garbage = giftWrap({ to: bob });
    await publish(relay().url, garbage);
    await drop(alice, bob, "readable", [relay()]);
    const picked = await bob.runs(["pickup", "--ack"]);
    expect(picked.code).toBe(0);
    expect(picked.out).toContain("readable");
    expect(picked.out).not.toContain(garbage.id);
    expect(picked.err).toMatch(new RegExp(`^deaddrop: message ${garbage.id} cannot be opened: `));
    expect(picked.err).toContain(`deaddrop ack ${garbage.id}`);
    expect(await boxOf(bob, relay())).toEqual([garbage.id]);

    const [line] = jsonLines((await bob.runs(["pickup", "--ack", "--json"])).out);
    expect(line).toMatchObject({ type: "unreadable", id: garbage.id, drop: garbage });
    expect(await boxOf(bob, relay())).toEqual([garbage.id]);

    expect(await bob.runs(["ack", garbage.id])).toMatchObject({ code: 0 });
    expect(await boxOf(bob, relay())).toEqual([]);
  });

  it.each([
    ["pickup --ack", ["pickup", "--ack"]],
    ["ack", ["ack"]],
  ])("leaves drops to another home with the same key for the grace: %s", async (verb, words) => {
    const [alice, bob] = pair();
    const laptop = keyholder({ relays: [relay()] }, bob);
    const { id } = await drop(alice, bob, "for both", [relay()]);
    const ids = verb === "ack" ? [id] : [];
    expect(await bob.runs([...words, ...ids, "--grace", "1h"])).toMatchObject({ code: 0 });
    expect(await bob.runs(["pickup"])).toMatchObject({ code: 0, out: "" });
    expect((await laptop.runs(["pickup", "--ack"])).out).toContain("for both");
    expect(await boxOf(bob, relay())).toEqual([]);
  });

  it("lets the relays forget what was left for the grace when that is over", async () => {
    const [alice, bob] = pair();
    await drop(alice, bob, "not for long", [relay()]);
    expect(await bob.runs(["pickup", "--ack", "--grace", "2s"])).toMatchObject({ code: 0 });
    await vi.waitFor(async () => expect(await boxOf(bob, relay())).toEqual([]), {
      timeout: 30_000,
      interval: 200,
    });
  });

  it("reads the box of the key and the relays that are named", async () => {
    const [alice, bob] = pair();
    const stranger = keyholder({ relays: [{ url: NOWHERE }] });
    await drop(alice, bob, "for the key that is named", [relay()]);
    const args = ["pickup", "--key", join(bob.home, "key"), ...at(relay())];
    const { code, out } = await stranger.runs(args);
    expect(code).toBe(0);
    expect(out).toContain("for the key that is named");
  });
});

describe.concurrent("deaddrop status", () => {
  it("tells how many drops there are, how old the oldest is, and when the next is forgotten", async () => {
    const bob = keyholder({ relays: [relay()] });
    const noon = now() - (now() % DAY_SECONDS) - DAY_SECONDS / 2;
    const expiration = String(noon + 3 * DAY_SECONDS);
    await publish(relay().url, giftWrap({ to: bob, created_at: noon - 120 }));
    await publish(relay().url, giftWrap({ to: bob, created_at: noon }));
    await publish(
      relay().url,
      giftWrap({ to: bob, created_at: noon - 60, tags: [["expiration", expiration]] }),
    );
    const box = { url: `${relay().url}/`, drops: 3, oldest: noon - 120 };
    const { code, out } = await bob.runs(["status", "--json"]);
    expect(code).toBe(0);
    expect(jsonLines(out)).toMatchObject([{ ...box, nextExpiry: noon + 3 * DAY_SECONDS }]);

    const shown = await bob.runs(["status"]);
    expect(shown).toMatchObject({ code: 0, err: "" });
    expect(shown.out).toBe(
      `${box.url} holds 3 messages, the oldest from about ${day(noon)} 11:58:00 UTC, the next one goes ${day(Number(expiration))} 12:00:00 UTC\n`,
    );
  });
});

describe.concurrent("deaddrop watch", () => {
  it("prints what is held and what comes, and ends well when it is interrupted", async () => {
    const [alice, bob] = pair();
    const { id } = await drop(alice, bob, "held", [relay()]);
    const watch = bob.starts(["watch"]);
    await watch.prints("held");
    const later = await drop(alice, bob, "came", [relay()]);
    await watch.prints("came");
    const ran = await watch.interrupt();
    expect(ran).toMatchObject({
      code: 0,
      err: `deaddrop: watching ${relay().url}/; Ctrl-C ends it\ndeaddrop: stopped; 2 messages printed\n`,
    });
    expect([...ran.out.matchAll(/^id: +(\w+)$/gm)].map(([, id]) => id)).toEqual([id, later.id]);
    expect((await boxOf(bob, relay())).toSorted()).toEqual([id, later.id].toSorted());
  });

  it("acknowledges each with --ack", async () => {
    const [alice, bob] = pair();
    await drop(alice, bob, "held", [relay()]);
    const watch = bob.starts(["watch", "--ack", "--json"]);
    await watch.prints("held");
    await drop(alice, bob, "came", [relay()]);
    await watch.prints("came");
    await vi.waitFor(async () => expect(await boxOf(bob, relay())).toEqual([]), {
      timeout: 30_000,
    });
    const ran = await watch.interrupt();
    expect(ran).toMatchObject({ code: 0, err: "deaddrop: stopped; 2 messages printed\n" });
    expect(jsonLines(ran.out).map(({ content }) => content)).toEqual(["held", "came"]);
  });

  it("goes on with a relay that comes later", async () => {
    const address = await freeAddress();
    const bob = keyholder({ relays: [relay(), { url: `ws://${address}` }] });
    const alice = keyholder();
    await drop(alice, bob, "here", [relay()]);
    const watch = bob.starts(["watch"]);
    await watch.prints("here");
    const late = await newRelay({ env: { DEADDROP_LISTEN: address } });
    await alice.runs(["send", bob.npub, "there", ...at(late)]);
    await watch.prints("there");
    expect(await watch.interrupt()).toMatchObject({ code: 0 });
  });
});

describe.concurrent("over HTTP", () => {
  it("takes what send, keys auth and ack print, and gives what open opens", async () => {
    const [alice, bob] = pair();
    const printed = await alice.runs(["send", bob.npub, TEXT, "--print"]);
    expect(printed).toMatchObject({ code: 0, err: "" });
    const { http } = relay();
    const dropped = await post(`${http}/drop`, printed.out);
    expect(dropped.ok).toBe(true);

    const url = `${http}/pickup/${bob.npub}`;
    const header = await bob.runs(["keys", "auth", url]);
    expect(header).toMatchObject({ code: 0, err: "" });
    expect(header.out).toMatch(/^Nostr [\w+/=]+\n$/);
    const box = await fetch(url, { headers: { authorization: header.out.trim() } });
    expect(box.status).toBe(200);
    const lines = await box.text();

    const opened = await bob.runs(["open", "--json"], { input: lines });
    expect(opened).toMatchObject({ code: 0, err: "" });
    const { id } = JSON.parse(printed.out) as NostrEvent;
    expect(jsonLines(opened.out)).toEqual([
      expect.objectContaining({ id, content: TEXT, from: alice.key, to: bob.key }),
    ]);
    const shown = await bob.runs(["open"], { input: lines });
    expect(shown.out).toContain(`from: ${alice.npub}\n`);
    expect(shown.out).toContain(`\n${TEXT.replace(/^/gm, "  ")}\n`);

    const acknowledgement = await bob.runs(["ack", id, "--print"]);
    expect(acknowledgement).toMatchObject({ code: 0, err: "" });
    expect(await boxOf(bob, relay())).toEqual([id]);
    expect((await post(`${http}/ack`, acknowledgement.out)).ok).toBe(true);
    expect(await boxOf(bob, relay())).toEqual([]);
  });

  it("is authorized for one method", async () => {
    const bob = keyholder();
    const url = `${relay().http}/pickup/${bob.npub}`;
    const { out } = await bob.runs(["keys", "auth", url, "--method", "head"]);
    const headers = { authorization: out.trim() };
    expect((await fetch(url, { headers })).status).toBe(401);
    expect((await fetch(url, { headers, method: "HEAD" })).status).toBe(200);
  });

  it("opens what can be opened, and says what cannot", async () => {
    const [alice, bob] = pair();
    const garbage = giftWrap({ to: bob });
    const message = { kind: 14, content: "opened", tags: [["p", bob.key]] };
    const wrap = wrapEvent(message, alice.secret, bob.key);
    const input = ["no JSON", "{}", JSON.stringify(garbage), "", JSON.stringify(wrap)].join("\n");
    const ran = await bob.runs(["open"], { input });
    expect(ran.code).toBe(3);
    expect(ran.out).toContain("opened");
    expect(ran.err).toMatch(/not JSON.*\n.*no event: id must be.*\n.*cannot be opened/);
    expect(ran.err).toContain(`${garbage.id} cannot be opened: the wrap cannot be decrypted`);
    const json = await bob.runs(["open", "--json"], { input: JSON.stringify(garbage) });
    expect(jsonLines(json.out)).toMatchObject([{ type: "unreadable", isFinal: true }]);
  });
});

describe.concurrent("progress", () => {
  it.skipIf(ptyMissing() !== undefined)("is shown on a terminal", async () => {
    const [alice, bob] = pair();
    const shown = await alice.runsOnTerminal(["send", bob.npub, "hello", ...at(relay())]);
    expect(shown.code).toBe(0);
    expect(shown.terminal).toContain("1 of 1 relays answered");
    expect(shown.stdout).toMatch(new RegExp(`^${relay().url}/ held until .*\n$`));
  });

  it("is not shown where standard error is no terminal", async () => {
    const [alice, bob] = pair();
    const sent = await alice.runs(["send", bob.npub, "hello", ...at(relay())]);
    expect(sent).toMatchObject({ code: 0, err: "" });
    expect(sent.out).not.toContain("answered");
    const picked = await bob.runs(["pickup", "--ack"]);
    expect(picked).toMatchObject({
      code: 0,
      err: `deaddrop: acknowledged 1 message at ${relay().url}/\n`,
    });
    expect(await bob.runs(["status"])).toMatchObject({ code: 0, err: "" });
  });
});
