// People as people write them: npub1…, nprofile1… (NIP-19), both behind nostr: (NIP-21), a key in hex, or an address at a domain (NIP-05).

import { schnorr } from "@noble/curves/secp256k1.js";
import { decode } from "nostr-tools/nip19";

import { isHex32 } from "../nostr/hex.ts";

export type Person = {
  /** 64 lowercase hex digits. */
  readonly key: string;
  /** Relays that are said to know more of this person; strangers' writing, and maybe no URLs. */
  readonly hints: readonly string[];
};

export type DomainAddress = {
  /** `_` for the domain itself. */
  readonly name: string;
  readonly domain: string;
};

const FORMS = "npub1…, nprofile1…, 64 hex digits, or an address such as bob@example.com";
const AGAIN = "copy it again";
const NPUB_CHARS = 63;
const KEY_DIGITS = 64;
// Fewer are no key that was cut short.
const LIKE_A_KEY = /^[0-9a-f]{40,}$/i;

// NIP-19, what else there is.
const OTHERS: Readonly<Record<string, string>> = {
  note: "a message",
  nevent: "a message",
  naddr: "something that somebody published",
  nrelay: "a relay",
};

/**
 * Whom a text names: a key, or the address by which `lookUpNip05` finds it. Space around it and capital letters do not matter. Throws a TypeError that says what
 * is wrong with it, in a sentence for whoever typed it; what may be a secret key is in no error.
 */
export function parsePerson(text: string): Person | DomainAddress {
  const bare = text.trim().replace(/^nostr:(?:\/\/)?/i, "");
  if (/nsec1|ncryptsec1/i.test(bare)) throw new TypeError(secretSaid(bare));
  const [, prefix = ""] = /^(n[a-z]+)1/i.exec(bare.toLowerCase()) ?? [];
  if (prefix === "npub") return { key: keyInNpub(bare), hints: [] };
  if (prefix === "nprofile") return personInProfile(bare);
  const other = OTHERS[prefix];
  if (other !== undefined) {
    throw new TypeError(`${prefix}1… names ${other}, not a person; give ${FORMS}`);
  }
  if (LIKE_A_KEY.test(bare)) return { key: keyInHex(bare), hints: [] };
  const address = addressIn(bare);
  if (address === undefined) throw new TypeError(`that is no person; give ${FORMS}`);
  return address;
}

function secretSaid(text: string): string {
  const what = /ncryptsec1/i.test(text)
    ? "SECRET key, encrypted (ncryptsec1…)"
    : "SECRET key (nsec1…)";
  return `that is a ${what}, not a person, and nothing was sent. Whoever saw it, on a screen or in a shell's history, can read and write as its owner; if that may be anybody, make a new key. Give the npub1… instead`;
}

function keyInNpub(text: string): string {
  if (text.length < NPUB_CHARS) {
    throw new TypeError(
      `the npub is cut short: it has ${text.length} characters of ${NPUB_CHARS}; ${AGAIN}`,
    );
  }
  if (text.length > NPUB_CHARS) {
    throw new TypeError(
      `the npub is too long: it has ${text.length} characters, ${NPUB_CHARS} are right; ${AGAIN}`,
    );
  }
  const key = decoded(text);
  if (typeof key !== "string") throw damaged("npub");
  return onCurve(key);
}

function personInProfile(text: string): Person {
  const profile = decoded(text) as { pubkey: string; relays?: string[] } | undefined;
  if (profile === undefined) throw damaged("nprofile");
  return { key: onCurve(profile.pubkey), hints: profile.relays ?? [] };
}

// BIP-173: all upper case is allowed, as in QR codes; a mixture is not.
function decoded(text: string): unknown {
  try {
    return decode(/[a-z]/.test(text) ? text : text.toLowerCase()).data;
  } catch {
    return undefined;
  }
}

function damaged(what: "npub" | "nprofile"): TypeError {
  const or = what === "nprofile" ? " or is cut short" : "";
  return new TypeError(`the ${what} has a typing error${or}: its checksum is wrong; ${AGAIN}`);
}

function keyInHex(text: string): string {
  if (text.length !== KEY_DIGITS) {
    throw new TypeError(
      `that has ${text.length} hex digits, and a key has ${KEY_DIGITS}; ${AGAIN}`,
    );
  }
  return onCurve(text.toLowerCase());
}

// Half of all numbers are the key of nobody, so this finds every other typing error in hex, which has no checksum.
function onCurve(key: string): string {
  if (isPublicKey(key)) return key;
  throw new TypeError(`that is the key of nobody, so it has a typing error; ${AGAIN}`);
}

/** Whether 64 lowercase hex digits are the x coordinate of a point (BIP-340), so that they can be somebody's key. */
export function isPublicKey(key: string): boolean {
  try {
    schnorr.utils.lift_x(BigInt(`0x${key}`));
    return isHex32(key);
  } catch {
    return false;
  }
}

// NIP-05: "`<name>`s MUST only use characters `a-z0-9-_.`"; a domain alone stands for "_@<domain>".
const ADDRESS = /^(?:(?<name>[a-z0-9._-]+)@)?(?<domain>[^\s@/\\?#:]+)$/i;

function addressIn(text: string): DomainAddress | undefined {
  const { name, domain = "" } = ADDRESS.exec(text)?.groups ?? {};
  const isDomain = name !== undefined || /.\.[^.\d]/.test(domain);
  if (!isDomain || !URL.canParse(`https://${domain}/`)) return undefined;
  const { hostname } = new URL(`https://${domain}/`);
  return { name: (name ?? "_").toLowerCase(), domain: hostname };
}
