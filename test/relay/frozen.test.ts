// A relay that was frozen, by SIGSTOP, a suspended machine or a held event loop, on a clock that the test moves.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { RateLimiter } from "../../src/policy/rate-limiter.ts";
import { Relay } from "../../src/relay/relay.ts";
import type { Store } from "../../src/store/store.ts";
import type { Socket, SocketHandlers } from "../../src/transport/transport.ts";

const PING_SECONDS = 30;
const DEAD_SECONDS = 75;
const LIMITS = {
  filters: 20,
  filterValues: 1_000,
  subscriptions: 32,
  authKeys: 1_000,
  reconcile: 1,
  messageBytes: 1,
  limit: 5_000,
  outboxBytes: 2 ** 22,
  filterBytes: 2 ** 20,
  memoryPerAddress: 2 ** 25,
  memory: 2 ** 28,
  inbox: 256,
  inboxBytes: 2 ** 22,
  pingSeconds: PING_SECONDS,
  deadSeconds: DEAD_SECONDS,
  connections: 100,
  connectionsPerAddress: 100,
};

let seconds = 1_000;

/** Time passes, and what is to be done every second is done. */
function pass(passing: number): void {
  for (let passed = 0; passed < passing; passed++) {
    seconds += 1;
    vi.advanceTimersByTime(1_000);
  }
}

/** Time passes, and nothing is done. */
function freeze(frozen: number): void {
  seconds += frozen;
}

function startRelay(): Relay {
  const unlimited = new RateLimiter({ perSecond: 0, burst: 1 });
  // Nothing is published or read here.
  const store = { subscribe: () => () => {} } as unknown as Store;
  return new Relay(
    {
      store,
      pool: { hasRoom: true, ask: async () => undefined },
      publishing: unlimited,
      asking: unlimited,
      copying: unlimited,
      filling: unlimited,
      passOn() {},
      observer: { count() {}, measure() {} },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      runtime: { now: () => seconds, monotonic: () => seconds, randomHex: () => "00" },
    },
    { urls: [], limits: LIMITS },
  );
}

type Peer = { readonly handlers: SocketHandlers; readonly pings: number; readonly isOver: boolean };

function connect(relay: Relay): Peer {
  const peer = { pings: 0, isOver: false };
  const socket: Socket = {
    address: "192.0.2.1",
    bufferedBytes: 0,
    send() {},
    cork: (work) => work(),
    ping() {
      peer.pings += 1;
    },
    close() {},
    terminate() {
      peer.isOver = true;
    },
  };
  return Object.assign(peer, { handlers: relay.connected(socket) });
}

describe("a relay that was frozen", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
  afterEach(() => void vi.useRealTimers());

  it("cuts nobody off when it wakes", () => {
    const relay = startRelay();
    const peers = [connect(relay), connect(relay)];
    pass(10);
    freeze(10 * DEAD_SECONDS);
    pass(1);
    expect(peers.map(({ isOver }) => isOver)).toEqual([false, false]);
    relay.close();
  });

  it("pings when it wakes, keeps who answers, and cuts off who was silent before and after for too long", () => {
    const relay = startRelay();
    const [lively, silent] = [connect(relay), connect(relay)];
    pass(40);
    lively.handlers.ponged();
    freeze(10 * DEAD_SECONDS);
    const before = lively.pings;
    pass(1);
    expect(lively.pings).toBe(before + 1);
    lively.handlers.ponged();
    pass(DEAD_SECONDS - 40 - 2);
    expect([lively.isOver, silent.isOver]).toEqual([false, false]);
    pass(2);
    expect([lively.isOver, silent.isOver]).toEqual([false, true]);
    relay.close();
  });

  it("excuses nobody for longer than it was frozen, also who is heard before it looks", () => {
    const relay = startRelay();
    const peer = connect(relay);
    pass(10);
    freeze(10 * DEAD_SECONDS);
    peer.handlers.received(undefined);
    pass(1 + DEAD_SECONDS);
    expect(peer.isOver).toBe(true);
    relay.close();
  });

  it("holds no more against a peer than before when a check is a little late", () => {
    const relay = startRelay();
    const silent = connect(relay);
    for (let late = 0; late < DEAD_SECONDS; late++) {
      freeze(0.5);
      pass(1);
    }
    expect(silent.isOver).toBe(true);
    relay.close();
  });
});
