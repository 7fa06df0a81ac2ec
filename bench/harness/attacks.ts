// What one address can do to a relay within its limits or against them: each attack costs its sender next to nothing, because its frames are made before.

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { stranger } from "./events.ts";
import { owner } from "./filled.ts";
import { giftWraps } from "./load.ts";
import { pickup, type Session, signInAll } from "./session.ts";
import { frame, pingFrame, Wire } from "./wire.ts";

/** Whom one attacker attacks, from which address. */
export type Field = {
  readonly url: string;
  readonly address: string;
  /** How long an attack goes on that never comes to an end. */
  readonly attackMs: number;
  /** Whether the time is up. */
  isOver(): boolean;
  /** Takes notice of a connection of this attacker. */
  note(wire: Wire): void;
};

/** Makes ready, and answers what attacks: until the time is up, or until everything that was sent once has its answer. */
type Attack = (field: Field) => Promise<() => Promise<void>>;

/** The relay under attack, as far as signing in is concerned. */
const RELAY = { answersAuth: true, isOurs: true, pageLimit: Number.MAX_SAFE_INTEGER };

const BLOCK_BYTES = 256 * 1_024;
// The most that a ping may have (RFC 6455, section 5.5), and its pong brings back.
const PING_BYTES = 125;
const RETRY_MS = 100;
const LOOK_MS = 20;
const MESSAGE_BYTES = 128 * 1_024;

const COUNTING = { sockets: 60, counts: 55 };
const SEARCHES = { reqs: 8, filters: 20 };
const READERS = 8;
// All that one address may open, and all subscriptions that one of them may have.
const CONNECTIONS = 64;
const SUBSCRIPTIONS = 32;
const FILTERS = 20;
const LISTS = 45;
// One is the sender, and one address is to be left with room for it.
const LISTENERS = 62;
const BIG_CONTENT_BYTES = 45_000;
const DROPS_PER_SECOND = 20;
const PATIENCE_MS = 2_000;

const EVENT = "E".charCodeAt(0);
const VERB_AT = 2;

export const ATTACKS = {
  /** Pings whose pongs are never read. */
  pings: flood(block(pingFrame(randomBytes(PING_BYTES))), false),

  /** Messages that are refused, of one byte. */
  bytes: flood(block(frame("x")), true),

  /** The same, of as many brackets as a message may have. */
  brackets: flood(block(frame("[".repeat(MESSAGE_BYTES))), true),

  /** COUNTs, all sent at once, that look into every drop of a full box. */
  async counts(field) {
    const counts = Array.from({ length: COUNTING.counts }, (_, at) =>
      frame(JSON.stringify(["COUNT", `c${at}`, looking()])),
    );
    const sessions = await signIn(field, COUNTING.sockets);
    return () => sendOnce(field, sessions, counts);
  },

  /** REQs of as many filters as one may have, which look into every drop of a full box and find nothing. */
  async searches(field) {
    const filters = (): unknown[] => Array.from({ length: SEARCHES.filters }, looking);
    const reqs = Array.from({ length: SEARCHES.reqs }, (_, at) =>
      frame(JSON.stringify(["REQ", `r${at}`, ...filters()])),
    );
    const sessions = await signIn(field, 1);
    return () => sendOnce(field, sessions, reqs);
  },

  /** A full box picked up again and again, as fast as it comes. */
  async pickups(field) {
    const sessions = await signIn(field, READERS);
    return async () => {
      await Promise.all(
        sessions.map(async (session) => {
          const pickUp = pickup(session, RELAY);
          while (!field.isOver() && session.wire.isOpen) {
            await pickUp().catch(() => sleep(RETRY_MS));
          }
        }),
      );
    };
  },

  /** Subscriptions whose filters have as many values as a message holds. */
  async filters(field) {
    const reqs = Array.from({ length: SUBSCRIPTIONS }, (_, at) => largeReq(`f${at}`));
    const sessions = await signIn(field, CONNECTIONS);
    return () => sendOnce(field, sessions, reqs);
  },

  /** Large drops for oneself, each of which comes back on every subscription of every connection. */
  async amplification(field) {
    const drops = giftWraps(
      Math.ceil((field.attackMs / 1_000) * DROPS_PER_SECOND),
      () => owner(0).pubkey,
      { contentBytes: BIG_CONTENT_BYTES },
    );
    const reqs = Array.from({ length: SUBSCRIPTIONS }, (_, at) =>
      frame(JSON.stringify(["REQ", `l${at}`, { limit: 0 }])),
    );
    const sender = await connect(field);
    const sessions = await signIn(field, LISTENERS);
    await sendOnce(field, sessions, reqs);
    let events = 0;
    for (const { wire } of sessions) {
      wire.onMessage = (buffer, start) => {
        if (buffer[start + VERB_AT] === EVENT) events += 1;
      };
    }
    return async () => {
      for (const drop of drops) {
        if (field.isOver()) return;
        const next = performance.now() + 1_000 / DROPS_PER_SECOND;
        const open = sessions.filter(({ wire }) => wire.isOpen).length;
        const wanted = events + open * SUBSCRIPTIONS;
        sender.send(drop.frame);
        // No faster than they can be read, or the listeners are cut off and it is over at once.
        const late = performance.now() + PATIENCE_MS;
        await until(field, () => events >= wanted || performance.now() > late);
        await sleep(Math.max(0, next - performance.now()));
      }
    };
  },

  /** A full box, asked for on every connection and never read. */
  async unread(field) {
    const req = frame(JSON.stringify(["REQ", "u", {}]));
    const sessions = await signIn(field, CONNECTIONS);
    return async () => {
      for (const { wire } of sessions) {
        wire.pause();
        wire.send(req);
      }
      await until(field, () => false);
    };
  },
} satisfies Record<string, Attack>;

