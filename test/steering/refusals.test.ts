// Who is not an admin, or does not prove it as NIP-86 and NIP-98 want, is told why with 401, and nothing changes.

import * as fc from "fast-check";
import type { EventTemplate, NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { ask, bytesOf, inHeader } from "../http/support.ts";
import { now } from "../support/client.ts";
import { signed } from "../support/events.ts";
import { person } from "../support/people.ts";
import { knownAs, type RelayProcess, sharedRelay, startRelay } from "../support/relay.ts";
import {
  authorizes,
  CONNECTIONS,
  done,
  information,
  LOOPS,
  manage,
  request,
  send,
  state,
} from "./support.ts";

const admin = person();
const [mallory, bob] = [person(), person()];
const env = { DEADDROP_ADMINS: admin.key };
const BODY = request("banpubkey", bob.key, "spam");

/** A right authorization with one thing changed. */
function with_(change: Partial<EventTemplate>, by = admin) {
  return (relay: RelayProcess): NostrEvent => authorizes(by, relay, BODY, change);
}

function withTag(name: string, value: string | undefined) {
  return (relay: RelayProcess): NostrEvent => {
    const { tags } = authorizes(admin, relay, BODY);
    const others = tags.filter(([tag]) => tag !== name);
    return authorizes(admin, relay, BODY, {
      tags: value === undefined ? others : [...others, [name, value]],
    });
  };
}

const WRONG: [string, (relay: RelayProcess) => NostrEvent | string | undefined, RegExp][] = [
  ["no authorization", () => undefined, /^auth-required: give a NIP-98 authorization/],
  ["another scheme", () => "Bearer abc", /^auth-required: the Authorization header is not “Nostr”/],
  ["an authorization that is no event", () => inHeader("x"), /^auth-required: invalid: an event/],
  ["a key that is no admin's", with_({}, mallory), /^restricted: this key may not steer the relay/],
  [
    "an event that is stale",
    (relay) => authorizes(admin, relay, BODY, { created_at: now() - 65 }),
    /created_at of the authorization is more than 60 seconds from now/,
  ],
  [
    "an event of the future",
    (relay) => authorizes(admin, relay, BODY, { created_at: now() + 65 }),
    /created_at of the authorization is more than 60 seconds from now/,
  ],
  ["an event of another kind", with_({ kind: 22242 }), /is not an event of kind 27235/],
  ["the URL of another relay", withTag("u", "wss://drop.example.com"), /u tag .* another relay/],
  ["no URL", withTag("u", undefined), /u tag .* names another relay/],
  [
    "another URL of the relay",
    (relay) => withTag("u", `${relay.url}/pickup`)(relay),
    /u tag .* names another URL/,
  ],
  ["another method", withTag("method", "GET"), /method tag .* names another method/],
  ["no payload", withTag("payload", undefined), /the authorization has no payload tag/],
  [
    "the payload of another request",
    withTag("payload", "ab".repeat(32)),
    /the payload tag .* is not the SHA-256 of the body/,
  ],
  [
    "a signature by somebody else",
    (relay) => ({ ...authorizes(mallory, relay, BODY), pubkey: admin.key }),
    /id is not the hash of the event/,
  ],
  [
    "a signature of something else",
    (relay) => ({
      ...authorizes(admin, relay, BODY),
      sig: authorizes(admin, relay, BODY, { content: "x" }).sig,
    }),
    /signature is wrong/,
  ],
];

describe.each(LOOPS)("a relay with %s", (_, loops) => {
  const relay = sharedRelay({ env: { ...env, ...loops } });

  it.each(WRONG)("answers 401 with the reason to %s, and nothing changes", async (_, made, why) => {
    const before = await state(relay(), admin);
    const { status, body } = await send(relay(), BODY, made(relay()));
    expect({ status, keys: Object.keys(body) }).toEqual({ status: 401, keys: ["error"] });
    expect(body["error"]).toMatch(why);
    expect(await state(relay(), admin)).toEqual(before);
  });

  it("says which relay it is to who names another one", async () => {
    const event = withTag("u", "wss://drop.example.com")(relay());
    const { body } = await send(relay(), BODY, event);
    expect(body["error"]).toBe(
      `auth-required: the u tag of the authorization names another relay${knownAs(relay())}`,
    );
  });

  it("takes an authorization once, whichever connection it comes over", async () => {
    const unban = request("unbanpubkey", bob.key);
    const authorization = authorizes(admin, relay(), BODY);
    expect(await send(relay(), BODY, authorization)).toMatchObject({ body: { result: true } });
    expect(await send(relay(), unban, authorizes(admin, relay(), unban))).toMatchObject({
      status: 200,
    });
    const before = await state(relay(), admin);
    for (let tries = 0; tries < CONNECTIONS; tries += 1) {
      // Each over a connection of its own.
      const answer = await send(relay(), BODY, authorization, { connection: "close" });
      expect(answer).toEqual({
        status: 401,
        body: {
          error: "auth-required: the authorization was used before; each is good for one request",
        },
      });
    }
    expect(await state(relay(), admin)).toEqual(before);
  });

  it("takes one of many at once, and no more", async () => {
    const name = request("changerelayname", "once");
    const authorization = authorizes(admin, relay(), name);
    const answers = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => send(relay(), name, authorization)),
    );
    const taken = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 401);
    expect([taken.length, refused.length]).toEqual([1, CONNECTIONS - 1]);
  });

  it("changes nothing for a body that asks for nothing it can do, whatever it is", async () => {
    const before = await state(relay(), admin);
    const junk = fc.oneof(
      fc.json(),
      fc.string(),
      fc
        .record({
          method: fc.oneof(fc.string(), fc.constantFrom("__proto__", "toString", "banevent")),
          params: fc.jsonValue(),
        })
        .map((value) => JSON.stringify(value)),
      fc
        .tuple(
          fc.constantFrom("banpubkey", "allowpubkey", "blockip", "removebox"),
          fc.array(
            fc.oneof(
              fc.integer(),
              fc.constant(null),
              fc.constant({}),
              fc.constant(bob.key.toUpperCase()),
              fc.constant(`${bob.key}0`),
              fc.constant("x".repeat(5_001)),
            ),
          ),
        )
        .map(([method, params]) => request(method, ...params)),
    );
    await fc.assert(
      fc.asyncProperty(junk, async (body) => {
        const authorization = authorizes(admin, relay(), body, { content: String(Math.random()) });
        const answer = await send(relay(), body, authorization);
        expect(answer.status).toBe(200);
        expect(Object.keys(answer.body)).toEqual(["error"]);
        expect(answer.body["error"]).toMatch(/./);
      }),
      { numRuns: 60 },
    );
    expect(await state(relay(), admin)).toEqual(before);
  });

  it.each([
    ["no method", "{}", /a request is \{"method": "…", "params": \[…\]\}/],
    ["no JSON", "{", /the body is not JSON/],
    ["an unknown method", request("banevent", "ab"), /no such method; see supportedmethods/],
    ["no key", request("banpubkey"), /public key: 64 lowercase hex digits/],
    ["an npub", request("banpubkey", "npub1qqqq"), /public key: 64 lowercase hex digits/],
    ["no address", request("blockip", "drop.example.com"), /address or a network/],
    ["an impossible network", request("blockip", "10.0.0.0/33"), /address or a network/],
    [
      "too long a reason",
      request("banpubkey", bob.key, "x".repeat(501)),
      /reason is a text of 500/,
    ],
    ["a reason that is none", request("banpubkey", bob.key, { why: 1 }), /reason is a text of 500/],
    ["an icon that is no URL", request("changerelayicon", "javascript:0"), /icon is an http/],
    ["too much", request("stats", 1), /stats takes 0 parameters at most/],
  ])("says what is wrong with a request that has %s", async (_, body, why) => {
    const content = String(Math.random());
    const answer = await send(relay(), body, authorizes(admin, relay(), body, { content }));
    expect(answer).toMatchObject({ status: 200, body: { error: expect.stringMatching(why) } });
  });

  it("takes a relay's URL in any of its spellings", async () => {
    const { host } = new URL(relay().url);
    for (const url of [relay().url, `${relay().url}/`, relay().http, `${relay().http}/`, host]) {
      const event = withTag("u", url)(relay());
      expect(await send(relay(), BODY, event)).toMatchObject({ status: 200 });
    }
    await done(relay(), admin, "unbanpubkey", bob.key);
  });

  it("answers nobody but pages of any origin, too: a browser may ask", async () => {
    const { status, headers } = await ask(`${relay().http}/`, { method: "OPTIONS" });
    expect(status).toBe(204);
    expect(headers.get("access-control-allow-methods")).toContain("POST");
    expect(headers.get("access-control-allow-headers")).toContain("authorization");
  });
});

