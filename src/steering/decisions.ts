// What the operator decided while the relay ran, beside the configuration: kept in one file in the folder of the store, written whole, and read at the start.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { z } from "zod";

import { isHex32 } from "../nostr/hex.ts";
import { networkOf } from "../policy/networks.ts";
import { writeWhole } from "../store/write-whole.ts";

const FILE = "decisions.json";

const reason = z.string();
const banned = z.array(z.strictObject({ pubkey: z.string().refine(isHex32), reason }));
const texts = ["name", "description", "icon"] as const;

const schema = z.strictObject({
  format: z.literal(1),
  bannedRecipients: banned,
  bannedAuthors: banned,
  allowedRecipients: banned,
  blockedNetworks: z.array(
    z.strictObject({ ip: z.string().refine((text) => networkOf(text) === text), reason }),
  ),
  name: z.string().optional(),
  description: z.string().optional(),
  icon: z.string().optional(),
  /** Authorizations of decisions, by the ids of their events, and until when they are remembered. */
  used: z.array(z.strictObject({ id: z.string().refine(isHex32), until: z.int() })),
});

/** By key or network, why. */
type Reasons = ReadonlyMap<string, string>;

export type Decisions = {
  readonly bannedRecipients: Reasons;
  /** Of kind 4. */
  readonly bannedAuthors: Reasons;
  /** Beside those of the configuration, where that names any. */
  readonly allowedRecipients: Reasons;
  /** As `networkOf` spells them. */
  readonly blockedNetworks: Reasons;
  /** Instead of what the configuration says. */
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly icon?: string | undefined;
};

export type Used = ReadonlyMap<string, number>;

/** The decisions kept in this folder, and the authorizations that were used for them; none when there never were any. Throws, with what to do, when the file is damaged. */
export function readDecisions(folder: string): { decisions: Decisions; used: Used } {
  const file = join(folder, FILE);
  const none = { format: 1, bannedRecipients: [], bannedAuthors: [], allowedRecipients: [] };
  const text = existsSync(file)
    ? readFileSync(file, "utf8")
    : JSON.stringify({ ...none, blockedNetworks: [], used: [] });
  let kept: z.infer<typeof schema>;
  try {
    kept = schema.parse(JSON.parse(text));
  } catch (error) {
    throw new Error(
      `${file} is damaged; put it right, or move it away and decide again whom the relay bans, allows and blocks`,
      { cause: error },
    );
  }
  const { name, description, icon } = kept;
  return {
    decisions: {
      bannedRecipients: byKey(kept.bannedRecipients),
      bannedAuthors: byKey(kept.bannedAuthors),
      allowedRecipients: byKey(kept.allowedRecipients),
      blockedNetworks: new Map(kept.blockedNetworks.map(({ ip, reason }) => [ip, reason])),
      name,
      description,
      icon,
    },
    used: new Map(kept.used.map(({ id, until }) => [id, until])),
  };
}

function byKey(list: z.infer<typeof banned>): Reasons {
  return new Map(list.map(({ pubkey, reason }) => [pubkey, reason]));
}

/** Keeps these instead of those of before: on disk when it returns. When it throws, either may be. */
export function keepDecisions(folder: string, decisions: Decisions, used: Used): void {
  const kept: z.infer<typeof schema> = {
    format: 1,
    bannedRecipients: listOf(decisions.bannedRecipients),
    bannedAuthors: listOf(decisions.bannedAuthors),
    allowedRecipients: listOf(decisions.allowedRecipients),
    blockedNetworks: [...decisions.blockedNetworks].map(([ip, reason]) => ({ ip, reason })),
    used: [...used].map(([id, until]) => ({ id, until })),
  };
  for (const key of texts) if (decisions[key] !== undefined) kept[key] = decisions[key];
  writeWhole(join(folder, FILE), `${JSON.stringify(kept, undefined, 2)}\n`);
}

/** As NIP-86 lists them. */
export function listOf(reasons: Reasons): { pubkey: string; reason: string }[] {
  return [...reasons].map(([pubkey, reason]) => ({ pubkey, reason }));
}
