import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";

import { describe, expect, it } from "vitest";

import { verifierLoaders } from "../../src/verify/loaders.ts";
import { VERSION } from "../../src/version.ts";
import { Client, type Message, now } from "../support/client.ts";
import {
  acknowledgement,
  deletion,
  directMessage,
  ephemeralWrap,
  giftWrap,
  signed,
  vanishing,
} from "../support/events.ts";
import { person } from "../support/people.ts";
import { type RelayProcess, sharedRelay, startRelay } from "../support/relay.ts";

type Information = {
  readonly limitation: Readonly<Record<string, number>>;
  readonly dead_drop: Readonly<Record<string, number>>;
};

async function ask(relay: RelayProcess): Promise<Information> {
  const response = await fetch(relay.http, { headers: { accept: "application/nostr+json" } });
  return (await response.json()) as Information;
}

const UNROOTED: [method: string, target: string, status: number][] = [
  ["GET", "http://relay.example/healthz", 200],
  ["GET", "HTTP://relay.example:80", 200],
  ["GET", "https://relay.example?a=/nowhere", 200],
  ["GET", "http://relay.example/nowhere", 404],
  ["OPTIONS", "*", 204],
  ["GET", "*", 400],
  ["GET", "ftp://relay.example/healthz", 400],
  ["GET", "http:///healthz", 400],
];

