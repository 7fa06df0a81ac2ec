// The program that the transport contract talks to: it serves one transport on a free port, prints every callback as a line of JSON, and does what
// it is told, by a line of JSON on its standard input or by a text message that is one.
//
//     node fixture.ts ws|uws [settings as JSON]
import module from "node:module";
import { createInterface } from "node:readline";

import type {
  BodyHandlers,
  BodyStream,
  HttpRequest,
  HttpResponse,
  ListenAt,
  Listener,
  Socket,
  SocketHandlers,
  Transport,
  TransportSettings,
} from "../../src/transport/transport.ts";

/** What the fixture is told. */
export type Command = ListenerCommand | SocketCommand | BodyCommand;

/** `socket` counts from 1 in the order of `opened`; without it a message means the one it came from. */
type SocketCommand = { readonly socket?: number } & (
  | { do: "send"; text: string }
  | { do: "sendMany"; count: number; bytes: number; corked: boolean }
  /** Sends messages of `bytes` until one does not leave at once. */
  | { do: "fill"; bytes: number }
  | { do: "bufferedBytes" }
  | { do: "ping" }
  | { do: "close"; code: number; reason: string }
  | { do: "sendAndCloseCorked"; text: string; code: number }
  | { do: "terminate" }
  | { do: "terminateCorked" }
  /** Calls everything a socket has. */
  | { do: "useAll" }
);

/** `body` counts from 1 in the order in which the answers to /stream began. */
type BodyCommand = { readonly body: number } & (
  | { do: "sendBody"; text: string }
  /** Sends "0 text", "1 text" and so on, a line each, and ends the body where it is told to. */
  | { do: "sendLines"; count: number; text: string; corked: boolean; ends: boolean }
  /** Sends a line each turn until one does not leave at once. */
  | { do: "fillBody"; text: string }
  | { do: "bodyBytes" }
  | { do: "endBody" }
  | { do: "terminateBody" }
  /** Calls everything a body has. */
  | { do: "useAllOfBody" }
);

type ListenerCommand =
  | { do: "admit"; answer: boolean }
  /** Answers the requests to /held, now and from now on. */
  | { do: "release" }
  | { do: "stopListening" }
  | { do: "closeListener"; graceMs: number }
  | { do: "mark" };

/** What the fixture prints. */
export type Line =
  | { event: "listening"; port: number; ports: readonly number[] }
  | { event: "introduced"; source: string | null }
  | { event: "failed"; message: string }
  | { event: "opened"; socket: number; address: string }
  | { event: "received"; socket: number; text: string | null }
  | { event: "pinged" | "ponged"; socket: number; bufferedBytes: number }
  | { event: "drained"; socket: number; bufferedBytes: number }
  | { event: "closed"; socket: number; bufferedBytes: number }
  | { event: "filled"; socket: number; count: number; bufferedBytes: number }
  | { event: "bufferedBytes"; socket: number; bufferedBytes: number }
  | { event: "returned"; socket: number; from: Command["do"] }
  | { event: "request"; method: string; path: string; isTooLarge: boolean }
  | { event: "began"; address: string }
  | { event: "ended"; address: string }
  | { event: "gone"; path: string }
  | { event: "streaming"; body: number }
  | { event: "bodyFilled"; body: number; count: number }
  | { event: "bodyBytes"; body: number; bufferedBytes: number }
  | { event: "bodyDrained"; body: number; bufferedBytes: number }
  | { event: "bodyClosed"; body: number; bufferedBytes: number }
  | { event: "bodyReturned"; body: number; from: Command["do"] }
  | { event: "stopped" }
  | { event: "listenerClosed" }
  | { event: "mark" };

/** What the fixture is started with: one address, or several. */
type Given = Partial<Omit<TransportSettings, "addresses">> &
  Address & { readonly addresses?: readonly Address[] };

type Address = {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** Names the address in those of its peers. */
  readonly name?: string | undefined;
  /** Has connections begin with a line of the PROXY protocol. Whoever is "::bad" there is refused. */
  readonly isIntroduced?: boolean | undefined;
};

