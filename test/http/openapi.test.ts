// The description of the HTTP door, held against the door itself: by what the relay answers, and not by what its source says.

import { Validator } from "@seriousme/openapi-schema-validator";
import { npubEncode } from "nostr-tools/nip19";
import { beforeAll, describe, expect, it } from "vitest";

import { VERSION } from "../../src/version.ts";
import { now } from "../support/client.ts";
import { acknowledgement, ephemeralWrap, giftWrap, signed } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, sharedRelay, startRelay } from "../support/relay.ts";
import {
  type Answer,
  ask,
  askAs,
  type Asked,
  authorizationEvent,
  boxOf,
  dropsFor,
  hold,
  inHeader,
  pickup,
} from "./support.ts";

type Operation = {
  readonly summary: string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: object };
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
  readonly security?: readonly object[];
};

type Parameter = {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: Readonly<Record<string, unknown>>;
};

type Document = {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: { readonly Event: { readonly required: readonly string[] } };
  };
};

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
// The most that a test waits for if it is told to wait: for one that must not, too long.
const MOST_SECONDS = 600;
// Where the description is. It does not describe itself.
const SELF = "/openapi.json";
const relay = sharedRelay({ env: { DEADDROP_LIMITS_WAIT_SECONDS: String(MOST_SECONDS) } });

let document: Document;
beforeAll(async () => {
  document = await describedBy(relay());
});

async function describedBy(at: RelayProcess): Promise<Document> {
  return JSON.parse((await ask(at.http + SELF)).text) as Document;
}

function operationAt(template: string, method: string): Operation | undefined {
  return document.paths[template]?.[method.toLowerCase()];
}

/** A path with a key in it, where it has a place for one. */
function filledIn(template: string, recipient: string): string {
  return template.replace("{recipient}", recipient);
}

/** The status and the type of an answer, and whether the description has both. */
function judged(template: string, method: string, { status, headers, text }: Answer): object {
  const response = operationAt(template, method)?.responses[status];
  const [type] = headers.get("content-type")?.split(";") ?? [];
  const described = Object.keys(response?.content ?? {});
  // A HEAD has the headers of a body, and none.
  const isDescribed =
    response !== undefined &&
    (method === "HEAD" ? text === "" && described.length === 0 : described.includes(type ?? ""));
  return { method, template, status, type, isDescribed };
}

describe("/openapi.json", () => {
  it("is a valid OpenAPI document", async () => {
    const answer = await ask(relay().http + SELF);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    const { valid, errors } = await new Validator().validate(answer.text);
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
  });

  it("is of this version of the relay, and of OpenAPI 3.1", () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.info.version).toBe(VERSION);
  });

  it("names every path and method that the specification does", () => {
    const told = Object.entries(document.paths).flatMap(([template, methods]) =>
      Object.keys(methods).map((method) => `${method} ${template}`),
    );
    expect(told).toEqual(
      expect.arrayContaining([
        "post /drop",
        "post /ack",
        "get /pickup/{recipient}",
        "head /pickup/{recipient}",
        "get /pickup/{recipient}/count",
        "get /",
        "get /healthz",
        "get /readyz",
      ]),
    );
  });

  it("names every place in a path among the parameters, and no other", () => {
    for (const [template, methods] of Object.entries(document.paths)) {
      const places = [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const { parameters } of Object.values(methods)) {
        const named = parameters.filter((parameter) => parameter.in === "path");
        expect(named.map(({ name }) => name)).toEqual(places);
        expect(named.every(({ required }) => required)).toBe(true);
      }
    }
  });

  it("asks for an authorization where one is needed, and only there", async () => {
    for (const [template, methods] of Object.entries(document.paths)) {
      for (const [method, { security }] of Object.entries(methods)) {
        const url = relay().http + filledIn(template, person().key);
        const { status } = await ask(url, { method: method.toUpperCase() });
        expect([template, status === 401]).toEqual([template, security !== undefined]);
      }
    }
  });

  it("says what an event is: one that lacks any of it is refused", async () => {
    const { required } = document.components.schemas.Event;
    const drop = giftWrap({ to: person() });
    expect(required.toSorted()).toEqual(Object.keys(drop).toSorted());
  });
});

type Case = {
  readonly path: string;
  readonly method?: string;
  readonly status: number;
  readonly type?: string;
  /** What is asked, for somebody whose box has three drops. */
  readonly asked: (bob: Person) => Promise<Answer> | Answer;
};

