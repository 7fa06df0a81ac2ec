import type { NostrEvent } from "nostr-tools";
import { npubEncode } from "nostr-tools/nip19";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { acknowledgement, directMessage, giftWrap, inOrder } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { sharedRelay, startRelay } from "../support/relay.ts";
import {
  ask,
  askAs,
  authorizationEvent,
  boxOf,
  count,
  dropsFor,
  hold,
  idsOf,
  inHeader,
  type Pickup,
  pickup,
  post,
  recipientOf,
} from "./support.ts";

const relay = sharedRelay();

/** What an answer says of the page it is. */
function pageOf({ headers }: Pickup): object {
  return {
    count: headers.get("dead-drop-count"),
    finished: headers.get("dead-drop-finished"),
    cursor: headers.get("dead-drop-cursor") !== null,
    next: headers.get("link")?.endsWith('; rel="next"') ?? false,
  };
}

const WHOLE = { finished: "true", cursor: true, next: false };
const PART = { finished: "false", cursor: true, next: true };

/** Follows the Link of an answer, as it stands there. */
function next(owner: Person, { headers }: Pickup): Promise<Pickup> {
  const [, target = ""] = /^<(.+)>; rel="next"$/.exec(headers.get("link") ?? "") ?? [];
  return pickup(relay(), owner, new URL(target, boxOf(relay(), owner)).search);
}

