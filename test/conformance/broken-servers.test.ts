import { createServer } from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from "node:net";

import { describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";

import { SUITE } from "../../src/conformance/suite.ts";
import { closedPort } from "../support/port.ts";
import { startRelay } from "../support/relay.ts";
import { type AtEnd, checksThat, conformanceReport, conformanceText, failures } from "./report.ts";

/** What every relay owes; no dead_drop object exempts it. */
const OWED = SUITE.filter(({ nip, needs }) => nip === "01" && needs.length === 0).map(
  ({ id }) => id,
);

function listening(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      resolve(`ws://127.0.0.1:${port}`);
    });
  });
}

/** A WebSocket server that does one thing to whoever connects. */
async function strangeRelay(
  atEnd: AtEnd,
  greet: (socket: WebSocket, underneath: Socket) => void,
): Promise<string> {
  const server = createServer((_, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => {
    socket.on("error", () => {});
    greet(socket, request.socket);
  });
  atEnd(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return listening(server);
}

/** A TCP server that does one thing to whoever connects. */
async function strangeServer(atEnd: AtEnd, greet: (socket: Socket) => void): Promise<string> {
  const open = new Set<Socket>();
  const server = createTcpServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    greet(socket);
  });
  atEnd(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return listening(server);
}

async function nowhere(): Promise<string> {
  return `ws://127.0.0.1:${await closedPort()}`;
}

// Sends until the peer hangs up, as fast as it is taken: many frames in a write, as one by one they take longer to send than to read.
function flood(underneath: Socket, text: string): void {
  const frames = Buffer.concat(Array(Math.ceil(1_000_000 / text.length)).fill(unmasked(text)));
  const more = (): void => {
    while (underneath.writable && underneath.write(frames));
  };
  underneath.on("drain", more);
  more();
}

// A text frame of a server (RFC 6455, 5.2).
function unmasked(text: string): Buffer {
  const [length, bytes] = text.length < 126 ? [text.length, 0] : [127, 8];
  const header = Buffer.alloc(2 + bytes);
  header.writeUInt16BE(0x81_00 + length);
  if (bytes > 0) header.writeBigUInt64BE(BigInt(text.length), 2);
  return Buffer.concat([header, Buffer.from(text)]);
}

type Strange = { readonly serve: (atEnd: AtEnd) => Promise<string>; readonly seen: RegExp };

/** Where there is no relay of which anything could be said. */
const NO_RELAYS: Record<string, Strange> = {
  "a closed port": {
    serve: nowhere,
    seen: /no connection: .*ECONNREFUSED/,
  },
  "a plain HTTP server": {
    serve: (atEnd) => {
      const server = createServer((_, response) => response.end("<h1>It works!</h1>"));
      atEnd(() => {
        server.closeAllConnections();
        server.close();
      });
      return listening(server);
    },
    seen: /no connection: it answers with HTTP status 200, not with a WebSocket/,
  },
  "a server that speaks something else": {
    serve: (atEnd) =>
      strangeServer(atEnd, (socket) => socket.end("220 mail.example.com ESMTP\r\n")),
    seen: /no connection: Parse Error/,
  },
  "a server that never answers": {
    serve: (atEnd) => strangeServer(atEnd, () => {}),
    seen: /no connection: Opening handshake has timed out/,
  },
  "a relay that hangs up": {
    serve: (atEnd) => strangeRelay(atEnd, (socket) => socket.close(1013, "try again later")),
    seen: /the relay closed the connection \(1013 try again later\), before an answer/,
  },
  "a relay that hangs up at the first word": {
    serve: (atEnd) =>
      strangeRelay(atEnd, (socket) => socket.on("message", () => socket.terminate())),
    seen: /the relay closed the connection \(1006 \), before an answer/,
  },
  "a host that there is not": {
    serve: () => Promise.resolve("ws://relay.invalid"),
    seen: /no connection: getaddrinfo (ENOTFOUND|EAI_AGAIN) relay\.invalid/,
  },
  "a relay that says farewell in colours": {
    serve: (atEnd) => strangeRelay(atEnd, (socket) => socket.close(1013, "\u001b[2J")),
    seen: /\(1013 \\u001b\[2J\)/,
  },
};

const BROKEN_SERVERS: Record<string, Strange> = {
  "a relay that never answers": {
    serve: (atEnd) => strangeRelay(atEnd, () => {}),
    seen: /nothing for \d+ ms, before OK for EVENT/,
  },
  "a relay that sends garbage": {
    serve: (atEnd) => strangeRelay(atEnd, (socket) => socket.send("\u001b[2J{{{")),
    seen: /the relay sent "\\u001b\[2J\{\{\{", which is no message, before/,
  },
  "a relay that sends bytes": {
    serve: (atEnd) => strangeRelay(atEnd, (socket) => socket.send(Buffer.alloc(100, 0xff))),
    seen: /which is no message, before/,
  },
  "a relay that floods": {
    serve: (atEnd) => strangeRelay(atEnd, (_, underneath) => flood(underneath, '["NOTICE","buy"]')),
    seen: /the relay sent more than 20000 messages, before/,
  },
  "a relay that floods with long messages": {
    serve: (atEnd) =>
      strangeRelay(atEnd, (_, underneath) =>
        flood(underneath, `["NOTICE","${"buy".repeat(30_000)}"]`),
      ),
    seen: /the relay sent more than 8388608 characters, before/,
  },
  "a relay that sends one endless message": {
    serve: (atEnd) =>
      strangeRelay(atEnd, (socket) => socket.send(`["NOTICE","${"buy".repeat(500_000)}"]`)),
    seen: /Max payload size exceeded/,
  },
  "a relay whose OK says nothing": {
    serve: (atEnd) =>
      strangeRelay(atEnd, (socket) =>
        socket.on("message", (frame: Buffer) => {
          const [, id] = /"id":"(\w+)"/.exec(frame.toString()) ?? [];
          socket.send(JSON.stringify(["OK", id, "yes"]));
        }),
      ),
    seen: /OK takes true or false and then a string/,
  },
};

describe.concurrent("where there is no relay", () => {
  it.for(Object.entries(NO_RELAYS))(
    "that is said in one line, and no check is held against it: %s",
    async ([, { serve, seen }], { onTestFinished }) => {
      const url = await serve(onTestFinished);
      for (const json of [false, true]) {
        const ran = await conformanceText(url, { json, timeoutSeconds: 1.5 });
        expect(ran).toMatchObject({ status: 2, stdout: "" });
        expect(ran.stderr).toMatch(/^deaddrop: no relay answers at [^\n]*\n$/);
        expect(ran.stderr).toContain(url);
        expect(ran.stderr).toMatch(seen);
      }
    },
  );

  it("any more, that is said after what was seen until then", async ({ onTestFinished }) => {
    const relay = await startRelay({}, onTestFinished);
    const { status, stdout, stderr } = await conformanceText(relay.url, {}, false, (text) => {
      if (text.includes("basics/verbs")) void relay.kill();
    });
    expect(status).toBe(1);
    const [, done, all] =
      /^deaddrop: the relay is gone after (\d+) of (\d+) checks: \S.*\n$/.exec(stderr) ?? [];
    const marks = [...stdout.matchAll(/^[✓✗!–](?= )/gm)].map(([mark]) => mark);
    expect(marks).toHaveLength(Number(done));
    expect(marks.indexOf("✗")).toBe(marks.length - 1);
    expect(Number(all)).toBe(SUITE.length);
    expect(Number(done)).toBeLessThan(SUITE.length);
    // The table and what became of the drops are there all the same.
    expect(stdout).toMatch(/\nall +\d+ +1 +\d+ +\d+\n/);
  });
});

describe.concurrent("a relay that is broken", () => {
  it.for(Object.keys(BROKEN_SERVERS))(
    "%s is reported, check by check, to the end",
    async (name, { onTestFinished }) => {
      const { serve, seen } = BROKEN_SERVERS[name] ?? { serve: nowhere, seen: /never/ };
      const url = await serve(onTestFinished);
      const report = await conformanceReport(url, { timeoutSeconds: 1.5 });
      expect(report.status).toBe(1);
      expect(report.lines.map(({ check }) => check)).toEqual(SUITE.map(({ id }) => id));
      expect(failures(report).filter((failure) => seen.test(failure))).not.toEqual([]);
      // What needs nothing from a relay but to connect fails; only messages nobody has to answer may pass.
      const failed = checksThat("failed", report);
      expect(OWED.filter((id) => !failed.includes(id) && id !== "basics/malformed")).toEqual([]);
      const skipped = report.lines.find(({ check }) => check === "pickup/foreign-p");
      expect(skipped?.reason).toMatch(/^dead_drop is not advertised \(no NIP-11 document: /);
      for (const { transcript = [] } of report.lines) {
        expect(transcript.length).toBeLessThanOrEqual(201);
        for (const { text } of transcript) expect(text.length).toBeLessThan(2_100);
      }
    },
  );

  it("cannot write to the terminal of whoever tests it", async ({ onTestFinished }) => {
    const url = await strangeRelay(onTestFinished, (socket) =>
      socket.send("\u001b[2J\u202e\u2028"),
    );
    const { stdout } = await conformanceText(url, { only: ["basics/ok"], timeoutSeconds: 1.5 });
    expect(stdout).toContain("← \\u001b[2J\\u202e\\u2028");
    expect(stdout).not.toMatch(/[^\P{C}\n]/u);
  });
});