function plainly(path: string, asked: Asked = {}): () => Promise<Answer> {
  return () => ask(relay().http + path, asked);
}

function sent(path: string, body: (bob: Person) => object | string): Case["asked"] {
  return (bob) => {
    const event = body(bob);
    const text = typeof event === "string" ? event : JSON.stringify(event);
    return ask(relay().http + path, { method: "POST", body: text });
  };
}

function encoded(path: string): Case["asked"] {
  const headers = { "content-encoding": "gzip" };
  return () => ask(relay().http + path, { method: "POST", body: "x", headers });
}

function authorized(rest: string, asked: Asked = {}): Case["asked"] {
  return (bob) => askAs(bob, boxOf(relay(), bob, rest), asked);
}

const BOX = "/pickup/{recipient}";
const COUNT = "/pickup/{recipient}/count";
const JSON_TYPE = "application/json";
const SSE = "text/event-stream";

// Under this relay's settings; what takes others is below.
const CASES: readonly Case[] = [
  { path: "/", status: 200, type: "text/plain", asked: plainly("/") },
  {
    path: "/",
    status: 200,
    type: "application/nostr+json",
    asked: plainly("/", { headers: { accept: "application/nostr+json" } }),
  },
  { path: "/healthz", status: 200, type: "text/plain", asked: plainly("/healthz") },
  { path: "/readyz", status: 200, type: "text/plain", asked: plainly("/readyz") },
  ...["/", "/healthz", "/readyz"].map((path) => ({
    path,
    method: "HEAD",
    status: 200,
    type: "text/plain",
    asked: plainly(path, { method: "HEAD" }),
  })),
  {
    path: "/drop",
    method: "POST",
    status: 201,
    asked: sent("/drop", (bob) => giftWrap({ to: bob })),
  },
  {
    path: "/drop",
    method: "POST",
    status: 200,
    asked: sent("/drop", (bob) => acknowledgement(bob, [{ id: bob.key }])),
  },
  {
    path: "/drop",
    method: "POST",
    status: 202,
    asked: sent("/drop", (bob) => ephemeralWrap({ to: bob })),
  },
  { path: "/drop", method: "POST", status: 400, asked: sent("/drop", () => "") },
  { path: "/drop", method: "POST", status: 400, asked: sent("/drop", () => ({})) },
  {
    path: "/drop",
    method: "POST",
    status: 403,
    asked: sent("/drop", (bob) => signed(bob, { kind: 1 })),
  },
  { path: "/drop", method: "POST", status: 415, asked: encoded("/drop") },
  { path: "/ack", method: "POST", status: 415, asked: encoded("/ack") },
  { path: "/drop", method: "POST", status: 413, asked: sent("/drop", () => "x".repeat(200_000)) },
  {
    path: "/drop",
    method: "POST",
    status: 413,
    asked: sent("/drop", (bob) => giftWrap({ to: bob, content: "x".repeat(70_000) })),
  },
  {
    path: "/ack",
    method: "POST",
    status: 200,
    asked: sent("/ack", (bob) => acknowledgement(bob, [{ id: bob.key }])),
  },
  {
    path: "/ack",
    method: "POST",
    status: 400,
    asked: sent("/ack", (bob) => giftWrap({ to: bob })),
  },
  { path: "/ack", method: "POST", status: 413, asked: sent("/ack", () => "x".repeat(200_000)) },
  { path: BOX, status: 200, type: "application/x-ndjson", asked: authorized("") },
  {
    path: BOX,
    status: 200,
    type: SSE,
    asked: async (bob) => {
      const leaving = new AbortController();
      const { signal } = leaving;
      const url = boxOf(relay(), bob);
      const answer = await headOf(bob, url, { headers: { accept: SSE }, signal });
      leaving.abort();
      return answer;
    },
  },
  ...[
    { path: BOX, rest: "", type: "application/x-ndjson" },
    { path: COUNT, rest: "/count", type: JSON_TYPE },
  ].flatMap(({ path, rest, type }): Case[] => [
    { path, status: 200, type, asked: authorized(rest) },
    { path, method: "HEAD", status: 200, type, asked: authorized(rest, { method: "HEAD" }) },
    { path, status: 401, asked: (bob) => ask(boxOf(relay(), bob, rest)) },
    { path, status: 403, asked: (bob) => askAs(person(), boxOf(relay(), bob, rest)) },
    { path, status: 400, asked: authorized(`${rest}?nonsense=1`) },
    {
      path,
      status: 400,
      asked: (bob) => askAs(bob, `${relay().http}/pickup/${bob.key.slice(1)}${rest}`),
    },
    {
      path,
      method: "HEAD",
      status: 401,
      asked: (bob) => ask(boxOf(relay(), bob, rest), { method: "HEAD" }),
    },
  ]),
];

