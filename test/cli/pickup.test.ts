// What pickup and watch print and say: in which order, of which relays, and when they are broken off.

import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { now } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { sharedRelay } from "../support/relay.ts";
import { ptyMissing, type Running } from "./process.ts";
import {
  boxOf,
  BRIEFLY,
  directory,
  drop,
  folderOf,
  jsonLines,
  type Keyholder,
  keyholder,
  newRelay,
  NOWHERE,
  PATIENTLY,
  type Place,
  publish,
  restarted,
  silent,
} from "./support.ts";

const MINUTE_SECONDS = 60;

const relay = sharedRelay();
const other = sharedRelay();

function pair(...relays: readonly Place[]): [Keyholder, Keyholder] {
  return [keyholder({ relays }), keyholder({ relays })];
}

/** Lets nothing be written to somebody's outbox, whoever they are: nobody can make a file there. */
function loseOutbox(person: Keyholder): void {
  mkdirSync(folderOf(person), { mode: 0o700 });
  symlinkSync("/proc/self", join(folderOf(person), "outbox"));
}

/** The texts that were printed, in their order. */
function textsIn(out: string): string[] {
  return [...out.matchAll(/^ {2}(.*)$/gm)].map(([, text = ""]) => text);
}

/** The times that were printed, as Unix seconds. */
function timesIn(out: string): number[] {
  return [...out.matchAll(/^time: (.*) (.*) UTC$/gm)].map(([, day, time]) => {
    return Date.parse(`${day}T${time}Z`) / 1_000;
  });
}

describe.concurrent("deaddrop pickup", () => {
  it("prints messages in the order in which they were written, whichever relay has them, and what it cannot open last", async () => {
    const [alice, bob] = pair(relay(), other());
    const garbage = giftWrap({ to: bob });
    await publish(relay().url, garbage);
    const start = now() - 10 * MINUTE_SECONDS;
    const places = [relay(), other()];
    for (const [index, minute] of [3, 0, 2, 1].entries()) {
      const created_at = start + minute * MINUTE_SECONDS;
      await drop(alice, bob, `${minute}`, places.slice(index % 2, (index % 2) + 1), { created_at });
    }
    await drop(alice, bob, "a second later", [other()], { created_at: start + 1 });
    const { code, out, err } = await bob.runs(["pickup"]);
    expect(code).toBe(0);
    expect(textsIn(out)).toEqual(["0", "a second later", "1", "2", "3"]);
    expect(timesIn(out)).toEqual([0, 1, 60, 120, 180].map((seconds) => start + seconds));
    expect(err).toMatch(new RegExp(`^deaddrop: message ${garbage.id} cannot be opened: .*\\n  "`));
  });

  it("prints two messages of one second in the same order, whichever relay was faster", async () => {
    const [alice, bob] = pair(relay());
    const created_at = now();
    await Promise.all(
      ["a", "b", "c", "d"].map((text) => drop(alice, bob, text, [relay()], { created_at })),
    );
    const [shown, json] = [await bob.runs(["pickup"]), await bob.runs(["pickup", "--json"])];
    const byId = jsonLines(json.out).sort((a, b) =>
      String(a["message"]) < String(b["message"]) ? -1 : 1,
    );
    expect(textsIn(shown.out)).toEqual(byId.map(({ content }) => content));
  });

  it("says where nothing is held, and nothing of it to a program", async () => {
    const bob = keyholder({ relays: [relay(), other()] });
    const [shown, json] = [
      await bob.runs(["pickup", "--ack"]),
      await bob.runs(["pickup", "--json"]),
    ];
    const err = `deaddrop: no new messages at ${relay().url}/ and ${other().url}/\n`;
    expect(shown).toEqual({ code: 0, out: "", err });
    expect(json).toEqual({ code: 0, out: "", err: "" });
  });

  it("says how many were acknowledged at which relays, until when others may read them, and why one was not told", async () => {
    const ordinary = await directory();
    const [alice, bob] = pair(relay(), ordinary);
    await drop(alice, bob, "one", [relay()]);
    await drop(alice, bob, "two", [relay()]);
    const { code, out, err } = await bob.runs(["pickup", "--ack", "--grace", "1h"]);
    expect(code).toBe(3);
    expect(textsIn(out)).toHaveLength(2);
    const [taken, until, kept, price, ...more] = err.split("\n");
    expect(taken).toBe(`deaddrop: acknowledged 2 messages at ${relay().url}/`);
    expect(until).toMatch(/^ {2}your other devices can pick up until 2\d{3}-.* UTC$/);
    expect(kept).toMatch(new RegExp(`^deaddrop: ${ordinary.url}/ was not told: .* no dead drop`));
    expect(price).toMatch(/^ {2}your messages stay there .* not shown here again$/);
    expect(more).toEqual([""]);
  });

  it.skipIf(ptyMissing() !== undefined)(
    "prints what came, and acknowledges nothing, when it is interrupted while a relay is waited for",
    async () => {
      const [alice, bob] = pair(relay(), await silent());
      const { id } = await drop(alice, bob, "came", [relay()]);
      const ran = await bob.runsOnTerminal(
        ["pickup", "--ack"],
        [{ see: "1 message, 1 of 2 relays done", type: "\u0003" }],
      );
      expect(ran.missing).toBe(null);
      expect(ran.code).toBe(130);
      expect(textsIn(ran.stdout)).toEqual(["came"]);
      expect(ran.terminal).toMatch(
        /deaddrop: interrupted: .*nothing was acknowledged\r\n {2}1 message/,
      );
      expect(await boxOf(bob, relay())).toEqual([id]);
    },
  );

  it("prints for a program as it comes, and acknowledges nothing when it is interrupted", async () => {
    const [alice, bob] = pair(relay(), await silent());
    const { id } = await drop(alice, bob, "came", [relay()]);
    const picking = bob.starts(["pickup", "--ack", "--json"]);
    await picking.prints("came");
    const { code, out, err } = await picking.interrupt();
    expect(code).toBe(130);
    expect(jsonLines(out)).toEqual([expect.objectContaining({ content: "came" })]);
    expect(err).toMatch(/^deaddrop: interrupted: .*nothing was acknowledged\n/);
    expect(await boxOf(bob, relay())).toEqual([id]);
  });

  it("says that nothing was acknowledged when that cannot be kept on disk, and what that means", async () => {
    const [alice, bob] = pair(relay());
    const { id } = await drop(alice, bob, "hello", [relay()]);
    loseOutbox(bob);
    const { code, out, err } = await bob.runs(["pickup", "--ack"]);
    expect({ code, texts: textsIn(out) }).toEqual({ code: 1, texts: ["hello"] });
    expect(err).toMatch(
      /^deaddrop: the acknowledgement cannot be kept, so no relay was told .*\n {2}make room, .*\n$/,
    );
    expect(await boxOf(bob, relay())).toEqual([id]);
  });
});

