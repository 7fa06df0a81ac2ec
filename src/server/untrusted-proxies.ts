// A relay behind a proxy that it was not told of takes all who come through it for one address, and is full when that has its share of connections.

import { inNetworks } from "../policy/networks.ts";
import type { Log } from "../relay/observer.ts";

const THIS_MACHINE = ["127.0.0.0/8", "::1/128"];
// RFC 1918, RFC 6598, RFC 3927, RFC 4193 and RFC 4291.
const PRIVATE = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "100.64.0.0/10",
  "169.254.0.0/16",
  "fc00::/7",
  "fe80::/10",
];
const RANGES = [...THIS_MACHINE, ...PRIVATE].map((range) => ({ range, has: inNetworks([range]) }));
const ELSEWHERE = "the public network";

/**
 * Tells the operator of the peers that send X-Forwarded-For to this address of `listen` and are no trusted proxy: once for each range they come from, so that a
 * stranger who makes the header up does not use up the one warning. The log names no address of theirs, so it names the range.
 */
export function warnOfUntrustedProxies(
  log: Pick<Log, "warn">,
  listen: string,
): (peer: string) => void {
  const told = new Set<string>();
  let last: string | undefined;
  return (peer) => {
    if (peer === last) return;
    last = peer;
    const from = rangeOf(peer);
    if (told.has(from)) return;
    told.add(from);
    log.warn(
      { from, listen },
      from === ELSEWHERE
        ? "somebody in the public network sends X-Forwarded-For, and is not in trustedProxies: if it is a proxy of yours, all who come through it count as one address; if you have none there, nothing is to be done"
        : `a proxy in ${from} sends X-Forwarded-For, and is not in trustedProxies: all who come through it count as one address`,
    );
  };
}

function rangeOf(address: string): string {
  return RANGES.find(({ has }) => has(address))?.range ?? ELSEWHERE;
}
