// A client that was written from nips/DD.md, DR.md and RK.md alone, against this relay and against one that was. What it prints is all that is looked at.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname } from "node:path";

import { nip59 } from "nostr-tools";
import { bytesToHex } from "nostr-tools/utils";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { run } from "../cli/process.ts";
import { now } from "../support/client.ts";
import { person } from "../support/people.ts";
import { startRelay } from "../support/relay.ts";
import { CLIENT, clientMissing, Device, type Line, PYTHON, RELAYS } from "./reference-client.ts";

const WEEK_SECONDS = 604_800;
const DUPLICATE = { ok: true, reason: "duplicate: already have this event" };

const because = (reason: string | undefined): string =>
  reason === undefined ? "" : ` (skipped: ${reason})`;

it.skipIf(process.env["CI"] === undefined)("has what the reference client needs", () => {
  expect([clientMissing, ...RELAYS.map(({ absent }) => absent)].filter(Boolean)).toEqual([]);
});

it("quotes what the texts say", () => {
  const quoted = [...unwrapped(CLIENT).matchAll(/\b(DD|DR|RK):? [^"]*"([^"]{8,}?)"/g)];
  expect(quoted.length).toBeGreaterThan(10);
  for (const [, nip = "", words = ""] of quoted) {
    const text = unwrapped(new URL(`../../nips/${nip}.md`, import.meta.url).pathname);
    expect(text, `NIP-${nip}`).toContain(words);
  }
});

// The vectors were made by a program that neither side has seen.
const VECTORS = new URL("../../nips/vectors/receiving-keys.json", import.meta.url).pathname;
const DERIVE = `
import json, sys
from coincurve import PrivateKey
from client import receiving_key, receiving_secret
secret = PrivateKey.from_hex
for case in json.load(open(sys.argv[1])):
    if "receiving_key" in case:
        key = receiving_key(secret(case["sender_secret"]), case["recipient"], case["epoch"])
        own = receiving_secret(secret(case["recipient_secret"]), case["sender"], case["epoch"])
        print(json.dumps([case["title"], key, own.to_hex()]))
`;

it.skipIf(clientMissing !== undefined)(
  `derives the receiving keys of the vectors${because(clientMissing)}`,
  () => {
    const cases = JSON.parse(readFileSync(VECTORS, "utf8")) as Record<string, string>[];
    const wanted = cases.filter(({ receiving_key: key }) => key !== undefined);
    const env = { PATH: process.env["PATH"], PYTHONPATH: dirname(CLIENT) };
    const printed = execFileSync(PYTHON, ["-c", DERIVE, VECTORS], { env, encoding: "utf8" });
    const derived = printed.trimEnd().split("\n");
    expect(wanted.length).toBeGreaterThan(15);
    expect(derived.map((line) => JSON.parse(line) as string[])).toEqual(
      wanted.map((each) => [each["title"], each["receiving_key"], each["receiving_secret"]]),
    );
  },
);

/** A file with its line breaks taken out, and the marks of comments that go on behind them. */
function unwrapped(file: string): string {
  return readFileSync(file, "utf8").replaceAll(/\n\s*(?:# )?/g, " ");
}

for (const { name, absent, start } of RELAYS) {
  const lacking = clientMissing ?? absent;

  describe.skipIf(lacking !== undefined)(`with ${name} the client${because(lacking)}`, () => {
    const cleaning: (() => unknown)[] = [];
    let relay: string[] = [];
    beforeAll(async () => {
      const { url } = await start({}, (clean) => cleaning.push(clean));
      relay = ["--relay", url];
    });
    afterAll(async () => {
      for (const clean of cleaning.toReversed()) await clean();
    });

    const pickup = (by: Device): Promise<readonly Line[]> => by.run(["pickup", ...relay]);
    const pickupAt = (by: Device, at: number): Promise<readonly Line[]> =>
      by.run(["pickup", "--receiving", "--spread", "0", ...relay], { now: at });
    const publish = async (by: Device, wrap: object): Promise<Line> => {
      const [line = {}] = await by.run(["again", ...relay], { input: wrap });
      return { ok: line.ok ?? false, reason: line.reason ?? "" };
    };

    /** Both have told the other a base key. */
    async function acquainted(): Promise<[Device, Device]> {
      const [alice, bob] = [new Device(), new Device()];
      await alice.run(["announce", ...relay, "--to", bob.key]);
      await bob.run(["announce", ...relay, "--to", alice.key]);
      await pickup(alice);
      await pickup(bob);
      return [alice, bob];
    }

    it("sends, picks up, acknowledges with a grace, and then without", async () => {
      const [alice, bob] = [new Device(), person()];
      const [phone, laptop] = [new Device(bob), new Device(bob)];
      expect(await phone.run(["init"])).toEqual([{ pubkey: bob.key }]);
      const [sent, held] = await alice.run(["drop", ...relay, "--to", phone.key, "Grüße"]);
      expect(held).toMatchObject({ ok: true, reason: "" });
      const shown = { drop: sent?.drop, box: phone.key };
      const message = { pubkey: alice.key, kind: 14, content: "Grüße" };

      expect(await pickup(phone)).toMatchObject([{ complete: true }, { ...shown, message }]);
      const grace = await phone.run(["acknowledge", ...relay, "--grace", "3600"]);
      expect(grace).toMatchObject([{ ok: true, reason: "" }]);
      expect(await publish(alice, sent?.wrap ?? {})).toEqual(DUPLICATE);
      expect(await pickup(laptop)).toMatchObject([{ drops: 1 }, { ...shown, message }]);

      const gone = await laptop.run(["acknowledge", ...relay]);
      expect(gone).toMatchObject([{ ok: true, reason: "" }]);
      expect(await publish(alice, sent?.wrap ?? {})).toEqual(DUPLICATE);
      expect(await pickup(phone)).toMatchObject([{ drops: 0, complete: true }]);
    });

    it("gets the same answers for what comes after its acknowledgement, and is not shown it", async () => {
      const [alice, bob] = [new Device(), new Device()];
      const [acknowledged] = await alice.run(["drop", "--to", bob.key, "early"]);
      const [waiting] = await alice.run(["drop", "--to", bob.key, "held"]);
      await bob.run(["acknowledge", ...relay, acknowledged?.drop ?? ""]);

      for (const answer of [{ ok: true, reason: "" }, DUPLICATE]) {
        expect(await publish(alice, acknowledged?.wrap ?? {})).toEqual(answer);
        expect(await publish(alice, waiting?.wrap ?? {})).toEqual(answer);
      }
      expect(await pickup(bob)).toMatchObject([{ drops: 1 }, { message: { content: "held" } }]);
    });

    it("uses receiving keys once each has announced a base key, and not before", async () => {
      const [alice, bob] = [new Device(), new Device()];
      const send = ["drop", "--receiving", "--to"];
      const refused = [{ error: "receiving keys take an announcement each way" }];
      expect(await alice.run([...send, bob.key, "at once"])).toEqual(refused);
      await alice.run(["announce", ...relay, "--to", bob.key]);
      expect(await alice.run([...send, bob.key, "too early"])).toEqual(refused);

      expect(await pickup(bob)).toMatchObject([{}, { message: { kind: 19, pubkey: alice.key } }]);
      expect(await bob.run([...send, alice.key, "unannounced"])).toEqual(refused);
      await bob.run(["announce", ...relay, "--to", alice.key]);
      expect(await bob.run([...send, alice.key, "now"])).toMatchObject([{ wrap: {} }]);
      expect(await pickup(alice)).toMatchObject([{}, { message: { kind: 19, pubkey: bob.key } }]);
      expect(await alice.run([...send, bob.key, "now"])).toMatchObject([{ wrap: {} }]);
    });

    it("sends both ways over a change of week, by a key for each way and week", async () => {
      const pair = await acquainted();
      const at = now();
      const epoch = Math.floor(at / WEEK_SECONDS);
      const boxes: (string | undefined)[] = [];
      for (const [from, to] of [pair, pair.toReversed()] as [Device, Device][]) {
        const drop = ["drop", "--receiving", ...relay, "--to", to.key];
        const lastSecond = epoch * WEEK_SECONDS - 1;
        const before = await from.run([...drop, "last week"], { now: lastSecond });
        const after = await from.run([...drop, "this week"], { now: at });
        boxes.push(before[0]?.box, after[0]?.box);
      }
      expect(new Set([...boxes, ...pair.map(({ key }) => key)]).size).toBe(6);

      for (const [from, to] of [pair, pair.toReversed()] as [Device, Device][]) {
        const came = (await pickupAt(to, at)).slice(-4);
        const [last, current] = to === pair[1] ? boxes : boxes.slice(2);
        expect(came).toMatchObject([
          { epoch: epoch - 1, drops: 1, complete: true },
          { box: last, message: { pubkey: from.key, content: "last week" } },
          { epoch, drops: 1, complete: true },
          { box: current, message: { pubkey: from.key, content: "this week" } },
        ]);
        await to.run(["acknowledge", ...relay]);
        expect((await pickupAt(to, at)).every(({ drops }) => drops === 0)).toBe(true);
      }
    });

    it("does not show what a stranger sends to a receiving key, and acknowledges it", async () => {
      const [alice, bob] = await acquainted();
      const at = now();
      const toBob = ["drop", "--receiving", "--to", bob.key, "mine"];
      const [{ box = "" } = {}] = await alice.run(toBob, { now: at });
      const mallory = person();
      const rumor = nip59.createRumor(
        { kind: 14, content: "answer me", tags: [["p", bob.key]] },
        mallory.secret,
      );
      const seal = nip59.createSeal(rumor, mallory.secret, bob.key);
      expect(await publish(alice, nip59.createWrap(seal, box))).toMatchObject({ ok: true });

      const came = await pickupAt(bob, at);
      expect(came.at(-1)).toEqual({
        drop: expect.any(String),
        box,
        hidden: "not sealed by the contact of this receiving key",
      });
      expect(JSON.stringify(came)).not.toContain(mallory.key);
      await bob.run(["acknowledge", ...relay]);
      expect((await pickupAt(bob, at)).every(({ drops }) => drops === 0)).toBe(true);
    });

    it("says that a message arrived, and answers no receipt with another", async () => {
      const [alice, bob] = [new Device(), new Device()];
      const [sent] = await alice.run(["drop", ...relay, "--to", bob.key, "did it arrive?"]);
      const message = sent?.message as string;
      await pickup(bob);
      const receipt = ["receipt", "--delay", "0", ...relay, "--to"];
      const [sealed] = await bob.run([...receipt, alice.key, message]);

      const tags = [
        ["p", alice.key],
        ["e", message],
      ];
      const arrived = { kind: 18, pubkey: bob.key, tags, content: "" };
      expect((await pickup(alice))[1]).toMatchObject({ message: arrived });
      const back = await alice.run([...receipt, bob.key, sealed?.message as string]);
      expect(back).toEqual([{ error: expect.stringContaining("itself a receipt") }]);
    });
  });
}

describe.skipIf(clientMissing !== undefined)(`the client${because(clientMissing)}`, () => {
  it("goes on where a relay says that there is more", async () => {
    const { url } = await startRelay({ env: { DEADDROP_LIMITS_LIMIT: "2" } });
    const [alice, bob] = [new Device(), new Device()];
    for (let n = 0; n < 5; n++) await alice.run(["drop", "--relay", url, "--to", bob.key, `${n}`]);
    const [summary, ...came] = await bob.run(["pickup", "--relay", url]);
    expect(summary).toMatchObject({ drops: 5, complete: true });
    const contents = came.map(({ message }) => (message as { content: string }).content);
    expect(contents.toSorted()).toEqual(["0", "1", "2", "3", "4"]);
  });

  // Of NIP-44: no padding but the least, some, a lot; and what takes more than a byte.
  const contents = ["a", "x".repeat(257), "y".repeat(20_000), "Grüße\n\u0001🤝"];

  it("sends what `deaddrop open` opens", async () => {
    const [alice, bob] = [new Device(), person()];
    const env = { DEADDROP_KEY: bytesToHex(bob.secret) };
    for (const content of contents) {
      const [sent] = await alice.run(["drop", "--to", bob.key, content]);
      const { out } = await run(["open", "--json"], { env, input: JSON.stringify(sent?.wrap) });
      const isOpened = { from: alice.key, content };
      expect(JSON.parse(out)).toMatchObject(isOpened);
    }
  });

  it("opens what `deaddrop send` sends", async () => {
    const { url } = await startRelay();
    const [alice, bob] = [person(), new Device()];
    const env = { DEADDROP_KEY: bytesToHex(alice.secret) };
    for (const input of contents) await run(["send", bob.key, "-", "--relay", url], { env, input });
    const came = await bob.run(["pickup", "--relay", url]);
    const messages = came.slice(1).map(({ message }) => message as Record<string, unknown>);
    expect(new Set(messages.map(({ content }) => content))).toEqual(new Set(contents));
    expect(new Set(messages.map(({ pubkey }) => pubkey))).toEqual(new Set([alice.key]));
  });
});
