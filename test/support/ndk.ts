import NDK, { NDKPrivateKeySigner, NDKRelayAuthPolicies } from "@nostr-dev-kit/ndk";
import { onTestFinished } from "vitest";

import type { Person } from "./people.ts";

/** An NDK that knows this relay alone and signs in where it is asked to. */
export async function signedIn(who: Person, url: string): Promise<NDK> {
  const ndk = new NDK({
    explicitRelayUrls: [url],
    signer: new NDKPrivateKeySigner(who.secret),
    enableOutboxModel: false,
    autoConnectUserRelays: false,
  });
  ndk.relayAuthDefaultPolicy = NDKRelayAuthPolicies.signIn({ ndk });
  onTestFinished(() => {
    for (const { url } of ndk.pool.relays.values()) ndk.pool.removeRelay(url);
  });
  const isIn = new Promise<void>((resolve) => {
    ndk.pool.once("relay:authed", () => resolve());
  });
  await ndk.connect();
  await isIn;
  return ndk;
}