describe("the HTTP side", () => {
  const shared = sharedRelay({ env: { DEADDROP_METRICS: "127.0.0.1:0" } });

  it.each([
    "application/nostr+json",
    "application/nostr+json; charset=utf-8",
    "text/html, application/nostr+json;q=0.9, */*;q=0.1",
    "Application/Nostr+JSON",
    "application/nostr+json;q=0.001",
    "text/html;q=0,application/nostr+json ; Q=1",
  ])("answers NIP-11's document to who accepts it: %s", async (accept) => {
    const response = await fetch(shared().http, { headers: { accept } });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/nostr+json");
    expect(await response.json()).toMatchObject({
      name: "Dead Drop",
      version: VERSION,
      supported_nips: expect.arrayContaining([1, 11, 17, 42, 59]),
      limitation: { auth_required: false, payment_required: false, restricted_writes: true },
      dead_drop: { kinds: [4, 1059], acknowledgement_kind: 20221 },
    });
  });

  it.each([
    "*/*",
    "application/*",
    "application/nostr+json;q=0",
    "application/nostr+json; q=0.000, */*",
    "application/nostr+json;charset=utf-8;q=0",
    "application/nostr+jsonl",
    "x-application/nostr+json",
    'text/plain;note="a, application/nostr+json, text/html"',
    "text/html;q=0, text/plain",
  ])("answers with words who does not name the document: %s", async (accept) => {
    const response = await fetch(shared().http, { headers: { accept } });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(await response.text()).toContain("Nostr relay");
  });

  it.each(["GET /", "GET /healthz", "GET /nowhere", "POST /", "OPTIONS /"])(
    "lets a page of any origin read the answer to %s",
    async (request) => {
      const [method = "", path = ""] = request.split(" ");
      const { headers } = await fetch(shared().http + path, { method });
      expect(headers.get("access-control-allow-origin")).toBe("*");
      // The wildcard alone would not let Authorization through.
      expect(headers.get("access-control-allow-headers")).toBe("authorization, *");
      expect(headers.get("access-control-allow-methods")).toContain("GET");
    },
  );

  it("answers OPTIONS with nothing but headers", async () => {
    const response = await fetch(shared().http, { method: "OPTIONS" });
    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
  });

  it("answers HEAD with what GET would, but for the body", async () => {
    const headers = { accept: "application/nostr+json" };
    const get = await fetch(shared().http, { headers });
    const head = await fetch(shared().http, { headers, method: "HEAD" });
    expect(head.status).toBe(200);
    expect(await head.text()).toBe("");
    const length = Buffer.byteLength(await get.text());
    expect(head.headers.get("content-length")).toBe(String(length));
    expect(head.headers.get("content-type")).toBe(get.headers.get("content-type"));
  });

  // uWebSockets.js refuses, before anybody is asked, a target that does not begin with a slash.
  const targets = process.env["DEADDROP_TRANSPORT"] === "uws" ? [] : UNROOTED;
  it.each([...targets, ["GET", "/healthz#there", 400], ["GET", "/healthz?#there", 400]])(
    "answers %s of the target %s with %d",
    async (method, path, status) => {
      const { hostname: host, port } = new URL(shared().http);
      const asked = request({ host, port, method, path, agent: false }).end();
      const [response] = (await once(asked, "response")) as [IncomingMessage];
      response.resume();
      expect(response.statusCode).toBe(status);
      expect(response.headers["access-control-allow-origin"]).toBe("*");
    },
  );

  it.each(["GET /", "GET /healthz", "GET /nowhere", "POST /", "OPTIONS /", "POST /drop"])(
    "lets nobody guess the type of the answer to %s",
    async (request) => {
      const [method = "", path = ""] = request.split(" ");
      const { headers } = await fetch(shared().http + path, { method });
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    },
  );

  it.each(["/nowhere", "/healthz/", "//", "/__proto__", "/constructor", "/toString"])(
    "knows no %s",
    async (path) => {
      expect((await fetch(shared().http + path)).status).toBe(404);
    },
  );

  it.each(["POST", "PUT", "DELETE", "PATCH"])(
    "knows no %s, and says what it knows",
    async (method) => {
      const response = await fetch(shared().http, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
    },
  );

  it("looks at the path alone and not at the query", async () => {
    expect((await fetch(`${shared().http}/healthz?a=b`)).status).toBe(200);
  });

  it.each([
    ["/healthz", "ok\n"],
    ["/readyz", "ready\n"],
  ])("says at %s that it is well", async (path, said) => {
    const response = await fetch(shared().http + path);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(said);
  });

  it("shows no metrics to the public", async () => {
    const response = await fetch(`${shared().http}/metrics`);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain("deaddrop_");
  });

  it("shows metrics at an address of their own, and nothing else there", async () => {
    const url = shared().metrics ?? "";
    expect(new URL(url).host).not.toBe(new URL(shared().http).host);
    const response = await fetch(url);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=/);
    expect(await response.text()).toMatch(/^deaddrop_drops_held \d+$/m);
    expect((await fetch(new URL("/", url))).status).toBe(404);
    expect((await fetch(new URL("/healthz", url))).status).toBe(404);
    expect((await fetch(url, { method: "POST" })).status).toBe(404);
  });

  it("says in the metrics which verifier runs, the one that the log names", async () => {
    const line = shared().log.find(({ msg }) => msg === "listening");
    const { verifier = "", verifierDetail = "" } = line as unknown as Record<string, string>;
    expect(Object.keys(verifierLoaders)).toContain(verifier);
    expect(await (await fetch(shared().metrics ?? "")).text()).toContain(
      `deaddrop_info{version="${VERSION}",verifier="${verifier}",detail="${verifierDetail}"} 1`,
    );
  });

  it("counts in the metrics what is held and what was done", async () => {
    const relay = shared();
    const bob = person();
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    const before = await metricsOf(relay);
    const drop = giftWrap({ to: bob });
    await client.publish(drop);
    await client.publish(drop);
    const after = await metricsOf(relay);
    const grown = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(grown("deaddrop_drops_held")).toBe(1);
    expect(grown('deaddrop_drops_total{outcome="stored",class=""}')).toBe(1);
    expect(grown('deaddrop_drops_total{outcome="known",class=""}')).toBe(1);
  });
});

describe("what is shown without metrics", () => {
  it("is no address for them", async () => {
    const relay = await startRelay();
    expect(relay.metrics).toBeUndefined();
    expect((await fetch(`${relay.http}/metrics`)).status).toBe(404);
  });
});

