import {
  defaultSocketPolicies,
  diff,
  makeSocketPolicyAuth,
  Pool,
  publish,
  PublishStatus,
  request,
  Socket,
} from "@welshman/net";
import { Nip01Signer, Nip59 } from "@welshman/signer";
import { makeEvent } from "@welshman/util";

import { serve } from "./line.mjs";

// Its negentropy hashes with `window.crypto`, or with an older Node's `crypto`.
globalThis.window = globalThis;

serve(({ url, secret }) => {
  const signer = new Nip01Signer(Buffer.from(secret).toString("hex"));
  const sign = (template) => signer.sign(template);
  const policies = [...defaultSocketPolicies, makeSocketPolicyAuth({ sign })];
  const pool = new Pool({ makeSocket: (url) => new Socket(url, policies) });
  const context = { pool };

  return {
    sign,
    wrap: (to, content) =>
      Nip59.fromSigner(signer).wrap(to, makeEvent(14, { content, tags: [["p", to]] })),
    publish: async (event) => {
      const [result] = Object.values(await publish({ relays: [url], event, context }));
      if (result.status !== PublishStatus.Success) throw new Error(result.detail);
    },
    listen: (filters, onEvent, onClosed) => {
      void request({ relays: [url], filters, context, onEvent, onClosed });
    },
    reconcile: async (filter, events) => {
      // What was sent before AUTH is sent again after it, and a reconciliation cannot begin twice.
      await request({
        relays: [url],
        filters: [{ ...filter, limit: 1 }],
        autoClose: true,
        context,
      });
      const [{ have, need }] = await diff({ relays: [url], filters: [filter], events, context });
      return { have, need };
    },
  };
});
