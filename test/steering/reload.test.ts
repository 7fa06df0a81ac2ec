// A relay reads its configuration again when SIGHUP asks for it, and when its file has changed: what can change while it runs does, and a bad file changes nothing.

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";
import { stringify } from "yaml";

import { RUN_TIME_SETTINGS } from "../../src/config/run-time.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { ask, bytesOf, post } from "../http/support.ts";
import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { type AtEnd, type RelayProcess, startRelay, temporaryFolder } from "../support/relay.ts";
import {
  CONNECTIONS,
  done,
  information,
  logged,
  LOOPS,
  MANAGEMENT_TYPE,
  state,
} from "./support.ts";

const READ = "the configuration was read again";
const WRONG = "the configuration is wrong, and nothing changes";
const RESTRICTED = "restricted: this relay does not hold drops for that recipient";

type Configured = { readonly relay: RelayProcess; readonly file: string };

/** A relay with a configuration file of these settings. */
async function configured(
  settings: object,
  env: Readonly<Record<string, string>> = {},
  atEnd?: AtEnd,
): Promise<Configured> {
  const file = join(temporaryFolder(atEnd), "deaddrop.yaml");
  write(file, settings);
  return { relay: await startRelay({ env: { ...env, DEADDROP_CONFIG: file } }, atEnd), file };
}

/** As editors do: a new file takes the place of the old one, at once. */
function write(file: string, settings: object | string): void {
  const text = typeof settings === "string" ? settings : stringify(settings);
  writeFileSync(`${file}~`, text);
  renameSync(`${file}~`, file);
}

async function answersTo(relay: RelayProcess, bob: ReturnType<typeof person>) {
  const senders = await Promise.all(
    Array.from({ length: CONNECTIONS }, () => Client.connect(relay.url)),
  );
  const answers = await Promise.all(senders.map((one) => one.publish(giftWrap({ to: bob }))));
  return new Set(answers.map(([, , , reason]) => reason));
}

