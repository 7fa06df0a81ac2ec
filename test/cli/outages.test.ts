// What commands say and do where relays are down, silent, full or refuse.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { NostrEvent } from "nostr-tools";
import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it, vi } from "vitest";

import { now } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { type RelayProcess, sharedRelay } from "../support/relay.ts";
import {
  at,
  boxOf,
  BRIEFLY,
  connect,
  directory,
  drop,
  folderOf,
  freeAddress,
  jsonLines,
  type Keyholder,
  keyholder,
  newRelay,
  PATIENTLY,
  type Place,
  restarted,
  silent,
} from "./support.ts";

const PROOF_OF_WORK_BITS = 12;

const relay = sharedRelay();

/** Where a relay may be later, and what brings it there. */
async function absent(): Promise<Place & { comes(): Promise<RelayProcess> }> {
  const address = await freeAddress();
  return {
    url: `ws://${address}`,
    comes: () => newRelay({ env: { DEADDROP_LISTEN: address } }),
  };
}

/** Puts somebody's list of relays where others look it up. */
function receivesAt(
  { secret, key }: Keyholder,
  lists: Map<string, NostrEvent>,
  ...relays: readonly Place[]
): void {
  const tags = relays.map(({ url }) => ["relay", url]);
  lists.set(key, finalizeEvent({ kind: 10_050, created_at: now(), tags, content: "" }, secret));
}

function leadingZeroBits(id: string): number {
  const bits = BigInt(`0x${id}`).toString(2).length;
  return id.length * 4 - bits;
}

describe.concurrent("when one of two relays is down", () => {
  it("pickup prints what the other holds, names it, and exits with 3", async () => {
    const gone = await absent();
    const [alice, bob] = [keyholder(), keyholder({ relays: [relay(), gone] })];
    await drop(alice, bob, "hello", [relay()]);
    const [picked, json] = await Promise.all([
      bob.runs(["pickup", ...PATIENTLY]),
      bob.runs(["pickup", "--json", ...PATIENTLY]),
    ]);
    expect(picked.code).toBe(3);
    expect(picked.out).toContain("hello");
    expect(picked.err).toBe(`deaddrop: ${gone.url}/ could not be read: nothing listens there\n`);
    expect(json).toMatchObject({ code: 3, err: picked.err });
    expect(jsonLines(json.out)).toEqual([expect.objectContaining({ content: "hello" })]);
  });

  it("status says what the other holds, names it, and exits with 3", async () => {
    const gone = await absent();
    const bob = keyholder({ relays: [relay(), gone] });
    await drop(person(), bob, "held", [relay()]);
    const [ran, json] = await Promise.all([
      bob.runs(["status", ...PATIENTLY]),
      bob.runs(["status", "--json", ...PATIENTLY]),
    ]);
    expect(ran.code).toBe(3);
    expect(ran.out).toMatch(new RegExp(`^${relay().url}/ holds 1 message, `, "m"));
    expect(ran.out).toMatch(
      new RegExp(`^${gone.url}/ could not be read: nothing listens there$`, "m"),
    );
    expect(json.code).toBe(3);
    expect(jsonLines(json.out)).toMatchObject([
      { url: `${relay().url}/`, state: "complete", drops: 1 },
      { url: `${gone.url}/`, state: "failed" },
    ]);
  });

  it.each([
    ["ack", ["status"]],
    ["pickup --ack", ["pickup"]],
    ["ack", ["ack", "ab".repeat(32)]],
  ])("%s exits with 3, and tells it later, by %j", async (line, later) => {
    const moody = await newRelay();
    const [alice, bob] = [keyholder(), keyholder({ relays: [relay(), moody] })];
    const { id } = await drop(alice, bob, "hello", [relay(), moody]);
    await moody.stop();

    const words = line === "ack" ? ["ack", id] : line.split(" ");
    const told = await bob.runs([...words, ...PATIENTLY]);
    expect(told.code).toBe(3);
    expect(told.err).toContain(
      `deaddrop: ${moody.url}/ could not be told: nothing listens there\n`,
    );
    expect(await boxOf(bob, relay())).toEqual([]);
    const down = await bob.runs(["status", ...PATIENTLY]);
    expect(down.code).toBe(3);
    expect(down.err).toMatch(/1 acknowledgement could not be told/);

    const back = await restarted(moody);
    expect(await boxOf(bob, back)).toEqual([id]);
    const ran = await bob.runs([...later]);
    // What was acknowledged is not handed out again, even where it still lies.
    const empty = `deaddrop: no new messages at ${relay().url}/ and ${moody.url}/\n`;
    expect(ran).toMatchObject({ code: 0, err: later[0] === "pickup" ? empty : "" });
    expect(ran.out).not.toContain("hello");
    await vi.waitFor(async () => expect(await boxOf(bob, back)).toEqual([]));
    expect(await bob.runs(["status"])).toEqual({
      code: 0,
      out: `${relay().url}/ holds nothing for you\n${moody.url}/ holds nothing for you\n`,
      err: "",
    });
  });
});

