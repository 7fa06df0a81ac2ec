import * as nip04 from "nostr-tools/nip04";
import { finalizeEvent } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";

import {
  open,
  type Opened,
  secretSigner,
  type Signer,
  UndecryptableError,
} from "../../src/client/client.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { directMessage, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { rumor, seal, sealed, SECRET, wrapped } from "./layers.ts";

const [ALICE, BOB, EVE] = [person(), person(), person()];
const BOBS = secretSigner(BOB.secret);
const OWN = { address: BOBS, identity: BOBS };
// Half of all numbers are the x coordinate of no point; this is one of them.
const NOBODY = "0".repeat(63) + "5";

const json = JSON.stringify;
const message = json(rumor(ALICE));

function legacy(content = nip04.encrypt(ALICE.secret, BOB.key, SECRET)): NostrEvent {
  return directMessage({ from: ALICE, to: BOB, content });
}

/** What Bob makes of a message whose wrap he reads himself, and whose seal this decrypts. */
function openedWith(decrypt: Signer["decrypt"]): Promise<Opened> {
  const identity = { ...BOBS, decrypt };
  return open(sealed(ALICE, BOB, message), { address: BOBS, identity });
}

describe("what cannot be opened", () => {
  const good = seal(ALICE, BOB, message);
  const broken: [NostrEvent, string][] = [
    [
      giftWrap({ to: BOB }),
      "the wrap cannot be decrypted with this key: it is no NIP-44 ciphertext",
    ],
    [
      giftWrap({ to: BOB, content: `${SECRET}! `.repeat(20) }),
      "the wrap cannot be decrypted with this key: it is no NIP-44 ciphertext",
    ],
    [
      giftWrap({ to: BOB, content: `#${"A".repeat(200)}` }),
      "the wrap cannot be decrypted with this key: it is encrypted in a way that is not known here",
    ],
    [
      wrapped(EVE, json(good), BOB),
      "the wrap cannot be decrypted with this key: it is for another key, or was changed on its way",
    ],
    [
      { ...wrapped(BOB, json(good)), pubkey: NOBODY },
      "the wrap cannot be decrypted with this key: it is by a key that belongs to nobody",
    ],
    [wrapped(EVE, json(good)), "the wrap is addressed to another key"],
    [wrapped(BOB, SECRET), "what is in the wrap is no JSON"],
    [wrapped(BOB, json(SECRET)), "what is in the wrap is no event: an event is a JSON object"],
    [wrapped(BOB, json(null)), "what is in the wrap is no event: an event is a JSON object"],
    [
      wrapped(BOB, json({ ...good, sig: SECRET })),
      "what is in the wrap is no event: sig must be 128 lowercase hex digits",
    ],
    [
      wrapped(BOB, json({ ...good, tags: [[]] })),
      "what is in the wrap is no event: tags must be arrays of one or more strings",
    ],
    [wrapped(BOB, json(legacy())), "in the wrap is an event of kind 4, and no seal"],
    [wrapped(BOB, json({ ...good, id: "1".repeat(64) })), "the id of the seal is not its own"],
    [wrapped(BOB, json({ ...good, created_at: 1 })), "the id of the seal is not its own"],
    [wrapped(BOB, json({ ...good, sig: "0".repeat(128) })), "the signature of the seal is wrong"],
    [
      wrapped(BOB, json(seal(ALICE, EVE, message))),
      "the seal cannot be decrypted with this key: it is for another key, or was changed on its way",
    ],
    [
      wrapped(
        BOB,
        json(finalizeEvent({ kind: 13, created_at: 1, tags: [], content: SECRET }, ALICE.secret)),
      ),
      "the seal cannot be decrypted with this key: it is no NIP-44 ciphertext",
    ],
    [sealed(ALICE, BOB, SECRET), "what is in the seal is no JSON"],
    [
      sealed(ALICE, BOB, json([SECRET])),
      "what is in the seal is no event: an event is a JSON object",
    ],
    [sealed(ALICE, BOB, "null"), "what is in the seal is no event: an event is a JSON object"],
    [
      sealed(ALICE, BOB, json(rumor(ALICE, { id: SECRET }))),
      "what is in the seal is no event: id must be 64 lowercase hex digits",
    ],
    [
      sealed(ALICE, BOB, json(rumor(ALICE, { created_at: 1.5 }))),
      "what is in the seal is no event: created_at must be a whole number of seconds",
    ],
    [
      sealed(ALICE, BOB, json(rumor(ALICE, { kind: 65_536 }))),
      "what is in the seal is no event: kind must be a whole number between 0 and 65535",
    ],
    [
      sealed(ALICE, BOB, json(rumor(ALICE, { content: "\ud83e" }))),
      "what is in the seal is no event: content and tags must be valid Unicode",
    ],
    [
      sealed(ALICE, BOB, json(rumor(ALICE, { content: "changed" }))),
      "the id of the message is not its own",
    ],
    [
      sealed(ALICE, BOB, json(rumor(ALICE, { id: "0".repeat(64) }))),
      "the id of the message is not its own",
    ],
    [sealed(EVE, BOB, message), "the message claims to be by somebody who did not seal it"],
    [
      legacy(SECRET),
      "the message cannot be decrypted with this key: it is no NIP-04 ciphertext, or for another key",
    ],
    [{ ...legacy(), id: "1".repeat(64) }, "the id of the message is not its own"],
    [{ ...legacy(), sig: "0".repeat(128) }, "the signature of the message is wrong"],
    [directMessage({ from: ALICE, to: EVE }), "the message is addressed to another key"],
    [
      finalizeEvent({ kind: 1, created_at: 1, tags: [], content: SECRET }, ALICE.secret),
      "an event of kind 1 is no message",
    ],
  ];

  it.each(broken.map(([drop, why]) => [why, drop] as const))(
    "has its own cause: %s",
    async (why, drop) => {
      expect(await open(drop, OWN)).toEqual({ why, isFinal: true });
    },
  );

  it("has causes of its own where it came to a receiving key", async () => {
    const address = person();
    const receiver = { address: secretSigner(address.secret), identity: BOBS, contact: ALICE.key };
    expect(await open(wrapped(address, json(seal(EVE, BOB, message))), receiver)).toEqual({
      why: "the seal is by somebody who is not the contact that has this receiving key",
      isFinal: true,
    });
    expect(await open(directMessage({ from: ALICE, to: address }), receiver)).toEqual({
      why: "kind 4 is not sent to a receiving key",
      isFinal: true,
    });
  });

  it("says nothing of what is in it", async () => {
    for (const [drop] of broken) expect(json(await open(drop, OWN))).not.toContain("bench");
  });
});

