import { NRelay1, NSecSigner } from "@nostrify/nostrify";

import { serve } from "./line.mjs";

serve(({ url, secret }) => {
  const signer = new NSecSigner(secret);
  const auth = (challenge) =>
    signer.signEvent({
      kind: 22242,
      created_at: Math.floor(Date.now() / 1_000),
      tags: [
        ["relay", url],
        ["challenge", challenge],
      ],
      content: "",
    });
  const relay = new NRelay1(url, { auth });

  return {
    sign: (template) => signer.signEvent(template),
    publish: (event) => relay.event(event),
    listen: async (filters, onEvent, onEnd) => {
      for await (const [verb, , event] of relay.req(filters)) {
        if (verb === "EVENT") onEvent(event);
      }
      onEnd("no more messages");
    },
    count: async (filter) => (await relay.count([filter])).count,
  };
});