describe.concurrent("deaddrop watch", () => {
  it("prints what is held in the order of time, and then what comes", async () => {
    const [alice, bob] = pair(relay(), other());
    const start = now() - 10 * MINUTE_SECONDS;
    await drop(alice, bob, "third", [other()], { created_at: start + 2 });
    await drop(alice, bob, "first", [relay()], { created_at: start });
    await drop(alice, bob, "second", [other()], { created_at: start + 1 });
    const watch = bob.starts(["watch", "--ack"]);
    await watch.prints("third");
    await drop(alice, bob, "later, of an earlier time", [relay()], { created_at: start - 1 });
    await watch.prints("later");
    const { code, out, err } = await watch.interrupt();
    expect(textsIn(out)).toEqual(["first", "second", "third", "later, of an earlier time"]);
    expect({ code, err }).toEqual({
      code: 0,
      err: `deaddrop: watching ${relay().url}/ and ${other().url}/; Ctrl-C ends it\ndeaddrop: stopped; 4 messages printed\n`,
    });
    expect([await boxOf(bob, relay()), await boxOf(bob, other())]).toEqual([[], []]);
  });

  it("says when a relay is not there, and why, and when it is back, once each, to people and beside JSON", async () => {
    const moody = await newRelay();
    const [alice, bob] = pair(relay(), moody);
    const watches = [[], ["--json"]].map((json) => bob.starts(["watch", ...json, ...PATIENTLY]));
    const each = (does: (watch: Running) => Promise<void>): Promise<unknown> =>
      Promise.all(watches.map(does));
    await drop(alice, bob, "before", [moody]);
    await each((watch) => watch.prints("before"));
    await moody.stop();
    await each((watch) =>
      watch.says(`${moody.url}/ cannot be reached: it breaks off the connection\n`),
    );
    const back = await restarted(moody);
    await each((watch) => watch.says(`${moody.url}/ is back\n`));
    await drop(alice, bob, "after", [back]);
    await each((watch) => watch.prints("after"));
    for (const watch of watches) {
      const { code, err } = await watch.interrupt();
      expect(code).toBe(0);
      const told = [...err.matchAll(/^deaddrop: (\S+) (cannot be reached|is back)/gm)];
      expect(told.map(([, url, what]) => [url, what])).toEqual([
        [`${moody.url}/`, "cannot be reached"],
        [`${moody.url}/`, "is back"],
      ]);
    }
  });

  it("never ends without a word, though no relay was there", async () => {
    const bob = keyholder({ relays: [{ url: NOWHERE }] });
    const watch = bob.starts(["watch", ...BRIEFLY]);
    await watch.says(`${NOWHERE}/ cannot be reached: nothing listens there\n`);
    const { code, err } = await watch.interrupt();
    expect(code).toBe(0);
    expect(err).toMatch(/\ndeaddrop: stopped; 0 messages printed\n$/);
  });

  it("ends, and says why, when what it printed cannot be acknowledged", async () => {
    const [alice, bob] = pair(relay());
    await drop(alice, bob, "hello", [relay()]);
    loseOutbox(bob);
    const { code, err } = await bob.runs(["watch", "--ack"]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /deaddrop: the acknowledgement cannot be kept, so no relay was told .*\n {2}make room, .*\n$/,
    );
  });
});
