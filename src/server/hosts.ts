import type { Config } from "../config/schema.ts";
import { join } from "../config/values.ts";
import { hostOf } from "../nostr/auth.ts";

/** The hosts by which AUTH may call this relay: the configured URLs, and without any what `listen` gives, with the port that was really taken. */
export function knownHosts(config: Config, port: number): string[] {
  const urls = [config.url, ...config.aliases].filter((url) => url !== "");
  if (config.url === "") {
    const { host } = config.listen;
    const isEverywhere = host === "0.0.0.0" || host === "::";
    const isHere = host === "localhost" || host === "::1" || host.startsWith("127.");
    urls.push(`ws://${join({ host, port })}`);
    if (isEverywhere || isHere) {
      urls.push(
        ...["127.0.0.1", "localhost", "::1"].map((name) => `ws://${join({ host: name, port })}`),
      );
    }
  }
  return urls.map((url) => hostOf(url)).filter((host) => host !== undefined);
}