/** The answer of which only the head is waited for. */
async function headOf(by: Person, url: string, asked: Asked): Promise<Answer> {
  const authorization = inHeader(authorizationEvent(by, url));
  const { status, headers } = await fetch(url, {
    ...asked,
    headers: { ...asked.headers, authorization },
  });
  return { status, headers, text: "" };
}

function titled(each: Case): [title: string, each: Case] {
  const { path, method = "GET", status, type = JSON_TYPE } = each;
  return [`${method} ${path} with ${status} and ${type}`, each];
}

describe("what the relay answers", () => {
  it.each(CASES.map(titled))(
    "%s, as described",
    async (_, { path, method = "GET", status, type = JSON_TYPE, asked }) => {
      const bob = person();
      await hold(relay(), dropsFor(bob, 3));
      const answer = judged(path, method, await asked(bob));
      expect(answer).toEqual({
        method,
        template: path,
        status,
        type,
        isDescribed: true,
      });
    },
  );

  it.each<[number, string, Readonly<Record<string, string>>, (bob: Person) => object]>([
    [422, "/drop", { DEADDROP_PROOF_OF_WORK: "255" }, (bob) => giftWrap({ to: bob })],
    [507, "/drop", { DEADDROP_LIMITS_BOX_DROPS: "1" }, (bob) => giftWrap({ to: bob })],
    [
      429,
      "/ack",
      { DEADDROP_LIMITS_EARLY_TOMBSTONES: "0" },
      (bob) => acknowledgement(bob, [{ id: bob.key }]),
    ],
  ])("%i at %s, where little is allowed", async (status, path, env, body) => {
    const strict = await startRelay({ env });
    const bob = person();
    let answer: Answer | undefined;
    for (let times = 0; times < 2; times++) {
      answer = await ask(strict.http + path, { method: "POST", body: JSON.stringify(body(bob)) });
    }
    expect(judged(path, "POST", answer!)).toMatchObject({ status, isDescribed: true });
  });

  it("429 at every path that says so, and at no other", async () => {
    const env = { DEADDROP_LIMITS_REQUESTS_PER_SECOND: "1", DEADDROP_LIMITS_REQUESTS_BURST: "1" };
    const strict = await startRelay({ env });
    const refusals: object[] = [];
    for (const [template, methods] of Object.entries(document.paths)) {
      for (const [name, { responses }] of Object.entries(methods)) {
        const method = name.toUpperCase();
        const url = strict.http + filledIn(template, person().key);
        const answers = await Promise.all(Array.from({ length: 20 }, () => ask(url, { method })));
        const refused = answers.find(({ status }) => status === 429);
        expect([method, template, refused !== undefined]).toEqual([
          method,
          template,
          "429" in responses,
        ]);
        if (refused !== undefined) refusals.push(judged(template, method, refused));
      }
    }
    expect(refusals.length).toBeGreaterThan(5);
    for (const refusal of refusals) expect(refusal).toMatchObject({ isDescribed: true });
  });
});

describe("a method that is not described", () => {
  it("is answered with 405 and those that are", async () => {
    for (const [template, methods] of Object.entries(document.paths)) {
      const described = Object.keys(methods).map((method) => method.toUpperCase());
      const url = relay().http + filledIn(template, person().key);
      for (const method of METHODS.filter((name) => !described.includes(name))) {
        const { status, headers } = await ask(url, { method });
        expect([method, template, status]).toEqual([method, template, 405]);
        const allowed = headers.get("allow")?.split(", ") ?? [];
        expect(allowed.toSorted()).toEqual([...described, "OPTIONS"].toSorted());
      }
    }
  });

  it("is OPTIONS, which every path answers with nothing", async () => {
    for (const template of Object.keys(document.paths)) {
      const url = relay().http + filledIn(template, person().key);
      const { status, text } = await ask(url, { method: "OPTIONS" });
      expect([template, status, text]).toEqual([template, 204, ""]);
    }
  });
});

