import { stringify } from "yaml";

import type { Config } from "../config/schema.ts";
import { join } from "../config/values.ts";
import { CliError } from "./failure.ts";
import { httpStatus, NO_DOCUMENT, noRelayAnswers, notAnUrl } from "./messages.ts";

export type InfoOptions = { readonly url: string | undefined; readonly json: boolean };

const PATIENCE_MS = 10_000;

/**
 * `deaddrop info`: a relay's NIP-11 document, as YAML or JSON. Throws a CliError that says what to do when the relay cannot be reached or says something else.
 */
export async function info(config: Config, { url, json }: InfoOptions): Promise<string> {
  const address = url ?? (config.url || `ws://${join(config.listen)}`);
  const http = address.replace(/^ws/i, "http");
  if (!/^https?:/i.test(http) || !URL.canParse(http)) throw new CliError(notAnUrl(address));
  let document: unknown;
  try {
    const response = await fetch(http, {
      headers: { accept: "application/nostr+json" },
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (!response.ok) throw new Error(httpStatus(response.status));
    document = await response.json();
    if (typeof document !== "object" || document === null || Array.isArray(document)) {
      throw new Error(NO_DOCUMENT);
    }
  } catch (error) {
    const { message, cause } = error as Error;
    const detail = cause instanceof Error ? cause.message : message;
    throw new CliError(noRelayAnswers(address, detail));
  }
  return json ? `${JSON.stringify(document)}\n` : stringify(document);
}
