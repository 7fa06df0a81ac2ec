// Readers that stop reading. What waits for one of them is bounded, by its outbox in the relay and by the kernel's buffers (4 MB or so) outside; so each test
// has far more waiting than both.

import { readFileSync } from "node:fs";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { acknowledgement, inOrder } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { type RelayProcess, sharedRelay, startRelay } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";

const OUTBOX_BYTES = 256 * 1_024;
const relay = sharedRelay({ env: { DEADDROP_LIMITS_OUTBOX_BYTES: String(OUTBOX_BYTES) } });

const DROP_BYTES = 60_000;
const FEW_BYTES = 150_000_000;
const ROUNDS = 50;

describe("among 500 connections", () => {
  it("slow readers of a full box cost little memory, delay nobody, and get it all when they read on", async () => {
    const [bob, carol] = [person(), person()];
    const url = relay().url;
    // 40 times 18 MB, if each had its own.
    const stored = drops(bob, 300, { bytes: DROP_BYTES });
    const sender = await Client.connect(url);
    await publish(sender, stored);
    await connect(url, 299);
    const others = await connect(url, 160, carol);
    for (const other of others) await other.request("live", {});
    const slow = await connect(url, 40, bob);
    const before = memoryBytes(relay());

    for (const reader of slow) {
      reader.say("REQ", "box", {});
      await reader.hear();
      reader.socket.pause();
    }
    for (const drop of drops(carol, 10)) {
      await publish(sender, [drop]);
      const heard = await Promise.all(others.map((other) => other.hear()));
      expect(new Set(heard.map(([, , event]) => (event as NostrEvent).id))).toEqual(
        new Set([drop.id]),
      );
    }
    const late = drops(bob, 20);
    await publish(sender, late);
    const reader = await (await Client.connect(url)).authenticate(bob);
    expect(await reader.count({})).toEqual(["COUNT", "count", { count: 320 }]);
    // What has passed through is garbage until the relay's next collections, which it comes to by going on working. What waits for the readers stays.
    let growth = memoryBytes(relay()) - before;
    for (let round = 0; round < ROUNDS && growth >= FEW_BYTES; round++) {
      await publish(sender, drops(person(), 20, { bytes: DROP_BYTES }));
      growth = memoryBytes(relay()) - before;
    }
    expect(growth).toBeLessThan(FEW_BYTES);

    const [first, second] = slow;
    for (const resumed of [first, second]) {
      resumed?.socket.resume();
      const heard = await hearUntil(resumed as Client, brings(late));
      const eose = heard.findIndex(([verb]) => verb === "EOSE");
      // The first one was heard before the pause.
      expect(new Set(idsOf(heard.slice(0, eose))).size).toBe(299);
      expect(eose).toBe(299);
      expect(idsOf(heard.slice(eose + 1))).toEqual(late.map(({ id }) => id));
    }
  });
});

