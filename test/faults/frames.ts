// Frames of every shape (RFC 6455, 5.2), for what no WebSocket library would send: the cases of the Autobahn test suite by their rules, and drawn at random.

import { isUtf8 } from "node:buffer";
import { randomBytes } from "node:crypto";

import type { Chance } from "./seeded.ts";

export const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0x0, 0x1, 0x2, 0x8, 0x9, 0xa];

export type Shape = {
  readonly opcode: number;
  readonly body?: Uint8Array | string;
  readonly isFinal?: boolean;
  /** The three bits that nobody agreed on. */
  readonly reserved?: number;
  readonly isMasked?: boolean;
  /** What the head says of the body's length, whatever that is. */
  readonly says?: bigint;
  /** In how many bytes it says so, beside the first: none where it is short enough. */
  readonly lengthBytes?: 0 | 2 | 8;
};

/** A frame as its shape says, right or wrong. */
export function frameOf(shape: Shape): Buffer {
  const { opcode, isFinal = true, reserved = 0, isMasked = true } = shape;
  const body = Buffer.from(shape.body ?? "");
  const says = shape.says ?? BigInt(body.length);
  const { lengthBytes = says < 126n ? 0 : says < 65_536n ? 2 : 8 } = shape;
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] =
    (isMasked ? 0x80 : 0) | (lengthBytes === 0 ? Number(says) : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(Number(says), 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(says, 2);
  if (!isMasked) return Buffer.concat([head, body]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, body.map((byte, index) => byte ^ (mask[index % 4] ?? 0))]);
}

/** A close frame's body. */
export function closing(code: number, reason: Uint8Array | string = ""): Buffer {
  const body = Buffer.alloc(2);
  body.writeUInt16BE(code);
  return Buffer.concat([body, Buffer.from(reason)]);
}

/** A text in frames, cut at these places. */
export function inFragments(body: Uint8Array, cuts: readonly number[], opcode = TEXT): Buffer[] {
  const ends = [...cuts, body.length];
  return ends.map((end, index) =>
    frameOf({
      opcode: index === 0 ? opcode : CONTINUATION,
      isFinal: index === cuts.length,
      body: body.subarray(ends[index - 1] ?? 0, end),
    }),
  );
}

/** What comes of it: the connection goes on, or it ends. `either`: the specification leaves it to the implementation, or implementations do differ. */
export type Outcome = "goes on" | "ends" | "either";

export type Case = {
  readonly name: string;
  /** In writes: each leaves by itself. */
  readonly writes: readonly Uint8Array[];
  readonly outcome: Outcome;
};

const all = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

// Lengths at which the head changes its form.
const EDGES = [0, 1, 125, 126, 127, 128, 65_535, 65_536];
const MANY = 2n ** 63n;

const UTF8 = "κόσμε-ünïcödé-💧-\u{10ffff}";
// RFC 3629: overlong, surrogates, beyond U+10FFFF, cut off, alone.
const NOT_UTF8 = [
  [0xc0, 0xaf],
  [0xe0, 0x80, 0xaf],
  [0xf0, 0x80, 0x80, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xed, 0xbf, 0xbf],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
  [0xce, 0xba, 0xe1, 0xbd],
  [0x80],
  [0xff],
].map((bytes) => Buffer.concat([Buffer.from("κό"), Buffer.from(bytes)]));

// RFC 6455, 7.4: those that an endpoint may send, and those that it must not.
const CODES_THAT_MAY = [
  1_000, 1_001, 1_002, 1_003, 1_007, 1_008, 1_009, 1_010, 1_011, 3_000, 3_999, 4_000, 4_999,
];
const CODES_THAT_MUST_NOT = [
  0, 999, 1_004, 1_005, 1_006, 1_015, 1_016, 1_100, 2_000, 2_999, 5_000, 65_535,
];

