// What leaves a store as JSON lines, and comes into one.

import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { npubEncode } from "nostr-tools/nip19";
import { describe, expect, it } from "vitest";

import { writeEvent } from "../../src/nostr/event.ts";
import { appears } from "../support/appears.ts";
import { Client, now } from "../support/client.ts";
import { ShiftedClock } from "../support/clock.ts";
import {
  acknowledgement,
  deletion,
  directMessage,
  ephemeralWrap,
  giftWrap,
  signed,
} from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { temporaryFolder } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";
import { atEnd, type Circumstances, type Ran, run, start } from "./process.ts";
import { boxOf, jsonLines, newRelay } from "./support.ts";

const DAY = 24 * 60 * 60;

const at = (data: string, more: Circumstances = {}): Circumstances => ({
  ...more,
  env: { DEADDROP_DATA: data, ...more.env },
});
const newFolder = (): string => join(temporaryFolder(atEnd), "data");
const newFile = (): string => join(temporaryFolder(atEnd), "drops.jsonl");
const linesOf = (...events: readonly NostrEvent[]): string =>
  events.map((event) => `${writeEvent(event).json}\n`).join("");
const idsIn = (lines: string): unknown[] => jsonLines(lines).map(({ id }) => id);
const idsOf = (events: readonly NostrEvent[]): string[] => events.map(({ id }) => id);

/** Many drops for somebody, by one who signs quickly. */
function many(to: Person, count: number): NostrEvent[] {
  const from = person();
  return Array.from({ length: count }, (_, n) =>
    finalizeEvent(
      { kind: 1059, created_at: now(), tags: [["p", to.key]], content: `ciphertext ${n}` },
      from.secret,
    ),
  );
}

/** A relay with what is in these boxes, and with what Bob has acknowledged. */
async function filled(drops: readonly NostrEvent[], bob: Person, gone: readonly NostrEvent[]) {
  const relay = await newRelay();
  const client = await Client.connect(relay.url, {}, atEnd);
  for (const drop of drops) await client.publish(drop);
  await client.publish(acknowledgement(bob, gone));
  return { relay, client };
}

function importing(data: string, input: string, ...more: string[]): Promise<Ran> {
  return run(["import", ...more], at(data, { input }));
}

/** A store that a relay serves: what it holds for somebody. */
async function servedTo(owner: Person, data: string): Promise<Set<string>> {
  const relay = await newRelay({ data });
  const ids = await boxOf(owner, relay);
  await relay.stop();
  return new Set(ids);
}

