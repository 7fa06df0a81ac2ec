// What every transport promises (see `src/transport/transport.ts`), told by talking to a process that serves one.
import { once } from "node:events";
import { Agent } from "node:http";
import { networkInterfaces } from "node:os";

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { ask, Client, Download, frame, handshake, RawPeer, refusedUpgrade } from "./client.ts";
import type { Command, Line } from "./fixture.ts";
import type { Fixture, Serve } from "./process.ts";

const MAX = 4_096;
const HAS_IPV6 = Object.values(networkInterfaces())
  .flat()
  .some((network) => network?.address === "::1");

const FULL = "1111:2222:3333:4444:5555:6666:7777:8888";
const H2C = { connection: "Upgrade, HTTP2-Settings", "http2-settings": "AAMAAABkAAQAoAAAAAIAAAAA" };

/** In what transports may differ. */
export type Ways = {
  /** The settings under which an unfinished handshake ends soonest, and the milliseconds within which it must. */
  readonly slowHandshake: {
    readonly settings: Readonly<Record<string, unknown>>;
    readonly withinMs: number;
  };
  /** The pieces of a body without which its head does not leave. */
  readonly headTakes: readonly string[];
  /** Whether a target may begin otherwise than with a slash, and requests wait in a pipeline. */
  readonly isLenient: boolean;
  /** What becomes of who connected before it stopped and asks after. */
  readonly afterStop: "answered" | "refused";
  /** Whether connections may begin with a line that names whom they are for. */
  readonly isIntroduced: boolean;
};

