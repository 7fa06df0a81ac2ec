// The conversation with the driver: one JSON line for an order, one for its answer, and one for each event that a subscription shows. See ../conversation.ts.

import { createInterface } from "node:readline";

import { finalizeEvent, generateSecretKey } from "nostr-tools/pure";

const orders = {
  // A drop, as the library makes them.
  async send(client, { to, text }) {
    const wrap = client.wrap === undefined ? opaqueWrap(to) : await client.wrap(to, text);
    await client.publish(wrap);
    return wrap.id;
  },
  async write(client, { to, text }) {
    const message = await client.sign(template(4, [["p", to]], text));
    await client.publish(message);
    return message.id;
  },
  async remove(client, { ids }) {
    const tags = [...ids.map((id) => ["e", id]), ["k", "1059"]];
    await client.publish(await client.sign(template(5, tags, "")));
  },
  // Goes on: each event is a line, and so is the end of the subscription.
  listen(client, { filters, name }) {
    client.listen(
      filters,
      ({ id }) => say({ name, event: id }),
      (reason) => say({ name, ended: JSON.stringify(reason.message ?? reason) }),
    );
  },
  count: (client, { filter }) => client.count(filter),
  // What is there and not here, and what is here and not there.
  reconcile: (client, { filter, events }) => client.reconcile(filter, events),
};

/** Carries out what the driver orders. `open` makes a client of the library, for one person and one relay. */
export function serve(open) {
  const clients = new Map();
  createInterface({ input: process.stdin })
    .on("line", (line) => void answer(JSON.parse(line)))
    .once("close", () => process.exit(0));
  say({ ready: true });

  async function answer({ number, order, as, ...given }) {
    try {
      if (order === "open") {
        const { url, secret } = given;
        clients.set(as, await open({ url, secret: Uint8Array.from(Buffer.from(secret, "hex")) }));
        say({ number, answer: null });
        return;
      }
      const answer = await orders[order](clients.get(as), given);
      say({ number, answer: answer ?? null });
    } catch (error) {
      say({ number, refused: error instanceof Error ? error.message : String(error) });
    }
  }
}

/** What no library caught by itself belongs in the log, and is no reason to end. */
process.on("uncaughtException", (error) => console.error(error));

/** Like `console.log` of libraries, everything but the conversation goes to stderr. */
for (const level of ["log", "info", "debug", "warn"]) console[level] = console.error;

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function template(kind, tags, content) {
  return { kind, created_at: Math.floor(Date.now() / 1_000), tags, content };
}

/** What a relay sees of a gift wrap, for libraries that make none. */
function opaqueWrap(to) {
  return finalizeEvent(template(1059, [["p", to]], "opaque"), generateSecretKey());
}
