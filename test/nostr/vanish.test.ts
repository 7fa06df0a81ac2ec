import { describe, expect, it } from "vitest";

import { isAddressedHere } from "../../src/nostr/vanish.ts";

const URLS = [
  { host: "drop.example.com", path: "/inbox" },
  { host: "127.0.0.1:7777", path: "" },
];

function isHeard(...tags: string[][]): boolean {
  const [id, pubkey, sig] = ["0".repeat(64), "1".repeat(64), "2".repeat(128)];
  return isAddressedHere({ id, pubkey, created_at: 0, kind: 62, tags, content: "", sig }, URLS);
}

describe("a request to vanish", () => {
  it.each([
    "ALL_RELAYS",
    "wss://drop.example.com",
    "wss://DROP.example.com:443/",
    "ws://127.0.0.1:7777",
    "drop.example.com",
    "https://drop.example.com./",
  ])("is for this relay when it names %s", (relay) => {
    expect(isHeard(["relay", relay])).toBe(true);
  });

  it("is for this relay when one of its tags is", () => {
    expect(isHeard(["relay", "wss://other.example"], ["relay", "wss://drop.example.com"])).toBe(
      true,
    );
  });

  it.each([
    [["relay", "wss://other.example"]],
    [["relay", "all_relays"]],
    [["relay", "drop.example.com:443"]],
    [["relay", "wss://user@drop.example.com"]],
    [["relay", ""]],
    [["relay"]],
    [["r", "ALL_RELAYS"]],
    [["relays", "wss://other.example", "ALL_RELAYS"]],
  ])("is not for this relay when all it has is %j", (tag) => {
    expect(isHeard(tag)).toBe(false);
  });

  it("is for nobody without a tag", () => {
    expect(isHeard()).toBe(false);
  });
});
