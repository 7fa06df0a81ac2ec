import type { Check } from "../check.ts";
import { must, mustBe } from "../verdict.ts";
import { filterChecks } from "./basics-filters.ts";
import { nipCheck } from "./define.ts";

const OK_ANSWERS =
  "`OK` messages MUST be sent in response to `EVENT` messages received from clients, they must have the 3rd parameter set to `true` when an event has been accepted by the relay, `false` otherwise.";
const RELAY_VERBS = new Set("EVENT OK EOSE CLOSED NOTICE AUTH COUNT NEG-MSG NEG-ERR".split(" "));

/** NIP-01, as far as a relay that holds drops needs it. Gift wraps and their recipient are used throughout, since such a relay takes nothing else. */
export const basicsChecks: readonly Check[] = [
  nipCheck({
    id: "basics/ok",
    nip: "01",
    sentence: OK_ANSWERS,
    title: "answers a good event with OK, its id, true and a string",
    async run(context) {
      await context.drop(context.wrap({ to: context.person() }));
    },
  }),
  nipCheck({
    id: "basics/forged",
    nip: "01",
    sentence:
      "otherwise it MUST be a string formed by a machine-readable single-word prefix followed by a `:` and then a human-readable message.",
    title: "refuses an event whose signature, key, content or id is not the signed one",
    async run(context) {
      const to = context.person();
      const event = context.wrap({ to });
      const other = context.wrap({ to });
      await context.refused("an event with a foreign signature", { ...event, sig: other.sig });
      await context.refused("an event with a foreign key", { ...event, pubkey: other.pubkey });
      await context.refused("an event with another content", { ...event, content: "changed" });
      await context.refused("an event with another id", { ...event, id: to.key });
      const reader = await context.reader("recipient", to);
      mustBe("the recipient's events", await reader.pickup({ "#p": [to.key] }), []);
    },
  }),
  nipCheck({
    id: "basics/malformed",
    nip: "01",
    sentence: OK_ANSWERS,
    title: "goes on after messages that are none",
    async run(context) {
      const to = context.person();
      const sender = await context.sender();
      const { connection } = await context.open("confused client");
      for (const text of ["", "{", "null", "[]", '["REQ"]', '["EVENT",{}]', '["WHAT",1]', "[[[["]) {
        connection.sayRaw(text);
      }
      // A relay may hang up on such a client. It must not fall over for who comes after it, or for who was there before.
      const later = await context.open("later client");
      for (const client of [later, sender]) {
        const { accepted, reason } = await client.publish(context.wrap({ to }));
        must(accepted, `an event of the ${client.connection.name} was refused: ${reason}`);
      }
    },
  }),
  nipCheck({
    id: "basics/verbs",
    nip: "01",
    sentence: "Relays can send 5 types of messages, which must also be JSON arrays",
    title: "says nothing but what NIP-01, 42, 45 and 77 define",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      await reader.publish(context.wrap({ to }));
      await reader.pickup({ "#p": [to.key] });
      for (const { message, text } of reader.connection.since(0)) {
        must(RELAY_VERBS.has(message[0]), `the relay said ${text}`);
      }
    },
  }),
  nipCheck({
    id: "basics/round-trip",
    nip: "01",
    sentence: "all other characters must be included verbatim",
    title: "gives an event back as it was signed",
    async run(context) {
      const to = context.person();
      const content = 'line\nquote " back\\slash \t\r\b\f \u007f é 日本 🎁 \u2028 </script>';
      const event = context.wrap({
        to,
        content,
        tags: [["alt", content], ["empty", ""], ["-one"]],
      });
      await context.drop(event);
      const reader = await context.reader("recipient", to);
      const { events, closed } = await reader.request([{ "#p": [to.key] }]);
      must(closed === undefined, `the REQ was refused: ${closed}`);
      const fields = ["id", "pubkey", "created_at", "kind", "tags", "content", "sig"] as const;
      for (const field of fields) {
        const got = JSON.stringify(events[0]?.[field]);
        const sent = JSON.stringify(event[field]);
        must(got === sent, `${field} came back as ${got}, not as ${sent}`);
      }
    },
  }),
  nipCheck({
    id: "basics/live",
    nip: "01",
    sentence:
      "store that filter and send again all future events it receives to that same websocket",
    title: "sends stored events, EOSE, and then what comes in",
    async run(context) {
      const to = context.person();
      const stored = context.wrap({ to });
      const live = context.wrap({ to });
      await context.drop(stored);
      const reader = await context.reader("recipient", to);
      const { subscription, ids } = await reader.request([{ kinds: [1059], "#p": [to.key] }]);
      mustBe("the stored events", ids, [stored]);
      await context.drop(live);
      await reader.delivered(subscription, live);
    },
  }),
  nipCheck({
    id: "basics/close",
    nip: "01",
    sentence: '`["CLOSE", <subscription_id>]`, used to stop previous subscriptions.',
    title: "sends nothing on a subscription that was closed",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      const closed = await reader.subscribe({ "#p": [to.key] });
      const open = await reader.subscribe({ "#p": [to.key] });
      reader.connection.say("CLOSE", closed);
      // The answer to a later question shows that CLOSE was read.
      await reader.pickup({ "#p": [to.key] });
      const event = context.wrap({ to });
      await context.drop(event);
      await reader.delivered(open, event);
      await reader.pickup({ "#p": [to.key], limit: 1 });
      const strays = reader.connection
        .since(0)
        .filter(({ message: [verb, id] }) => verb === "EVENT" && id === closed);
      must(strays.length === 0, "an event came on the closed subscription");
    },
  }),
  nipCheck({
    id: "basics/replace",
    nip: "01",
    sentence:
      "a new `REQ` is sent using the same `<subscription_id>`, in which case relay MUST overwrite the previous subscription.",
    title: "replaces a subscription by a REQ with its id",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      await reader.request([{ kinds: [1059], "#p": [to.key] }], "one");
      await reader.request([{ kinds: [4], "#p": [to.key] }], "one");
      const witness = await reader.subscribe({ kinds: [1059], "#p": [to.key] });
      const wrap = context.wrap({ to });
      await context.drop(wrap);
      await reader.delivered(witness, wrap);
      await reader.pickup({ "#p": [to.key], limit: 1 });
      const strays = reader.connection
        .since(0)
        .filter(({ message: [verb, id] }) => verb === "EVENT" && id === "one");
      must(strays.length === 0, "an event came for the filter that was replaced");
    },
  }),
  nipCheck({
    id: "basics/subscription-per-connection",
    nip: "01",
    sentence:
      "Relays MUST manage `<subscription_id>`s independently for each WebSocket connection.",
    title: "keeps equal subscription ids of two connections apart",
    async run(context) {
      const to = context.person();
      const one = await context.reader("first device", to);
      const other = await context.reader("second device", to);
      await one.request([{ "#p": [to.key] }], "same");
      await other.request([{ "#p": [to.key] }], "same");
      other.connection.say("CLOSE", "same");
      await other.pickup({ "#p": [to.key], limit: 1 });
      const event = context.wrap({ to });
      await context.drop(event);
      await one.delivered("same", event);
    },
  }),
  nipCheck({
    id: "basics/subscription-id",
    nip: "01",
    sentence: "`<subscription_id>` is an arbitrary, non-empty string of max length 64 chars.",
    title: "takes any subscription id of 64 characters",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      for (const id of ["x".repeat(64), 'quote " \\ back', "ünï 🎁"]) {
        const { closed } = await reader.request([{ "#p": [to.key] }], id);
        must(closed === undefined, `the subscription id ${JSON.stringify(id)}: ${closed}`);
      }
    },
  }),
  ...filterChecks,
  nipCheck({
    id: "basics/refused-req",
    nip: "01",
    sentence:
      "`CLOSED` messages MUST be sent in response to a `REQ` when the relay refuses to fulfill it.",
    title: "answers every REQ with EOSE or CLOSED, also one it cannot understand",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      const filters = [{ ids: "none" }, { kinds: ["1059"] }, { since: "yesterday" }, { "#p": [7] }];
      for (const filter of filters) {
        const { closed } = await reader.request([filter]);
        must(
          closed === undefined || /^[a-z-]+: ?\S/.test(closed),
          `CLOSED has "${closed}" and no prefix`,
        );
      }
    },
  }),
];
