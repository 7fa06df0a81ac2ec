import { isIP } from "node:net";

import { groupsOf, inNetworks, mappedIn } from "./networks.ts";

// Where Tor puts the circuits of an onion service (tor(1), HiddenServiceExportCircuitID): of fc00::/8, which RFC 4193 leaves to nobody, so that no other peer is there.
const CIRCUITS = [0xfc00, 0xdead, 0xbeef, 0x4dad];

/** What counts as one peer: an IPv4 address, the /64 of an IPv6 address, which is what one household gets, or a circuit of Tor. */
export function peerOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const groups = groupsOf(address);
  if (isCircuit(groups)) return spelled(groups);
  return mappedIn(groups) ?? `${spelled(groups.slice(0, 4))}::/64`;
}

/** The address, if it is that of a circuit. */
export function circuitOf(address: string | undefined): string | undefined {
  if (address === undefined || isIP(address) !== 6) return undefined;
  return isCircuit(groupsOf(address)) ? address : undefined;
}

function isCircuit(groups: readonly number[]): boolean {
  return CIRCUITS.every((group, index) => groups[index] === group);
}

function spelled(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(":");
}

/** Answers the address a connection counts for, given the peer's and its X-Forwarded-For. */
export type ForwardedFor = (peer: string, header: string | undefined) => string;

/** For peers that are never believed. */
export const notForwarded: ForwardedFor = (peer) => peerless(peer);

/**
 * For peers of which some are proxies: the peer's own address, or, when it is a trusted proxy, the last one in X-Forwarded-For that no trusted proxy added.
 * `distrusted` is told of a peer that sends the header and is no trusted proxy, each time; where `trustsPeers` is set there are none.
 */
export function forwardedFor(
  trustedProxies: readonly string[],
  distrusted: (peer: string) => void = () => {},
  trustsPeers = false,
): ForwardedFor {
  const isIn = inNetworks(trustedProxies);
  const isTrusted = (address: string): boolean => isIn(peerless(address));
  return (peer, header) => {
    if (header === undefined || header === "") return peerless(peer);
    if (!trustsPeers && !isTrusted(peer)) {
      const own = peerless(peer);
      distrusted(own);
      return own;
    }
    let address = peer;
    let believes = true;
    for (const hop of header.split(",").toReversed()) {
      if (!believes) return peerless(address);
      if (hop.trim() === "") continue;
      const named = addressIn(hop.trim());
      // What stands before a hop that names no address was not said by a proxy we trust.
      if (isIP(named) === 0) break;
      address = named;
      believes = isTrusted(address);
    }
    return peerless(address);
  };
}

// Some proxies write a hop as in Forwarded (RFC 7239, 6): quoted, with a port, which may be obfuscated, and an IPv6 address in brackets.
const IPV4_AND_PORT = /^([\d.]+):(?:\d{1,5}|_[\w.-]+)$/;
const BRACKETED = /^\[([^\]]*:[^\]]*)\](?::(?:\d{1,5}|_[\w.-]+))?$/;

function addressIn(hop: string): string {
  const bare = hop.replace(/^"(.*)"$/, "$1");
  return (IPV4_AND_PORT.exec(bare) ?? BRACKETED.exec(bare))?.[1] ?? bare;
}

function peerless(address: string): string {
  return (isIP(address) === 6 ? mappedIn(groupsOf(address)) : undefined) ?? address;
}