describe("a reader that stops reading", () => {
  it("is cut off when more comes live than its outbox takes, while others hear it all and nothing is lost", async () => {
    const bob = person();
    const url = relay().url;
    const [slow, quick] = await connect(url, 2, bob);
    for (const reader of [slow, quick]) await reader?.request("live", {});
    slow?.socket.pause();

    const sender = await Client.connect(url);
    const coming = drops(bob, 150, { bytes: DROP_BYTES });
    for (const drop of coming) {
      await publish(sender, [drop]);
      expect((await quick?.hear())?.[2]).toEqual(drop);
    }

    slow?.socket.resume();
    const heard = await hearUntil(slow as Client, brings(coming));
    expect(heard.length).toBeLessThan(coming.length);
    const again = await (await Client.connect(url)).authenticate(bob);
    expect(new Set(await again.pickup())).toEqual(new Set(coming.map(({ id }) => id)));
  });

  it("is cut off when it lets stored drops wait for as long as a dead connection may be silent, however much it says", async () => {
    const impatient = await startRelay({
      env: {
        DEADDROP_LIMITS_OUTBOX_BYTES: String(OUTBOX_BYTES),
        DEADDROP_LIMITS_PING_SECONDS: "1s",
        DEADDROP_LIMITS_DEAD_SECONDS: "2s",
        DEADDROP_METRICS: "127.0.0.1:0",
      },
    });
    const bob = person();
    await publish(await Client.connect(impatient.url), drops(bob, 300, { bytes: DROP_BYTES }));
    const [slow] = await connect(impatient.url, 1, bob);
    slow?.say("REQ", "box", {});
    slow?.socket.pause();
    let metrics = "";
    while (!metrics.includes('cut_off_total{reason="does_not_read"} 1')) {
      slow?.say("CLOSE", "nothing");
      metrics = await (await fetch(impatient.metrics ?? "")).text();
    }
    expect(metrics).toMatch(/^deaddrop_drops_held 300$/m);
  });

  it("gets everything exactly once when it reads on before its outbox is full", async () => {
    const patient = await startRelay({ env: { DEADDROP_LIMITS_OUTBOX_BYTES: "16MiB" } });
    const bob = person();
    const reader = await (await Client.connect(patient.url)).authenticate(bob);
    await reader.request("live", {});
    reader.socket.pause();
    const sender = await Client.connect(patient.url);
    const coming = drops(bob, 150, { bytes: DROP_BYTES });
    await publish(sender, coming);

    reader.socket.resume();
    expect(idsOf(await hearUntil(reader, brings(coming)))).toEqual(coming.map(({ id }) => id));
    expect(await reader.count({})).toEqual(["COUNT", "count", { count: coming.length }]);
  });

  it("is not shown what was acknowledged while it did not read, of the box or of what came since", async () => {
    const bob = person();
    const url = relay().url;
    const sender = await Client.connect(url);
    const stored = inOrder(drops(bob, 150, { bytes: DROP_BYTES }));
    await publish(sender, stored);
    const reader = await (await Client.connect(url)).authenticate(bob);
    reader.say("REQ", "box", {});
    await reader.hear();
    reader.socket.pause();

    const coming = drops(bob, 20);
    await publish(sender, coming);
    const last = drops(bob, 1);
    await publish(sender, last);
    const gone = [...stored.slice(-20), ...coming.slice(0, 10)];
    await publish(sender, [acknowledgement(bob, gone)]);

    reader.socket.resume();
    const heard = await hearUntil(reader, brings(last));
    const shown = heard.filter(([verb]) => verb === "EVENT");
    // The first one was heard before the pause.
    const kept = [...stored.slice(1, -20), ...coming.slice(10), ...last];
    expect(idsOf(shown)).toEqual(kept.map(({ id }) => id));
  });

  it.each<[string, (reader: Client, sent: (error?: Error) => void) => void]>([
    [
      "asking what can only be refused",
      (reader, sent) => {
        const id = "\u{1f5ff}".repeat(32);
        reader.socket.send(JSON.stringify(["REQ", id, { unknown: true }]), sent);
      },
    ],
  ])("is cut off when it goes on %s", async (_, ask) => {
    const reader = await Client.connect(relay().url);
    reader.socket.pause();
    // Until the relay has hung up, or has been asked for 30 MB.
    for (let asked = 0; asked < 100_000; asked += 1_000) {
      const error = await new Promise<unknown>((resolve) => {
        for (let index = 1; index < 1_000; index += 1) ask(reader, () => {});
        ask(reader, resolve);
      });
      if (error instanceof Error) break;
    }
    // Answered only when it was not cut off.
    reader.say("COUNT", "still here", {});
    reader.socket.resume();
    const heard = await hearUntil(reader, ([, id]) => id === "still here");
    expect(heard.map(([, id]) => id)).not.toContain("still here");
    expect(await reader.closed).toEqual({ code: 1006, reason: "" });
  });

  it("has no more ephemeral wraps kept for it than its outbox takes", async () => {
    const bob = person();
    const url = relay().url;
    const sender = await Client.connect(url);
    await publish(sender, drops(bob, 150, { bytes: DROP_BYTES }));
    const reader = await (await Client.connect(url)).authenticate(bob);
    reader.say("REQ", "box", {});
    await reader.hear();
    reader.socket.pause();

    await publish(sender, drops(bob, 150, { bytes: DROP_BYTES, kind: 21059 }));
    const last = drops(bob, 1);
    await publish(sender, last);
    reader.socket.resume();
    const heard = await hearUntil(reader, brings(last));
    const passed = heard.filter(([, , event]) => (event as NostrEvent | undefined)?.kind === 21059);
    expect(passed.length * DROP_BYTES).toBeLessThanOrEqual(OUTBOX_BYTES);
  });
});

function drops(to: Person, count: number, { bytes = 10, kind = 1059 } = {}): NostrEvent[] {
  const { secret } = person();
  return Array.from({ length: count }, (_, index) => {
    const content = String(index).padEnd(bytes, "x");
    return finalizeEvent({ kind, created_at: now(), tags: [["p", to.key]], content }, secret);
  });
}

async function publish(sender: Client, events: readonly NostrEvent[]): Promise<void> {
  for (const event of events)
    expect(await sender.publish(event)).toEqual(["OK", event.id, true, ""]);
}

async function connect(url: string, count: number, ...who: Person[]): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    clients.push(await (await Client.connect(url)).authenticate(...who));
  }
  return clients;
}

/** What comes until this message, or the end of the connection. */
async function hearUntil(
  client: Client,
  isLast: (message: Message) => boolean,
): Promise<Message[]> {
  const heard: Message[] = [];
  for (;;) {
    const message = await client.hear().catch(() => undefined);
    if (message === undefined) return heard;
    heard.push(message);
    if (isLast(message)) return heard;
  }
}

/** Whether a message brings the last of these. */
function brings(events: readonly NostrEvent[]): (message: Message) => boolean {
  return ([verb, , event]) => verb === "EVENT" && (event as NostrEvent).id === events.at(-1)?.id;
}

function idsOf(messages: readonly Message[]): string[] {
  return messages.map(([, , event]) => (event as NostrEvent).id);
}

/** Memory of the process that is backed by nothing else: without the store's file, which the kernel may drop. */
function memoryBytes({ pid }: RelayProcess): number {
  const [, kilobytes] =
    /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1_024;
}
