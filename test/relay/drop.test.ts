import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { startRelay } from "../support/relay.ts";

describe("a drop", () => {
  it("is held, shown to its recipient, and gone once acknowledged", async () => {
    const relay = await startRelay();
    const bob = person();
    const drop = giftWrap({ to: bob });

    const sender = await Client.connect(relay.url);
    expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);

    const recipient = await (await Client.connect(relay.url)).authenticate(bob);
    const { events, end } = await recipient.request("inbox", { kinds: [1059], "#p": [bob.key] });
    expect(events).toEqual([drop]);
    expect(end).toEqual(["EOSE", "inbox", ["finish"]]);

    const ack = acknowledgement(bob, [drop]);
    expect(await sender.publish(ack)).toEqual(["OK", ack.id, true, ""]);
    expect(await recipient.pickup()).toEqual([]);

    const again = ["OK", drop.id, true, "duplicate: already have this event"];
    expect(await sender.publish(drop)).toEqual(again);
    expect(await recipient.pickup()).toEqual([]);
    expect(await relay.stop()).toBe(0);
  });
});
