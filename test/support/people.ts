import { generateSecretKey, getPublicKey } from "nostr-tools/pure";

export type Person = { readonly secret: Uint8Array; readonly key: string };

export function person(): Person {
  const secret = generateSecretKey();
  return { secret, key: getPublicKey(secret) };
}
