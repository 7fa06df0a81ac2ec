import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it, onTestFinished, vi } from "vitest";

import { Client, type Message, now } from "../support/client.ts";
import { acknowledgement } from "../support/events.ts";
import { type Person, person } from "../support/people.ts";
import { HALF_HANDSHAKE, RawSocket } from "../support/raw.ts";
import { OVERTAKING, startRelay, temporaryFolder } from "../support/relay.ts";
import { finalizeEvent } from "../support/sign.ts";

const ROOT = new URL("../..", import.meta.url);
const GOING_AWAY = { code: 1001, reason: "the relay is shutting down" };

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  it("has what is in flight answered and on disk, closes the sockets with 1001 and exits with 0", async () => {
    const data = temporaryFolder();
    const relay = await startRelay({ data, env: OVERTAKING });
    const bob = person();
    const [released, ...drops] = dropsFor(bob, 241);
    const senders = await Promise.all([1, 2, 3].map(() => Client.connect(relay.url)));
    const [first = await Client.connect(relay.url)] = senders;
    await first.publish(released as NostrEvent);
    const ack = acknowledgement(bob, [released as NostrEvent]);

    for (const [index, event] of [...drops, ack].entries()) {
      senders[index % senders.length]?.say("EVENT", event);
    }
    // Refused without waiting for what came before: hearing it, the relay has all that was said before.
    for (const sender of senders) sender.sayRaw("no JSON");
    const heard = await Promise.all(senders.map((sender) => sender.hearUntil("NOTICE")));
    process.kill(relay.pid, signal);

    const rest = await Promise.all(senders.map(hearToTheEnd));
    const answers = [...heard, ...rest].flat().filter(([verb]) => verb === "OK");
    expect(new Set(answers)).toEqual(
      new Set([...drops, ack].map(({ id }) => ["OK", id, true, ""])),
    );
    expect(await Promise.all(senders.map(({ closed }) => closed))).toEqual(
      senders.map(() => GOING_AWAY),
    );
    expect(await relay.exited).toBe(0);

    const again = await startRelay({ data });
    expect(new Set(await boxOf(bob, again.url))).toEqual(new Set(drops.map(({ id }) => id)));
  });

  it("closes sockets that wait for nothing with 1001", async () => {
    const relay = await startRelay();
    const silent = await Client.connect(relay.url);
    const listener = await (await Client.connect(relay.url)).authenticate(person());
    await listener.request("live", {});
    process.kill(relay.pid, signal);
    expect(await silent.closed).toEqual(GOING_AWAY);
    expect(await listener.closed).toEqual(GOING_AWAY);
    expect(await relay.exited).toBe(0);
  });
});

