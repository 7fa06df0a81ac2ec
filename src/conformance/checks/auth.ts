import type { NostrEvent } from "../../nostr/event.ts";
import { AUTHENTICATION, GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import type { Client } from "../client.ts";
import { nowSeconds, type Person } from "../people.ts";
import type { Trial } from "../trial.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";

const NIP_42 = { nip: "42", needs: [42] } as const;

/** Says a wrong AUTH, which must be refused, and then expects to be as much a stranger as before. */
async function refusedAuth(
  trial: Trial,
  what: string,
  wrong: (client: Client, person: Person) => Promise<NostrEvent>,
): Promise<void> {
  const person = trial.person();
  const drop = trial.wrap({ to: person });
  await trial.drop(drop);
  const client = await trial.open("intruder");
  const { accepted, reason } = await client.authenticateWith(await wrong(client, person));
  must(!accepted, `an AUTH event with ${what} was believed`);
  must(/^[a-z-]+: ?\S/.test(reason), `it was refused with "${reason}", without a prefix`);
  const { ids } = await client.request([{ kinds: [GIFT_WRAP], "#p": [person.key] }]);
  must(ids.length === 0, `an AUTH event with ${what} was refused, and opened the box all the same`);
}

export const authChecks: readonly Check[] = [
  deadDropCheck({
    id: "auth/greeting",
    covers: ["pickup-1"],
    title: "sends a challenge before the client has said anything",
    async run(trial) {
      await (await trial.open("client")).challenge();
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/own-challenge",
    sentence:
      "The challenge is valid for the duration of the connection or until another challenge is sent by the relay.",
    title: "gives each connection a challenge of its own",
    async run(trial) {
      const one = await (await trial.reader("first", trial.person())).challenge();
      const other = await (await trial.reader("second", trial.person())).challenge();
      must(one !== other, "two connections got the same challenge");
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/ok",
    sentence:
      "`AUTH` messages sent by clients MUST be answered with an `OK` message, like any `EVENT` message.",
    title: "answers a good AUTH with OK true",
    async run(trial) {
      const person = trial.person();
      // The reader has to authenticate where there is a challenge, and fails if that is not answered.
      await (await trial.reader("client", person)).challenge();
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-challenge",
    sentence: 'that the `"challenge"` tag matches the challenge sent before;',
    title: "refuses a challenge that is made up, or none",
    async run(trial) {
      await refusedAuth(trial, "a made-up challenge", (client, person) =>
        client.authEvent(person, { challenge: "made up" }),
      );
      await refusedAuth(trial, "no challenge", (client, person) =>
        client.authEvent(person, { tags: [["relay", trial.url]] }),
      );
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/foreign-challenge",
    sentence: 'that the `"challenge"` tag matches the challenge sent before;',
    title: "refuses the challenge of another connection, so that nobody can replay an AUTH",
    async run(trial) {
      const other = await trial.open("other client");
      const challenge = await other.challenge();
      await refusedAuth(trial, "another connection's challenge", (client, person) =>
        client.authEvent(person, { challenge }),
      );
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-host",
    sentence: 'that the `"relay"` tag matches the relay URL:',
    obligations: ["pickup-13"],
    title: "refuses an AUTH that was meant for another relay",
    async run(trial) {
      const hosts = [
        "wss://relay.example.com/",
        `wss://${new URL(trial.url).host}.example.com/`,
        "",
      ];
      for (const relay of hosts) {
        await refusedAuth(trial, `the relay "${relay}"`, (client, person) =>
          client.authEvent(person, { relay }),
        );
      }
      await refusedAuth(trial, "no relay tag", async (client, person) =>
        client.authEvent(person, { tags: [["challenge", await client.challenge()]] }),
      );
    },
  }),
  deadDropCheck({
    id: "auth/same-host",
    covers: ["pickup-11"],
    title: "believes an AUTH whose relay tag differs in path and scheme only",
    async run(trial) {
      const { host, protocol } = new URL(trial.url);
      const otherScheme = protocol === "wss:" ? "ws:" : "wss:";
      const variants = [
        `${protocol}//${host}`,
        `${protocol}//${host}/`,
        `${protocol}//${host}/a/b`,
      ];
      for (const relay of [...variants, `${otherScheme}//${host}/`]) {
        const client = await trial.open("client");
        const event = await client.authEvent(trial.person(), { relay });
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
    async run(trial) {
      await refusedAuth(trial, "kind 1", (client, person) => client.authEvent(person, { kind: 1 }));
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/wrong-time",
    sentence: "that the event `created_at` is close (e.g. within ~10 minutes) of the current time;",
    title: "refuses an AUTH event from an hour ago, and from an hour ahead",
    async run(trial) {
      for (const hours of [-1, 1]) {
        const created_at = nowSeconds() + hours * 60 * 60;
        await refusedAuth(trial, `created_at ${hours} h from now`, (client, person) =>
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
    async run(trial) {
      await refusedAuth(trial, "a foreign signature", async (client, person) => {
        const event = await client.authEvent(person);
        const foreign = await client.authEvent(trial.person());
        return { ...event, sig: foreign.sig };
      });
      await refusedAuth(trial, "a foreign key", async (client, person) => {
        const foreign = await client.authEvent(trial.person());
        return { ...foreign, pubkey: person.key };
      });
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/stays",
    sentence: "the authenticated session is valid afterwards for the duration of the connection",
    title: "stays authenticated after a later AUTH that is refused",
    async run(trial) {
      const person = trial.person();
      const drop = trial.wrap({ to: person });
      await trial.drop(drop);
      const client = await trial.reader("recipient", person);
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
    async run(trial) {
      const alice = trial.person();
      const bob = trial.person();
      const forAlice = trial.wrap({ to: alice });
      const forBob = trial.wrap({ to: bob });
      await trial.drop(forAlice, forBob);
      const client = await trial.as("shared client", alice, bob);
      const kinds = [GIFT_WRAP];
      const both = { kinds, "#p": [alice.key, bob.key] };
      mustBe("both boxes", await client.pickup(both), [forAlice, forBob]);
      mustBe("the first box", await client.pickup({ kinds, "#p": [alice.key] }), [forAlice]);
      mustBe("the second box", await client.pickup({ kinds, "#p": [bob.key] }), [forBob]);
      const live = trial.wrap({ to: alice });
      const subscription = await client.subscribe(both);
      await trial.drop(live);
      await client.delivered(subscription, live);
    },
  }),
  nipCheck({
    ...NIP_42,
    id: "auth/not-broadcast",
    sentence: "Relays MUST exclude `kind: 22242` events from being broadcasted to any client.",
    title: "shows an AUTH event to nobody, even when it is published",
    async run(trial) {
      const person = trial.person();
      const client = await trial.reader("client", person);
      const filters = [
        { kinds: [AUTHENTICATION] },
        { authors: [person.key] },
        { "#p": [person.key] },
      ];
      await client.subscribe(...filters);
      const challenge = await client.challenge();
      const event = await client.authEvent(person, {
        tags: [
          ["relay", trial.url],
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
