import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createNetServer, type Server } from "node:net";
import { join } from "node:path";

import { nsecEncode } from "nostr-tools/nip19";
import { generateSecretKey } from "nostr-tools/pure";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { Client } from "../support/client.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { temporaryFolder } from "../support/relay.ts";
import { openStoreFile } from "../support/store-file.ts";
import { atEnd, type Ran, run } from "./process.ts";
import { newRelay } from "./support.ts";

const PACKAGE = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as {
  version: string;
};
// What never ends is noticed before a minute has passed.
const PATIENCE = { timeout: 20_000 };

describe("deaddrop", PATIENCE, () => {
  it.each([[[]], [["help"]], [["-h"]], [["help", "help"]]])(
    "lists its commands and options: %j",
    async (args) => {
      const { code, out, err } = await run(args);
      expect({ code, err }).toEqual({ code: 0, err: "" });
      for (const word of ["Usage: deaddrop <command>", "serve", "config", "info", "--config"]) {
        expect(out).toContain(word);
      }
    },
  );

  it.each([
    "serve",
    "config",
    "info",
    "clock",
    "verify-store",
    "stats",
    "compact",
    "export",
    "import",
    "backup",
    "restore",
    "conformance",
  ])("explains %s, with an example", async (command) => {
    const help = await run(["help", command]);
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toMatch(new RegExp(`^Usage: deaddrop ${command}`));
    expect(help.out).toMatch(new RegExp(`^Example: .*deaddrop ${command}`, "m"));
    expect(await run([command, "--help"])).toEqual(help);
  });

  it.each(["--version", "-V"])("says its version: %s", async (flag) => {
    expect(await run([flag])).toEqual({ code: 0, out: `${PACKAGE.version}\n`, err: "" });
  });

  it("knows no other command, and says where they are listed", async () => {
    const { code, out, err } = await run(["sevre"]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toBe('deaddrop: there is no command "sevre"; "deaddrop help" lists them all\n');
  });

  it("knows no other option, and says where they are listed", async () => {
    const { code, out, err } = await run(["serve", "--port", "80"]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^deaddrop: there is no option --port; see "deaddrop help"\n/);
  });

  it("takes no option of another command, and says where its own are", async () => {
    const { code, out, err } = await run(["serve", "--ack"]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toBe('deaddrop: serve has no option --ack; see "deaddrop help serve"\n');
  });
});

describe("deaddrop config", PATIENCE, () => {
  it("prints the configuration in force, as YAML", async () => {
    const { code, out, err } = await run(["config"], { env: { DEADDROP_RETENTION: "14d" } });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(parse(out)).toMatchObject({
      listen: "127.0.0.1:7777",
      data: "./data",
      retention: "1209600s",
      limits: { eventBytes: 65_536 },
    });
  });

  it("reads deaddrop.yaml where it is started", async () => {
    const cwd = temporaryFolder(atEnd);
    writeFileSync(join(cwd, "deaddrop.yaml"), "name: Ours\n");
    expect(parse((await run(["config"], { cwd })).out)).toMatchObject({ name: "Ours" });
  });

  it.each(["--config", "-c"])("reads the file that %s names, and no other", async (flag) => {
    const cwd = temporaryFolder(atEnd);
    writeFileSync(join(cwd, "deaddrop.yaml"), "name: Ours\n");
    writeFileSync(join(cwd, "named.yaml"), "contact: mailto:a@b.example\n");
    const env = { DEADDROP_CONFIG: "nowhere.yaml" };
    const { out } = await run(["config", flag, "named.yaml"], { cwd, env });
    expect(parse(out)).toMatchObject({ name: "Dead Drop", contact: "mailto:a@b.example" });
  });

  it("exits with 2 when the file is not there", async () => {
    const { code, out, err } = await run(["config", "--config", "nowhere.yaml"]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^deaddrop: cannot read nowhere\.yaml: /);
  });

  it("prints an example file that can be used as it is, whatever the settings", async () => {
    const cwd = temporaryFolder(atEnd);
    const example = await run(["config", "--example"], { env: { DEADDROP_LOG: "loud" } });
    expect(example).toMatchObject({ code: 0, err: "" });
    writeFileSync(join(cwd, "deaddrop.yaml"), example.out);
    expect(await run(["config"], { cwd })).toEqual(await run(["config"]));
  });

  it("prints an example of variables, and takes no other word", async () => {
    const { code, out, err } = await run(["config", "--example", "env"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toContain("\n#DEADDROP_URL=\n");
    for (const words of [["env"], ["--example", "yaml"], ["x"]]) {
      expect(await run(["config", ...words])).toEqual({
        code: 2,
        out: "",
        err: "deaddrop: config takes no word, or --example env for a file of variables\n",
      });
    }
  });
});

describe("deaddrop serve", PATIENCE, () => {
  it("exits with 2 for a bad setting, naming it, its value and what is allowed", async () => {
    expect(await run(["serve"], { env: { DEADDROP_WORKERS: "many" } })).toEqual({
      code: 2,
      out: "",
      err: 'deaddrop: workers: "many" is not allowed; allowed: a whole number of at least 1\n',
    });
  });

  it("passes over what the commands of senders and recipients read, and shows no secret of theirs", async () => {
    const nsec = nsecEncode(generateSecretKey());
    const env = {
      DEADDROP_KEY: nsec,
      DEADDROP_KEY_FILE: "k",
      DEADDROP_PASSPHRASE: "open sesame",
      DEADDROP_HOME: "h",
      DEADDROP_RELAYS: "r",
      DEADDROP_DISCOVERY: "d",
    };
    expect(await run(["config"], { env })).toMatchObject({ code: 0, err: "" });
    const misspelt = await run(["config"], { env: { DEADDROP_SECRET: nsec } });
    expect(misspelt).toMatchObject({ code: 2, out: "" });
    expect(misspelt.err).not.toContain(nsec);
  });

  it("exits with 2 for an unknown setting, naming it", async () => {
    expect(await run(["serve"], { env: { DEADDROP_PORT: "80" } })).toEqual({
      code: 2,
      out: "",
      err: "deaddrop: unknown setting DEADDROP_PORT; see deaddrop config --example\n",
    });
  });

  it("exits with 1 when the port is in use, and says which", async () => {
    const address = await listening(createNetServer());
    const ran = await run(["serve"], { env: { DEADDROP_LISTEN: address } });
    expect(ran).toMatchObject({ code: 1 });
    expect(lastLine(ran)).toContain("address already in use");
    expect(lastLine(ran)).toContain(address);
  });

  it("exits with 1 when the port for metrics is in use, and says which", async () => {
    const address = await listening(createNetServer());
    const env = { DEADDROP_LISTEN: "127.0.0.1:0", DEADDROP_METRICS: address };
    const ran = await run(["serve"], { env });
    expect(ran).toMatchObject({ code: 1 });
    expect(lastLine(ran)).toContain("address already in use");
    expect(lastLine(ran)).toContain(address);
  });

  it("exits with 1 when another relay uses the folder, and says which", async () => {
    const relay = await newRelay();
    const env = { DEADDROP_LISTEN: "127.0.0.1:0", DEADDROP_DATA: relay.data };
    const ran = await run(["serve"], { env });
    expect(ran).toMatchObject({ code: 1 });
    expect(lastLine(ran)).toContain(`${relay.data} is in use by another relay`);
  });

  it("leaves the folder to the next relay once it has ended, however that was", async () => {
    const first = await newRelay();
    await first.kill();
    const second = await newRelay({ data: first.data });
    expect(await second.stop()).toBe(0);
    const third = await newRelay({ data: first.data });
    expect(await third.stop()).toBe(0);
  });

  it("exits with 1 when the folder is a file, and says which", async () => {
    const data = join(temporaryFolder(atEnd), "data");
    writeFileSync(data, "");
    const env = { DEADDROP_LISTEN: "127.0.0.1:0", DEADDROP_DATA: data };
    const ran = await run(["serve"], { env });
    expect(ran).toMatchObject({ code: 1 });
    expect(lastLine(ran)).toContain(data);
  });

  it("makes the folder when it is missing", async () => {
    const data = join(temporaryFolder(atEnd), "deep", "down");
    const relay = await newRelay({ data });
    expect(await relay.stop()).toBe(0);
    expect(() => mkdirSync(data)).toThrow(/EEXIST/);
  });

  it("exits with 1 when uWebSockets.js is asked for where it is not, and says how to get it", async () => {
    const env = {
      DEADDROP_LISTEN: "127.0.0.1:0",
      DEADDROP_TRANSPORT: "uws",
      DEADDROP_UWS: temporaryFolder(atEnd),
    };
    const ran = await run(["serve"], { env });
    expect(ran).toMatchObject({ code: 1 });
    expect(lastLine(ran)).toMatch(/npm install .*uWebSockets\.js/);
  });

  it("says why it could not start even when it logs nothing", async () => {
    const address = await listening(createNetServer());
    const ran = await run(["serve"], {
      env: { DEADDROP_LISTEN: address, DEADDROP_LOG: "silent" },
    });
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.out + ran.err).toContain("address already in use");
  });
});

describe("deaddrop verify-store", PATIENCE, () => {
  it("says that all of a store fits together, and what does not", async () => {
    const relay = await newRelay();
    const env = { DEADDROP_DATA: relay.data };
    const bob = person();
    const client = await Client.connect(relay.url, {}, atEnd);
    const drops = [giftWrap({ to: bob }), giftWrap({ to: bob }), giftWrap({ to: bob })];
    for (const drop of drops) await client.publish(drop);
    await client.publish(acknowledgement(bob, drops.slice(0, 1)));
    expect(await run(["verify-store"], { env })).toEqual({
      code: 1,
      out: "",
      err: `deaddrop: cannot read the store in ${relay.data}: ${relay.data} is in use by another relay\n`,
    });
    await relay.stop();
    expect(await run(["verify-store"], { env })).toEqual({
      code: 0,
      out: "The store is whole: 2 held, 0 to be taken off the disk, 1 tombstones.\n",
      err: "",
    });
    const file = openStoreFile(relay.data);
    file.overwrite(2, "{");
    await file.close();
    expect(await run(["verify-store"], { env })).toEqual({
      code: 1,
      out: "",
      err: `deaddrop: the store in ${relay.data} is not whole, in 1 place:\n  drops 2: is no event\n`,
    });
  });

  it("exits with 1 where there is no store, and makes none", async () => {
    const data = temporaryFolder(atEnd);
    expect(await run(["verify-store"], { env: { DEADDROP_DATA: data } })).toEqual({
      code: 1,
      out: "",
      err: `deaddrop: cannot read the store in ${data}: there is no store in ${data}\n`,
    });
    expect(readdirSync(data)).toEqual([]);
  });
});

describe("deaddrop clock confirm", PATIENCE, () => {
  it("tells the relay that runs on the store, and leaves nothing there", async () => {
    const relay = await newRelay();
    const before = readdirSync(relay.data);
    const { code, out, err } = await run(["clock", "confirm"], {
      env: { DEADDROP_DATA: relay.data },
    });
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/^It is 20\d\d-.* UTC; what is past is deleted again\.\n$/);
    expect(readdirSync(relay.data)).toEqual(before);
  });

  it("exits with 1 where no relay runs, says so, and leaves nothing for the next one", async () => {
    const data = temporaryFolder(atEnd);
    expect(await run(["clock", "confirm"], { env: { DEADDROP_DATA: data } })).toEqual({
      code: 1,
      out: "",
      err: `deaddrop: no relay with its store in ${data} answers; is it running?\n`,
    });
    expect(readdirSync(data)).toEqual([]);
  });

  it("exits with 1 where there is no store, and says which", async () => {
    const data = join(temporaryFolder(atEnd), "nowhere");
    const ran = await run(["clock", "confirm"], { env: { DEADDROP_DATA: data } });
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.err).toContain(`deaddrop: cannot write to the store in ${data}: ENOENT`);
  });

  it.each([[["clock"]], [["clock", "set"]]])("exits with 2 for anything else: %j", async (args) => {
    const told = { code: 2, out: "", err: "deaddrop: clock takes confirm\n" };
    expect(await run(args)).toEqual(told);
  });
});

describe("deaddrop info", PATIENCE, () => {
  it("prints what the relay says of itself, by its URL or by the configuration", async () => {
    const relay = await newRelay({ env: { DEADDROP_NAME: "Ours", DEADDROP_PROOF_OF_WORK: "7" } });
    const told = { name: "Ours", limitation: { min_pow_difficulty: 7 }, version: PACKAGE.version };

    const byUrl = await run(["info", relay.url]);
    expect(byUrl).toMatchObject({ code: 0, err: "" });
    expect(parse(byUrl.out)).toMatchObject(told);

    const listen = relay.url.replace("ws://", "");
    const byListen = await run(["info"], { env: { DEADDROP_LISTEN: listen } });
    expect(byListen).toEqual(byUrl);
    const byPublicUrl = await run(["info"], { env: { DEADDROP_URL: relay.url } });
    expect(byPublicUrl).toEqual(byUrl);

    const asJson = await run(["info", relay.url, "--json"]);
    expect(asJson).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(asJson.out)).toEqual(parse(byUrl.out));
  });

  it("prints the onion service by which the relay is known, and asks where not Tor alone is answered", async () => {
    const onion = "ws://abcdefgh.onion";
    const aliases = `wss://other.example, ${onion}`;
    const relay = await newRelay({ env: { DEADDROP_ALIASES: aliases } });
    const listen = `127.0.0.1:1 tor, ${relay.addresses[0]}`;
    const { code, out } = await run(["info"], { env: { DEADDROP_LISTEN: listen } });
    expect(code).toBe(0);
    expect(parse(out)).toMatchObject({ dead_drop: { onion_urls: [onion] } });
  });

  it("exits with 1 where nothing listens, and says what to look at", async () => {
    const server = createNetServer();
    const address = await listening(server);
    server.close();
    await once(server, "close");
    const { code, out, err } = await run(["info", `ws://${address}`]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(
      /^deaddrop: no relay answers at ws:\/\/127\.0\.0\.1:\d+ \(.+\); is it running\?\n$/,
    );
  });

  it.each([
    ["no JSON", 200, "hello"],
    ["JSON that is no document", 200, "[]"],
    ["an error", 404, '{"error":"not found"}'],
  ])("exits with 1 where something else answers: %s", async (_, status, body) => {
    const server = createServer((_request, response) => response.writeHead(status).end(body));
    const address = await listening(server);
    const { code, out, err } = await run(["info", `ws://${address}`]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(`no relay answers at ws://${address}`);
  });

  it.each(["nonsense", "drop.example.com", "ftp://drop.example.com", ""])(
    "exits with 2 for what is no relay's URL: %j",
    async (url) => {
      const { code, out, err } = await run(["info", url]);
      expect({ code, out }).toEqual({ code: 2, out: "" });
      expect(err).toContain("wss://drop.example.com");
    },
  );
});

function lastLine({ out, err }: Ran): string {
  return (out + err).trimEnd().split("\n").at(-1) ?? "";
}

// Takes a free port; given back after the test.
async function listening(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
