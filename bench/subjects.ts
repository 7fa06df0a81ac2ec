// The relays that are measured.

import { type How, type Settings, startRelay, UNHURRIED } from "./harness/relay.ts";
import { commit } from "./harness/machine.ts";
import type { Subject } from "./harness/scenario.ts";
import { peers } from "./peers/peers.ts";
import { VERSION } from "../src/version.ts";

const NO_PAGE_LIMIT = Number.MAX_SAFE_INTEGER;

/** This relay, as dist/ has it. What a scenario asks for when it starts it goes before `settings`. */
export function ours(name: string, settings: Settings = {}): Subject {
  return { ...built(settings), name, version: `${VERSION} ${commitOf()}` };
}

/** This relay as another checkout has built it. */
export function earlier(checkout: string): Subject {
  return {
    ...built({}, { checkout }),
    name: "before",
    version: commitOf(checkout),
    isEarlier: true,
  };
}

function commitOf(checkout?: string): string {
  const { hash, isDirty } = commit(checkout);
  return `(${hash.slice(0, 7)}${isDirty ? " and changes" : ""})`;
}

function built(settings: Settings, fixed: How = {}): Omit<Subject, "name" | "version"> {
  return {
    answersAuth: true,
    isOurs: true,
    pageLimit: NO_PAGE_LIMIT,
    settings: { ...UNHURRIED, ...settings },
    build: () => Promise.resolve(),
    start: (folder: string, asked: Settings = {}, how: How = {}) =>
      startRelay(folder, { ...settings, ...asked }, { ...how, ...fixed }),
  };
}

/** Those that say nothing to an AUTH they accept. */
const SILENT_ON_AUTH: ReadonlySet<string> = new Set(["nostr-rs-relay"]);
const PAGE_LIMITS: ReadonlyMap<string, number> = new Map([
  ["rnostr", 300],
  // With a `limit`; without one it finds 100.
  ["@nostr-relay/core", 1_000],
]);

export function peerSubjects(): Subject[] {
  return peers().map((peer) => ({
    name: peer.name,
    version: peer.version,
    answersAuth: !SILENT_ON_AUTH.has(peer.name),
    isOurs: false,
    pageLimit: PAGE_LIMITS.get(peer.name) ?? NO_PAGE_LIMIT,
    build: (log) => peer.build(log),
    start: (folder: string) => peer.start(folder),
  }));
}
