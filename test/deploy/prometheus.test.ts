// deploy/prometheus: that Prometheus reads what is there and what the relay shows, and that each alert fires when what it tells of happens.

import { existsSync, globSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as passed } from "node:timers/promises";

import { describe, expect, it, onTestFinished } from "vitest";

import { Scene } from "../faults/scene.ts";
import { hold, metricsOf } from "../http/support.ts";
import { Client } from "../support/client.ts";
import { ShiftedClock, sweptLately } from "../support/clock.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { preloadable } from "../support/preload.ts";
import { type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import { openStoreFile } from "../support/store-file.ts";
import {
  evaluate,
  promtool,
  RULES_FOR_ALERTS,
  runPromtool,
  type Scrape,
  scrape,
} from "./alerts.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const METRICS = { DEADDROP_METRICS: "127.0.0.1:0" };
const HOUR = 60 * 60;

type Env = Readonly<Record<string, string>>;

/** A relay that believes its clock. */
async function relayWith(env: Env = {}, data = temporaryFolder()): Promise<RelayProcess> {
  await sweptLately(data);
  return startRelay({ data, env: { ...METRICS, ...env } });
}

/** What a relay showed before and after something happened to it. */
async function around(
  relay: RelayProcess,
  happens: () => unknown,
): Promise<readonly [Scrape, Scrape]> {
  const before = await scrape(relay);
  await happens();
  return [before, await scrape(relay)];
}

const FAILING = preloadable("failing-writes");

/** A relay whose disk fails from a moment on. */
async function failing(how: string): Promise<{ relay: RelayProcess; fail: () => void }> {
  const trigger = join(temporaryFolder(), "fail");
  const relay = await relayWith({ LD_PRELOAD: FAILING ?? "", FAILING_WRITES: trigger });
  return {
    relay,
    fail() {
      writeFileSync(`${trigger}.next`, how);
      renameSync(`${trigger}.next`, trigger);
    },
  };
}

// As a process does that has no processor, or memory that is elsewhere.
async function standStill({ pid }: RelayProcess): Promise<void> {
  process.kill(pid, "SIGSTOP");
  await passed(2_000);
  process.kill(pid, "SIGCONT");
}

async function sendOne(relay: RelayProcess): Promise<void> {
  await (await Client.connect(relay.url)).publish(giftWrap({ to: person() }));
}

/** For each alert how what it tells of is brought about: what a relay showed before and after it. */
const CAUSES: Readonly<Record<string, () => Promise<readonly Scrape[]>>> = {
  async DeadDropDown() {
    const relay = await relayWith();
    return around(relay, () => relay.stop());
  },

  async DeadDropRestarts() {
    const data = temporaryFolder();
    const lives: Scrape[] = [];
    for (let life = 0; life < 4; life++) {
      const relay = await relayWith({}, data);
      lives.push(await scrape(relay));
      await relay.kill();
    }
    return lives;
  },

  async DeadDropDiskFull() {
    const before = await scrape(await relayWith());
    const full = { DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB" };
    return [before, await scrape(await relayWith(full))];
  },

  async DeadDropDiskFilling() {
    const before = await relayWith({ DEADDROP_LIMITS_DISK_RESERVE_BYTES: "1MiB" });
    const free = (await metricsOf(before)).get("deaddrop_disk_free_bytes") ?? 0;
    const reserve = { DEADDROP_LIMITS_DISK_RESERVE_BYTES: String(Math.ceil(free * 0.75)) };
    return [await scrape(before), await scrape(await relayWith(reserve))];
  },

  async DeadDropCommitsFail() {
    const { relay, fail } = await failing("short 28");
    fail();
    return around(relay, () => sendOne(relay));
  },

  async DeadDropCommitsSlow() {
    const { relay, fail } = await failing("slow 3000");
    fail();
    return around(relay, () => sendOne(relay));
  },

  async DeadDropRecordsDamaged() {
    const first = await relayWith();
    const bob = person();
    const drops = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    await hold(first, drops);
    await first.stop();
    // So that what is in the box is on the disk.
    await (await startRelay({ data: first.data })).stop();
    const file = openStoreFile(first.data);
    file.overwrite(1, `{"id":"${drops[0]?.id}","content":"`);
    await file.close();
    const relay = await startRelay({ data: first.data, env: METRICS });
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    return around(relay, () => client.pickup({}));
  },

  async DeadDropClockDoubted() {
    const clock = new ShiftedClock();
    const relay = await relayWith(clock.env);
    return around(relay, () => clock.isSet(8 * HOUR));
  },

  async DeadDropSweepsLate() {
    const clock = new ShiftedClock();
    const relay = await relayWith({ ...clock.env, DEADDROP_SWEEP_SECONDS: "1d" });
    return around(relay, () => clock.passes(7 * HOUR));
  },

  async DeadDropConnectionsRefused() {
    const relay = await relayWith({ DEADDROP_LIMITS_CONNECTIONS: "1" });
    await Client.connect(relay.url);
    return around(relay, () => expect(Client.connect(relay.url)).rejects.toThrow("HTTP 429"));
  },

  async DeadDropConnectionsScarce() {
    const relay = await relayWith({ DEADDROP_LIMITS_CONNECTIONS: "5" });
    return around(relay, async () => {
      for (let n = 0; n < 5; n++) await Client.connect(relay.url);
    });
  },

  async DeadDropAddressShared() {
    const relay = await relayWith({ DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "1" });
    await Client.connect(relay.url);
    return around(relay, async () => {
      for (let n = 0; n < 20; n++) expect((await fetch(relay.http)).status).toBe(429);
    });
  },

  async DeadDropBusy() {
    const relay = await relayWith({
      DEADDROP_LIMITS_VERIFYING: "64",
      DEADDROP_VERIFIER: "plain",
    });
    const drops = Array.from({ length: 200 }, () => giftWrap({ to: person() }));
    const client = await Client.connect(relay.url);
    return around(relay, async () => {
      for (const drop of drops) client.say("EVENT", drop);
      for (const _ of drops) await client.hear();
    });
  },

  async DeadDropVerificationSlow() {
    const relay = await relayWith({ DEADDROP_VERIFIER: "plain" });
    const drops = Array.from({ length: 300 }, () => giftWrap({ to: person() }));
    const client = await Client.connect(relay.url);
    return around(relay, async () => {
      for (const drop of drops) client.say("EVENT", drop);
      await client.hear();
      await standStill(relay);
      for (const _ of drops.slice(1)) await client.hear();
    });
  },

  async DeadDropThreadsLost() {
    const scene = new Scene(onTestFinished, 1, METRICS);
    await sweptLately(scene.data);
    const relay = await scene.start();
    return around(relay, async () => {
      scene.fail("verification", "exit");
      await scene.send(relay, 1);
    });
  },

  async DeadDropEventLoopLate() {
    const relay = await relayWith();
    return around(relay, async () => {
      for (let times = 0; times < 2; times++) {
        await standStill(relay);
        await scrape(relay);
      }
    });
  },

  async DeadDropMemoryShort() {
    const bytes = "512KiB";
    const relay = await relayWith({
      DEADDROP_LIMITS_MEMORY: bytes,
      DEADDROP_LIMITS_MEMORY_PER_ADDRESS: bytes,
      DEADDROP_LIMITS_OUTBOX_BYTES: "256KiB",
      DEADDROP_LIMITS_INBOX_BYTES: "256KiB",
      DEADDROP_LIMITS_FILTER_BYTES: bytes,
    });
    const client = await (await Client.connect(relay.url)).authenticate(person());
    const ids = Array.from({ length: 1_000 }, (_, n) => n.toString(16).padStart(64, "0"));
    return around(relay, async () => {
      for (const some of [ids, ids.slice(0, 100)]) {
        let said = "EOSE";
        for (let n = 0; said === "EOSE"; n++) {
          client.say("REQ", `${some.length} ${n}`, { ids: some });
          [said] = await client.hear();
        }
      }
    });
  },
};

// Those that look back over less than what the others wait for.
const SOON: Readonly<Record<string, number>> = { DeadDropRestarts: 5 };

describe("the alerts of deploy/prometheus", () => {
  it("are those that are brought about here", () => {
    expect(RULES_FOR_ALERTS.map(({ alert }) => alert)).toEqual(Object.keys(CAUSES));
  });

  describe.skipIf(promtool === undefined)("as Prometheus evaluates them", () => {
    it("are silent while a relay does its work", async () => {
      const relay = await relayWith();
      const bob = person();
      const drops = Array.from({ length: 20 }, () => giftWrap({ to: bob }));
      const work = await around(relay, async () => {
        const client = await (await Client.connect(relay.url)).authenticate(bob);
        for (const drop of drops) await client.publish(drop);
        for (const drop of drops) await client.publish(drop);
        await client.publish({ ...giftWrap({ to: bob }), sig: "00".repeat(64) });
        await client.pickup({});
        await client.publish(acknowledgement(bob, drops));
      });
      expect(evaluate(undefined, work)).toMatchObject({ status: 0 });
    });

    it.for(Object.keys(CAUSES))(
      "tell of what happens, and not before: %s",
      { timeout: 60_000 },
      async (name, { skip }) => {
        if (/Commits/.test(name) && FAILING === undefined && process.env["CI"] === undefined) {
          skip("a disk that fails needs Linux and a C compiler");
        }
        const scrapes = (await CAUSES[name]?.()) ?? [];
        expect(evaluate(name, scrapes, SOON[name])).toMatchObject({ status: 0 });
        const before = evaluate(name, scrapes.slice(0, 1), SOON[name]);
        expect(before).toEqual({ status: 1, said: expect.stringContaining(name) });
      },
    );
  });
});

describe.skipIf(promtool === undefined)("Prometheus", () => {
  it("takes the configuration and the rules of deploy/", () => {
    for (const [what, file] of [
      ["config", "prometheus.yml"],
      ["rules", "deaddrop.rules.yml"],
    ] as const) {
      const { status, said } = runPromtool(["check", what, `${ROOT}deploy/prometheus/${file}`]);
      expect({ status, said }).toMatchObject({ status: 0 });
    }
  });

  it("can read what the dashboard asks for", () => {
    const board = readFileSync(`${ROOT}deploy/grafana/dashboards/deaddrop.json`, "utf8");
    const asked: string[] = [];
    JSON.parse(board, (key, value: unknown) => {
      if (key === "expr") asked.push(String(value));
      return value;
    });
    const rules = asked.map((expr, n) => ({
      record: `asked:${n}`,
      expr: expr.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".*"),
    }));
    expect(rules.length).toBeGreaterThan(30);
    const file = join(temporaryFolder(), "rules.yml");
    writeFileSync(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    expect(runPromtool(["check", "rules", file])).toMatchObject({ status: 0 });
  });

  it("finds nothing to object to in the metrics", async () => {
    const relay = await relayWith();
    const text = await (await fetch(relay.metrics ?? "")).text();
    expect(runPromtool(["check", "metrics"], text)).toEqual({ status: 0, said: "" });
  });
});

describe("what deploy/ asks of the metrics", () => {
  it("is there from the start", async () => {
    const relay = await relayWith();
    const text = await (await fetch(relay.metrics ?? "")).text();
    const files = globSync("deploy/{prometheus,grafana}/**/*.{yml,json}", { cwd: ROOT });
    const all = files.map((file) => readFileSync(ROOT + file, "utf8")).join("\n");
    const asked = new Set(all.match(/\b(?:deaddrop|process)_[a-z_]+/g));
    expect(asked.size).toBeGreaterThan(30);
    const shown = new Set([...text.matchAll(/^([a-z_]+)[{ ]/gm)].map(([, name]) => name));
    expect([...asked].filter((name) => !shown.has(name))).toEqual([]);
  });

  it("is asked in files that are where they name one another", () => {
    const folder = `${ROOT}deploy/grafana/`;
    expect(existsSync(`${folder}dashboards/deaddrop.json`)).toBe(true);
    expect(readFileSync(`${folder}provisioning/dashboards/deaddrop.yml`, "utf8")).toContain(
      "path: /var/lib/grafana/dashboards",
    );
  });
});
