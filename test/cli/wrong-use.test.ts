// What commands say when they are used wrongly, and that no secret is in it.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { noteEncode } from "nostr-tools/nip19";
import { describe, expect, it } from "vitest";

import { sharedRelay } from "../support/relay.ts";
import { type Ran } from "./process.ts";
import { at, keyholder, NOWHERE, seat, secretsIn } from "./support.ts";

const relay = sharedRelay();

function expectNone({ out, err }: Pick<Ran, "out" | "err">, secrets: readonly string[]): void {
  for (const secret of secrets) {
    expect(out).not.toContain(secret);
    expect(err).not.toContain(secret);
  }
}

describe.concurrent("a secret", () => {
  it("stays one when the passphrase is wrong: nothing is done, and that is said", async () => {
    const { home, runs } = seat();
    const made = await runs(["keys", "new"], { env: { DEADDROP_PASSPHRASE: "right horse" } });
    expect(made).toMatchObject({ code: 0 });
    const file = join(home, "key");
    const encrypted = readFileSync(file, "utf8").trim();
    expect(encrypted).toMatch(/^ncryptsec1/);
    for (const args of [
      ["pickup", ...at(relay())],
      ["send", keyholder().npub, "hello", ...at(relay())],
      ["keys", "show", "--secret"],
      ["open"],
    ]) {
      const ran = await runs(args, { env: { DEADDROP_PASSPHRASE: "wrong staple" } });
      expect({ args, ...ran }).toMatchObject({ code: 1, out: "" });
      expect(ran.err).toMatch(/^deaddrop: .*wrong passphrase.*DEADDROP_PASSPHRASE/s);
      expectNone(ran, ["right horse", "wrong staple", encrypted]);
    }
    const right = await runs(["keys", "show"], { env: { DEADDROP_PASSPHRASE: "right horse" } });
    expect(right).toMatchObject({ code: 0, err: "" });
    expect(right.out).toContain("encrypted: yes");
  });

  it("is in nothing that is printed or kept but its own file", async () => {
    const bob = keyholder();
    const alice = seat();
    const made = await alice.runs(["keys", "new"]);
    const secrets = secretsIn(join(alice.home, "key"));
    const rans = [
      made,
      await alice.runs(["send", bob.npub, "hello", ...at({ url: NOWHERE }), "--timeout", "1s"]),
      await alice.runs(["send", bob.npub, "hello", ...at(relay()), "--json"]),
      await alice.runs(["pickup", "--json", ...at(relay())]),
      await alice.runs(["status", ...at(relay())]),
      await alice.runs(["relays", "set", relay().url, "--timeout", "1s"]),
    ];
    for (const ran of rans) expectNone(ran, secrets);
    for (const file of readdirSync(alice.home, { recursive: true, withFileTypes: true })) {
      if (!file.isFile() || file.name === "key") continue;
      const path = join(file.parentPath, file.name);
      expectNone({ out: readFileSync(path, "utf8"), err: path }, secrets);
      expect(statSync(path).mode & 0o077).toBe(0);
    }
  });

  it.each([
    ["the recipient", ["send", "<nsec>", "hello"]],
    ["a person", ["relays", "of", "<nsec>"]],
    ["a drop", ["ack", "<nsec>"]],
    ["a relay", ["relays", "set", "<nsec>"]],
    ["a relay of the recipient", ["send", "<npub>", "hello", "--relay", "<nsec>"]],
    ["a command", ["<nsec>"]],
  ])("is not repeated when it is given for %s by mistake", async (_, args) => {
    const [alice, bob] = [keyholder(), keyholder()];
    const ran = await alice.runs(
      args.map((word) => word.replace("<nsec>", alice.nsec).replace("<npub>", bob.npub)),
    );
    expect(ran).toMatchObject({ code: 2, out: "" });
    expectNone(ran, [alice.nsec]);
  });
});

