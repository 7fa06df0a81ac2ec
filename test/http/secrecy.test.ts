import { npubEncode } from "nostr-tools/nip19";
import { expect, it } from "vitest";

import {
  acknowledgement,
  deletion,
  directMessage,
  ephemeralWrap,
  giftWrap,
  signed,
} from "../support/events.ts";
import { person } from "../support/people.ts";
import { startRelay } from "../support/relay.ts";
import {
  ALL,
  ask,
  askAs,
  authorizationEvent,
  boxOf,
  brought,
  EventStream,
  inHeader,
  pickup,
  post,
} from "./support.ts";

it("the log and the metrics name no recipient, no sender, no address and no content, whatever was asked over HTTP", async () => {
  const [alice, bob, mallory, denied] = [person(), person(), person(), person()];
  const relay = await startRelay({
    env: {
      DEADDROP_LOG: "debug",
      DEADDROP_METRICS: "127.0.0.1:0",
      DEADDROP_TRUSTED_PROXIES: "127.0.0.1",
      DEADDROP_DENIED_RECIPIENTS: denied.key,
      DEADDROP_LIMITS_BOX_DROPS: "3",
      DEADDROP_LIMITS_CONNECTIONS_PER_ADDRESS: "2",
      DEADDROP_LIMITS_DROPS_PER_SECOND: "1",
      DEADDROP_LIMITS_DROPS_BURST: "40",
    },
  });
  const headers = { "x-forwarded-for": "203.0.113.77", "user-agent": "secret-agent" };
  const content = "secret-content";
  const secrets = ["secret", "203.0.113."];

  // What goes well.
  const drops = [
    giftWrap({ to: bob, content }),
    directMessage({ from: alice, to: bob, content: `${content} 2` }),
  ];
  const stream = await EventStream.open(relay, bob, "", headers);
  expect(await stream.hear()).toEqual(ALL);
  for (const drop of [...drops, ...drops, ephemeralWrap({ to: bob, content })]) {
    expect((await post(relay, "/drop", drop, headers)).said.accepted).toBe(true);
  }
  expect(await stream.hearMany(2)).toEqual(drops.map(brought));
  for (const rest of ["", "?limit=1", "/count"]) {
    for (const method of ["GET", "HEAD"]) {
      expect((await askAs(bob, boxOf(relay, bob, rest), { headers, method })).status).toBe(200);
    }
  }
  const { headers: page } = await pickup(relay, bob, "?limit=1", { headers });
  const cursor = page.get("dead-drop-cursor") ?? "";
  await pickup(relay, bob, `?cursor=${cursor}&wait=1`, { headers });
  const acks = [acknowledgement(bob, drops), deletion(alice, drops)];
  for (const ack of acks) expect((await post(relay, "/ack", ack, headers)).status).toBe(200);

  // What is refused.
  const wrap = giftWrap({ to: bob, content });
  const refused: [number, string][] = [
    [400, JSON.stringify({ ...wrap, sig: "00".repeat(64) })],
    [400, JSON.stringify({ ...wrap, id: "11".repeat(32) })],
    [400, JSON.stringify({ ...wrap, secret: content, tags: [["p", bob.key.toUpperCase()]] })],
    [400, JSON.stringify(giftWrap({ to: bob, content, tags: [["expiration", content]] }))],
    [403, JSON.stringify(giftWrap({ to: denied, content }))],
    [403, JSON.stringify(signed(alice, { kind: 1, content }))],
    [413, JSON.stringify(giftWrap({ to: bob, content: content.repeat(6_000) }))],
    [413, content.repeat(20_000)],
    [400, JSON.stringify(wrap).slice(0, -1)],
    [400, `"${content}"`],
  ];
  for (const [status, body] of refused) {
    expect((await post(relay, "/drop", body, headers)).status).toBe(status);
  }
  const asked: [number, () => ReturnType<typeof ask>][] = [
    [401, () => ask(boxOf(relay, bob), { headers })],
    [401, () => ask(boxOf(relay, bob), { headers: { ...headers, authorization: content } })],
    [401, () => askWith(inHeader({ ...authorization, content, sig: wrap.sig }))],
    [401, () => askWith(inHeader(authorizationEvent(alice, `http://secret.example/${bob.key}`)))],
    [403, () => askAs(mallory, boxOf(relay, bob), { headers })],
    [400, () => askAs(bob, boxOf(relay, bob, `?secret-${bob.key}=1`), { headers })],
    [400, () => askAs(bob, boxOf(relay, bob, `?cursor=secret-${bob.key}`), { headers })],
    [400, () => askAs(bob, boxOf(relay, { key: npubEncode(bob.key).slice(1) }), { headers })],
    [404, () => ask(`${relay.http}/${content}/${bob.key}`, { headers })],
    [405, () => askAs(bob, boxOf(relay, bob), { headers, method: "DELETE" })],
  ];
  const authorization = authorizationEvent(bob, boxOf(relay, bob));
  for (const [status, answered] of asked) expect((await answered()).status).toBe(status);
  await EventStream.open(relay, bob, "", headers);
  expect((await askAs(bob, boxOf(relay, bob), { headers })).status).toBe(429);
  const flood = Array.from({ length: 50 }, () => giftWrap({ to: bob, content }));
  const statuses = new Set<number>();
  for (const drop of flood) {
    const other = { "x-forwarded-for": "203.0.113.78" };
    statuses.add((await post(relay, "/drop", drop, other)).status);
  }
  expect(statuses).toEqual(new Set([201, 507, 429]));

  const metrics = (await ask(relay.metrics ?? "")).text;
  expect(await relay.stop()).toBe(0);
  const log = JSON.stringify(relay.log);
  // It did tell of all that, in its own words.
  expect(log).toContain("rate-limited: mailbox full");
  expect(metrics).toMatch(/outcome="refused",class="blocked"} [1-9]/);
  const people = [alice, bob, mallory, denied];
  secrets.push(...people.flatMap(({ key }) => [key, key.slice(0, 16), npubEncode(key)]));
  const events = [...drops, ...acks, wrap, authorization, ...flood.slice(0, 3)];
  secrets.push(...events.flatMap(({ id, pubkey, sig }) => [id, pubkey, sig]));
  secrets.push(cursor, inHeader(authorization).slice(6, 40));
  for (const secret of secrets) {
    expect(log.toLowerCase()).not.toContain(secret.toLowerCase());
    expect(metrics.toLowerCase()).not.toContain(secret.toLowerCase());
  }

  function askWith(header: string): ReturnType<typeof ask> {
    return ask(boxOf(relay, bob), { headers: { ...headers, authorization: header } });
  }
});
