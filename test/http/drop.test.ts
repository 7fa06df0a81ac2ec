import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, now } from "../support/client.ts";
import { documented } from "../support/documented.ts";
import {
  acknowledgement,
  deletion,
  directMessage,
  ephemeralWrap,
  giftWrap,
  inOrder,
  signed,
  vanishing,
} from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import {
  OVERTAKING,
  type RelayProcess,
  sharedRelay,
  startRelay,
  temporaryFolder,
} from "../support/relay.ts";
import {
  ask,
  bytesOf,
  count,
  done,
  dropsFor,
  HELD,
  hold,
  idsOf,
  KNOWN,
  pickup,
  post,
  refusal,
  taken,
} from "./support.ts";

const KIB = 1_024;
const DAY = 24 * 60 * 60;
const PASSED_ON = 202;
const relay = sharedRelay({ env: OVERTAKING });

/** A gift wrap whose JSON has exactly so many bytes. */
function wrapOf(bytes: number, to: Person): NostrEvent {
  const author = person();
  const template = { kind: 1059, created_at: now(), tags: [["p", to.key]] };
  const empty = JSON.stringify(signed(author, template)).length;
  return signed(author, { ...template, content: "x".repeat(bytes - empty) });
}

function otherDigit(hex: string): string {
  return hex.startsWith("0") ? `1${hex.slice(1)}` : `0${hex.slice(1)}`;
}

/** The whole answer to a drop. */
function dropped(at: RelayProcess, drop: NostrEvent): ReturnType<typeof ask> {
  return ask(`${at.http}/drop`, { method: "POST", body: JSON.stringify(drop) });
}

