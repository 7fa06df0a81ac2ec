import { describe, expect, it } from "vitest";

import { schema } from "../../src/config/schema.ts";
import { ownUrls, warnOfOtherNames } from "../../src/server/own-urls.ts";

const HERE = ["127.0.0.1:4000", "localhost:4000", "[::1]:4000"];

/** What is configured, and where such a relay listens: at port 4000 where any will do. */
function listening(listen: string, given: object): Parameters<typeof ownUrls> {
  const config = schema.parse({ listen, ...given });
  return [config, config.listen.map(({ host, from }) => ({ host, from, port: 4_000 }))];
}

function namesAt(listen: string, given: object = {}): string[] {
  return ownUrls(...listening(listen, given)).map(({ host }) => host);
}

function warningsAt(listen: string, given: object = {}): unknown[][] {
  const warnings: unknown[][] = [];
  const warn = (...line: unknown[]): void => void warnings.push(line);
  warnOfOtherNames(...listening(listen, given), { warn });
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
    ["192.0.2.1:0, relay.example:0 proxy", ["192.0.2.1:4000", "relay.example:4000"]],
    ["192.0.2.1:0, 127.0.0.1:0 tor", ["192.0.2.1:4000"]],
  ])("that listens on %s and has no url is known as %j", (listen, names) => {
    expect(namesAt(listen)).toEqual(names);
    const aliases = ["wss://drop.example/inbox"];
    expect(namesAt(listen, { aliases })).toEqual(["drop.example", ...names]);
  });

  it("that has a url is known by it, by its aliases, and by no other name", () => {
    const given = { url: "wss://drop.example/inbox/", aliases: ["ws://alias.example:8080"] };
    expect(ownUrls(...listening("0.0.0.0:0", given))).toEqual([
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

  it("that listens for tor warns unless one of its URLs is an onion service's", () => {
    const warning = expect.stringContaining("neither url nor aliases the onion service");
    for (const given of [{ url: "wss://drop.example" }, { aliases: ["ws://onion.example"] }]) {
      expect(warningsAt("127.0.0.1:0 tor", given)).toEqual([[warning]]);
    }
    const onion = "ws://abcdefgh.onion:8080/inbox";
    for (const given of [{ url: onion }, { url: "wss://drop.example", aliases: [onion] }]) {
      expect(warningsAt("127.0.0.1:0 tor", given)).toEqual([]);
    }
  });

  it("that has a url, or listens in one place, does not warn", () => {
    expect(warningsAt("0.0.0.0:0", { url: "wss://drop.example" })).toEqual([]);
    for (const listen of ["127.0.0.1:0", "192.0.2.1:0", "[::1]:0", "relay.example:0"]) {
      expect(warningsAt(listen)).toEqual([]);
    }
  });
});