describe("what can be opened", () => {
  it("is opened as a gift wrap of either kind", async () => {
    const wrap = sealed(ALICE, BOB, message);
    const ephemeral = { ...wrap, kind: 21_059 };
    for (const drop of [wrap, ephemeral]) {
      expect(await open(drop, OWN)).toEqual({ message: JSON.parse(message) as unknown });
    }
  });

  it("gets its id where its author left it out", async () => {
    const { id, ...unnamed } = JSON.parse(message) as { id: string };
    const opened = await open(sealed(ALICE, BOB, json(unnamed)), OWN);
    expect(opened).toEqual({ message: { id, ...unnamed } });
  });
});

describe("a signer that does not decrypt", () => {
  it.each<[string, () => Promise<string>, string]>([
    ["was away", () => Promise.reject(new Error("the signer is away")), "the signer is away"],
    [
      "throws at once",
      () => {
        throw new TypeError("no extension");
      },
      "no extension",
    ],
    // Extensions reject with whatever they like.
    ["rejects with a text", () => Promise.reject("user rejected"), "user rejected"],
    ["rejects with an object", () => Promise.reject({ message: "denied" }), "denied"],
    ["rejects with nothing", () => Promise.reject(null), "no reason was given"],
  ])("may another time, when it %s, and is quoted", async (_, decrypt, words) => {
    expect(await openedWith(decrypt)).toEqual({
      why: `the seal was not decrypted: ${words}`,
      isFinal: false,
    });
    const ours = { ...BOBS, decrypt, decryptLegacy: decrypt };
    const receiver = { address: ours, identity: ours };
    expect(await open(sealed(ALICE, BOB, message), receiver)).toEqual({
      why: `the wrap was not decrypted: ${words}`,
      isFinal: false,
    });
    expect(await open(legacy(), receiver)).toEqual({
      why: `the message was not decrypted: ${words}`,
      isFinal: false,
    });
  });

  it("may another time, when it answers no text", async () => {
    expect(await openedWith(async () => undefined as never)).toEqual({
      why: "the signer gave no text for the seal",
      isFinal: false,
    });
  });

  it("may be another with the same key, when it cannot read kind 4", async () => {
    const without: Signer = { ...BOBS };
    delete without.decryptLegacy;
    expect(await open(legacy(), { address: without, identity: without })).toEqual({
      why: "this signer cannot read kind 4",
      isFinal: false,
    });
  });

  it("never will, when it says that it is undecryptable", async () => {
    const why = new UndecryptableError("wrong MAC");
    expect(await openedWith(() => Promise.reject(why))).toEqual({
      why: "the seal cannot be decrypted with this key: wrong MAC",
      isFinal: true,
    });
  });
});

describe("secretSigner", () => {
  it.each([
    ["NIP-44", "decrypt", "nonsense"],
    ["NIP-44", "decrypt", "A".repeat(200)],
    ["NIP-04", "decryptLegacy", "nonsense"],
    ["NIP-04", "decryptLegacy", "AAAA?iv=AAAA"],
  ] as const)(
    "rejects what is no %s ciphertext with an UndecryptableError",
    async (_, decrypt, text) => {
      await expect(BOBS[decrypt]?.(ALICE.key, text)).rejects.toThrow(UndecryptableError);
      await expect(BOBS[decrypt]?.(NOBODY, text)).rejects.toThrow(UndecryptableError);
    },
  );

  it("encrypts from one byte to as many as every reader of NIP-44 takes", async () => {
    for (const text of ["x", "x".repeat(65_535), "🦊".repeat(16_383)]) {
      const ciphertext = await BOBS.encrypt(ALICE.key, text);
      expect(await secretSigner(ALICE.secret).decrypt(BOB.key, ciphertext)).toBe(text);
    }
    for (const text of ["", "x".repeat(65_536), "🦊".repeat(16_384)]) {
      await expect(BOBS.encrypt(ALICE.key, text)).rejects.toThrow(RangeError);
    }
  });
});