describe("deaddrop export", () => {
  it("writes what is held, a line each as it came, while the relay runs and after it", async () => {
    const [alice, bob] = [person(), person()];
    const [first, gone, second, third] = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      directMessage({ from: bob, to: alice }),
      giftWrap({ to: bob, created_at: now() - 1_000 }),
    ];
    const { relay } = await filled([first, gone, second, third], bob, [gone]);
    const whole = await run(["export"], at(relay.data));
    expect(whole).toEqual({
      code: 0,
      out: linesOf(first, second, third),
      err: "3 drops exported; what comes later: --after 4\n",
    });
    const ofAlice = await run(["export", "--recipient", npubEncode(alice.key)], at(relay.data));
    expect(idsIn(ofAlice.out)).toEqual([second.id]);
    await relay.stop();
    expect(await run(["export"], at(relay.data))).toEqual(whole);
    // What was settled meanwhile is what it was.
    await (await newRelay({ data: relay.data })).stop();
    expect(await run(["export"], at(relay.data))).toEqual(whole);
  });

  it("goes on after the number with which the last one ended", async () => {
    const bob = person();
    const [first, second, third] = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
    ];
    const { relay, client } = await filled([first, second], bob, []);
    const [, after = ""] =
      /--after (\d+)\n$/.exec((await run(["export"], at(relay.data))).err) ?? [];
    await client.publish(third);
    const { out } = await run(["export", "--after", after], at(relay.data));
    expect(idsIn(out)).toEqual([third.id]);
  });

  it("leaves out what is past", async () => {
    const bob = person();
    const soon = giftWrap({ to: bob, tags: [["expiration", String(now() + DAY)]] });
    const later = giftWrap({ to: bob });
    const { relay } = await filled([soon, later], bob, []);
    const nextDay = new ShiftedClock(DAY, atEnd);
    const exported = await run(["export"], at(relay.data, { env: nextDay.env }));
    expect(idsIn(exported.out)).toEqual([later.id]);
  });

  it("writes a file for its owner alone, and none over another", async () => {
    const bob = person();
    const { relay } = await filled([giftWrap({ to: bob })], bob, []);
    const file = newFile();
    expect(await run(["export", file], at(relay.data))).toEqual({
      code: 0,
      out: `1 drop exported to ${file}; what comes later: --after 1\n`,
      err: "",
    });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(existsSync(`${file}.cursor`)).toBe(false);
    const before = readFileSync(file);
    expect(await run(["export", file], at(relay.data))).toEqual({
      code: 1,
      out: "",
      err: `deaddrop: ${file} exists\n  name another file, or go on with one that broke off: --resume\n`,
    });
    expect(readFileSync(file)).toEqual(before);
  });

  it("goes on where one broke off, whatever it had written", async () => {
    const bob = person();
    const drops = many(bob, 450);
    const data = newFolder();
    expect(await importing(data, linesOf(...drops))).toMatchObject({ code: 0 });
    const whole = newFile();
    await run(["export", whole], at(data));
    const text = readFileSync(whole, "utf8");
    const file = newFile();
    // Cut off in the middle of a line, of which nothing was known to be on disk but the first ten.
    const ten = linesOf(...drops.slice(0, 10));
    writeFileSync(file, text.slice(0, ten.length + 700));
    writeFileSync(`${file}.cursor`, JSON.stringify({ after: 10, bytes: ten.length }));
    expect(await run(["export", file, "--resume"], at(data))).toMatchObject({ code: 0, err: "" });
    expect(readFileSync(file, "utf8")).toBe(text);
    expect(existsSync(`${file}.cursor`)).toBe(false);
    expect(await run(["export", file, "--resume"], at(data))).toEqual({
      code: 1,
      out: "",
      err: `deaddrop: cannot export to ${file}: ${file}.cursor is missing\n`,
    });
    writeFileSync(`${file}.cursor`, JSON.stringify({ after: 10, bytes: 10 ** 9 }));
    const short = await run(["export", file, "--resume"], at(data));
    expect(short.err).toBe(`deaddrop: cannot export to ${file}: ${file} was cut short\n`);
    writeFileSync(`${file}.cursor`, "{");
    const damaged = await run(["export", file, "--resume"], at(data));
    expect(damaged.err).toBe(`deaddrop: cannot export to ${file}: ${file}.cursor is damaged\n`);
  });

  it("that is interrupted says how to go on, and then is whole", async () => {
    const bob = person();
    const drops = many(bob, 3_000);
    const data = newFolder();
    await importing(data, linesOf(...drops));
    const file = newFile();
    const running = start(["export", file], at(data));
    await appears(`${file}.cursor`);
    const ended = await running.interrupt();
    // It may have been faster.
    const isCut = ended.code === 130;
    expect(ended.err).toBe(isCut ? "deaddrop: interrupted; to go on: --resume\n" : "");
    const whole = isCut ? await run(["export", file, "--resume"], at(data)) : ended;
    expect(whole).toMatchObject({ code: 0, err: "" });
    expect(idsIn(readFileSync(file, "utf8"))).toEqual(idsOf(drops));
  });

  it.each<[string, string[], string]>([
    ["no number", ["export", "--after", "x"], "--after takes the number"],
    ["nothing to resume", ["export", "--resume"], "--resume needs the file"],
    ["two wishes", ["export", "f", "--resume", "--after", "3"], "--resume takes no --after"],
    ["no key", ["export", "--recipient", "bob"], "--recipient: that is no person"],
    ["an address", ["export", "--recipient", "bob@example.com"], "--recipient takes npub1…"],
  ])("is wrong use with %s", async (_, args, why) => {
    const ran = await run(args, at(newFolder()));
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toContain(why);
  });

  it("says so where there is no store", async () => {
    const ran = await run(["export"], at(newFolder()));
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(
      /^deaddrop: nothing was exported from the store in \S+: there is no store in /,
    );
  });
});

