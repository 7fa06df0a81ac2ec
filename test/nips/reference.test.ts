// The relay that was written from the text of the drafts alone, in another language, against everything that the suite knows of them.

import { execFileSync, spawn } from "node:child_process";
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

/** NIP-DD alone, and with NIP-DH; and what each does not claim. */
const FORMS = [
  { program: "relay.py", unclaimed: /^(unobservable|negentropy|http)\// },
  { program: "door.py", unclaimed: /^(unobservable|negentropy)\// },
];

/** There are none before `retention` has changed. */
const SKIPPED = ["expiry/former-retentions"];

/** Prints what the relay answers, holds and advertises at each step of the vectors, and what they say of it. */
const VECTORS = `
import argparse, asyncio, json, sys, tempfile, time, types
import relay

def start(retention, folder):
    limits = {**relay.DEAD_DROP, **relay.LIMITATION, "reserved_bytes": 0, "retention": retention}
    told = {"url": ["wss://relay.example"], "data": folder + "/drops.sqlite"}
    return relay.Relay(argparse.Namespace(**limits, **told))

for file in sys.argv[1:]:
    for case in json.load(open(file)):
        with tempfile.TemporaryDirectory() as folder:
            clock = case["steps"][0]["now"]
            relay.time = types.SimpleNamespace(time=lambda: clock)
            running, steps = start(case["retention"], folder), []
            for step in case["steps"]:
                clock = step["now"]
                asyncio.run(running.sweep(running.app))
                if "publish" in step:
                    accepted, reason = running.publish(step["publish"])
                    is_prefix = step["answer"][3].endswith(":")
                    told = reason.split(":")[0] + ":" if is_prefix else reason
                    steps.append([["OK", step["publish"]["id"], accepted, told], step["answer"]])
                elif "box" in step:
                    drops, _ = running.find([{"#p": [step["box"]]}], relay.FOREVER)
                    steps.append([[drop["id"] for drop in drops], step["holds"]])
                elif "advertises" in step:
                    document = running.document()["dead_drop"]
                    document["former_retentions"] = document["former_retentions"] or None
                    steps.append([{name: document[name] for name in step["advertises"]}, step["advertises"]])
                else:
                    running.db.close()
                    running = start(step["retention"], folder)
            print(json.dumps([case["title"], *zip(*steps)]))
`;

type Case = [title: string, seen: unknown[], told: unknown[]];

type Reference = { readonly url: string; end(signal: NodeJS.Signals): Promise<number | null> };

async function startReference(
  program: string,
  data: string,
  options: readonly string[] = [],
): Promise<Reference> {
  const args = [join(ROOT, "nips/reference", program), "--listen", "127.0.0.1:0", "--data", data];
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
  it.each(FORMS)(
    "fails no check, skips what it does not advertise, and ends when it is told to: $program",
    {
      timeout: FULL_RUN_MS,
    },
    async ({ program, unclaimed }) => {
      const data = join(temporaryFolder(), "drops.sqlite");
      const reference = await startReference(program, data, REACHABLE);
      const report = await conformanceReport(reference.url);
      expect(failures(report)).toEqual([]);
      expect(checksThat("advised", report)).toEqual([]);
      const skipped = checksThat("skipped", report);
      expect(skipped.filter((id) => !unclaimed.test(id))).toEqual(SKIPPED);
      expect(report.status).toBe(0);
      expect(report.summary.cleanUp).toMatch(/^drops left on the relay: \d+, now acknowledged$/);
      expect(await reference.end("SIGTERM")).toBe(0);
    },
  );

  it("has after kill -9 what it has answered, and does not bring back what was acknowledged", async () => {
    const data = join(temporaryFolder(), "drops.sqlite");
    const bob = person();
    const [held, acknowledged] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const first = await startReference("relay.py", data);
    const sender = await Client.connect(first.url);
    for (const event of [held, acknowledged, acknowledgement(bob, [acknowledged])]) {
      expect(await sender.publish(event)).toEqual(["OK", event.id, true, ""]);
    }
    await first.end("SIGKILL");

    const second = await startReference("relay.py", data);
    const client = await Client.connect(second.url);
    for (const { id, ...rest } of [held, acknowledged]) {
      const answer = ["OK", id, true, "duplicate: already have this event"];
      expect(await client.publish({ id, ...rest })).toEqual(answer);
    }
    await client.authenticate(bob);
    expect(await client.pickup()).toEqual([held.id]);
  });

  it("takes no drop and no unseen id without room, but acknowledgements of what it holds", async () => {
    const data = join(temporaryFolder(), "drops.sqlite");
    const bob = person();
    const [held, other, unseen] = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
    ];
    const roomy = await startReference("relay.py", data);
    const sender = await Client.connect(roomy.url);
    for (const event of [held, other]) {
      expect(await sender.publish(event)).toEqual(["OK", event.id, true, ""]);
    }
    expect(await roomy.end("SIGTERM")).toBe(0);

    const full = await startReference("relay.py", data, ["--reserved-bytes", `${2 ** 62}`]);
    const client = await Client.connect(full.url);
    const answers = [
      [unseen, false, "error: the storage is full"],
      [acknowledgement(bob, [unseen]), false, "error: the storage is full"],
      [held, true, "duplicate: already have this event"],
      [acknowledgement(bob, [held]), true, ""],
      [held, true, "duplicate: already have this event"],
    ] as const;
    for (const [event, accepted, reason] of answers) {
      expect(await client.publish(event)).toEqual(["OK", event.id, accepted, reason]);
    }
    await client.authenticate(bob);
    expect(await client.pickup()).toEqual([other.id]);
  });

  it("answers, holds and advertises what the vectors say", () => {
    const files = ["drops", "expiry", "acknowledgements"].map((name) =>
      join(ROOT, `nips/vectors/${name}.json`),
    );
    const env = { PYTHONPATH: join(ROOT, "nips/reference"), PYTHONDONTWRITEBYTECODE: "1" };
    const printed = execFileSync(PYTHON, ["-c", VECTORS, ...files], { env, encoding: "utf8" });
    const cases = printed
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Case);
    expect(cases.length).toBeGreaterThan(40);
    expect(cases.map(([title, seen]) => [title, seen])).toEqual(
      cases.map(([title, , told]) => [title, told]),
    );
  });
});