/** Cases by the sections of Autobahn's suite. Where a case goes on, a message is answered behind it as if nothing had been. */
export const CASES: readonly Case[] = [
  // 1, Framing.
  ...EDGES.flatMap((length) => [
    one(`a text of ${length} bytes`, { opcode: TEXT, body: "x".repeat(length) }, "goes on"),
    one(
      `a binary message of ${length} bytes`,
      { opcode: BINARY, body: Buffer.alloc(length, 0xfe) },
      "goes on",
    ),
    octets(
      `a text of ${length} bytes, in pieces`,
      frameOf({ opcode: TEXT, body: "x".repeat(length) }),
      997,
    ),
  ]),
  ...[8, 2].flatMap((lengthBytes) =>
    [0, 5, 125].map((length) =>
      one(
        `a length of ${length} in ${lengthBytes} bytes, more than it takes`,
        { opcode: TEXT, body: "x".repeat(length), lengthBytes: lengthBytes as 2 | 8 },
        "either",
      ),
    ),
  ),
  ...[MANY - 1n, MANY, 2n * MANY - 1n, 2n ** 32n, 2n ** 53n, 128n * 1_024n + 1n].map((says) =>
    one(`a length of ${says}`, { opcode: TEXT, body: "x", says }, "ends"),
  ),
  // 2, Pings and pongs.
  ...[0, 1, 125].map((length) =>
    one(`a ping of ${length} bytes`, { opcode: PING, body: Buffer.alloc(length, 0xfe) }, "goes on"),
  ),
  ...[126, 65_535, 65_536].flatMap((length) =>
    [PING, PONG, CLOSE].map((opcode) =>
      one(
        `a control frame ${hex(opcode)} of ${length} bytes`,
        { opcode, body: Buffer.alloc(length, 0x20) },
        "ends",
      ),
    ),
  ),
  one("a pong that nobody asked for", { opcode: PONG, body: "x" }, "goes on"),
  several(
    "ten pings in one segment",
    Array.from({ length: 10 }, () => frameOf({ opcode: PING, body: "x" })),
    "goes on",
  ),
  octets("a ping byte by byte", frameOf({ opcode: PING, body: "x".repeat(20) }), 1),
  // 3, Reserved bits.
  ...all(1, 7).flatMap((reserved) =>
    [TEXT, BINARY, PING, PONG, CLOSE].map((opcode) =>
      one(
        `reserved bits ${reserved} in a frame ${hex(opcode)}`,
        { opcode, reserved, body: opcode === CLOSE ? closing(1_000) : "x" },
        "ends",
      ),
    ),
  ),
  several(
    "reserved bits in a fragment",
    [
      frameOf({ opcode: TEXT, isFinal: false, body: "x" }),
      frameOf({ opcode: CONTINUATION, reserved: 4, body: "x" }),
    ],
    "ends",
  ),
  // 4, Opcodes.
  ...[...all(0x3, 0x7), ...all(0xb, 0xf)].flatMap((opcode) =>
    ["", "x"].map((body) =>
      one(`opcode ${hex(opcode)} with ${body.length} bytes`, { opcode, body }, "ends"),
    ),
  ),
  // 5, Fragments.
  ...[PING, PONG, CLOSE].map((opcode) =>
    one(
      `a control frame ${hex(opcode)} in fragments`,
      { opcode, isFinal: false, body: opcode === CLOSE ? closing(1_000) : "x" },
      "ends",
    ),
  ),
  several("a text in fragments", inFragments(Buffer.from("fragments"), [3, 6]), "goes on"),
  several("a text in empty fragments", inFragments(Buffer.from(""), [0, 0, 0]), "goes on"),
  several(
    "a binary message in fragments",
    inFragments(Buffer.alloc(9, 0xfe), [3, 6], BINARY),
    "goes on",
  ),
  several(
    "pings between fragments",
    inFragments(Buffer.from("fragments"), [3, 6]).flatMap((each) => [
      frameOf({ opcode: PING, body: "x" }),
      each,
    ]),
    "goes on",
  ),
  one("a fragment that continues nothing", { opcode: CONTINUATION, body: "x" }, "ends"),
  one(
    "a fragment that continues nothing and goes on",
    { opcode: CONTINUATION, isFinal: false, body: "x" },
    "ends",
  ),
  ...[TEXT, BINARY].map((opcode) =>
    several(
      `a frame ${hex(opcode)} between fragments`,
      [frameOf({ opcode: TEXT, isFinal: false, body: "x" }), frameOf({ opcode, body: "x" })],
      "ends",
    ),
  ),
  // 6, UTF-8.
  ...all(1, Buffer.byteLength(UTF8) - 1).map((cut) =>
    several(`UTF-8 in fragments, cut at ${cut}`, inFragments(Buffer.from(UTF8), [cut]), "goes on"),
  ),
  ...NOT_UTF8.flatMap((body) => [
    one(`what is no UTF-8: ${body.toString("hex")}`, { opcode: TEXT, body }, "ends"),
    ...all(1, body.length - 1).map((cut) =>
      several(
        `what is no UTF-8, cut at ${cut}: ${body.toString("hex")}`,
        inFragments(body, [cut]),
        "ends",
      ),
    ),
  ]),
  // 7, Closing.
  one("a close frame without a code", { opcode: CLOSE }, "ends"),
  one("a close frame of one byte", { opcode: CLOSE, body: "x" }, "ends"),
  ...[...CODES_THAT_MAY, ...CODES_THAT_MUST_NOT].map((code) =>
    one(`a close frame with ${code}`, { opcode: CLOSE, body: closing(code) }, "ends"),
  ),
  one(
    "a close frame with the longest reason",
    { opcode: CLOSE, body: closing(1_000, "x".repeat(123)) },
    "ends",
  ),
  one(
    "a close frame with a reason that is no UTF-8",
    { opcode: CLOSE, body: closing(1_000, NOT_UTF8[0]) },
    "ends",
  ),
  several(
    "more behind a close frame",
    [
      frameOf({ opcode: CLOSE, body: closing(1_000) }),
      frameOf({ opcode: TEXT, body: "x" }),
      frameOf({ opcode: PING, body: "x" }),
      frameOf({ opcode: CLOSE, body: closing(1_000) }),
    ],
    "ends",
  ),
  several(
    "a close frame between fragments",
    [
      frameOf({ opcode: TEXT, isFinal: false, body: "x" }),
      frameOf({ opcode: CLOSE, body: closing(1_000) }),
    ],
    "ends",
  ),
  // Beside Autobahn's.
  ...[TEXT, PING].map((opcode) =>
    one(`a frame ${hex(opcode)} without a mask`, { opcode, body: "x", isMasked: false }, "either"),
  ),
  one(
    "no frame at all",
    { opcode: 0x4, reserved: 7, isMasked: false, body: "GET / HTTP/1.1\r\n\r\n" },
    "ends",
  ),
];

