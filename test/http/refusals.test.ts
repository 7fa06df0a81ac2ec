// Who may not read, what cannot be asked, and that an answer says nothing of a box to anybody but its owner.

import type { NostrEvent } from "nostr-tools";
import {
  neventEncode,
  noteEncode,
  npubEncode,
  nprofileEncode,
  nsecEncode,
} from "nostr-tools/nip19";
import { describe, expect, it } from "vitest";

import { now } from "../support/client.ts";
import { acknowledgement, giftWrap, signed } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";
import {
  ask,
  askAs,
  type Asked,
  authorizationEvent,
  boxOf,
  bytesOf,
  count,
  dropsFor,
  EventStream,
  hold,
  inHeader,
  post,
  refusal,
} from "./support.ts";

// Room for few, so that a box can be full.
const relay = sharedRelay({ env: { DEADDROP_LIMITS_BOX_DROPS: "3" } });

const SSE = { accept: "text/event-stream" };

/** The ways to read a box, as what stands behind its key. */
const READINGS: readonly (readonly [name: string, rest: string, asked: Asked])[] = [
  ["a pickup", "", {}],
  ["a pickup of one page", "?limit=1", {}],
  ["a pickup that waits", "?wait=1", {}],
  ["a count", "/count", {}],
  ["a stream", "", { headers: SSE }],
];

function otherDigit(hex: string): string {
  return hex.startsWith("0") ? `1${hex.slice(1)}` : `0${hex.slice(1)}`;
}

type Header = (bob: Person, url: string) => string | undefined;

/** A header with an event in which this is different. */
function but(change: Parameters<typeof authorizationEvent>[2]): Header {
  return (bob, url) => inHeader(authorizationEvent(bob, url, change));
}

/** A header for another URL. */
function forUrl(change: (url: URL, bob: Person) => string): Header {
  return (bob, url) => inHeader(authorizationEvent(bob, change(new URL(url), bob)));
}

/** A header with an event that was changed after it was signed. */
function forged(change: (event: NostrEvent, bob: Person) => object): Header {
  return (bob, url) => inHeader(change(authorizationEvent(bob, url), bob));
}

const WRONG: Readonly<Record<string, Header>> = {
  "no header": () => undefined,
  "an empty header": () => "",
  "another scheme": (bob) => `Basic ${Buffer.from(`${bob.key}:x`).toString("base64")}`,
  "a scheme that begins like it": (bob, url) =>
    inHeader(authorizationEvent(bob, url)).replace("Nostr", "Nostrum"),
  "the scheme alone": () => "Nostr",
  "the event without the scheme": (bob, url) => inHeader(authorizationEvent(bob, url)).slice(6),
  "an event that is not in base64": (bob, url) =>
    `Nostr ${JSON.stringify(authorizationEvent(bob, url))}`,
  "base64 of what is no JSON": () => `Nostr ${Buffer.from("nonsense").toString("base64")}`,
  "half of an event": (bob, url) => inHeader(authorizationEvent(bob, url)).slice(0, 200),
  "an event in a list": (bob, url) => inHeader([authorizationEvent(bob, url)]),
  "an event and more": (bob, url) =>
    `Nostr ${Buffer.from(`${JSON.stringify(authorizationEvent(bob, url))}]`).toString("base64")}`,
  "JSON that is no event": () => inHeader({ u: "x" }),
  "JSON that is no object": () => inHeader(null),
  "an event of 90 seconds ago": but({ created_at: now() - 90 }),
  "an event of long ago": but({ created_at: 0 }),
  "an event from 200 seconds ahead": but({ created_at: now() + 200 }),
  "an event of kind 22242": but({ kind: 22242 }),
  "an event of kind 1059": but({ kind: 1059 }),
  "another method": but({ method: "POST" }),
  "the method in lowercase": but({ method: "get" }),
  "no method": (bob, url) => inHeader(signed(bob, { kind: 27235, tags: [["u", url]] })),
  "no URL": (bob) => inHeader(signed(bob, { kind: 27235, tags: [["method", "GET"]] })),
  "no tags": but({ tags: [] }),
  "a relative URL": forUrl(({ pathname, search }) => pathname + search),
  "a URL of another scheme": forUrl(({ href }) => href.replace("http", "ftp")),
  "a user's name before the host": forUrl(({ href }) => href.replace("//", "//user@")),
  "a backslash in it": forUrl(({ href }) => href.replace("//", "\\\\")),
  "white space in the host": forUrl(({ href }) => href.replace("127", "12\t7")),
  "white space before it": forUrl(({ href }) => ` ${href}`),
  "digits that are not of ASCII": forUrl(({ href }) => href.replace("127", "１２７")),
  "a number for an address": forUrl(({ href }) => href.replace("127.0.0.1", "127.1")),
  "another host": forUrl(({ pathname, search }) => `http://relay.example${pathname}${search}`),
  "another port": forUrl(({ href, port }) => href.replace(port, String(Number(port) - 1))),
  "no port": forUrl(({ href, port }) => href.replace(`:${port}`, "")),
  "another host, and this one as a user's name": forUrl(
    ({ host, pathname, search }) => `http://${host}@relay.example${pathname}${search}`,
  ),
  "another path": forUrl(({ origin }) => `${origin}/drop`),
  "the root": forUrl(({ origin }) => origin),
  "the box of another": forUrl(({ href }, bob) => href.replace(bob.key, person().key)),
  "the same box, written as npub": forUrl(({ href }, bob) =>
    href.replace(bob.key, npubEncode(bob.key)),
  ),
  "a longer path": forUrl(({ href }) => href.replace(/(?=\?|$)/, "/x")),
  "a slash too many": forUrl(({ href }) => href.replace(/(?=\?|$)/, "/")),
  "another query": forUrl(({ href }) => `${href}${href.includes("?") ? "&" : "?"}limit=2`),
  "a fragment": forUrl(({ href }) => `${href}#x`),
  "a wrong id": forged((event) => ({ ...event, id: otherDigit(event.id) })),
  "a wrong signature": forged((event) => ({ ...event, sig: otherDigit(event.sig) })),
  "no signature": forged((event) => ({ ...event, sig: undefined })),
  "a signature by another key": (bob, url) => {
    const { pubkey, id, ...event } = authorizationEvent(bob, url);
    const { sig } = finalizeEvent(event, person().secret);
    return inHeader({ ...event, pubkey, id, sig });
  },
};