it("an authorization that was used for a decision is not good after a restart", async () => {
  const relay = await startRelay({ env });
  const authorization = authorizes(admin, relay, BODY);
  const { status } = await send(relay, BODY, authorization);
  expect(status).toBe(200);
  await relay.kill();
  const listen = new URL(relay.url).host;
  const again = await startRelay({ data: relay.data, env: { ...env, DEADDROP_LISTEN: listen } });
  await done(again, admin, "unbanpubkey", bob.key);
  expect(await send(again, BODY, authorization)).toMatchObject({
    status: 401,
    body: { error: expect.stringMatching(/was used before/) },
  });
  expect(await done(again, admin, "listbannedpubkeys")).toEqual([]);
});

it("requests of admins are among those an address may make", async () => {
  const relay = await startRelay({
    env: {
      ...env,
      DEADDROP_LIMITS_REQUESTS_PER_SECOND: "1",
      DEADDROP_LIMITS_REQUESTS_BURST: "3",
    },
  });
  const answers = [];
  for (let n = 0; n < 6; n += 1) answers.push(await manage(relay, mallory, "stats"));
  expect(answers.map(({ status }) => status)).toContain(429);
});

describe("a relay without admins", () => {
  const relay = sharedRelay();

  it("answers a request of NIP-86 as any other that it does not know", async () => {
    const headers = { authorization: inHeader(authorizes(admin, relay(), BODY)) };
    const [asked, other] = await Promise.all(
      ["application/nostr+json+rpc", "text/plain"].map((type) =>
        ask(`${relay().http}/`, {
          method: "POST",
          body: BODY,
          headers: { ...headers, "content-type": type },
        }),
      ),
    );
    expect(asked?.status).toBe(405);
    expect(bytesOf(asked!)).toBe(bytesOf(other!));
  });

  it("does not say that it speaks NIP-86; one with admins does", async () => {
    expect((await information(relay()))["supported_nips"]).not.toContain(86);
    const steered = await startRelay({ env });
    expect((await information(steered))["supported_nips"]).toContain(86);
  });
});

it("a relay below a path takes the URL with it, whether its proxy takes the path off or not", async () => {
  const url = "wss://drop.example.com/inbox";
  const relay = await startRelay({ env: { ...env, DEADDROP_URL: url } });
  for (const path of ["/", "/inbox", "/inbox/"]) {
    for (const named of [url, `${url}/`]) {
      const body = request("stats");
      const { tags } = authorizes(admin, { ...relay, url: named }, body);
      const event = signed(admin, { kind: 27235, tags, content: String(Math.random()) });
      const { status } = await ask(relay.http + path, {
        method: "POST",
        body,
        headers: {
          "content-type": "application/nostr+json+rpc; charset=utf-8",
          authorization: inHeader(event),
        },
      });
      expect({ path, named, status }).toEqual({ path, named, status: 200 });
    }
  }
});