describe.concurrent("wrong use", () => {
  const HEX = "ab".repeat(32);

  it.each([
    ["no action", ["keys"], /new, show, import or auth/],
    ["an unknown action of keys", ["keys", "forge"], /new, show, import or auth/],
    ["an unknown action of relays", ["relays", "forge"], /"forge".*set, publish, of/],
    ["no recipient", ["send"], /recipient is missing.*npub1/],
    [
      "a recipient that is none",
      ["send", "bob", "hello"],
      /recipient: that is no person.*npub1.*bob@example\.com/,
    ],
    [
      "a damaged npub",
      ["send", `npub1${"q".repeat(58)}`, "hello"],
      /npub has a typing error.*checksum.*copy it again/,
    ],
    ["an npub that is cut short", ["send", "npub1qqqqqq", "hello"], /npub is cut short/],
    ["a message for a person", ["relays", "of", noteEncode(HEX)], /note1… names a message/],
    [
      "a secret key for a person",
      ["send", "nsec1qqqqqq", "hello"],
      /SECRET key.*nothing was sent.*make a new key/,
    ],
    ["no person", ["relays", "of"], /person is missing.*npub1/],
    ["no relays to set", ["relays", "set"], /which relays\?.*URLs/],
    ["no time", ["send", HEX, "hello", "--expires", "soon"], /--expires takes.*7d.*"soon"/],
    ["a time of nothing", ["send", HEX, "hello", "--expires", "0"], /--expires takes.*7d.*"0"/],
    [
      "a time without a unit",
      ["send", HEX, "hello", "--expires", "30"],
      /--expires 30 has no unit: write 30s, 30m, 30h or 30d/,
    ],
    ["a grace without a unit", ["pickup", "--ack", "--grace", "12"], /--grace 12 has no unit.*12h/],
    ["patience without a unit", ["status", "--timeout", "10"], /--timeout 10 has no unit.*10s/],
    [
      "a limit of no time",
      ["conformance", NOWHERE, "--timeout", "soon"],
      /time limit is.*30 or 2m/,
    ],
    ["a limit with a unit", ["conformance", NOWHERE, "--timeout", "2m"], /no relay answers/],
    ["no grace", ["pickup", "--ack", "--grace", "-1h"], /--grace/],
    ["no patience", ["status", "--timeout", "10 s"], /--timeout takes.*90s.*"10 s"/],
    ["no number", ["send", HEX, "hello", "--quorum", "most"], /--quorum takes.*at least 1.*"most"/],
    ["a quorum of none", ["send", HEX, "hello", "--quorum", "0"], /--quorum takes.*at least 1/],
    [
      "a quorum that is more than the relays",
      ["send", HEX, "hello", "--quorum", "2", "--relay", NOWHERE],
      /quorum of 2 .* 1 relay\n/,
    ],
    ["no relay URL", ["send", HEX, "hello", "--relay", "drop.example.com"], /wss:\/\/drop/],
    ["another URL", ["relays", "set", "https://drop.example.com"], /wss:\/\/drop/],
    ["a discovery relay that is none", ["relays", "of", HEX, "--discovery", "x"], /wss:\/\/drop/],
    ["no ids", ["ack"], /which messages\?.*ids/],
    ["a malformed id", ["ack", "5d02"], /64 hex digits.*pickup/],
    ["one malformed id of two", ["ack", HEX, HEX.slice(1)], /64 hex digits.*pickup/],
    ["no URL", ["keys", "auth"], /which URL\?.*https:\/\//s],
    ["a URL of a relay", ["keys", "auth", "wss://drop.example.com"], /which URL\?.*https:\/\//s],
    ["an option of another command", ["pickup", "--quorum", "1"], /pickup has no option --quorum/],
    ["an option of no command", ["pickup", "--fast"], /--fast.*deaddrop help/],
    [
      "an option without its value",
      ["send", HEX, "hello", "--relay"],
      /--relay needs a value.*help/,
    ],
    ["an option as a value", ["send", HEX, "hello", "--relay", "--json"], /--relay needs a value/],
    ["a value that is not wanted", ["status", "--json=yes"], /--json takes no value.*help/],
    ["a text that begins with -", ["send", HEX, "-- hello"], /no option .*stand after "--"/s],
    ["another command's option", ["relays", "--secret"], /relays has no option --secret/],
    ["another action's option", ["keys", "new", "--secret"], /--secret is for keys show/],
    ["a method for a key", ["keys", "import", "--method", "POST"], /--method is for keys auth/],
    [
      "no passphrase for a header",
      ["keys", "auth", "--no-passphrase"],
      /--no-passphrase is for keys new and keys import/,
    ],
  ])("exits with 2 and says what to do: %s", async (_, args, message) => {
    const { runs } = keyholder();
    const ran = await runs(args);
    expect(ran).toMatchObject({ code: 2, out: "" });
    // The error stands last, where it is seen.
    expect(ran.err).toMatch(/^deaddrop: .*\n( {2}.*\n)?$/);
    expect(ran.err).toMatch(message);
  });

  it.each([
    [["pickup"]],
    [["watch"]],
    [["status"]],
    [["relays"]],
    [["relays", "publish"]],
    [["ack", HEX]],
  ])("exits with 2 where there are no relays yet, and says how to set them: %j", async (args) => {
    const ran = await keyholder().runs(args);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toMatch(/^deaddrop: no relays .*deaddrop relays set wss:/s);
  });

  it.each([[["pickup"]], [["send", HEX, "hello"]], [["status"]], [["keys", "show"]], [["open"]]])(
    "exits with 1 where there is no key yet, and says how to make one: %j",
    async (args) => {
      const ran = await seat().runs(args);
      expect(ran).toMatchObject({ code: 1, out: "" });
      expect(ran.err).toMatch(/^deaddrop: there is no key .*deaddrop keys new/s);
    },
  );

  it("does not pass over a message in silence that is given to --retry", async () => {
    const ran = await keyholder().runs(["send", HEX, "hello", "--retry"]);
    expect(ran).toMatchObject({ code: 2, out: "" });
    expect(ran.err).toContain("--retry");
  });
});