describe.concurrent("no relay", () => {
  it("takes a message: send exits with 1, and says what to do", async () => {
    const { url: discovery, lists } = await directory();
    const [one, two] = [await absent(), await absent()];
    const [alice, bob] = [keyholder({ discovery, relays: [one, two] }), keyholder({ discovery })];
    receivesAt(bob, lists, one, two);
    const ran = await alice.runs(["send", bob.npub, "hello", ...PATIENTLY]);
    expect(ran.code).toBe(1);
    for (const { url } of [one, two]) {
      expect(ran.out).toMatch(new RegExp(`^${url}/ unreachable: nothing listens there$`, "m"));
    }
    expect(ran.err).toBe(
      'deaddrop: 0 of 2 relays hold the message, 2 are wanted\n  go on with "deaddrop send --retry"\n',
    );
  });

  it.each([["pickup"], ["pickup --ack"], ["status"], ["ack"]])(
    "is there: %s exits with 1 and names them",
    async (line) => {
      const [one, two] = [await absent(), await absent()];
      const bob = keyholder({ relays: [one, two] });
      const words = line === "ack" ? ["ack", "ab".repeat(32)] : line.split(" ");
      const { code, out, err } = await bob.runs([...words, ...BRIEFLY]);
      expect(code).toBe(1);
      for (const { url } of [one, two]) {
        expect(out + err).toMatch(new RegExp(`\\b${url}/ .*: nothing listens there\\n`));
      }
    },
  );

  it("answers: what is said is said after the time that was given", async () => {
    const mute = await silent();
    const bob = keyholder({ relays: [mute], discovery: mute.url });
    const commands = [
      ["pickup"],
      ["status"],
      ["send", bob.npub, "hello", ...at(mute)],
      ["send", bob.npub, "hello"],
      ["relays", "of", bob.npub],
    ];
    const rans = await Promise.all(commands.map((args) => bob.runs([...args, ...BRIEFLY])));
    for (const [index, ran] of rans.entries()) {
      expect({ args: commands[index], ...ran }).toMatchObject({ code: 1 });
      expect(ran.err + ran.out).not.toBe("");
    }
  });
});

describe.concurrent("a relay", () => {
  it("whose box is full refuses, and send exits with 1 and its reason", async () => {
    const small = await newRelay({ env: { DEADDROP_LIMITS_BOX_DROPS: "1" } });
    const [alice, bob] = [keyholder(), keyholder()];
    expect(await alice.runs(["send", bob.npub, "one", ...at(small)])).toMatchObject({ code: 0 });
    const client = await connect(small.url);
    const [, , , reason] = await client.publish(giftWrap({ to: bob }));
    expect(reason).toMatch(/full/);

    const ran = await alice.runs(["send", bob.npub, "two", ...at(small)]);
    expect(ran).toMatchObject({ code: 1, out: `${small.url}/ refused: ${String(reason)}\n` });
    expect(ran.err).toContain("0 of 1 relays hold the message");
    const json = await alice.runs(["send", bob.npub, "three", ...at(small), "--json"]);
    expect(json.code).toBe(1);
    expect(jsonLines(json.out)).toEqual([
      {
        message: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        delivered: false,
        quorum: 1,
        relays: [{ url: `${small.url}/`, state: "refused", reason, heldUntil: null }],
      },
    ]);
  });

  it("that asks for proof of work gets it", async () => {
    const env = { DEADDROP_PROOF_OF_WORK: String(PROOF_OF_WORK_BITS) };
    const costly = await newRelay({ env });
    const [alice, bob] = [keyholder(), keyholder()];
    expect(await alice.runs(["send", bob.npub, "mined", ...at(costly)])).toMatchObject({
      code: 0,
      err: "",
    });
    const [id = ""] = await boxOf(bob, costly);
    expect(leadingZeroBits(id)).toBeGreaterThanOrEqual(PROOF_OF_WORK_BITS);
  });

  it("that takes no acknowledgements is named", async () => {
    const { url } = await directory();
    const bob = keyholder({ relays: [{ url }] });
    const { code, out, err } = await bob.runs(["ack", "ab".repeat(32)]);
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(err).toMatch(new RegExp(`^deaddrop: ${url}/ was not told: .* no dead drop`));
  });
});