describe.each(READINGS)("%s", (_, rest, asked) => {
  it.each(Object.entries(WRONG))(
    "is refused with 401 to who shows %s instead of an authorization",
    async (_, header) => {
      const bob = person();
      const url = boxOf(relay(), bob, rest);
      const authorization = header(bob, url);
      const headers = { ...asked.headers, ...(authorization !== undefined && { authorization }) };
      const answer = await ask(url, { headers });
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toBe("Nostr");
      expect(JSON.parse(answer.text)).toEqual(refusal(expect.stringMatching(/^auth-required: \w/)));
    },
  );

  it("is refused to who shows nothing with the words that a REQ is refused with", async () => {
    const answer = await ask(boxOf(relay(), person(), rest), { headers: asked.headers ?? {} });
    const reason = "auth-required: drops are shown to their recipient only";
    expect(JSON.parse(answer.text)).toEqual(refusal(reason));
  });

  it("is refused to another key with the same bytes, whatever is in the box and whoever reads it", async () => {
    const [full, emptied, read, unknown, mallory] = [
      person(),
      person(),
      person(),
      person(),
      person(),
    ];
    const drop = giftWrap({ to: emptied });
    await hold(relay(), [drop, ...dropsFor(full, 3), ...dropsFor(read, 2)]);
    await post(relay(), "/ack", acknowledgement(emptied, [drop]));
    await EventStream.open(relay(), read);
    for (const method of ["GET", "HEAD"]) {
      const answers = [];
      for (const owner of [unknown, full, emptied, read]) {
        answers.push(await askAs(mallory, boxOf(relay(), owner, rest), { ...asked, method }));
      }
      expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
      expect(new Set(answers.map(bytesOf)).size).toBe(1);
      const text = method === "HEAD" ? "" : `${JSON.stringify(refusal(NOT_YOURS))}\n`;
      expect(answers[0]?.text).toBe(text);
    }
  });
});

const NOT_YOURS = "restricted: that is not your box";

describe("a pickup of one page", () => {
  it.each(["", "?limit=1", "?limit=3", "?limit=2&cursor=1-x"])(
    "is not allowed by an authorization for %s",
    async (query) => {
      const bob = person();
      const url = boxOf(relay(), bob, "?limit=2");
      const authorization = inHeader(authorizationEvent(bob, boxOf(relay(), bob, query)));
      expect((await ask(url, { headers: { authorization } })).status).toBe(401);
    },
  );
});

