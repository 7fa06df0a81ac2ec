// The relay that was written from the text of the drafts alone, in another language, against everything that the suite knows of them.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { describe, expect, it, onTestFinished } from "vitest";

import { checksThat, conformanceReport, failures } from "../conformance/report.ts";
import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { temporaryFolder } from "../support/relay.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const PYTHON = process.env["DEADDROP_PYTHON"] ?? join(ROOT, ".cache/python/bin/python");
const isMissing = !existsSync(PYTHON);
const but = isMissing ? ` (skipped: there is no ${PYTHON}, which .ci/tools makes)` : "";

const FULL_RUN_MS = 3 * 60_000;

/** Limits that the suite can reach, and work that it can see asked for; it would skip the checks of others. */
const REACHABLE =
  "--max-drops 150 --max-early-acknowledgements 150 --max-limit 40 --min-pow-difficulty 1".split(
    " ",
  );

/** There are none before `retention` has changed. */
const SKIPPED = ["expiry/former-retentions"];

type Reference = { readonly url: string; end(signal: NodeJS.Signals): Promise<number | null> };

async function startReference(data: string, options: readonly string[] = []): Promise<Reference> {
  const args = [join(ROOT, "nips/reference/relay.py"), "--listen", "127.0.0.1:0", "--data", data];
  const child = spawn(PYTHON, [...args, ...options], {
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return exited;
  };
  onTestFinished(() => void end("SIGKILL"));
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) => {
      resolve(line.replace("listening on ", ""));
    });
    void exited.then((code) => reject(new Error(`the reference ended with ${code}`)));
  });
  return { url, end };
}

it.skipIf(process.env["CI"] === undefined)("has the Python that the reference needs", () => {
  expect(isMissing).toBe(false);
});

describe.skipIf(isMissing)(`the relay of nips/reference${but}`, () => {
  it(
    "fails no check, skips what it does not advertise, and ends when it is told to",
    {
      timeout: FULL_RUN_MS,
    },
    async () => {
      const reference = await startReference(join(temporaryFolder(), "drops.sqlite"), REACHABLE);
      const report = await conformanceReport(reference.url);
      expect(failures(report)).toEqual([]);
      const skipped = checksThat("skipped", report);
      expect(skipped.filter((id) => !/^(unobservable|negentropy)\//.test(id))).toEqual(SKIPPED);
      expect(report.status).toBe(0);
      expect(report.summary.cleanUp).toMatch(/^drops left on the relay: \d+, now acknowledged$/);
      expect(await reference.end("SIGTERM")).toBe(0);
    },
  );

  it("has after kill -9 what it has answered, and does not bring back what was acknowledged", async () => {
    const data = join(temporaryFolder(), "drops.sqlite");
    const bob = person();
    const [held, acknowledged] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const first = await startReference(data);
    const sender = await Client.connect(first.url);
    for (const event of [held, acknowledged, acknowledgement(bob, [acknowledged])]) {
      expect(await sender.publish(event)).toEqual(["OK", event.id, true, ""]);
    }
    await first.end("SIGKILL");

    const second = await startReference(data);
    const client = await Client.connect(second.url);
    for (const { id, ...rest } of [held, acknowledged]) {
      const answer = ["OK", id, true, "duplicate: already have this event"];
      expect(await client.publish({ id, ...rest })).toEqual(answer);
    }
    await client.authenticate(bob);
    expect(await client.pickup()).toEqual([held.id]);
  });
});
