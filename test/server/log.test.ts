// The operator's log: what it tells to who reads it on a terminal, and to who follows one connection. That it names nobody is told in test/http/about.

import { describe, expect, it } from "vitest";

import { plainLine } from "../../src/server/log.ts";
import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { relayCommand, startRelay, temporaryFolder } from "../support/relay.ts";
import { noTerminal, openTerminal } from "../support/terminal.ts";

describe("the log at the level debug", () => {
  it("tells what is heard and said on each connection, by a number", async () => {
    const relay = await startRelay({ env: { DEADDROP_LOG: "debug" } });
    const bob = person();
    const recipient = await (await Client.connect(relay.url)).authenticate(bob);
    await recipient.request("box", {});
    const sender = await Client.connect(relay.url);
    const drop = giftWrap({ to: bob });
    await sender.publish(drop);
    await sender.publish({ ...drop, id: "0".repeat(64) });
    await recipient.hear();
    sender.say("REQ", "", {});
    await sender.hear();
    sender.end();
    await sender.closed;
    expect(await relay.stop()).toBe(0);

    const told = relay.log.filter(({ connection }) => connection !== undefined);
    const lines = (number: unknown): unknown[] =>
      told
        .filter(({ connection }) => connection === number)
        .map(({ msg, verb, accepted, reason }) =>
          [msg, verb, accepted, reason].filter((word) => word !== undefined),
        );
    expect(lines(told[0]?.connection)).toEqual([
      ["connection opened"],
      ["heard", "REQ"],
      ["said", "AUTH"],
      ["heard", "CLOSE"],
      ["heard", "AUTH"],
      ["said", "OK", true],
      ["heard", "REQ"],
      ["said", "EOSE"],
      ["said", "EVENT"],
      ["closed by the relay", "the relay is shutting down"],
      ["connection closed"],
    ]);
    const second = told.find(({ connection }) => connection !== told[0]?.connection)?.connection;
    expect(lines(second)).toEqual([
      ["connection opened"],
      ["heard", "EVENT"],
      ["said", "OK", true],
      ["heard", "EVENT"],
      ["said", "OK", false, "invalid: id is not the hash of the event"],
      ["heard", "REQ"],
      ["said", "CLOSED", "invalid: subscription id must be a string of N to N characters"],
      ["connection closed"],
    ]);
  });

  it("is silent about connections at the level info", async () => {
    const relay = await startRelay();
    const client = await Client.connect(relay.url);
    await client.publish(giftWrap({ to: person() }));
    expect(await relay.stop()).toBe(0);
    expect(relay.log.filter(({ connection }) => connection !== undefined)).toEqual([]);
  });
});

describe("the log on a terminal", () => {
  it("is made of plain lines", async ({ skip }) => {
    if (noTerminal !== undefined && process.env["CI"] === undefined) skip(noTerminal);
    const { command, args, env } = relayCommand({ data: temporaryFolder() });
    const terminal = await openTerminal({
      command: [command, ...args],
      cwd: process.cwd(),
      env,
      columns: 300,
    });
    const listening =
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info {2}listening url=ws:\/\/127\.0\.0\.1:\d+ /m;
    expect(await terminal.shows(listening)).toMatch(listening);
  });

  it("has each thing in a line, whatever stands in it, and where an error comes from below", () => {
    const line = plainLine(
      JSON.stringify({
        level: 50,
        time: 1_700_000_000_000,
        msg: "it\u001b[31m broke",
        plain: "word",
        said: 'two "words"\nand more',
        number: 5,
        err: { message: "disk\nfull", stack: "Error: disk full\n    at here\n    at there" },
      }),
    );
    expect(line).toBe(
      '2023-11-14 22:13:20 error it�[31m broke plain=word said="two \\"words\\"\\nand more" number=5 err="disk\\nfull"\n    at here\n    at there\n',
    );
  });
});