describe.each(LOOPS)("a relay with %s whose file changes", (_, loops) => {
  it("does at once what the new one says, on every connection", async () => {
    const [bob, carol] = [person(), person()];
    const before = { name: "Before", deniedRecipients: [bob.key], limits: { tags: 50 } };
    const { relay, file } = await configured(before, loops);
    expect(await answersTo(relay, bob)).toEqual(new Set([RESTRICTED]));

    write(file, {
      name: "After",
      deniedRecipients: [carol.key],
      proofOfWork: 0,
      limits: { tags: 2, pingSeconds: 20 },
    });
    const line = await logged(relay, READ);
    expect(line).toMatchObject({
      level: 30,
      file,
      applied: ["name", "deniedRecipients", "limits.tags", "limits.pingSeconds"],
    });
    expect(line).not.toHaveProperty("waiting");
    expect(await answersTo(relay, bob)).toEqual(new Set([""]));
    expect(await answersTo(relay, carol)).toEqual(new Set([RESTRICTED]));
    const tags = [["a"], ["b"]];
    const { said } = await post(relay, "/drop", giftWrap({ to: bob, tags }));
    expect(said.reason).toBe("invalid: 3 tags, the limit is 2");
    for (let tries = 0; tries < CONNECTIONS; tries += 1) {
      const { name, limitation } = await information(relay);
      expect({ name, limitation }).toMatchObject({
        name: "After",
        limitation: { max_event_tags: 2 },
      });
    }
  });

  it("names what waits for a restart, and goes on with the old value of it", async () => {
    const { relay, file } = await configured({ name: "Before" }, loops);
    write(file, {
      name: "After",
      retention: "2d",
      listen: "127.0.0.1:1",
      limits: { waitSeconds: "5s" },
    });
    expect(await logged(relay, READ)).toMatchObject({
      level: 40,
      applied: ["name"],
      waiting: expect.arrayContaining(["retention", "limits.waitSeconds"]),
    });
    const { name, dead_drop } = await information(relay);
    expect(name).toBe("After");
    expect(dead_drop).toMatchObject({ retention: 30 * 86_400 });
    // It is named as long as it waits.
    write(file, { name: "Later", retention: "2d" });
    expect(await logged(relay, READ, 1)).toMatchObject({
      applied: ["name"],
      waiting: ["retention"],
    });
  });

  describe("to something bad", () => {
    const bob = person();
    let relay: RelayProcess;
    let file = "";
    beforeAll(async () => {
      const cleaning: (() => void | Promise<void>)[] = [];
      const settings = { name: "Before", deniedRecipients: [bob.key] };
      ({ relay, file } = await configured(settings, loops, (clean) => cleaning.push(clean)));
      return async () => {
        for (const clean of cleaning.toReversed()) await clean();
      };
    });

    it.each([
      ["a value that is not allowed", "name: After\nlimits:\n  tags: 0\n", [3], /^limits\.tags: 0/],
      ["an unknown setting", "name: After\nretension: 2d\n", [2], /^unknown setting retension/],
      ["no YAML", "name: After\ndeniedRecipients: [\n", [3], /is not YAML/],
      [
        "two bad lines",
        "name: 5\nsweepSeconds: never\n",
        [1, 2],
        /^name: 5[^]*\nsweepSeconds: "never"/,
      ],
      ["a bad item", "aliases:\n  - ws://a.example\n  - a\n", [3], /^aliases\.1: "a"/],
      ["a contradiction", "limits:\n  memory: 1MiB\n", [2], /^limits\.memoryPerAddress must not/],
      ["no settings", "just text", [], /must hold keys and values/],
    ])("names what is bad, %s, with its line, and changes nothing", async (_, text, lines, why) => {
      const before = relay.log.filter(({ msg }) => msg === WRONG).length;
      write(file, text);
      const line = await logged(relay, WRONG, before);
      expect(line).toMatchObject({ level: 50, file, why: expect.stringMatching(why) });
      expect(line["lines"] ?? []).toEqual(lines);
      expect(await answersTo(relay, bob)).toEqual(new Set([RESTRICTED]));
      expect(await information(relay)).toMatchObject({ name: "Before" });
    });

    it("takes it up when it is put right", async () => {
      write(file, { name: "Right" });
      expect(await logged(relay, READ)).toMatchObject({ applied: ["name", "deniedRecipients"] });
      expect(await information(relay)).toMatchObject({ name: "Right" });
    });
  });

  it("keeps what was decided meanwhile, and says where a decision goes before the file", async () => {
    const [admin, bob, carol] = [person(), person(), person()];
    const admins = [admin.key];
    const { relay, file } = await configured({ name: "Before", admins }, loops);
    await done(relay, admin, "banpubkey", bob.key, "spam");
    await done(relay, admin, "changerelayname", "Decided");
    write(file, { name: "After", admins, deniedRecipients: [carol.key] });
    expect(await logged(relay, READ)).toMatchObject({
      applied: ["name", "deniedRecipients"],
      overruled: ["name"],
    });
    for (const denied of [bob, carol]) {
      expect(await answersTo(relay, denied)).toEqual(new Set([RESTRICTED]));
    }
    expect(await information(relay)).toMatchObject({ name: "Decided" });
    await done(relay, admin, "changerelayname", "");
    expect(await information(relay)).toMatchObject({ name: "After" });
  });

  it("takes up admins, and lets those go who are named no more", async () => {
    const admin = person();
    const { relay, file } = await configured({}, loops);
    expect((await information(relay))["supported_nips"]).not.toContain(86);
    write(file, { admins: [admin.key] });
    await logged(relay, READ);
    expect(await state(relay, admin)).toHaveLength(4);
    write(file, {});
    await logged(relay, READ, 1);
    expect((await information(relay))["supported_nips"]).not.toContain(86);
    const refused = await ask(`${relay.http}/`, { method: "POST", body: "{}" });
    const headers = { "content-type": MANAGEMENT_TYPE };
    const asked = await ask(`${relay.http}/`, { method: "POST", body: "{}", headers });
    expect(bytesOf(asked)).toBe(bytesOf(refused));
  });

  it("cuts off whom it blocks, and lets in whom it does not", async () => {
    const proxy = { trustedProxies: ["127.0.0.1"] };
    const { relay, file } = await configured(proxy, loops);
    const from = { "x-forwarded-for": "203.0.113.7" };
    const client = await Client.connect(relay.url, from);
    write(file, { ...proxy, blockedNetworks: ["203.0.113.0/24"] });
    expect((await client.closed).code).toBe(1006);
    await logged(relay, READ);
    await expect(Client.connect(relay.url, from)).rejects.toThrow("HTTP 429");
    write(file, proxy);
    await logged(relay, READ, 1);
    await Client.connect(relay.url, from);
  });
});