describe("POST /drop", () => {
  it.each<[string, (bob: Person) => NostrEvent]>([
    ["a gift wrap", (bob) => giftWrap({ to: bob })],
    ["a direct message", (bob) => directMessage({ from: person(), to: bob })],
  ])("holds %s and answers 201, and 200 when it comes again", async (_, make) => {
    const bob = person();
    const drop = make(bob);
    expect(await post(relay(), "/drop", drop)).toEqual(taken(HELD, drop));
    expect(await post(relay(), "/drop", drop)).toEqual(taken(KNOWN, drop));
    expect((await pickup(relay(), bob)).events).toEqual([drop]);
  });

  it("answers in JSON that no cache keeps", async () => {
    const drop = giftWrap({ to: person() });
    const { headers, text } = await dropped(relay(), drop);
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(JSON.parse(text)).toEqual({ id: drop.id, accepted: true, reason: "" });
  });

  it("answers a drop that comes for the first time with the same bytes, acknowledged before or not", async () => {
    const bob = person();
    const [unheardOf, early] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    await post(relay(), "/ack", acknowledgement(bob, [early]));
    const answers: string[] = [];
    for (const drop of [unheardOf, early]) {
      answers.push(bytesOf(await dropped(relay(), drop)).replace(drop.id, "<id>"));
    }
    expect(answers[0]).toMatch(/^HTTP 201\n/);
    expect(answers[1]).toBe(answers[0]);
    expect((await pickup(relay(), bob)).events).toEqual([unheardOf]);
  });

  it("answers a drop that is held and one that was acknowledged with the same bytes", async () => {
    const bob = person();
    const [held, acknowledged, early] = [
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
      giftWrap({ to: bob }),
    ];
    await hold(relay(), [held, acknowledged]);
    await post(relay(), "/ack", acknowledgement(bob, [acknowledged, early]));
    await post(relay(), "/drop", early);
    const answers: string[] = [];
    for (const drop of [held, acknowledged, early, acknowledged]) {
      answers.push(bytesOf(await dropped(relay(), drop)).replace(drop.id, "<id>"));
    }
    expect(answers[0]).toMatch(/^HTTP 200\n/);
    expect(new Set(answers).size).toBe(1);
    expect((await pickup(relay(), bob)).events).toEqual([held]);
  });

  it("holds one of many copies that come at once, and knows the others", async () => {
    const drop = giftWrap({ to: person() });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(relay(), "/drop", drop)),
    );
    expect(answers.filter(({ status }) => status === HELD)).toEqual([taken(HELD, drop)]);
    expect(answers.filter(({ status }) => status === KNOWN)).toHaveLength(19);
  });

  it("holds what is in the event and nothing that was written beside it", async () => {
    const bob = person();
    const drop = giftWrap({ to: bob, content: '“é” \u{1f511} \\ " / \u2028' });
    const { id, ...rest } = drop;
    const body = ` \r\n\t${JSON.stringify({ note: "seen", ...rest, id, ots: [1] }, null, 2)}\n`;
    expect(await post(relay(), "/drop", body)).toEqual(taken(HELD, drop));
    expect((await pickup(relay(), bob)).text).toBe(
      `${JSON.stringify({
        id,
        pubkey: drop.pubkey,
        created_at: drop.created_at,
        kind: drop.kind,
        tags: drop.tags,
        content: drop.content,
        sig: drop.sig,
      })}\n`,
    );
  });

  it.each(["application/json", "text/plain", "application/x-www-form-urlencoded"])(
    "reads the body whatever its type is said to be: %s",
    async (type) => {
      const drop = giftWrap({ to: person() });
      const headers = { "content-type": type };
      expect(await post(relay(), "/drop", drop, headers)).toEqual(taken(HELD, drop));
    },
  );

  it("asks for no authorization, and does not look at one", async () => {
    const drop = giftWrap({ to: person() });
    const headers = { authorization: "Nostr nonsense" };
    expect(await post(relay(), "/drop", drop, headers)).toEqual(taken(HELD, drop));
  });

  it("brings a drop to a WebSocket of its recipient", async () => {
    const bob = person();
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("live", {});
    const drop = giftWrap({ to: bob });
    await post(relay(), "/drop", drop);
    expect(await client.hear()).toEqual(["EVENT", "live", drop]);
  });

  it("knows what came over a WebSocket", async () => {
    const drop = giftWrap({ to: person() });
    await (await Client.connect(relay().url)).publish(drop);
    expect(await post(relay(), "/drop", drop)).toEqual(taken(KNOWN, drop));
  });

  it("answers an ephemeral wrap with 202, whether or not anybody listens, and holds nothing", async () => {
    const bob = person();
    const wraps = [ephemeralWrap({ to: bob }), ephemeralWrap({ to: bob })];
    const answers = [bytesOf(await dropped(relay(), wraps[0]!))];
    const client = await (await Client.connect(relay().url)).authenticate(bob);
    await client.request("live", {});
    answers.push(bytesOf(await dropped(relay(), wraps[1]!)));

    expect(await client.hear()).toEqual(["EVENT", "live", wraps[1]]);
    expect(answers[0]).toMatch(/^HTTP 202\n/);
    expect(answers[1]?.replace(wraps[1]!.id, "<id>")).toBe(
      answers[0]?.replace(wraps[0]!.id, "<id>"),
    );
    expect(await post(relay(), "/drop", wraps[0]!)).toEqual(taken(PASSED_ON, wraps[0]!));
    expect(await count(relay(), bob)).toEqual({ count: 0 });
  });

  it.each<[string, (bob: Person, drop: NostrEvent) => NostrEvent]>([
    ["an acknowledgement", (bob, drop) => acknowledgement(bob, [drop])],
    ["a deletion", (bob, drop) => deletion(bob, [drop])],
    ["a request to vanish", (bob) => vanishing(bob)],
  ])("obeys %s as a WebSocket does, and answers 200", async (_, make) => {
    const bob = person();
    const drop = giftWrap({ to: bob });
    await hold(relay(), [drop]);
    const event = make(bob, drop);
    expect(await post(relay(), "/drop", event)).toEqual(done(event));
    expect((await pickup(relay(), bob)).events).toEqual([]);
  });

  it("has on disk what it answered, when the process is killed", async () => {
    const data = temporaryFolder();
    const bob = person();
    const first = await startRelay({ data });
    const answered = new Set<string>();
    await Promise.allSettled(
      dropsFor(bob, 300).map(async (drop) => {
        const { status } = await post(first, "/drop", drop);
        if (status === HELD) answered.add(drop.id);
        if (answered.size === 100) await first.kill();
      }),
    );
    expect(answered.size).toBeGreaterThanOrEqual(100);

    const { events } = await pickup(await startRelay({ data }), bob);
    const held = new Set(idsOf(events));
    expect([...answered].filter((id) => !held.has(id))).toEqual([]);
  });
});

