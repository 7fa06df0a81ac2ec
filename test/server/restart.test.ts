// Restarts of a relay whose listening socket outlives it: systemd holds it (deploy/deaddrop.socket), and here the test.

import { request } from "node:http";

import type { NostrEvent } from "nostr-tools";
import { describe, expect, it, vi } from "vitest";

import { programAt } from "../deploy/program.ts";
import { Client } from "../support/client.ts";
import { giftWrap } from "../support/events.ts";
import { heldSocket } from "../support/held-socket.ts";
import { type Person, person } from "../support/people.ts";
import { closedPort } from "../support/port.ts";
import { failToStart, startRelay, temporaryFolder } from "../support/relay.ts";

// Which can listen on no such socket.
const isUws = process.env["DEADDROP_TRANSPORT"] === "uws";
const PATIENCE = { timeout: 600_000 };
// So many are taken between one restart and the next.
const DROPS = 40;

/** What a crowd sends and receives without a pause, whoever takes it, until it is told to stop. */
class Crowd {
  readonly answered = new Set<string>();
  readonly received = new Set<string>();
  /** What was said instead of a connection. */
  readonly refused: string[] = [];
  readonly #url: string;
  readonly #bob: Person;
  readonly #sending: Promise<void>[];
  readonly #receiving: Promise<void>;
  #isOver = false;
  #isAllSent = false;
  #waiting: (() => void)[] = [];

  constructor(url: string, bob: Person) {
    this.#url = url;
    this.#bob = bob;
    this.#sending = [this.#sendOneByOne(), this.#sendOneByOne(), this.#sendOverOne(), this.#post()];
    this.#receiving = this.#receive();
  }

