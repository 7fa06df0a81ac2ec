// Whoever types a message does not do so for nothing, and does not lose it.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { ptyMissing } from "./process.ts";
import {
  at,
  directory,
  folderOf,
  jsonLines,
  type Keyholder,
  keyholder,
  newRelay,
  silent,
} from "./support.ts";

const TEXT = "Under the third bench.\n\nBring the letter. Д 三";
const KEPT = /^deaddrop: your text is kept in (\S+)\r?\n {2}send it again: (.*)\r?\n/m;
// As many bits as are mined at most, which takes minutes.
const COSTLY = { DEADDROP_PROOF_OF_WORK: "24" };
const isOnTerminal = ptyMissing() === undefined;

const relay = sharedRelay();

/** The texts that are kept for somebody. */
function textsOf(author: Keyholder): string[] {
  if (!existsSync(folderOf(author))) return [];
  return readdirSync(folderOf(author)).filter((name) => name.endsWith(".txt"));
}

describe.concurrent("deaddrop send", () => {
  it.skipIf(!isOnTerminal).each([
    ["nobody knows where the recipient receives", []],
    ["the quorum is more than the relays", ["--quorum", "2", "--relay", "ws://127.0.0.1:1"]],
  ])("asks nobody for a text when %s", async (_, options) => {
    const { url: discovery } = await directory();
    const alice = keyholder({ discovery });
    const ran = await alice.runsOnTerminal(["send", person().key, ...options]);
    expect(ran.code).toBeGreaterThan(0);
    expect(ran.terminal).toContain("deaddrop: ");
    expect(ran.terminal).not.toContain("Write your message");
  });

  it("keeps a text that no relay will ever take, and forgets it when it was sent after all, as it says", async () => {
    const ordinary = await directory();
    const [alice, bob] = [keyholder(), keyholder({ relays: [relay()] })];
    const send = ["send", bob.npub, "-"];
    const failed = await alice.runs([...send, ...at(ordinary)], { input: `${TEXT}\n` });
    expect(failed).toMatchObject({ code: 1, out: expect.stringContaining("refused") as string });
    const [, file = "", command] = KEPT.exec(failed.err) ?? [];
    expect(command).toBe(`deaddrop ${send.join(" ")} < ${file}`);
    // The error stands last.
    expect(failed.err).toMatch(/\ndeaddrop: 0 of 1 relays hold the message.*\n.*\n$/);
    expect(file).toBe(join(folderOf(alice), textsOf(alice)[0] ?? ""));
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const input = readFileSync(file, "utf8");
    expect(await alice.runs([...send, ...at(relay())], { input })).toMatchObject({
      code: 0,
      err: "",
    });
    const [picked] = jsonLines((await bob.runs(["pickup", "--json"])).out);
    expect(picked).toMatchObject({ content: TEXT });
    expect(textsOf(alice)).toEqual([]);
  });

  it.each([
    ["too long", 60_000, "60,000 bytes long, of which the first"],
    ["too long to be read", 1024 * 1024 + 1, "more than 1,048,576 bytes long, of which less than"],
  ])("says how long a text is that is %s, and how long it may be", async (_, length, said) => {
    const alice = keyholder();
    const send = ["send", person().key, ...at(relay())];
    const { code, err } = await alice.runs(send, { input: "a".repeat(length) });
    expect(code).toBe(2);
    expect(err).toMatch(new RegExp(`deaddrop: the text is ${said} \\d\\d,\\d\\d\\d fit\\n$`));
    const [, file] = KEPT.exec(err) ?? [];
    // What is not read to its end is not a text that somebody typed.
    const kept = file === undefined ? undefined : readFileSync(file, "utf8");
    expect(kept).toBe(length > 1024 * 1024 ? undefined : `${"a".repeat(length)}\n`);
  });

  it("keeps no text that stands on the command line", async () => {
    const alice = keyholder();
    const { code, err } = await alice.runs(["send", person().key, TEXT, ...at(await directory())]);
    expect(code).toBe(1);
    expect(err).not.toMatch(KEPT);
    expect(textsOf(alice)).toEqual([]);
  });

  it("keeps the text when the message cannot be kept on disk, and shows it when the text cannot either", async () => {
    const [alice, carol] = [keyholder(), keyholder()];
    // Files where the folders would be.
    mkdirSync(folderOf(alice), { mode: 0o700 });
    writeFileSync(join(folderOf(alice), "unsent"), "");
    writeFileSync(folderOf(carol), "");
    const send = ["send", person().key, ...at(relay())];
    const [kept, shown] = [
      await alice.runs(send, { input: TEXT }),
      await carol.runs(send, { input: TEXT }),
    ];
    expect(kept).toMatchObject({ code: 1, out: "" });
    const [, file = ""] = KEPT.exec(kept.err) ?? [];
    expect(readFileSync(file, "utf8")).toBe(`${TEXT}\n`);
    expect(shown).toMatchObject({ code: 1, out: "" });
    expect(shown.err).toContain(`; here it is:\n${TEXT}\ndeaddrop: `);
  });

  it.skipIf(!isOnTerminal)(
    "keeps the text when it is interrupted before there is a message",
    async () => {
      const costly = await newRelay({ env: COSTLY });
      const alice = keyholder();
      const ran = await alice.runsOnTerminal(
        ["send", person().key, ...at(costly)],
        [
          { see: "Write your message", type: "dear bob\n\u0004" },
          { see: " tried", type: "\u0003" },
        ],
      );
      expect(ran).toMatchObject({ code: 130, missing: null });
      const [, file = ""] = KEPT.exec(ran.terminal.replaceAll("\u001b[K", "\n")) ?? [];
      expect(readFileSync(file, "utf8")).toBe("dear bob\n");
      expect(ran.terminal).toMatch(/deaddrop: interrupted; the message was not sent\r\n$/);
    },
  );

  it.skipIf(!isOnTerminal)(
    "keeps the message when it is interrupted while relays are asked",
    async () => {
      const alice = keyholder();
      const ran = await alice.runsOnTerminal(
        ["send", person().key, ...at(await silent())],
        [
          { see: "Write your message", type: "dear bob\n\u0004" },
          { see: "0 of 1 relays answered", type: "\u0003" },
        ],
      );
      expect(ran).toMatchObject({ code: 130, missing: null });
      expect(ran.terminal).toMatch(/deaddrop: interrupted; the message is kept, .*--retry"\r\n$/);
      expect(textsOf(alice)).toEqual([]);
      expect(readdirSync(join(folderOf(alice), "unsent"))).toHaveLength(1);
    },
  );
});
