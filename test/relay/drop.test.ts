import { describe, expect, it } from "vitest";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap, signedInLetter } from "../support/events.ts";
import { person } from "../support/people.ts";
import { sharedRelay, startRelay } from "../support/relay.ts";

describe("a drop", () => {
  const shared = sharedRelay();

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

  it.each(["\u0000", "\u0001", "\u000b", "\u001f"])(
    "with a control character is held under either spelling of its id, and no other: %j",
    async (character) => {
      const bob = person();
      const author = person();
      const client = await (await Client.connect(shared().url)).authenticate(bob, author);
      const change = { content: `a${character}b`, tags: [["t", character]] };
      const drop = giftWrap({ to: bob, ...change });
      const other = signedInLetter(author, { ...drop, pubkey: author.key });
      for (const each of [drop, other]) {
        expect(await client.publish(each)).toEqual(["OK", each.id, true, ""]);
      }
      const { events } = await client.request("inbox", {});
      expect(events).toEqual(expect.arrayContaining([drop, other]));
      const wrong = { ...other, content: `${other.content}.` };
      const refusal = "invalid: id is not the hash of the event";
      expect(await client.publish(wrong)).toEqual(["OK", other.id, false, refusal]);
      const ack = signedInLetter(bob, {
        ...acknowledgement(bob, [drop, other]),
        content: character,
      });
      expect(await client.publish(ack)).toEqual(["OK", ack.id, true, ""]);
      expect(await client.pickup()).toEqual([]);
    },
  );

  it("is picked up with an AUTH whose id is in either spelling", async () => {
    const bob = person();
    const client = await Client.challenged(shared().url);
    const auth = signedInLetter(bob, client.authEvent(bob, { content: "\u0001" }));
    client.say("AUTH", auth);
    expect(await client.hear()).toEqual(["OK", auth.id, true, ""]);
  });
});