/** A case that uWebSockets.js takes, against 5.4 of RFC 6455: of a frame within a message it asks only that it is no text, and behind a ping not even that. */
export const UWS_TAKES = `a frame ${hex(BINARY)} between fragments`;

/** Some frames, each with its chance of being wrong in one way or another. */
export function anyFrames(chance: Chance): Buffer[] {
  const frames: Buffer[] = [];
  let isBegun = false;
  for (let left = chance.between(1, 12); left > 0; left -= 1) {
    const isControl = chance.is(0.3);
    const isRight = !chance.is(0.04);
    const isFinal = isControl ? isRight : chance.is(0.6);
    const begins = chance.of([TEXT, BINARY]);
    const right = isControl ? chance.of([PING, PONG]) : isBegun ? CONTINUATION : begins;
    if (!isControl) isBegun = !isFinal;
    frames.push(anyFrame(chance, isRight ? right : chance.between(0, 15), isFinal));
  }
  // Most of them end what they began, so that something comes of it.
  if (isBegun && chance.is(0.8)) frames.push(anyFrame(chance, CONTINUATION, true));
  return frames;
}

function anyFrame(chance: Chance, opcode: number, isFinal: boolean): Buffer {
  if (chance.is(0.01)) return randomBytes(chance.between(1, 40));
  const isControl = opcode >= 8;
  const most = isControl && !chance.is(0.02) ? 125 : 400;
  const isEdge = chance.is(isControl ? 0.01 : 0.1);
  const length = isEdge ? chance.of([...EDGES, 131_072, 131_073]) : chance.between(0, most);
  const body = chance.is(isControl ? 0.5 : 0.02)
    ? randomBytes(length)
    : Buffer.alloc(length, chance.of(['["REQ","s",{}]', "[", '["EVENT",{"id":"']));
  const whole = frameOf({
    opcode,
    body,
    isFinal,
    reserved: chance.is(0.02) ? chance.between(1, 7) : 0,
    isMasked: !chance.is(0.01),
    ...(chance.is(0.01) && {
      says: chance.of([0n, 1n, 125n, 126n, 65_536n, MANY - 1n]),
      lengthBytes: 8 as const,
    }),
  });
  return chance.is(0.01) ? whole.subarray(0, chance.between(1, whole.length)) : whole;
}

function one(name: string, shape: Shape, outcome: Outcome): Case {
  return { name, writes: [frameOf(shape)], outcome };
}

