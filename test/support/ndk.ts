import NDK, {
  giftUnwrap,
  giftWrap,
  NDKEvent,
  NDKPrivateKeySigner,
  NDKRelayAuthPolicies,
  NDKRelaySet,
  NDKSubscriptionCacheUsage,
} from "@nostr-dev-kit/ndk";
import { onTestFinished } from "vitest";

import { now } from "./client.ts";
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

/** A message of this kind, as NDK makes them. */
export function messageBy(
  ndk: NDK,
  { from, to, content, kind = 14 }: { from: Person; to: Person; content: string; kind?: number },
): NDKEvent {
  const tags = [["p", to.key]];
  return new NDKEvent(ndk, { kind, pubkey: from.key, created_at: now(), tags, content });
}

/** The gift wrap of a message to somebody, as NDK makes them. */
export function wrapBy(
  ndk: NDK,
  message: { from: Person; to: Person; content: string },
): Promise<NDKEvent> {
  return giftWrap(messageBy(ndk, message), ndk.getUser({ pubkey: message.to.key }));
}

/** Publishes at this relay alone. Answers the URLs of those that took it. */
export async function publishAt(url: string, ndk: NDK, event: NDKEvent): Promise<string[]> {
  const took = await event.publish(NDKRelaySet.fromRelayUrls([url], ndk));
  return Array.from(took, (relay) => relay.url);
}

/** Subscribes. `ready` when all that is held was shown, `event` the first that is shown. */
export function nextEvent(
  ndk: NDK,
  filter: { kinds?: number[]; "#p"?: string[] },
): { ready: Promise<void>; event: Promise<NDKEvent> } {
  const subscription = ndk.subscribe(filter, {
    closeOnEose: false,
    cacheUsage: NDKSubscriptionCacheUsage.ONLY_RELAY,
  });
  return {
    ready: new Promise((resolve) => subscription.once("eose", () => resolve())),
    event: new Promise((resolve) => subscription.once("event", resolve)),
  };
}

/** What NDK reads in a gift wrap. */
export async function readBy(wrap: NDKEvent): Promise<[kind: number, by: string, content: string]> {
  const { kind, pubkey, content } = await giftUnwrap(wrap);
  return [kind ?? 0, pubkey, content];
}