// What a relay might have, and others do.
const SEGMENTS =
  `drop ack pickup count openapi.json healthz readyz metrics admin events box stats status info api v1 docs swagger openapi
  openapi.yaml login relay drops debug favicon.ico robots.txt .well-known/nostr.json .well-known/nostr/nip96.json upload req count.json
  health ready ping config __proto__ constructor`.split(/\s+/);

describe("a path that is not described", () => {
  it("is not there, whatever the method", async () => {
    const key = person().key;
    const segments = [...SEGMENTS, key, npubEncode(key)];
    const paths = new Set(segments.flatMap((one) => [`/${one}`, `/${one}/`, `/${one}/${key}`]));
    for (const rest of ["", "/count", "/events", "/stream", "/ack", "/drops", "/count/", "/x"]) {
      paths.add(`/pickup/${key}${rest}`);
      paths.add(`/pickup/${key}/count${rest}`);
    }
    const templates = Object.keys(document.paths).map(
      (template) => new RegExp(`^${template.replace(/\{\w+\}/g, "[^/]+")}$`),
    );
    const isDescribed = (path: string): boolean =>
      path === SELF || templates.some((pattern) => pattern.test(path));
    const answered: string[] = [];
    for (const path of paths) {
      if (isDescribed(path)) continue;
      for (const method of METHODS) {
        const { status } = await ask(relay().http + path, { method });
        if (status !== 404) answered.push(`${method} ${path}: ${status}`);
      }
    }
    expect(answered).toEqual([]);
    expect([...paths].filter(isDescribed).length).toBeGreaterThan(5);
  });
});

const queried = (template: string): readonly Parameter[] =>
  (operationAt(template, "GET")?.parameters ?? []).filter((each) => each.in === "query");

/** Values that the schema of a parameter allows. */
function allowed({ name, schema }: Parameter, cursor: string): string[] {
  if (schema["type"] === "string") {
    const pattern = new RegExp(String(schema["pattern"]));
    return [cursor, `${now()}-${"0".repeat(32)}`, `0-${"f".repeat(32)}`].filter((value) => {
      if (!pattern.test(value)) throw new Error(`${name} does not allow ${value}`);
      return true;
    });
  }
  const least = Number(schema["minimum"]);
  const most = Number(schema["maximum"] ?? 100_000_000);
  return [least, least + 1, most].map(String);
}

describe("a parameter", () => {
  it("that is described is taken with every value that its schema allows", async () => {
    const bob = person();
    await hold(relay(), dropsFor(bob, 3));
    const { headers } = await pickup(relay(), bob, "?limit=1");
    const cursor = headers.get("dead-drop-cursor") ?? "";
    const parameters = queried(BOX);
    expect(parameters.map(({ name }) => name).toSorted()).toEqual(["cursor", "limit", "wait"]);
    for (const parameter of parameters) {
      for (const value of allowed(parameter, cursor)) {
        const query = `?${parameter.name}=${value}`;
        const { status } = await askAs(bob, boxOf(relay(), bob, query));
        expect([query, status]).toEqual([query, 200]);
      }
    }
  });

  it("that is described is refused with any other value", async () => {
    const bob = person();
    for (const { name, schema } of queried(BOX)) {
      const { minimum, maximum } = schema as { minimum?: number; maximum?: number };
      const wrong = ["", "x", "1.5", "-1"];
      if (minimum !== undefined) wrong.push(String(minimum - 1));
      if (maximum !== undefined) wrong.push(String(maximum + 1));
      for (const value of wrong) {
        const query = `?${name}=${value}`;
        const { status } = await askAs(bob, boxOf(relay(), bob, query));
        expect([query, status]).toEqual([query, 400]);
      }
    }
  });

  it("that is not described is refused", async () => {
    const bob = person();
    const names = ["since", "until", "kinds", "ids", "authors", "page", "limit", "cursor", "wait"];
    for (const [template, rest] of [
      [BOX, ""],
      [COUNT, "/count"],
    ] as const) {
      const described = queried(template).map(({ name }) => name);
      for (const name of names.filter((each) => !described.includes(each))) {
        const { status } = await askAs(bob, boxOf(relay(), bob, `${rest}?${name}=1`));
        expect([name, rest, status]).toEqual([name, rest, 400]);
      }
    }
  });
});