describe("a relay that shuts down", () => {
  it("does so once when it is asked twice at once, as by npm", async () => {
    const relay = await startRelay();
    const client = await Client.connect(relay.url);
    for (const signal of ["SIGINT", "SIGINT", "SIGTERM"] as const) {
      process.kill(relay.pid, signal);
    }
    expect(await client.closed).toEqual(GOING_AWAY);
    expect(await relay.exited).toBe(0);
    expect(relay.log.at(-1)?.msg).toBe("stopped");
  });

  it("does so under `npm start` at CTRL-C, which a terminal sends to npm and to the relay", async () => {
    const child = spawn("npm", ["start"], {
      cwd: ROOT,
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        DEADDROP_LISTEN: "127.0.0.1:0",
        DEADDROP_DATA: temporaryFolder(),
      },
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit");
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      said.push(line);
      // The whole group, as the terminal does.
      if (line.includes('"msg":"listening"')) process.kill(-(child.pid ?? 0), "SIGINT");
    }
    // npm passes the signal on once more, and on a busy machine so late that it meets a process which has stopped already and is about to exit with 0.
    expect([
      [0, null],
      [null, "SIGINT"],
    ]).toContainEqual(await exited);
    expect(said.at(-1)).toContain('"msg":"stopped"');
  });

  it("has on disk whatever it said OK to, when senders do not stop", async () => {
    const data = temporaryFolder();
    const relay = await startRelay({ data, env: OVERTAKING });
    const bob = person();
    const drops = dropsFor(bob, 3_000);
    const accepted = new Set<string>();
    let isAsked = false;
    async function sendAndSend(): Promise<void> {
      const sender = await Client.connect(relay.url);
      for (let index = 0; index < 20; index += 1) sender.say("EVENT", drops.pop());
      for await (const [, id, isAccepted] of messages(sender)) {
        if (isAccepted === true) accepted.add(String(id));
        sender.say("EVENT", drops.pop());
        if (accepted.size < 200 || isAsked) continue;
        isAsked = true;
        process.kill(relay.pid, "SIGTERM");
      }
    }
    await Promise.all([sendAndSend(), sendAndSend(), sendAndSend()]);
    expect(await relay.exited).toBe(0);
    expect(accepted.size).toBeGreaterThanOrEqual(200);

    const held = new Set(await boxOf(bob, (await startRelay({ data })).url));
    expect([...accepted].filter((id) => !held.has(id))).toEqual([]);
  });

  it("refuses new connections while one that does not read holds up its end", async () => {
    const relay = await startRelay();
    const other = await Client.connect(relay.url);
    const deaf = await Client.connect(relay.url);
    deaf.socket.pause();
    process.kill(relay.pid, "SIGTERM");
    expect(await other.closed).toEqual(GOING_AWAY);
    let hasExited = false;
    void relay.exited.then(() => {
      hasExited = true;
    });
    // Of several event loops another one may not have heard of it yet, or resets what waits in its queue at that moment.
    await vi.waitFor(() => expect(Client.connect(relay.url)).rejects.toThrow("ECONNREFUSED"));
    await expect(fetch(relay.http)).rejects.toThrow("fetch failed");
    expect(hasExited).toBe(false);
    expect(await relay.exited).toBe(0);
  });

  it("does not wait for a handshake that never ends", async () => {
    const relay = await startRelay();
    const half = await RawSocket.connect(relay.url);
    half.write(HALF_HANDSHAKE);
    expect(await relay.stop()).toBe(0);
    await half.closed;
  });

  it("answers a COUNT with the whole count or not at all", async () => {
    const relay = await startRelay({ env: OVERTAKING });
    const bob = person();
    const client = await (await Client.connect(relay.url)).authenticate(bob);
    const drops = dropsFor(bob, 200);
    for (const drop of drops) client.say("EVENT", drop);
    client.say("COUNT", "late", {});
    client.sayRaw("no JSON");
    await client.hearUntil("NOTICE");
    process.kill(relay.pid, "SIGTERM");

    const counts = (await hearToTheEnd(client)).filter(([verb]) => verb === "COUNT");
    for (const count of counts) expect(count).toEqual(["COUNT", "late", { count: drops.length }]);
    expect(await relay.exited).toBe(0);
  });

  it("ends for good at the second signal as at the first", async () => {
    const relay = await startRelay();
    const client = await Client.connect(relay.url);
    process.kill(relay.pid, "SIGTERM");
    process.kill(relay.pid, "SIGINT");
    expect(await client.closed).toEqual(GOING_AWAY);
    expect(await relay.exited).toBe(0);
  });
});

function dropsFor(to: Person, count: number): NostrEvent[] {
  const { secret } = person();
  return Array.from({ length: count }, (_, index) => {
    const tags = [["p", to.key]];
    return finalizeEvent({ kind: 1059, created_at: now(), tags, content: String(index) }, secret);
  });
}

async function boxOf(owner: Person, url: string): Promise<string[]> {
  return (await (await Client.connect(url)).authenticate(owner)).pickup();
}

/** What comes until the connection ends. */
async function* messages(client: Client): AsyncGenerator<Message> {
  for (;;) {
    const heard = await client.hear().catch(() => undefined);
    if (heard === undefined) return;
    yield heard;
  }
}

async function hearToTheEnd(client: Client): Promise<Message[]> {
  const heard: Message[] = [];
  for await (const message of messages(client)) heard.push(message);
  return heard;
}
