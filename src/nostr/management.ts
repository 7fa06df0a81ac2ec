// What can be asked of a relay by those who run it (NIP-86, "Relay Management API").

/** The media type by which a request is told from every other. */
export const MANAGEMENT_TYPE = "application/nostr+json+rpc";

/** What a parameter is: a public key, an address or a network, a text, or the reason for a decision, which comes last and may be left out. */
export type Parameter = "pubkey" | "ip" | "text" | "reason";

/**
 * The methods and their parameters, those of NIP-86 under its names. `banpubkey` is about the key as a recipient and as an author of kind 4; the four methods
 * that name one of the two, `removebox` and `stats` are ours.
 */
export const MANAGEMENT_METHODS = {
  supportedmethods: [],
  banpubkey: ["pubkey", "reason"],
  unbanpubkey: ["pubkey", "reason"],
  listbannedpubkeys: [],
  allowpubkey: ["pubkey", "reason"],
  unallowpubkey: ["pubkey", "reason"],
  listallowedpubkeys: [],
  banrecipient: ["pubkey", "reason"],
  unbanrecipient: ["pubkey", "reason"],
  banauthor: ["pubkey", "reason"],
  unbanauthor: ["pubkey", "reason"],
  removebox: ["pubkey", "reason"],
  blockip: ["ip", "reason"],
  unblockip: ["ip", "reason"],
  listblockedips: [],
  changerelayname: ["text"],
  changerelaydescription: ["text"],
  changerelayicon: ["text"],
  stats: [],
} as const satisfies Readonly<Record<string, readonly Parameter[]>>;

export type ManagementMethod = keyof typeof MANAGEMENT_METHODS;

export function isManagementMethod(name: string): name is ManagementMethod {
  return Object.hasOwn(MANAGEMENT_METHODS, name);
}