describe("GET /pickup", () => {
  it("brings all drops, each as it came, a line each, newest first and by id within a second", async () => {
    const { bob, drops } = await recipientOf(relay(), 40);
    const answer = await pickup(relay(), bob);
    expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.events).toEqual(drops);
    expect(pageOf(answer)).toEqual({ ...WHOLE, count: "40" });
  });

  it("brings nothing of an empty box, and no cursor", async () => {
    const answer = await pickup(relay(), person());
    expect(answer.text).toBe("");
    expect(pageOf(answer)).toEqual({ count: "0", finished: "true", cursor: false, next: false });
  });

  it("finds the box by npub as by hex digits", async () => {
    const { bob, drops } = await recipientOf(relay(), 2);
    const url = `${relay().http}/pickup/${npubEncode(bob.key)}`;
    const answer = await askAs(bob, url);
    expect(answer.status).toBe(200);
    expect(answer.text).toBe((await pickup(relay(), bob)).text);
    expect(answer.text).toContain(drops[0]?.id);
    expect(JSON.parse((await askAs(bob, `${url}/count`)).text)).toEqual({ count: 2 });
  });

  it("shows what a REQ shows, in its order", async () => {
    const { bob } = await recipientOf(relay(), 20);
    const short = giftWrap({ to: bob, tags: [["expiration", String(now() + 2)]] });
    const message = directMessage({ from: person(), to: bob });
    await hold(relay(), [message, short]);
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    while ((await client.pickup()).includes(short.id));
    const { events } = await client.request("box", {});
    expect((await pickup(relay(), bob)).events).toEqual(events);
    expect(idsOf(events)).toContain(message.id);
  });

  it("deletes nothing, however often and in whatever way it is read", async () => {
    const { bob, drops } = await recipientOf(relay(), 3);
    for (const query of ["", "?limit=1", "?wait=1", "/count", ""]) {
      await askAs(bob, `${relay().http}/pickup/${bob.key}${query}`);
    }
    expect((await pickup(relay(), bob)).events).toEqual(drops);
    expect(await count(relay(), bob)).toEqual({ count: 3 });
  });

  it("brings at most `limit` drops, and says whether there are more", async () => {
    const { bob, drops } = await recipientOf(relay(), 5);
    const pages = [];
    for (const limit of [1, 4, 5, 6, 999_999_999]) {
      const answer = await pickup(relay(), bob, `?limit=${limit}`);
      expect(answer.events).toEqual(drops.slice(0, limit));
      pages.push(pageOf(answer));
    }
    expect(pages).toEqual([
      { ...PART, count: "1" },
      { ...PART, count: "4" },
      { ...WHOLE, count: "5" },
      { ...WHOLE, count: "5" },
      { ...WHOLE, count: "5" },
    ]);
  });

  it("brings at most what the operator allows, and says that there is more", async () => {
    const small = await startRelay({ env: { DEADDROP_LIMITS_LIMIT: "3" } });
    const bob = person();
    const drops = dropsFor(bob, 4);
    await hold(small, drops);
    for (const query of ["", "?limit=100"]) {
      const answer = await pickup(small, bob, query);
      expect(answer.events).toEqual(inOrder(drops).slice(0, 3));
      expect(pageOf(answer)).toEqual({ ...PART, count: "3" });
    }
    expect(await count(small, bob)).toEqual({ count: 4 });
  });

  it("shows what came behind the cursor of the last page when that is asked for again", async () => {
    const { bob, drops } = await recipientOf(relay(), 4);
    const { headers } = await pickup(relay(), bob);
    const query = `?cursor=${headers.get("dead-drop-cursor")}`;
    expect((await pickup(relay(), bob, query)).events).toEqual([]);

    const older = giftWrap({ to: bob, created_at: now() - 3_600 });
    await hold(relay(), [older, giftWrap({ to: bob, created_at: now() + 60 })]);
    expect((await pickup(relay(), bob, query)).events).toEqual([older]);
    expect((await pickup(relay(), bob)).events).toHaveLength(drops.length + 2);
  });

  it.each(["99999999999-ffffffffffffffffffffffffffffffff", "0-00000000000000000000000000000000"])(
    "takes a cursor that it never gave: %s",
    async (cursor) => {
      const { bob, drops } = await recipientOf(relay(), 2);
      const { events } = await pickup(relay(), bob, `?cursor=${cursor}`);
      expect(events).toEqual(cursor.startsWith("0") ? [] : drops);
    },
  );

  it("brings a cursor of another box nobody else's drops", async () => {
    const { bob } = await recipientOf(relay(), 3);
    const alice = await recipientOf(relay(), 3);
    const { headers } = await pickup(relay(), bob, "?limit=1");
    const cursor = headers.get("dead-drop-cursor") ?? "";
    const { events } = await pickup(relay(), alice.bob, `?cursor=${cursor}`);
    const [created, prefix = ""] = cursor.split("-");
    const behind = alice.drops.filter(
      ({ created_at, id }) =>
        created_at < Number(created) || (created_at === Number(created) && id > prefix),
    );
    expect(events).toEqual(behind);
  });

  it.each([
    [60, 1],
    [400, 7],
    [400, 64],
  ])(
    "brings a box of %i drops in pages of %i, each drop once and in order",
    async (length, limit) => {
      const { bob, drops } = await recipientOf(relay(), length);
      let page = await pickup(relay(), bob, `?limit=${limit}`);
      const pages = [page.events];
      while (page.headers.has("link")) {
        page = await next(bob, page);
        pages.push(page.events);
      }
      expect(page.headers.get("dead-drop-finished")).toBe("true");
      expect(pages.flat()).toEqual(drops);
      expect(pages.map((events) => events.length)).toEqual([
        ...Array.from({ length: Math.floor((length - 1) / limit) }, () => limit),
        ((length - 1) % limit) + 1,
      ]);
    },
  );

  it("brings each drop once while others, seen and not yet seen, are acknowledged between the pages", async () => {
    const { bob, drops } = await recipientOf(relay(), 300);
    const gone = new Set<string>();
    const seen: NostrEvent[] = [];
    const expected: NostrEvent[] = [];
    let left = drops;
    let page = await pickup(relay(), bob, "?limit=10");
    for (;;) {
      seen.push(...page.events);
      const kept = left.filter(({ id }) => !gone.has(id));
      expected.push(...kept.slice(0, 10));
      left = kept.slice(10);
      if (!page.headers.has("link")) break;
      // The one behind which the next page begins, and some of the pages to come.
      const some = [page.events.at(-1)!, ...left.slice(0, 2), ...left.slice(-3)];
      for (const { id } of some) gone.add(id);
      const { status } = await post(relay(), "/ack", acknowledgement(bob, some));
      expect(status).toBe(200);
      page = await next(bob, page);
    }
    expect(idsOf(seen)).toEqual(idsOf(expected));
    expect(new Set(idsOf(seen)).size).toBe(seen.length);
    const kept = drops.filter(({ id }) => !gone.has(id));
    expect((await pickup(relay(), bob)).events).toEqual(kept);
  });

  it("brings a box of several megabytes whole", async () => {
    const bob = person();
    const drops = dropsFor(bob, 100, { bytes: 60_000 });
    await hold(relay(), drops);
    expect((await pickup(relay(), bob)).events).toEqual(inOrder(drops));
  });
});