export type AttackName = keyof typeof ATTACKS;

/** Sends the same over and over on one connection that needs no key, and connects anew when it is cut off. */
function flood(bytes: Buffer, reads: boolean): Attack {
  return async (field) => {
    let wire = await connect(field);
    return async () => {
      while (!field.isOver()) {
        if (reads) wire.isDeaf = true;
        else wire.pause();
        while (!field.isOver() && wire.isOpen) await wire.sendAll(bytes);
        await sleep(RETRY_MS);
        wire = await connect(field).catch(() => wire);
      }
    };
  };
}

function block(one: Buffer): Buffer {
  return Buffer.concat(
    Array.from({ length: Math.max(1, Math.floor(BLOCK_BYTES / one.length)) }, () => one),
  );
}

async function connect(field: Field): Promise<Wire> {
  const wire = await Wire.connect(field.url, undefined, field.address);
  field.note(wire);
  return wire;
}

// All with one key: it is one's own box that is asked for.
async function signIn(field: Field, count: number): Promise<Session[]> {
  const people = Array.from({ length: count }, () => owner(0));
  const sessions = await signInAll(RELAY, field.url, people, field.address);
  for (const { wire } of sessions) field.note(wire);
  return sessions;
}

/** Sends all of it on each connection. Resolves when each has its answer, whatever that is. */
async function sendOnce(
  field: Field,
  sessions: readonly Session[],
  frames: readonly Buffer[],
): Promise<void> {
  const unanswered = new Map(sessions.map(({ wire }) => [wire, frames.length]));
  for (const { wire } of sessions) {
    wire.onMessage = (buffer, start) => {
      if (buffer[start + VERB_AT] === EVENT && buffer[start + VERB_AT + 1] !== "O".charCodeAt(0))
        return;
      unanswered.set(wire, (unanswered.get(wire) ?? 0) - 1);
    };
  }
  const all = Buffer.concat(frames);
  for (const { wire } of sessions) wire.send(all);
  await until(field, () => [...unanswered].every(([wire, left]) => left <= 0 || !wire.isOpen));
}

async function until(field: Field, isDone: () => boolean): Promise<void> {
  while (!field.isOver() && !isDone()) await sleep(LOOK_MS);
}

/** A filter that is about every tag of every drop. */
const looking = (): unknown => ({ "#e": [stranger()] });

// Values of one letter, and of them one more than half of what V8 makes room for: the most memory for a byte that is sent.
const FIRST_VALUE = "]".charCodeAt(0);
const VALUES = [...Array(33).keys()].map((at) => String.fromCharCode(FIRST_VALUE + at));

function largeReq(subscription: string): Buffer {
  const letters = "abcdfghijklmnoqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".slice(0, LISTS).split("");
  const filter = Object.fromEntries(letters.map((letter) => [`#${letter}`, VALUES]));
  const filters = Array.from({ length: FILTERS }, () => filter);
  return frame(JSON.stringify(["REQ", subscription, ...filters]));
}
