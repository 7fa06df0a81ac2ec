import { BlockList, isIP } from "node:net";

/** What counts as one peer: an IPv4 address, or the /64 of an IPv6 address, which is what one household gets. */
export function peerOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (isIP(address) !== 6) return address;
  const [head = "", tail = ""] = address.replace(/%.*$/, "").split("::");
  const front = head.split(":").filter(Boolean);
  const back = tail.split(":").filter(Boolean);
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => "0");
  const groups = address.includes("::") ? [...front, ...zeros, ...back] : front;
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}

/**
 * Answers the address a connection counts for: the peer's own, or, when the peer is a trusted proxy, the last address in X-Forwarded-For that no
 * trusted proxy added.
 */
export function forwardedFor(
  trustedProxies: readonly string[],
): (peer: string, header: string | undefined) => string {
  const trusted = new BlockList();
  for (const proxy of trustedProxies) {
    const [address = "", prefix] = proxy.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (prefix === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(prefix), family);
  }
  const isTrusted = (address: string): boolean => {
    const peer = peerless(address);
    return isIP(peer) !== 0 && trusted.check(peer, isIP(peer) === 6 ? "ipv6" : "ipv4");
  };
  return (peer, header) => {
    let address = peer;
    for (const hop of (header ?? "").split(",").toReversed()) {
      if (!isTrusted(address)) return peerless(address);
      if (isIP(hop.trim()) !== 0) address = hop.trim();
    }
    return peerless(address);
  };
}

function peerless(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, "");
}
