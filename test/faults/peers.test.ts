// Peers that do what no client should: slow, silent and gone ones, floods, frames of every shape, lines that are cut, and everybody at once. After each of
// them the same holds: somebody beside them is served, and the relay has of its machine what it had before.

import { type ChildProcess, fork, spawnSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn, setTimeout as after } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";

import type { NostrEvent } from "nostr-tools";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";

import { Client, now } from "../support/client.ts";
import { acknowledgement, giftWrap, signed } from "../support/events.ts";
import { NegentropyClient } from "../support/negentropy.ts";
import { type Person, person } from "../support/people.ts";
import { closedPort } from "../support/port.ts";
import { descriptors, Heap, memoryBytes } from "../support/process-costs.ts";
import { frame, RawSocket } from "../support/raw.ts";
import {
  type AtEnd,
  type RelayProcess,
  sharedRelay,
  startRelay,
  temporaryFolder,
} from "../support/relay.ts";
import { BadLine, startTlsProxy } from "./bad-line.ts";
import { budget, record, SEED } from "./budget.ts";
import type { CrowdSettings, CrowdState } from "./crowd.ts";
import { anyFrames, CASES, frameOf, TEXT, textsFrom, UWS_TAKES, verdictOn } from "./frames.ts";
import { Phone } from "./phone.ts";
import { Chance } from "./seeded.ts";

const isUws = process.env["DEADDROP_TRANSPORT"] === "uws";
const MESSAGE_BYTES = 128 * 1_024;
const DEAD_SECONDS = 4;
const figures: Record<string, unknown> = { transport: isUws ? "uws" : "ws" };

// More than all that an abuse can leave in memory for a reason: functions that were compiled for it, and the entries of its drops (store/settling.ts). What
// each of these abuses would leave if its peers were kept is several times as much.
const FEW_BYTES = 3 * 2 ** 20;
// Four rates of each address are remembered, of up to 100,000 addresses: see docs/LIMITS.md.
const ADDRESS_BYTES = 4 * 150;

const cleaning: Parameters<AtEnd>[0][] = [];
afterAll(async () => {
  for (const clean of cleaning) await clean();
});
const heap = new Heap((clean) => void cleaning.push(clean));

const relay = sharedRelay({
  env: {
    ...heap.env,
    NODE_OPTIONS: heap.option,
    DEADDROP_LIMITS_HANDSHAKE_SECONDS: "1",
    DEADDROP_LIMITS_PING_SECONDS: "1",
    DEADDROP_LIMITS_DEAD_SECONDS: String(DEAD_SECONDS),
    // Small ones, so that floods come to their end.
    DEADDROP_LIMITS_REQUESTS_PER_SECOND: "50",
    DEADDROP_LIMITS_REQUESTS_BURST: "500",
    DEADDROP_LIMITS_DROPS_PER_SECOND: "50",
    DEADDROP_LIMITS_DROPS_BURST: "500",
  },
});

let addresses = 0;
/** Another address of this machine each time: what one does is not charged to another. */
function anAddress(): string {
  addresses += 1;
  return `127.1.${addresses >> 8}.${addresses & 255}`;
}

/** Somebody who minds their own business, on a connection and from an address of their own. */
class Neighbour {
  readonly #owner: Person;
  readonly #phone: Phone;
  readonly #drops: EventEmitter;
  readonly #heard: unknown[] = [];

  private constructor(owner: Person, phone: Phone, drops: EventEmitter) {
    this.#owner = owner;
    this.#phone = phone;
    this.#drops = drops.on("drop", (id) => void this.#heard.push(id));
  }

  static async moveIn(url: string): Promise<Neighbour> {
    const drops = new EventEmitter();
    const onDrop = ({ id }: NostrEvent): void => void drops.emit("drop", id);
    const phone = await Phone.connect({ url, now, onDrop, localAddress: anAddress() });
    return new Neighbour(person(), phone, drops);
  }

