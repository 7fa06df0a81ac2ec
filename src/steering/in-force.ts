import type { Config } from "../config/schema.ts";
import { networkOf } from "../policy/networks.ts";
import type { Decisions } from "./decisions.ts";

/**
 * What is in force: the configuration with the operator's decisions in it. A decision adds to what the configuration names, so that neither quietly undoes the
 * other. Only where the configuration names somebody in `allowedRecipients` are those the only ones who are served, or the first one allowed by a decision would shut
 * out everybody else.
 */
export function inForce(config: Config, decisions: Decisions): Config {
  const { name, description, icon } = decisions;
  const { allowedRecipients: allowed } = config;
  const blocked = config.blockedNetworks.map((network) => networkOf(network) ?? network);
  return {
    ...config,
    name: name ?? config.name,
    description: description ?? config.description,
    icon: icon ?? config.icon,
    deniedRecipients: both(config.deniedRecipients, decisions.bannedRecipients),
    deniedAuthors: both(config.deniedAuthors, decisions.bannedAuthors),
    allowedRecipients: allowed.length === 0 ? [] : both(allowed, decisions.allowedRecipients),
    blockedNetworks: both(blocked, decisions.blockedNetworks),
  };
}

function both(configured: readonly string[], decided: ReadonlyMap<string, string>): string[] {
  return [...new Set([...configured, ...decided.keys()])];
}
