// The commands through a SOCKS5 proxy, which alone knows the names of relays, lists and domains.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { sharedRelay, temporaryFolder } from "../support/relay.ts";
import { socksProxy, type SocksProxy } from "../support/socks.ts";
import { atEnd } from "./process.ts";
import { directory, jsonLines, type Keyholder, keyholder } from "./support.ts";

const ONION = `${"b".repeat(55)}d.onion`;
const URL_OF_ONION = `ws://${ONION}`;
const LISTS = "ws://lists.example";
const DOMAIN = "people.example";

const relay = sharedRelay({ env: { DEADDROP_ALIASES: URL_OF_ONION } });

function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** A proxy behind which there is one relay, one directory and, where a port is given, one domain. */
async function proxyTo(lists: string, domain?: number): Promise<SocksProxy> {
  const ports = new Map([
    [ONION, () => portOf(relay().url)],
    ["lists.example", () => portOf(lists)],
    [DOMAIN, () => domain],
  ]);
  return socksProxy((host) => ports.get(host)?.(), atEnd);
}

/** A domain with this document, and the file with the authority that vouches for it. */
async function domain(document: () => unknown): Promise<{ port: number; authority: string }> {
  const folder = temporaryFolder(atEnd);
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", `/CN=${DOMAIN}`, "-addext", `subjectAltName=DNS:${DOMAIN}`];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const args = ["req", ...kind, "-keyout", key, "-out", cert, "-days", "2", ...subject];
  execFileSync("openssl", args, { stdio: "ignore" });
  const pems = { key: readFileSync(key), cert: readFileSync(cert) };
  const server = createServer(pems, ({ url }, response) => {
    const isAsked = url === "/.well-known/nostr.json?name=bob";
    response.writeHead(isAsked ? 200 : 404).end(JSON.stringify(document()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, authority: cert };
}

const atOnion = { discovery: LISTS, relays: [{ url: URL_OF_ONION }] };

async function received(bob: Keyholder, socks: readonly string[]): Promise<unknown[]> {
  const picked = await bob.runs(["pickup", "--ack", "--json", ...socks]);
  expect(picked).toMatchObject({ code: 0, err: "" });
  return jsonLines(picked.out).map(({ content }) => content);
}

describe.concurrent("--socks", () => {
  it("carries every command, to onion relays too, and nothing goes beside it", async () => {
    const { url: lists } = await directory();
    const proxy = await proxyTo(lists);
    const socks = ["--socks", proxy.address];
    const [alice, bob] = [keyholder({ discovery: LISTS }), keyholder(atOnion)];
    expect(await bob.runs(["relays", "set", URL_OF_ONION, ...socks])).toMatchObject({ code: 0 });
    const of = await alice.runs(["relays", "of", bob.npub, ...socks]);
    expect(of).toEqual({ code: 0, out: `${URL_OF_ONION}/\n`, err: "" });
    const sent = await alice.runs(["send", bob.npub, "from nowhere", ...socks]);
    expect(sent.out).toMatch(new RegExp(`^${URL_OF_ONION}/ held until 20`));
    expect((await bob.runs(["status", ...socks])).out).toContain(
      `${URL_OF_ONION}/ holds 1 message,`,
    );
    expect(await received(bob, socks)).toEqual(["from nowhere"]);
    const about = await alice.runs(["info", URL_OF_ONION, "--json", ...socks]);
    expect(JSON.parse(about.out)).toHaveProperty("dead_drop");
    expect(await bob.runs(["ack", "ab".repeat(32), ...socks])).toMatchObject({ code: 0 });
    const watching = bob.starts(["watch", ...socks]);
    await alice.runs(["send", bob.npub, "still nowhere", ...socks]);
    await watching.prints("still nowhere");
    expect(await watching.interrupt()).toMatchObject({ code: 0 });
    const users = proxy.asked.map(({ user }) => user);
    expect(new Set(users).size).toBe(users.length);
  });

  it("is $DEADDROP_SOCKS where it is not given, and none of it is reached without", async () => {
    const { url: lists } = await directory();
    const proxy = await proxyTo(lists);
    const bob = keyholder(atOnion);
    const env = { DEADDROP_SOCKS: proxy.address };
    const status = await bob.runs(["status"], { env });
    expect(status).toEqual({ code: 0, out: `${URL_OF_ONION}/ holds nothing for you\n`, err: "" });
    const before = proxy.asked.length;
    const direct = await bob.runs(["status", "--timeout", "1s"]);
    expect(direct.code).toBe(1);
    expect(direct.out).toContain(`${ONION} is reached through Tor alone: give its SOCKS proxy`);
    expect(proxy.asked).toHaveLength(before);
  });

  it("finds people at domains, by a certificate that is right, and sends to them", async () => {
    const { url: lists } = await directory();
    const [alice, bob] = [keyholder(), keyholder(atOnion)];
    // The relays that the domain names are where the list is.
    const at = await domain(() => ({ names: { bob: bob.key }, relays: { [bob.key]: [LISTS] } }));
    const proxy = await proxyTo(lists, at.port);
    const socks = ["--socks", proxy.address];
    await bob.runs(["relays", "set", URL_OF_ONION, ...socks]);
    const env = { NODE_EXTRA_CA_CERTS: at.authority };
    const name = `Bob@${DOMAIN}`;
    // The discovery relay of the tests, where nobody listens, is asked through the proxy too.
    const args = ["send", name, "hello", "--timeout", "5s", ...socks];
    expect(await alice.runs(args, { env })).toMatchObject({ code: 0 });
    expect(await received(bob, socks)).toEqual(["hello"]);
    expect(proxy.asked).toContainEqual(expect.objectContaining({ host: DOMAIN, port: 443 }));
    const untrusted = await alice.runs(args);
    expect(untrusted).toMatchObject({ code: 1, out: "" });
    expect(untrusted.err).toMatch(
      /^deaddrop: people\.example could not be asked for .*certificate/,
    );
  });

  it.each([
    ["--socks", ["--socks", "nonsense"], {}],
    ["--socks", ["--socks", ""], {}],
    ["DEADDROP_SOCKS", [], { DEADDROP_SOCKS: "http://127.0.0.1:8080" }],
  ])("has to be a host and a port: %s", async (from, args, env) => {
    const { runs } = keyholder(atOnion);
    for (const command of [["status"], ["info", URL_OF_ONION]]) {
      const ran = await runs([...command, ...args], { env });
      expect(ran).toMatchObject({ code: 2, out: "" });
      expect(ran.err).toContain(`deaddrop: ${from}: "`);
      expect(ran.err).toContain("give its host and port, such as 127.0.0.1:9050");
    }
  });
});
