import type { NostrEvent } from "../../nostr/event.ts";
import { AUTHENTICATION, GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import type { Client, Filter } from "../client.ts";
import type { Context } from "../context.ts";
import { nowSeconds, type Person } from "../people.ts";
import { must, mustBe, Skipped } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";
import { answerToLateAuth } from "./held.ts";

// Longer than the silence after which a relay may challenge.
const UNASKED_SECONDS = 3;

/** The ports that a URL of these schemes names without saying so. */
const OWN_PORTS: Readonly<Record<string, string>> = { "ws:": "80", "wss:": "443" };

const NIP_42 = { nip: "42", needs: [42] } as const;

/** What the box of this person shows to a connection that has not authenticated. */
async function shownToAnyone(context: Context, { key }: Person): Promise<readonly string[]> {
  const nobody = await context.open("nobody");
  return (await nobody.request([{ kinds: [GIFT_WRAP], "#p": [key] }])).ids;
}

/**
 * Says a wrong AUTH, which must be refused, and then expects to be as much a stranger as before. Where anyone is shown the box, AUTH opens nothing: that is one finding, of
 * `auth/anyone`, and none of each check.
 */
async function refusedAuth(
  context: Context,
  what: string,
  wrong: (client: Client, person: Person) => Promise<NostrEvent>,
): Promise<void> {
  const person = context.person();
  const drop = context.wrap({ to: person });
  await context.drop(drop);
  const client = await context.open("intruder");
  const { accepted, reason } = await client.authenticateWith(await wrong(client, person));
  must(!accepted, `an AUTH event with ${what} was believed`);
  must(/^[a-z-]+: ?\S/.test(reason), `it was refused with "${reason}", without a prefix`);
  const { ids } = await client.request([{ kinds: [GIFT_WRAP], "#p": [person.key] }]);
  if (ids.length > 0 && (await shownToAnyone(context, person)).length > 0) {
    throw new Skipped("the relay shows wraps to anyone, with AUTH or without");
  }
  must(ids.length === 0, `an AUTH event with ${what} was refused, and opened the box all the same`);
}

export const authChecks: readonly Check[] = [
  deadDropCheck({
    id: "auth/asked",
    covers: ["pickup-1"],
    title: "sends a challenge to a connection that asks for something",
    async run(context) {
      await (await context.open("client")).challenge();
    },
  }),
  deadDropCheck({
    id: "auth/unasked",
    covers: ["pickup-15"],
    title: "sends no challenge to a connection that only publishes, at first or later",
    async run(context) {
      const sender = await context.open("sender");
      const publish = async (): Promise<void> => {
        const drop = context.wrap({ to: context.person() });
        must((await sender.publish(drop)).accepted, "a drop was refused");
        must(sender.challenges.length === 0, "a connection that only publishes was challenged");
      };
      await publish();
      await context.untilSecond(nowSeconds() + UNASKED_SECONDS);
      await publish();
    },
  }),
  nipCheck({
    id: "auth/anyone",
    nip: "59",
    sentence: "relays SHOULD only serve `kind 1059` events intended for the marked recipient.",
    needs: [42],
    title: "shows a gift wrap to no connection that has not authenticated",
    async run(context) {
      const person = context.person();
      await context.drop(context.wrap({ to: person }));
      const shown = await shownToAnyone(context, person);
      must(shown.length === 0, "the relay shows wraps to anyone");
    },
  }),
  deadDropCheck({
    id: "auth/overtaken",
    covers: ["pickup-16"],
    title: "answers a REQ that comes right before AUTH as if it came after it",
    async run(context) {
      const person = context.person();
      const drop = context.wrap({ to: person });
      await context.drop(drop);
      const client = await context.open("client");
      const event = await client.authEvent(person);
      // Together, as either may be in vain.
      const [{ closed, ids }, { accepted, reason }] = await Promise.all([
        client.request([{ "#p": [person.key] }]),
        client.authenticateWith(event),
      ]);
      must(accepted, `AUTH was refused: ${reason}`);
      must(closed === undefined, `the REQ was not held, but closed: ${closed}`);
      mustBe("the box", ids, [drop]);
    },
  }),
  deadDropCheck({
    id: "auth/held",
    covers: ["pickup-16"],
    title: "holds a REQ, and a COUNT, while the answer to its challenge is on its way",
    async run(context) {
      const person = context.person();
      const drop = context.wrap({ to: person });
      await context.drop(drop);
      const filters = [{ "#p": [person.key] }];
      const { ids } = await answerToLateAuth(context, person, (client) => client.request(filters));
      mustBe("the box", ids, [drop]);
      if (!context.counts) return;
      const counted = await answerToLateAuth(context, person, (client) => client.count(filters));
      must(counted.count === 1, `a box of 1 is counted as ${counted.count}`);
    },
  }),
  deadDropCheck({
    id: "auth/again",
    covers: ["pickup-17"],
    title: "sends its challenge again before it refuses for want of a key, or of another one",
    async run(context) {
      const client = await context.open("client");
      const refused = async (why: string, what: readonly Filter[]): Promise<void> => {
        const mark = client.connection.mark;
        const { closed } = await client.request(what);
        must(closed?.startsWith(why) === true, `a REQ was not refused with ${why}`);
        const since = client.connection.since(mark).map(({ message: [verb] }) => verb);
        const isFirst =
          since.indexOf("AUTH") >= 0 && since.indexOf("AUTH") < since.indexOf("CLOSED");
        must(isFirst, `no challenge came before ${why}`);
      };
      const [one, other] = [context.person(), context.person()];
      await refused("auth-required:", [{ "#p": [one.key] }]);
      await refused("auth-required:", [{ "#p": [one.key] }]);
      await client.authenticate(one);
      await refused("restricted:", [{ "#p": [other.key] }]);
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/own-challenge",
    sentence:
      "The challenge is valid for the duration of the connection or until another challenge is sent by the relay.",
    title: "gives each connection a challenge of its own",
    async run(context) {
      const challenges: string[] = [];
      const next = async (name: string): Promise<Client> => {
        const client = await context.reader(name, context.person());
        const challenge = await client.challenge();
        must(!challenges.includes(challenge), `a challenge was sent to two connections: ${name}`);
        challenges.push(challenge);
        return client;
      };
      const first = await next("first");
      await next("second, while the first is open");
      first.connection.end();
      await next("third, after the first was closed");
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/ok",
    sentence:
      "`AUTH` messages sent by clients MUST be answered with an `OK` message, like any `EVENT` message.",
    title: "answers a good AUTH with OK true",
    async run(context) {
      const person = context.person();
      // The reader has to authenticate where there is a challenge, and fails if that is not answered.
      await (await context.reader("client", person)).challenge();
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-challenge",
    sentence: 'that the `"challenge"` tag matches the challenge sent before;',
    title: "refuses a challenge that is made up, or none",
    async run(context) {
      await refusedAuth(context, "a made-up challenge", (client, person) =>
        client.authEvent(person, { challenge: "made up" }),
      );
      await refusedAuth(context, "no challenge", (client, person) =>
        client.authEvent(person, { tags: [["relay", context.url]] }),
      );
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/foreign-challenge",
    sentence: 'that the `"challenge"` tag matches the challenge sent before;',
    title: "refuses the challenge of another connection, so that nobody can replay an AUTH",
    async run(context) {
      const other = await context.open("other client");
      const challenge = await other.challenge();
      await refusedAuth(context, "another connection's challenge", (client, person) =>
        client.authEvent(person, { challenge }),
      );
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-host",
    sentence: 'that the `"relay"` tag matches the relay URL:',
    obligations: ["pickup-11"],
    title: "refuses an AUTH that was meant for another relay",
    async run(context) {
      const hosts = [
        "wss://relay.example.com/",
        `wss://${new URL(context.url).host}.example.com/`,
        "",
      ];
      const asked = hosts.map((relay) =>
        refusedAuth(context, `the relay "${relay}"`, (client, person) =>
          client.authEvent(person, { relay }),
        ),
      );
      const bare = refusedAuth(context, "no relay tag", async (client, person) =>
        client.authEvent(person, { tags: [["challenge", await client.challenge()]] }),
      );
      await Promise.all([...asked, bare]);
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-port",
    sentence: 'that the `"relay"` tag matches the relay URL:',
    obligations: ["pickup-11"],
    title: "refuses an AUTH for another port of its host",
    async run(context) {
      const { protocol, hostname, port } = new URL(context.url);
      const own = port === "" ? OWN_PORTS[protocol] : port;
      // A URL without a port names the one of its scheme.
      const ports = ["1", "65535", ...(port === "" ? [] : [""])].filter((other) => other !== own);
      const asked = ports.map((other) => {
        const relay = `${protocol}//${hostname}${other === "" ? "" : `:${other}`}/`;
        return refusedAuth(context, `the relay "${relay}"`, (client, person) =>
          client.authEvent(person, { relay }),
        );
      });
      await Promise.all(asked);
    },
  }),
  deadDropCheck({
    id: "auth/same-host",
    covers: ["pickup-11"],
    title: "believes an AUTH whose relay tag differs in path and scheme only",
    async run(context) {
      const { host, hostname, port, protocol } = new URL(context.url);
      const own = port === "" ? OWN_PORTS[protocol] : port;
      const otherScheme = protocol === "wss:" ? "ws:" : "wss:";
      const variants = [
        `${protocol}//${host}`,
        `${protocol}//${host}/`,
        `${protocol}//${host}/a/b`,
        `${protocol}//${hostname}:${own}/`,
      ];
      for (const relay of [...variants, `${otherScheme}//${host}/`]) {
        const client = await context.open("client");
        const event = await client.authEvent(context.person(), { relay });
        const { accepted, reason } = await client.authenticateWith(event);
        must(accepted, `the relay tag "${relay}" was refused: ${reason}`);
      }
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-kind",
    sentence: "that the `kind` is `22242`;",
    title: "refuses an AUTH event of another kind",
    async run(context) {
      await refusedAuth(context, "kind 1", (client, person) =>
        client.authEvent(person, { kind: 1 }),
      );
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-time",
    sentence: "that the event `created_at` is close (e.g. within ~10 minutes) of the current time;",
    title: "refuses an AUTH event from an hour ago, and from an hour ahead",
    async run(context) {
      for (const hours of [-1, 1]) {
        const created_at = nowSeconds() + hours * 60 * 60;
        await refusedAuth(context, `created_at ${hours} h from now`, (client, person) =>
          client.authEvent(person, { created_at }),
        );
      }
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/forged",
    sentence:
      "This NIP defines a way for clients to authenticate to relays by signing an ephemeral event.",
    title: "refuses an AUTH event that somebody else has signed",
    async run(context) {
      await refusedAuth(context, "a foreign signature", async (client, person) => {
        const event = await client.authEvent(person);
        const foreign = await client.authEvent(context.person());
        return { ...event, sig: foreign.sig };
      });
      await refusedAuth(context, "a foreign key", async (client, person) => {
        const foreign = await client.authEvent(context.person());
        return { ...foreign, pubkey: person.key };
      });
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/stays",
    sentence: "the authenticated session is valid afterwards for the duration of the connection",
    title: "stays authenticated after a later AUTH that is refused",
    async run(context) {
      const person = context.person();
      const drop = context.wrap({ to: person });
      await context.drop(drop);
      const client = await context.reader("recipient", person);
      await client.authenticateWith(await client.authEvent(person, { challenge: "made up" }));
      mustBe("the box", await client.pickup({ "#p": [person.key] }), [drop]);
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/several-keys",
    sentence: "Relays MUST treat all pubkeys as authenticated accordingly.",
    obligations: ["pickup-4"],
    title: "shows the boxes of all keys that a connection has authenticated",
    async run(context) {
      const alice = context.person();
      const bob = context.person();
      const forAlice = context.wrap({ to: alice });
      const forBob = context.wrap({ to: bob });
      await context.drop(forAlice, forBob);
      const client = await context.as("shared client", alice, bob);
      const kinds = [GIFT_WRAP];
      const both = { kinds, "#p": [alice.key, bob.key] };
      mustBe("both boxes", await client.pickup(both), [forAlice, forBob]);
      mustBe("the first box", await client.pickup({ kinds, "#p": [alice.key] }), [forAlice]);
      mustBe("the second box", await client.pickup({ kinds, "#p": [bob.key] }), [forBob]);
      const live = context.wrap({ to: alice });
      const subscription = await client.subscribe(both);
      await context.drop(live);
      await client.delivered(subscription, live);
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/not-broadcast",
    sentence: "Relays MUST exclude `kind: 22242` events from being broadcasted to any client.",
    title: "shows an AUTH event to nobody, even when it is published",
    async run(context) {
      const person = context.person();
      const client = await context.reader("client", person);
      const filters = [
        { kinds: [AUTHENTICATION] },
        { authors: [person.key] },
        { "#p": [person.key] },
      ];
      await client.subscribe(...filters);
      const challenge = await client.challenge();
      // With the work that the relay asks of what is published, or it is refused for that.
      const event = context.sign(person, {
        kind: AUTHENTICATION,
        tags: [
          ["relay", context.url],
          ["challenge", challenge],
          ["p", person.key],
        ],
      });
      await client.publish(event);
      mustBe("what is stored", await client.pickup(...filters), []);
      await client.neverSaw(event, "the AUTH event was sent to a subscription");
    },
  }),
];