function settingsOf(all: Given): TransportSettings {
  const { host, port, name, isIntroduced, addresses = [{}], ...given } = all;
  return {
    maxMessageBytes: 64 * 1024,
    handshakeSeconds: 10,
    sharesPorts: false,
    maxBodyBytes: 64 * 1024,
    ...given,
    addresses: addresses.map((address) => listenAt({ host, port, name, isIntroduced, ...address })),
  };
}

function listenAt({ host = "127.0.0.1", port = 0, name, isIntroduced = false }: Address): ListenAt {
  return {
    host,
    port,
    forwardedFor: (peer, header) =>
      [name, peer, header && `for ${header}`].filter(Boolean).join(" "),
    introduced: isIntroduced ? introduced : undefined,
  };
}

function introduced(source: string | undefined): string | undefined {
  print({ event: "introduced", source: source ?? null });
  return source === "::bad" ? undefined : source;
}

const sockets: Socket[] = [];
const bodies: BodyStream[] = [];
let admits = true;
let release: () => void = () => {};
const released = new Promise<void>((resolve) => {
  release = resolve;
});
let listener: Listener | undefined;

function print(line: Line): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function transportNamed(name: string | undefined): Promise<Transport> {
  if (name === "uws") return (await import("../../src/transport/uws.ts")).uwsTransport;
  return (await import("../../src/transport/ws.ts")).wsTransport;
}

function opened(socket: Socket): SocketHandlers {
  const number = sockets.push(socket);
  print({ event: "opened", socket: number, address: socket.address });
  const tell = (event: "pinged" | "ponged" | "drained" | "closed"): void =>
    print({ event, socket: number, bufferedBytes: socket.bufferedBytes });
  return {
    received(text) {
      print({ event: "received", socket: number, text: text ?? null });
      if (text?.startsWith('{"do":') === true) obey(JSON.parse(text) as Command, number);
    },
    pinged: () => tell("pinged"),
    ponged: () => tell("ponged"),
    drained: () => tell("drained"),
    closed: () => tell("closed"),
  };
}

function streaming(stream: BodyStream): BodyHandlers {
  const body = bodies.push(stream);
  print({ event: "streaming", body });
  const tell = (event: "bodyDrained" | "bodyClosed"): void =>
    print({ event, body, bufferedBytes: stream.bufferedBytes });
  return { drained: () => tell("bodyDrained"), closed: () => tell("bodyClosed") };
}

function obey(command: Command, from: number): void {
  if ("body" in command) return write(command);
  if (isForListener(command)) return direct(command);
  const number = command.socket ?? from;
  const socket = sockets[number - 1];
  if (socket === undefined) throw new Error(`there is no socket ${number}`);
  use(socket, number, command);
}

function isForListener(command: Command): command is ListenerCommand {
  return ["admit", "release", "stopListening", "closeListener", "mark"].includes(command.do);
}

function direct(command: ListenerCommand): void {
  switch (command.do) {
    case "admit":
      admits = command.answer;
      break;
    case "release":
      release();
      break;
    case "stopListening":
      void listener?.stopListening().then(() => print({ event: "stopped" }));
      break;
    case "closeListener":
      void listener?.close(command.graceMs).then(() => print({ event: "listenerClosed" }));
      break;
    case "mark":
      print({ event: "mark" });
      break;
  }
}

function use(socket: Socket, number: number, command: SocketCommand): void {
  switch (command.do) {
    case "send":
      socket.send(command.text);
      break;
    case "sendMany": {
      const all = (): void => {
        for (let index = 0; index < command.count; index++)
          socket.send(message(index, command.bytes));
      };
      if (command.corked) socket.cork(all);
      else all();
      break;
    }
    case "fill": {
      let count = 0;
      while (socket.bufferedBytes === 0) socket.send(message(count++, command.bytes));
      return print({ event: "filled", socket: number, count, bufferedBytes: socket.bufferedBytes });
    }
    case "bufferedBytes":
      return print({ event: "bufferedBytes", socket: number, bufferedBytes: socket.bufferedBytes });
    case "ping":
      socket.ping();
      break;
    case "close":
      socket.close(command.code, command.reason);
      break;
    case "sendAndCloseCorked":
      socket.cork(() => {
        socket.send(command.text);
        socket.close(command.code, "");
        socket.send("after close");
      });
      break;
    case "terminate":
      socket.terminate();
      break;
    case "terminateCorked":
      socket.cork(() => {
        socket.send("before terminate");
        socket.terminate();
        socket.send("after terminate");
      });
      break;
    case "useAll":
      socket.send("late");
      socket.cork(() => socket.send("late"));
      socket.ping();
      socket.close(1000, "late");
      socket.terminate();
      break;
  }
  print({ event: "returned", socket: number, from: command.do });
}