describe("HEAD /pickup", () => {
  it.each(["", "?limit=2", "/count"])(
    "answers what GET would, but for the body (%s)",
    async (rest) => {
      const { bob } = await recipientOf(relay(), 3);
      const url = `${relay().http}/pickup/${bob.key}${rest}`;
      const get = await askAs(bob, url);
      const head = await askAs(bob, url, { method: "HEAD" });
      expect(get.text).not.toBe("");
      expect(head.text).toBe("");
      expect(head.status).toBe(200);
      const names = ["content-type", "link", ...[...get.headers.keys()].filter(isOurs)];
      for (const name of names) expect(head.headers.get(name)).toBe(get.headers.get(name));
    },
  );

  it("is allowed by an authorization for HEAD and not by one for GET", async () => {
    const { bob } = await recipientOf(relay(), 1);
    const url = `${relay().http}/pickup/${bob.key}`;
    const authorization = inHeader(authorizationEvent(bob, url));
    const answer = await ask(url, { method: "HEAD", headers: { authorization } });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("dead-drop-count")).toBeNull();
  });
});

function isOurs(name: string): boolean {
  return name.startsWith("dead-drop-") || name === "cache-control";
}

describe("GET /pickup/…/count", () => {
  it("says how many drops a COUNT counts", async () => {
    const { bob } = await recipientOf(relay(), 7);
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    expect(await client.count({})).toEqual(["COUNT", "count", { count: 7 }]);
    const answer = await askAs(bob, `${relay().http}/pickup/${bob.key}/count`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(JSON.parse(answer.text)).toEqual({ count: 7 });
  });

  it("says 0 of an empty box", async () => {
    expect(await count(relay(), person())).toEqual({ count: 0 });
  });
});

describe("an authorization", () => {
  it.each(["http", "https", "HTTP", "Https"])(
    "may name the scheme that the proxy in front was asked for: %s",
    async (scheme) => {
      const { bob, drops } = await recipientOf(relay(), 1);
      const url = `${relay().http}/pickup/${bob.key}`;
      const authorization = inHeader(authorizationEvent(bob, url.replace("http", scheme)));
      const answer = await ask(url, { headers: { authorization } });
      expect(answer.text).toContain(drops[0]?.id);
    },
  );

  it.each(["nostr", "NOSTR", "Nostr  "])(
    "is read whatever the case of its scheme: %s",
    async (scheme) => {
      const { bob } = await recipientOf(relay(), 1);
      const url = `${relay().http}/pickup/${bob.key}`;
      const authorization = inHeader(authorizationEvent(bob, url)).replace("Nostr", scheme);
      expect((await ask(url, { headers: { authorization } })).status).toBe(200);
    },
  );

  it.each([-50, 50])("may be %i seconds off", async (seconds) => {
    const { bob } = await recipientOf(relay(), 1);
    const url = `${relay().http}/pickup/${bob.key}`;
    const event = authorizationEvent(bob, url, { created_at: now() + seconds });
    expect((await ask(url, { headers: { authorization: inHeader(event) } })).status).toBe(200);
  });

  it("names the URL that the operator made public, or an alias, and not where the relay listens", async () => {
    const proxied = await startRelay({
      env: {
        DEADDROP_URL: "wss://relay.example/inbox",
        DEADDROP_ALIASES: "ws://dead.onion,wss://other.example:8443",
      },
    });
    const bob = person();
    const path = `/pickup/${bob.key}`;
    const answers: [string, number][] = [];
    for (const at of [
      "https://relay.example",
      "http://relay.example",
      "https://RELAY.example:443",
      "http://dead.onion",
      "https://other.example:8443",
      "https://other.example",
      "https://relay.example.evil.example",
      "https://evil.example/relay.example",
      proxied.http,
    ]) {
      const authorization = inHeader(authorizationEvent(bob, at + path));
      const { status } = await ask(proxied.http + path, { headers: { authorization } });
      answers.push([at, status]);
    }
    expect(answers).toEqual([
      ["https://relay.example", 200],
      ["http://relay.example", 200],
      ["https://RELAY.example:443", 200],
      ["http://dead.onion", 200],
      ["https://other.example:8443", 200],
      ["https://other.example", 401],
      ["https://relay.example.evil.example", 401],
      ["https://evil.example/relay.example", 401],
      [proxied.http, 401],
    ]);
  });
});
