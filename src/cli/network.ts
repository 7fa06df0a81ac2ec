import type { Network } from "../client/client.ts";
import { nodeNetwork, throughSocks } from "../client/node.ts";
import { CliError } from "./failure.ts";
import { notAProxy } from "./messages.ts";
import type { Terminal } from "./terminal.ts";

/** How a command connects: through the SOCKS proxy of --socks, else of $DEADDROP_SOCKS, else directly. Throws a CliError for what is no proxy. */
export function networkOf(socks: string | undefined, { env }: Pick<Terminal, "env">): Network {
  // An empty variable is none; an empty option is a mistake that is not to lead past the proxy.
  const proxy = socks ?? (env["DEADDROP_SOCKS"] || undefined);
  try {
    return proxy === undefined ? nodeNetwork() : throughSocks(proxy);
  } catch (error) {
    const from = socks === undefined ? "DEADDROP_SOCKS" : "--socks";
    throw new CliError(notAProxy(from, (error as Error).message));
  }
}