describe("deaddrop import", () => {
  it("takes what another store exported, serves it, and takes it once", async () => {
    const [alice, bob] = [person(), person()];
    const drops = [
      giftWrap({ to: bob }),
      directMessage({ from: alice, to: bob }),
      giftWrap({ to: bob }),
    ];
    const { relay } = await filled(drops, bob, []);
    const file = newFile();
    await run(["export", file], at(relay.data));
    const data = newFolder();
    expect(await run(["import", file], at(data))).toEqual({
      code: 0,
      out: "3 stored, 0 known, 0 refused.\n",
      err: "",
    });
    expect(await servedTo(bob, data)).toEqual(new Set(idsOf(drops)));
    expect((await run(["import", file], at(data))).out).toBe("0 stored, 3 known, 0 refused.\n");
    expect(await servedTo(bob, data)).toEqual(new Set(idsOf(drops)));
  });

  it("counts what it refuses, says why, and takes the rest", async () => {
    const bob = person();
    const [good, other] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const forged = { ...giftWrap({ to: bob }), content: "another" };
    const { sig } = giftWrap({ to: bob });
    const lines = [
      JSON.stringify(good),
      JSON.stringify(forged),
      JSON.stringify({ ...giftWrap({ to: bob }), sig }),
      JSON.stringify(signed(bob, { kind: 1 })),
      JSON.stringify(signed(bob, { kind: 7 })),
      JSON.stringify(giftWrap({ to: bob, created_at: now() - 90 * 86_400 })),
      JSON.stringify(giftWrap({ to: bob, tags: [["p", bob.key]] })),
      JSON.stringify(ephemeralWrap({ to: bob })),
      "",
      "{",
      "null",
      '["EVENT",{}]',
      `{"content":"${"x".repeat(300_000)}"}`,
      // Windows, and a last line without an end.
      `${JSON.stringify(other)}\r`,
      JSON.stringify(giftWrap({ to: bob })).slice(0, 200),
    ];
    const data = newFolder();
    const ran = await importing(data, lines.join("\n"), "--json");
    expect(ran).toMatchObject({ code: 3, err: "" });
    expect(JSON.parse(ran.out)).toEqual({
      stored: 2,
      known: 0,
      carriedOut: 0,
      refused: 12,
      reasons: {
        "invalid: not JSON": 2,
        "invalid: an event is a JSON object": 2,
        "blocked: its kind is not held here, only encrypted messages are": 2,
        "invalid: id is not the hash of the event": 1,
        "invalid: signature is wrong": 1,
        "invalid: expired": 1,
        "invalid: a drop has exactly one p tag": 1,
        "blocked: ephemeral events are passed on, never held": 1,
        "invalid: a line is longer than a message may be": 1,
      },
    });
    expect(await servedTo(bob, data)).toEqual(new Set([good.id, other.id]));
    const again = await importing(data, lines.join("\n"));
    expect(again.out.split("\n").slice(0, 2)).toEqual([
      "0 stored, 2 known, 12 refused.",
      "  2  blocked: its kind is not held here, only encrypted messages are",
    ]);
  });

  it("takes lines as strfry writes them: keys in the order of the alphabet, and one of its own", async () => {
    const bob = person();
    const drop = giftWrap({ to: bob });
    const { content, created_at, id, kind, pubkey, sig, tags } = drop;
    const sorted = { content, created_at, id, kind, pubkey, sig, tags };
    const data = newFolder();
    const lines = [sorted, { ...sorted, fried: "00ff" }].map((line) => JSON.stringify(line));
    const ran = await importing(data, lines.join("\n"));
    expect(ran).toMatchObject({ code: 0, err: "" });
    // Both came before one was committed.
    expect(ran.out).toBe("1 stored, 1 known, 0 refused.\n");
    expect((await run(["export"], at(data))).out).toBe(linesOf(drop));
  });

  it("does not bring back what was acknowledged there, before or in the same file", async () => {
    const bob = person();
    const [before, within, early, held] = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
    ];
    const { relay } = await filled([before], bob, [before]);
    await relay.stop();
    const file = linesOf(
      before,
      acknowledgement(bob, [early]),
      within,
      early,
      held,
      deletion(bob, [within]),
    );
    const ran = await importing(relay.data, file);
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toBe("3 stored, 1 known, 0 refused.\n2 acknowledgements carried out.\n");
    expect(await servedTo(bob, relay.data)).toEqual(new Set([held.id]));
  });

  it("takes no more into a box than it may hold", async () => {
    const [alice, bob] = [person(), person()];
    const drops = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: alice }),
    ];
    const data = newFolder();
    const env = { DEADDROP_LIMITS_BOX_DROPS: "2" };
    const ran = await run(["import"], at(data, { env, input: linesOf(...drops) }));
    expect(ran).toMatchObject({ code: 3, err: "" });
    expect(ran.out).toBe("3 stored, 0 known, 1 refused.\n  1  rate-limited: mailbox full\n");
  });

  it("that is interrupted says how to go on, and ends with all of it", async () => {
    const bob = person();
    const drops = many(bob, 4_000);
    const [data, file] = [temporaryFolder(atEnd), newFile()];
    writeFileSync(file, linesOf(...drops));
    const cursor = join(data, "import.json");
    const env = { DEADDROP_LIMITS_BOX_DROPS: "9999" };
    const running = start(["import", file], at(data, { env }));
    await appears(cursor);
    const ended = await running.interrupt();
    // It may have been faster.
    const isCut = ended.code === 130;
    expect(ended.err).toBe(
      isCut ? "deaddrop: interrupted; to go on: the same with --resume\n" : "",
    );
    const { bytes } = jsonLines(isCut ? readFileSync(cursor, "utf8") : '{"bytes":0}')[0]!;
    const left =
      linesOf(...drops)
        .slice(Number(bytes))
        .split("\n").length - 1;
    const whole = isCut ? await run(["import", file, "--resume"], at(data, { env })) : ended;
    expect(whole).toEqual({ code: 0, out: `${left} stored, 0 known, 0 refused.\n`, err: "" });
    expect(existsSync(cursor)).toBe(false);
    expect((await run(["import", file], at(data, { env }))).out).toBe(
      "0 stored, 4000 known, 0 refused.\n",
    );
  });

  it.each<[string, (file: string, data: string) => void, RegExp]>([
    ["none broke off", () => {}, /nothing to go on with: no import broke off there\n/],
    [
      "it was another file",
      (_, data) => writeFileSync(join(data, "import.json"), '{"file":"/other","bytes":1}'),
      /what broke off was the import of \/other\n/,
    ],
    [
      "the file is shorter",
      (file, data) => {
        writeFileSync(join(data, "import.json"), JSON.stringify({ file, bytes: 100 }));
        truncateSync(file, 10);
      },
      /is shorter than it was\n/,
    ],
    [
      "what is known of it is damaged",
      (_, data) => writeFileSync(join(data, "import.json"), "{"),
      /import\.json is damaged; remove it and start again\n/,
    ],
  ])("has nothing to go on with where %s", async (_, prepare, why) => {
    const [data, file] = [temporaryFolder(atEnd), newFile()];
    writeFileSync(file, linesOf(giftWrap({ to: person() })));
    prepare(file, data);
    const ran = await run(["import", file, "--resume"], at(data));
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(why);
  });

  it("leaves a store alone that a relay has open", async () => {
    const relay = await newRelay();
    const ran = await importing(relay.data, linesOf(giftWrap({ to: person() })));
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toMatch(/nothing was imported into \S+: \S+ is in use by another relay\n$/);
  });
});
