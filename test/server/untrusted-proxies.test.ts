import { describe, expect, it } from "vitest";

import { warnOfUntrustedProxies } from "../../src/server/untrusted-proxies.ts";

/** What is logged when these peers send X-Forwarded-For, one after the other. */
function logged(peers: readonly string[]): { from: unknown; message: string }[] {
  const lines: { from: unknown; message: string }[] = [];
  const warn = (details: object, message: string): void => {
    lines.push({ from: (details as { from: unknown }).from, message });
  };
  const distrusted = warnOfUntrustedProxies({ warn }, "0.0.0.0:7777");
  for (const peer of peers) distrusted(peer);
  return lines;
}

describe("a peer that sends X-Forwarded-For and is no trusted proxy", () => {
  it.each([
    ["127.0.0.1", "127.0.0.0/8"],
    ["::1", "::1/128"],
    ["10.1.2.3", "10.0.0.0/8"],
    ["172.17.0.1", "172.16.0.0/12"],
    ["192.168.1.9", "192.168.0.0/16"],
    ["100.64.0.9", "100.64.0.0/10"],
    ["169.254.1.1", "169.254.0.0/16"],
    ["fd00::9", "fc00::/7"],
    ["fe80::1%eth0", "fe80::/10"],
    ["172.32.0.1", "the public network"],
    ["2001:db8::1", "the public network"],
    ["", "the public network"],
  ])("is named by its range: %s", (peer, from) => {
    const [line, ...more] = logged([peer, peer]);
    expect(line).toMatchObject({ from, message: expect.stringContaining("trustedProxies") });
    expect(line?.message).toContain(from);
    expect(more).toEqual([]);
  });

  it("is told of once for its range, whoever else comes", () => {
    const peers = ["198.51.100.1", "10.0.0.1", "10.0.0.2", "198.51.100.2", "10.0.0.1"];
    const lines = logged(peers);
    expect(lines.map(({ from }) => from)).toEqual(["the public network", "10.0.0.0/8"]);
    for (const peer of peers) expect(JSON.stringify(lines)).not.toContain(`"${peer}`);
  });
});
