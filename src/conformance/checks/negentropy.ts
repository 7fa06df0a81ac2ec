import { GIFT_WRAP } from "../../nostr/kinds.ts";
import type { Check } from "../check.ts";
import { ask, ASKS_FOR_ALL, reconcile } from "../reconciliation.ts";
import { must, mustBe } from "../verdict.ts";
import { deadDropCheck, nipCheck } from "./define.ts";
import { answerToLateAuth } from "./held.ts";
import { probes } from "./probes.ts";

const NIP_77 = { nip: "77", needs: [77] } as const;
const OPEN_AGAIN =
  "If a `NEG-OPEN` is issued for a currently open subscription ID, the existing subscription is first closed.";

export const negentropyChecks: readonly Check[] = [
  nipCheck({
    ...NIP_77,
    id: "negentropy/own",
    sentence: "Relay constructs a response and returns it to the client in a `NEG-MSG` message.",
    title: "reconciles a box with a client that has a part of it, and more",
    async run(context) {
      const to = context.person();
      const now = Math.floor(Date.now() / 1_000);
      const { maxDrops } = context.deadDrop;
      const drops = Array.from({ length: Math.min(40, maxDrops - 1) }, (_, n) =>
        context.wrap({ to, created_at: now - (n >> 1) }),
      );
      const others = context.oneOfEach({ to }).filter(({ kind }) => kind !== GIFT_WRAP);
      const mine = [context.wrap({ to }), context.wrap({ to, created_at: now - 9 })];
      await context.drop(...drops, ...others);
      const reader = await context.reader("recipient", to);
      const filter = { kinds: [1059], "#p": [to.key] };
      const half = drops.filter((_, n) => n % 2 === 0);
      const { have, need, refused } = await reconcile(reader, filter, [...half, ...mine]);
      must(refused === undefined, `it was refused: ${refused}`);
      const missing = drops.filter((_, n) => n % 2 === 1);
      mustBe("what the client needs", need, missing);
      mustBe("what the relay needs", have, mine);
      const same = await reconcile(reader, filter, drops);
      mustBe("what the client needs that has all of it", same.need, []);
      mustBe("what the relay needs of that", same.have, []);
      mustBe("the box afterwards", await reader.pickup(filter), drops);
    },
  }),
  nipCheck({
    ...NIP_77,
    id: "negentropy/again",
    sentence: OPEN_AGAIN,
    title: "begins a reconciliation anew when its id is opened again",
    async run(context) {
      const to = context.person();
      const drops = [context.wrap({ to }), context.wrap({ to })];
      await context.drop(...drops);
      const reader = await context.reader("recipient", to);
      for (const drop of drops) {
        const filter = { authors: [drop.pubkey], "#p": [to.key] };
        await ask(reader, "NEG-OPEN", "again", filter, ASKS_FOR_ALL);
        // What is open under the id from now on.
        const said = JSON.stringify(await ask(reader, "NEG-MSG", "again", ASKS_FOR_ALL));
        for (const { id } of drops) {
          must(said.includes(id) === (id === drop.id), `${JSON.stringify(filter)} got ${said}`);
        }
      }
    },
  }),
  nipCheck({
    ...NIP_77,
    id: "negentropy/close",
    sentence:
      "When finished, the client should tell the relay it can release its resources with a `NEG-CLOSE`",
    title: "answers nothing on a reconciliation that was closed",
    async run(context) {
      const to = context.person();
      const reader = await context.reader("recipient", to);
      const opened = await ask(reader, "NEG-OPEN", "n", { "#p": [to.key] }, ASKS_FOR_ALL);
      must("answer" in opened, `it was refused: ${JSON.stringify(opened)}`);
      reader.connection.say("NEG-CLOSE", "n");
      const mark = reader.connection.mark;
      reader.connection.say("NEG-MSG", "n", ASKS_FOR_ALL);
      await reader.pickup({ "#p": [to.key] });
      const answer = reader.connection
        .since(mark)
        .find(({ message: [verb] }) => verb === "NEG-MSG");
      must(answer === undefined, `it was answered with ${answer?.text}`);
    },
  }),
  deadDropCheck({
    id: "negentropy/unauthenticated",
    covers: ["pickup-18"],
    needs: [77],
    title:
      "challenges a NEG-OPEN of a connection without a key, and refuses it with auth-required:",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const nobody = await context.open("nobody");
      const asked = probes(drop, to).map(async (filter) => {
        const { refused } = await reconcile(nobody, filter);
        const isRefused = refused?.startsWith("auth-required:") === true;
        must(isRefused, `${JSON.stringify(filter)} was refused with ${refused ?? "nothing"}`);
      });
      await Promise.all(asked);
      const [first] = nobody.connection.since(0);
      must(first?.message[0] === "AUTH", `no challenge came before ${first?.text}`);
    },
  }),
  deadDropCheck({
    id: "negentropy/overtaken",
    covers: ["pickup-18"],
    advises: true,
    needs: [77],
    title: "answers a NEG-OPEN that comes right before AUTH as if it came after it",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const client = await context.open("client");
      const event = await client.authEvent(to);
      // Together, as either may be in vain.
      const [{ refused, need }, { accepted, reason }] = await Promise.all([
        reconcile(client, { "#p": [to.key] }),
        client.authenticateWith(event),
      ]);
      must(accepted, `AUTH was refused: ${reason}`);
      must(refused === undefined, `the NEG-OPEN was refused: ${refused}`);
      mustBe("the box", need, [drop]);
    },
  }),
  deadDropCheck({
    id: "negentropy/held",
    covers: ["pickup-18"],
    advises: true,
    needs: [77],
    title: "holds a NEG-OPEN while the answer to its challenge is on its way",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const { need } = await answerToLateAuth(context, to, async (client) => {
        const { refused: closed, need } = await reconcile(client, { "#p": [to.key] });
        return { closed, need };
      });
      mustBe("the box", need, [drop]);
    },
  }),
  deadDropCheck({
    id: "negentropy/foreign-p",
    covers: ["pickup-18", "pickup-12"],
    needs: [77],
    title: "refuses a NEG-OPEN that names other keys only with restricted:, full box or empty",
    async run(context) {
      const to = context.person();
      await context.drop(context.wrap({ to }));
      const stranger = await context.as("stranger", context.person());
      const answers = new Set<string>();
      for (const { key } of [to, context.person()]) {
        const { refused } = await reconcile(stranger, { kinds: [1059], "#p": [key] });
        must(refused?.startsWith("restricted:") === true, `it was not refused, but ${refused}`);
        answers.add(refused);
      }
      must(answers.size === 1, `the answers differ: ${[...answers].join(" | ")}`);
    },
  }),
  deadDropCheck({
    id: "negentropy/probes",
    covers: ["pickup-18", "pickup-3"],
    needs: [77],
    title: "reconciles nobody else's drops, whatever the filter says or the client has",
    async run(context) {
      const to = context.person();
      const other = context.person();
      const drop = context.wrap({ to: other });
      const own = context.wrap({ to, created_at: drop.created_at });
      await context.drop(drop, context.wrap({ to: other }), own);
      const recipient = await context.as("recipient", to);
      for (const filter of [...probes(drop, other), { "#p": [to.key, other.key] }]) {
        const { have, need } = await reconcile(recipient, filter, [drop]);
        const what = JSON.stringify(filter);
        must(
          need.every((id) => id === own.id),
          `${what} reconciled a drop of somebody else`,
        );
        const isRefused = have.length === 0 && need.length === 0;
        must(isRefused || have.includes(drop.id), `${what} showed that the drop is held`);
      }
      const mixed = await reconcile(recipient, { "#p": [to.key, other.key] });
      mustBe("one's own box", mixed.need, [own]);
    },
  }),
  deadDropCheck({
    id: "negentropy/acknowledged",
    covers: ["pickup-18"],
    needs: [77],
    title: "does not reconcile what was acknowledged",
    async run(context) {
      const to = context.person();
      const [gone, kept] = [context.wrap({ to }), context.wrap({ to })];
      await context.drop(gone, kept, context.acknowledgement(to, [gone]));
      const recipient = await context.as("recipient", to);
      const { have, need } = await reconcile(recipient, { "#p": [to.key] }, [gone]);
      mustBe("what the client needs", need, [kept]);
      mustBe("what the relay needs", have, [gone]);
    },
  }),
  deadDropCheck({
    id: "negentropy/no-acknowledgement",
    covers: ["ack-10"],
    needs: [77],
    title: "does not take a reconciliation for an acknowledgement",
    async run(context) {
      const to = context.person();
      const drop = context.wrap({ to });
      await context.drop(drop);
      const recipient = await context.as("recipient", to);
      await reconcile(recipient, { "#p": [to.key] }, [drop]);
      await reconcile(recipient, { "#p": [to.key] });
      recipient.connection.end();
      const later = await context.as("recipient later", to);
      mustBe("the box", await later.pickup(), [drop]);
    },
  }),
];
