// Several event loops over one store: what one promises, all of them do.

import { createServer } from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { sharedRelay, startRelay } from "../support/relay.ts";

const LOOPS = { DEADDROP_WORKERS: "2" };
// The system gives each loop its share: of so many, hardly ever all to one.
const DEVICES = 12;

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const canSharePorts = process.platform === "linux" && (major > 23 || (major === 22 && minor >= 12));

describe.runIf(canSharePorts)("two event loops", () => {
  const relay = sharedRelay({ env: LOOPS });

  async function devices(bob: ReturnType<typeof person>): Promise<Client[]> {
    return Promise.all(
      Array.from({ length: DEVICES }, async () => {
        const device = await Client.connect(relay().url);
        await device.authenticate(bob);
        device.say("REQ", "box", {});
        await device.hearUntil("EOSE");
        return device;
      }),
    );
  }

  it.each([
    ["a drop that is held", 1_059],
    ["a wrap that is not stored", 21_059],
  ])("deliver %s to every connection of its recipient", async (_, kind) => {
    const bob = person();
    const bobs = await devices(bob);
    const sender = await Client.connect(relay().url);
    const drop = giftWrap({ to: bob, kind });
    expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    const heard = await Promise.all(bobs.map((device) => device.hear()));
    expect(heard.map((message) => message.slice(0, 2))).toEqual(bobs.map(() => ["EVENT", "box"]));
  });

  it("show nothing of what was acknowledged through any of them", async () => {
    const bob = person();
    const sender = await Client.connect(relay().url);
    const drops = Array.from({ length: 10 }, () => giftWrap({ to: bob }));
    for (const drop of drops) await sender.publish(drop);
    const [first] = await devices(bob);
    await first?.publish(acknowledgement(bob, drops));
    for (let device = 0; device < DEVICES; device += 1) {
      const other = await Client.connect(relay().url);
      await other.authenticate(bob);
      other.say("REQ", "box", {});
      expect(await other.hearUntil("EOSE")).toHaveLength(1);
    }
  });
});

describe.runIf(canSharePorts)("two event loops on a port in use", () => {
  it("do not start", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const started = startRelay({
      env: { ...LOOPS, DEADDROP_LISTEN: `127.0.0.1:${port}`, DEADDROP_LOG: "silent" },
    });
    await expect(started).rejects.toThrow("the relay ended with 1");
  });
});