describe("a request too many", () => {
  it("is answered with 429 and when to come again, and health stays to be seen", async () => {
    const env = { DEADDROP_LIMITS_REQUESTS_PER_SECOND: "1", DEADDROP_LIMITS_REQUESTS_BURST: "1" };
    const relay = await startRelay({ env });
    // Asked together, so that hardly a second passes: of fifty at most a few get through.
    const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(relay.http)));
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get("retry-after")).toBe("1");
    expect((await fetch(`${relay.http}/healthz`)).status).toBe(200);
  });
});

describe("NIP-11's document", () => {
  const SMALL = {
    DEADDROP_NAME: "Ours",
    DEADDROP_DESCRIPTION: "Be kind.",
    DEADDROP_CONTACT: "mailto:a@b.example",
    DEADDROP_PUBKEY: "ab".repeat(32),
    DEADDROP_RETENTION: "3d",
    DEADDROP_AUTHOR_DELETES_WRAPS: "true",
    DEADDROP_LIMITS_MESSAGE_BYTES: "8KiB",
    DEADDROP_LIMITS_EVENT_BYTES: "4KiB",
    DEADDROP_LIMITS_TAGS: "5",
    DEADDROP_LIMITS_FILTERS: "2",
    DEADDROP_LIMITS_SUBSCRIPTIONS: "3",
    DEADDROP_LIMITS_AUTH_KEYS: "2",
    DEADDROP_LIMITS_ACKNOWLEDGEMENT_IDS: "4",
    DEADDROP_LIMITS_EARLY_TOMBSTONES: "6",
    DEADDROP_LIMITS_BOX_DROPS: "7",
    DEADDROP_LIMITS_BOX_BYTES: "100KiB",
    DEADDROP_LIMITS_LIMIT: "2",
  };
  const small = sharedRelay({ env: SMALL });

  it("says of the relay what the configuration says", async () => {
    expect(await ask(small())).toMatchObject({
      name: "Ours",
      description: "Be kind.",
      contact: "mailto:a@b.example",
      pubkey: "ab".repeat(32),
    });
  });

  it("has the configuration's numbers and no others", async () => {
    const { limitation, dead_drop, ...rest } = await ask(small());
    expect(limitation).toEqual({
      max_message_length: 8_192,
      max_subscriptions: 3,
      max_filters: 2,
      max_limit: 2,
      default_limit: 2,
      max_subid_length: 64,
      max_event_tags: 5,
      max_content_length: expect.any(Number),
      min_pow_difficulty: 0,
      created_at_lower_limit: 5 * 86_400,
      created_at_upper_limit: 15 * 60,
      auth_required: false,
      payment_required: false,
      restricted_writes: true,
    });
    expect(dead_drop).toEqual({
      kinds: [4, 1059],
      acknowledgement_kind: 20221,
      retention: 3 * 86_400,
      timestamp_fuzz: 2 * 86_400,
      clock_skew: 15 * 60,
      max_event_bytes: 4_096,
      max_drops: 7,
      max_bytes: 102_400,
      max_acknowledgement_ids: 4,
      max_early_acknowledgements: 6,
      max_auth_keys: 2,
      author_deletes_wraps: true,
      http: true,
    });
    expect(rest).toMatchObject({
      retention: [
        { kinds: [4, 1059], time: 5 * 86_400 },
        { kinds: expect.arrayContaining([5, 62, 20221, 21059]), time: 0 },
      ],
    });
  });

  it("asks for the proof of work that is asked for", async () => {
    const relay = await startRelay({ env: { DEADDROP_PROOF_OF_WORK: "255" } });
    const { limitation } = await ask(relay);
    const [, , accepted, message] = await (
      await Client.connect(relay.url)
    ).publish(giftWrap({ to: person() }));
    expect(limitation["min_pow_difficulty"]).toBe(255);
    expect({ accepted, message }).toEqual({
      accepted: false,
      message: expect.stringMatching(/^pow: difficulty \d+ is less than 255$/),
    });
  });

  it("means max_subscriptions", async () => {
    const { limitation } = await ask(small());
    const client = await (await Client.connect(small().url)).authenticate(person());
    const ends: Message[] = [];
    for (let opened = 0; opened <= (limitation["max_subscriptions"] ?? 0); opened++) {
      ends.push((await client.request(`sub ${opened}`, {})).end);
    }
    const verbs = ends.map(([verb]) => verb);
    expect(verbs).toEqual(["EOSE", "EOSE", "EOSE", "CLOSED"]);
  });

  it("means max_filters", async () => {
    const max = (await ask(small())).limitation["max_filters"] ?? 0;
    const client = await (await Client.connect(small().url)).authenticate(person());
    const filters = Array.from({ length: max + 1 }, () => ({}));
    expect((await client.request("within", ...filters.slice(1))).end[0]).toBe("EOSE");
    expect((await client.request("beyond", ...filters)).end[0]).toBe("CLOSED");
  });

  it("means max_limit and default_limit", async () => {
    const { limitation } = await ask(small());
    const bob = person();
    const client = await (await Client.connect(small().url)).authenticate(bob);
    for (let held = 0; held < 4; held++) await client.publish(giftWrap({ to: bob }));
    expect(await client.pickup({ limit: 100 })).toHaveLength(limitation["max_limit"] ?? 0);
    expect(await client.pickup({})).toHaveLength(limitation["default_limit"] ?? 0);
  });

  it("means max_subid_length", async () => {
    const max = (await ask(small())).limitation["max_subid_length"] ?? 0;
    const client = await (await Client.connect(small().url)).authenticate(person());
    expect((await client.request("x".repeat(max), {})).end[0]).toBe("EOSE");
    client.say("REQ", "x".repeat(max + 1), {});
    expect((await client.hear())[0]).toBe("CLOSED");
  });

  it("means max_message_length", async () => {
    const max = (await ask(small())).limitation["max_message_length"] ?? 0;
    const client = await Client.connect(small().url);
    client.sayRaw(JSON.stringify(["CLOSE", "x"]).padEnd(max));
    expect((await client.publish(giftWrap({ to: person() })))[0]).toBe("OK");
    client.sayRaw(JSON.stringify(["CLOSE", "x"]).padEnd(max + 1));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });

  it("means max_event_tags", async () => {
    const max = (await ask(small())).limitation["max_event_tags"] ?? 0;
    const client = await Client.connect(small().url);
    // One tag is the recipient's.
    const tags = Array.from({ length: max }, (_, number) => ["t", String(number)]);
    const within = await client.publish(giftWrap({ to: person(), tags: tags.slice(1) }));
    const beyond = await client.publish(giftWrap({ to: person(), tags }));
    expect([within[2], beyond[2]]).toEqual([true, false]);
  });

  it("means max_content_length, in characters of the content as NIP-11 counts", async () => {
    const max = (await ask(small())).limitation["max_content_length"] ?? 0;
    const client = await Client.connect(small().url);
    const within = await client.publish(giftWrap({ to: person(), content: "x".repeat(max) }));
    const beyond = await client.publish(giftWrap({ to: person(), content: "x".repeat(max + 1) }));
    expect([within[2], beyond[2]]).toEqual([true, false]);
  });

  it("means created_at_lower_limit and created_at_upper_limit", async () => {
    const { limitation } = await ask(small());
    const oldest = now() - (limitation["created_at_lower_limit"] ?? 0);
    const newest = now() + (limitation["created_at_upper_limit"] ?? 0);
    const client = await Client.connect(small().url);
    const answers: unknown[] = [];
    // A minute to either side, for a clock that goes on.
    for (const created_at of [oldest + 60, oldest - 60, newest - 60, newest + 60]) {
      answers.push((await client.publish(giftWrap({ to: person(), created_at })))[2]);
    }
    expect(answers).toEqual([true, false, true, false]);
  });

  it("means max_drops", async () => {
    const max = (await ask(small())).dead_drop["max_drops"] ?? 0;
    const bob = person();
    const client = await Client.connect(small().url);
    const answers: Message[] = [];
    for (let sent = 0; sent <= max; sent++)
      answers.push(await client.publish(giftWrap({ to: bob })));
    const refused = answers.filter(([, , accepted]) => accepted === false);
    expect(refused).toEqual([answers.at(-1)]);
    expect(refused[0]?.[3]).toBe("rate-limited: mailbox full");
  });

  it("means max_acknowledgement_ids", async () => {
    const max = (await ask(small())).dead_drop["max_acknowledgement_ids"] ?? 0;
    const client = await Client.connect(small().url);
    const drops = Array.from({ length: max + 1 }, () => giftWrap({ to: person() }));
    const within = await client.publish(acknowledgement(person(), drops.slice(1)));
    const beyond = await client.publish(acknowledgement(person(), drops));
    expect([within[2], beyond[2]]).toEqual([true, false]);
  });

  it("means max_early_acknowledgements", async () => {
    const max = (await ask(small())).dead_drop["max_early_acknowledgements"] ?? 0;
    const bob = person();
    const client = await Client.connect(small().url);
    const answers: unknown[] = [];
    for (let sent = 0; sent <= max; sent++) {
      const ack = acknowledgement(bob, [giftWrap({ to: bob })]);
      answers.push((await client.publish(ack))[2]);
    }
    expect(answers.indexOf(false)).toBe(max);
  });

  it("means max_auth_keys", async () => {
    const max = (await ask(small())).dead_drop["max_auth_keys"] ?? 0;
    const client = await Client.connect(small().url);
    await client.authenticate(...Array.from({ length: max }, () => person()));
    client.say("AUTH", client.authEvent(person()));
    expect((await client.hear())[2]).toBe(false);
  });
});

