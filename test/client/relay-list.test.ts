import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import { NoRelaysError } from "../../src/client/client.ts";
import { Client, now } from "../support/client.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { deadDrop, publicRelay, scriptedRelay, statesOf } from "./support.ts";

const NOWHERE = "ws://127.0.0.1:9/";
const ALICE = person();

function listOf({ secret }: Person, relays: readonly string[]): ReturnType<typeof finalizeEvent> {
  const tags = relays.map((relay) => ["relay", relay]);
  const list = { kind: 10_050, created_at: now(), tags, content: "" };
  return finalizeEvent(list, secret);
}

/** A relay that ends every request. */
function closing(): ReturnType<typeof scriptedRelay> {
  return scriptedRelay({
    heard([verb, id], say) {
      if (verb === "REQ") say("CLOSED", id, "restricted: members only");
    },
  });
}

/** A relay that shows this, and says nothing more. */
function endless(event: object | undefined): ReturnType<typeof scriptedRelay> {
  return scriptedRelay({
    heard([verb, id], say) {
      if (verb === "REQ" && event !== undefined) say("EVENT", id, event);
    },
  });
}

/** What a sending rejects with that finds no relays. */
async function whyNot(discovery: readonly string[], of = person()): Promise<string> {
  const client = deadDrop(ALICE, [], { discovery, patienceSeconds: 0.5 });
  const failed: unknown = await client.send(of.key, "x").catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(NoRelaysError);
  return (failed as NoRelaysError).message;
}

describe("looking up a recipient's relays", () => {
  const shared = sharedRelay();

  it("says which of the relays could not be asked, and why, beside what the others have", async () => {
    const bob = person();
    const list = listOf(bob, ["wss://one.example/"]);
    const directory = await publicRelay();
    await (await Client.connect(directory.url)).publish(list);
    const [closed, silent] = [await closing(), await endless(undefined)];
    const discovery = [directory.url, NOWHERE, closed.url, silent.url];
    const client = deadDrop(ALICE, [], { discovery, patienceSeconds: 0.5 });
    expect(await client.lookUpRelays(bob.key)).toEqual({
      relays: ["wss://one.example/"],
      asked: discovery,
      failures: [
        { url: NOWHERE, reason: expect.stringContaining("ECONNREFUSED") as string },
        { url: closed.url, reason: "restricted: members only" },
        { url: silent.url, reason: "no answer" },
      ],
    });
  });

  it("takes what a relay showed that did not come to an end", async () => {
    const bob = person();
    const relay = await endless(listOf(bob, ["wss://one.example/"]));
    const client = deadDrop(ALICE, [], { discovery: [relay.url], patienceSeconds: 0.5 });
    expect(await client.lookUpRelays(bob.key)).toMatchObject({
      relays: ["wss://one.example/"],
      failures: [{ url: relay.url }],
    });
  });

  it("asks the relays of a hint too, but none within one's own network", async () => {
    const bob = person();
    const directory = await publicRelay();
    await (await Client.connect(directory.url)).publish(listOf(bob, [shared().url]));
    const hints = ["nonsense", directory.url];
    const stranger = await deadDrop(ALICE, []).lookUpRelays(bob.key, { hints });
    expect(stranger).toMatchObject({ relays: undefined, asked: [directory.url] });
    expect(stranger.failures[0]?.reason).toMatch(/^blocked: .*private network/);
    expect(directory.heard.filter(([verb]) => verb === "REQ")).toEqual([]);
    const client = deadDrop(ALICE, [directory, shared()]);
    const delivery = await client.send(bob.key, "x", { hints });
    expect(statesOf(delivery.reports)).toEqual(["held"]);
  });
});

describe("send, where nobody knows the recipient's relays,", () => {
  it("says that there is nobody to ask", async () => {
    expect(await whyNot([])).toBe("no relay is named that could know where the recipient receives");
  });

  it("says that nobody could be asked, and why", async () => {
    const { url } = await closing();
    expect(await whyNot([NOWHERE, url])).toMatch(
      /^nobody could be asked where the recipient receives: ws:\S+ \(.*ECONNREFUSED.*\), ws:\S+ \(restricted: members only\)$/,
    );
  });

  it("says that some could not be asked", async () => {
    const { url } = await publicRelay();
    expect(await whyNot([url, NOWHERE])).toMatch(
      /^no relay that answered knows .*, and some could not be asked: ws:\S+ \(.*ECONNREFUSED.*\)$/,
    );
  });

  it("says that none is published, where all of them answered", async () => {
    const { url } = await publicRelay();
    expect(await whyNot([url])).toMatch(/^the recipient has published no relays .*\(kind 10050\)/);
  });

  it("says that the list names none", async () => {
    const bob = person();
    const { url } = await endless(listOf(bob, ["nonsense"]));
    expect(await whyNot([url], bob)).toMatch(/^the recipient's list of relays .* names none/);
  });
});
