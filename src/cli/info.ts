import { stringify } from "yaml";

import { fetchDocument } from "../client/document.ts";
import type { Config } from "../config/schema.ts";
import { directUrl } from "../config/values.ts";
import { causeOf } from "./cause.ts";
import { CliError } from "./failure.ts";
import { noRelayAnswers, notAnUrl } from "./messages.ts";
import { networkOf } from "./network.ts";
import type { Terminal } from "./terminal.ts";

export type InfoOptions = {
  readonly url: string | undefined;
  /** The host and port of a SOCKS proxy. */
  readonly socks: string | undefined;
  readonly json: boolean;
};

const PATIENCE_SECONDS = 10;

/** Where the relay of this configuration is. */
export function urlOf(config: Config): string {
  return config.url || directUrl(config.listen);
}

/**
 * `deaddrop info`: a relay's NIP-11 document, as YAML or JSON. Throws a CliError that says what to do when the relay cannot be reached or says something else.
 */
export async function info(
  config: Config,
  { url, socks, json }: InfoOptions,
  terminal: Pick<Terminal, "env">,
): Promise<string> {
  const { fetch } = networkOf(socks, terminal);
  const address = url ?? urlOf(config);
  const http = address.replace(/^ws/i, "http");
  if (!/^https?:/i.test(http) || !URL.canParse(http)) throw new CliError(notAnUrl(address));
  let document: object;
  try {
    const accept = "application/nostr+json";
    document = await fetchDocument(http, {
      accept,
      patienceSeconds: PATIENCE_SECONDS,
      fetch,
    });
  } catch (error) {
    throw new CliError(noRelayAnswers(address, causeOf((error as Error).message)));
  }
  return json ? `${JSON.stringify(document)}\n` : stringify(document);
}
