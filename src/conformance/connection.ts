// One WebSocket to the relay under test, and everything it said, in order.
//
// Nothing that comes in is trusted. A frame that is no JSON array, too many messages, or a connection that ends makes the connection broken: what
// waits on it fails at once with what was seen, and so does everything that waits later. Nothing is kept beyond the limits below. What was heard is
// never consumed: a wait looks at everything from a mark on, so that two waits cannot steal each other's message.

import { WebSocket } from "ws";

import type { Transcript } from "./transcript.ts";
import { Failed } from "./verdict.ts";

/** A message of the relay: a JSON array that begins with its verb. */
export type Message = readonly [verb: string, ...rest: unknown[]];

export type Heard = { readonly message: Message; readonly text: string };

export type ConnectionSettings = {
  readonly name: string;
  readonly transcript: Transcript;
  /** How long one answer may take. */
  readonly patienceMs: number;
};

// A check asks for a few hundred events at most; what goes beyond that by far was not asked for.
const MAX_HEARD_MESSAGES = 20_000;
const MAX_HEARD_CHARS = 8 * 1024 * 1024;
const MAX_FRAME_BYTES = 1024 * 1024;

type Waiting = { test(): void; fail(reason: string): void };

export class Connection {
  readonly name: string;
  readonly #socket: WebSocket;
  readonly #transcript: Transcript;
  readonly #patienceMs: number;
  readonly #heard: Heard[] = [];
  readonly #waiting = new Set<Waiting>();
  #heardChars = 0;
  #broken: string | undefined;
  #isLost = false;

  private constructor(socket: WebSocket, { name, transcript, patienceMs }: ConnectionSettings) {
    this.name = name;
    this.#socket = socket;
    this.#transcript = transcript;
    this.#patienceMs = patienceMs;
    socket.on("message", (frame: Buffer, isBinary) => this.#hear(frame.toString(), isBinary));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // What ws says of a relay that breaks its rules: it is there.
      this.#isLost ||= this.#broken === undefined && !error.code?.startsWith("WS_ERR");
      this.#break(`the connection failed: ${error.message}`);
    });
    socket.on("close", (code, reason) => {
      this.#isLost ||= this.#broken === undefined;
      this.#break(`the relay closed the connection (${code} ${reason.toString()})`);
    });
  }

  /** Throws Failed when there is no connection within the patience. */
  static async open(url: string, settings: ConnectionSettings): Promise<Connection> {
    const { name, transcript, patienceMs } = settings;
    let socket: WebSocket;
    try {
      socket = new WebSocket(url, {
        handshakeTimeout: patienceMs,
        maxPayload: MAX_FRAME_BYTES,
        perMessageDeflate: false,
      });
    } catch (error) {
      throw new Failed(`no connection: ${(error as Error).message}`, { cause: error });
    }
    const connection = new Connection(socket, settings);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => {
        transcript.add(name, "note", `connected to ${url}`);
        resolve();
      });
      socket.once("error", ({ message, code }: NodeJS.ErrnoException) =>
        // Of a host with several addresses there is no message, but one for each of them.
        reject(new Failed(`no connection: ${message || code}`)),
      );
      socket.once("close", (code) => reject(new Failed(`no connection: closed with ${code}`)));
    });
    return connection;
  }

  /** Whether it ended, and neither of us ended it for what the relay said. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Where the next message will stand: what was said until now lies before it. */
  get mark(): number {
    return this.#heard.length;
  }

  /** Everything heard since the mark. */
  since(mark: number): readonly Heard[] {
    return this.#heard.slice(mark);
  }

  say(...message: readonly unknown[]): void {
    this.sayRaw(JSON.stringify(message));
  }

  sayRaw(text: string): void {
    this.#transcript.add(this.name, "sent", text);
    if (this.#broken === undefined) this.#socket.send(text);
  }

  /** The first message since the mark that matches. Throws Failed when it does not come in time, or cannot come any more. */
  wait(what: string, mark: number, matches: (message: Message) => boolean): Promise<Heard> {
    let next = mark;
    const find = (): Heard | undefined => {
      for (; next < this.#heard.length; next++) {
        const heard = this.#heard[next];
        if (heard !== undefined && matches(heard.message)) return heard;
      }
      return undefined;
    };
    const found = find();
    if (found !== undefined) return Promise.resolve(found);
    if (this.#broken !== undefined) {
      return Promise.reject(new Failed(`${this.#broken}, before ${what}`));
    }
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        test() {
          const heard = find();
          if (heard === undefined) return;
          end();
          resolve(heard);
        },
        fail(reason) {
          end();
          reject(new Failed(`${reason}, before ${what}`));
        },
      };
      const timer = setTimeout(
        () => waiting.fail(`nothing for ${this.#patienceMs} ms`),
        this.#patienceMs,
      );
      this.#waiting.add(waiting);
    });
  }

  end(): void {
    this.#break("the check is over", false);
  }

  #hear(text: string, isBinary: boolean): void {
    if (this.#broken !== undefined) return;
    this.#transcript.add(this.name, "heard", text);
    const message = isBinary ? undefined : messageOf(text);
    if (message === undefined) {
      this.#break(`the relay sent ${JSON.stringify(text.slice(0, 80))}, which is no message`);
      return;
    }
    this.#heardChars += text.length;
    if (this.#heard.push({ message, text }) > MAX_HEARD_MESSAGES) {
      this.#break(`the relay sent more than ${MAX_HEARD_MESSAGES} messages`);
    } else if (this.#heardChars > MAX_HEARD_CHARS) {
      this.#break(`the relay sent more than ${MAX_HEARD_CHARS} characters`);
    }
    for (const waiting of this.#waiting) waiting.test();
  }

  #break(reason: string, isNews = true): void {
    if (this.#broken !== undefined) return;
    this.#broken = reason;
    if (isNews) this.#transcript.add(this.name, "note", reason);
    this.#socket.terminate();
    for (const waiting of this.#waiting) waiting.fail(reason);
  }
}

function messageOf(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && typeof value[0] === "string"
      ? (value as unknown as Message)
      : undefined;
  } catch {
    return undefined;
  }
}
