// What is done with a store that no relay has open, and what is said of one.

import { linkSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { openToRead } from "../../src/store/held.ts";
import { Client, now } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { temporaryFolder } from "../support/relay.ts";
import { openStoreFile } from "../support/store-file.ts";
import { atEnd, run } from "./process.ts";
import { boxOf, newRelay } from "./support.ts";

const DAY = 86_400;

/** A relay with a drop of Alice's and one of Bob's, and what Bob had acknowledged: far more. */
async function filled() {
  const relay = await newRelay();
  const [alice, bob] = [person(), person()];
  const client = await Client.connect(relay.url, {}, atEnd);
  const gone = Array.from({ length: 20 }, () => giftWrap({ to: bob, content: "x".repeat(40_000) }));
  const soon = [["expiration", String(now() + DAY / 2)]];
  const held = [
    giftWrap({ to: alice, created_at: now() - 1_000, tags: soon }),
    giftWrap({ to: bob }),
  ] as const;
  for (const drop of [...gone, ...held]) await client.publish(drop);
  await client.publish(acknowledgement(bob, gone));
  return { relay, alice, bob, client, gone, held, env: { DEADDROP_DATA: relay.data } };
}

describe("deaddrop compact", () => {
  it("makes the file smaller, with all that is held and known in it, and nothing of the old one is left", async () => {
    const { relay, bob, gone, held, env } = await filled();
    const busy = await run(["compact"], { env });
    expect(busy).toMatchObject({ code: 1, out: "" });
    expect(busy.err).toMatch(/was not made smaller: \S+ is in use by another relay\n$/);
    await relay.stop();
    const file = join(relay.data, "data.mdb");
    // Whoever has the old file open sees what becomes of it.
    const watched = join(temporaryFolder(atEnd), "watched");
    linkSync(file, watched);
    const [size, secret] = [statSync(file).size, readFileSync(join(relay.data, "secret"))];
    const names = readdirSync(relay.data).sort();
    const ran = await run(["compact"], { env });
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toMatch(
      /^[\d.]+ [kM]B of file, and \d\.\d MB before: 2 held, 20 tombstones\.\n$/,
    );
    expect(statSync(file).size).toBeLessThan(size / 2);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(watched).equals(Buffer.alloc(size))).toBe(true);
    expect(readdirSync(relay.data).sort()).toEqual(names);
    expect(readFileSync(join(relay.data, "secret"))).toEqual(secret);
    const again = await newRelay({ data: relay.data });
    expect(await boxOf(bob, again)).toEqual([held[1].id]);
    const client = await Client.connect(again.url, {}, atEnd);
    for (const drop of gone) expect((await client.publish(drop))[3]).toMatch(/^duplicate: /);
    await again.stop();
    expect(await run(["verify-store"], { env })).toMatchObject({ code: 0 });
  });

  it("leaves a store as it is that is not whole, or that somebody reads", async () => {
    const { relay, env } = await filled();
    await relay.stop();
    const reader = await openToRead(relay.data, "");
    const before = readFileSync(join(relay.data, "data.mdb")).length;
    expect(reader.databases.meta.get("format")).toBe("3");
    const read = await run(["compact"], { env });
    expect(read.err).toMatch(new RegExp(`process ${process.pid} is reading it, .*wait for it\\n$`));
    await reader.close();
    const spoiled = openStoreFile(relay.data);
    spoiled.databases.expiries.clearSync();
    await spoiled.close();
    const ran = await run(["compact"], { env });
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toContain("it is not whole; verify-store says what is wrong");
    expect(statSync(join(relay.data, "data.mdb")).size).toBeGreaterThanOrEqual(before);
    expect(readdirSync(relay.data)).not.toContain("compacting");
  });
});

describe("deaddrop stats", () => {
  it("counts what is held, while the relay runs and after it", async () => {
    const { relay, held, env } = await filled();
    const counts = {
      format: "3",
      held: 2,
      bytes: held.reduce((sum, drop) => sum + JSON.stringify(drop).length, 0),
      boxes: 2,
      oldest: held[0].created_at,
      expiringInADay: 1,
      tombstones: 20,
    };
    const running = await run(["stats", "--json"], { env });
    expect(running).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(running.out)).toMatchObject(counts);
    await relay.stop();
    const stopped = await run(["stats", "--json"], { env });
    const { fileBytes, freeBytes } = JSON.parse(stopped.out) as Record<string, number>;
    expect(JSON.parse(stopped.out)).toMatchObject(counts);
    expect(fileBytes).toBeGreaterThan(freeBytes ?? 0);
    const { out } = await run(["stats"], { env });
    expect(out.split("\n").map((line) => line.replace(/ *[\d.].*/, ""))).toEqual([
      "held",
      "oldest",
      "past within",
      "to be taken off",
      "tombstones",
      "file",
      "format",
      "",
    ]);
  });

  it("says so where there is no store, and makes none", async () => {
    const data = temporaryFolder(atEnd);
    const ran = await run(["stats"], { env: { DEADDROP_DATA: data } });
    expect(ran).toEqual({
      code: 1,
      out: "",
      err: `deaddrop: cannot read the store in ${data}: there is no store in ${data}\n`,
    });
    expect(readdirSync(data)).toEqual([]);
  });
});

describe("deaddrop verify-store --repair", () => {
  it("puts right what does not fit, and says what was lost", async () => {
    const { relay, alice, bob, held, env } = await filled();
    const busy = await run(["verify-store", "--repair"], { env });
    expect(busy.err).toMatch(/was not repaired: \S+ is in use by another relay\n$/);
    await relay.stop();
    await (await newRelay({ data: relay.data })).stop();
    expect(await run(["verify-store", "--repair"], { env })).toEqual({
      code: 0,
      out: "There was nothing to repair: 2 held, 20 tombstones.\n",
      err: "",
    });
    const file = openStoreFile(relay.data);
    file.overwrite(22, "{");
    file.databases.boxes.clearSync();
    await file.close();
    expect(await run(["verify-store"], { env })).toMatchObject({ code: 1 });
    const ran = await run(["verify-store", "--repair"], { env });
    expect(ran).toMatchObject({ code: 0, err: "" });
    expect(ran.out).toMatch(
      /^\d places put right: 1 held, 20 tombstones\.\n1 drop could not be read\.\n$/,
    );
    expect(await run(["verify-store"], { env })).toMatchObject({ code: 0, err: "" });
    const again = await newRelay({ data: relay.data });
    expect(await boxOf(alice, again)).toEqual([held[0].id]);
    expect(await boxOf(bob, again)).toEqual([]);
  });
});
