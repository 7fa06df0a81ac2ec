import { createServer } from "node:http";
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from "node:net";

import { describe, expect, it, onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";

import { run } from "../../src/conformance/runner.ts";
import { Session } from "../../src/conformance/session.ts";
import { SUITE } from "../../src/conformance/suite.ts";
import { checksThat, conformanceReport, conformanceText, failures } from "./report.ts";
import { type Sin, smallRelay } from "./small-relay.ts";

/** What every relay owes; no dead_drop object exempts it. */
const OWED = SUITE.filter(({ nip, needs }) => nip === "01" && needs.length === 0).map(
  ({ id }) => id,
);

const HTTP = SUITE.filter(({ needs }) => needs.includes("http")).map(({ id }) => id);

function listening(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      resolve(`ws://127.0.0.1:${port}`);
    });
  });
}

/** A WebSocket server that does one thing to whoever connects. */
async function strangeRelay(greet: (socket: WebSocket) => void): Promise<string> {
  const server = createServer((_, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => {
    socket.on("error", () => {});
    greet(socket);
  });
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return listening(server);
}

/** A TCP server that does one thing to whoever connects. */
async function strangeServer(greet: (socket: Socket) => void): Promise<string> {
  const open = new Set<Socket>();
  const server = createTcpServer((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    greet(socket);
  });
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return listening(server);
}

async function closedPort(): Promise<string> {
  const server = createTcpServer();
  const url = await listening(server);
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return url;
}

// Sends until the peer hangs up, as fast as it is taken.
function flood(socket: WebSocket, text: string): void {
  const more = (): void => {
    if (socket.readyState !== socket.OPEN) return;
    for (let n = 0; n < 100 && socket.bufferedAmount < 1_000_000; n++) socket.send(text);
    setImmediate(more);
  };
  more();
}

const BAD_RELAYS: Record<string, { serve: () => Promise<string>; seen: RegExp }> = {
  "a closed port": { serve: closedPort, seen: /no connection: .*ECONNREFUSED/ },
  "a plain HTTP server": {
    serve: () => {
      const server = createServer((_, response) => response.end("<h1>It works!</h1>"));
      onTestFinished(() => {
        server.closeAllConnections();
        server.close();
      });
      return listening(server);
    },
    seen: /no connection: Unexpected server response: 200/,
  },
  "a server that speaks something else": {
    serve: () => strangeServer((socket) => socket.end("220 mail.example.com ESMTP\r\n")),
    seen: /no connection: Parse Error/,
  },
  "a server that never answers": {
    serve: () => strangeServer(() => {}),
    seen: /no connection: Opening handshake has timed out/,
  },
  "a relay that never answers": {
    serve: () => strangeRelay(() => {}),
    seen: /nothing for \d+ ms, before OK for EVENT/,
  },
  "a relay that hangs up": {
    serve: () => strangeRelay((socket) => socket.close(1013, "try again later")),
    seen: /the relay closed the connection \(1013 try again later\), before/,
  },
  "a relay that hangs up at the first word": {
    serve: () => strangeRelay((socket) => socket.on("message", () => socket.terminate())),
    seen: /the relay closed the connection \(1006 \), before OK/,
  },
  "a relay that sends garbage": {
    serve: () => strangeRelay((socket) => socket.send("\u001b[2J{{{")),
    seen: /the relay sent "\\u001b\[2J\{\{\{", which is no message, before/,
  },
  "a relay that sends bytes": {
    serve: () => strangeRelay((socket) => socket.send(Buffer.alloc(100, 0xff))),
    seen: /which is no message, before/,
  },
  "a relay that floods": {
    serve: () => strangeRelay((socket) => flood(socket, '["NOTICE","buy"]')),
    seen: /the relay sent more than 20000 messages, before/,
  },
  "a relay that floods with long messages": {
    serve: () => strangeRelay((socket) => flood(socket, `["NOTICE","${"buy".repeat(30_000)}"]`)),
    seen: /the relay sent more than 8388608 characters, before/,
  },
  "a relay that sends one endless message": {
    serve: () => strangeRelay((socket) => socket.send(`["NOTICE","${"buy".repeat(500_000)}"]`)),
    seen: /Max payload size exceeded/,
  },
  "a relay whose OK says nothing": {
    serve: () =>
      strangeRelay((socket) =>
        socket.on("message", (frame: Buffer) => {
          const [, id] = /"id":"(\w+)"/.exec(frame.toString()) ?? [];
          socket.send(JSON.stringify(["OK", id, "yes"]));
        }),
      ),
    seen: /OK takes true or false and then a string/,
  },
};

describe("a URL that is no relay, or a broken one", () => {
  it.each(Object.keys(BAD_RELAYS))("%s is reported, check by check, to the end", async (name) => {
    const { serve, seen } = BAD_RELAYS[name] ?? { serve: closedPort, seen: /never/ };
    const url = await serve();
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
  });

  it("cannot write to the terminal of whoever tests it", async () => {
    const url = await strangeRelay((socket) => socket.send("\u001b[2J\u202e\u2028"));
    const { stdout } = await conformanceText(url, { only: ["basics/ok"], timeoutSeconds: 1.5 });
    expect(stdout).toContain("← \\u001b[2J\\u202e\\u2028");
    expect(stdout).not.toMatch(/[^\P{C}\n]/u);
  });
});

/** A broken promise, and the checks that are there to see it. */
const SINS: Record<Sin, readonly string[]> = {
  "shows drops to everybody": [
    "pickup/probes",
    "pickup/foreign-p",
    "pickup/author",
    "pickup/nip-59",
  ],
  "delivers live to everybody": ["pickup/live-foreign", "pickup/nip-17", "drops/ephemeral-live"],
  "shows drops to their author": ["pickup/author"],
  "believes any AUTH": [
    "auth/wrong-kind",
    "auth/wrong-challenge",
    "auth/wrong-host",
    "auth/forged",
  ],
  "believes any host": ["auth/wrong-host"],
  "believes any challenge": ["auth/wrong-challenge", "auth/foreign-challenge"],
  "believes an old AUTH": ["auth/wrong-time"],
  "knows one key a connection": ["auth/several-keys", "pickup/no-p"],
  "reads without AUTH": ["pickup/unauthenticated", "count/unauthenticated", "pickup/nip-59"],
  "counts for everybody": ["count/probes", "count/foreign-p", "count/same-answer"],
  "ignores foreign keys in silence": ["pickup/foreign-p", "count/foreign-p"],
  "tells full boxes from empty ones": ["pickup/box-answer", "count/same-answer"],
  "takes drops for two": ["drops/one-recipient"],
  "takes every kind": ["drops/other-kinds"],
  "wants AUTH from senders": ["drops/anyone"],
  "evicts the oldest": ["drops/held", "drops/full-box"],
  "stores kind 21059": ["drops/ephemeral-not-stored", "http/ephemeral"],
  "answers kind 21059 by presence": ["drops/ephemeral-answer", "http/ephemeral"],
  "keeps what has expired": [
    "expiry/tag-while-held",
    "expiry/retention-while-held",
    "expiry/nip-40-held",
  ],
  "uses the last expiration tag": ["expiry/earliest-while-held", "expiry/malformed"],
  "reads a malformed expiration as none": ["expiry/malformed"],
  "takes what has expired": ["expiry/formula", "expiry/on-arrival"],
  "takes the distant future": ["expiry/clock-skew"],
  "delivers live by created_at": ["expiry/old-is-new"],
  "forgets what was acknowledged": ["acknowledgement/republished", "same-answer/bytes"],
  "obeys anybody's acknowledgement": ["acknowledgement/foreign", "http/ack"],
  "ignores an early acknowledgement": ["acknowledgement/early", "deletions/early"],
  "ignores the grace": ["acknowledgement/grace", "acknowledgement/grace-over"],
  "extends the expiry by the grace": ["acknowledgement/grace-beyond-expiry"],
  "acknowledges at EOSE": ["pickup/no-acknowledgement", "drops/held"],
  "broadcasts acknowledgements": ["acknowledgement/consumed", "deletions/consumed"],
  "stores acknowledgements": ["acknowledgement/consumed"],
  "tells acknowledged from held": [
    "same-answer/bytes",
    "same-answer/ways",
    "same-answer/anyone",
    "http/ack",
  ],
  "accepts a malformed acknowledgement": ["acknowledgement/malformed"],
  "refuses an acknowledgement of nothing": ["acknowledgement/any-ids", "acknowledgement/early"],
  "ignores kind 5 by the recipient": [
    "deletions/recipient",
    "deletions/nip-09-recipient",
    "http/ack",
  ],
  "obeys kind 5 by the author of a wrap": ["deletions/author-of-wrap"],
  "ignores kind 5 by the author of a message": ["deletions/author-of-message", "deletions/nip-09"],
  "obeys kind 5 by a stranger": ["deletions/stranger", "deletions/nip-09"],
  "stores kind 5": ["deletions/consumed"],
  "vanishes again at a replay": ["deletions/vanish-replayed"],
  "vanishes for other relays": ["deletions/vanish-elsewhere"],
  "vanishes without tombstones": ["deletions/vanish", "deletions/nip-62-again"],
  "says finish always": ["hints/true", "hints/sent"],
  "gives no hints": ["hints/sent"],
  "serves no document": ["information/document"],
  "takes forged events": ["basics/forged", "acknowledgement/forged"],
  "ignores CLOSE": ["basics/close"],
  "ignores limit": ["basics/limit"],
  "checks no work": ["pow/too-little"],
  "has no HTTP door": HTTP,
  "shows boxes over HTTP to everybody": ["http/gate", "http/box-answer", "http/authorization"],
  "shows boxes over HTTP to any key": ["http/gate", "http/box-answer"],
  "counts over HTTP for everybody": ["http/gate", "http/box-answer"],
  "believes an authorization for another request": ["http/authorization"],
  "tells full boxes from empty ones over HTTP": ["http/box-answer"],
  "deletes what is read over HTTP": ["http/reading", "http/answer"],
  "loses drops of one second between pages": ["http/pages"],
  "answers over HTTP otherwise than on the socket": ["http/answer", "http/refusal", "http/ack"],
  "answers every event over HTTP with 200": ["http/answer", "http/refusal", "http/ephemeral"],
  "takes drops at /ack": ["http/ack-alone"],
};

describe("a relay that breaks one promise", () => {
  it("passes as long as it breaks none", { timeout: 3 * 60_000 }, async () => {
    const report = await conformanceReport(await smallRelay([], 2));
    expect(failures(report)).toEqual([]);
    const others = checksThat("skipped", report).filter((id) => !id.startsWith("unobservable/"));
    expect(others).toEqual([]);
  });

  it.each(Object.entries(SINS) as [Sin, readonly string[]][])(
    "%s: is caught",
    async (sin, only) => {
      const report = await conformanceReport(await smallRelay([sin], 2), { only });
      expect(checksThat("failed", report).sort()).toEqual(only.toSorted());
      expect(report.status).toBe(1);
      for (const { transcript = [] } of report.lines) expect(transcript).not.toEqual([]);
    },
  );
});

describe("a relay that does not advertise dead_drop", () => {
  it("is checked for everything else, and for NIP-DD with --all", async () => {
    const url = await smallRelay(["serves no document"]);
    const report = await conformanceReport(url);
    expect(checksThat("failed", report)).toEqual([
      "information/document",
      "information/cors",
      "information/fields",
    ]);
    const ofDeadDrops = SUITE.filter(({ needs }) => needs.includes("dead_drop")).map(
      ({ id }) => id,
    );
    expect(checksThat("skipped", report)).toEqual(expect.arrayContaining(ofDeadDrops));
    const named = await conformanceReport(url, { only: ["drops/held"] });
    expect(checksThat("passed", named)).toEqual(["drops/held"]);
  });
});

describe("a relay that does not advertise an HTTP door", () => {
  it("is not asked over HTTP, unless by name", async () => {
    const session = await Session.begin(await smallRelay(["has no HTTP door"]), 5_000);
    const checks = SUITE.filter(({ id }) => id.startsWith("http/"));
    const results = await run(session, checks, { timeoutMs: 10_000, force: false });
    expect(results.map(({ check }) => check.id)).toEqual(HTTP);
    for (const result of results) {
      expect(result).toMatchObject({
        outcome: "skipped",
        reason: "no HTTP door is advertised in NIP-11",
      });
    }
  });
});
