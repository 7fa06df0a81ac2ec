import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { nprofileEncode } from "nostr-tools/nip19";
import { describe, expect, it } from "vitest";

import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { BRIEFLY, directory, folderOf, keyholder, NOWHERE, PATIENTLY } from "./support.ts";

const relay = sharedRelay();

describe.concurrent("deaddrop relays", () => {
  it("publishes a list of where one receives, keeps it, and finds somebody else's", async () => {
    const { url: discovery, lists } = await directory();
    const [alice, bob] = [keyholder({ discovery }), keyholder({ discovery })];
    const set = await bob.runs(["relays", "set", relay().url, NOWHERE, ...PATIENTLY]);
    expect(set.out).toContain(`${discovery}/ published\n`);
    // A dead drop keeps nothing public, and says so.
    expect(set.out).toMatch(new RegExp(`^${relay().url}/ blocked: `, "m"));
    expect(lists.get(bob.key)).toMatchObject({
      kind: 10_050,
      pubkey: bob.key,
      tags: [
        ["relay", `${relay().url}/`],
        ["relay", `${NOWHERE}/`],
      ],
    });
    const shown = { code: 0, out: `${relay().url}/\n${NOWHERE}/\n`, err: "" };
    const asked = await Promise.all([
      bob.runs(["relays"]),
      alice.runs(["relays", "of", bob.npub]),
      alice.runs(["relays", "of", bob.key]),
    ]);
    expect(asked).toEqual([shown, shown, shown]);
  });

  it("does well when the dead drops among them refuse the list, as long as somebody keeps it", async () => {
    const { url: discovery } = await directory();
    const { runs } = keyholder({ discovery });
    expect(await runs(["relays", "set", relay().url])).toMatchObject({ code: 0, err: "" });
  });

  it("exits with 3 when some relay could not be told", async () => {
    const { url: discovery, lists } = await directory();
    const bob = keyholder({ discovery: `${discovery},${NOWHERE}` });
    const ran = await bob.runs(["relays", "set", relay().url, ...PATIENTLY]);
    expect(ran.code).toBe(3);
    expect(ran.out).toMatch(new RegExp(`^${NOWHERE}/ nothing listens there$`, "m"));
    expect(lists.has(bob.key)).toBe(true);
  });

  it("exits with 1 when nobody published the list, and keeps it to be published later", async () => {
    const { url: discovery, lists } = await directory();
    const bob = keyholder();
    const ran = await bob.runs(["relays", "set", relay().url, ...PATIENTLY]);
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/^deaddrop: nobody published the list.*--discovery\n$/s);
    const later = await bob.runs(["relays", "publish", "--discovery", discovery]);
    expect(later).toMatchObject({ code: 0, err: "" });
    expect(lists.get(bob.key)?.tags).toEqual([["relay", `${relay().url}/`]]);
  });

  it("replaces what was set before", async () => {
    const { url: discovery, lists } = await directory();
    const { runs, key } = keyholder({ discovery });
    await runs(["relays", "set", NOWHERE, ...PATIENTLY]);
    await runs(["relays", "set", relay().url]);
    expect((await runs(["relays"])).out).toBe(`${relay().url}/\n`);
    expect(lists.get(key)?.tags).toEqual([["relay", `${relay().url}/`]]);
  });

  it("sets them again where what was kept is damaged, as it says", async () => {
    const { url: discovery } = await directory();
    const bob = keyholder({ discovery });
    mkdirSync(folderOf(bob), { mode: 0o700 });
    writeFileSync(join(folderOf(bob), "relays.json"), "{");
    const damaged = await bob.runs(["pickup"]);
    expect(damaged).toMatchObject({ code: 1, out: "" });
    expect(damaged.err).toContain("set yours again");
    expect(await bob.runs(["relays", "set", relay().url])).toMatchObject({ code: 0, err: "" });
    expect(await bob.runs(["pickup", "--json"])).toEqual({ code: 0, out: "", err: "" });
  });

  it("keeps those of each key apart", async () => {
    const { url: discovery } = await directory();
    const [alice, bob] = [keyholder({ discovery }), keyholder({ discovery })];
    const asBob = ["--key", join(bob.home, "key")];
    await alice.runs(["relays", "set", relay().url]);
    expect(await alice.runs(["relays", ...asBob])).toMatchObject({ code: 2 });
    await alice.runs(["relays", "set", NOWHERE, ...asBob, ...BRIEFLY]);
    expect((await alice.runs(["relays"])).out).toBe(`${relay().url}/\n`);
  });

  it("prefers $DEADDROP_RELAYS to what was set, and for a pickup --relay to both", async () => {
    const { url: discovery } = await directory();
    const { runs } = keyholder({ discovery });
    await runs(["relays", "set", relay().url]);
    const env = { DEADDROP_RELAYS: "wss://one.example, wss://two.example" };
    const { out } = await runs(["relays"], { env });
    expect(out).toBe("wss://one.example/\nwss://two.example/\n");
    const status = await runs(["status", "--relay", relay().url], { env });
    expect(status.out).toBe(`${relay().url}/ holds nothing for you\n`);
  });

  it("exits with 1 when no list is found, and says what to do", async () => {
    const { url: discovery } = await directory();
    const { runs } = keyholder({ discovery });
    const commands = [
      ["relays", "of", person().key],
      ["send", person().key, "hello"],
    ];
    for (const ran of await Promise.all(commands.map((args) => runs(args)))) {
      expect(ran).toMatchObject({ code: 1, out: "" });
      expect(ran.err).toMatch(
        /^deaddrop: no list of the recipient's relays .*--relay.*--discovery\n$/s,
      );
    }
  });

  it("says who could not be asked, so that nobody takes it for a recipient without relays", async () => {
    const { url: discovery, lists } = await directory();
    const [alice, bob] = [keyholder(), keyholder({ discovery })];
    const looked = await alice.runs(["relays", "of", bob.npub, ...PATIENTLY]);
    expect(looked).toMatchObject({ code: 1, out: "" });
    expect(looked.err).toMatch(
      new RegExp(
        `^deaddrop: ${NOWHERE}/ could not be asked: nothing listens there\ndeaddrop: nobody could be asked `,
      ),
    );
    await bob.runs(["relays", "set", relay().url]);
    expect(lists.has(bob.key)).toBe(true);
    const both = ["--discovery", discovery, "--discovery", NOWHERE, "--timeout", "5s"];
    const found = await alice.runs(["relays", "of", bob.npub, ...both]);
    expect(found).toMatchObject({ code: 0, out: `${relay().url}/\n` });
    expect(found.err).toBe(`deaddrop: ${NOWHERE}/ could not be asked: nothing listens there\n`);
  });

  it("finds the relays of somebody as people write them, also by the relays of an nprofile", async () => {
    const { url } = await directory();
    const [alice, bob] = [keyholder({ relays: [{ url }] }), keyholder({ discovery: url })];
    await bob.runs(["relays", "set", relay().url]);
    const profile = nprofileEncode({ pubkey: bob.key, relays: [url] });
    const named = [profile, ` nostr:${profile}`, profile.toUpperCase()];
    const known = [bob.npub.toUpperCase(), `nostr:${bob.npub}\n`, bob.key.toUpperCase()];
    const asked = await Promise.all([
      ...named.map((text) => alice.runs(["relays", "of", text, ...PATIENTLY])),
      ...known.map((text) => bob.runs(["relays", "of", text])),
    ]);
    for (const ran of asked) expect(ran).toMatchObject({ code: 0, out: `${relay().url}/\n` });
    const sent = await alice.runs(["send", profile, "hello", ...PATIENTLY]);
    expect(sent.out).toMatch(/^ws:\S+ refused: blocked: 127\.0\.0\.1 is within/);
  });

  it("looks nobody up at a domain within one's own network", async () => {
    const ran = await keyholder().runs(["relays", "of", "bob@nas.local"]);
    expect(ran).toEqual({
      code: 1,
      out: "",
      err: "deaddrop: nas.local is within a private network, and is not asked for bob@nas.local\n",
    });
  });

  it("sends nothing into one's own network because a list says so", async () => {
    const { url: discovery } = await directory();
    const [alice, bob] = [keyholder({ discovery }), keyholder({ discovery })];
    await bob.runs(["relays", "set", relay().url]);
    const sent = await alice.runs(["send", bob.npub, "hello"]);
    expect(sent.code).toBe(1);
    expect(sent.out).toMatch(/^ws:\S+ refused: blocked: 127\.0\.0\.1 is within a private network/);
    expect(await alice.runs(["send", bob.npub, "hello", "--relay", relay().url])).toMatchObject({
      code: 0,
    });
  });
});