describe("what cannot be asked", () => {
  it.each([
    ["", "a path without a key", 404],
    ["npub1", "no key", 400],
    [person().key.slice(1), "63 digits", 400],
    [`${person().key}0`, "65 digits", 400],
    [person().key.toUpperCase().replace(/^./, "A"), "uppercase digits", 400],
    [`${person().key.slice(1)}g`, "what is no digit", 400],
    [`%61${"0".repeat(63)}`, "an escaped digit", 400],
    [npubEncode(person().key).replace(/.$/, "b"), "an npub with a wrong checksum", 400],
    [nsecEncode(person().secret), "a secret key", 400],
    [noteEncode(person().key), "an event", 400],
    [neventEncode({ id: person().key }), "an event with relays", 400],
    [nprofileEncode({ pubkey: person().key }), "a profile", 400],
  ])("/pickup/%s: %s", async (key, _, status) => {
    for (const rest of ["", "/count"]) {
      const answer = await askAs(person(), new URL(`/pickup/${key}${rest}`, relay().http).href);
      expect(answer.status).toBe(status);
      if (status === 404) return;
      expect(JSON.parse(answer.text)).toEqual(refusal(expect.stringMatching(/^invalid: \w/)));
    }
  });

  it.each(
    [
      ["", "0", "-1", "1.5", "1e3", "0x10", "five", "NaN", "Infinity", "%205", "+5"].map(
        (value) => ["limit", value] as const,
      ),
      [
        "",
        "x",
        "-",
        "1-",
        "-0",
        "1-0",
        `1-${"0".repeat(31)}`,
        `1-${"0".repeat(33)}`,
        `1-${"A".repeat(32)}`,
        `-1-${"0".repeat(32)}`,
        `1.5-${"0".repeat(32)}`,
        `${"1".repeat(20)}-${"0".repeat(32)}`,
        `1-${"0".repeat(32)}%0A`,
      ].map((value) => ["cursor", value] as const),
      ["", "-1", "1.5", "1e1", "soon", "61", "999999999999999999999"].map(
        (value) => ["wait", value] as const,
      ),
    ].flat(),
  )("a %s of “%s”", async (name, value) => {
    const bob = person();
    const answer = await askAs(bob, boxOf(relay(), bob, `?${name}=${value}`));
    expect(answer.status).toBe(400);
    const { reason } = JSON.parse(answer.text) as { reason: string };
    expect(reason).toMatch(/^invalid: /);
    expect(reason).toContain(name);
  });

  it("a stream that waits for a while", async () => {
    const bob = person();
    const answer = await askAs(bob, boxOf(relay(), bob, "?wait=1"), { headers: SSE });
    expect(answer.status).toBe(400);
  });

  it.each(["since=1", "kinds=1059", "Limit=1", "limit%5B%5D=1", "x", "limit=1&until=5", "%23p=x"])(
    "a parameter that is not known: ?%s",
    async (query) => {
      const bob = person();
      const answer = await askAs(bob, boxOf(relay(), bob, `?${query}`));
      expect(answer.status).toBe(400);
      const reason = expect.stringMatching(/^unsupported: unknown parameter "/);
      expect(JSON.parse(answer.text)).toEqual(refusal(reason));
    },
  );

  it.each(["limit=1", "cursor=0-00000000000000000000000000000000", "wait=1"])(
    "a count of a part: /count?%s",
    async (query) => {
      const bob = person();
      const answer = await askAs(bob, boxOf(relay(), bob, `/count?${query}`));
      expect(answer.status).toBe(400);
      const reason = expect.stringMatching(/^unsupported: unknown parameter "/);
      expect(JSON.parse(answer.text)).toEqual(refusal(reason));
    },
  );

  it.each(["limit=1&limit=2", "limit=1&limit=1", "wait=0&limit=1&wait=0"])(
    "a parameter given twice: ?%s",
    async (query) => {
      const bob = person();
      const answer = await askAs(bob, boxOf(relay(), bob, `?${query}`));
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text)).toEqual(refusal(expect.stringMatching(/^invalid: /)));
    },
  );

  it.each([
    "/pickup",
    "/pickup/",
    "/drop/",
    "/drop/x",
    "/DROP",
    "/ack/",
    "//drop",
    `/pickup/${"ab".repeat(32)}/`,
    `/pickup/${"ab".repeat(32)}/drops`,
    `/pickup/${"ab".repeat(32)}/count/`,
    `/pickup/${"ab".repeat(32)}/count/x`,
    `/pickup//count`,
    "/pickup/x/y/count",
  ])("%s, which is not there", async (path) => {
    for (const method of ["GET", "POST", "PUT", "OPTIONS"]) {
      expect((await ask(relay().http + path, { method })).status).toBe(404);
    }
  });
});

const KEY = "ab".repeat(32);

