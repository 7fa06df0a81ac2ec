import { describe, expect, it } from "vitest";

import { schema } from "../../src/config/schema.ts";
import { ownUrls, warnOfOtherNames } from "../../src/server/own-urls.ts";

const HERE = ["127.0.0.1:4000", "localhost:4000", "[::1]:4000"];

function namesAt(listen: string, given: object = {}): string[] {
  return ownUrls(schema.parse({ listen, ...given }), 4_000).map(({ host }) => host);
}

function warningsAt(listen: string, given: object = {}): unknown[][] {
  const warnings: unknown[][] = [];
  const warn = (...line: unknown[]): void => void warnings.push(line);
  warnOfOtherNames(schema.parse({ listen, ...given }), 4_000, { warn });
  return warnings;
}

describe("a relay", () => {
  it.each([
    ["0.0.0.0:0", [...HERE, "0.0.0.0:4000"]],
    ["[::]:0", [...HERE, "[::]:4000"]],
    ["[0:0::0]:0", [...HERE, "[::]:4000"]],
    ["127.0.0.1:0", ["127.0.0.1:4000", ...HERE]],
    ["localhost:7777", ["localhost:4000", ...HERE]],
    ["192.0.2.1:0", ["192.0.2.1:4000"]],
    ["[2001:db8::1]:0", ["[2001:db8::1]:4000"]],
    ["relay.example:0", ["relay.example:4000"]],
  ])("that listens on %s and has no url is known as %j", (listen, names) => {
    expect(namesAt(listen)).toEqual(names);
    const aliases = ["wss://drop.example/inbox"];
    expect(namesAt(listen, { aliases })).toEqual(["drop.example", ...names]);
  });

  it("that has a url is known by it, by its aliases, and by no other name", () => {
    const given = { url: "wss://drop.example/inbox/", aliases: ["ws://alias.example:8080"] };
    expect(ownUrls(schema.parse({ listen: "0.0.0.0:0", ...given }), 4_000)).toEqual([
      { host: "drop.example", path: "/inbox" },
      { host: "alias.example:8080", path: "" },
    ]);
  });

  it.each(["0.0.0.0:0", "[::]:0", "[0:0::0]:0"])(
    "that listens on %s, which is everywhere, and has no url warns with the names it has",
    (listen) => {
      for (const aliases of [[], ["wss://drop.example"]]) {
        const names = namesAt(listen, { aliases });
        expect(warningsAt(listen, { aliases })).toEqual([
          [{ names }, expect.stringContaining("url is not set")],
        ]);
      }
    },
  );

  it("that has a url, or listens in one place, does not warn", () => {
    expect(warningsAt("0.0.0.0:0", { url: "wss://drop.example" })).toEqual([]);
    for (const listen of ["127.0.0.1:0", "192.0.2.1:0", "[::1]:0", "relay.example:0"]) {
      expect(warningsAt(listen)).toEqual([]);
    }
  });
});
