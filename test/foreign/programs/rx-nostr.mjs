import { seckeySigner, verifier } from "@rx-nostr/crypto";
import { createRxForwardReq, createRxNostr } from "rx-nostr";

import { serve } from "./line.mjs";

serve(({ url, secret }) => {
  const signer = seckeySigner(Buffer.from(secret).toString("hex"));
  const rxNostr = createRxNostr({ signer, verifier, authenticator: "auto" });
  rxNostr.setDefaultRelays([url]);

  return {
    sign: (template) => signer.signEvent(template),
    publish: (event) =>
      new Promise((resolve, reject) => {
        rxNostr.send(event).subscribe({
          next: ({ ok, notice }) => (ok ? resolve() : reject(new Error(notice))),
          error: reject,
        });
      }),
    listen: (filters, onEvent, onEnd) => {
      const request = createRxForwardReq();
      rxNostr.use(request).subscribe({
        next: ({ event }) => onEvent(event),
        error: onEnd,
        complete: () => onEnd("completed"),
      });
      request.emit(filters);
    },
  };
});
