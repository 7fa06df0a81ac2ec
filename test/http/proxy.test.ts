// A relay whose URL has a path, behind a reverse proxy that takes it off, and behind one that does not.

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { fetchRelayInformation } from "../../src/client/relay-information.ts";
import { all, deadDrop, texts } from "../client/support.ts";
import { checksThat, conformanceReport, failures } from "../conformance/report.ts";
import { acknowledgement, giftWrap } from "../support/events.ts";
import { person } from "../support/people.ts";
import { type Passing, type Proxy, startProxy } from "../support/proxy.ts";
import { type RelayProcess, sharedRelay, startRelay } from "../support/relay.ts";
import { ask, askAs, authorizationEvent, dropsFor, hold, inHeader } from "./support.ts";

const NIP_11 = { headers: { accept: "application/nostr+json" } };
const KEY = "ab".repeat(32);

// Two of them are called like what is behind them.
const BASES = ["/inbox", "/a/b%20c", "/drop", "/pickup"];
const CASES = BASES.flatMap((base) =>
  (["strips", "keeps"] as const).map((passing): [string, Passing] => [base, passing]),
);

describe.each(CASES)("a relay at %s behind a proxy that %s it", (base, passing) => {
  const cleaning: (() => void | Promise<void>)[] = [];
  const atEnd = (clean: () => void | Promise<void>): void => void cleaning.push(clean);
  let proxy: Proxy;
  let relay: RelayProcess;
  let http: string;

  beforeAll(async () => {
    proxy = await startProxy(base, passing, atEnd);
    const env = { DEADDROP_URL: `${proxy.url}/`, DEADDROP_ALIASES: "wss://other.example/box" };
    relay = await startRelay({ env }, atEnd);
    proxy.passTo(relay.url);
    http = proxy.url.replace("ws", "http");
  });
  afterAll(async () => {
    for (const clean of cleaning.toReversed()) await clean();
  });

  it("says who it is, with and without a slash, and is described as being there", async () => {
    for (const rest of ["", "/", "?x"]) {
      const answer = await ask(http + rest, NIP_11);
      expect([rest, answer.status]).toEqual([rest, 200]);
      expect(JSON.parse(answer.text)).toMatchObject({ dead_drop: { http: true } });
    }
    expect(
      await fetchRelayInformation(proxy.url, { patienceSeconds: 5, fetch: undefined }),
    ).toMatchObject({
      rule: [{ upTo: Infinity, seconds: 30 * 24 * 60 * 60 }],
    });
    const { servers, paths } = JSON.parse((await ask(`${http}/openapi.json`)).text) as {
      servers: { url: string }[];
      paths: object;
    };
    expect(servers).toEqual([{ url: http }, { url: "https://other.example/box" }]);
    expect(paths).toHaveProperty("/drop");
    expect((await ask(`${http}/healthz`)).text).toBe("ok\n");
  });

  it("answers preflights, and has nothing where there is nothing", async () => {
    for (const path of ["", "/", "/drop", "/ack", `/pickup/${KEY}`, `/pickup/${KEY}/count`]) {
      const { status, headers } = await ask(http + path, { method: "OPTIONS" });
      expect([path, status]).toEqual([path, 204]);
      expect(headers.get("access-control-allow-origin")).toBe("*");
    }
    for (const path of ["/nowhere/at/all", "/inboxes/x/y", "//drop"]) {
      expect([path, (await ask(http + path)).status]).toEqual([path, 404]);
    }
    const wrong = await ask(`${http}/ack`, { method: "DELETE" });
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toMatch(/^POST, (GET, HEAD, )?OPTIONS$/);
  });

  it("takes drops, shows them page by page to their recipient, and forgets them", async () => {
    const bob = person();
    const drops = dropsFor(bob, 5);
    await hold({ ...relay, http }, drops);
    const box = `${http}/pickup/${bob.key}`;
    expect((await askAs(bob, `${box}/count`)).text).toBe('{"count":5}\n');
    let lines = "";
    let url: string | undefined = `${box}?limit=2`;
    while (url !== undefined) {
      const page = await askAs(bob, url);
      expect(page.status).toBe(200);
      lines += page.text;
      const [, link] = /^<(.+)>; rel="next"$/.exec(page.headers.get("link") ?? "") ?? [];
      url = link && new URL(link, url).href;
    }
    expect(lines.trim().split("\n")).toHaveLength(5);
    const body = JSON.stringify(acknowledgement(bob, drops));
    expect((await ask(`${http}/ack`, { method: "POST", body })).status).toBe(200);
    expect((await askAs(bob, `${box}/count`)).text).toBe('{"count":0}\n');
  });

  it("believes no authorization for another path, or for another relay below another one", async () => {
    const bob = person();
    const box = `/pickup/${bob.key}`;
    const { origin } = new URL(http);
    for (const url of [
      `${http}/pickup/${KEY}`,
      `${http}${box}?limit=1`,
      `${origin}/elsewhere${box}`,
      // The path of the one URL on the host of the other.
      `${origin}/box${box}`,
    ]) {
      const authorization = inHeader(authorizationEvent(bob, url));
      const { status, text } = await ask(http + box, { headers: { authorization } });
      expect([url, status]).toEqual([url, 401]);
      expect(text).toContain("the u tag of the authorization names another URL");
    }
  });

  it("is used by the library like any other", async () => {
    const [alice, bob] = [person(), person()];
    const relays = [proxy.url];
    await (await deadDrop(alice, []).send(bob.key, "hello", { relays })).settled();
    const client = deadDrop(bob, [proxy]);
    const picked = await all(client.pickup());
    expect(texts(picked)).toEqual(["hello"]);
    await client.acknowledge(picked.map(({ id }) => id));
    expect((await deadDrop(bob, [proxy]).status())[0]).toMatchObject({ drops: 0 });
  });

  it("passes the checks of its door", async () => {
    const report = await conformanceReport(proxy.url, { only: ["http", "information"] });
    expect(failures(report)).toEqual([]);
    expect(checksThat("passed", report).length).toBeGreaterThan(10);
  });
});

