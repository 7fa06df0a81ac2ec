// Finds a person's key by an address at a domain (NIP-05).

import { type DocumentRequest, fetchDocument } from "./document.ts";
import { type DomainAddress, isPublicKey, parsePerson, type Person } from "./person.ts";
import { isPrivateHost } from "./private-host.ts";

/** A domain does not say whose key an address is. */
export class Nip05Error extends Error {
  override readonly name = "Nip05Error";
}

/**
 * Whose key an address is, by the word of its domain, which may say something else tomorrow. The relays that the domain names are hints. Redirects are not followed
 * ("Clients MUST ignore any HTTP redirects"), nor is a domain within a private network asked. Rejects with a Nip05Error that says in words why there is no key.
 */
export async function lookUpNip05(
  { name, domain }: DomainAddress,
  request: Omit<DocumentRequest, "accept">,
): Promise<Person> {
  const shown = name === "_" ? domain : `${name}@${domain}`;
  if (isPrivateHost(domain)) {
    throw new Nip05Error(`${domain} is within a private network, and is not asked for ${shown}`);
  }
  const url = `https://${domain}/.well-known/nostr.json?name=${encodeURIComponent(name)}`;
  let document: Readonly<Record<string, unknown>>;
  try {
    document = await fetchDocument(url, { accept: "application/json", ...request });
  } catch (error) {
    throw new Nip05Error(`${domain} could not be asked for ${shown}: ${(error as Error).message}`);
  }
  const key = own(document["names"], name);
  if (key === undefined) throw new Nip05Error(`${domain} knows nobody by the name of ${shown}`);
  // "Keys must be returned in hex format, in lowercase"; not as npub1….
  if (typeof key !== "string" || !isPublicKey(key)) {
    throw new Nip05Error(`${domain} has no key for ${shown}, but something else in its place`);
  }
  const relays = own(document["relays"], key);
  const hints = Array.isArray(relays) ? relays.filter((relay) => typeof relay === "string") : [];
  return { key, hints };
}

/** Whom a text names, whether it is a key or an address. Throws like `parsePerson` and `lookUpNip05`. */
export async function findPerson(
  text: string,
  request: Omit<DocumentRequest, "accept">,
): Promise<Person> {
  const named = parsePerson(text);
  return "key" in named ? named : lookUpNip05(named, request);
}

function own(object: unknown, property: string): unknown {
  const isOwn = object instanceof Object && Object.hasOwn(object, property);
  return isOwn ? (object as Record<string, unknown>)[property] : undefined;
}