describe("POST /drop refuses", () => {
  it.each<[number, string, string, (bob: Person) => object]>([
    [
      400,
      "an event with a wrong id",
      "invalid: id is not the hash of the event",
      (bob) => {
        const drop = giftWrap({ to: bob });
        return { ...drop, id: otherDigit(drop.id) };
      },
    ],
    [
      400,
      "an event with a wrong signature",
      "invalid: signature is wrong",
      (bob) => {
        const drop = giftWrap({ to: bob });
        return { ...drop, sig: otherDigit(drop.sig) };
      },
    ],
    [
      400,
      "an event whose `content` is no string",
      "invalid: content must be a string",
      (bob) => ({ ...giftWrap({ to: bob }), content: 5 }),
    ],
    [
      400,
      "an event without a `p` tag",
      "invalid: a drop needs a p tag with its recipient",
      () => signed(person(), { kind: 1059 }),
    ],
    [
      400,
      "an event with two `p` tags",
      "invalid: a drop has exactly one p tag",
      (bob) => giftWrap({ to: bob, tags: [["p", bob.key]] }),
    ],
    [
      400,
      "a drop whose `expiration` is past",
      "invalid: expired",
      (bob) => giftWrap({ to: bob, tags: [["expiration", String(now() - 1)]] }),
    ],
    [
      400,
      "a drop older than the retention and NIP-59's two days",
      "invalid: expired",
      (bob) => giftWrap({ to: bob, created_at: now() - 32 * DAY }),
    ],
    [
      400,
      "a drop from more than 15 minutes in the future",
      "invalid: created_at is too far in the future",
      (bob) => giftWrap({ to: bob, created_at: now() + 16 * 60 }),
    ],
    [
      400,
      "a drop with an `expiration` that is no Unix time",
      "invalid: malformed expiration tag",
      (bob) => giftWrap({ to: bob, tags: [["expiration", "tomorrow"]] }),
    ],
    [
      400,
      "an event of more than 100 tags",
      "invalid: 101 tags, the limit is 100",
      (bob) => giftWrap({ to: bob, tags: Array.from({ length: 100 }, () => ["t"]) }),
    ],
    [
      403,
      "an event of a kind that is not held, such as 1",
      "blocked: kind 1 is not held here, only encrypted messages are",
      (bob) => signed(person(), { kind: 1, tags: [["p", bob.key]] }),
    ],
    [
      403,
      'an event with the `-` tag of NIP-70: "only its author may publish it"',
      "blocked: protected events (NIP-70) are not accepted, drops are anonymous",
      (bob) => giftWrap({ to: bob, tags: [["-"]] }),
    ],
    [
      413,
      "an event of more than 64 KiB",
      "invalid: event of 65537 bytes, the limit is 65536",
      (bob) => wrapOf(64 * KIB + 1, bob),
    ],
  ])("with %i %s", async (status, sends, reason, make) => {
    const bob = person();
    const event = make(bob) as NostrEvent;
    documented(sends, ["OK", event.id, false, reason]);
    const said = { id: event.id, accepted: false, reason };
    expect(await post(relay(), "/drop", event)).toEqual({ status, said });
    expect(await count(relay(), bob)).toEqual({ count: 0 });
  });

  it.each([
    "",
    " ",
    "{",
    "nonsense",
    "undefined",
    "{'id':1}",
    '{"id":"x"}{"id":"y"}',
    '{"id":"x"},{"id":"y"}',
    '"\u0007"',
    "\u00a0{}",
  ])("a body that is not JSON: %j", async (body) => {
    const { status, said } = await post(relay(), "/drop", body);
    expect(status).toBe(400);
    expect(said).toEqual(refusal("invalid: the body is not JSON"));
  });

  it("a body that is not UTF-8", async () => {
    const drop = JSON.stringify(giftWrap({ to: person(), content: "\u00e9" }));
    const body = Uint8Array.from(Buffer.from(drop, "latin1"));
    const answer = await ask(`${relay().http}/drop`, { method: "POST", body });
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toEqual(refusal("invalid: the body is not JSON"));
  });

  it.each(["null", "5", '"event"', "[]", "true"])("JSON that is no event: %s", async (body) => {
    const { status, said } = await post(relay(), "/drop", body);
    expect(status).toBe(400);
    expect(said).toEqual(refusal("invalid: an event is a JSON object"));
  });

  it("an event whose tags are nested 60,000 deep", async () => {
    const { tags: _, ...rest } = giftWrap({ to: person() });
    const tags = "[".repeat(60_000) + "]".repeat(60_000);
    const body = `${JSON.stringify(rest).slice(0, -1)},"tags":${tags}}`;
    const reason = "invalid: tags must be arrays of one or more strings";
    documented("an EVENT whose tags are nested 60,000 deep", ["OK", rest.id, false, reason]);
    const { status, said } = await post(relay(), "/drop", body);
    expect(status).toBe(400);
    expect(said).toEqual({ id: rest.id, ...refusal(reason) });
  });

  it("a message as it stands on a WebSocket, though it has an event in it", async () => {
    const bob = person();
    const message = JSON.stringify(["EVENT", giftWrap({ to: bob })]);
    const { status, said } = await post(relay(), "/drop", message);
    expect(status).toBe(400);
    expect(said).toMatchObject(refusal("invalid: an event is a JSON object"));
    expect(await count(relay(), bob)).toEqual({ count: 0 });
  });

  it.each(["gzip", "GZIP", "identity, br", "x-own", "deflate, identity"])(
    "a body in the content coding %s with 415, whatever is in it",
    async (coding) => {
      const headers = { "content-encoding": coding };
      const body = JSON.stringify(giftWrap({ to: person() }));
      const answer = await ask(`${relay().http}/drop`, { method: "POST", body, headers });
      expect(answer.status).toBe(415);
      expect(answer.headers.get("accept-encoding")).toBe("identity");
      expect(JSON.parse(answer.text)).toEqual(
        refusal("unsupported: content coding of the body, send it as it is"),
      );
    },
  );

  it.each(["identity", "Identity", " identity , identity", ""])(
    "no body in the content coding %j",
    async (coding) => {
      const headers = { "content-encoding": coding };
      const { status } = await post(relay(), "/drop", giftWrap({ to: person() }), headers);
      expect(status).toBe(201);
    },
  );

  it("a body of more than 128 KiB with 413, and takes one of 128 KiB", async () => {
    const bob = person();
    const drop = giftWrap({ to: bob });
    const within = JSON.stringify(drop).padEnd(128 * KIB);
    const beyond = JSON.stringify(giftWrap({ to: bob })).padEnd(128 * KIB + 1);
    const { status, said } = await post(relay(), "/drop", beyond);
    expect(status).toBe(413);
    expect(said).toEqual(refusal("invalid: request body of more than 131072 bytes"));
    expect(await post(relay(), "/drop", within)).toEqual(taken(HELD, drop));
    expect((await pickup(relay(), bob)).events).toEqual([drop]);
  });

  it("a drop with too little work with 422", async () => {
    const strict = await startRelay({ env: { DEADDROP_PROOF_OF_WORK: "255" } });
    const { status, said } = await post(strict, "/drop", giftWrap({ to: person() }));
    expect(status).toBe(422);
    expect(said.reason).toMatch(/^pow: difficulty \d+ is less than 255$/);
  });

  it("a drop for whom the operator does not serve with 403", async () => {
    const bob = person();
    const strict = await startRelay({ env: { DEADDROP_DENIED_RECIPIENTS: bob.key } });
    const drop = giftWrap({ to: bob });
    expect(await post(strict, "/drop", drop)).toEqual({
      status: 403,
      said: {
        id: drop.id,
        accepted: false,
        reason: "restricted: this relay does not hold drops for that recipient",
      },
    });
  });

  it("a drop for a full box with 507 and when to come again, and touches nothing in it", async () => {
    const small = await startRelay({ env: { DEADDROP_LIMITS_BOX_DROPS: "3" } });
    const bob = person();
    const drops = dropsFor(bob, 4);
    const last = drops.pop()!;
    await hold(small, drops);
    const { status, headers, text } = await dropped(small, last);
    expect(status).toBe(507);
    expect(headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    const reason = "rate-limited: mailbox full";
    expect(JSON.parse(text)).toEqual({ id: last.id, accepted: false, reason });
    expect((await pickup(small, bob)).events).toEqual(inOrder(drops));
    expect(await post(small, "/drop", drops[0]!)).toEqual(taken(KNOWN, drops[0]!));

    await post(small, "/ack", acknowledgement(bob, drops.slice(0, 1)));
    expect(await post(small, "/drop", last)).toEqual(taken(HELD, last));
  });

  it("a drop with 507 when the disk is full, and goes on with pickups and acknowledgements", async () => {
    const data = temporaryFolder();
    const bob = person();
    const [held, more] = [giftWrap({ to: bob }), giftWrap({ to: bob })];
    const roomy = await startRelay({ data });
    await hold(roomy, [held, more]);
    expect(await roomy.stop()).toBe(0);

    const env = { DEADDROP_LIMITS_DISK_RESERVE_BYTES: "900000GiB" };
    const full = await startRelay({ data, env });
    let drop = giftWrap({ to: person() });
    let answer = await dropped(full, drop);
    // What is free in the file comes first.
    for (let taken = 0; answer.status === HELD && taken < 200; taken++) {
      drop = giftWrap({ to: person(), content: "x".repeat(16 * KIB) });
      answer = await dropped(full, drop);
    }
    expect(answer.status).toBe(507);
    expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    const reason = "error: storage full";
    expect(JSON.parse(answer.text)).toEqual({ id: drop.id, accepted: false, reason });

    expect((await pickup(full, bob)).events).toEqual(inOrder([held, more]));
    const ack = acknowledgement(bob, [held]);
    expect(await post(full, "/ack", ack)).toEqual(done(ack));
    expect((await pickup(full, bob)).events).toEqual([more]);
  });
});
