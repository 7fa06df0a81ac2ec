import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { circuitOf, forwardedFor, notForwarded, peerOf } from "../../src/policy/address.ts";

describe("a peer", () => {
  it("is an IPv4 address as it is", () => {
    expect(peerOf("203.0.113.7")).toBe("203.0.113.7");
    expect(peerOf("203.0.113.8")).not.toBe(peerOf("203.0.113.7"));
  });

  it.each([
    "::ffff:203.0.113.7",
    "::FFFF:203.0.113.7",
    "::ffff:cb00:7107",
    "0:0:0:0:0:ffff:203.0.113.7",
  ])("is the IPv4 address that %s maps", (address) => {
    expect(peerOf(address)).toBe("203.0.113.7");
  });

  it("is one /64 of IPv6", () => {
    expect(peerOf("2001:db8:1:2:ffff::1")).toBe(peerOf("2001:db8:1:2::"));
    expect(peerOf("2001:db8:1:3::")).not.toBe(peerOf("2001:db8:1:2::"));
    expect(peerOf("2001:db8:1:2::")).not.toBe(peerOf("2001:db8:1::2"));
  });

  it("is the same however an IPv6 address is spelled", () => {
    fc.assert(
      fc.property(ipv6Groups, seeds, seeds, (groups, first, second) => {
        expect(peerOf(spell(groups, first))).toBe(peerOf(spell(groups, second)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is shared by two IPv6 addresses exactly when their first four groups are the same", () => {
    fc.assert(
      fc.property(ipv6Groups, ipv6Groups, seeds, seeds, (one, other, first, second) => {
        const isShared = one.slice(0, 4).join(":") === other.slice(0, 4).join(":");
        expect(peerOf(spell(one, first)) === peerOf(spell(other, second))).toBe(isShared);
      }),
      { numRuns: 2_000 },
    );
  });

  it("is a circuit of Tor by its full address, however that is spelled", () => {
    const circuit = "fc00:dead:beef:4dad::0:29a";
    expect(peerOf(circuit)).toBe(peerOf("FC00:DEAD:BEEF:4DAD:0:0:0:029A"));
    expect(peerOf(circuit)).not.toBe(peerOf("fc00:dead:beef:4dad::0:29b"));
    expect(peerOf(circuit)).not.toBe(peerOf("fc00:dead:beef:4dad::1:29a"));
    expect(peerOf("fc00:dead:beef:4dae::1")).toBe(peerOf("fc00:dead:beef:4dae::2"));
  });

  it("is the same with and without a zone", () => {
    expect(peerOf("fe80::1%eth0")).toBe(peerOf("fe80::2"));
  });
});

describe("a circuit of Tor", () => {
  it.each(["fc00:dead:beef:4dad::0:0", "fc00:dead:beef:4dad::ffff:ffff"])("is %s", (address) => {
    expect(circuitOf(address)).toBe(address);
  });

  it.each(["fc00:dead:beef:4dae::1", "2001:db8::1", "::1", "127.0.0.1", "", undefined])(
    "is not %s",
    (address) => {
      expect(circuitOf(address)).toBeUndefined();
    },
  );
});

describe("the address a connection counts for", () => {
  const PROXY = "10.0.0.1";
  const behind = forwardedFor(["10.0.0.0/8", "192.0.2.1", "fd00::/8", "2001:db8::1"]);

  it("is the peer's own without trusted proxies, whatever the header says", () => {
    const direct = forwardedFor([]);
    expect(direct("203.0.113.7", "198.51.100.1")).toBe("203.0.113.7");
    expect(direct("127.0.0.1", "198.51.100.1")).toBe("127.0.0.1");
    expect(direct("203.0.113.7", undefined)).toBe("203.0.113.7");
  });

  it("is the peer's own when the peer is no trusted proxy", () => {
    expect(behind("203.0.113.7", "198.51.100.1")).toBe("203.0.113.7");
    expect(behind("11.0.0.1", "198.51.100.1")).toBe("11.0.0.1");
    expect(behind("192.0.2.2", "198.51.100.1")).toBe("192.0.2.2");
    expect(behind("fe00::1", "198.51.100.1")).toBe("fe00::1");
  });

  it.each([
    PROXY,
    "10.255.255.255",
    "::ffff:10.0.0.1",
    "192.0.2.1",
    "fd12::1",
    "2001:db8::1",
    "2001:0DB8:0::1",
  ])("is what the trusted proxy %s says", (proxy) => {
    expect(behind(proxy, "198.51.100.1")).toBe("198.51.100.1");
  });

  it("is what any peer says where all are trusted, and no further back than that", () => {
    const believed = forwardedFor(["10.0.0.0/8"], undefined, true);
    expect(believed("127.0.0.1", "198.51.100.66, 198.51.100.1")).toBe("198.51.100.1");
    expect(believed("127.0.0.1", "198.51.100.66, 198.51.100.1, 10.0.0.3")).toBe("198.51.100.1");
    expect(believed("127.0.0.1", undefined)).toBe("127.0.0.1");
  });

  it("is the peer's own where none is ever believed", () => {
    expect(notForwarded("::ffff:127.0.0.1", "198.51.100.1")).toBe("127.0.0.1");
  });

  it("is the last one that no trusted proxy added", () => {
    expect(behind(PROXY, "198.51.100.1, 10.0.0.3, 192.0.2.1")).toBe("198.51.100.1");
    expect(behind(PROXY, "198.51.100.1,10.0.0.3")).toBe("198.51.100.1");
  });

  it("is not what a client put in front of what the proxy added", () => {
    expect(behind(PROXY, "192.0.2.1, 127.0.0.1, 198.51.100.66, 198.51.100.1")).toBe("198.51.100.1");
    expect(behind(PROXY, "198.51.100.66, 203.0.113.7, 10.0.0.3")).toBe("203.0.113.7");
  });

  it("is the farthest proxy when there is nothing else", () => {
    expect(behind(PROXY, undefined)).toBe(PROXY);
    expect(behind(PROXY, "")).toBe(PROXY);
    expect(behind(PROXY, "10.0.0.3, 10.0.0.2")).toBe("10.0.0.3");
  });

  it("is an IPv6 address when the proxy says so", () => {
    expect(behind(PROXY, "2001:db8:5::1")).toBe("2001:db8:5::1");
  });

  it("is an IPv4 address when the proxy maps one into IPv6", () => {
    expect(behind(PROXY, "::ffff:198.51.100.1")).toBe("198.51.100.1");
    expect(behind("::ffff:203.0.113.7", undefined)).toBe("203.0.113.7");
  });

  it.each([
    ["198.51.100.1:49152", "198.51.100.1"],
    ['"198.51.100.1:49152"', "198.51.100.1"],
    ['"198.51.100.1"', "198.51.100.1"],
    ["198.51.100.1:_port", "198.51.100.1"],
    ["[2001:db8:5::1]", "2001:db8:5::1"],
    ["[2001:db8:5::1]:443", "2001:db8:5::1"],
    ['"[2001:db8:5::1]:443"', "2001:db8:5::1"],
    ["[::ffff:198.51.100.1]:443", "198.51.100.1"],
  ])("is the address that %s names, without the port", (hop, address) => {
    expect(behind(PROXY, hop)).toBe(address);
    expect(behind(PROXY, `198.51.100.66, ${hop}, 10.0.0.3:80, [fd12::1]:80`)).toBe(address);
  });

  it("is the same however an address is dressed", () => {
    const dressed = fc.oneof(
      fc.tuple(
        fc.ipV4(),
        fc.constantFrom<Dress>(
          (ip) => ip,
          (ip) => `${ip}:1`,
        ),
      ),
      fc.tuple(
        fc.ipV6(),
        fc.constantFrom<Dress>(
          (ip) => ip,
          (ip) => `[${ip}]`,
          (ip) => `[${ip}]:65535`,
        ),
      ),
    );
    fc.assert(
      fc.property(dressed, fc.boolean(), ([ip, dress], isQuoted) => {
        const hop = isQuoted ? `"${dress(ip)}"` : dress(ip);
        expect(behind(PROXY, `198.51.100.66, ${hop}`)).toBe(behind(PROXY, `198.51.100.66, ${ip}`));
      }),
    );
  });

  const GARBAGE = [
    "198.51.100.1:",
    "198.51.100.1:x",
    "[198.51.100.1]",
    "[2001:db8:5::1",
    "[2001:db8:5::1]443",
    '"198.51.100.1',
    "_hidden:443",
    "unknown",
    "_hidden",
    "198.51.100.1.",
    "999.1.1.1",
    "<script>",
    "unix:",
    "::g",
  ];
  it.each(GARBAGE)("is the proxy's own when that one added no address but %j", (garbage) => {
    expect(behind(PROXY, garbage)).toBe(PROXY);
  });

  it.each(GARBAGE)("is not what a client put in front of %j, which the proxy added", (garbage) => {
    expect(behind(PROXY, `198.51.100.66, ${garbage}`)).not.toBe("198.51.100.66");
  });

  it.each(["", ",", " , "])("is the proxy's own when the header is empty: %j", (header) => {
    expect(behind(PROXY, header)).toBe(PROXY);
  });

  it("is an address that was named, for any header", () => {
    const hop = fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constant(PROXY));
    fc.assert(
      fc.property(fc.array(hop), (hops) => {
        const address = behind(PROXY, hops.join(","));
        const named = [PROXY, ...hops.flatMap((hop) => hop.split(",")).map((hop) => hop.trim())];
        expect(named.flatMap((name) => [name, name.replace(/^::ffff:/i, "")])).toContain(address);
      }),
      { numRuns: 500 },
    );
  });
});

type Dress = (ip: string) => string;

// Eight groups, with more zeros than chance would give.
const ipv6Groups = fc
  .array(fc.oneof(fc.constant(0), fc.constant(1), fc.nat({ max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  })
  // ::ffff:0:0/96 is IPv4.
  .filter((groups) => groups.slice(0, 6).join(":") !== "0:0:0:0:0:65535");
const seeds = fc.infiniteStream(fc.nat({ max: 99 }));

/** One of the many ways to write an address (RFC 4291, 2.2), chosen by the numbers that `choices` gives. */
function spell(groups: readonly number[], choices: Iterator<number>): string {
  const choose = (among: number): number => (choices.next().value as number) % among;
  const written = groups.map((group) => {
    const padded = group.toString(16).padStart(choose(4) + 1, "0");
    return choose(2) === 0 ? padded : padded.toUpperCase();
  });
  if (choose(3) === 0) {
    const bytes = groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]);
    written.splice(6, 2, bytes.join("."));
  }
  const runs = zeroRuns(groups.slice(0, written.length === 7 ? 6 : 8));
  const run = runs[choose(runs.length + 1)];
  if (run === undefined) return written.join(":");
  const [start, end] = run;
  return `${written.slice(0, start).join(":")}::${written.slice(end).join(":")}`;
}

// Each stretch of zeros, from and to, that `::` may stand for.
function zeroRuns(groups: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (let start = 0; start < groups.length; start++) {
    for (let end = start + 1; end <= groups.length && groups[end - 1] === 0; end++) {
      runs.push([start, end]);
    }
  }
  return runs;
}
