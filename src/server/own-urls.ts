import type { Logger } from "pino";

import type { Config } from "../config/schema.ts";
import { type Endpoint, join, type ListenAddress } from "../config/values.ts";
import { onionUrls, type OwnUrl, ownUrl } from "../nostr/own-url.ts";

const EVERYWHERE: ReadonlySet<string | undefined> = new Set(["0.0.0.0", "[::]"]);

/**
 * The URLs by which a relay is known: the configured ones, and where `url` is not among them what it listens at gives. At an address for Tor clients come by the
 * name of an onion service, which is among the configured ones or nowhere.
 */
export function ownUrls(
  { url, aliases }: Pick<Config, "url" | "aliases">,
  addresses: readonly ListenAddress[],
): OwnUrl[] {
  const direct = url === "" ? addresses.filter(({ from }) => from !== "tor") : [];
  return [url, ...aliases, ...direct.flatMap((address) => listened(address))]
    .map((text) => ownUrl(text))
    .filter((own) => own !== undefined);
}

/** Tells the operator of a relay that clients can reach by names which nobody told it: anyone can drop there, but no AUTH is believed, so nobody can pick up. */
export function warnOfOtherNames(
  config: Pick<Config, "url" | "aliases">,
  addresses: readonly ListenAddress[],
  log: Pick<Logger, "warn">,
): void {
  const { url, aliases } = config;
  if (addresses.some(({ from }) => from === "tor") && onionUrls([url, ...aliases]).length === 0) {
    log.warn(
      "listen names an address for tor, and neither url nor aliases the onion service: who comes by it can drop, but not pick up",
    );
  }
  if (url !== "" || !addresses.some((address) => isEverywhere(address))) return;
  const names = ownUrls(config, addresses).map(({ host }) => host);
  log.warn(
    { names },
    "url is not set: who comes by another name than these can drop, but not pick up",
  );
}

function listened(endpoint: Endpoint): string[] {
  const { host, port } = endpoint;
  const isHere = host === "localhost" || host === "::1" || host.startsWith("127.");
  const here = ["127.0.0.1", "localhost", "::1"].map(
    (name) => `ws://${join({ host: name, port })}`,
  );
  const itself = `ws://${join(endpoint)}`;
  if (isEverywhere(endpoint)) return [...here, itself];
  return isHere ? [itself, ...here] : [itself];
}

function isEverywhere({ host }: Endpoint): boolean {
  return EVERYWHERE.has(ownUrl(`ws://${join({ host, port: 80 })}`)?.host);
}