describe("a method too many", () => {
  it.each([
    ["/drop", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "QUERY"], "POST, OPTIONS"],
    ["/ack", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "QUERY"], "POST, OPTIONS"],
    [`/pickup/${KEY}`, ["POST", "PUT", "PATCH", "DELETE", "QUERY"], "GET, HEAD, OPTIONS"],
    [`/pickup/${KEY}/count`, ["POST", "PUT", "PATCH", "DELETE", "QUERY"], "GET, HEAD, OPTIONS"],
    ["/openapi.json", ["POST", "PUT", "PATCH", "DELETE", "QUERY"], "GET, HEAD, OPTIONS"],
  ])("at %s is answered with 405 and what may be asked", async (path, methods, allow) => {
    for (const method of methods) {
      const { status, headers } = await ask(relay().http + path, { method });
      expect([method, status, headers.get("allow")]).toEqual([method, 405, allow]);
    }
  });

  it("does nothing: a drop that is PUT is not held, a box that is DELETEd is not emptied", async () => {
    const bob = person();
    const [drop] = dropsFor(bob, 1);
    await hold(relay(), [drop!]);
    const body = JSON.stringify(giftWrap({ to: bob }));
    await ask(`${relay().http}/drop`, { method: "PUT", body });
    await askAs(bob, boxOf(relay(), bob), { method: "DELETE" });
    expect(await count(relay(), bob)).toEqual({ count: 1 });
  });
});

describe("a page of any origin", () => {
  const origin = "https://client.example";

  it.each(["/drop", "/ack", `/pickup/${KEY}`, `/pickup/${KEY}/count`, "/openapi.json"])(
    "may ask %s, with an authorization",
    async (path) => {
      const headers = {
        origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization,content-type",
      };
      const answer = await ask(relay().http + path, { method: "OPTIONS", headers });
      expect(answer.status).toBe(204);
      expect(answer.text).toBe("");
      expectReadable(answer.headers);
    },
  );

  it.each<[number, string, (bob: Person) => ReturnType<typeof ask>]>([
    [200, "a pickup", (bob) => askAs(bob, boxOf(relay(), bob), { headers: { origin } })],
    [200, "a count", (bob) => askAs(bob, boxOf(relay(), bob, "/count"))],
    [200, "what HEAD says", (bob) => askAs(bob, boxOf(relay(), bob), { method: "HEAD" })],
    [200, "the description", () => ask(`${relay().http}/openapi.json`)],
    [201, "that a drop is held", (bob) => sent("/drop", JSON.stringify(giftWrap({ to: bob })))],
    [200, "that drops are acknowledged", (bob) => sent("/ack", ackOf(bob))],
    [400, "that a drop is none", () => sent("/drop", "{}")],
    [400, "that an acknowledgement is none", () => sent("/ack", "nonsense")],
    [400, "that a parameter is wrong", (bob) => askAs(bob, boxOf(relay(), bob, "?limit=0"))],
    [401, "that an authorization is missing", (bob) => ask(boxOf(relay(), bob))],
    [403, "that a box is another's", (bob) => askAs(person(), boxOf(relay(), bob))],
    [403, "that a drop is no drop", (bob) => sent("/drop", JSON.stringify(note(bob)))],
    [404, "that there is nothing", () => ask(`${relay().http}/nowhere`)],
    [405, "that a method is wrong", () => ask(`${relay().http}/drop`)],
    [413, "that a body is too large", () => sent("/drop", "x".repeat(200_000))],
  ])("may read, with status %i, %s", async (status, _, answered) => {
    const answer = await answered(person());
    expect(answer.status).toBe(status);
    expectReadable(answer.headers);
  });

  it("may read a stream", async () => {
    const { headers } = await EventStream.open(relay(), person());
    expectReadable(headers);
    expect(headers.get("content-type")).toBe("text/event-stream");
  });

  function sent(path: string, body: string): ReturnType<typeof ask> {
    return ask(relay().http + path, { method: "POST", body, headers: { origin } });
  }

  function ackOf(bob: Person): string {
    return JSON.stringify(acknowledgement(bob, [{ id: KEY }]));
  }
});

function note(by: Person): NostrEvent {
  return signed(by, { kind: 1 });
}

function expectReadable(headers: Headers): void {
  expect(headers.get("access-control-allow-origin")).toBe("*");
  // The wildcard covers all but this one.
  const allowed = (headers.get("access-control-allow-headers") ?? "").split(", ");
  expect(allowed).toEqual(expect.arrayContaining(["authorization", "*"]));
  expect(headers.get("access-control-expose-headers")).toBe("*");
  const methods = (headers.get("access-control-allow-methods") ?? "").split(", ");
  expect(methods).toEqual(expect.arrayContaining(["GET", "HEAD", "POST", "OPTIONS"]));
}
