import type { Logger } from "pino";

import type { Config } from "../config/schema.ts";
import { type Endpoint, join } from "../config/values.ts";
import { type OwnUrl, ownUrl } from "../nostr/own-url.ts";

const EVERYWHERE: ReadonlySet<string | undefined> = new Set(["0.0.0.0", "[::]"]);

/** The URLs by which a relay is known: the configured ones, and where `url` is not among them what `listen` gives, with the port that was really taken. */
export function ownUrls({ url, aliases, listen }: Config, port: number): OwnUrl[] {
  const given = [url, ...aliases, ...(url === "" ? listened({ ...listen, port }) : [])];
  return given.map((text) => ownUrl(text)).filter((own) => own !== undefined);
}

/** Tells the operator of a relay that clients can reach by names which nobody told it: anyone can drop there, but no AUTH is believed, so nobody can pick up. */
export function warnOfOtherNames(config: Config, port: number, log: Pick<Logger, "warn">): void {
  if (config.url !== "" || !isEverywhere(config.listen)) return;
  const names = ownUrls(config, port).map(({ host }) => host);
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
