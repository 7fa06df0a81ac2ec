// Relays that die and come back, and what senders and recipients are told meanwhile.

import { describe, expect, it } from "vitest";

import { fileOutbox } from "../../src/client/node.ts";
import { person } from "../support/people.ts";
import { startRelay, temporaryFolder } from "../support/relay.ts";
import {
  all,
  deadDrop,
  held,
  idsOf,
  scriptedRelay,
  startAgain,
  statesOf,
  texts,
} from "./support.ts";

describe("three relays", () => {
  it("deliver a message once although one dies during the sending and one during the pickup, and end up empty", async () => {
    const relays = await Promise.all([startRelay(), startRelay(), startRelay()]);
    const [a, b, c] = relays;
    const urls = relays.map(({ url }) => url);
    const [alice, bob] = [person(), person()];

    // The third hears nothing while it is stopped, so the sending is not over when it dies.
    process.kill(c.pid, "SIGSTOP");
    const sender = deadDrop(alice, []);
    const delivery = await sender.send(bob.key, "Under the third bench.", { relays: urls });
    expect(delivery.isDelivered).toBe(true);
    expect(statesOf(delivery.reports)).toEqual(["held", "held", "waiting"]);
    await c.kill();
    const settled = delivery.settled();

    // Now the second: it dies when the first has brought the message.
    process.kill(b.pid, "SIGSTOP");
    const recipient = deadDrop(bob, relays);
    const pickup = recipient.pickup();
    const picked = [];
    for await (const each of pickup) {
      picked.push(each);
      await b.kill();
    }
    expect(texts(picked)).toEqual(["Under the third bench."]);
    expect(statesOf(pickup.reports)).toEqual(["complete", "failed", "failed"]);

    await settled;
    expect(statesOf(delivery.reports)).toEqual(["held", "held", "unreachable"]);
    expect(delivery.isDelivered).toBe(true);

    // The third comes back, without the message, and is told of the acknowledgement all the same.
    const c2 = await startAgain(c);
    const told = await recipient.acknowledge(idsOf(picked));
    expect(statesOf(told)).toEqual(["done", "later", "done"]);
    // The sender goes on, and cannot tell that it was acknowledged.
    await (await delivery.retry()).settled();
    expect(statesOf(delivery.reports)).toEqual(["held", "held", "held"]);

    const b2 = await startAgain(b);
    expect(await held(bob, [b2])).toEqual([1]);
    expect(await recipient.flush()).toBe(0);
    expect(await held(bob, [a, b2, c2])).toEqual([0, 0, 0]);
    expect(await all(deadDrop(bob, relays).pickup())).toEqual([]);
  });

  it("are all told of an acknowledgement, the one that was down by the next process, and a late copy there is not delivered", async () => {
    const relays = await Promise.all([startRelay(), startRelay(), startRelay()]);
    const [a, b, c] = relays;
    const [alice, bob] = [person(), person()];
    await c.kill();
    const sender = deadDrop(alice, [], { patienceSeconds: 1 });
    const delivery = await sender.send(bob.key, "once", { relays: relays.map(({ url }) => url) });
    await delivery.settled();
    expect(statesOf(delivery.reports)).toEqual(["held", "held", "unreachable"]);

    const outbox = temporaryFolder();
    const before = deadDrop(bob, relays, { outbox: fileOutbox(outbox), patienceSeconds: 1 });
    const picked = await all(before.pickup());
    expect(texts(picked)).toEqual(["once"]);
    expect(statesOf(await before.acknowledge(idsOf(picked)))).toEqual(["done", "done", "later"]);
    before.close();

    const c2 = await startAgain(c);
    await (await delivery.retry()).settled();
    expect(statesOf(delivery.reports)).toEqual(["held", "held", "held"]);
    expect(await held(bob, [a, b, c2])).toEqual([0, 0, 1]);

    const after = deadDrop(bob, relays, { outbox: fileOutbox(outbox) });
    const again = after.pickup();
    expect(await all(again)).toEqual([]);
    expect(statesOf(again.reports)).toEqual(["complete", "complete", "complete"]);
    expect(await after.flush()).toBe(0);
    expect(await held(bob, [a, b, c2])).toEqual([0, 0, 0]);
  });

  it("are watched through an outage: what came meanwhile arrives when the relay is back", async () => {
    const relay = await startRelay();
    const [alice, bob] = [person(), person()];
    const sender = deadDrop(alice, []);
    const send = async (text: string): Promise<void> => {
      const delivery = await sender.send(bob.key, text, { relays: [relay.url] });
      expect(statesOf(delivery.reports)).toEqual(["held"]);
    };
    await send("before");
    const heard: string[] = [];
    for await (const picked of deadDrop(bob, [relay]).watch()) {
      heard.push(...texts([picked]));
      if (heard.length === 1) {
        await relay.kill();
        await startAgain(relay);
        await send("after");
      } else break;
    }
    expect(heard).toEqual(["before", "after"]);
  });

  it(
    "are told what was acknowledged meanwhile as soon as a watch meets them again",
    { timeout: 14_000 },
    async () => {
      // Before the outbox tries by itself, which takes it a quarter of a minute.
      const bob = person();
      let isThere = false;
      const told = new Promise<string>((resolve) => {
        void scriptedRelay({
          heard([verb, value], say) {
            if (verb === "REQ") say("EOSE", value, ["finish"]);
            if (verb !== "EVENT") return;
            const { id, kind } = value as { id: string; kind: number };
            if (isThere) {
              say("OK", id, true, "");
              resolve(`kind ${kind}`);
            } else say("OK", id, false, "error: not now");
          },
        }).then(({ url, drop }) => {
          const client = deadDrop(bob, [{ url }], { patienceSeconds: 1 });
          const watching = all(client.watch());
          void client.acknowledge(["0".repeat(64)]).then(([report]) => {
            expect(report?.state).toBe("later");
            isThere = true;
            drop();
          });
          return watching;
        });
      });
      expect(await told).toBe("kind 20221");
    },
  );

  it("that are all down are said to be, relay by relay, and the same message goes on when they are back", async () => {
    const relays = await Promise.all([startRelay(), startRelay()]);
    const [alice, bob] = [person(), person()];
    for (const relay of relays) await relay.kill();
    const sender = deadDrop(alice, [], { patienceSeconds: 1 });
    const delivery = await sender.send(bob.key, "late", { relays: relays.map(({ url }) => url) });
    expect(delivery.isDelivered).toBe(false);
    for (const { state, reason } of delivery.reports) {
      expect(state).toBe("unreachable");
      expect(reason).not.toBe("");
    }
    const saved = JSON.parse(JSON.stringify(delivery.save())) as ReturnType<typeof delivery.save>;
    expect(JSON.stringify(saved)).not.toContain("late");

    for (const relay of relays) await startAgain(relay);
    const resumed = await deadDrop(alice, []).resume(saved);
    await resumed.settled();
    expect(statesOf(resumed.reports)).toEqual(["held", "held"]);
    expect(resumed.message).toBe(delivery.message);
    const [picked, ...others] = await all(deadDrop(bob, relays).pickup());
    expect(others).toEqual([]);
    expect(picked?.type === "message" && picked.message.id).toBe(delivery.message);
  });
});
