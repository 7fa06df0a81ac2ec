import { BlockList, isIP } from "node:net";

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { inNetworks, networkOf } from "../../src/policy/networks.ts";

describe("a network as an operator writes it", () => {
  it.each([
    ["10.1.2.3", "10.1.2.3"],
    ["10.1.2.3/32", "10.1.2.3"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.1.2.3/0", "0.0.0.0/0"],
    ["192.168.129.7/17", "192.168.128.0/17"],
    [" 10.0.0.1 ", "10.0.0.1"],
    ["2001:DB8:0:0::1", "2001:db8::1"],
    ["2001:db8::1/128", "2001:db8::1"],
    ["2001:db8:ffff::/33", "2001:db8:8000::/33"],
    ["::/0", "::/0"],
    ["::ffff:10.1.2.3", "10.1.2.3"],
    ["::ffff:a01:203", "10.1.2.3"],
    ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
  ])("has one spelling: %s is %s", (text, spelled) => {
    expect(networkOf(text)).toBe(spelled);
  });

  it.each([
    "",
    "drop.example.com",
    "10.0.0",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/",
    "10.0.0.0/ 8",
    "::/129",
    "fe80::1%eth0",
    "010.0.0.1",
    "0x0a000001",
  ])("is none: %j", (text) => {
    expect(networkOf(text)).toBe(undefined);
  });

  const network = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })),
    fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })),
  );

  it("keeps its spelling, and what is in it, whoever asks", () => {
    fc.assert(
      fc.property(network, fc.array(fc.oneof(fc.ipV4(), fc.ipV6())), ([address, bits], others) => {
        const spelled = networkOf(`${address}/${bits}`) ?? "";
        expect(networkOf(spelled)).toBe(spelled);
        const list = new BlockList();
        list.addSubnet(address, bits, familyOf(address));
        const isIn = inNetworks([spelled]);
        expect(isIn(address)).toBe(true);
        for (const other of others) {
          // What is mapped comes as IPv4 from the transport.
          const told = networkOf(other) ?? "";
          if (familyOf(told) !== familyOf(spelled.split("/")[0] ?? "")) continue;
          expect(isIn(told)).toBe(list.check(told, familyOf(told)));
        }
      }),
    );
  });

  it("has nobody in it where there is none, and nobody who has no address", () => {
    expect(inNetworks([])("10.0.0.1")).toBe(false);
    expect(inNetworks(["0.0.0.0/0"])("")).toBe(false);
  });
});

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}