function write(command: BodyCommand): void {
  const { body } = command;
  const stream = bodies[body - 1];
  if (stream === undefined) throw new Error(`there is no body ${body}`);
  switch (command.do) {
    case "sendBody":
      stream.send(command.text);
      break;
    case "sendLines": {
      const all = (): void => {
        for (let index = 0; index < command.count; index++) stream.send(line(index, command.text));
      };
      if (command.corked) stream.cork(all);
      else all();
      if (command.ends) stream.end();
      break;
    }
    case "fillBody":
      return fill(stream, body, command.text);
    case "bodyBytes":
      return print({ event: "bodyBytes", body, bufferedBytes: stream.bufferedBytes });
    case "endBody":
      stream.end();
      break;
    case "terminateBody":
      stream.terminate();
      break;
    case "useAllOfBody":
      stream.send("late");
      stream.cork(() => stream.send("late"));
      stream.end();
      stream.terminate();
      break;
  }
  print({ event: "bodyReturned", body, from: command.do });
}

function fill(stream: BodyStream, body: number, text: string): void {
  let count = 0;
  const more = (): void => {
    if (stream.bufferedBytes > 0) return print({ event: "bodyFilled", body, count });
    stream.send(line(count++, text));
    // What is sent in a turn leaves at its end at the latest.
    setImmediate(() => setImmediate(more));
  };
  more();
}

function line(index: number, text: string): string {
  return `${index} ${text}\n`;
}

// "7 ...": tells its place and has its size.
function message(index: number, bytes: number): string {
  return `${index} `.padEnd(bytes, ".");
}

async function answered(request: HttpRequest): Promise<HttpResponse> {
  const { method, path } = request;
  print({ event: "request", method, path, isTooLarge: request.body === undefined });
  request.gone.addEventListener("abort", () => print({ event: "gone", path }));
  if (path === "/held") await released;
  switch (path) {
    case "/empty":
      return { status: 204, headers: {}, body: "" };
    case "/large":
      return { status: 200, headers: {}, body: "x".repeat(Number(request.query)) };
  }
  if (path === "/stream" || request.query === "stream")
    return { status: Number(request.query) || 200, headers: { "x-own": "y" }, body: streaming };
  if (request.body === undefined) return { status: 413, headers: {}, body: "too much" };
  return {
    status: 200,
    headers: { "content-type": "application/json", "x-fixture": "yes" },
    body: JSON.stringify({ ...request, body: Buffer.from(request.body).toString("utf8") }),
  };
}

async function main(): Promise<void> {
  const [, , name, settings = "{}"] = process.argv;
  const transport = await transportNamed(name);
  listener = await transport(settingsOf(JSON.parse(settings) as Given), {
    admits: () => admits,
    began(address) {
      if (!admits) return { status: 429, headers: { "x-fixture": "busy" }, body: "busy" };
      print({ event: "began", address });
      return undefined;
    },
    ended: (address) => print({ event: "ended", address }),
    opened,
    request: answered,
  });
  const { ports } = listener;
  print({ event: "listening", port: ports[0] ?? 0, ports });
  // It is killed in the end, and would keep nothing of what was compiled. Node 20 cannot.
  module.flushCompileCache?.();
  createInterface({ input: process.stdin })
    .on("line", (line) => obey(JSON.parse(line) as Command, 0))
    // Whoever started it is gone.
    .on("close", () => process.exit());
}

try {
  await main();
} catch (error) {
  print({ event: "failed", message: error instanceof Error ? error.message : String(error) });
  process.exit(1);
}