  /** Resolves when so many more were answered than are now. */
  async sends(count: number): Promise<void> {
    const enough = this.answered.size + count;
    while (this.answered.size < enough) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Has the senders finish what they are at, and the recipient see all of it. */
  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#sending);
    // One more, so that the recipient hears something and looks whether that was all.
    const last = giftWrap({ to: this.#bob });
    this.answered.add(last.id);
    this.#isAllSent = true;
    await this.#send(last);
    await this.#receiving;
  }

  async #sendOneByOne(): Promise<void> {
    while (!this.#isOver) await this.#send(giftWrap({ to: this.#bob }));
  }

  // A connection for each, until one of them brings the answer.
  async #send(drop: NostrEvent): Promise<void> {
    let isTaken = false;
    while (!isTaken) {
      const client = await this.#connect();
      isTaken = await published(client, drop);
      client.socket.terminate();
    }
    this.#took(drop);
  }

  async #sendOverOne(): Promise<void> {
    let client = await this.#connect();
    while (!this.#isOver) {
      const drop = giftWrap({ to: this.#bob });
      while (!(await published(client, drop))) client = await this.#connect();
      this.#took(drop);
    }
  }

  // Each with a connection of its own: a request that was answered by nobody would be one that was refused.
  async #post(): Promise<void> {
    while (!this.#isOver) {
      const drop = giftWrap({ to: this.#bob });
      const status = await posted(`${this.#url.replace("ws", "http")}/drop`, drop);
      if (status === "201") this.#took(drop);
      else this.refused.push(status);
    }
  }

  async #receive(): Promise<void> {
    while (!this.#hasAll()) {
      const client = await this.#connect();
      try {
        await client.authenticate(this.#bob);
        client.say("REQ", "box", {});
        while (!this.#hasAll()) {
          const [verb, , event] = await client.hear();
          if (verb === "EVENT") this.received.add((event as NostrEvent).id);
        }
      } catch {
        // It was closed: there is another relay.
      }
      client.socket.terminate();
    }
  }

  #hasAll(): boolean {
    return this.#isAllSent && [...this.answered].every((id) => this.received.has(id));
  }

  async #connect(): Promise<Client> {
    for (;;) {
      try {
        return await Client.connect(this.#url, {}, () => {});
      } catch (error) {
        this.refused.push((error as Error).message);
      }
    }
  }

  #took({ id }: NostrEvent): void {
    this.answered.add(id);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

async function published(client: Client, drop: NostrEvent): Promise<boolean> {
  try {
    const [verb, , isAccepted] = await client.publish(drop);
    return verb === "OK" && isAccepted === true;
  } catch {
    return false;
  }
}

function posted(url: string, drop: NostrEvent): Promise<string> {
  return new Promise((resolve) => {
    const asked = request(url, { method: "POST", agent: false }, (response) => {
      response.resume().once("end", () => resolve(String(response.statusCode)));
    });
    asked.once("error", ({ message }) => resolve(message));
    asked.end(JSON.stringify(drop));
  });
}

describe.skipIf(isUws)("a relay that is started with its listening socket", PATIENCE, () => {
  it.each([
    ["ten restarts", "1", 10],
    ["three restarts with two event loops", "2", 3],
  ])("refuses no connection and misses no message over %s", async (_, workers, restarts) => {
    const { descriptor, port } = await heldSocket();
    const data = temporaryFolder();
    const env = { DEADDROP_LISTEN: `127.0.0.1:${port}`, DEADDROP_WORKERS: workers };
    const bob = person();
    const start = () => startRelay({ data, env, sockets: [descriptor] });

    // It begins before there is anybody.
    const crowd = new Crowd(`ws://127.0.0.1:${port}`, bob);
    let relay = await start();
    for (let restart = 0; restart < restarts; restart += 1) {
      await crowd.sends(DROPS);
      expect(await relay.stop()).toBe(0);
      relay = await start();
    }
    await crowd.sends(DROPS);
    await crowd.stop();

    expect(crowd.refused).toEqual([]);
    expect(crowd.answered.size).toBeGreaterThanOrEqual((restarts + 1) * DROPS);
    const box = await (await (await Client.connect(relay.url)).authenticate(bob)).pickup();
    expect([...crowd.answered].filter((id) => !box.includes(id))).toEqual([]);
    expect([...crowd.answered].filter((id) => !crowd.received.has(id))).toEqual([]);
  });

  it("listens at the other addresses as ever, and says how many sockets it got", async () => {
    const { descriptor, port } = await heldSocket();
    const env = { DEADDROP_LISTEN: `127.0.0.1:0, localhost:${port}` };
    const relay = await startRelay({ env, sockets: [descriptor] });
    const line = relay.log.find(({ msg }) => msg === "listening");
    expect(line).toMatchObject({ inherited: 1 });
    for (const address of relay.addresses) await Client.connect(`ws://${address}`);
  });

  it.each(["0.0.0.0", "[::]"])("takes one that listens everywhere for %s", async (host) => {
    const { descriptor, port } = await heldSocket({ host: "::" });
    const env = { DEADDROP_LISTEN: `${host}:${port}`, DEADDROP_URL: "wss://drop.example" };
    await startRelay({ env, sockets: [descriptor] });
    for (const name of ["127.0.0.1", "[::1]"]) {
      const drop = giftWrap({ to: person() });
      const client = await Client.connect(`ws://${name}:${port}`);
      expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    }
  });

  it("takes none that was meant for another process", async () => {
    const { descriptor, port } = await heldSocket();
    const env = { DEADDROP_LISTEN: `127.0.0.1:${port}` };
    const through = ["sh", "-c", 'export LISTEN_PID=1; exec "$@"', "sh"];
    const { code, said } = await failToStart(temporaryFolder(), {
      env,
      through,
      sockets: [descriptor],
    });
    expect({ code, said }).toEqual({ code: 1, said: expect.stringContaining("in use") });
  });
});

describe.skipIf(isUws)("a relay that is started with what it cannot listen on", PATIENCE, () => {
  it("says which address listen does not name", async () => {
    const { descriptor, port } = await heldSocket();
    const env = { DEADDROP_LISTEN: "127.0.0.1:1, 127.0.0.1:2 proxy" };
    const { code, said } = await failToStart(temporaryFolder(), { env, sockets: [descriptor] });
    expect(code).toBe(2);
    expect(said).toContain(
      `started with a socket that listens at 127.0.0.1:${port}, and listen (127.0.0.1:1, 127.0.0.1:2) does not name it`,
    );
  });

  it("says that it is no socket", async () => {
    const { code, said } = await failToStart(temporaryFolder(), { sockets: [0] });
    expect(code).toBe(2);
    expect(said).toContain("descriptor 3, which the relay was started with, is no socket that");
  });

  it("says that uWebSockets.js can listen on none", async () => {
    const { descriptor, port } = await heldSocket();
    const env = { DEADDROP_LISTEN: `127.0.0.1:${port}`, DEADDROP_TRANSPORT: "uws" };
    const { code, said } = await failToStart(temporaryFolder(), { env, sockets: [descriptor] });
    expect(code).toBe(2);
    expect(said).toContain(
      "uWebSockets.js cannot listen on the sockets that the relay was started",
    );
  });
});

const activate = programAt("systemd-socket-activate");

describe.skipIf(isUws || activate === undefined)(
  "a relay under systemd-socket-activate",
  PATIENCE,
  () => {
    it("answers who connected before there was one", async () => {
      const port = await closedPort();
      const data = temporaryFolder();
      const passed = ["PATH", "DEADDROP_LISTEN", "DEADDROP_DATA"].flatMap((name) => ["-E", name]);
      const through = [activate ?? "", "-l", `127.0.0.1:${port}`, ...passed];
      const started = startRelay({ data, through, env: { DEADDROP_LISTEN: `127.0.0.1:${port}` } });
      // The program may not listen yet.
      const client = await vi.waitFor(() => Client.connect(`ws://127.0.0.1:${port}`), 60_000);
      const drop = giftWrap({ to: person() });
      expect(await client.publish(drop)).toEqual(["OK", drop.id, true, ""]);
      expect((await started).log.find(({ msg }) => msg === "listening")).toMatchObject({
        inherited: 1,
      });
    });
  },
);