describe.concurrent("below the quorum", () => {
  it("send exits with 3, and goes on with --retry: the same message, once", async () => {
    const [one, two] = [await absent(), await absent()];
    const places = [relay(), one, two];
    const { url: discovery, lists } = await directory();
    const alice = keyholder({ discovery, relays: places });
    const bob = keyholder({ relays: places });
    receivesAt(bob, lists, ...places);
    const text = "Under the third bench.";

    const sent = await alice.runs(["send", bob.npub, text, "--json", ...PATIENTLY]);
    expect(sent.code).toBe(3);
    expect(sent.err).toBe(
      'deaddrop: 1 of 3 relays hold the message, 2 are wanted\n  go on with "deaddrop send --retry"\n',
    );
    const [report] = jsonLines(sent.out);
    expect(report).toMatchObject({
      delivered: false,
      quorum: 2,
      relays: [
        { url: `${relay().url}/`, state: "held" },
        { url: `${one.url}/`, state: "unreachable", heldUntil: null },
        { url: `${two.url}/`, state: "unreachable", heldUntil: null },
      ],
    });
    const [before] = jsonLines((await bob.runs(["pickup", "--json", ...at(relay())])).out);
    expect(before?.["message"]).toBe(report?.["message"]);

    const unsent = join(folderOf(alice), "unsent");
    const kept = readdirSync(unsent);
    expect(kept).toHaveLength(1);
    expect(readFileSync(join(unsent, kept[0] ?? ""), "utf8")).not.toContain(text);

    const came = [await one.comes(), await two.comes()];
    const retried = await alice.runs(["send", "--retry"]);
    expect(retried).toMatchObject({ code: 0, err: "" });
    for (const { url } of came) expect(retried.out).toContain(`${url}/ held until `);
    const nothing = { code: 0, out: "", err: "deaddrop: nothing is waiting to be sent\n" };
    expect(await alice.runs(["send", "--retry"])).toEqual(nothing);

    const boxes = await Promise.all(places.map((place) => boxOf(bob, place)));
    expect(boxes).toEqual([[before?.["id"]], [before?.["id"]], [before?.["id"]]]);
    const after = jsonLines((await bob.runs(["pickup", "--ack", "--json"])).out);
    expect(after.map(({ message, content }) => [message, content])).toEqual([
      [report?.["message"], text],
    ]);
    expect(await Promise.all(places.map((place) => boxOf(bob, place)))).toEqual([[], [], []]);
  });

  it("--retry says what is still not there, and that some relays do hold the message", async () => {
    const [one, two] = [await absent(), await absent()];
    const [alice, bob] = [keyholder(), keyholder()];
    await alice.runs(["send", bob.npub, "hello", ...at(relay(), one, two), ...PATIENTLY]);
    const retried = await alice.runs(["send", "--retry", ...PATIENTLY]);
    for (const { url } of [one, two]) expect(retried.out).toContain(`${url}/ unreachable: `);
    expect(retried.err).toContain("deaddrop send --retry");
    expect(retried.err).toContain("1 of 3 relays hold the message, 2 are wanted");
    expect(retried.code).toBe(3);
  });

  it("--retry goes on with the others when one file of them is damaged, and names it", async () => {
    const one = await absent();
    const [alice, bob] = [keyholder(), keyholder()];
    await alice.runs(["send", bob.npub, "hello", ...at(one), ...BRIEFLY]);
    writeFileSync(join(folderOf(alice), "unsent", "0000.json"), "{");
    const came = await one.comes();
    const { code, err } = await alice.runs(["send", "--retry"]);
    expect(err).toMatch(/^deaddrop: .*0000\.json/);
    expect(code).toBe(3);
    expect(await boxOf(bob, came)).toHaveLength(1);
  });

  it("is what --quorum says", async () => {
    const one = await absent();
    const [alice, bob] = [keyholder(), keyholder()];
    const send = ["send", bob.npub, "hello", ...at(relay(), one), ...PATIENTLY];
    const [enough, all] = await Promise.all([
      alice.runs([...send, "--quorum", "1"]),
      alice.runs([...send, "--quorum", "2"]),
    ]);
    expect(enough).toMatchObject({ code: 0, err: "" });
    expect(enough.out).toContain(`${one.url}/ unreachable: `);
    expect(all.code).toBe(3);
    expect(all.err).toContain("1 of 2 relays hold the message, 2 are wanted");
  });
});
