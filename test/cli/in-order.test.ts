import { describe, expect, it } from "vitest";

import type { PickedUp } from "../../src/client/client.ts";
import { inOrder } from "../../src/cli/in-order.ts";

const FAR_TOO_LARGE = 100 * 1024 * 1024;

function message(created_at: number, content = ""): PickedUp {
  const id = created_at.toString(16).padStart(64, "0");
  const rumor = { id, pubkey: id, created_at, kind: 14, tags: [], content };
  return { type: "message", id, message: rumor, from: id, to: id, relay: "" };
}

async function* source(...picked: readonly PickedUp[]): AsyncGenerator<PickedUp> {
  yield* picked;
}

async function* failing(...picked: readonly PickedUp[]): AsyncGenerator<PickedUp> {
  yield* picked;
  throw new Error("the disk is gone");
}

/** The times of the messages, batch by batch. */
async function timesOf(batches: AsyncIterable<readonly PickedUp[]>, into: number[][] = []) {
  for await (const batch of batches) {
    into.push(batch.map((each) => (each.type === "message" ? each.message.created_at : NaN)));
  }
  return into;
}

describe("what is held", () => {
  it("comes in order, and nothing is nothing", async () => {
    expect(await timesOf(inOrder(source(message(3), message(1), message(2)), {}))).toEqual([
      [1, 2, 3],
    ]);
    expect(await timesOf(inOrder(source(), {}))).toEqual([[]]);
  });

  it("comes in parts when it is too large for the memory, each in order", async () => {
    const large = "a".repeat(FAR_TOO_LARGE);
    const box = source(message(4, large), message(3, large), message(2), message(1));
    expect(await timesOf(inOrder(box, {}))).toEqual([
      [3, 4],
      [1, 2],
    ]);
  });

  it("comes before the error of a source that fails", async () => {
    const came: number[][] = [];
    await expect(timesOf(inOrder(failing(message(2), message(1)), {}), came)).rejects.toThrow(
      "the disk is gone",
    );
    expect(came).toEqual([[1, 2]]);
  });
});
