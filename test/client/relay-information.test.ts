import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocketServer } from "ws";

import { longestRetentionOf } from "../../src/client/client.ts";
import { fetchRelayInformation } from "../../src/client/relay-information.ts";
import type { NostrEvent } from "../../src/nostr/event.ts";
import { now } from "../support/client.ts";
import { person } from "../support/people.ts";
import { sharedRelay } from "../support/relay.ts";
import { deadDrop } from "./support.ts";

const DAY = 24 * 60 * 60;
const DOCUMENT = JSON.stringify({ name: "a dead drop", dead_drop: { retention: DAY } });

/** A relay that takes every event and answers HTTP as it is told. */
async function relayWith(answers: RequestListener): Promise<string> {
  const server = createServer(answers);
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("message", (text: Buffer) => {
      const [verb, event] = JSON.parse(text.toString()) as [string, NostrEvent];
      if (verb === "EVENT") socket.send(JSON.stringify(["OK", event.id, true, ""]));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** What is known of a relay, in the one way in which a sender sees it: until when it says to hold a drop. */
async function heldUntil(url: string): Promise<number | undefined> {
  const delivery = await deadDrop(person(), []).send(person().key, "x", { relays: [url] });
  expect(delivery.isDelivered).toBe(true);
  return delivery.reports[0]?.heldUntil;
}

describe("a relay's document", () => {
  const shared = sharedRelay();

  it("is read of a relay whose URL has a user name and a password, which go with it as WebSockets send them", async () => {
    const seen: (string | undefined)[] = [];
    const url = await relayWith(({ headers }, response) => {
      seen.push(headers.authorization);
      response.end(DOCUMENT);
    });
    const named = url.replace("//", "//bob%40home:s%C3%A9cret%20%25@");
    expect(await heldUntil(named)).toBeGreaterThan(0);
    const basic = Buffer.from("bob@home:sécret %").toString("base64");
    expect(seen).toEqual([`Basic ${basic}`]);
  });

  it("is read where it is asked for, and nowhere that a relay redirects to", async () => {
    const asked: string[] = [];
    const elsewhere = await relayWith(({ url = "" }, response) => {
      asked.push(url);
      response.end(DOCUMENT);
    });
    const url = await relayWith((_, response) => {
      response.writeHead(302, { location: elsewhere.replace("ws", "http") }).end();
    });
    expect(await heldUntil(url)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it.each<[string, RequestListener, string]>([
    [
      "a status that is no success",
      (_, answer) => answer.writeHead(503).end(DOCUMENT),
      "it answers with status 503",
    ],
    [
      "a redirect",
      (_, answer) => answer.writeHead(301, { location: "/" }).end(),
      "it redirects to somewhere else, which is not followed",
    ],
    ["a page", (_, answer) => answer.end("<html>"), "what it answers is no JSON"],
    [
      "JSON that is no document",
      (_, answer) => answer.end("[]"),
      "what it answers is JSON, but no document",
    ],
    [
      "what does not end",
      (_, answer) => answer.end(" ".repeat(300_000)),
      "its document is longer than 262144 characters",
    ],
    ["a connection that breaks", ({ socket }) => socket.destroy(), "other side closed"],
  ])("is unknown, and why, where there is %s", async (_, answers, why) => {
    const url = await relayWith(answers);
    const options = { patienceSeconds: 10, fetch: undefined };
    const information = await fetchRelayInformation(url, options);
    expect(information).toMatchObject({ deadDrop: "unknown", why, rule: undefined });
  });

  it("is unknown, and why, where there is no answer in the time that was given", async () => {
    const url = await relayWith(() => {});
    const options = { patienceSeconds: 0.1, fetch: undefined };
    const information = await fetchRelayInformation(url, options);
    expect(information).toMatchObject({ deadDrop: "unknown", why: "no answer within 0.1 s" });
  });

  it("is unknown, and why, where nobody listens", async () => {
    const options = { patienceSeconds: 5, fetch: undefined };
    const information = await fetchRelayInformation("ws://127.0.0.1:1", options);
    expect(information).toMatchObject({ deadDrop: "unknown" });
    expect(information.why).toMatch(/ECONNREFUSED|bad port/);
  });

  it.each([
    ['{"name":"a relay"}', "no"],
    ['{"dead_drop":null}', "no"],
    ['{"dead_drop":[]}', "no"],
    ['{"dead_drop":{}}', "yes"],
  ])("tells by %s whether it is a dead drop", async (text, deadDrop) => {
    const url = await relayWith((_, answer) => answer.end(text));
    const options = { patienceSeconds: 5, fetch: undefined };
    expect(await fetchRelayInformation(url, options)).toMatchObject({ deadDrop, why: "" });
  });

  it("has of retentions the one that holds now, the longest, and which applies to what", async () => {
    const former_retentions = [
      { until: 200, retention: 2 * DAY },
      { until: 100, retention: 9 * DAY },
      { until: "soon", retention: 99 * DAY },
      { until: 300, retention: -1 },
      null,
    ];
    const document = JSON.stringify({ dead_drop: { retention: DAY, former_retentions } });
    const url = await relayWith((_, answer) => answer.end(document));
    const options = { patienceSeconds: 5, fetch: undefined };
    expect(await fetchRelayInformation(url, options)).toMatchObject({
      rule: [
        { upTo: 100, seconds: 9 * DAY },
        { upTo: 200, seconds: 2 * DAY },
        { upTo: Infinity, seconds: DAY },
      ],
    });
    expect(await longestRetentionOf([url, "ws://127.0.0.1:9"])).toBe(9 * DAY);
    expect(await longestRetentionOf(["ws://127.0.0.1:9"])).toBeUndefined();
  });

  it.each([null, {}, "x", 5])("may have former retentions that are none: %j", async (former) => {
    const dead_drop = { retention: DAY, former_retentions: former };
    const url = await relayWith((_, answer) => answer.end(JSON.stringify({ dead_drop })));
    const options = { patienceSeconds: 5, fetch: undefined };
    expect(await fetchRelayInformation(url, options)).toMatchObject({
      rule: [{ upTo: Infinity, seconds: DAY }],
    });
  });

  it("says until when a drop is held by the retention that applies to it", async () => {
    const former = [{ until: now() + DAY, retention: 3 * DAY }];
    const document = { dead_drop: { retention: DAY, former_retentions: former } };
    const url = await relayWith((_, answer) => answer.end(JSON.stringify(document)));
    const delivery = await deadDrop(person(), []).send(person().key, "x", { relays: [url] });
    const [wrap] = delivery.wraps.values();
    expect(delivery.reports[0]?.heldUntil).toBe((wrap?.created_at ?? 0) + 2 * DAY + 3 * DAY);
  });

  it("says of ours that it is one", async () => {
    const options = { patienceSeconds: 5, fetch: undefined };
    expect(await fetchRelayInformation(shared().url, options)).toMatchObject({
      deadDrop: "yes",
      rule: [{ upTo: Infinity, seconds: 30 * DAY }],
    });
  });
});