/** Runs the contract against the fixture that `serve` starts. */
export function transportContract(name: string, serve: Serve, ways: Ways): void {
  const { slowHandshake } = ways;

  function begun(settings: Readonly<Record<string, unknown>>): Promise<Fixture> {
    return serve({ maxMessageBytes: MAX, maxBodyBytes: MAX, ...settings });
  }

  async function started(settings: Readonly<Record<string, unknown>> = {}): Promise<Fixture> {
    const fixture = await begun(settings);
    onTestFinished(() => fixture.stop());
    return fixture;
  }

  describe(`the ${name} transport`, () => {
    // Cutting them off may take long. That passes while the other tests run, and the last one sees how it ended.
    let unfinished: Unfinished | undefined;
    beforeAll(async () => {
      unfinished = await beginHandshakes(await begun(slowHandshake.settings));
    });
    afterAll(() => unfinished?.fixture.stop());

    describe("callbacks", () => {
      test("come as opened, then each message in order, then closed, once each", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        for (const text of ["one", "two", "three"]) client.send(text);
        client.webSocket.close();
        await fixture.event("closed");
        await client.closed;
        expect(eventsOf(await fixture.settled(), 1)).toEqual([
          "opened",
          "received one",
          "received two",
          "received three",
          "closed",
        ]);
      });

      test("keep the sockets apart", async () => {
        const fixture = await started();
        const first = await opened(fixture);
        await fixture.event("opened", 1);
        const second = await opened(fixture);
        await fixture.event("opened", 2);
        second.send("from the second");
        await fixture.event("received", 1);
        first.send("from the first");
        await fixture.event("received", 2);
        expect(fixture.of("received")).toMatchObject([
          { socket: 2, text: "from the second" },
          { socket: 1, text: "from the first" },
        ]);
      });

      test("tell of a pong", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        const pinged = once(client.webSocket, "ping");
        fixture.tell({ do: "ping", socket: 1 });
        await pinged;
        await fixture.event("ponged");
        expect(fixture.of("received")).toEqual([]);
      });

      test("tell of a ping, which is answered", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        const ponged = once(client.webSocket, "pong");
        client.webSocket.ping();
        await ponged;
        await fixture.event("pinged");
        expect(fixture.of("received")).toEqual([]);
      });

      test("tell once that a peer hung up without a word", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.terminate();
        expect(await eventsUntilClosed(fixture)).toEqual(["opened", "closed"]);
      });

      test("do not tell of half a frame whose sender hangs up", async () => {
        const fixture = await started();
        const peer = await RawPeer.upgraded(fixture.port);
        peer.stream.write(frame("whole"));
        peer.stream.end(frame("half a frame").subarray(0, 9));
        expect(await eventsUntilClosed(fixture)).toEqual(["opened", "received whole", "closed"]);
      });

      test("end after a frame that breaks the protocol", async () => {
        const fixture = await started();
        const peer = await RawPeer.upgraded(fixture.port);
        const unmasked = Buffer.from([0x81, 0x02, 0x68, 0x69]);
        const reserved = Buffer.from([0xf3, 0x80, 0, 0, 0, 0]);
        peer.stream.write(Buffer.concat([reserved, unmasked, frame("later")]));
        expect(await eventsUntilClosed(fixture)).toEqual(["opened", "closed"]);
        await peer.closed;
      });
    });

    describe("a message", () => {
      test("of exactly the limit is received", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.send("x".repeat(MAX));
        expect((await fixture.event("received")).text).toHaveLength(MAX);
        client.send("next");
        expect(await fixture.event("received", 2)).toMatchObject({ text: "next" });
      });

      test("of one byte more closes the socket with 1009 and is not received", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.send("x".repeat(MAX + 1));
        client.send("next");
        expect((await client.closed).code).toBe(1009);
        expect(await eventsUntilClosed(fixture)).toEqual(["opened", "closed"]);
      });

      test("is measured in bytes, not in characters", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.send("é".repeat(MAX / 2));
        expect((await fixture.event("received")).text).toBe("é".repeat(MAX / 2));
        client.send(`${"é".repeat(MAX / 2)}x`);
        expect((await client.closed).code).toBe(1009);
      });

      test("far past the limit ends the socket before it is read to its end", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.send("x".repeat(64 * MAX));
        expect([1006, 1009]).toContain((await client.closed).code);
        expect(await eventsUntilClosed(fixture)).toEqual(["opened", "closed"]);
      });

      test("in fragments is received as one", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.send("a".repeat(MAX - 1), { fin: false });
        client.webSocket.send("b", { fin: true });
        expect((await fixture.event("received")).text).toBe(`${"a".repeat(MAX - 1)}b`);
      });

      test("in fragments that are too large together closes the socket with 1009", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.send("a".repeat(MAX), { fin: false });
        client.webSocket.send("b", { fin: true });
        expect((await client.closed).code).toBe(1009);
        await fixture.event("closed");
        expect(fixture.of("received")).toEqual([]);
      });

      test("that is binary is received as undefined, and the socket goes on", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.send(Buffer.from("binary"));
        client.send("text");
        await fixture.event("received", 2);
        expect(fixture.of("received")).toMatchObject([{ text: null }, { text: "text" }]);
      });

      test("that is empty is received as empty", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.send("");
        expect(await fixture.event("received")).toMatchObject({ text: "" });
      });

      test("that is not UTF-8 ends the socket and is not received", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.send(Buffer.from([0xc3, 0x28]), { binary: false });
        expect([1006, 1007]).toContain((await client.closed).code);
        await fixture.event("closed");
        expect(fixture.of("received")).toEqual([]);
      });
    });

    describe("sending", () => {
      test("keeps what is not ASCII as it is", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        says(client, { do: "send", text: "ünïcödé 💧" });
        expect(await client.received(1)).toEqual(["ünïcödé 💧"]);
      });

      test.each([
        ["from inside a message, corked", true, true],
        ["from inside a message, one by one", true, false],
        ["out of the blue, corked", false, true],
        ["out of the blue, one by one", false, false],
      ])("%s, delivers everything in order", async (_case, isInside, corked) => {
        const fixture = await started();
        const client = await opened(fixture);
        const command: Command = { do: "sendMany", socket: 1, count: 500, bytes: 1_200, corked };
        if (isInside) says(client, command);
        else fixture.tell(command);
        const messages = await client.received(500);
        expect(messages.map((message) => Number.parseInt(message, 10))).toEqual(
          Array.from({ length: 500 }, (_, index) => index),
        );
        expect(messages.every((message) => message.length === 1_200)).toBe(true);
      });

      test("to another socket from inside a message reaches it", async () => {
        const fixture = await started();
        const first = await opened(fixture);
        await fixture.event("opened", 1);
        const second = await opened(fixture);
        await fixture.event("opened", 2);
        says(first, { do: "sendMany", socket: 2, count: 3, bytes: 8, corked: true });
        expect(await second.received(3)).toEqual(["0 ......", "1 ......", "2 ......"]);
        expect(first.messages).toEqual([]);
      });

      test("to a peer that stops reading grows bufferedBytes, loses nothing, and tells when all has left", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.pause();
        fixture.tell({ do: "sendMany", socket: 1, count: 256, bytes: 65_536, corked: false });
        fixture.tell({ do: "bufferedBytes", socket: 1 });
        expect((await fixture.event("bufferedBytes")).bufferedBytes).toBeGreaterThan(1_048_576);
        expect(fixture.of("drained")).toEqual([]);
        client.webSocket.resume();
        const messages = await client.received(256);
        expect(messages.map((message) => Number.parseInt(message, 10))).toEqual(
          Array.from({ length: 256 }, (_, index) => index),
        );
        expect((await fixture.event("drained")).bufferedBytes).toBe(0);
      });

      test("tells when all has left, however little was waiting", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.pause();
        fixture.tell({ do: "fill", socket: 1, bytes: 512 });
        const filled = await fixture.event("filled");
        expect(filled.bufferedBytes).toBeLessThan(1_024);
        client.webSocket.resume();
        await client.received(filled.count);
        expect((await fixture.event("drained")).bufferedBytes).toBe(0);
      });
    });

    describe("closing", () => {
      test("shows the peer the code and the reason, and is told once", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        fixture.tell({ do: "close", socket: 1, code: 4001, reason: "says why" });
        expect(await client.closed).toEqual({ code: 4001, reason: "says why" });
        expect(await eventsUntilClosed(fixture)).toEqual(["opened", "returned", "closed"]);
      });

      test("answers the peer's close with its code", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.close(4002, "enough");
        expect((await client.closed).code).toBe(4002);
        await fixture.event("closed");
      });

      test("ignores what the peer sent after it", async () => {
        const fixture = await started();
        const peer = await RawPeer.upgraded(fixture.port);
        const close = frame(JSON.stringify({ do: "close", code: 1000, reason: "" }));
        peer.stream.write(Buffer.concat([close, frame("too late"), frame("later still")]));
        await fixture.event("returned");
        peer.stream.end();
        expect(await eventsUntilClosed(fixture)).toEqual([
          "opened",
          'received {"do":"close","code":1000,"reason":""}',
          "returned",
          "closed",
        ]);
      });

      test.each(["in a message", "out of the blue"])(
        "inside a cork, %s, comes after what was sent before it",
        async (where) => {
          const fixture = await started();
          const client = await opened(fixture);
          const command: Command = {
            do: "sendAndCloseCorked",
            socket: 1,
            text: "last",
            code: 1001,
          };
          if (where === "in a message") says(client, command);
          else fixture.tell(command);
          expect((await client.closed).code).toBe(1001);
          expect(client.messages).toEqual(["last"]);
          await fixture.event("closed");
        },
      );

      test("comes after everything that waits for a slow reader", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        const witness = await opened(fixture);
        client.webSocket.pause();
        fixture.tell({ do: "sendMany", socket: 1, count: 256, bytes: 65_536, corked: false });
        fixture.tell({ do: "close", socket: 1, code: 1001, reason: "" });
        fixture.tell({ do: "send", socket: 1, text: "after close" });
        await fixture.event("returned", 3);
        client.send("too late");
        witness.send("in time");
        await fixture.event("received");
        expect(eventsOf(fixture.lines, 1)).toEqual(["opened", "returned", "returned", "returned"]);
        client.webSocket.resume();
        expect((await client.closed).code).toBe(1001);
        expect(client.messages).toHaveLength(256);
        await fixture.event("closed");
        expect(eventsOf(await fixture.settled(), 1).slice(4)).toEqual(["closed"]);
      });

      test("never calls back from inside close or terminate", async () => {
        const fixture = await started();
        const first = await opened(fixture);
        const second = await opened(fixture);
        fixture.tell({ do: "close", socket: 1, code: 1000, reason: "" });
        fixture.tell({ do: "terminate", socket: 2 });
        await Promise.all([first.closed, second.closed]);
        await fixture.event("closed", 2);
        for (const socket of [1, 2]) {
          expect(eventsOf(fixture.lines, socket)).toEqual(["opened", "returned", "closed"]);
        }
      });

      test("terminate ends the connection without a close frame", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        fixture.tell({ do: "terminate", socket: 1 });
        expect((await client.closed).code).toBe(1006);
        expect(await eventsUntilClosed(fixture)).toEqual(["opened", "returned", "closed"]);
      });

      test.each(["in a message", "out of the blue"])(
        "terminate inside a cork, %s, ends the connection",
        async (where) => {
          const fixture = await started();
          const client = await opened(fixture);
          const command: Command = { do: "terminateCorked", socket: 1 };
          if (where === "in a message") says(client, command);
          else fixture.tell(command);
          expect((await client.closed).code).toBe(1006);
          await fixture.event("closed");
          expect(client.messages).not.toContain("after terminate");
        },
      );

      test("terminate frees a socket whose peer does not read", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.pause();
        fixture.tell({ do: "sendMany", socket: 1, count: 256, bytes: 65_536, corked: false });
        fixture.tell({ do: "close", socket: 1, code: 1001, reason: "" });
        fixture.tell({ do: "terminate", socket: 1 });
        expect(await eventsUntilClosed(fixture)).toEqual([
          "opened",
          "returned",
          "returned",
          "returned",
          "closed",
        ]);
      });

      test("leaves a socket on which everything may be called and nothing happens", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.close();
        await fixture.event("closed");
        await client.closed;
        fixture.tell({ do: "useAll", socket: 1 });
        await fixture.event("returned");
        expect(eventsOf(await fixture.settled(), 1)).toEqual(["opened", "closed", "returned"]);
      });
    });

    describe("the address", () => {
      test("is the peer's", async () => {
        const fixture = await started();
        await opened(fixture);
        expect(await fixture.event("opened")).toMatchObject({ address: "127.0.0.1" });
      });

      test("is what a proxy forwards for, from every line it sends", async () => {
        const fixture = await started();
        const headers = { "x-forwarded-for": ["192.0.2.1", "192.0.2.2, 192.0.2.3"] };
        // `ws` hands its headers to `http.request`, which sends a list as one line each.
        await Client.open(fixture.url, { headers: headers as never });
        const address = "127.0.0.1 for 192.0.2.1, 192.0.2.2, 192.0.2.3";
        expect(await fixture.event("opened")).toMatchObject({ address });
        expect(JSON.parse((await ask(fixture.port, "/", { headers })).body)).toMatchObject({
          address,
        });
      });

      test.runIf(HAS_IPV6)("of an IPv6 peer is in its short form", async () => {
        const fixture = await started({ host: "::1" });
        await opened(fixture, `ws://[::1]:${fixture.port}`);
        expect(await fixture.event("opened")).toMatchObject({ address: "::1" });
      });

      test.runIf(HAS_IPV6)("of an IPv4 peer of an IPv6 socket is IPv4", async () => {
        const fixture = await started({ host: "::ffff:127.0.0.1" });
        await opened(fixture);
        expect(await fixture.event("opened")).toMatchObject({ address: "127.0.0.1" });
      });
    });

    describe("a request", () => {
      test("counts from its head to its end, whether it is answered or its peer leaves", async () => {
        const fixture = await started();
        await ask(fixture.port, "/");
        await fixture.event("ended");
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhal");
        await fixture.event("began", 2);
        expect(fixture.of("ended")).toHaveLength(1);
        peer.stream.destroy();
        await fixture.event("ended", 2);
        const [one, two] = fixture.of("ended");
        expect([one?.address, two?.address]).toEqual(["127.0.0.1", "127.0.0.1"]);
      });

      test("is answered otherwise before its body is read when it may not begin", async () => {
        const fixture = await started();
        fixture.tell({ do: "admit", answer: false });
        await fixture.settled();
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nhalf");
        expect(await peer.heard("busy")).toContain(" 429 ");
        expect(fixture.of("request")).toEqual([]);
        expect(fixture.of("ended")).toEqual([]);
      });

      test("in a pipeline is over when the peer leaves, however many wait behind it", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        const requests = ["/held", "/stream", "/", "/stream"].map(
          (path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`,
        );
        peer.stream.write(requests.join(""));
        await fixture.event("request");
        await fixture.settled();
        peer.stream.destroy();
        const begun = fixture.of("began").length;
        await fixture.event("ended", begun);
        await fixture.settled();
        expect(fixture.of("bodyClosed")).toHaveLength(fixture.of("streaming").length);
        fixture.tell({ do: "closeListener", graceMs: 3_600_000 });
        await fixture.event("listenerClosed");
      });
    });

    describe("the handshake", () => {
      test("is refused with 429 when the address is not admitted", async () => {
        const fixture = await started();
        fixture.tell({ do: "admit", answer: false });
        await fixture.settled();
        expect(await refusedUpgrade(fixture.url)).toBe(429);
        expect(fixture.of("opened")).toEqual([]);
        fixture.tell({ do: "admit", answer: true });
        await fixture.settled();
        await opened(fixture);
        await fixture.event("opened");
      });

      test.each(["WebSocket", "h2c, websocket", "h2c , WEBSOCKET,x"])(
        "is made where one of several upgrades is to a WebSocket: %s",
        async (upgrade) => {
          const fixture = await started();
          const peer = await RawPeer.connect(fixture.port);
          peer.stream.write(handshake().replace("Upgrade: websocket", `Upgrade: ${upgrade}`));
          expect(await peer.heard("\r\n\r\n")).toMatch(/^HTTP\/1\.1 101 /);
          await fixture.event("opened");
        },
      );

      test("of a refused peer that does not hang up leaves no connection behind", async () => {
        const fixture = await started();
        fixture.tell({ do: "admit", answer: false });
        await fixture.settled();
        const peer = await RawPeer.connect(fixture.port, { allowHalfOpen: true });
        peer.stream.write(handshake());
        expect(await peer.heard("\r\n\r\n")).toContain("429");
        fixture.tell({ do: "closeListener", graceMs: 3_600_000 });
        await fixture.event("listenerClosed");
        peer.stream.destroy();
      });

      test("that is no HTTP at all is cut off", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write("\x16\x03\x01 not HTTP\r\n\r\n");
        await peer.closed;
        expect([...fixture.of("opened"), ...fixture.of("request")]).toEqual([]);
      });
    });

    describe("listening", () => {
      test("is on a port of its own when none is named", async () => {
        const [first, second] = await Promise.all([started(), started()]);
        expect(first.port).toBeGreaterThan(0);
        expect(second.port).not.toBe(first.port);
      });

      test("on a port in use rejects", async () => {
        const anyPort = await started();
        await expect(started({ port: anyPort.port })).rejects.toThrow(/in use/);
        await anyPort.stop();
        const thisPort = await started({ port: anyPort.port });
        await expect(started({ port: thisPort.port })).rejects.toThrow(/in use/);
      });

      test("on a host that is not this machine's rejects", async () => {
        await expect(started({ host: "192.0.2.1" })).rejects.toThrow(
          /not an address|EADDRNOTAVAIL/,
        );
      });

      // Elsewhere the loopback network has one address.
      test.runIf(process.platform === "linux")("is on the named host alone", async () => {
        const fixture = await started();
        await expect(RawPeer.connect(fixture.port, { host: "127.0.0.2" })).rejects.toThrow(
          "ECONNREFUSED",
        );
      });

      test("stops for new connections and goes on for old ones", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        fixture.tell({ do: "stopListening" });
        await fixture.event("stopped");
        await expect(RawPeer.connect(fixture.port)).rejects.toThrow("ECONNREFUSED");
        says(client, { do: "send", text: "still here" });
        expect(await client.received(1)).toEqual(["still here"]);
      });

      test.runIf(ways.afterStop === "refused")(
        "stops for a handshake and for a request over a connection from before",
        async () => {
          const fixture = await started();
          const [upgrading, asking] = await askedAfterStop(fixture);
          await Promise.all([upgrading.closed, asking.closed]);
          expect(upgrading.text).toMatch(/^HTTP\/1\.1 503 /);
          expect(asking.text).toMatch(/^HTTP\/1\.1 503 /);
          expect(fixture.of("opened")).toEqual([]);
          expect(fixture.of("request")).toHaveLength(1);
        },
      );

      test.runIf(ways.afterStop === "answered")(
        "stops after one handshake or one answer over a connection from before",
        async () => {
          const fixture = await started();
          const [upgrading, asking] = await askedAfterStop(fixture);
          await fixture.event("opened");
          expect(upgrading.text).toMatch(/^HTTP\/1\.1 101 /);
          await asking.closed;
          expect(asking.text).toMatch(/^HTTP\/1\.1 200 /);
          expect(asking.text).toMatch(/^connection: close\r$/im);
        },
      );

      test("is at each of several addresses, and tells them apart", async () => {
        const fixture = await started({ addresses: [{ name: "first" }, { name: "second" }] });
        const { ports } = await fixture.event("listening");
        expect(new Set(ports).size).toBe(2);
        for (const [index, port] of ports.entries()) {
          const name = ["first", "second"][index];
          const client = await Client.open(`ws://127.0.0.1:${port}`);
          onTestFinished(() => client.webSocket.terminate());
          expect((await fixture.event("opened", index + 1)).address).toBe(`${name} 127.0.0.1`);
          const asked = await ask(port, "/", { headers: { "x-forwarded-for": "192.0.2.7" } });
          expect(JSON.parse(asked.body)).toMatchObject({
            address: `${name} 127.0.0.1 for 192.0.2.7`,
          });
        }
        fixture.tell({ do: "stopListening" });
        await fixture.event("stopped");
        for (const port of ports)
          await expect(RawPeer.connect(port)).rejects.toThrow("ECONNREFUSED");
      });

      test("at several addresses of which one is in use rejects, and leaves the others", async () => {
        const taken = await started();
        const free = await started();
        const { port } = free;
        await free.stop();
        const addresses = [{ port }, { port: taken.port }];
        await expect(started({ addresses })).rejects.toThrow(/in use/);
        await started({ port });
      });
    });

    describe.runIf(ways.isIntroduced)("a connection that begins with whom it is for", () => {
      const LINE = "PROXY TCP6 2001:db8::7 ::1 65535 80\r\n";
      const GET = "GET / HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n\r\n";

      test.each([
        ["in one piece with what follows", [LINE + GET]],
        ["in a piece of its own", [LINE, GET]],
        ["byte by byte", (LINE + GET).split("")],
        ["as long as it may be", [`PROXY TCP6 ${FULL} ${FULL} 65535 65535\r\n`, GET], FULL],
        ["of IPv4", ["PROXY TCP4 192.0.2.7 192.0.2.1 1 80\r\n", GET], "192.0.2.7"],
      ])(
        "is that peer's, however its line comes: %s",
        async (_, pieces, source = "2001:db8::7") => {
          const fixture = await started({ isIntroduced: true });
          const text = await said(fixture, ...pieces);
          expect(text).toMatch(/^HTTP\/1\.1 200 /);
          expect(text).toContain(`"address":"${source}"`);
          expect(fixture.of("introduced")).toEqual([{ event: "introduced", source }]);
        },
      );

      test("opens a WebSocket, and keeps whose it is over an upgrade that is ignored", async () => {
        const fixture = await started({ isIntroduced: true });
        const peer = await RawPeer.connect(fixture.port);
        const ignored =
          "GET / HTTP/1.1\r\nHost: relay.test\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
        peer.stream.write(LINE + ignored);
        await fixture.event("ended");
        peer.stream.write(handshake());
        expect((await fixture.event("opened")).address).toBe("2001:db8::7");
        expect(peer.text).toContain('"address":"2001:db8::7"');
        expect(fixture.of("introduced")).toHaveLength(1);
      });

      test.each([
        ["no line", GET],
        ["a line that names nobody", `PROXY UNKNOWN\r\n${GET}`],
        ["an address of the other family", `PROXY TCP4 ::1 ::1 1 2\r\n${GET}`],
        ["a port that is none", `PROXY TCP6 ::1 ::1 1 65536\r\n${GET}`],
        ["two spaces", `PROXY TCP6  ::1 ::1 1 2\r\n${GET}`],
        ["a line feed alone", `PROXY TCP6 ::1 ::1 1 2\n${GET}`],
        ["no end within 107 bytes", `PROXY TCP6 ${"1".repeat(96)}`],
      ])("is closed without an answer after %s", async (_, text) => {
        const fixture = await started({ isIntroduced: true });
        const answer = await said(fixture, text);
        expect(answer).toBe("");
        expect(fixture.of("introduced")).toEqual([{ event: "introduced", source: null }]);
        expect(fixture.of("request")).toEqual([]);
      });

      test("is closed where the one it is for is not welcome", async () => {
        const fixture = await started({ isIntroduced: true });
        const text = await said(fixture, `PROXY TCP6 ::bad ::1 1 2\r\n${GET}`);
        expect([text, fixture.of("request")]).toEqual(["", []]);
      });

      test("is closed when the line does not come in time", async () => {
        const fixture = await started({ isIntroduced: true, handshakeSeconds: 1 });
        const [silent, slow] = [
          await RawPeer.connect(fixture.port),
          await RawPeer.connect(fixture.port),
        ];
        slow.stream.write("PROXY TCP6");
        await Promise.all([silent.closed, slow.closed]);
        expect([silent.text, slow.text]).toEqual(["", ""]);
      });

      test("is waited for at the end no longer than others", async () => {
        const fixture = await started({ isIntroduced: true });
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write("PROXY");
        // The server has it when it has another one that came later.
        const other = await RawPeer.connect(fixture.port);
        other.stream.write(LINE + GET);
        await other.closed;
        fixture.tell({ do: "closeListener", graceMs: 3_600_000 });
        await fixture.event("listenerClosed");
        await peer.closed;
        expect(peer.text).toBe("");
      });
    });

    describe("the listener's close", () => {
      const HOUR_MS = 3_600_000;

      test.runIf(ways.afterStop === "answered")(
        "answers who connected before and was about to ask",
        async () => {
          const fixture = await started();
          const peer = await RawPeer.connect(fixture.port);
          // The server has it when it has answered on another one.
          await ask(fixture.port, "/");
          fixture.tell({ do: "closeListener", graceMs: HOUR_MS });
          fixture.tell({ do: "mark" });
          await fixture.event("mark");
          peer.stream.write("GET / HTTP/1.1\r\nHost: relay.test\r\n\r\n");
          await peer.closed;
          expect(peer.text).toMatch(/^HTTP\/1\.1 200 /);
          await fixture.event("listenerClosed");
        },
      );

      test("resolves when the last socket is gone", async () => {
        const fixture = await started();
        const first = await opened(fixture);
        const second = await opened(fixture);
        fixture.tell({ do: "closeListener", graceMs: HOUR_MS });
        fixture.tell({ do: "close", socket: 1, code: 1001, reason: "" });
        expect((await first.closed).code).toBe(1001);
        await fixture.event("closed", 1);
        await fixture.settled();
        expect(fixture.of("listenerClosed")).toEqual([]);
        second.webSocket.close(1000);
        expect((await second.closed).code).toBe(1000);
        await fixture.event("listenerClosed");
        expect(fixture.of("closed")).toHaveLength(2);
      });

      test("lets a socket that closes from inside a message say so", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        fixture.tell({ do: "closeListener", graceMs: HOUR_MS });
        await fixture.settled();
        says(client, { do: "close", code: 1001, reason: "bye" });
        expect(await client.closed).toEqual({ code: 1001, reason: "bye" });
        await fixture.event("listenerClosed");
      });

      test("resolves at once when nobody is there, and refuses new connections", async () => {
        const fixture = await started();
        const silent = await RawPeer.connect(fixture.port);
        await ask(fixture.port, "/");
        fixture.tell({ do: "closeListener", graceMs: HOUR_MS });
        await fixture.event("listenerClosed");
        await silent.closed;
        await expect(RawPeer.connect(fixture.port)).rejects.toThrow("ECONNREFUSED");
      });

      test("terminates a socket that stays, and then resolves", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        fixture.tell({ do: "closeListener", graceMs: 50 });
        expect((await client.closed).code).toBe(1006);
        await fixture.event("listenerClosed");
        expect(eventsOf(await fixture.settled(), 1)).toEqual(["opened", "closed"]);
        expect(fixture.lines.findIndex((line) => line.event === "closed")).toBeLessThan(
          fixture.lines.findIndex((line) => line.event === "listenerClosed"),
        );
      });

      test("terminates a socket that was closed and does not read", async () => {
        const fixture = await started();
        const client = await opened(fixture);
        client.webSocket.pause();
        fixture.tell({ do: "sendMany", socket: 1, count: 256, bytes: 65_536, corked: false });
        fixture.tell({ do: "close", socket: 1, code: 1001, reason: "" });
        fixture.tell({ do: "closeListener", graceMs: 50 });
        await fixture.event("listenerClosed");
        expect(fixture.of("closed")).toHaveLength(1);
      });

      test("waits for the answer to a request", async () => {
        const fixture = await started();
        const answer = ask(fixture.port, "/held");
        await fixture.event("request");
        fixture.tell({ do: "closeListener", graceMs: HOUR_MS });
        await fixture.settled();
        expect(fixture.of("listenerClosed")).toEqual([]);
        fixture.tell({ do: "release" });
        expect((await answer).status).toBe(200);
        await fixture.event("listenerClosed");
      });

      test("does not wait longer than it is told for the answer to a request", async () => {
        const fixture = await started();
        const outcome = ask(fixture.port, "/held").then(
          () => "answered",
          () => "cut off",
        );
        await fixture.event("request");
        fixture.tell({ do: "closeListener", graceMs: 50 });
        await fixture.event("listenerClosed");
        expect(await outcome).toBe("cut off");
      });
    });

    describe("a request", () => {
      test("comes with its method, path, query, headers and address", async () => {
        const fixture = await started();
        const answer = await ask(fixture.port, "/a/b%20c?x=1&y=?&z", {
          headers: { "X-Own": "Value" },
        });
        expect(answer).toMatchObject({ status: 200, headers: { "x-fixture": "yes" } });
        expect(JSON.parse(answer.body)).toMatchObject({
          method: "GET",
          path: "/a/b%20c",
          query: "x=1&y=?&z",
          headers: { "x-own": "Value" },
          address: "127.0.0.1",
          body: "",
        });
      });

      test("without a query has an empty one", async () => {
        const fixture = await started();
        expect(JSON.parse((await ask(fixture.port, "/")).body)).toMatchObject({
          path: "/",
          query: "",
        });
      });

      test.each(["POST", "PUT", "DELETE", "OPTIONS"])("may be %s", async (method) => {
        const fixture = await started();
        expect(JSON.parse((await ask(fixture.port, "/", { method })).body)).toMatchObject({
          method,
        });
      });

      test.skipIf(!ways.isLenient).each([
        ["http://relay.test/a/b?x=1", "/a/b", "x=1"],
        ["HTTPS://relay.test:80", "/", ""],
        ["http://relay.test?x=/", "/", "x=/"],
        ["http:///a", "http:///a", ""],
        ["ftp://relay.test/a", "ftp://relay.test/a", ""],
        ["*", "*", ""],
      ])("for %s comes with the path %s", async (target, path, query) => {
        const fixture = await started();
        const answer = await ask(fixture.port, target, { method: "OPTIONS" });
        expect(JSON.parse(answer.body)).toMatchObject({ path, query });
      });

      test("is answered with what forbids to guess its type, whatever it is answered", async () => {
        const fixture = await started();
        const guess = { "x-content-type-options": "nosniff" };
        expect((await ask(fixture.port, "/")).headers).toMatchObject(guess);
        expect((await ask(fixture.port, "/empty")).headers).toMatchObject(guess);
        expect((await ask(fixture.port, "/", { method: "HEAD" })).headers).toMatchObject(guess);
        const stream = await streamed(fixture);
        fixture.tell({ do: "endBody", body: 1 });
        expect((await stream.head).headers).toMatchObject(guess);
        fixture.tell({ do: "admit", answer: false });
        await fixture.settled();
        expect(await ask(fixture.port, "/")).toMatchObject({ status: 429, headers: guess });
        const upgrading = await RawPeer.connect(fixture.port);
        upgrading.stream.write(handshake());
        await upgrading.closed;
        expect(upgrading.text.toLowerCase()).toContain("\r\nx-content-type-options: nosniff\r\n");
      });

      test.each(["h2c", "H2C, TLS/1.0", "websockets", "x-websocket/1"])(
        "that would be upgraded to %s is answered as if it would not",
        async (upgrade) => {
          const fixture = await started();
          const headers = { ...H2C, upgrade };
          expect((await ask(fixture.port, "/a?b", { headers })).body).toContain('"query":"b"');
          const posted = await ask(fixture.port, "/", { method: "POST", headers, body: "ünï" });
          expect(JSON.parse(posted.body)).toMatchObject({ method: "POST", body: "ünï" });
          const chunks = ["one ", "two"].map((chunk) => Buffer.from(chunk));
          const sent = await ask(fixture.port, "/", { method: "PUT", headers, body: chunks });
          expect(JSON.parse(sent.body)).toMatchObject({ method: "PUT", body: "one two" });
          const head = await ask(fixture.port, "/large?9", { method: "HEAD", headers });
          expect(head).toMatchObject({ status: 200, headers: { "content-length": "9" } });
          expect(fixture.of("opened")).toEqual([]);
        },
      );

      test.skipIf(!ways.isLenient)(
        "that would be upgraded to what nobody knows leaves its connection as it was",
        async () => {
          const fixture = await started();
          const peer = await RawPeer.connect(fixture.port);
          const upgrade = "Connection: keep-alive, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n";
          const head = `HTTP/1.1\r\nHost: x\r\n${upgrade}X-Own: a: b\r\n`;
          peer.stream.write(
            `GET /held?1 ${head}\r\nPOST /?2 ${head}Content-Length: 4\r\n\r\nbodyGET /?3 ${head}\r\n` +
              `GET /?4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
          );
          await fixture.event("request");
          await fixture.settled();
          fixture.tell({ do: "release" });
          await peer.closed;
          const queries = [...peer.text.matchAll(/"query":"(\d)"/g)].map(([, query]) => query);
          expect(queries).toEqual(["1", "2", "3", "4"]);
          expect(peer.text).toContain('"body":"body"');
          expect(peer.text.match(/"x-own":"a: b"/g)).toHaveLength(3);
          await fixture.event("ended", 4);
        },
      );

      test("that would be upgraded and waits behind another does not outlive the listener", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        const upgrade = "Connection: Upgrade\r\nUpgrade: h2c\r\n";
        peer.stream.write(
          `GET /held HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`,
        );
        await fixture.event("request");
        await fixture.settled();
        fixture.tell({ do: "closeListener", graceMs: 0 });
        await fixture.event("listenerClosed");
        await peer.closed;
        expect(peer.text).toBe("");
      });

      test.each(["POST", "HEAD"])(
        "for a WebSocket by %s is answered as the request it is",
        async (method) => {
          const fixture = await started();
          const headers = { connection: "upgrade", upgrade: "websocket" };
          expect((await ask(fixture.port, "/", { method, headers })).status).toBe(200);
        },
      );

      test("with the key of a WebSocket and without the upgrade is answered as the request it is", async () => {
        const fixture = await started();
        const plain = handshake().replace("Upgrade: websocket", "Upgrade: h2c");
        for (const text of [plain, plain.replace("Upgrade: h2c\r\n", "")]) {
          const peer = await RawPeer.connect(fixture.port);
          peer.stream.write(text);
          expect(await peer.heard("}")).toMatch(/^HTTP\/1\.1 200 /);
          peer.stream.destroy();
        }
      });

      test("comes with its body", async () => {
        const fixture = await started();
        const answer = await ask(fixture.port, "/", { method: "POST", body: "ünïcödé" });
        expect(JSON.parse(answer.body)).toMatchObject({ method: "POST", body: "ünïcödé" });
      });

      test("comes with its body when that is sent in chunks", async () => {
        const fixture = await started();
        const body = ["one ", "two ", "three"].map((chunk) => Buffer.from(chunk));
        const answer = await ask(fixture.port, "/", { method: "POST", body });
        expect(JSON.parse(answer.body)).toMatchObject({ body: "one two three" });
      });

      test("may have a body of exactly the limit", async () => {
        const fixture = await started();
        const answer = await ask(fixture.port, "/", { method: "POST", body: "x".repeat(MAX) });
        expect(JSON.parse(answer.body)).toMatchObject({ body: "x".repeat(MAX) });
      });

      test.each([
        ["of one byte more", "x".repeat(MAX + 1)],
        ["in chunks, one byte more together", [Buffer.alloc(MAX), Buffer.alloc(1)]],
      ])("with a body %s comes without it and is answered", async (_case, body) => {
        const fixture = await started();
        expect(await ask(fixture.port, "/", { method: "POST", body })).toMatchObject({
          status: 413,
          body: "too much",
        });
        expect(fixture.of("request")).toMatchObject([{ method: "POST", isTooLarge: true }]);
        expect((await ask(fixture.port, "/")).status).toBe(200);
      });

      test("with a body too large is answered however long its sender goes on", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write(
          "POST /long HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n" +
            `Content-Length: ${32 * MAX}\r\n\r\n${"x".repeat(2 * MAX)}`,
        );
        for (let sent = 2; sent < 32; sent += 10) {
          // The server has read what was sent before when it has answered on another connection.
          await ask(fixture.port, "/");
          expect(fixture.of("request").filter(({ path }) => path === "/long")).toEqual([]);
          peer.stream.write("x".repeat(10 * MAX));
        }
        expect(await peer.heard("too much")).toMatch(/^HTTP\/1\.1 413 /);
        await peer.closed;
        expect(fixture.of("request").filter(({ path }) => path === "/long")).toHaveLength(1);
      });

      test("by HEAD is answered with the headers of GET and no body", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write("HEAD /large?1000 HTTP/1.1\r\nHost: relay.test\r\n\r\n");
        await peer.heard("\r\n\r\n");
        peer.stream.write("GET /empty HTTP/1.1\r\nHost: relay.test\r\nConnection: close\r\n\r\n");
        await peer.closed;
        const [head = "", next = ""] = peer.text.split("\r\n\r\n");
        expect(head.toLowerCase()).toContain("content-length: 1000");
        expect(next).toMatch(/^HTTP\/1\.1 204 /);
      });

      test("may be answered without a body", async () => {
        const fixture = await started();
        const answer = await ask(fixture.port, "/empty");
        expect(answer).toMatchObject({ status: 204, body: "" });
        expect(answer.headers).not.toHaveProperty("content-length");
      });

      test("may be answered with more than a socket takes at once", async () => {
        const fixture = await started();
        const answer = await ask(fixture.port, `/large?${32 * 1_048_576}`);
        expect(answer.body).toHaveLength(32 * 1_048_576);
        expect(answer.headers).toMatchObject({ "content-length": String(32 * 1_048_576) });
      });

      test("whose sender hangs up within its body is not told of", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write(
          "POST /half HTTP/1.1\r\nHost: relay.test\r\nContent-Length: 100\r\n\r\nthe first part",
        );
        await ask(fixture.port, "/whole");
        peer.stream.destroy();
        // Resolves when the half request is over too.
        fixture.tell({ do: "closeListener", graceMs: 3_600_000 });
        await fixture.event("listenerClosed");
        expect(fixture.of("request")).toMatchObject([{ path: "/whole" }]);
      });

      test("whose sender hangs up before the answer is told so, and it does no harm", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write("GET /held HTTP/1.1\r\nHost: relay.test\r\n\r\n");
        await fixture.event("request");
        expect(fixture.of("gone")).toEqual([]);
        peer.stream.destroy();
        expect(await fixture.event("gone")).toMatchObject({ path: "/held" });
        fixture.tell({ do: "release" });
        expect((await ask(fixture.port, "/held")).status).toBe(200);
        await fixture.settled();
        expect(fixture.of("gone")).toHaveLength(1);
      });

      test("that was answered is not told that its sender hung up", async () => {
        const fixture = await started();
        await ask(fixture.port, "/");
        await ask(fixture.port, `/large?${8 * 1_048_576}`);
        await ask(fixture.port, "/empty");
        await ask(fixture.port, "/", { method: "HEAD" });
        // Resolves when all of them are over.
        fixture.tell({ do: "closeListener", graceMs: 3_600_000 });
        await fixture.event("listenerClosed");
        expect(fixture.of("gone")).toEqual([]);
      });
    });

    describe("a body sent piece by piece", () => {
      test("comes as it is sent, after the head", async () => {
        const fixture = await started();
        const download = await streamed(fixture);
        fixture.tell({ do: "sendBody", body: 1, text: "one" });
        await download.heard("one");
        const { statusCode, headers } = await download.head;
        expect({ statusCode, headers }).toMatchObject({
          statusCode: 200,
          headers: { "x-own": "y", "transfer-encoding": "chunked" },
        });
        expect(headers).not.toHaveProperty("content-length");
        fixture.tell({ do: "sendBody", body: 1, text: "" });
        fixture.tell({ do: "sendBody", body: 1, text: " two" });
        await download.heard("one two");
        fixture.tell({ do: "endBody", body: 1 });
        expect(await download.ended()).toEqual({ end: "complete", text: "one two" });
      });

      test("comes after its head, which does not wait for more than it must", async () => {
        const fixture = await started();
        const download = await streamed(fixture, "202");
        for (const text of ways.headTakes) fixture.tell({ do: "sendBody", body: 1, text });
        expect((await download.head).statusCode).toBe(202);
      });

      test("may have no piece", async () => {
        const fixture = await started();
        const download = await streamed(fixture);
        fixture.tell({ do: "endBody", body: 1 });
        expect(await download.ended()).toEqual({ end: "complete", text: "" });
        await fixture.event("bodyClosed");
      });

      test("is closed once when it is complete, and was not left", async () => {
        const fixture = await started();
        const download = await streamed(fixture);
        fixture.tell({ do: "sendLines", body: 1, count: 3, text: "x", corked: false, ends: true });
        expect(await download.ended()).toEqual({ end: "complete", text: lines(3, "x") });
        await fixture.event("bodyClosed");
        expect(bodyEventsOf(await fixture.settled())).toEqual([
          "streaming",
          "bodyReturned",
          "bodyClosed",
        ]);
        expect(fixture.of("gone")).toEqual([]);
      });

      test.each([true, false])(
        "reaches a peer that reads late whole, and tells when all has left (corked: %s)",
        async (corked) => {
          const fixture = await started();
          const download = new Download(fixture.port);
          onTestFinished(() => download.hangUp());
          await fixture.event("streaming");
          // More than twice what a connection's two ends may keep in the kernel.
          const [count, text] = [20_480, "ünïcödé 💧 ".repeat(48)];
          fixture.tell({ do: "sendLines", body: 1, count, text, corked, ends: false });
          fixture.tell({ do: "bodyBytes", body: 1 });
          expect((await fixture.event("bodyBytes")).bufferedBytes).toBeGreaterThan(4 * 1_048_576);
          await download.head;
          fixture.tell({ do: "sendLines", body: 1, count, text, corked, ends: false });
          await fixture.settled();
          expect(fixture.of("bodyDrained")).toEqual([]);
          await download.read();
          expect((await fixture.event("bodyDrained")).bufferedBytes).toBe(0);
          fixture.tell({ do: "sendBody", body: 1, text: "the end" });
          expect((await fixture.event("bodyDrained", 2)).bufferedBytes).toBe(0);
          fixture.tell({ do: "endBody", body: 1 });
          const { end, text: received } = await download.ended();
          expect(end).toBe("complete");
          expect(received === `${lines(count, text).repeat(2)}the end`).toBe(true);
        },
      );

      test("tells when all has left, however little was waiting", async () => {
        const fixture = await started();
        const download = new Download(fixture.port);
        onTestFinished(() => download.hangUp());
        await fixture.event("streaming");
        const text = "x".repeat(4_096);
        fixture.tell({ do: "fillBody", body: 1, text });
        const { count } = await fixture.event("bodyFilled");
        await fixture.settled();
        const drained = fixture.of("bodyDrained").length;
        await download.read();
        await download.heard(lines(count, text).slice(-2 * text.length));
        expect((await fixture.event("bodyDrained", drained + 1)).bufferedBytes).toBe(0);
      });

      test("that ends while it waits reaches its peer whole, though the listener closes", async () => {
        const fixture = await started();
        const download = new Download(fixture.port);
        onTestFinished(() => download.hangUp());
        await fixture.event("streaming");
        const [count, text] = [16_384, "ünïcödé 💧 ".repeat(48)];
        fixture.tell({ do: "sendLines", body: 1, count, text, corked: false, ends: true });
        fixture.tell({ do: "closeListener", graceMs: 3_600_000 });
        await download.head;
        await fixture.settled();
        expect([...fixture.of("bodyClosed"), ...fixture.of("listenerClosed")]).toEqual([]);
        await download.read();
        const { end, text: received } = await download.ended();
        expect(end).toBe("complete");
        expect(received === lines(count, text)).toBe(true);
        await fixture.event("listenerClosed");
        expect(fixture.of("bodyClosed")).toHaveLength(1);
        expect(fixture.of("gone")).toEqual([]);
      });

      test("is closed once when its peer hangs up, and was left", async () => {
        const fixture = await started();
        const download = await streamed(fixture);
        fixture.tell({ do: "sendBody", body: 1, text: "one" });
        await download.heard("one");
        download.hangUp();
        await fixture.event("bodyClosed");
        fixture.tell({ do: "useAllOfBody", body: 1 });
        await fixture.event("bodyReturned", 2);
        expect(bodyEventsOf(await fixture.settled())).toEqual([
          "streaming",
          "bodyReturned",
          "bodyDrained",
          "bodyClosed",
          "bodyReturned",
        ]);
        expect(fixture.of("gone")).toMatchObject([{ path: "/stream" }]);
      });

      test("is closed once when its peer hangs up with much unread", async () => {
        const fixture = await started();
        const download = new Download(fixture.port);
        await fixture.event("streaming");
        const text = "x".repeat(1_024);
        fixture.tell({ do: "sendLines", body: 1, count: 16_384, text, corked: true, ends: true });
        await download.head;
        download.hangUp();
        expect((await fixture.event("bodyClosed")).bufferedBytes).toBe(0);
        await fixture.settled();
        expect(fixture.of("bodyClosed")).toHaveLength(1);
        expect(fixture.of("gone")).toHaveLength(1);
      });

      test("that is terminated is seen as broken off, and never calls back from inside", async () => {
        const fixture = await started();
        const download = await streamed(fixture);
        fixture.tell({ do: "sendBody", body: 1, text: "one" });
        await download.heard("one");
        await fixture.event("bodyDrained");
        fixture.tell({ do: "terminateBody", body: 1 });
        expect(await download.ended()).toEqual({ end: "broken off", text: "one" });
        await fixture.event("bodyClosed");
        expect(bodyEventsOf(await fixture.settled()).slice(3)).toEqual([
          "bodyReturned",
          "bodyClosed",
        ]);
      });

      test("may be terminated while it waits for a peer that does not read", async () => {
        const fixture = await started();
        const download = new Download(fixture.port);
        await fixture.event("streaming");
        const text = "x".repeat(1_024);
        fixture.tell({ do: "sendLines", body: 1, count: 16_384, text, corked: true, ends: true });
        await download.head;
        fixture.tell({ do: "terminateBody", body: 1 });
        await fixture.event("bodyClosed");
        await download.read();
        expect((await download.ended()).end).toBe("broken off");
        expect(bodyEventsOf(await fixture.settled())).toEqual([
          "streaming",
          "bodyReturned",
          "bodyReturned",
          "bodyClosed",
        ]);
      });

      test("that is over may be called and nothing happens, and the connection goes on", async () => {
        const fixture = await started();
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        onTestFinished(() => agent.destroy());
        const first = Download.reading(fixture.port, { agent });
        await fixture.event("streaming", 1);
        fixture.tell({ do: "sendLines", body: 1, count: 2, text: "x", corked: true, ends: true });
        expect(await first.ended()).toEqual({ end: "complete", text: lines(2, "x") });
        await fixture.event("bodyClosed");
        const second = Download.reading(fixture.port, { agent });
        await fixture.event("streaming", 2);
        fixture.tell({ do: "useAllOfBody", body: 1 });
        fixture.tell({ do: "sendLines", body: 2, count: 2, text: "y", corked: true, ends: true });
        expect(await second.ended()).toEqual({ end: "complete", text: lines(2, "y") });
        expect(second.localPort).toBe(first.localPort);
        await fixture.event("bodyClosed", 2);
        expect(fixture.of("bodyClosed")).toMatchObject([{ body: 1 }, { body: 2 }]);
        expect(fixture.of("gone")).toEqual([]);
      });

      test("is not begun for HEAD, nor with a status that has no body", async () => {
        const fixture = await started();
        const head = await ask(fixture.port, "/stream", { method: "HEAD" });
        expect(head).toMatchObject({ status: 200, body: "", headers: { "x-own": "y" } });
        for (const status of [204, 304]) {
          const answer = await ask(fixture.port, `/stream?${status}`);
          expect(answer).toMatchObject({ status, body: "", headers: { "x-own": "y" } });
        }
        // Resolves when all of them are over.
        fixture.tell({ do: "closeListener", graceMs: 3_600_000 });
        await fixture.event("listenerClosed");
        expect([...fixture.of("streaming"), ...fixture.of("gone")]).toEqual([]);
      });

      test("is not begun for a peer that is gone", async () => {
        const fixture = await started();
        const peer = await RawPeer.connect(fixture.port);
        peer.stream.write("GET /held?stream HTTP/1.1\r\nHost: relay.test\r\n\r\n");
        await fixture.event("request");
        peer.stream.destroy();
        await fixture.event("gone");
        fixture.tell({ do: "release" });
        await ask(fixture.port, "/held");
        expect(fixture.of("streaming")).toEqual([]);
      });

      test("is waited for by the listener's close, and terminated when that takes too long", async () => {
        const fixture = await started();
        const done = await streamed(fixture);
        const stays = Download.reading(fixture.port);
        await fixture.event("streaming", 2);
        for (const body of [1, 2]) fixture.tell({ do: "sendBody", body, text: "one" });
        await Promise.all([done.heard("one"), stays.heard("one")]);
        fixture.tell({ do: "closeListener", graceMs: 200 });
        fixture.tell({ do: "sendBody", body: 1, text: " two" });
        fixture.tell({ do: "endBody", body: 1 });
        expect(await done.ended()).toEqual({ end: "complete", text: "one two" });
        expect(await stays.ended()).toEqual({ end: "broken off", text: "one" });
        await fixture.event("listenerClosed");
        const events = bodyEventsOf(await fixture.settled());
        expect(fixture.of("bodyClosed")).toMatchObject([{ body: 1 }, { body: 2 }]);
        expect(events.at(-1)).toBe("bodyClosed");
        expect(fixture.lines.findLastIndex((line) => line.event === "bodyClosed")).toBeLessThan(
          fixture.lines.findIndex((line) => line.event === "listenerClosed"),
        );
      });
    });

    describe("the handshake", () => {
      test("that is not finished is cut off", { timeout: slowHandshake.withinMs }, async () => {
        await Promise.all(unfinished?.peers.map((peer) => peer.closed) ?? []);
        expect(unfinished?.fixture.of("opened")).toEqual([]);
      });
    });
  });
}

type Unfinished = { readonly fixture: Fixture; readonly peers: readonly RawPeer[] };

// Peers that each stop somewhere in their handshake.
async function beginHandshakes(fixture: Fixture): Promise<Unfinished> {
  const beginnings = ["", "GET", handshake().slice(0, -2)];
  const peers = await Promise.all(beginnings.map(() => RawPeer.connect(fixture.port)));
  for (const [index, peer] of peers.entries()) peer.stream.write(beginnings[index] ?? "");
  return { fixture, peers };
}

// What happened to the bodies, in order.
function bodyEventsOf(lines: readonly Line[]): string[] {
  return lines.filter((line) => "body" in line).map((line) => line.event);
}

// What `sendLines` sends.
function lines(count: number, text: string): string {
  return Array.from({ length: count }, (_, index) => `${index} ${text}\n`).join("");
}

async function streamed(fixture: Fixture, query = ""): Promise<Download> {
  const download = Download.reading(fixture.port, { query });
  onTestFinished(() => download.hangUp());
  await fixture.event("streaming");
  return download;
}

// What happened to one socket, in order.
function eventsOf(lines: readonly Line[], socket: number): string[] {
  return lines
    .filter((line) => "socket" in line && line.socket === socket)
    .map((line) =>
      line.event === "received" ? `received ${line.text ?? "(binary)"}` : line.event,
    );
}

// What happened to the one socket that there was, to its end.
async function eventsUntilClosed(fixture: Fixture): Promise<string[]> {
  await fixture.event("closed");
  return eventsOf(await fixture.settled(), 1);
}

async function opened(fixture: Fixture, url = fixture.url): Promise<Client> {
  const client = await Client.open(url);
  onTestFinished(() => client.webSocket.terminate());
  return client;
}

function says(client: Client, command: Command): void {
  client.send(JSON.stringify(command));
}

/** A handshake and a request that were under way when it stopped. */
async function askedAfterStop(fixture: Fixture): Promise<[handshake: RawPeer, request: RawPeer]> {
  const upgrading = await RawPeer.connect(fixture.port);
  upgrading.stream.write(handshake().slice(0, 20));
  const asking = await RawPeer.connect(fixture.port);
  asking.stream.write("GET / HTTP/1.1\r\n");
  // The server has both connections when it has answered on a third.
  await ask(fixture.port, "/");
  fixture.tell({ do: "stopListening" });
  await fixture.event("stopped");
  upgrading.stream.write(handshake().slice(20));
  asking.stream.write("Host: relay.test\r\n\r\n");
  return [upgrading, asking];
}

/** What is answered to these pieces until the connection ends. */
async function said({ port }: Fixture, ...pieces: readonly string[]): Promise<string> {
  const peer = await RawPeer.connect(port);
  for (const piece of pieces) await new Promise((sent) => peer.stream.write(piece, sent));
  await peer.closed;
  return peer.text;
}
