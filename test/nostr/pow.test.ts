import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { NostrEvent } from "../../src/nostr/event.ts";
import { committedTarget, leadingZeroBits } from "../../src/nostr/pow.ts";
import { hexDigits } from "../support/arbitrary.ts";

describe("the difficulty of an id", () => {
  it("is 36 for the id that NIP-13 calls so", () => {
    expect(
      leadingZeroBits("000000000e9d97a1ab09fc381030b346cdd7a142ad57e6df0b46dc9bef6c7e2d"),
    ).toBe(36);
  });

  it("is 21 for the note mined in NIP-13", () => {
    expect(
      leadingZeroBits("000006d8c378af1779d2feebc7603a125d99eca0ccf1085959b307f64e5dd358"),
    ).toBe(21);
  });

  it("is 256 for zeros alone, and 0 for an id that begins with a one", () => {
    expect(leadingZeroBits("0".repeat(64))).toBe(256);
    expect(leadingZeroBits(`8${"0".repeat(63)}`)).toBe(0);
  });

  it("is the number of zeros before the first one when the id is written in binary", () => {
    const id = fc
      .tuple(fc.nat({ max: 64 }), hexDigits(64))
      .map(([zeros, digits]) => ("0".repeat(zeros) + digits).slice(0, 64));
    fc.assert(
      fc.property(id, (id) => {
        const binary = BigInt(`0x${id}`).toString(2).padStart(256, "0");
        const zeros = binary.indexOf("1");
        expect(leadingZeroBits(id)).toBe(zeros < 0 ? 256 : zeros);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("the target a sender commits to", () => {
  it("is the third entry of the nonce tag", () => {
    expect(
      committedTarget(
        withTags([
          ["p", "x", "9"],
          ["nonce", "776797", "20"],
        ]),
      ),
    ).toBe(20);
  });

  it.each([
    [[]],
    [[["nonce"]]],
    [[["nonce", "776797"]]],
    [[["nonce", "776797", ""]]],
    [[["nonce", "776797", "-20"]]],
    [[["nonce", "776797", "2e1"]]],
    [[["nonce", "776797", "20.5"]]],
    [[["nonce", "776797", "many"]]],
    [[["Nonce", "776797", "20"]]],
  ])("is none in %j", (tags) => {
    expect(committedTarget(withTags(tags))).toBeUndefined();
  });
});

function withTags(tags: string[][]): NostrEvent {
  const [id, pubkey, sig] = ["0".repeat(64), "1".repeat(64), "2".repeat(128)];
  return { id, pubkey, created_at: 0, kind: 1059, tags, content: "", sig };
}