// In one segment.
function several(name: string, frames: readonly Buffer[], outcome: Outcome): Case {
  return { name, writes: [Buffer.concat(frames)], outcome };
}

// In pieces that each leave by themselves.
function octets(name: string, whole: Buffer, each: number): Case {
  const writes = [];
  for (let at = 0; at < whole.length; at += each) writes.push(whole.subarray(at, at + each));
  return { name, writes, outcome: "goes on" };
}

function hex(opcode: number): string {
  return `0x${opcode.toString(16)}`;
}

/** What a server sent behind its answer to the handshake: nothing but whole frames as RFC 6455 wants them of a server. Throws where it is not so. */
export function textsFrom(server: Buffer): string[] {
  const texts: string[] = [];
  let at = 0;
  while (at + 2 <= server.length) {
    const [first = 0, second = 0] = server.subarray(at);
    const opcode = first & 0x0f;
    if ((first & 0xf0) !== 0x80) throw new Error(`a frame begins with ${hex(first)}`);
    if ((second & 0x80) !== 0) throw new Error("a server's frame is masked");
    let [length, head] = [second, 2];
    if (second === 126) [length, head] = [server.readUInt16BE(at + 2), 4];
    if (second === 127) [length, head] = [Number(server.readBigUInt64BE(at + 2)), 10];
    if (length < (second === 127 ? 65_536 : second === 126 ? 126 : 0))
      throw new Error("too long a length");
    const body = server.subarray(at + head, at + head + length);
    // Cut off with the connection.
    if (body.length < length) return texts;
    if (opcode === TEXT) texts.push(new TextDecoder("utf-8", { fatal: true }).decode(body));
    else if (opcode !== CLOSE && opcode !== PING && opcode !== PONG)
      throw new Error(`opcode ${hex(opcode)}`);
    else if (length > 125) throw new Error("a control frame of more than 125 bytes");
    at += head + length;
  }
  return texts;
}

/**
 * A second reading of RFC 6455, as plain as can be: what comes of these bytes, sent by a client whose messages may have `maxBytes`. `unfinished`: the peer
 * waits for more. `isUws`: it is uWebSockets.js that reads them.
 */
export function verdictOn(bytes: Buffer, maxBytes: number, isUws: boolean): Outcome | "unfinished" {
  let at = 0;
  let fragments: Buffer[] | undefined;
  let kind = 0;
  while (at < bytes.length) {
    if (at + 2 > bytes.length) return "unfinished";
    const [first = 0, second = 0] = bytes.subarray(at);
    const [isFinal, reserved, opcode] = [(first & 0x80) !== 0, first & 0x70, first & 0x0f];
    const isControl = opcode >= 8;
    const short = second & 0x7f;
    if (reserved !== 0) return "ends";
    if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) return "ends";
    if (isControl && (!isFinal || short > 125)) return "ends";
    if (isUws && (opcode === TEXT || opcode === BINARY) && fragments !== undefined) return "either";
    if (!isControl && (opcode === CONTINUATION) === (fragments === undefined)) return "ends";
    // Implementations take them, or wait with the answer until there is more.
    if ((second & 0x80) === 0) return "either";
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (at + 2 + lengthBytes > bytes.length) return "unfinished";
    const length =
      lengthBytes === 2
        ? BigInt(bytes.readUInt16BE(at + 2))
        : lengthBytes === 8
          ? bytes.readBigUInt64BE(at + 2)
          : BigInt(short);
    if (length < (lengthBytes === 8 ? 65_536n : lengthBytes === 2 ? 126n : 0n)) return "either";
    const before = fragments?.reduce((sum, each) => sum + each.length, 0) ?? 0;
    if (!isControl && BigInt(before) + length > BigInt(maxBytes)) return "ends";
    const begin = at + 2 + lengthBytes + 4;
    const end = begin + Number(length);
    if (end > bytes.length) return "unfinished";
    const mask = bytes.subarray(begin - 4, begin);
    const body = bytes.subarray(begin, end).map((byte, index) => byte ^ (mask[index % 4] ?? 0));
    at = end;
    if (opcode === CLOSE) return "ends";
    if (isControl) continue;
    if (opcode !== CONTINUATION) kind = opcode;
    fragments = [...(fragments ?? []), Buffer.from(body)];
    if (!isFinal) continue;
    if (kind === TEXT && !isUtf8(Buffer.concat(fragments))) return "ends";
    fragments = undefined;
  }
  return fragments === undefined ? "goes on" : "unfinished";
}
