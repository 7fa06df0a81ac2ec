// What is believed of whom: each address of `listen` has its own trust.

import type { Config } from "../config/schema.ts";
import { join, type ListenAddress } from "../config/values.ts";
import { circuitOf, forwardedFor, notForwarded } from "../policy/address.ts";
import type { Log } from "../relay/observer.ts";
import type { ListenAt } from "../transport/transport.ts";
import { warnOfUntrustedProxies } from "./untrusted-proxies.ts";

/** One of the addresses of `listen`, and the socket that listens there already, if one does. */
export type Listening = ListenAddress & { readonly descriptor?: number };

/** Where the transport listens, and what peers count as there. */
export function listenAt(
  { host, port, descriptor, from }: Listening,
  { trustedProxies }: Pick<Config, "trustedProxies">,
  log: Pick<Log, "warn">,
): ListenAt {
  const where = { host, port, descriptor };
  const listen = join({ host, port });
  switch (from) {
    case "anybody": {
      const distrusted = warnOfUntrustedProxies(log, listen);
      return { ...where, forwardedFor: forwardedFor(trustedProxies, distrusted) };
    }
    case "proxy":
      return { ...where, forwardedFor: forwardedFor(trustedProxies, undefined, true) };
    case "tor":
      return { ...where, forwardedFor: notForwarded, introduced: circuitOrWarning(log, listen) };
  }
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
