// What a call comes to, as far as it is about the decisions alone: pure, whatever is kept and applied afterwards.

import type { Config } from "../config/schema.ts";
import { MANAGEMENT_METHODS } from "../nostr/management.ts";
import { inNetworks } from "../policy/networks.ts";
import type { Call } from "./call.ts";
import type { Decisions } from "./decisions.ts";
import { inForce } from "./in-force.ts";

/** What is answered, and what is decided from now on, where that changes; or why nothing is. */
export type Outcome =
  | { readonly result: unknown; readonly decisions?: Decisions }
  | { readonly error: string };

/** What is configured, and what was decided before. */
export type Known = { readonly config: Config; readonly decisions: Decisions };

// Keys in one list, or networks: what every thread is sent, and what is written, with each decision.
const MAX_DECISIONS = 10_000;

type List = "bannedRecipients" | "bannedAuthors" | "allowedRecipients" | "blockedNetworks";
type Setting = "deniedRecipients" | "deniedAuthors" | "allowedRecipients" | "blockedNetworks";
type Change = { readonly add?: readonly List[]; readonly remove?: readonly List[] };

const IN_CONFIGURATION = "named in the configuration";

/** Answers undefined for what is not about decisions. */
export function decide(call: Call, known: Known): Outcome | undefined {
  switch (call.method) {
    case "supportedmethods":
      return { result: Object.keys(MANAGEMENT_METHODS).filter((name) => name !== call.method) };
    case "banpubkey":
      return add(call, known, "bannedRecipients", "bannedAuthors");
    case "banrecipient":
      return add(call, known, "bannedRecipients");
    case "banauthor":
      return changed(call, known, { add: ["bannedAuthors"] });
    case "unbanpubkey":
      return remove(call, known, ["bannedRecipients", "bannedAuthors"]);
    case "unbanrecipient":
      return remove(call, known, ["bannedRecipients"]);
    case "unbanauthor":
      return remove(call, known, ["bannedAuthors"]);
    case "allowpubkey": {
      const lifted: readonly List[] = ["bannedRecipients", "bannedAuthors"];
      const refused = standing(call, known, lifted);
      return refused ?? changed(call, known, { add: ["allowedRecipients"], remove: lifted });
    }
    case "unallowpubkey":
      return remove(call, known, ["allowedRecipients"]);
    case "blockip":
      return changed(call, known, { add: ["blockedNetworks"] });
    case "unblockip":
      return unblock(call, known);
    case "listbannedpubkeys":
      return { result: bannedIn(known) };
    case "listallowedpubkeys":
      return { result: listed(known, "allowedRecipients", "allowedRecipients", "pubkey") };
    case "listblockedips":
      return { result: listed(known, "blockedNetworks", "blockedNetworks", "ip") };
    case "changerelayname":
      return renamed(call, known, "name");
    case "changerelaydescription":
      return renamed(call, known, "description");
    case "changerelayicon":
      return renamed(call, known, "icon");
    case "removebox":
    case "stats":
      return undefined;
  }
}

// NIP-86 of banpubkey: "Should automatically remove the pubkey from the allow list."
function add(call: Call, known: Known, ...lists: readonly List[]): Outcome {
  return changed(call, known, { add: lists, remove: ["allowedRecipients"] });
}

function remove(call: Call, known: Known, lists: readonly List[]): Outcome {
  return standing(call, known, lists) ?? changed(call, known, { remove: lists });
}

const CONFIGURED_AS: Readonly<Record<List, Setting>> = {
  bannedRecipients: "deniedRecipients",
  bannedAuthors: "deniedAuthors",
  allowedRecipients: "allowedRecipients",
  blockedNetworks: "blockedNetworks",
};

// What the configuration says goes on holding, so it would be no use to answer that it was taken back.
function standing(
  { subject }: Call,
  { config, decisions }: Known,
  lists: readonly List[],
): Outcome | undefined {
  const configured = inForce(config, { ...decisions, ...NOTHING });
  for (const list of lists) {
    const setting = CONFIGURED_AS[list];
    if (configured[setting].includes(subject)) {
      return { error: `it stands in ${setting} of the configuration; take it out there` };
    }
  }
  return undefined;
}

const NOTHING: Pick<Decisions, List> = {
  bannedRecipients: new Map(),
  bannedAuthors: new Map(),
  allowedRecipients: new Map(),
  blockedNetworks: new Map(),
};

function unblock(call: Call, known: Known): Outcome {
  const { blockedNetworks } = known.decisions;
  const refused = standing(call, known, ["blockedNetworks"]);
  if (refused !== undefined || blockedNetworks.has(call.subject)) {
    return refused ?? changed(call, known, { remove: ["blockedNetworks"] });
  }
  const within = inForce(known.config, known.decisions).blockedNetworks.find((network) =>
    inNetworks([network])(call.subject),
  );
  if (within === undefined) return { result: true };
  return { error: `it is in ${within}, which is blocked as a whole; unblock that` };
}

function changed(
  { subject, reason }: Call,
  { decisions }: Known,
  { add: added = [], remove: removed = [] }: Change,
): Outcome {
  const next = { ...decisions };
  for (const list of removed) {
    next[list] = new Map([...decisions[list]].filter(([one]) => one !== subject));
  }
  for (const list of added) {
    next[list] = new Map(decisions[list]).set(subject, reason);
    if (next[list].size > MAX_DECISIONS) {
      return { error: `${MAX_DECISIONS} are named already, the limit` };
    }
  }
  return { result: true, decisions: next };
}

function renamed({ subject }: Call, { decisions }: Known, key: "name" | "description" | "icon") {
  return {
    result: true,
    decisions: { ...decisions, [key]: subject === "" ? undefined : subject },
  };
}

function bannedIn(known: Known): object[] {
  const as = { recipient: "bannedRecipients", author: "bannedAuthors" } as const;
  const found = new Map<string, { pubkey: string; reason: string; as: string[] }>();
  for (const [role, list] of Object.entries(as)) {
    for (const { pubkey = "", reason } of listed(known, list, CONFIGURED_AS[list], "pubkey")) {
      const one = found.get(pubkey) ?? { pubkey, reason, as: [] };
      one.as.push(role);
      found.set(pubkey, one);
    }
  }
  return [...found.values()];
}

type Listed<Name extends string> = { readonly reason: string } & Partial<Record<Name, string>>;

// In the words of NIP-86.
function listed<Name extends "pubkey" | "ip">(
  { config, decisions }: Known,
  list: List,
  setting: Setting,
  name: Name,
): Listed<Name>[] {
  const all = new Map([
    ...inForce(config, { ...decisions, ...NOTHING })[setting].map(
      (one) => [one, IN_CONFIGURATION] as const,
    ),
    ...decisions[list],
  ]);
  return [...all].map(([one, reason]) => ({ [name]: one, reason }) as Listed<Name>);
}