describe("an authorization", () => {
  const relay = sharedRelay({
    env: { DEADDROP_URL: "wss://drop.example/inbox/", DEADDROP_ALIASES: "ws://alias.example:8080" },
  });

  it.each([
    ["https://drop.example/inbox", 200],
    ["https://DROP.example:443/inbox", 200],
    ["http://drop.example/inbox", 200],
    ["wss://drop.example/inbox", 200],
    ["drop.example/inbox", 200],
    ["https://drop.example./inbox", 200],
    ["https://drop.example", 200],
    ["http://alias.example:8080", 200],
    ["http://alias.example:8080/inbox", 401],
    ["https://drop.example/inbox/", 401],
    ["https://drop.example/INBOX", 401],
    ["https://drop.example/inbox/inbox", 401],
    ["https://user@drop.example/inbox", 401],
    ["https:\\\\drop.example/inbox", 401],
    ["https://ｄrop.example/inbox", 401],
    ["https://drop.example:8443/inbox", 401],
    ["https://relay.example/inbox", 401],
  ])("for %s is answered with %i", async (base, status) => {
    const bob = person();
    const target = `/pickup/${bob.key}/count`;
    const authorization = inHeader(authorizationEvent(bob, base + target));
    const answer = await ask(relay().http + target, { headers: { authorization } });
    expect(answer.status).toBe(status);
  });

  it("for another relay is told the names of this one", async () => {
    const bob = person();
    const target = `/pickup/${bob.key}`;
    const authorization = inHeader(authorizationEvent(bob, `https://relay.example${target}`));
    const { text } = await ask(relay().http + target, { headers: { authorization } });
    expect(JSON.parse(text)).toEqual({
      accepted: false,
      reason:
        "auth-required: the u tag of the authorization names another relay, this one is known as drop.example, alias.example:8080",
    });
  });

  it("of a drop's path is not asked for: anyone may drop", async () => {
    const body = JSON.stringify(giftWrap({ to: person() }));
    const answer = await ask(`${relay().http}/inbox/drop`, { method: "POST", body });
    expect(answer.status).toBe(201);
  });
});