describe("the operator's view", () => {
  it("names no recipient, no sender, no address and no content, whatever was asked", async () => {
    const [alice, bob, denied] = [person(), person(), person()];
    const relay = await startRelay({
      env: {
        DEADDROP_LOG: "debug",
        DEADDROP_METRICS: "127.0.0.1:0",
        DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
        DEADDROP_DENIED_RECIPIENTS: denied.key,
        DEADDROP_LIMITS_BOX_DROPS: "3",
        DEADDROP_LIMITS_INBOX: "1",
      },
    });
    const headers = { "x-forwarded-for": "203.0.113.77" };
    const connect = (): Promise<Client> => Client.connect(relay.url, headers);
    const sender = await connect();
    const recipient = await (await connect()).authenticate(bob);
    await recipient.request("secret-subscription", {});

    // What goes well.
    const content = "secret-content";
    const drops = [
      giftWrap({ to: bob, content }),
      directMessage({ from: alice, to: bob, content: `${content} 2` }),
    ];
    for (const drop of [...drops, ...drops, ephemeralWrap({ to: bob, content })]) {
      await sender.publish(drop);
    }
    recipient.say("COUNT", "secret-subscription", {});
    await recipient.hearUntil("COUNT");
    await sender.publish(acknowledgement(bob, drops));
    await sender.publish(deletion(alice, drops));
    await sender.publish(vanishing(alice));

    // What is refused.
    const wrap = giftWrap({ to: bob, content });
    const refused = [
      { ...wrap, sig: "00".repeat(64) },
      { ...wrap, id: "11".repeat(32) },
      { ...wrap, content: 5 },
      { ...wrap, secret: content, tags: [["p", bob.key.toUpperCase()]] },
      giftWrap({ to: denied, content }),
      giftWrap({ to: bob, content, tags: [["p", alice.key]] }),
      giftWrap({ to: bob, content, created_at: 1 }),
      giftWrap({ to: bob, content, tags: [["expiration", content]] }),
      giftWrap({ to: bob, content: content.repeat(6_000) }),
      signed(alice, { kind: 1, content }),
      vanishing(alice, "wss://secret-relay.example"),
      sender.authEvent(alice),
    ];
    for (const event of refused) {
      sender.say("EVENT", event);
      expect((await sender.hear())[2]).toBe(false);
    }
    for (let sent = 0; sent < 4; sent++) await sender.publish(giftWrap({ to: bob, content }));
    sender.say("AUTH", sender.authEvent(alice, { content, tags: [["relay", relay.url]] }));
    await sender.hear();
    const asked = [
      ["REQ", "secret-subscription", {}],
      ["REQ", "secret-subscription", { "#p": [bob.key] }],
      ["REQ", "secret-subscription", { [`secret-field ${bob.key}`]: [bob.key] }],
      ["REQ", "secret-subscription", { authors: [`x${bob.key}`] }],
      ["REQ", `secret-subscription${bob.key}${bob.key}`, {}],
      ["COUNT", "secret-subscription", { "#p": [bob.key] }],
      [`secret-verb ${bob.key}`, content],
      { secret: bob.key },
    ];
    for (const message of asked) {
      sender.sayRaw(JSON.stringify(message));
      await sender.hear();
    }
    sender.sayRaw(`["EVENT",{"id":"${wrap.id}","pubkey":"${bob.key}","content":"${content}`);
    await sender.hear();
    sender.sayRaw(Buffer.from(`${bob.key}${content}`));
    await sender.hear();
    const flood = await connect();
    for (let sent = 0; sent < 50; sent++) flood.say("EVENT", giftWrap({ to: bob, content }));
    for (let heard = 0; heard < 50; heard++) await flood.hear();
    const tooLarge = await connect();
    tooLarge.sayRaw(content.repeat(20_000));
    await tooLarge.closed;
    for (const path of [`/pickup/${bob.key}`, `/${content}`, `/?key=${bob.key}`]) {
      await fetch(relay.http + path, { headers: { ...headers, "user-agent": content } });
    }

    const metrics = await (await fetch(relay.metrics ?? "")).text();
    expect(await relay.stop()).toBe(0);
    const log = JSON.stringify(relay.log);
    // It did tell of all that, in its own words.
    expect(metrics).toMatch(/outcome="refused",class="restricted"} [1-9]/);
    expect(log).toContain("invalid: signature is wrong");
    expect(log).toContain('"verb":"COUNT","chars":');
    const secrets = [
      ...[alice, bob, denied].map(({ key }) => key),
      ...[...drops, wrap].flatMap(({ id, pubkey, sig }) => [id, pubkey, sig]),
      ...sender.challenges,
      ...recipient.challenges,
      "203.0.113.77",
      "secret",
      bob.key.slice(0, 16),
    ];
    for (const secret of secrets) {
      expect(log.toLowerCase()).not.toContain(secret);
      expect(metrics.toLowerCase()).not.toContain(secret);
    }
  });

  it("says that storage is full without saying for whom", async () => {
    const relay = await startRelay({
      env: {
        DEADDROP_LOG: "debug",
        DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
        DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB",
      },
    });
    const bob = person();
    const headers = { "x-forwarded-for": "203.0.113.77" };
    const client = await Client.connect(relay.url, headers);
    // What is free in the file comes first.
    let drop = giftWrap({ to: bob });
    let answer = await client.publish(drop);
    for (let held = 0; answer[2] === true && held < 200; held++) {
      drop = giftWrap({ to: bob, content: "x".repeat(16_384) });
      answer = await client.publish(drop);
    }
    expect(answer).toEqual(["OK", drop.id, false, "error: storage full"]);
    await relay.stop();
    const log = JSON.stringify(relay.log);
    expect(log).toContain("storage full");
    for (const secret of [bob.key, drop.id, drop.pubkey, drop.content, "203.0.113.77"]) {
      expect(log).not.toContain(secret);
    }
  });
});

async function metricsOf(relay: RelayProcess): Promise<Map<string, number>> {
  const lines = (await (await fetch(relay.metrics ?? "")).text()).split("\n");
  return new Map(
    lines
      .filter((line) => !line.startsWith("#"))
      .map((line) => {
        const end = line.lastIndexOf(" ");
        return [line.slice(0, end), Number(line.slice(end + 1))];
      }),
  );
}
