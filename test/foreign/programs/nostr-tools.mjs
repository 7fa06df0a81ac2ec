import { finalizeEvent, nip17, nip77, SimplePool } from "nostr-tools";

import { serve } from "./line.mjs";

serve(({ url, secret }) => {
  const sign = async (template) => finalizeEvent(template, secret);
  const pool = new SimplePool({ enableReconnect: true });
  pool.automaticallyAuth = () => sign;

  return {
    sign,
    wrap: (to, text) => nip17.wrapEvent(secret, { publicKey: to }, text),
    publish: (event) => Promise.all(pool.publish([url], event)),
    listen: (filters, onevent, onclose) => {
      const requests = filters.map((filter) => ({ url, filter }));
      pool.subscribeMap(requests, { onauth: sign, onevent, onclose });
    },
    count: async (filter) => (await pool.ensureRelay(url)).count([filter], {}),
    reconcile: async (filter, events) => {
      const storage = new nip77.NegentropyStorageVector();
      for (const { created_at, id } of events) storage.insert(created_at, id);
      storage.seal();
      const relay = await pool.ensureRelay(url);
      const [need, have] = [[], []];
      return new Promise((resolve, reject) => {
        const sync = new nip77.NegentropySync(relay, storage, filter, {
          onneed: (id) => need.push(id),
          onhave: (id) => have.push(id),
          onclose: (reason) => {
            // What was refused is not closed, and is asked for as a subscription after a reconnect.
            sync.close();
            if (reason === undefined) resolve({ need, have });
            else reject(new Error(reason));
          },
        });
        sync.start().catch(reject);
      });
    },
  };
});
