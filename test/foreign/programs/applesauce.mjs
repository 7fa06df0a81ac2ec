import { RelayPool } from "applesauce-relay";
import { PrivateKeySigner } from "applesauce-signers";
import { first, firstValueFrom } from "rxjs";

import { serve } from "./line.mjs";

serve(({ url, secret }) => {
  const signer = new PrivateKeySigner(secret);
  const relay = new RelayPool().relay(url);
  relay.challenge$.subscribe((challenge) => {
    if (challenge !== null) relay.authenticate(signer).catch(console.error);
  });

  return {
    sign: (template) => signer.signEvent(template),
    publish: async (event) => {
      const { ok, message } = await relay.publish(event);
      if (!ok) throw new Error(message);
    },
    listen: (filters, onEvent, onEnd) => {
      relay.subscription(filters).subscribe({
        next: (response) => {
          if (response !== "EOSE") onEvent(response);
        },
        error: onEnd,
        complete: () => onEnd("completed"),
      });
    },
    count: async (filter) => (await firstValueFrom(relay.count(filter))).count,
    reconcile: async (filter, events) => {
      // A reconciliation alone does not hear the challenge.
      const reading = relay.subscription({ ...filter, limit: 1 }).subscribe();
      await firstValueFrom(relay.authenticated$.pipe(first(Boolean)));
      const found = { need: [], have: [] };
      await relay.negentropy(events, filter, async (have, need) => {
        found.have.push(...have);
        found.need.push(...need);
      });
      reading.unsubscribe();
      return found;
    },
  };
});
