// What the pages of the browser test run: the library as a browser gets it, and a few verbs that the test calls.

import {
  DeadDrop,
  type DeadDropOptions,
  indexedDbOutbox,
  type OutboxRecord,
  type PickedUp,
  secretSigner,
} from "../../../src/client/client.ts";

function client(secret: string, options: Partial<DeadDropOptions>): DeadDrop {
  return new DeadDrop({
    relays: [],
    keys: [secretSigner(bytes(secret))],
    patienceSeconds: 3,
    ...options,
  });
}

const verbs = {
  /** Sends, and answers what each relay said and how often the page had its turn meanwhile. */
  async send(secret: string, recipient: string, text: string, relays: string[]) {
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 5);
    const own = client(secret, {});
    const delivery = await (await own.send(recipient, text, { relays })).settled();
    clearInterval(counting);
    own.close();
    return { states: delivery.reports.map(({ state }) => state), turns };
  },

  /** Picks up, and acknowledges what came. Its outbox is called `outbox`. */
  async pickup(secret: string, relays: string[], outbox: string) {
    const own = client(secret, { relays, outbox: indexedDbOutbox(outbox) });
    const picked: PickedUp[] = [];
    for await (const each of own.pickup()) picked.push(each);
    const told = picked.length > 0 ? await own.acknowledge(picked.map(({ id }) => id)) : [];
    own.close();
    return {
      texts: picked.flatMap((each) => (each.type === "message" ? [each.message.content] : [])),
      told: told.map(({ state }) => state),
    };
  },

  /** Tells what waits in the outbox, and answers how much is left. */
  async flush(secret: string, relays: string[], outbox: string) {
    const own = client(secret, { relays, outbox: indexedDbOutbox(outbox) });
    const left = await own.flush();
    own.close();
    return left;
  },

  /** Puts a record as no version of the library does into an outbox. */
  async damage(outbox: string, record: object) {
    await indexedDbOutbox(outbox).put(record as OutboxRecord);
  },

  /** The ids in an outbox, and of what is damaged there. */
  async records(outbox: string) {
    const damaged: string[] = [];
    const store = indexedDbOutbox(outbox, { damaged: ({ id }) => damaged.push(id) });
    return { loaded: (await store.load()).map(({ id }) => id), damaged };
  },

  /** What a page of another origin gets from the HTTP door. */
  async fetched(url: string, authorization: string) {
    const response = await fetch(url, { headers: { authorization } });
    return {
      status: response.status,
      finished: response.headers.get("dead-drop-finished"),
      body: await response.text(),
    };
  },
};

export type Verbs = typeof verbs;

(globalThis as unknown as { verbs: Verbs }).verbs = verbs;

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
}
