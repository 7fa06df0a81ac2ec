// Addresses and networks as operators write them, and whether an address is in one of them.

import { BlockList, isIP } from "node:net";

/**
 * The one spelling of an address or a network (RFC 4632, RFC 5952 but for the longest run of zeros): no bits behind the prefix, a network of one address as
 * that address, IPv4 that is mapped into IPv6 as IPv4. Undefined for what is neither.
 */
export function networkOf(text: string): string | undefined {
  const [address = "", bits, ...more] = text.trim().split("/");
  const family = isIP(address);
  if (family === 0 || more.length > 0 || address.includes("%")) return undefined;
  const mapped = family === 6 ? mappedIn(groupsOf(address)) : undefined;
  const most = family === 4 ? 32 : 128;
  if (bits !== undefined && !/^\d{1,3}$/.test(bits)) return undefined;
  const prefix = bits === undefined ? most : Number(bits);
  if (prefix > most) return undefined;
  if (mapped !== undefined && prefix >= 96) return networkOf(`${mapped}/${prefix - 96}`);
  const groups =
    family === 4 ? address.split(".").map(Number) : groupsOf(address.replace(/%.*$/, ""));
  const width = family === 4 ? 8 : 16;
  const kept = groups.map((group, index) => {
    const known = Math.min(width, Math.max(0, prefix - index * width));
    return group & (((1 << known) - 1) << (width - known));
  });
  const spelled =
    family === 4 ? kept.join(".") : shortest(kept.map((group) => group.toString(16)).join(":"));
  return prefix === most ? spelled : `${spelled}/${prefix}`;
}

// As the URL Standard serialises an IPv6 address.
function shortest(address: string): string {
  return new URL(`http://[${address}]`).hostname.replace(/^\[|\]$/g, "");
}

/** Whether an address, as the transport tells it, is in one of these addresses and networks. */
export function inNetworks(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => false;
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", prefix] = network.split("/");
    const family = familyOf(address);
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => {
    const bare = address.replace(/%.*$/, "");
    return isIP(bare) !== 0 && list.check(bare, familyOf(bare));
  };
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 6 ? "ipv6" : "ipv4";
}

/** The eight groups of an IPv6 address, however it is spelled (RFC 4291, 2.2). */
export function groupsOf(address: string): number[] {
  const [front = [], back = []] = address
    .replace(/%.*$/, "")
    .split("::")
    .map((part) =>
      part
        .split(":")
        .filter(Boolean)
        .flatMap((group) => numbersOf(group)),
    );
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0);
  return [...front, ...zeros, ...back];
}

// The last two groups may be written as an IPv4 address.
function numbersOf(group: string): number[] {
  const bytes = group.split(".").map(Number);
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  return bytes.length === 4 ? [a * 256 + b, c * 256 + d] : [Number.parseInt(group, 16)];
}

/** The IPv4 address that is mapped into IPv6 (::ffff:0:0/96), if one is. */
export function mappedIn(groups: readonly number[]): string | undefined {
  if (groups.slice(0, 6).join(":") !== "0:0:0:0:0:65535") return undefined;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 255])
    .join(".");
}