describe("a relay", () => {
  it("reads its configuration again at SIGHUP, changed or not", async () => {
    const { relay } = await configured({ name: "Same" });
    process.kill(relay.pid, "SIGHUP");
    expect(await logged(relay, READ)).toMatchObject({ applied: [] });
    process.kill(relay.pid, "SIGHUP");
    await logged(relay, READ, 1);
    expect(await information(relay)).toMatchObject({ name: "Same" });
    expect(await relay.stop()).toBe(0);
  });

  it("does not end at SIGHUP without any file, either", async () => {
    const relay = await startRelay();
    process.kill(relay.pid, "SIGHUP");
    expect(await logged(relay, READ)).toMatchObject({ applied: [] });
    expect(await relay.stop()).toBe(0);
  });

  it("goes on with what it has when its file is gone, and takes it up when it is back", async () => {
    const { relay, file } = await configured({ name: "Before" });
    rmSync(file);
    process.kill(relay.pid, "SIGHUP");
    await logged(relay, /cannot be read any more/);
    expect(await information(relay)).toMatchObject({ name: "Before" });
    write(file, { name: "Back" });
    expect(await logged(relay, READ)).toMatchObject({ applied: ["name"] });
  });

  it("lets a variable of its environment win over the file, as at its start", async () => {
    const { relay, file } = await configured({}, { DEADDROP_NAME: "Variable" });
    write(file, { name: "File", contact: "mailto:a@b.example" });
    expect(await logged(relay, READ)).toMatchObject({ applied: ["contact"] });
    expect(await information(relay)).toMatchObject({ name: "Variable" });
  });

  it("sees a file that is written in place, and one behind a link that is exchanged", async () => {
    const { relay, file } = await configured({ name: "Before" });
    writeFileSync(file, stringify({ name: "In place" }));
    await logged(relay, READ);
    expect(await information(relay)).toMatchObject({ name: "In place" });

    // As Kubernetes mounts a ConfigMap: file → ..data/file, ..data → a folder.
    const folder = temporaryFolder();
    for (const version of ["1", "2"]) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, "deaddrop.yaml"), stringify({ name: version }));
    }
    symlinkSync("1", join(folder, "..data"));
    symlinkSync("..data/deaddrop.yaml", join(folder, "deaddrop.yaml"));
    const linked = await startRelay({ env: { DEADDROP_CONFIG: join(folder, "deaddrop.yaml") } });
    symlinkSync("2", join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    await logged(linked, READ);
    expect(await information(linked)).toMatchObject({ name: "2" });
  });

  it("logs less, or more, from now on", async () => {
    const { relay, file } = await configured({});
    write(file, { log: "warn", retention: "2d" });
    expect(await logged(relay, READ)).toMatchObject({ level: 40, applied: ["log"] });
    write(file, { log: "info" });
    expect(await logged(relay, READ, 1)).toMatchObject({ level: 30, applied: ["log"] });
  });

  it("does not give memory to one address that it has not in all until it is started again", async () => {
    const limits = { outboxBytes: "4MiB", memoryPerAddress: "8MiB" };
    const { relay, file } = await configured(
      { limits },
      {
        DEADDROP_LIMITS_MEMORY_PER_ADDRESS: "",
      },
    );
    // Each of the two is right in itself, and the outbox waits for a restart.
    write(file, { limits: { outboxBytes: "1MiB", memoryPerAddress: "2MiB" } });
    expect(await logged(relay, WRONG)).toMatchObject({
      why: "limits.outboxBytes must not be more than limits.memoryPerAddress, until the relay is started again",
    });
  });
});

describe("the settings that can change at run time", () => {
  it("are settings", () => {
    const all = SETTINGS.filter(({ isGroup }) => !isGroup).map(({ path }) => path.join("."));
    expect(all).toEqual(expect.arrayContaining([...RUN_TIME_SETTINGS]));
  });
});
