// What is believed of whom: each address of `listen` has its own trust.

import { join, type ListenAddress } from "../config/values.ts";
import { circuitOf, type ForwardedFor, forwardedFor, notForwarded } from "../policy/address.ts";
import type { Log } from "../relay/observer.ts";
import type { ListenAt } from "../transport/transport.ts";
import { warnOfUntrustedProxies } from "./untrusted-proxies.ts";

/** One of the addresses of `listen`, and the socket that listens there already, if one does. */
export type Listening = ListenAddress & { readonly descriptor?: number };

/** Where the transport listens, and what peers count as there, by those who are trusted at that moment. */
export function listenAt(
  { host, port, descriptor, from }: Listening,
  trustedProxies: () => readonly string[],
  log: Pick<Log, "warn">,
): ListenAt {
  const where = { host, port, descriptor };
  const listen = join({ host, port });
  switch (from) {
    case "anybody": {
      const distrusted = warnOfUntrustedProxies(log, listen);
      return { ...where, forwardedFor: byNow(trustedProxies, distrusted) };
    }
    case "proxy":
      return { ...where, forwardedFor: byNow(trustedProxies, undefined, true) };
    case "tor":
      return { ...where, forwardedFor: notForwarded, introduced: circuitOrWarning(log, listen) };
  }
}

// The list is another one when another configuration is in force.
function byNow(
  trustedProxies: () => readonly string[],
  distrusted?: (peer: string) => void,
  trustsPeers = false,
): ForwardedFor {
  let known: readonly string[] | undefined;
  let believed = notForwarded;
  return (peer, header) => {
    const trusted = trustedProxies();
    if (trusted !== known) {
      known = trusted;
      believed = forwardedFor(trusted, distrusted, trustsPeers);
    }
    return believed(peer, header);
  };
}

// Once: what is wrong with one connection is wrong with all.
function circuitOrWarning(
  log: Pick<Log, "warn">,
  listen: string,
): (source: string | undefined) => string | undefined {
  let isTold = false;
  return (source) => {
    const circuit = circuitOf(source);
    if (circuit === undefined && !isTold) {
      isTold = true;
      log.warn(
        { listen },
        "a connection to an address for tor did not name its circuit, and was closed: Tor does with HiddenServiceExportCircuitID haproxy, and nobody else can connect there",
      );
    }
    return circuit;
  };
}