  /** Opens the box, drops, hears it live, counts it, and acknowledges it. Throws where any of that does not come. */
  async isServed(): Promise<void> {
    const [phone, drop] = [this.#phone, giftWrap({ to: this.#owner })];
    const ack = acknowledgement(this.#owner, [drop]);
    mustBe(await phone.listen(this.#owner), ["EOSE", "box", ["finish"]]);
    const comes = once(this.#drops, "drop");
    mustBe(await phone.publish(drop), ["OK", drop.id, true, ""]);
    mustBe(await phone.ask("c", "COUNT", "c", {}), ["COUNT", "c", { count: 1 }]);
    // What is acknowledged before it is announced is not brought.
    await comes;
    mustBe(await phone.publish(ack), ["OK", ack.id, true, ""]);
    mustBe(await phone.ask("c", "COUNT", "c", {}), ["COUNT", "c", { count: 0 }]);
    mustBe(this.#heard.splice(0), [drop.id]);
  }

  leave(): Promise<void> {
    return this.#phone.leave();
  }
}

function mustBe(said: unknown, expected: unknown): void {
  if (isDeepStrictEqual(said, expected)) return;
  throw new Error(`${JSON.stringify(said)} instead of ${JSON.stringify(expected)}`);
}

/** What an abuse left behind. */
type Harm = {
  /** Descriptors beside those that were open before. */
  readonly descriptors: number;
  /** Bytes that are kept alive beside those that were, where they are more than a few. */
  readonly bytes: number;
  readonly errors: readonly unknown[];
};

const NONE: Harm = { descriptors: 0, bytes: 0, errors: [] };

/** Has it abused, and looks what came of the relay: it serves others before, beside and after that, or this never ends. */
async function survives(
  { url, pid, log }: RelayProcess,
  abuse: (beside: Neighbour) => Promise<void>,
): Promise<Harm> {
  const neighbour = await Neighbour.moveIn(url);
  await neighbour.isServed();
  const [open, alive, known] = [descriptors(pid), await heap.bytes(pid), addresses];
  await abuse(neighbour);
  await neighbour.isServed();
  // What was cut off is closed in the relay's next turns; the test's own time limit is the end of this patience.
  while (descriptors(pid) > open) await after(20);
  const bytes = (await heap.bytes(pid)) - alive;
  mostKept = Math.max(mostKept, bytes);
  const few = FEW_BYTES + ADDRESS_BYTES * (addresses - known);
  const harm = {
    descriptors: descriptors(pid) - open,
    bytes: bytes < few ? 0 : bytes,
    errors: log.filter(({ level }) => Number(level) >= 50),
  };
  await neighbour.leave();
  while (descriptors(pid) >= open) await after(20);
  return harm;
}

let mostKept = 0;

describe("peers that take their time", () => {
  it("are waited for while they send a byte at a time", async () => {
    const harm = await survives(relay(), async (beside) => {
      const drops = Array.from({ length: 8 }, () => giftWrap({ to: person() }));
      const slow = drops.map(async (drop) => {
        const socket = await RawSocket.open(relay().url, { localAddress: anAddress() });
        for (const byte of frame(JSON.stringify(["EVENT", drop]))) {
          socket.write(Uint8Array.of(byte));
          await turn();
        }
        expect(await socket.hearOks(1)).toEqual([["OK", drop.id, true, ""]]);
        socket.hangUp();
      });
      await beside.isServed();
      await Promise.all(slow);
    });
    expect(harm).toEqual(NONE);
  });

  it("are cut off where they say nothing: before the handshake, in it, after it, in a frame, in a body", async () => {
    const harm = await survives(relay(), async (beside) => {
      const half = frame(JSON.stringify(["EVENT", giftWrap({ to: person() })])).subarray(0, 100);
      const beginnings: [string, (socket: RawSocket) => void][] = [
        ["", () => {}],
        ["GET / HT", () => {}],
        ["GET / HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\n", () => {}],
        ["POST /drop HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 1000\r\n\r\n{", () => {}],
        ["open", () => {}],
        ["open", (socket) => socket.write(half)],
        ["open", (socket) => socket.write(half.subarray(0, 1))],
        ["open", (socket) => socket.write(frameOf({ opcode: TEXT, isFinal: false, body: "x" }))],
      ];
      const silent = Array.from({ length: 96 }, async (_, index) => {
        const [begins = "", says] = beginnings[index % beginnings.length] ?? [];
        const isOpen = begins === "open";
        const options = { localAddress: anAddress() };
        const socket = await (isOpen
          ? RawSocket.open(relay().url, options)
          : RawSocket.connect(relay().url, options));
        if (!isOpen) socket.write(begins);
        says?.(socket);
        await socket.closed;
      });
      await beside.isServed();
      await Promise.all(silent);
    });
    expect(harm).toEqual(NONE);
  });

  it("are cut off where they do not read, and lose nothing", async () => {
    const owner = person();
    const harm = await survives(relay(), async (beside) => {
      const sender = await Client.connect(relay().url);
      const drops = Array.from({ length: 60 }, () =>
        giftWrap({ to: owner, content: "x".repeat(60_000) }),
      );
      for (const drop of drops) {
        expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);
      }
      const readers = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const phone = await Phone.connect({ url: relay().url, now, localAddress: anAddress() });
          void phone.listen(owner);
          await after(10);
          phone.pause();
          return phone;
        }),
      );
      await beside.isServed();
      // More than the relay keeps for one, and the system.
      const picked = await (await Client.connect(relay().url)).authenticate(owner);
      expect(await picked.pickup()).toHaveLength(drops.length);
      for (const reader of readers) await reader.vanish();
      await picked.publish(acknowledgement(owner, drops));
      for (const client of [sender, picked]) {
        client.end();
        await client.closed;
      }
    });
    expect(harm).toEqual(NONE);
  });

  it("are cut off when the line to them is dead, and find everything on the next", async () => {
    const owner = person();
    const harm = await survives(relay(), async (beside) => {
      const line = await BadLine.to(Number(new URL(relay().url).port));
      const url = `ws://127.0.0.1:${line.port}`;
      const before = descriptors(relay().pid);
      const gone = await Promise.all(Array.from({ length: 40 }, () => Phone.connect({ url, now })));
      for (const phone of gone.slice(0, 20)) await phone.listen(owner);
      line.goesDead();
      const drops = Array.from({ length: 10 }, () => giftWrap({ to: owner }));
      const sender = await Phone.connect({ url: relay().url, now });
      for (const drop of drops) {
        expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);
      }
      await sender.leave();
      await beside.isServed();
      // It never hears of it: nothing comes over that line.
      while (descriptors(relay().pid) > before) await after(20);
      const client = await (await Client.connect(relay().url)).authenticate(owner);
      expect((await client.pickup()).sort()).toEqual(drops.map(({ id }) => id).sort());
      client.end();
      await client.closed;
      line.cut();
      await Promise.all(gone.map((phone) => phone.closed));
    });
    expect(harm).toEqual(NONE);
  });
});

const HEX = "ab".repeat(32);
const wrong = { ...giftWrap({ to: person() }), sig: "0".repeat(128) };
const someone = person();
const held = giftWrap({ to: someone });
const negentropy = new NegentropyClient([]).begin();
// Four times the burst is borne in refusals, beside the burst; after that it is cut off.
const FLOOD = 3_000;

const FLOODS: readonly (readonly [string, (at: number) => string | Buffer])[] = [
  ["requests", () => '["REQ","s",{}]'],
  [
    "requests with many filters",
    (at) =>
      JSON.stringify(["REQ", `s${at}`, ...Array.from({ length: 20 }, () => ({ kinds: [4] }))]),
  ],
  ["counts", () => '["COUNT","c",{}]'],
  ["closes", (at) => `["CLOSE","s${at}"]`],
  ["drops", (at) => JSON.stringify(["EVENT", { ...held, content: String(at) }])],
  ["the same drop", () => JSON.stringify(["EVENT", held])],
  ["wrong signatures", () => JSON.stringify(["EVENT", wrong])],
  ["acknowledgements", () => JSON.stringify(["EVENT", acks])],
  ["authentications", () => JSON.stringify(["AUTH", auth])],
  ["reconciliations", (at) => JSON.stringify(["NEG-OPEN", `n${at}`, {}, negentropy])],
  ["reconciliations' messages", () => JSON.stringify(["NEG-MSG", "n", negentropy])],
  ["reconciliations' ends", () => '["NEG-CLOSE","n"]'],
  ["what nobody understands", () => "x"],
  ["brackets", () => "[".repeat(2_000)],
  ["unfinished events", () => `["EVENT",{"id":"${HEX}",`],
];
const acks = acknowledgement(someone, [{ id: HEX }]);
const auth = signed(someone, { kind: 22242, tags: [["challenge", "x"]] });

describe("a flood", () => {
  it.each(FLOODS)("of %s harms nobody beside it", async (_, message) => {
    const harm = await survives(relay(), async (beside) => {
      const socket = await RawSocket.open(relay().url, { localAddress: anAddress() });
      await floods(socket, (at) => frameOf({ opcode: TEXT, body: message(at) }), beside);
    });
    expect(harm).toEqual(NONE);
  });

  it.each([
    ["pings", 0x9],
    ["pongs", 0xa],
    ["binary messages", 0x2],
  ])("of %s harms nobody beside it", async (_, opcode) => {
    const harm = await survives(relay(), async (beside) => {
      const socket = await RawSocket.open(relay().url, { localAddress: anAddress() });
      await floods(socket, () => frameOf({ opcode, body: "x".repeat(100) }), beside);
    });
    expect(harm).toEqual(NONE);
  });

  it("of fragments harms nobody beside it", async () => {
    const harm = await survives(relay(), async (beside) => {
      const socket = await RawSocket.open(relay().url, { localAddress: anAddress() });
      const first = frameOf({ opcode: TEXT, isFinal: false, body: "[" });
      const storm = Buffer.concat(
        Array.from({ length: 1_000 }, (_, at) =>
          frameOf({ opcode: 0, isFinal: false, body: at % 2 === 0 ? "" : "[" }),
        ),
      );
      socket.write(first);
      // Two for each byte that a message may have.
      for (let sent = 0; sent < (2 * MESSAGE_BYTES) / 1_000 + 2; sent += 1) {
        socket.write(storm);
        await turn();
      }
      await beside.isServed();
      await socket.closed;
    });
    expect(harm).toEqual(NONE);
  });

  it.each([
    ["requests over HTTP", "GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n"],
    ["drops over HTTP", "POST /drop HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 1\r\n\r\n{"],
    ["pickups over HTTP", `GET /pickup/${HEX} HTTP/1.1\r\nHost: relay.test\r\n\r\n`],
    ["what is no HTTP", "\0\r\n\r\n"],
  ])("of %s harms nobody beside it", async (_, request) => {
    const harm = await survives(relay(), async (beside) => {
      const localAddress = anAddress();
      for (let round = 0; round < 8; round += 1) {
        const socket = await RawSocket.connect(relay().url, { localAddress });
        await floods(socket, () => Buffer.from(request), beside, FLOOD / 8);
      }
    });
    expect(harm).toEqual(NONE);
  });

  it("of connections that come and go harms nobody beside it", async () => {
    const harm = await survives(relay(), async (beside) => {
      const localAddress = anAddress();
      for (let round = 0; round < 20; round += 1) {
        const sockets = await Promise.all(
          Array.from({ length: 50 }, () => RawSocket.connect(relay().url, { localAddress })),
        );
        for (const [index, socket] of sockets.entries()) {
          if (index % 3 > 0) socket.write(OPENING.slice(0, index % 3 === 1 ? undefined : 40));
        }
        if (round === 10) await beside.isServed();
        for (const socket of sockets) socket.hangUp();
      }
    });
    expect(harm).toEqual(NONE);
  });
});

const OPENING =
  "GET / HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/** Sends so many without waiting for an answer, and hangs up unless it was cut off. */
async function floods(
  socket: RawSocket,
  message: (at: number) => Buffer,
  beside: Neighbour,
  times = FLOOD,
): Promise<void> {
  const end = { isCut: false };
  void socket.closed.then(() => (end.isCut = true));
  const served = beside.isServed();
  for (let at = 0; at < times && !end.isCut; at += 100) {
    socket.write(Buffer.concat(Array.from({ length: 100 }, (_, more) => message(at + more))));
    await turn();
  }
  await served;
  socket.hangUp();
  await socket.closed;
}

/** Opens a connection, sends these, and answers what came of it: the texts that were heard, and whether the connection goes on. */
async function sends(
  url: string,
  writes: readonly Uint8Array[],
  isHangingUp = false,
): Promise<{ outcome: "goes on" | "ends"; heard: string[] }> {
  const ends: Parameters<AtEnd>[0][] = [];
  const atEnd: AtEnd = (end) => void ends.push(end);
  const socket = await RawSocket.open(url, { localAddress: anAddress(), atEnd });
  for (const bytes of writes) {
    socket.write(bytes);
    if (writes.length > 1) await turn();
  }
  if (isHangingUp) socket.hangUp();
  // About nothing that is held, so it is answered to anybody.
  socket.write(frameOf({ opcode: TEXT, body: '["REQ","go on",{"kinds":[1]}]' }));
  const goesOn = socket.hears('"go on"').then(
    () => "goes on" as const,
    () => "ends" as const,
  );
  const outcome = await Promise.race([goesOn, socket.closed.then(() => "ends" as const)]);
  for (const end of ends) await end();
  await socket.closed;
  const [, ...rest] = socket.heard.split("\r\n\r\n");
  return { outcome, heard: textsFrom(Buffer.from(rest.join("\r\n\r\n"), "latin1")) };
}

const AT_ONCE = 16;

async function together<Each>(
  each: readonly Each[],
  does: (one: Each, index: number) => Promise<void>,
): Promise<void> {
  const queue = [...each.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      await does(next[1], next[0]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

describe("frames of every shape", () => {
  it("come to what RFC 6455 says of them", async () => {
    const harm = await survives(relay(), async () => {
      const differing: string[] = [];
      await together(CASES, async ({ name, writes, outcome: expected }) => {
        const { outcome } = await sends(relay().url, writes);
        if (isUws && name === UWS_TAKES) return;
        if (expected !== "either" && outcome !== expected) differing.push(`${name}: ${outcome}`);
      });
      expect(differing).toEqual([]);
      figures["cases"] = CASES.length;
    });
    expect(harm).toEqual(NONE);
  });

  it("drawn at random come to what a second reading of RFC 6455 says of them", async () => {
    const count = budget({ short: 600, long: 60_000 });
    const harm = await survives(relay(), async () => {
      const verdicts: Record<string, number> = {};
      const differing: string[] = [];
      await together(Array.from({ length: count }), async (_, index) => {
        const chance = new Chance(SEED + index);
        const frames = anyFrames(chance);
        const verdict = verdictOn(Buffer.concat(frames), MESSAGE_BYTES, isUws);
        verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
        const writes = chance.is(0.5) ? [Buffer.concat(frames)] : frames;
        const isOpen = verdict === "unfinished" || verdict === "either";
        const { outcome } = await sends(relay().url, writes, isOpen);
        if (!isOpen && outcome !== verdict) differing.push(`seed ${SEED + index}: ${outcome}`);
      });
      expect(differing).toEqual([]);
      Object.assign(figures, { randomConnections: count, verdicts });
    });
    expect(harm).toEqual(NONE);
  });
});

describe("a line with TLS that is cut at any byte", () => {
  const folder = temporaryFolder((clean) => void cleaning.push(clean));
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const made = spawnSync("openssl", [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-subj",
    "/CN=localhost",
    "-days",
    "2",
    "-keyout",
    keyFile,
    "-out",
    certFile,
  ]);
  const but = made.status === 0 ? "" : " (but: there is no openssl that makes a certificate)";

  it.skipIf(but !== "" && process.env["CI"] === undefined)(
    `loses nothing that was answered OK${but}`,
    async () => {
      expect(but).toBe("");
      const pair = { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") };
      const count = budget({ short: 150, long: 5_000 });
      const chance = new Chance(SEED);
      const owner = person();
      const harm = await survives(relay(), async (beside) => {
        const proxy = await startTlsProxy(Number(new URL(relay().url).port), pair, anAddress);
        // The handshake of TLS and that of the WebSocket take 2 KB or so.
        const line = await BadLine.to(proxy, () => chance.between(1, 20_000));
        const answered: string[] = [];
        await together(Array.from({ length: count }), async () => {
          const socket = new WebSocket(`wss://127.0.0.1:${line.port}`, {
            rejectUnauthorized: false,
          });
          socket.on("error", () => {});
          const drops = (): void => {
            const drop = giftWrap({ to: owner, content: "x".repeat(chance.between(0, 3_000)) });
            socket.send(JSON.stringify(["EVENT", drop]));
          };
          socket.on("open", drops);
          socket.on("message", (text: Buffer) => {
            const [verb, id, isTaken] = JSON.parse(String(text)) as [string, string, boolean];
            if (verb === "OK" && isTaken) answered.push(id);
            drops();
          });
          await new Promise((resolve) => socket.once("close", resolve));
        });
        await beside.isServed();
        const picked = new Set<string>();
        const reader = await Phone.connect({
          url: relay().url,
          now,
          localAddress: anAddress(),
          onDrop: ({ id }) => void picked.add(id),
        });
        mustBe(await reader.listen(owner), ["EOSE", "box", ["finish"]]);
        expect(answered.filter((id) => !picked.has(id))).toEqual([]);
        expect(answered.length).toBeGreaterThan(0);
        await reader.leave();
        Object.assign(figures, { tlsCuts: count, answeredBeforeTheCut: answered.length });
      });
      expect(harm).toEqual(NONE);
    },
  );
});

// As many as the processes may open, up to this.
const EVERYBODY = 20_000;
const CROWDS = 4;
const PEOPLE = 50;
// What the relay needs for itself (server/descriptors.ts), and some that come while others have not gone.
const SPARE_DESCRIPTORS = 150;

/** How many files a process that this one starts may open. */
function mostDescriptors(): number {
  const [, limit] =
    /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return Number(limit);
}

/** Many people's clients, in processes of their own. */
class Crowd {
  readonly people: readonly Person[] = Array.from({ length: PEOPLE }, () => person());
  readonly #processes: ChildProcess[] = [];
  readonly #states: CrowdState[] = [];

  constructor(url: string, count: number) {
    const program = new URL("crowd.ts", import.meta.url).pathname;
    for (let index = 0; index < CROWDS; index += 1) {
      const settings: CrowdSettings = {
        url,
        count: count / CROWDS,
        people: this.people.map(({ secret }) => Buffer.from(secret).toString("hex")),
        addresses: Array.from({ length: 5 }, () => anAddress()),
      };
      const child = fork(program, [JSON.stringify(settings)]);
      child.on("message", (state) => (this.#states[index] = state as CrowdState));
      this.#processes.push(child);
    }
    onTestFinished(() => this.goes());
  }

  get state(): CrowdState {
    const sum = (what: keyof CrowdState): number =>
      this.#states.reduce((all, state) => all + (state?.[what] ?? 0), 0);
    return {
      listening: sum("listening"),
      opened: sum("opened"),
      refused: sum("refused"),
      drops: sum("drops"),
    };
  }

  async until(isSo: (state: CrowdState) => boolean): Promise<void> {
    while (!isSo(this.state)) await after(20);
  }

  goes(): void {
    for (const child of this.#processes) child.kill("SIGKILL");
  }
}

describe("everybody at once", () => {
  it("comes back after a restart, hears what comes then, and leaves nothing behind", async () => {
    const count = budget({
      short: 1_000,
      long: Math.min(EVERYBODY, mostDescriptors() - SPARE_DESCRIPTORS),
    });
    const rounded = count - (count % (CROWDS * PEOPLE));
    const [data, port] = [temporaryFolder(), await closedPort()];
    const ownHeap = new Heap();
    const env = {
      ...ownHeap.env,
      NODE_OPTIONS: ownHeap.option,
      DEADDROP_LISTEN: `127.0.0.1:${port}`,
      DEADDROP_LIMITS_CONNECTIONS: String(rounded + 50),
    };
    const before = await startRelay({ data, env });
    const crowd = new Crowd(before.url, rounded);
    await crowd.until(({ listening }) => listening === rounded);
    await before.kill();
    await crowd.until(({ listening }) => listening === 0);

    const killed = performance.now();
    const back = await startRelay({ data, env });
    const neighbour = await Neighbour.moveIn(back.url);
    const waits: number[] = [];
    const isEverybodyBack = crowd.until(({ listening }) => listening === rounded);
    const state = { isDone: false };
    void isEverybodyBack.then(() => (state.isDone = true));
    // Whoever does nothing but what everybody may is served while all the others come.
    do {
      const begun = performance.now();
      await neighbour.isServed();
      waits.push(performance.now() - begun);
    } while (!state.isDone);
    const seconds = (performance.now() - killed) / 1_000;
    const most = { memory: memoryBytes(back.pid), descriptors: descriptors(back.pid) };

    const { drops } = crowd.state;
    const sender = await Client.connect(back.url);
    for (const to of crowd.people) {
      const drop = giftWrap({ to });
      expect(await sender.publish(drop)).toEqual(["OK", drop.id, true, ""]);
    }
    await crowd.until((now) => now.drops - drops >= rounded);
    expect(crowd.state.drops - drops).toBe(rounded);

    const all = descriptors(back.pid);
    const alive = await ownHeap.bytes(back.pid);
    crowd.goes();
    while (descriptors(back.pid) > all - rounded) await after(20);
    expect(descriptors(back.pid)).toBe(all - rounded);
    // A connection takes more than 2 KB of the heap.
    expect(alive - (await ownHeap.bytes(back.pid))).toBeGreaterThan(rounded * 2_048);
    expect(back.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    await neighbour.isServed();
    waits.sort((a, b) => a - b);
    Object.assign(figures, {
      connections: rounded,
      secondsUntilAllListen: seconds,
      openedAfterwards: crowd.state.opened - rounded,
      refused: crowd.state.refused,
      neighbour: { served: waits.length, medianMs: waits[waits.length >> 1], mostMs: waits.at(-1) },
      ...most,
    });
  });
});

afterAll(() => record("peers", { ...figures, floods: FLOODS.length + 9, mostKept }));
