import NDK, {
  giftWrap,
  NDKEvent,
  NDKPrivateKeySigner,
  NDKRelayAuthPolicies,
  NDKRelaySet,
} from "@nostr-dev-kit/ndk";

import { serve } from "./line.mjs";

serve(async ({ url, secret }) => {
  const signer = new NDKPrivateKeySigner(secret);
  const ndk = new NDK({ explicitRelayUrls: [url], signer, enableOutboxModel: false });
  ndk.relayAuthDefaultPolicy = NDKRelayAuthPolicies.signIn({ ndk });
  await ndk.connect();
  const relays = NDKRelaySet.fromRelayUrls([url], ndk);

  return {
    sign: async (template) => {
      const event = new NDKEvent(ndk, template);
      await event.sign();
      return event.rawEvent();
    },
    wrap: async (to, text) => {
      const { pubkey } = await signer.user();
      const message = {
        kind: 14,
        pubkey,
        created_at: Math.floor(Date.now() / 1_000),
        tags: [["p", to]],
        content: text,
      };
      const wrap = await giftWrap(new NDKEvent(ndk, message), ndk.getUser({ pubkey: to }), signer);
      return wrap.rawEvent();
    },
    publish: (event) => new NDKEvent(ndk, event).publish(relays),
    listen: (filters, onEvent, onEnd) => {
      const onClose = () => onEnd("closed");
      ndk.subscribe(filters, { closeOnEose: false, relaySet: relays, onEvent, onClose });
    },
    count: async (filter) => (await relays.count(filter)).count,
  };
});
